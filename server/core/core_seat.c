/* Join, leave and invite: entries that change who is a member. Being admitted (core_room.c) only
 * allows to sign a join; the join, once numbered, makes the member. */
#include "server/core/core_inner.h"

#include <string.h>

static bool who_is(const struct content_who *who, const struct account *a)
{
    return account_id_same(&who->account, &a->row.id) && str_is(who->name, a->row.name);
}

/* --- what may be said --- */

static bool with_right(const struct member *m, const struct content *what)
{
    const struct room *r = m->room;

    if (r->row.kind != ROOM_DIRECT || !what->has_with)
        return (r->row.kind == ROOM_DIRECT) == what->has_with;
    for (const struct member *o = r->members; o != NULL; o = o->hh.next)
        if (o != m)
            return who_is(&what->with, o->account);
    return false;
}

const char *seat_lie(const struct member *m, const struct content *what)
{
    if (what->kind != CONTENT_JOIN)
        return NULL;
    if (!who_is(&what->who, m->account))
        return "a join in the name of another account";
    return with_right(m, what) ? NULL : "a join that names the wrong other one";
}

static const char *invite_policy(struct core *c, const struct room *r, const struct content *what)
{
    const struct account *guest = account_find(c, &what->who.account);
    const struct member *g = guest == NULL ? NULL : member_find(r, guest);

    if (r->row.kind != ROOM_PRIVATE)
        return "only private rooms are by invitation";
    if (guest == NULL || guest->row.disabled || !who_is(&what->who, guest))
        return "there is no such person";
    if (g != NULL && member_belongs(g))
        return "that person is a member already";
    if ((g == NULL || g->row.state != STATE_INVITED) && guest->invited_n >= INVITED_MAX)
        return "that person has too many invitations";
    return what->at <= r->number ? NULL : "it vouches for members of later";
}

const char *seat_policy(struct core *c, const struct member *m, const struct content *what)
{
    bool member = m->row.state == STATE_MEMBER;
    bool more = what->kind == CONTENT_JOIN || what->kind == CONTENT_INVITE;

    if (more && m->room->row.ephemeral && store_window_full(c->window.db, &m->room->row.id))
        return "the relay has no memory for more joins and invitations here";
    switch (what->kind) {
    case CONTENT_JOIN: return member ? "you are a member already" : NULL;
    case CONTENT_LEAVE:
        if (member && m->room->row.kind == ROOM_DIRECT)
            return "a direct room cannot be left";
        break;
    case CONTENT_INVITE:
        if (member)
            return invite_policy(c, m->room, what);
        break;
    case CONTENT_SAY:
    case CONTENT_UNKNOWN: break;
    }
    return member ? NULL : "you were no member: your join was not signed yet";
}

/* --- what it does --- */

static void conns_effect(struct core *c, const struct account *a, const struct room *r,
                         enum effect_kind kind)
{
    for (const struct conn *k = a->conns; k != NULL; k = k->next)
        effect_add(c, kind, k->id)->room = r->row.id;
}

/* When the owner goes, the one who has been there longest takes over: a member, else one who may
 * become one. */
static struct member *heir_of(const struct room *r)
{
    struct member *heir = NULL;

    for (struct member *m = r->members; m != NULL; m = m->hh.next) {
        if (!member_belongs(m))
            continue;
        bool signed_more =
            heir != NULL && m->row.state == STATE_MEMBER && heir->row.state != STATE_MEMBER;
        bool signed_less =
            heir != NULL && m->row.state != STATE_MEMBER && heir->row.state == STATE_MEMBER;
        if (heir == NULL || signed_more || (!signed_less && m->row.since < heir->row.since))
            heir = m;
    }
    return heir;
}

static void owner_replace(struct core *c, struct room *r)
{
    struct member *heir = heir_of(r);

    if (heir == NULL)
        return;
    struct store_member row = heir->row;
    row.role = ROLE_OWNER;
    (void)member_set(c, r, heir->account, &row);
}

static bool owned(const struct room *r)
{
    for (const struct member *m = r->members; m != NULL; m = m->hh.next)
        if (member_belongs(m) && m->row.role == ROLE_OWNER)
            return true;
    return false;
}

/* His other devices hear of the room, and he himself from which number on he reads: somebody may
 * have spoken since he was admitted. */
static void joined(struct core *c, struct member *m)
{
    struct room *r = m->room;
    struct store_member row = m->row;

    row.state = STATE_MEMBER;
    row.joined = r->number;
    if (row.from == 0) {
        row.from = r->row.history == HISTORY_ALL ? room_first(c, r) : r->number;
        row.since = c->now;
    }
    if (r->row.kind != ROOM_DIRECT && !owned(r))
        row.role = ROLE_OWNER;
    if (member_set(c, r, m->account, &row) == NULL)
        return;
    conns_effect(c, m->account, r, EFFECT_ENTER);
    room_tell(c, m, 0, str_of(""));
}

static void left(struct core *c, struct member *m)
{
    struct store_member row = m->row;
    bool owner = row.role == ROLE_OWNER;

    row.state = STATE_LEFT;
    row.role = ROLE_MEMBER;
    conns_effect(c, m->account, m->room, EFFECT_LEAVE);
    if (member_set(c, m->room, m->account, &row) != NULL && owner)
        owner_replace(c, m->room);
    if (m->room->row.ephemeral && m->room->members_n == 0)
        room_remove(c, m->room);
}

static void invited(struct core *c, const struct member *by, const struct content *what)
{
    struct account *guest = account_find(c, &what->who.account);
    const struct member *old = member_find(by->room, guest);
    struct store_member row = old != NULL ? old->row : (struct store_member){0};

    row.room = by->room->row.id;
    row.account = guest->row.id;
    row.state = STATE_INVITED;
    row.role = ROLE_MEMBER;
    row.since = c->now;
    row.by = by->account->row.id;
    const struct member *g = member_set(c, by->room, guest, &row);
    if (g != NULL)
        room_tell(c, g, 0, str_of(by->account->row.name));
}

void seat_before(struct core *c, struct member *m, const struct content *what)
{
    if (what->kind == CONTENT_JOIN)
        joined(c, m);
}

void seat_behind(struct core *c, struct member *m, const struct content *what)
{
    if (what->kind == CONTENT_LEAVE)
        left(c, m);
    if (what->kind == CONTENT_INVITE)
        invited(c, m, what);
}
