/* Rooms: made, opened, described, and who is admitted to them. */
#include "server/core/core_inner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util/text.h"

static const char no_room[] = "there is no such room";
static const char no_person[] = "there is no such person";

/* --- ROOM as one account sees it --- */

struct own_take {
    struct f_own *own;
    struct own_copy *copy;
};

static int own_take(void *ctx, const struct store_message *row)
{
    struct own_take *t = ctx;

    if (row->line.n > sizeof t->copy->line || row->sig.n > sizeof t->copy->sig)
        return -1;
    memcpy(t->copy->line, row->line.p, row->line.n);
    memcpy(t->copy->sig, row->sig.p, row->sig.n);
    *t->own = (struct f_own){row->number, row->time, str_from(t->copy->line, row->line.n),
                             span_of(t->copy->sig, row->sig.n)};
    return 1; /* the last one is enough */
}

static bool own_find(struct core *c, const struct member *m, const struct hash *fp,
                     struct own_take *t)
{
    int found = ROOM_STORE(c, m->room, message_last, &m->room->row.id, fp, own_take, t);
    if (found == 0)
        found = ROOM_STORE(c, m->room, message_former, &m->room->row.id, &m->account->row.id,
                           own_take, t);
    return found == 1;
}

const struct account *room_partner(const struct room *r, const struct account *of)
{
    for (const struct member *m = r->members; m != NULL; m = m->hh.next)
        if (m->account != of)
            return m->account;
    return of;
}

/* A direct room is called by its reader's partner. */
struct str room_title(const struct core *c, const struct room *r, const struct account *reader)
{
    (void)c;
    return str_of(r->row.kind == ROOM_DIRECT ? room_partner(r, reader)->row.name : r->row.name);
}

uint64_t room_first(const struct core *c, const struct room *r)
{
    if (r->row.history != HISTORY_ALL)
        return r->number + 1;
    return r->row.ephemeral ? store_window_first(c->window.db, &r->row.id) : 1;
}

void room_info(struct core *c, const struct member *m, const struct hash *fp,
               struct f_room_info *out, struct own_copy *own)
{
    struct room *r = m->room;
    uint64_t from = member_belongs(m) && m->row.from > 0 ? member_from(c, m) : room_first(c, r);
    struct own_take take = {&out->own, own};

    *out = (struct f_room_info){.id = r->row.id,
                                .name = room_title(c, r, m->account),
                                .kind = r->row.kind,
                                .history = r->row.history,
                                .topic = str_of(r->row.topic),
                                .from = from,
                                .number = r->number,
                                .ephemeral = r->row.ephemeral,
                                .is_signed = m->row.state == STATE_MEMBER,
                                .has_with = r->row.kind == ROOM_DIRECT};
    if (out->has_with)
        out->with = room_partner(r, m->account)->row.id;
    if (room_head(c, r, from - 1, &out->head) == 0)
        core_fail(c, &(struct err){ERR_DATA, "the store: a room's history has a hole"});
    out->has_own = own_find(c, m, fp, &take);
}

void room_tell(struct core *c, const struct member *m, uint64_t but, struct str by)
{
    for (const struct conn *k = m->account->conns; k != NULL; k = k->next) {
        struct own_copy own = {0};
        struct f_room f = {.by = by};
        if (k->id == but || k->closing)
            continue;
        room_info(c, m, &k->device->row.fp, &f.room, &own);
        (void)core_send(c, k->id, F_ROOM, &f);
    }
}

static void room_answer(struct ask *a, const struct member *m)
{
    struct own_copy own = {0};
    struct f_room f = {.re = frame_id(&a->j->frame)};

    room_info(a->c, m, &a->k->device->row.fp, &f.room, &own);
    (void)core_send(a->c, a->k->id, F_ROOM, &f);
}

/* May sign his join from now on: that makes him a member (core_seat.c). NULL: the store failed. */
static struct member *member_admit(struct core *c, struct room *r, struct account *a,
                                   enum member_role role)
{
    const struct member *old = member_find(r, a);
    struct store_member row = {.room = r->row.id,
                               .account = a->row.id,
                               .state = STATE_ADMITTED,
                               .role = role,
                               .delivered = old == NULL ? 0 : old->row.delivered,
                               .joined = old == NULL ? 0 : old->row.joined,
                               .since = c->now};

    return member_set(c, r, a, &row);
}

/* --- making rooms --- */

static struct room *room_make(struct core *c, struct store_room *row)
{
    struct store_tip empty = {0};

    row->since = c->now;
    if (rng_fill(&c->conf.rng, row->id.b, sizeof row->id.b) < 0) {
        core_fail(c, &(struct err){ERR_OS, "no randomness"});
        return NULL;
    }
    const struct store *s = store_for(c, row->ephemeral);
    if (core_stored(c, s->ops->room_put(s->db, row, &c->failed)) < 0)
        return NULL;
    c->ephemeral_n += row->ephemeral;
    return room_add(c, row, &empty);
}

