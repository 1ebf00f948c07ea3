/* engine_roster.c -- who is a member, from the entries that members signed; and the relay's own
 * list held against it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/core/engine_inner.h"

/* --- from and to our disk --- */

static int load_row(void *ctx, const struct roster_row *row)
{
    return roster_load(ctx, row);
}

int seats_load(struct engine *g, struct room *r, struct err *e)
{
    const struct keep *k = &g->conf.keep;

    r->roster.since = r->kept.since;
    r->roster.upto = r->kept.upto;
    if (k->ops->roster_each(k->k, &r->pub.id, load_row, &r->roster, e) < 0)
        return err_set(e, ERR_OS, "no memory for the members of a room");
    return 0;
}

static int change_keep(struct engine *g, struct room *r, const struct roster_change *c)
{
    const struct keep *k = &g->conf.keep;
    struct err e = {0};

    for (size_t i = 0; i < c->n; i++)
        if (k->ops->roster_put(k->k, &r->pub.id, c->row[i], &e) < 0)
            return engine_fail(g, e.code, false, "%s", e.text);
    if (c->dropped != 0 && k->ops->roster_drop(k->k, &r->pub.id, c->dropped, &e) < 0)
        return engine_fail(g, e.code, false, "%s", e.text);
    r->kept.since = r->roster.since;
    return 0;
}

static void upto_set(struct room *r, uint64_t number)
{
    r->roster.upto = r->kept.upto = number;
}

/* --- one entry --- */

static struct roster_rules rules_of(const struct engine *g, const struct room *r)
{
    static const enum roster_kind kinds[] = {
        [ENGINE_PUBLIC] = ROSTER_PUBLIC,
        [ENGINE_PRIVATE] = ROSTER_PRIVATE,
        [ENGINE_DIRECT] = ROSTER_DIRECT,
    };

    return (struct roster_rules){kinds[r->pub.kind], g->account, r->pub.name};
}

static struct roster_entry entry_of(const struct verdict *v)
{
    return (struct roster_entry){v->number, v->by->account, &v->line.author, &v->line_hash,
                                 &v->what};
}

int seats_check(struct engine *g, struct room *r, const struct verdict *v, bool pushed,
                struct err *e)
{
    const struct roster_rules rules = rules_of(g, r);
    const struct roster_entry t = entry_of(v);

    if (v->t->why.n > 0)
        return 0; /* voided: it says nothing */
    if (v->number <= r->roster.upto && content_seats(v->what.kind)) {
        if (v->number < r->roster.since || roster_has(&r->roster, &t))
            return 0;
        return err_set(e, ERR_PEER, "the relay left it out when it told who is a member");
    }
    if (r->roster.since == 0 && !content_seats(v->what.kind) && !pushed)
        return 0; /* of before members signed */
    return roster_check(&r->roster, &rules, &t, e);
}

/* A member's own words on who the members are, against what we know. */
static void vouching_check(struct engine *g, struct room *r, const struct roster_row *in)
{
    struct hash ours;

    if (roster_hash(&r->roster, in->at, &ours) < 0 || hash_same(&ours, &in->roster))
        return;
    event_text(g, ENGINE_ALARM, r,
               "%s: %s vouched for another list of members than the relay shows you: somebody was "
               "added, removed or exchanged; ask %s",
               r->pub.name, in->by, in->by);
}

static const struct roster_row *invitation_of(const struct room *r, const struct roster_row *stay)
{
    for (size_t i = 0; stay->from != 0 && i < r->roster.n; i++)
        if (r->roster.rows[i].number == stay->from)
            return r->roster.rows + i;
    return NULL;
}

/* Somebody came: is it said how? Before we were a member ourselves our inviter vouches for it. */
static void joined(struct engine *g, struct room *r, const struct roster_row *stay)
{
    const struct roster_rules rules = rules_of(g, r);
    const struct roster_row *in = invitation_of(r, stay);
    bool me = strcmp(stay->name, g->account) == 0;

    if (me && in != NULL)
        vouching_check(g, r, in);
    if (!me && roster_uninvited(&rules, stay) && roster_seat(&r->roster, g->account, stay->number))
        event_text(g, ENGINE_ALARM, r,
                   "%s: %s joined without an invitation: the room is older than signed joins, and "
                   "the relay says that %s was a member before",
                   r->pub.name, stay->name, stay->name);
}

static int apply(struct engine *g, struct room *r, const struct verdict *v)
{
    const struct roster_entry t = entry_of(v);
    struct roster_change c;
    struct err e = {0};

    if (roster_apply(&r->roster, &t, &c, &e) < 0)
        return engine_fail(g, e.code, true, "%s", e.text);
    if (change_keep(g, r, &c) < 0)
        return -1;
    const struct roster_row *row = roster_member(&r->roster, v->by->account, v->number);
    if (v->what.kind == CONTENT_JOIN && row != NULL)
        joined(g, r, row);
    if (v->what.kind == CONTENT_INVITE && strcmp(v->by->account, g->account) != 0 &&
        roster_seat(&r->roster, g->account, v->number) != NULL)
        vouching_check(g, r, c.row[0]);
    return 0;
}

