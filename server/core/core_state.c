/* What the sequencer keeps in memory, all of it found in constant time. */
#include "server/core/core_inner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *state_alloc(struct core *c, size_t n)
{
    void *p = calloc(1, n);
    if (p == NULL)
        core_fail(c, &(struct err){0});
    return p;
}

/* For what found no place in a table. */
static void *state_give_up(struct core *c, void *p)
{
    free(p);
    core_fail(c, &(struct err){0});
    return NULL;
}

/* --- accounts and devices --- */

struct account *account_add(struct core *c, const struct store_user *row)
{
    struct account *a = state_alloc(c, sizeof *a);

    if (a == NULL)
        return NULL;
    a->row = *row;
    HASH_ADD(hh, c->accounts, row.id, sizeof a->row.id, a);
    if (!HASH_ADDED(hh, a))
        return state_give_up(c, a);
    HASH_ADD_KEYPTR(hh_name, c->names, a->row.canonical, strlen(a->row.canonical), a);
    if (HASH_ADDED(hh_name, a))
        return a;
    HASH_DELETE(hh, c->accounts, a);
    return state_give_up(c, a);
}

struct account *account_find(struct core *c, const struct account_id *id)
{
    struct account *a = NULL;
    HASH_FIND(hh, c->accounts, id, sizeof *id, a);
    return a;
}

struct account *account_named(struct core *c, struct str name)
{
    char key[NAME_KEY_MAX];
    struct account *a = NULL;

    if (name_canonical(key, name) == 0)
        HASH_FIND(hh_name, c->names, key, strlen(key), a);
    return a;
}

struct device *device_add(struct core *c, const struct store_device *row)
{
    struct account *a = account_find(c, &row->account);
    struct device *d = a == NULL ? NULL : state_alloc(c, sizeof *d);

    if (d == NULL)
        return NULL;
    d->row = *row;
    d->account = a;
    HASH_ADD(hh, c->devices, row.fp, sizeof d->row.fp, d);
    if (!HASH_ADDED(hh, d))
        return state_give_up(c, d);
    d->next = a->devices;
    a->devices = d;
    struct effect *ef = effect_add(c, EFFECT_DEVICE, 0);
    ef->fp = row->fp;
    ef->fault = row->revoked == 0 ? CERT_OK : CERT_REVOKED;
    return d;
}

struct device *device_find(struct core *c, const struct hash *fp)
{
    struct device *d = NULL;
    HASH_FIND(hh, c->devices, fp, sizeof *fp, d);
    return d;
}

unsigned devices_good(const struct account *a)
{
    unsigned n = 0;
    for (const struct device *d = a->devices; d != NULL; d = d->next)
        n += d->row.revoked == 0;
    return n;
}

/* --- connections --- */

struct conn *conn_find(struct core *c, uint64_t id)
{
    struct conn *k = NULL;
    HASH_FIND(hh, c->conns, &id, sizeof id, k);
    return k;
}

void conn_login(struct core *c, struct conn *k, struct device *d)
{
    struct account *a = d->account;
    bool first = a->conns == NULL;

    k->device = d;
    k->account = a;
    k->next = a->conns;
    a->conns = k;
    for (const struct member *m = a->members; m != NULL; m = m->next)
        if (m->row.state == STATE_MEMBER)
            effect_add(c, EFFECT_ENTER, k->id)->room = m->room->row.id;
    if (first)
        presence_tell(c, a, true);
}

/* A session that another connection has taken over goes on. */
static bool session_shared(const struct conn *k)
{
    for (const struct conn *o = k->account->conns; o != NULL; o = o->next)
        if (o != k && o->session == k->session)
            return true;
    return false;
}

/* Who was cut off may resume for a while. Who logged out has ended it, even if another connection
 * of it is still thought to live. */
static void session_leave(struct core *c, const struct conn *k, bool logout)
{
    if (logout)
        (void)STORE(c, session_delete, k->session);
    else if (!session_shared(k))
        (void)STORE(c, session_end, k->session, c->now);
}

