/* engine_seats.c -- what we sign ourselves about membership: our join, our leave, invitations. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/core/engine_inner.h"

typedef int content_put(struct buf *b, const struct engine *g, const struct room *r,
                        const struct guest *guest, struct err *e);

static int join_put(struct buf *b, const struct engine *g, const struct room *r,
                    const struct guest *guest, struct err *e)
{
    const struct content_who me = {g->id, str_of(g->account)};
    const struct content_who with = {r->kept.with, str_of(r->pub.name)};

    (void)guest;
    return content_join_put(b, &me, r->pub.kind == ENGINE_DIRECT ? &with : NULL, e);
}

static int leave_put(struct buf *b, const struct engine *g, const struct room *r,
                     const struct guest *guest, struct err *e)
{
    (void)g;
    (void)r;
    (void)guest;
    return content_leave_put(b, e);
}

/* We vouch for the members as we verified them, by their own signatures. */
static int invite_put(struct buf *b, const struct engine *g, const struct room *r,
                      const struct guest *guest, struct err *e)
{
    const struct content_who who = {guest->account, str_of(guest->name)};
    struct hash roster;

    (void)g;
    if (roster_hash(&r->roster, r->roster.upto, &roster) < 0)
        return err_set(e, ERR_OS, "no memory");
    return content_invite_put(b, &who, &roster, r->roster.upto, e);
}

static struct out *seat_make(struct engine *g, struct room *r, content_put *put,
                             const struct guest *guest, struct err *e)
{
    struct out *o = NULL;
    struct buf b;

    buf_init(&b, CONTENT_MAX);
    if (put(&b, g, r, guest, e) == 0)
        o = out_make(g, r, buf_span(&b), e);
    buf_free(&b);
    return o;
}

/* --- joining --- */

/* A member who has no join in force signs one: in a room he enters, in one of before members
 * signed, and after a crash in between; nobody does whom the relay alone puts there. */
int seat_sign(struct engine *g, struct room *r)
{
    struct err e = {0};

    if (r->is_signed || !r->kept.wanted || r->sign_tried || out_waits(r, CONTENT_JOIN))
        return 0;
    struct out *o = seat_make(g, r, join_put, NULL, &e);
    if (o == NULL) /* who waits for it is answered when the connection is lost */
        return engine_fail(g, e.code, false, "%s: our join could not be signed: %s", r->pub.name,
                           e.text);
    o->ask = r->join_ask;
    r->join_ask = 0;
    return 0;
}

void seat_missing(struct engine *g, struct room *r)
{
    r->is_signed = false;
    if (!r->kept.wanted)
        event_text(g, ENGINE_ALARM, r,
                   "%s: the relay says that you are a member, and no join of yours is there; "
                   "nobody here asked for it: nothing was signed",
                   r->pub.name);
}

void seat_asked(struct room *r, uint64_t id)
{
    struct out *o;

    TAILQ_FOREACH(o, &r->outs, link)
        if (o->kind == CONTENT_JOIN) {
            o->ask = id; /* signed already: the room was new to us */
            return;
        }
    r->join_ask = id;
}

/* --- leaving --- */

uint64_t engine_room_leave(struct engine *g, const struct room_id *room, struct err *e)
{
    struct room *r = room_find(g, room);

    if (g->phase != ENGINE_ONLINE || r == NULL || !r->pub.joined) {
        err_set(e, r == NULL || !r->pub.joined ? ERR_INPUT : ERR_UNAVAILABLE,
                r == NULL || !r->pub.joined ? "you are not a member of that room"
                                            : "not connected: nothing was asked");
        return 0;
    }
    if (r->pub.kind == ENGINE_DIRECT) {
        err_set(e, ERR_AUTH, "a direct room cannot be left");
        return 0;
    }
    struct out *o = out_waits(r, CONTENT_LEAVE) ? NULL : seat_make(g, r, leave_put, NULL, e);
    if (o == NULL) {
        err_set(e, ERR_AGAIN, "you are leaving it already");
        return 0;
    }
    uint64_t id = o->ask = ++g->next_id;
    (void)!room_send(g, r);
    return id;
}

/* --- inviting: the account of the name, then the members, then the signature --- */

uint64_t engine_room_invite(struct engine *g, const struct room_id *room, struct str name,
                            struct err *e)
{
    const struct room *r = room_find(g, room);

    if (r != NULL && r->pub.kind != ENGINE_PRIVATE) {
        err_set(e, ERR_AUTH, "only private rooms are by invitation");
        return 0;
    }
    struct ask *a = ask_new(g, F_PERSON_ASK, e);
    if (a == NULL)
        return 0;
    a->room = *room;
    const struct f_person_ask f = {a->id, unsigned_name(name, '@')};
    return ask_put(g, a, &f, e);
}

int take_person(struct engine *g, struct frame *f)
{
    const struct f_person *x = &f->u.person;
    struct ask *a = ask_find(g, x->re, F_PERSON_ASK);
    struct room *r = a == NULL ? NULL : room_find(g, &a->room);
    struct guest *guest = calloc(1, sizeof *guest);

    if (a == NULL || guest == NULL) {
        free(guest);
        return engine_fail(g, ERR_PEER, true, "the relay broke the protocol: a stray person");
    }
    if (r == NULL) {
        free(guest);
        ask_done(g, a, ERR_INPUT, "you are not a member of that room");
        return 0;
    }
    *guest = (struct guest){.ask = a->id, .account = x->account};
    snprintf(guest->name, sizeof guest->name, "%.*s", (int)x->name.n, x->name.p);
    a->id = 0;
    STAILQ_INSERT_TAIL(&r->guests, guest, link);
    r->roll_wanted = true;
    return room_settle(g, r);
}

static void guest_answer(struct engine *g, struct room *r, enum err_code code, const char *why)
{
    struct guest *guest = STAILQ_FIRST(&r->guests);

    STAILQ_REMOVE_HEAD(&r->guests, link);
    out_answer(g, r, guest->ask, code, why);
    free(guest);
}

void guests_drop(struct engine *g, struct room *r, enum err_code code, const char *why)
{
    while (!STAILQ_EMPTY(&r->guests))
        guest_answer(g, r, code, why);
}

void seat_invite(struct engine *g, struct room *r)
{
    struct guest *guest;
    struct err e = {0};

    while ((guest = STAILQ_FIRST(&r->guests)) != NULL && !r->roll_wanted) {
        struct out *o = roster_member(&r->roster, guest->name, r->roster.upto) != NULL
                            ? NULL
                            : seat_make(g, r, invite_put, guest, &e);
        if (o == NULL) {
            guest_answer(g, r, e.code == ERR_NONE ? ERR_AUTH : e.code,
                         e.code == ERR_NONE ? "that person is a member already" : e.text);
            continue;
        }
        o->ask = guest->ask;
        guest->ask = 0;
        guest_answer(g, r, ERR_NONE, NULL);
    }
    if (g->phase == ENGINE_ONLINE)
        (void)!room_send(g, r);
}