/* --- what people see of it --- */

static void proof_set(const struct engine *g, struct room *r, struct engine_member *m)
{
    const struct roster_rules rules = rules_of(g, r);
    const struct roster_row *stay = roster_member(&r->roster, m->name, r->roster.upto);

    m->proof = stay == NULL                     ? ENGINE_UNPROVEN
               : roster_uninvited(&rules, stay) ? ENGINE_UNINVITED
                                                : ENGINE_SIGNED;
    m->joined = stay == NULL ? 0 : stay->number;
    snprintf(m->by, sizeof m->by, "%s", stay == NULL ? "" : stay->by);
}

static void person_comes(struct engine *g, struct room *r, const struct verdict *v)
{
    struct engine_member *m = member_by_id(r, &v->what.who.account);

    if (m == NULL && (m = member_new(r)) != NULL) {
        m->id = v->what.who.account;
        m->online = true;
        snprintf(m->name, sizeof m->name, "%s", v->by->account);
    }
    if (m != NULL) {
        m->left = false;
        proof_set(g, r, m);
    }
    if (g->conf.follow && strcmp(v->by->account, g->account) != 0)
        members_ask(g, r); /* his devices */
}

static int person_goes(struct engine *g, struct room *r, const struct verdict *v)
{
    struct engine_member *m = member_by_name(r, v->by->account);

    if (m != NULL)
        m->left = true;
    bool ours = strcmp(v->by->account, g->account) == 0 && v->number > r->entered;
    return ours ? room_gone(g, r) : 0; /* said here, or on another device of ours */
}

int seats_take(struct engine *g, struct room *r, const struct verdict *v)
{
    bool seats = v->why.code == ERR_NONE && v->t->why.n == 0 && content_seats(v->what.kind);

    if (v->number <= r->roster.upto)
        return 0; /* told by the roll */
    upto_set(r, v->number);
    if (!seats)
        return 0;
    if (apply(g, r, v) < 0)
        return -1;
    if (v->what.kind == CONTENT_JOIN)
        person_comes(g, r, v);
    if (v->what.kind == CONTENT_LEAVE && person_goes(g, r, v) < 0)
        return -1;
    event_room(g, ENGINE_MEMBERS, r);
    return 0;
}

/* --- the relay's list --- */

static bool listed(const struct room *r, const char *name)
{
    for (size_t i = 0; i < r->pub.members_n; i++)
        if (!r->members[i].left && strcmp(r->members[i].name, name) == 0)
            return true;
    return false;
}

/* Listed, and no join of his is in force. */
static bool ghost(const struct room *r, const struct engine_member *m)
{
    return !m->left && roster_member(&r->roster, m->name, r->listed) == NULL &&
           roster_member(&r->roster, m->name, r->roster.upto) == NULL;
}

/* In force, and not listed. */
static bool hidden(const struct room *r, const struct roster_row *row)
{
    return !row->invitation && row->number <= r->listed && row->end == 0 && !listed(r, row->name);
}

static unsigned list_odds(const struct room *r)
{
    unsigned n = 0;

    for (size_t i = 0; i < r->pub.members_n; i++)
        n += ghost(r, r->members + i);
    for (size_t i = 0; i < r->roster.n; i++)
        n += hidden(r, r->roster.rows + i);
    return n;
}

static void list_alarm(struct engine *g, struct room *r)
{
    for (size_t i = 0; i < r->pub.members_n; i++)
        if (ghost(r, r->members + i))
            event_text(g, ENGINE_ALARM, r,
                       "%s: the relay alone says that %s is a member: no join of theirs is signed",
                       r->pub.name, r->members[i].name);
    for (size_t i = 0; i < r->roster.n; i++)
        if (hidden(r, r->roster.rows + i))
            event_text(g, ENGINE_ALARM, r,
                       "%s: the relay does not list %s, who signed a join and no leave",
                       r->pub.name, r->roster.rows[i].name);
}

/* In a public room the marks in the list say it; elsewhere it is an alarm, when there are more. */
static void list_compare(struct engine *g, struct room *r)
{
    unsigned odd = list_odds(r);

    for (size_t i = 0; i < r->pub.members_n; i++)
        proof_set(g, r, r->members + i);
    if (r->pub.kind != ENGINE_PUBLIC && r->roster.since != 0 && odd > r->list_odd)
        list_alarm(g, r);
    r->list_odd = odd;
    event_room(g, ENGINE_MEMBERS, r);
}