void conn_gone(struct core *c, struct conn *k, bool logout)
{
    struct account *a = k->account;

    if (a != NULL) {
        session_leave(c, k, logout);
        (void)STORE(c, login_end, k->login, c->now, k->entries);
        struct conn **at = &a->conns;
        while (*at != k)
            at = &(*at)->next;
        *at = k->next;
        if (a->conns == NULL)
            presence_tell(c, a, false);
    }
    HASH_DEL(c->conns, k);
    wipe(k, sizeof *k);
    free(k);
}

void account_shut(struct core *c, struct account *a, const char *reason)
{
    for (struct conn *k = a->conns; k != NULL; k = k->next)
        core_close(c, k, reason);
}

void device_shut(struct core *c, struct device *d, const char *reason)
{
    for (struct conn *k = d->account->conns; k != NULL; k = k->next)
        if (k->device == d)
            core_close(c, k, reason);
}

/* --- rooms --- */

/* In all three tables, or in none. */
static bool room_enlist(struct core *c, struct room *r)
{
    HASH_ADD(hh, c->rooms, row.id, sizeof r->row.id, r);
    if (!HASH_ADDED(hh, r))
        return false;
    HASH_ADD_KEYPTR(hh_name, c->room_names, r->row.canonical, strlen(r->row.canonical), r);
    if (HASH_ADDED(hh_name, r)) {
        HASH_ADD_KEYPTR(hh_like, c->room_likes, r->row.skeleton, strlen(r->row.skeleton), r);
        if (HASH_ADDED(hh_like, r))
            return true;
        HASH_DELETE(hh_name, c->room_names, r);
    }
    HASH_DELETE(hh, c->rooms, r);
    return false;
}

struct room *room_add(struct core *c, const struct store_room *row, const struct store_tip *tip)
{
    struct room *r = state_alloc(c, sizeof *r);

    if (r == NULL)
        return NULL;
    r->row = *row;
    r->number = r->heads_from = tip->number;
    r->head = tip->head;
    return room_enlist(c, r) ? r : state_give_up(c, r);
}

const struct store *store_for(const struct core *c, bool ephemeral)
{
    return ephemeral ? &c->window : &c->conf.store;
}

const struct store *room_store(const struct core *c, const struct room *r)
{
    return store_for(c, r->row.ephemeral);
}

uint64_t member_from(const struct core *c, const struct member *m)
{
    uint64_t first = 1, from = m->row.from;

    if (m->room->row.ephemeral)
        first = store_window_first(c->window.db, &m->room->row.id);
    return from < first ? first : from;
}

struct room *room_by_id(struct core *c, const struct room_id *id)
{
    struct room *r = NULL;
    HASH_FIND(hh, c->rooms, id, sizeof *id, r);
    return r;
}

struct room *room_named(struct core *c, const char *canonical)
{
    struct room *r = NULL;
    HASH_FIND(hh_name, c->room_names, canonical, strlen(canonical), r);
    return r;
}

struct room *room_like(struct core *c, const char *skeleton)
{
    struct room *r = NULL;
    HASH_FIND(hh_like, c->room_likes, skeleton, strlen(skeleton), r);
    return r;
}

void room_step(struct room *r, const struct hash *head)
{
    r->number++;
    r->head = *head;
    r->heads[r->number % HEADS_KEPT] = *head;
    if (r->number - r->heads_from > HEADS_KEPT)
        r->heads_from = r->number - HEADS_KEPT;
}

int room_head(struct core *c, const struct room *r, uint64_t number, struct hash *out)
{
    if (number > r->number)
        return 0;
    if (number == 0) {
        *out = (struct hash){{0}};
        return 1;
    }
    if (number != r->number && number <= r->heads_from)
        return ROOM_STORE(c, r, message_head, &r->row.id, number, out);
    *out = number == r->number ? r->head : r->heads[number % HEADS_KEPT];
    return 1;
}

/* --- members --- */

struct member *member_find(const struct room *r, const struct account *a)
{
    struct member *m = NULL;
    HASH_FIND(hh, r->members, &a->row.id, sizeof a->row.id, m);
    return m;
}

bool member_belongs(const struct member *m)
{
    return m->row.state == STATE_MEMBER || m->row.state == STATE_ADMITTED;
}