static bool rooms_full(struct ask *a, const struct account *who)
{
    if (who->rooms_n < ROOMS_MAX)
        return false;
    ask_error(a, CODE_LIMIT,
              who == a->k->account ? "you are in too many rooms" : "that person's rooms are full");
    return true;
}

/* Who makes rooms and leaves them again leaves rooms behind: the relay's memory is not his. */
static bool rooms_spent(struct ask *a)
{
    if (a->k->account->ever_n < ROOMS_EVER_MAX)
        return false;
    ask_error(a, CODE_LIMIT, "you have been in too many rooms to make another");
    return true;
}

static unsigned ephemeral_rooms(const struct account *who)
{
    unsigned n = 0;

    for (const struct member *m = who->members; m != NULL; m = m->next)
        n += m->room->row.ephemeral && member_belongs(m);
    return n;
}

/* They live in the relay's memory: nobody takes all of it. */
static bool ephemeral_spent(struct ask *a)
{
    if (ephemeral_rooms(a->k->account) < EPHEMERAL_SEATS_MAX)
        return false;
    ask_error(a, CODE_LIMIT, "you are in too many ephemeral rooms");
    return true;
}

static bool ephemeral_full(struct ask *a)
{
    if (a->c->ephemeral_n < EPHEMERAL_ROOMS_MAX &&
        store_window_bytes(a->c->window.db) < EPHEMERAL_BYTES)
        return false;
    ask_error(a, CODE_LIMIT, "there are too many ephemeral rooms");
    return true;
}

static bool room_name_free(struct ask *a, struct str name, struct store_room *row)
{
    struct err e = {0};

    if (name_check(name, NAME_ROOM, &e) < 0 || str_copy(row->name, sizeof row->name, name) < 0 ||
        name_canonical(row->canonical, name) < 0 || name_skeleton(row->skeleton, name) < 0) {
        ask_error(a, CODE_BAD_NAME, e.text[0] != '\0' ? e.text : "this is no name for a room");
        return false;
    }
    if (room_named(a->c, row->canonical) == NULL && room_like(a->c, row->skeleton) == NULL)
        return true;
    ask_error(a, CODE_TAKEN, "this name is taken, or looks too much like another");
    return false;
}

void ask_room_create(struct ask *a)
{
    const struct f_room_create *f = &a->j->frame.u.room_create;
    struct store_room row = {.kind = f->is_private ? ROOM_PRIVATE : ROOM_PUBLIC,
                             .history = f->history,
                             .ephemeral = f->ephemeral};

    if (f->ephemeral && (ephemeral_spent(a) || ephemeral_full(a)))
        return;
    if (rooms_full(a, a->k->account) || rooms_spent(a) || !room_name_free(a, f->name, &row))
        return;
    struct room *r = room_make(a->c, &row);
    struct member *m = r == NULL ? NULL : member_admit(a->c, r, a->k->account, ROLE_OWNER);
    if (m != NULL)
        room_answer(a, m);
}

/* The same key whoever opens it. */
static void direct_key(char key[ROOM_KEY_MAX], const struct account *a, const struct account *b)
{
    char x[2 * ACCOUNT_ID_LEN + 1], y[2 * ACCOUNT_ID_LEN + 1];

    hex_put(x, span_of(a->row.id.b, sizeof a->row.id.b));
    hex_put(y, span_of(b->row.id.b, sizeof b->row.id.b));
    bool swap = strcmp(x, y) > 0;
    snprintf(key, ROOM_KEY_MAX, "@%s%s", swap ? y : x, swap ? x : y);
}

static void direct_make(struct ask *a, struct account *other, const char *key)
{
    struct core *c = a->c;
    struct store_room row = {.kind = ROOM_DIRECT, .history = HISTORY_ALL};

    if (rooms_full(a, a->k->account) || rooms_full(a, other))
        return;
    memcpy(row.canonical, key, strlen(key) + 1);
    memcpy(row.skeleton, key, strlen(key) + 1);
    struct room *r = room_make(c, &row);
    struct member *m = r == NULL ? NULL : member_admit(c, r, a->k->account, ROLE_MEMBER);
    struct member *o = m == NULL ? NULL : member_admit(c, r, other, ROLE_MEMBER);
    if (o == NULL)
        return;
    room_answer(a, m);
    room_tell(c, o, 0, str_of(a->k->account->row.name));
}

void ask_room_open(struct ask *a)
{
    struct account *other = account_named(a->c, a->j->frame.u.room_open.name);
    char key[ROOM_KEY_MAX];

    if (other == NULL || other == a->k->account) {
        ask_error(a, CODE_NO_SUCH, no_person);
        return;
    }
    direct_key(key, a->k->account, other);
    struct room *r = room_named(a->c, key);
    if (r != NULL)
        room_answer(a, member_find(r, a->k->account));
    else if (other->row.disabled)
        ask_error(a, CODE_NO_SUCH, no_person);
    else
        direct_make(a, other, key);
}

