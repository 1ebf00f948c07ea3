/* The store as a specification that runs: rows in arrays, found by looking at all of them. */
#include "common/util/time.h"
#include "server/core/store.h"

#include <stdlib.h>
#include <string.h>

/* Rows are never changed in place: they are replaced (or become NULL), and the former one waits in
 * the undo list until commit. */
struct table {
    void **rows;
    size_t n, cap;
};

enum {
    USERS,
    DEVICES,
    SESSIONS,
    LOGINS,
    RECEIPTS,
    ROOMS,
    MEMBERS,
    MESSAGES,
    CHECKPOINTS,
    SIGNERS,
    INVITES,
    AUDIT,
    AUDIT_KEYS,
    AUDIT_SIGNED,
    TABLES
};

struct key_row {
    int64_t week;
    struct key key;
};

struct undo {
    struct table *t;
    size_t at;
    void *former; /* owned; NULL: there was none */
    bool appended;
};

struct memory {
    struct table t[TABLES];
    struct undo *undo;
    size_t undo_n, undo_cap;
    bool open; /* between begin and commit */
};

struct device_row {
    struct store_device d;
    struct store_chain chain;
};

struct signer_row {
    struct hash fp;
    struct store_chain chain;
};

void *store_memory_new(void)
{
    return calloc(1, sizeof(struct memory));
}

void store_close(struct store *s)
{
    if (s->ops != NULL)
        s->ops->close(s->db);
    *s = (struct store){0};
}

static int no_memory(struct err *e)
{
    return err_set(e, ERR_LOCAL, "the store: no memory");
}

/* Room for one more element of `size` bytes behind n. */
static int grow(void **array, size_t *cap, size_t n, size_t size, struct err *e)
{
    if (n < *cap)
        return 0;
    size_t more = *cap == 0 ? 16 : *cap * 2;
    void *p = realloc(*array, more * size);
    if (p == NULL)
        return no_memory(e);
    *array = p;
    *cap = more;
    return 0;
}

static int remember(struct memory *m, struct undo u, struct err *e)
{
    void *p = m->undo;

    if (grow(&p, &m->undo_cap, m->undo_n, sizeof u, e) < 0)
        return -1;
    m->undo = p;
    m->undo[m->undo_n++] = u;
    return 0;
}

static void forget(struct memory *m)
{
    for (size_t i = 0; i < m->undo_n; i++)
        free(m->undo[i].former);
    m->undo_n = 0;
}

/* Puts row (owned now, also on failure; NULL: none) at index `at`; at == n appends. */
static int row_set(struct memory *m, struct table *t, size_t at, void *row, struct err *e)
{
    void *rows = t->rows;
    bool append = at == t->n;

    if (grow(&rows, &t->cap, t->n, sizeof *t->rows, e) < 0)
        goto fail;
    t->rows = rows;
    struct undo u = {t, at, append ? NULL : t->rows[at], append};
    if (remember(m, u, e) < 0)
        goto fail;
    t->rows[at] = row;
    t->n += append;
    if (!m->open)
        forget(m);
    return 0;
fail:
    free(row);
    return -1;
}

static void *copy_of(const void *p, size_t n)
{
    void *c = malloc(n);
    if (c != NULL)
        memcpy(c, p, n);
    return c;
}

static int row_put(struct memory *m, int table, size_t at, const void *row, size_t n, struct err *e)
{
    void *c = copy_of(row, n);
    return c == NULL ? no_memory(e) : row_set(m, &m->t[table], at, c, e);
}

static void memory_close(void *db)
{
    struct memory *m = db;

    if (m == NULL)
        return;
    forget(m);
    for (size_t t = 0; t < TABLES; t++) {
        for (size_t i = 0; i < m->t[t].n; i++)
            free(m->t[t].rows[i]);
        free(m->t[t].rows);
    }
    free(m->undo);
    free(m);
}

static int memory_begin(void *db, struct err *e)
{
    struct memory *m = db;
    if (m->open)
        return err_set(e, ERR_LOCAL, "the store: begun twice");
    m->open = true;
    return 0;
}

static int memory_commit(void *db, struct err *e)
{
    struct memory *m = db;
    if (!m->open)
        return err_set(e, ERR_LOCAL, "the store: committed without a beginning");
    m->open = false;
    forget(m);
    return 0;
}

static void memory_rollback(void *db)
{
    struct memory *m = db;

    while (m->undo_n > 0) {
        struct undo *u = &m->undo[--m->undo_n];
        free(u->t->rows[u->at]);
        u->t->rows[u->at] = u->former;
        u->t->n -= u->appended;
    }
    m->open = false;
}

static int memory_changed(void *db, struct err *e)
{
    (void)db;
    (void)e;
    return 0;
}

static bool same_id(const void *a, const void *b)
{
    return memcmp(a, b, ACCOUNT_ID_LEN) == 0;
}

static bool same_hash(const struct hash *a, const struct hash *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}

static int unique(struct err *e)
{
    return err_set(e, ERR_LOCAL, "the store: the key is taken");
}