/* Adds the row to the counts, or (with -1) takes it out. */
static void member_count(struct member *m, unsigned by)
{
    struct account *a = m->account;

    if (m->row.state == STATE_MEMBER)
        m->room->members_n += by;
    if (m->row.state == STATE_ADMITTED)
        m->room->admitted_n += by;
    if (member_belongs(m))
        a->rooms_n += by;
    if (m->row.state == STATE_INVITED)
        a->invited_n += by;
    if (m->row.from > 0 || m->row.joined > 0)
        a->ever_n += by;
}

static struct member *member_keep(struct core *c, struct room *r, struct account *a,
                                  const struct store_member *row)
{
    struct member *m = member_find(r, a);

    if (m == NULL) {
        m = state_alloc(c, sizeof *m);
        if (m == NULL)
            return NULL;
        m->row =
            (struct store_member){.room = row->room, .account = row->account, .state = STATE_LEFT};
        m->room = r;
        m->account = a;
        HASH_ADD(hh, r->members, row.account, sizeof m->row.account, m);
        if (!HASH_ADDED(hh, m))
            return state_give_up(c, m);
        m->next = a->members;
        a->members = m;
    }
    member_count(m, -1U);
    m->row = *row;
    member_count(m, 1);
    return m;
}

struct member *member_set(struct core *c, struct room *r, struct account *a,
                          const struct store_member *row)
{
    if (ROOM_STORE(c, r, member_put, row) < 0)
        return NULL;
    return member_keep(c, r, a, row);
}

/* --- loading --- */

static int load_user(void *ctx, const struct store_user *row)
{
    return account_add(ctx, row) == NULL ? -1 : 0;
}

/* A row names what is not there: the database is damaged. */
static int stray(struct core *c)
{
    return err_set(&c->failed, ERR_DATA, "the store: rows that point nowhere");
}

static int load_device(void *ctx, const struct store_device *row)
{
    if (account_find(ctx, &row->account) == NULL)
        return stray(ctx);
    return device_add(ctx, row) == NULL ? -1 : 0;
}

static int load_room(void *ctx, const struct store_room *row, const struct store_tip *tip)
{
    struct room *r = room_add(ctx, row, tip);

    return r == NULL ? -1 : tree_load(ctx, r);
}

static int load_member(void *ctx, const struct store_member *row)
{
    struct room *r = room_by_id(ctx, &row->room);
    struct account *a = account_find(ctx, &row->account);
    if (r == NULL || a == NULL)
        return stray(ctx);
    return member_keep(ctx, r, a, row) == NULL ? -1 : 0;
}

int state_load(struct core *c)
{
    return STORE(c, user_each, load_user, c) == 0 && STORE(c, device_each, load_device, c) == 0 &&
                   STORE(c, room_each, load_room, c) == 0 &&
                   STORE(c, member_each, load_member, c) == 0
               ? 0
               : -1;
}

static int refresh_user(void *ctx, const struct store_user *row)
{
    struct core *c = ctx;
    struct account *a = account_find(c, &row->id);

    if (a == NULL)
        return account_add(c, row) == NULL ? -1 : 0;
    if (row->disabled && !a->row.disabled)
        account_shut(c, a, "disabled");
    a->row.disabled = row->disabled;
    a->row.admin = row->admin;
    return 0;
}

static int refresh_device(void *ctx, const struct store_device *row)
{
    struct core *c = ctx;
    struct device *d = device_find(c, &row->fp);

    if (d == NULL)
        return load_device(c, row);
    if (row->revoked != 0 && d->row.revoked == 0) {
        d->row.revoked = row->revoked;
        device_shut(c, d, "revoked");
        struct effect *ef = effect_add(c, EFFECT_DEVICE, 0);
        ef->fp = row->fp;
        ef->fault = CERT_REVOKED;
    }
    return 0;
}

void core_refresh(struct core *c)
{
    if (STORE(c, user_each, refresh_user, c) == 0)
        (void)STORE(c, device_each, refresh_device, c);
}

/* --- freeing --- */

static void room_free(struct room *r)
{
    struct member *m, *m_next;
    struct author *u, *u_next;

    HASH_ITER(hh, r->members, m, m_next) {
        HASH_DEL(r->members, m);
        free(m);
    }
    HASH_ITER(hh, r->authors, u, u_next) {
        HASH_DEL(r->authors, u);
        free(u);
    }
    free(r);
}