/* --- going in --- */

void ask_room_join(struct ask *a)
{
    char key[ROOM_KEY_MAX];
    struct room *r =
        name_canonical(key, a->j->frame.u.room_join.name) < 0 ? NULL : room_named(a->c, key);
    struct member *m = r == NULL ? NULL : member_find(r, a->k->account);
    bool invited = m != NULL && m->row.state != STATE_LEFT;

    if (r == NULL || r->row.kind == ROOM_DIRECT || (r->row.kind == ROOM_PRIVATE && !invited)) {
        ask_error(a, CODE_NO_SUCH, no_room);
        return;
    }
    if (m != NULL && member_belongs(m)) {
        room_answer(a, m);
        return;
    }
    if (rooms_full(a, a->k->account) || (r->row.ephemeral && ephemeral_spent(a)))
        return;
    if (r->members_n + r->admitted_n >= MEMBERS_MAX) {
        ask_error(a, CODE_LIMIT, "this room is full");
        return;
    }
    m = member_admit(a->c, r, a->k->account, ROLE_MEMBER);
    if (m != NULL)
        room_answer(a, m);
}

/* The room he is a member of, or NULL and the answer is given: one for rooms that are not and for
 * rooms of others. */
static struct member *ask_member(struct ask *a, const struct room_id *id)
{
    struct room *r = room_by_id(a->c, id);
    struct member *m = r == NULL ? NULL : member_find(r, a->k->account);

    if (m != NULL && m->row.state == STATE_MEMBER)
        return m;
    ask_error(a, CODE_NO_SUCH, no_room);
    return NULL;
}

/* The account of a name, for who is to be named in an invitation. */
void ask_person(struct ask *a)
{
    const struct f_person_ask *f = &a->j->frame.u.person_ask;
    const struct account *who = account_named(a->c, f->name);

    if (who == NULL || who->row.disabled) {
        ask_error(a, CODE_NO_SUCH, no_person);
        return;
    }
    struct f_person out = {f->id, who->row.id, str_of(who->row.name)};
    (void)core_send(a->c, a->k->id, F_PERSON, &out);
}

/* One line, nothing that moves a cursor. */
static bool topic_ok(struct str s)
{
    for (size_t n = 0; s.n > 0; s.p += n, s.n -= n) {
        int32_t point = text_next(s, &n);
        if (point < 0x20 || (point >= 0x7f && point < 0xa0) || point == 0x2028 || point == 0x2029)
            return false;
    }
    return true;
}

void ask_room_topic(struct ask *a)
{
    const struct f_room_topic *f = &a->j->frame.u.room_topic;
    struct member *m = ask_member(a, &f->room);

    if (m == NULL)
        return;
    if (m->room->row.kind == ROOM_PUBLIC && m->row.role != ROLE_OWNER) {
        ask_error(a, CODE_DENIED, "only the owner of a public room sets its topic");
        return;
    }
    struct store_room row = m->room->row;
    if (!topic_ok(f->topic) || str_copy(row.topic, sizeof row.topic, f->topic) < 0) {
        ask_error(a, CODE_LIMIT, "a topic is one short line");
        return;
    }
    if (ROOM_STORE(a->c, m->room, room_put, &row) < 0)
        return;
    memcpy(m->room->row.topic, row.topic, sizeof row.topic);
    struct f_topic t = {row.id, m->account->row.id, str_of(m->account->row.name),
                        str_of(m->room->row.topic)};
    core_publish(a->c, m->room, a->k->id, F_TOPIC, &t);
    (void)core_send(a->c, a->k->id, F_OKAY, &(struct f_ok){f->id});
}

/* --- the list --- */

static bool row_visible(const struct room *r, const struct member *m)
{
    return r->row.kind == ROOM_PUBLIC || (m != NULL && m->row.state != STATE_LEFT);
}

void ask_room_list(struct ask *a)
{
    struct f_room_row *rows = calloc(ROOM_ROWS_MAX, sizeof *rows);
    size_t n = 0, bytes = 0;

    if (rows == NULL) {
        core_fail(a->c, &(struct err){0});
        return;
    }
    for (const struct room *r = a->c->rooms; r != NULL && n < ROOM_ROWS_MAX; r = r->hh.next) {
        const struct member *m = member_find(r, a->k->account);
        if (!row_visible(r, m))
            continue;
        struct f_room_row row = {r->row.id, room_title(a->c, r, a->k->account),
                                 str_of(r->row.topic), r->members_n,
                                 m != NULL && m->row.state == STATE_MEMBER};
        bytes += 2 * (row.name.n + row.topic.n) + 128;
        if (bytes > HISTORY_BYTES)
            break;
        rows[n++] = row;
    }
    struct f_rooms f = {a->j->frame.u.room_list.id, rows, n};
    (void)core_send(a->c, a->k->id, F_ROOMS, &f);
    free(rows);
}