/* Walks the rows that are there. */
#define EACH(m, table, type, row)                                                                  \
    for (size_t row##_at = 0; row##_at < (m)->t[table].n; row##_at++)                              \
        for (const type *row = (m)->t[table].rows[row##_at]; row != NULL; row = NULL)

/* --- users --- */

static int memory_user_put(void *db, const struct store_user *row, struct err *e)
{
    struct memory *m = db;
    size_t at = m->t[USERS].n;

    EACH(m, USERS, struct store_user, u)
    {
        if (same_id(&u->id, &row->id))
            at = u_at;
        else if (strcmp(u->canonical, row->canonical) == 0 ||
                 strcmp(u->skeleton, row->skeleton) == 0)
            return unique(e);
    }
    return row_put(m, USERS, at, row, sizeof *row, e);
}

static int memory_user_get(void *db, const struct account_id *id, struct store_user *out,
                           struct err *e)
{
    struct memory *m = db;
    (void)e;
    EACH(m, USERS, struct store_user, u)
    {
        if (same_id(&u->id, id)) {
            *out = *u;
            return 1;
        }
    }
    return 0;
}

static int memory_user_find(void *db, const char *canonical, struct store_user *out, struct err *e)
{
    struct memory *m = db;
    (void)e;
    EACH(m, USERS, struct store_user, u)
    {
        if (strcmp(u->canonical, canonical) == 0) {
            *out = *u;
            return 1;
        }
    }
    return 0;
}

static int memory_user_like(void *db, const char *skeleton, struct err *e)
{
    struct memory *m = db;
    (void)e;
    EACH(m, USERS, struct store_user, u)
    {
        if (strcmp(u->skeleton, skeleton) == 0)
            return 1;
    }
    return 0;
}

static int by_canonical(const void *a, const void *b)
{
    const struct store_user *const *x = a, *const *y = b;
    return strcmp((*x)->canonical, (*y)->canonical);
}

/* Users are never removed, so their table has no holes. */
static int memory_user_each(void *db, store_each_user *each, void *ctx, struct err *e)
{
    struct memory *m = db;
    size_t n = m->t[USERS].n;
    int rc = 0;

    void **sorted = calloc(n + 1, sizeof *sorted);
    if (sorted == NULL)
        return no_memory(e);
    for (size_t i = 0; i < n; i++)
        sorted[i] = m->t[USERS].rows[i];
    qsort(sorted, n, sizeof *sorted, by_canonical);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = each(ctx, sorted[i]);
    free(sorted);
    return rc;
}

/* --- devices --- */

static int memory_device_add(void *db, const struct store_device *row,
                             const struct store_chain *chain, struct err *e)
{
    struct memory *m = db;
    struct device_row both = {*row, *chain};

    EACH(m, DEVICES, struct device_row, d)
    {
        if (same_hash(&d->d.fp, &row->fp))
            return unique(e);
    }
    return row_put(m, DEVICES, m->t[DEVICES].n, &both, sizeof both, e);
}

static int memory_device_revoke(void *db, const struct hash *fp, int64_t when, struct err *e)
{
    struct memory *m = db;

    EACH(m, DEVICES, struct device_row, d)
    {
        if (!same_hash(&d->d.fp, fp) || d->d.revoked != 0)
            continue;
        struct device_row changed = *d;
        changed.d.revoked = when;
        return row_put(m, DEVICES, d_at, &changed, sizeof changed, e);
    }
    return 0;
}

static int memory_device_chain(void *db, const struct hash *fp, struct store_chain *out,
                               struct err *e)
{
    struct memory *m = db;
    (void)e;
    EACH(m, DEVICES, struct device_row, d)
    {
        if (same_hash(&d->d.fp, fp)) {
            *out = d->chain;
            return 1;
        }
    }
    return 0;
}

static int memory_device_each(void *db, store_each_device *each, void *ctx, struct err *e)
{
    struct memory *m = db;
    int rc = 0;
    (void)e;
    EACH(m, DEVICES, struct device_row, d)
    {
        rc = rc == 0 ? each(ctx, &d->d) : rc;
    }
    return rc;
}

/* --- sessions --- */

static int memory_session_put(void *db, const struct store_session *row, struct err *e)
{
    struct memory *m = db;
    size_t at = m->t[SESSIONS].n;

    EACH(m, SESSIONS, struct store_session, s)
    {
        if (s->id == row->id)
            at = s_at;
    }
    return row_put(m, SESSIONS, at, row, sizeof *row, e);
}

static int memory_session_find(void *db, const struct hash *token, struct store_session *out,
                               struct err *e)
{
    static const struct hash none = {{0}};
    struct memory *m = db;
    (void)e;
    EACH(m, SESSIONS, struct store_session, s)
    {
        if (same_hash(&s->current, token) ||
            (same_hash(&s->former, token) && !same_hash(token, &none))) {
            *out = *s;
            return 1;
        }
    }
    return 0;
}

static int session_ended(struct memory *m, size_t at, int64_t when, struct err *e)
{
    struct store_session changed = *(const struct store_session *)m->t[SESSIONS].rows[at];
    changed.ended = when;
    return row_put(m, SESSIONS, at, &changed, sizeof changed, e);
}

static int memory_session_end(void *db, uint64_t id, int64_t when, struct err *e)
{
    struct memory *m = db;
    EACH(m, SESSIONS, struct store_session, s)
    {
        if (s->id == id)
            return session_ended(m, s_at, when, e);
    }
    return 0;
}

static int memory_session_delete(void *db, uint64_t id, struct err *e)
{
    struct memory *m = db;
    EACH(m, SESSIONS, struct store_session, s)
    {
        if (s->id == id)
            return row_set(m, &m->t[SESSIONS], s_at, NULL, e);
    }
    return 0;
}

static int memory_session_end_all(void *db, int64_t when, struct err *e)
{
    struct memory *m = db;
    EACH(m, SESSIONS, struct store_session, s)
    {
        if (s->ended == 0 && session_ended(m, s_at, when, e) < 0)
            return -1;
    }
    return 0;
}

static int memory_session_drop(void *db, const struct hash *fp, struct err *e)
{
    struct memory *m = db;
    EACH(m, SESSIONS, struct store_session, s)
    {
        if (same_hash(&s->fp, fp) && row_set(m, &m->t[SESSIONS], s_at, NULL, e) < 0)
            return -1;
    }
    return 0;
}

static int memory_session_purge(void *db, int64_t until, int64_t ended, struct err *e)
{
    struct memory *m = db;
    EACH(m, SESSIONS, struct store_session, s)
    {
        bool over = s->until < until || (s->ended != 0 && s->ended < ended);
        if (over && row_set(m, &m->t[SESSIONS], s_at, NULL, e) < 0)
            return -1;
    }
    return 0;
}

/* --- logins --- */

static int memory_login_put(void *db, const struct store_login *row, struct err *e)
{
    struct memory *m = db;
    size_t at = m->t[LOGINS].n;

    EACH(m, LOGINS, struct store_login, l)
    {
        if (memcmp(l->session, row->session, sizeof l->session) == 0)
            at = l_at;
    }
    return row_put(m, LOGINS, at, row, sizeof *row, e);
}

static int memory_login_end(void *db, const uint8_t session[SESSION_ID_LEN], int64_t when,
                            uint64_t entries, struct err *e)
{
    struct memory *m = db;

    EACH(m, LOGINS, struct store_login, l)
    {
        if (memcmp(l->session, session, sizeof l->session) != 0)
            continue;
        struct store_login changed = *l;
        changed.ended = when;
        changed.counted = true;
        changed.entries = entries;
        changed.after = m->t[MESSAGES].n;
        return row_put(m, LOGINS, l_at, &changed, sizeof changed, e);
    }
    return 0;
}

static int memory_login_end_all(void *db, int64_t when, struct err *e)
{
    struct memory *m = db;

    EACH(m, LOGINS, struct store_login, l)
    {
        struct store_login changed = *l;
        changed.ended = when;
        changed.after = m->t[MESSAGES].n;
        if (l->ended == 0 && row_put(m, LOGINS, l_at, &changed, sizeof changed, e) < 0)
            return -1;
    }
    return 0;
}

static int memory_login_each(void *db, store_each_login *each, void *ctx, struct err *e)
{
    struct memory *m = db;
    int rc = 0;
    (void)e;
    EACH(m, LOGINS, struct store_login, l)
    {
        rc = rc == 0 ? each(ctx, l) : rc;
    }
    return rc;
}

static int memory_login_get(void *db, const uint8_t session[SESSION_ID_LEN],
                            struct store_login *out, struct err *e)
{
    struct memory *m = db;

    (void)e;
    EACH(m, LOGINS, struct store_login, l)
    {
        if (memcmp(l->session, session, sizeof l->session) == 0) {
            *out = *l;
            return 1;
        }
    }
    return 0;
}

static int memory_login_seal(void *db, const uint8_t session[SESSION_ID_LEN],
                             const struct hash *transcript, struct err *e)
{
    struct memory *m = db;

    EACH(m, LOGINS, struct store_login, l)
    {
        if (memcmp(l->session, session, sizeof l->session) != 0)
            continue;
        struct store_login changed = *l;
        changed.has_transcript = true;
        changed.transcript = *transcript;
        return row_put(m, LOGINS, l_at, &changed, sizeof changed, e);
    }
    return 0;
}

/* --- receipts --- */

static int memory_receipt_get(void *db, const struct hash *hash, struct store_receipt *out,
                              struct err *e)
{
    struct memory *m = db;

    (void)e;
    EACH(m, RECEIPTS, struct store_receipt, x)
    {
        if (hash_same(&x->hash, hash)) {
            *out = *x;
            return 1;
        }
    }
    return 0;
}

static int memory_receipt_add(void *db, const struct store_receipt *row, struct err *e)
{
    struct memory *m = db;

    EACH(m, RECEIPTS, struct store_receipt, x)
    {
        if (hash_same(&x->hash, &row->hash) ||
            (same_id(&x->room, &row->room) && hash_same(&x->fp, &row->fp) &&
             hash_same(&x->previous, &row->previous)))
            return unique(e);
    }
    return row_put(m, RECEIPTS, m->t[RECEIPTS].n, row, sizeof *row, e);
}

static int memory_receipt_cosign(void *db, const struct hash *hash, const char *seal,
                                 struct span sig, struct err *e)
{
    struct memory *m = db;

    EACH(m, RECEIPTS, struct store_receipt, x)
    {
        if (!hash_same(&x->hash, hash) || x->member_sig_n > 0 || sig.n > SIG_MAX)
            continue;
        struct store_receipt changed = *x;
        memcpy(changed.member, seal, strlen(seal) + 1);
        memcpy(changed.member_sig, sig.p, sig.n);
        changed.member_sig_n = sig.n;
        return row_put(m, RECEIPTS, x_at, &changed, sizeof changed, e);
    }
    return 0;
}

static int memory_receipt_place(void *db, const struct room_id *room, const struct hash *fp,
                                const struct hash *previous, struct store_place *out, struct err *e)
{
    struct memory *m = db;
    int found = 0;

    (void)e;
    *out = (struct store_place){.taken = false};
    EACH(m, RECEIPTS, struct store_receipt, x)
    {
        if (!same_id(&x->room, room) || !hash_same(&x->fp, fp))
            continue;
        out->hash = x->hash;
        out->last = x->last;
        out->taken |= hash_same(&x->previous, previous);
        found = 1;
    }
    return found;
}

/* --- rooms and members --- */

static int memory_room_put(void *db, const struct store_room *row, struct err *e)
{
    struct memory *m = db;
    size_t at = m->t[ROOMS].n;

    EACH(m, ROOMS, struct store_room, r)
    {
        if (same_id(&r->id, &row->id))
            at = r_at;
        else if (strcmp(r->canonical, row->canonical) == 0 ||
                 strcmp(r->skeleton, row->skeleton) == 0)
            return unique(e);
    }
    return row_put(m, ROOMS, at, row, sizeof *row, e);
}

static int memory_room_each(void *db, store_each_room *each, void *ctx, struct err *e)
{
    struct memory *m = db;
    int rc = 0;

    (void)e;
    EACH(m, ROOMS, struct store_room, r)
    {
        struct store_tip tip = {0};
        EACH(m, MESSAGES, struct store_message, g)
        {
            if (same_id(&g->room, &r->id) && g->number > tip.number)
                tip = (struct store_tip){g->number, g->head};
        }
        rc = rc == 0 ? each(ctx, r, &tip) : rc;
    }
    return rc;
}

static int memory_member_put(void *db, const struct store_member *row, struct err *e)
{
    struct memory *m = db;
    size_t at = m->t[MEMBERS].n;

    EACH(m, MEMBERS, struct store_member, b)
    {
        if (same_id(&b->room, &row->room) && same_id(&b->account, &row->account))
            at = b_at;
    }
    return row_put(m, MEMBERS, at, row, sizeof *row, e);
}

static int memory_member_each(void *db, store_each_member *each, void *ctx, struct err *e)
{
    struct memory *m = db;
    int rc = 0;
    (void)e;
    EACH(m, MEMBERS, struct store_member, b)
    {
        rc = rc == 0 ? each(ctx, b) : rc;
    }
    return rc;
}

/* --- messages --- */

/* The row and everything it borrows in one block. */
static struct store_message *message_copy(const struct store_message *row)
{
    struct span nodes = span_of(row->nodes.p, row->nodes.n * sizeof *row->nodes.p);
    size_t n = row->line.n + row->sig.n + row->body.n + row->why.n + nodes.n;
    struct store_message *c = malloc(sizeof *c + n + 1);

    if (c == NULL)
        return NULL;
    *c = *row;
    struct wr w = wr_of(c + 1, n + 1);
    const uint8_t *at[5];
    const struct span parts[5] = {span_of(row->line.p, row->line.n), row->sig, row->body,
                                  span_of(row->why.p, row->why.n), nodes};
    for (size_t i = 0; i < COUNT(parts); i++) {
        at[i] = w.buf + w.len;
        if (parts[i].n > 0)
            wr_put(&w, parts[i].p, parts[i].n);
    }
    c->line = str_from(at[0], row->line.n);
    c->sig.p = at[1];
    c->body.p = at[2];
    c->why = str_from(at[3], row->why.n);
    c->nodes.p = (const struct hash *)at[4]; /* bytes: aligned anywhere */
    return c;
}

static int memory_message_add(void *db, const struct store_message *row, struct err *e)
{
    struct memory *m = db;

    EACH(m, MESSAGES, struct store_message, g)
    {
        if (same_id(&g->room, &row->room) &&
            (g->number == row->number || (g->seq == row->seq && same_hash(&g->fp, &row->fp))))
            return unique(e);
    }
    struct store_message *c = message_copy(row);
    return c == NULL ? no_memory(e) : row_set(m, &m->t[MESSAGES], m->t[MESSAGES].n, c, e);
}

static int message_give(const struct store_message *g, store_each_message *each, void *ctx)
{
    if (g == NULL)
        return 0;
    return each(ctx, g) < 0 ? -1 : 1;
}

static int memory_message_seq(void *db, const struct room_id *room, const struct hash *fp,
                              uint64_t seq, store_each_message *each, void *ctx, struct err *e)
{
    struct memory *m = db;
    (void)e;
    EACH(m, MESSAGES, struct store_message, g)
    {
        if (g->seq == seq && same_id(&g->room, room) && same_hash(&g->fp, fp))
            return message_give(g, each, ctx);
    }
    return 0;
}

static int memory_message_last(void *db, const struct room_id *room, const struct hash *fp,
                               store_each_message *each, void *ctx, struct err *e)
{
    struct memory *m = db;
    const struct store_message *best = NULL;

    (void)e;
    EACH(m, MESSAGES, struct store_message, g)
    {
        if (same_id(&g->room, room) && same_hash(&g->fp, fp) &&
            (best == NULL || g->seq > best->seq))
            best = g;
    }
    return message_give(best, each, ctx);
}

/* The account's message with the highest number below that. */
static const struct store_message *message_below(const struct memory *m, const struct room_id *room,
                                                 const struct account_id *account, uint64_t below)
{
    const struct store_message *best = NULL;

    EACH(m, MESSAGES, struct store_message, g)
    {
        if (same_id(&g->room, room) && same_id(&g->account, account) && g->number < below &&
            (best == NULL || g->number > best->number))
            best = g;
    }
    return best;
}

static int memory_message_former(void *db, const struct room_id *room,
                                 const struct account_id *account, store_each_message *each,
                                 void *ctx, struct err *e)
{
    const struct store_message *g = message_below(db, room, account, UINT64_MAX);
    int rc = 0;

    (void)e;
    for (; rc == 0 && g != NULL; g = message_below(db, room, account, g->number)) {
        struct store_message row = *g;
        row.body = span_of(NULL, 0);
        row.why = str_of("");
        rc = each(ctx, &row);
    }
    return rc;
}

static const struct store_message *message_at(const struct memory *m, const struct room_id *room,
                                              uint64_t number)
{
    EACH(m, MESSAGES, struct store_message, g)
    {
        if (g->number == number && same_id(&g->room, room))
            return g;
    }
    return NULL;
}

static int memory_message_head(void *db, const struct room_id *room, uint64_t number,
                               struct hash *out, struct err *e)
{
    const struct store_message *g = message_at(db, room, number);

    (void)e;
    if (g == NULL)
        return 0;
    *out = g->head;
    return 1;
}

static int memory_message_count(void *db, uint64_t *out, struct err *e)
{
    const struct memory *m = db;

    (void)e;
    *out = m->t[MESSAGES].n;
    return 1;
}

static int memory_message_place(void *db, const struct room_id *room, uint64_t number,
                                uint64_t *out, struct err *e)
{
    struct memory *m = db;

    (void)e;
    EACH(m, MESSAGES, struct store_message, g)
    {
        if (g->number == number && same_id(&g->room, room)) {
            *out = g_at + 1;
            return 1;
        }
    }
    return 0;
}

static int memory_message_range(void *db, const struct room_id *room, uint64_t first, uint64_t last,
                                store_each_message *each, void *ctx, struct err *e)
{
    int rc = 0;

    (void)e;
    for (uint64_t n = first; rc == 0; n = first <= last ? n + 1 : n - 1) {
        const struct store_message *g = message_at(db, room, n);
        rc = g == NULL ? 0 : each(ctx, g);
        if (n == last || (g == NULL && first <= last))
            break;
    }
    return rc;
}

static int memory_message_seats(void *db, const struct room_id *room, uint64_t after,
                                store_each_message *each, void *ctx, struct err *e)
{
    const struct store_message *next;
    int rc = 0;

    (void)e;
    do {
        next = NULL;
        EACH((struct memory *)db, MESSAGES, struct store_message, g)
        {
            if (g->seats && same_id(&g->room, room) && g->number > after &&
                (next == NULL || g->number < next->number))
                next = g;
        }
        if (next != NULL) {
            after = next->number;
            rc = each(ctx, next);
        }
    } while (rc == 0 && next != NULL);
    return rc;
}

/* --- trees and checkpoints --- */

static int memory_message_node(void *db, const struct room_id *room, uint64_t number,
                               unsigned level, struct hash *out, struct err *e)
{
    const struct store_message *g = message_at(db, room, number);

    (void)e;
    if (g == NULL || level >= g->nodes.n)
        return 0;
    *out = g->nodes.p[level];
    return 1;
}

static int memory_message_latest(void *db, const struct room_id *room, uint64_t after, int64_t *out,
                                 struct err *e)
{
    struct memory *m = db;

    (void)e;
    *out = 0;
    EACH(m, MESSAGES, struct store_message, g)
    {
        if (g->number > after && same_id(&g->room, room) && g->time > *out)
            *out = g->time;
    }
    return 0;
}

static int memory_checkpoint_put(void *db, const struct store_checkpoint *row, struct err *e)
{
    struct memory *m = db;
    size_t at = m->t[CHECKPOINTS].n;

    EACH(m, CHECKPOINTS, struct store_checkpoint, g)
    {
        if (same_id(&g->room, &row->room))
            at = g_at;
    }
    return row_put(m, CHECKPOINTS, at, row, sizeof *row, e);
}

static int memory_checkpoint_get(void *db, const struct room_id *room, struct store_checkpoint *out,
                                 struct err *e)
{
    struct memory *m = db;

    (void)e;
    EACH(m, CHECKPOINTS, struct store_checkpoint, g)
    {
        if (same_id(&g->room, room)) {
            *out = *g;
            return 1;
        }
    }
    return 0;
}

static int memory_signer_get(void *db, const struct hash *fp, struct store_chain *out,
                             struct err *e)
{
    struct memory *m = db;

    (void)e;
    EACH(m, SIGNERS, struct signer_row, g)
    {
        if (same_hash(&g->fp, fp)) {
            *out = g->chain;
            return 1;
        }
    }
    return 0;
}

static int memory_signer_put(void *db, const struct hash *fp, const struct store_chain *chain,
                             struct err *e)
{
    struct memory *m = db;
    struct signer_row row = {*fp, *chain};
    struct store_chain have;

    if (memory_signer_get(db, fp, &have, e) == 1)
        return 0;
    return row_put(m, SIGNERS, m->t[SIGNERS].n, &row, sizeof row, e);
}

/* --- invites --- */

static int memory_invite_put(void *db, const struct store_invite *row, struct err *e)
{
    struct memory *m = db;
    size_t at = m->t[INVITES].n;

    EACH(m, INVITES, struct store_invite, v)
    {
        if (same_hash(&v->token, &row->token))
            at = v_at;
    }
    return row_put(m, INVITES, at, row, sizeof *row, e);
}

static int memory_invite_get(void *db, const struct hash *token, struct store_invite *out,
                             struct err *e)
{
    struct memory *m = db;
    (void)e;
    EACH(m, INVITES, struct store_invite, v)
    {
        if (same_hash(&v->token, token)) {
            *out = *v;
            return 1;
        }
    }
    return 0;
}

static int memory_invite_use(void *db, const struct store_invite *row, struct err *e)
{
    struct memory *m = db;
    EACH(m, INVITES, struct store_invite, v)
    {
        if (same_hash(&v->token, &row->token) && v->used == 0)
            return row_put(m, INVITES, v_at, row, sizeof *row, e) < 0 ? -1 : 1;
    }
    return 0;
}

static int memory_invite_each(void *db, store_each_invite *each, void *ctx, struct err *e)
{
    struct memory *m = db;
    int rc = 0;
    (void)e;
    EACH(m, INVITES, struct store_invite, v)
    {
        rc = rc == 0 ? each(ctx, v) : rc;
    }
    return rc;
}

/* --- audit log --- */

static struct str text_keep(struct wr *w, struct str s)
{
    const uint8_t *at = w->buf + w->len;

    if (s.n > 0)
        wr_put(w, s.p, s.n);
    return str_from(at, s.n);
}

static struct store_audit *audit_copy(const struct store_audit *row)
{
    struct str *text[] = {NULL, NULL, NULL, NULL, NULL, NULL};
    struct store_audit r = *row;
    size_t nodes = r.nodes.n * sizeof *r.nodes.p, n = nodes;

    text[0] = &r.event;
    text[1] = &r.account;
    text[2] = &r.fp;
    text[3] = &r.reason;
    text[4] = &r.address;
    text[5] = &r.sealed;
    for (size_t i = 0; i < COUNT(text); i++)
        n += text[i]->n;
    struct store_audit *c = malloc(sizeof *c + n + 1);
    if (c == NULL)
        return NULL;
    struct wr w = wr_of(c + 1, n + 1);
    for (size_t i = 0; i < COUNT(text); i++)
        *text[i] = text_keep(&w, *text[i]);
    r.nodes.p = (const struct hash *)text_keep(&w, str_from(r.nodes.p, nodes)).p;
    *c = r;
    return c;
}

static int audit_set(struct memory *m, size_t at, const struct store_audit *row, struct err *e)
{
    struct store_audit *c = audit_copy(row);

    if (c == NULL)
        return no_memory(e);
    c->row = (int64_t)at;
    return row_set(m, &m->t[AUDIT], at, c, e);
}

static bool audit_folds(const struct store_audit *a, const struct store_audit *b)
{
    return a->number == 0 && a->folded && b->number == 0 && b->folded && a->time == b->time &&
           str_same(a->event, b->event) && str_same(a->reason, b->reason) &&
           str_same(a->address, b->address);
}

static int memory_audit_add(void *db, const struct store_audit *row, struct err *e)
{
    struct memory *m = db;
    struct store_audit r = *row;
    size_t at = m->t[AUDIT].n;

    if (r.folded)
        r.time -= r.time % AUDIT_SPAN_MS;
    EACH(m, AUDIT, struct store_audit, a)
    {
        if (r.number != 0 && a->number == r.number)
            return unique(e);
        if (audit_folds(a, &r)) {
            at = a_at;
            r.count += a->count;
            if (!str_same(a->account, r.account))
                r.account = str_of("");
            if (!str_same(a->fp, r.fp))
                r.fp = str_of("");
        }
    }
    return audit_set(m, at, &r, e);
}

static int memory_audit_open(void *db, int64_t minute, store_each_audit *each, void *ctx,
                             struct err *e)
{
    struct memory *m = db;
    const struct store_audit *first = NULL;

    (void)e;
    EACH(m, AUDIT, struct store_audit, a)
    {
        if (a->number == 0 && !(a->folded && a->time == minute) &&
            (first == NULL || a->time < first->time))
            first = a;
    }
    if (first == NULL)
        return 0;
    return each(ctx, first) < 0 ? -1 : 1;
}

static int memory_audit_close(void *db, const struct store_audit *row, struct err *e)
{
    struct memory *m = db;
    const struct store_audit *open = m->t[AUDIT].rows[row->row];
    struct store_audit r = *open;

    r.number = row->number;
    r.sealed = row->sealed;
    r.nodes = row->nodes;
    return audit_set(m, (size_t)row->row, &r, e);
}

/* In order of time, those of one time as they came. */
static int memory_audit_each(void *db, int64_t since, store_each_audit *each, void *ctx,
                             struct err *e)
{
    struct memory *m = db;
    const struct store_audit *last = NULL, *next;
    int rc = 0;

    (void)e;
    do {
        next = NULL;
        EACH(m, AUDIT, struct store_audit, a)
        {
            bool later = last == NULL || a->time > last->time ||
                         (a->time == last->time && a->row > last->row);
            if (a->time >= since && later && (next == NULL || a->time < next->time))
                next = a;
        }
        last = next;
        rc = next == NULL ? 0 : each(ctx, next);
    } while (rc == 0 && next != NULL);
    return rc;
}

static const struct store_audit *audit_at(struct memory *m, uint64_t number)
{
    EACH(m, AUDIT, struct store_audit, a)
    {
        if (a->number == number)
            return a;
    }
    return NULL;
}

static int memory_audit_range(void *db, uint64_t first, uint64_t last, store_each_audit *each,
                              void *ctx, struct err *e)
{
    int rc = 0;

    (void)e;
    for (uint64_t n = first; n <= last && rc == 0; n++) {
        const struct store_audit *a = audit_at(db, n);
        if (a == NULL) /* they are dense */
            break;
        rc = each(ctx, a);
    }
    return rc;
}

static int memory_audit_size(void *db, uint64_t *out, struct err *e)
{
    struct memory *m = db;

    (void)e;
    *out = 0;
    EACH(m, AUDIT, struct store_audit, a)
    {
        *out = a->number > *out ? a->number : *out;
    }
    return 0;
}

static int memory_audit_node(void *db, uint64_t number, unsigned level, struct hash *out,
                             struct err *e)
{
    const struct store_audit *a = audit_at(db, number);

    (void)e;
    if (number == 0 || a == NULL || level >= a->nodes.n)
        return 0;
    *out = a->nodes.p[level];
    return 1;
}

static int memory_audit_latest(void *db, uint64_t after, int64_t *out, struct err *e)
{
    struct memory *m = db;

    (void)e;
    *out = 0;
    EACH(m, AUDIT, struct store_audit, a)
    {
        *out = a->number > after && a->time > *out ? a->time : *out;
    }
    return 0;
}

/* Its address is there, and not what its line has anyway. */
static bool audit_tells(const struct store_audit *a)
{
    return a->number != 0 && a->address.n > 0 && !str_same(a->address, a->sealed);
}

static int memory_audit_known(void *db, int64_t *out, struct err *e)
{
    struct memory *m = db;
    const struct store_audit *first = NULL;

    (void)e;
    EACH(m, AUDIT, struct store_audit, a)
    {
        if (audit_tells(a) && (first == NULL || a->time < first->time))
            first = a;
    }
    *out = first == NULL ? 0 : first->time;
    return 0;
}

static int memory_audit_forget(void *db, int64_t before, uint64_t most, struct err *e)
{
    struct memory *m = db;

    for (; most > 0; most--) {
        const struct store_audit *first = NULL;
        EACH(m, AUDIT, struct store_audit, a)
        {
            if (audit_tells(a) && a->time < before && (first == NULL || a->time < first->time))
                first = a;
        }
        if (first == NULL)
            break;
        struct store_audit r = *first;
        r.address = str_of("");
        if (audit_set(m, (size_t)r.row, &r, e) < 0)
            return -1;
    }
    return 0;
}

static int memory_audit_key_get(void *db, int64_t week, struct key *out, struct err *e)
{
    struct memory *m = db;

    (void)e;
    EACH(m, AUDIT_KEYS, struct key_row, k)
    {
        if (k->week == week) {
            *out = k->key;
            return 1;
        }
    }
    return 0;
}

static int memory_audit_key_put(void *db, int64_t week, const struct key *key, struct err *e)
{
    struct memory *m = db;
    struct key_row row = {week, *key};
    struct key have;

    if (memory_audit_key_get(db, week, &have, e) == 1)
        return unique(e);
    return row_put(m, AUDIT_KEYS, m->t[AUDIT_KEYS].n, &row, sizeof row, e);
}

static int memory_audit_key_purge(void *db, int64_t week, struct err *e)
{
    struct memory *m = db;

    EACH(m, AUDIT_KEYS, struct key_row, k)
    {
        if (k->week < week && row_set(m, &m->t[AUDIT_KEYS], k_at, NULL, e) < 0)
            return -1;
    }
    return 0;
}

static int memory_audit_sign(void *db, const struct store_checkpoint *row, struct err *e)
{
    struct memory *m = db;
    size_t at = m->t[AUDIT_SIGNED].n;

    EACH(m, AUDIT_SIGNED, struct store_checkpoint, g)
    {
        if (g->time / DAY_MS == row->time / DAY_MS)
            at = g_at;
    }
    return row_put(m, AUDIT_SIGNED, at, row, sizeof *row, e);
}

/* Their times never go back, so they lie in order. */
static int memory_audit_signed(void *db, struct store_checkpoint *out, struct err *e)
{
    struct memory *m = db;
    int found = 0;

    (void)e;
    EACH(m, AUDIT_SIGNED, struct store_checkpoint, g)
    {
        *out = *g;
        found = 1;
    }
    return found;
}

static int memory_audit_signed_each(void *db, store_each_checkpoint *each, void *ctx, struct err *e)
{
    struct memory *m = db;
    int rc = 0;

    (void)e;
    EACH(m, AUDIT_SIGNED, struct store_checkpoint, g)
    {
        rc = rc == 0 ? each(ctx, g) : rc;
    }
    return rc;
}

const struct store_ops store_memory = {
    .name = "memory",
    .close = memory_close,
    .begin = memory_begin,
    .commit = memory_commit,
    .rollback = memory_rollback,
    .changed = memory_changed,
    .user_put = memory_user_put,
    .user_get = memory_user_get,
    .user_find = memory_user_find,
    .user_like = memory_user_like,
    .user_each = memory_user_each,
    .device_add = memory_device_add,
    .device_revoke = memory_device_revoke,
    .device_chain = memory_device_chain,
    .device_each = memory_device_each,
    .session_put = memory_session_put,
    .session_find = memory_session_find,
    .session_end = memory_session_end,
    .session_delete = memory_session_delete,
    .session_end_all = memory_session_end_all,
    .session_drop = memory_session_drop,
    .session_purge = memory_session_purge,
    .login_put = memory_login_put,
    .login_end = memory_login_end,
    .login_end_all = memory_login_end_all,
    .login_each = memory_login_each,
    .login_get = memory_login_get,
    .login_seal = memory_login_seal,
    .receipt_add = memory_receipt_add,
    .receipt_get = memory_receipt_get,
    .receipt_cosign = memory_receipt_cosign,
    .receipt_place = memory_receipt_place,
    .room_put = memory_room_put,
    .room_each = memory_room_each,
    .member_put = memory_member_put,
    .member_each = memory_member_each,
    .message_add = memory_message_add,
    .message_seq = memory_message_seq,
    .message_last = memory_message_last,
    .message_former = memory_message_former,
    .message_head = memory_message_head,
    .message_count = memory_message_count,
    .message_place = memory_message_place,
    .message_range = memory_message_range,
    .message_seats = memory_message_seats,
    .message_node = memory_message_node,
    .message_latest = memory_message_latest,
    .checkpoint_put = memory_checkpoint_put,
    .checkpoint_get = memory_checkpoint_get,
    .signer_put = memory_signer_put,
    .signer_get = memory_signer_get,
    .invite_put = memory_invite_put,
    .invite_get = memory_invite_get,
    .invite_use = memory_invite_use,
    .invite_each = memory_invite_each,
    .audit_add = memory_audit_add,
    .audit_each = memory_audit_each,
    .audit_open = memory_audit_open,
    .audit_close = memory_audit_close,
    .audit_range = memory_audit_range,
    .audit_size = memory_audit_size,
    .audit_node = memory_audit_node,
    .audit_latest = memory_audit_latest,
    .audit_known = memory_audit_known,
    .audit_forget = memory_audit_forget,
    .audit_key_put = memory_audit_key_put,
    .audit_key_get = memory_audit_key_get,
    .audit_key_purge = memory_audit_key_purge,
    .audit_sign = memory_audit_sign,
    .audit_signed = memory_audit_signed,
    .audit_signed_each = memory_audit_signed_each,
};