static void member_unlink(struct member *m)
{
    struct member **at = &m->account->members;

    member_count(m, -1U);
    while (*at != m)
        at = &(*at)->next;
    *at = m->next;
}

void room_remove(struct core *c, struct room *r)
{
    for (struct member *m = r->members; m != NULL; m = m->hh.next)
        member_unlink(m);
    HASH_DELETE(hh, c->rooms, r);
    HASH_DELETE(hh_name, c->room_names, r);
    HASH_DELETE(hh_like, c->room_likes, r);
    store_window_drop(c->window.db, &r->row.id);
    c->ephemeral_n--;
    room_free(r);
}

#define FREE_ALL(type, head, release)                                                              \
    do {                                                                                           \
        type *at_, *next_;                                                                         \
        HASH_ITER(hh, head, at_, next_) {                                                          \
            HASH_DEL(head, at_);                                                                   \
            release(at_);                                                                          \
        }                                                                                          \
    } while (0)

void state_free(struct core *c)
{
    HASH_CLEAR(hh_name, c->room_names);
    HASH_CLEAR(hh_like, c->room_likes);
    HASH_CLEAR(hh_name, c->names);
    FREE_ALL(struct room, c->rooms, room_free);
    FREE_ALL(struct conn, c->conns, free);
    FREE_ALL(struct device, c->devices, free);
    FREE_ALL(struct account, c->accounts, free);
    FREE_ALL(struct penalty, c->penalties, free);
}

/* --- penalties: guessing costs time that doubles, by account and source --- */

static void penalty_key(char *key, size_t cap, const struct account *a, const char *source)
{
    char id[2 * ACCOUNT_ID_LEN + 1] = "", net[SOURCE_MAX + 1];

    if (a != NULL)
        hex_put(id, span_of(a->row.id.b, sizeof a->row.id.b));
    source_net(net, source);
    snprintf(key, cap, "%s %s", id, net);
}

static struct penalty *penalty_find(struct core *c, const char *key)
{
    struct penalty *p = NULL;
    HASH_FIND_STR(c->penalties, key, p);
    return p;
}

bool penalty_due(struct core *c, const struct account *a, const char *source)
{
    char key[sizeof((struct penalty *)0)->key];

    penalty_key(key, sizeof key, a, source);
    const struct penalty *p = penalty_find(c, key);
    return p != NULL && p->failures > GUESSES_FREE && c->now < p->until;
}

static void penalty_drop(struct core *c, struct penalty *p)
{
    if (p == NULL)
        return;
    HASH_DEL(c->penalties, p);
    free(p);
}

void penalty_add(struct core *c, const struct account *a, const char *source)
{
    char key[sizeof((struct penalty *)0)->key];

    penalty_key(key, sizeof key, a, source);
    struct penalty *p = penalty_find(c, key);
    if (p == NULL) {
        if (HASH_COUNT(c->penalties) >= PENALTIES_MAX)
            penalty_drop(c, c->penalties); /* the oldest */
        p = state_alloc(c, sizeof *p);
        if (p == NULL)
            return;
        memcpy(p->key, key, sizeof key);
        HASH_ADD_STR(c->penalties, key, p);
        if (!HASH_ADDED(hh, p)) {
            (void)state_give_up(c, p);
            return;
        }
    }
    p->failures++;
    unsigned over = p->failures > GUESSES_FREE ? p->failures - GUESSES_FREE : 0;
    int64_t wait = GUESS_WAIT_MS * (INT64_C(1) << (over < 20 ? over : 20));
    p->until = c->now + (wait < GUESS_WAIT_MAX_MS ? wait : GUESS_WAIT_MAX_MS);
}

void penalty_clear(struct core *c, const struct account *a, const char *source)
{
    char key[sizeof((struct penalty *)0)->key];

    penalty_key(key, sizeof key, a, source);
    penalty_drop(c, penalty_find(c, key));
}

/* Forgotten when nothing was tried for as long as the longest wait. */
void penalty_purge(struct core *c)
{
    struct penalty *p, *next;

    HASH_ITER(hh, c->penalties, p, next)
        if (c->now > p->until + GUESS_WAIT_MAX_MS)
            penalty_drop(c, p);
}