static void list_settle(struct engine *g, struct room *r)
{
    if (!r->list_due || r->roster.upto < r->listed)
        return;
    r->list_due = false;
    list_compare(g, r);
    out_answer(g, r, r->list_ask, ERR_NONE, NULL);
    r->list_ask = 0;
}

/* --- the roll: what was signed before our first number --- */

/* One that is not in order is left out: whoever it would have made a member is none. */
static int roll_one(struct engine *g, struct room *r, const struct f_entry *t)
{
    struct verdict v = {.t = t, .number = t->number};
    int ret = 0;

    if (t->number <= r->roster.upto)
        return 0;
    entry_line_hash(t->line, &v.line_hash);
    if (verdict_signed(g, r, &v) == 0 && t->why.n == 0 && content_seats(v.what.kind)) {
        const struct roster_rules rules = rules_of(g, r);
        const struct roster_entry x = entry_of(&v);
        if (roster_check(&r->roster, &rules, &x, &v.why) == 0)
            ret = apply(g, r, &v);
    } else {
        err_set(&v.why, ERR_PEER, "it says nothing of members");
    }
    if (v.why.code != ERR_NONE) {
        r->pub.refused++;
        event_text(g, ENGINE_ALARM, r,
                   "%s: what the relay tells of its members is not in order: %s", r->pub.name,
                   v.why.text);
    }
    verdict_done(&v);
    if (ret == 0)
        upto_set(r, t->number);
    return ret;
}

static int roll_page(struct engine *g, struct room *r, const struct f_roll *x)
{
    for (size_t i = 0; i < x->entries_n; i++)
        if (roll_one(g, r, x->entries + i) < 0)
            return -1;
    if (x->upto > r->roster.upto)
        upto_set(r, x->upto);
    return room_save(g, r);
}

/* A page is one transaction. */
static int roll_work(struct engine *g, struct room *r, const struct f_roll *x)
{
    uint64_t before = r->roster.upto;

    if (store_begin(g, r) < 0 || store_end(g, roll_page(g, r, x)) < 0)
        return -1;
    if (r->roster.upto == before && before < r->pub.last)
        room_break(g, r, "the relay does not tell who is a member");
    return 0;
}

/* Going forward from what was verified the entries themselves say it; else the roll has to. */
bool seats_known(const struct room *r)
{
    return r->kept.based && !r->away && r->roster.upto >= r->kept.number;
}

static bool roll_due(const struct engine *g, const struct room *r)
{
    bool needed = r->roll_wanted
                      ? r->roster.upto < r->pub.last
                      : g->conf.follow && !seats_known(r) && r->roster.upto < r->pub.last;

    return needed && r->is_signed && r->pub.joined && !r->pub.broken && !r->asking_roll &&
           r->roll == NULL && g->phase == ENGINE_ONLINE;
}

static int roll_ask(struct engine *g, struct room *r)
{
    struct err e = {0};
    struct ask *a = roll_due(g, r) ? ask_new(g, F_ROLL_ASK, &e) : NULL;

    if (a == NULL)
        return 0;
    a->room = r->pub.id;
    a->quiet = true;
    r->asking_roll = true;
    const struct f_roll_ask f = {a->id, r->pub.id, r->roster.upto};
    return engine_put(g, F_ROLL_ASK, &f);
}

int seats_settle(struct engine *g, struct room *r)
{
    if (r->roll != NULL) {
        if (certs_wait(g, r->roll))
            return 0;
        if (crl_check(g) < 0)
            return -1;
        struct batch *b = r->roll;
        r->roll = NULL;
        int ret = roll_work(g, r, &b->frame.u.roll);
        batch_free(b);
        if (ret < 0)
            return -1;
    }
    if (r->roll_wanted && r->roster.upto >= r->pub.last)
        r->roll_wanted = false;
    if (roll_ask(g, r) < 0)
        return -1;
    list_settle(g, r);
    seat_invite(g, r);
    return 0;
}

void seats_lost(struct room *r)
{
    if (r->roll != NULL)
        batch_free(r->roll);
    r->roll = NULL;
    r->asking_roll = r->roll_wanted = r->list_due = r->sign_tried = false;
    r->list_here = r->held = false;
}

int take_roll(struct engine *g, struct frame *f)
{
    const struct f_roll *x = &f->u.roll;
    struct ask *a = ask_find(g, x->re, F_ROLL_ASK);
    struct room *r = room_find(g, &x->room);

    if (a == NULL || r == NULL || !room_id_same(&a->room, &x->room))
        return engine_fail(g, ERR_PEER, true, "the relay broke the protocol: a stray roll");
    a->id = 0;
    r->asking_roll = false;
    r->roll = batch_new(BATCH_ROLL, f);
    if (r->roll == NULL)
        return engine_fail(g, ERR_OS, true, "no memory");
    return room_settle(g, r);
}
