#include <stdlib.h>
#include <string.h>

#include "client/core/keep.h"

/* Every record owns one block with copies of what it was given. The store is small and lives for
 * tests and short programs, so that looking up is a walk. */
struct value {
    char *name;
    uint8_t *data;
    size_t n;
};

struct entry {
    struct keep_entry e; /* its spans point into data */
    uint8_t *data;
};

struct out {
    struct keep_out o;
    uint8_t *data;
};

struct held_cert {
    struct keep_cert c;
    uint8_t *data;
};

struct seat {
    struct room_id room;
    struct roster_row row;
};

struct list {
    void *at;
    size_t n, cap;
};

struct held_known {
    struct hash fp;
    char account[NAME_MAX_LEN + 1];
    enum keep_known_state state;
};

struct held_receipt {
    struct keep_receipt r;
    uint8_t *data;
};

struct memory {
    struct list values, rooms, rosters, entries, outs, certs, vouches, knowns, receipts;
    uint64_t arrival;
};

static void *list_add(struct list *l, size_t size)
{
    if (l->n == l->cap) {
        size_t cap = l->cap == 0 ? 8 : l->cap * 2;
        void *at = realloc(l->at, cap * size);
        if (at == NULL)
            return NULL;
        l->at = at;
        l->cap = cap;
    }
    void *row = (uint8_t *)l->at + l->n * size;
    memset(row, 0, size);
    l->n++;
    return row;
}

static int no_memory(struct err *e)
{
    return err_set(e, ERR_OS, "no memory");
}

/* Copies of several pieces in one block; each span then points there. */
static uint8_t *data_copy(struct span *const *parts, size_t n)
{
    size_t total = 1;
    for (size_t i = 0; i < n; i++)
        total += parts[i]->n;
    uint8_t *data = malloc(total), *at = data;
    for (size_t i = 0; data != NULL && i < n; i++) {
        if (parts[i]->n > 0)
            memcpy(at, parts[i]->p, parts[i]->n);
        parts[i]->p = at;
        at += parts[i]->n;
    }
    return data;
}

static struct span span_str(struct str s)
{
    return span_of(s.p, s.n);
}

static struct str str_span(struct span s)
{
    return str_from(s.p, s.n);
}

void *keep_memory_new(void)
{
    return calloc(1, sizeof(struct memory));
}

static void memory_close(void *k)
{
    struct memory *m = k;

    if (m == NULL)
        return;
    struct value *values = m->values.at;
    for (size_t i = 0; i < m->values.n; i++) {
        free(values[i].name);
        free(values[i].data);
    }
    struct entry *entries = m->entries.at;
    for (size_t i = 0; i < m->entries.n; i++)
        free(entries[i].data);
    struct out *outs = m->outs.at;
    for (size_t i = 0; i < m->outs.n; i++)
        free(outs[i].data);
    struct held_cert *certs = m->certs.at;
    for (size_t i = 0; i < m->certs.n; i++)
        free(certs[i].data);
    struct held_receipt *receipts = m->receipts.at;
    for (size_t i = 0; i < m->receipts.n; i++)
        free(receipts[i].data);
    free(m->receipts.at);
    free(m->values.at);
    free(m->rooms.at);
    free(m->rosters.at);
    free(m->entries.at);
    free(m->outs.at);
    free(m->certs.at);
    free(m->vouches.at);
    free(m->knowns.at);
    free(m);
}

/* Every change happens at once and none can fail half-way, but for memory. */
static int memory_begin(void *k, struct err *e)
{
    (void)k;
    (void)e;
    return 0;
}

static void memory_rollback(void *k)
{
    (void)k;
}

static struct value *value_find(struct memory *m, const char *name)
{
    struct value *v = m->values.at;
    for (size_t i = 0; i < m->values.n; i++)
        if (strcmp(v[i].name, name) == 0)
            return v + i;
    return NULL;
}

static int memory_value_get(void *k, const char *name, struct buf *out, struct err *e)
{
    struct value *v = value_find(k, name);

    if (v == NULL)
        return 0;
    return buf_add(out, v->data, v->n) < 0 ? no_memory(e) : 1;
}

static int memory_value_put(void *k, const char *name, struct span value, struct err *e)
{
    struct memory *m = k;
    uint8_t *data = data_copy((struct span *const[]){&value}, 1);
    char *own = strdup(name);
    struct value *v = value_find(m, name);

    if (v == NULL && data != NULL && own != NULL)
        v = list_add(&m->values, sizeof *v);
    if (v == NULL || data == NULL || own == NULL) {
        free(data);
        free(own);
        return no_memory(e);
    }
    free(v->name);
    free(v->data);
    *v = (struct value){own, data, value.n};
    return 0;
}

static bool room_same(const struct room_id *a, const struct room_id *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}

static struct keep_room *room_find(struct memory *m, const struct room_id *id)
{
    struct keep_room *r = m->rooms.at;
    for (size_t i = 0; i < m->rooms.n; i++)
        if (room_same(&r[i].id, id))
            return r + i;
    return NULL;
}

static int memory_room_get(void *k, const struct room_id *id, struct keep_room *out, struct err *e)
{
    struct keep_room *r = room_find(k, id);

    (void)e;
    if (r == NULL)
        return 0;
    *out = *r;
    return 1;
}

static int memory_room_put(void *k, const struct keep_room *room, struct err *e)
{
    struct memory *m = k;
    struct keep_room *r = room_find(m, &room->id);

    if (r == NULL)
        r = list_add(&m->rooms, sizeof *r);
    if (r == NULL)
        return no_memory(e);
    *r = *room;
    return 0;
}

static struct seat *seat_find(struct memory *m, const struct room_id *room, uint64_t number)
{
    struct seat *s = m->rosters.at;
    for (size_t i = 0; i < m->rosters.n; i++)
        if (s[i].row.number == number && room_same(&s[i].room, room))
            return s + i;
    return NULL;
}

static int memory_roster_put(void *k, const struct room_id *room, const struct roster_row *row,
                             struct err *e)
{
    struct memory *m = k;
    struct seat *s = seat_find(m, room, row->number);

    if (s == NULL)
        s = list_add(&m->rosters, sizeof *s);
    if (s == NULL)
        return no_memory(e);
    *s = (struct seat){*room, *row};
    return 0;
}

static int memory_roster_drop(void *k, const struct room_id *room, uint64_t number, struct err *e)
{
    struct memory *m = k;
    struct seat *s = seat_find(m, room, number), *all = m->rosters.at;

    (void)e;
    if (s != NULL)
        *s = all[--m->rosters.n];
    return 0;
}

static int seat_order(const void *a, const void *b)
{
    const struct seat *x = a, *y = b;
    return (x->row.number > y->row.number) - (x->row.number < y->row.number);
}

static int memory_roster_each(void *k, const struct room_id *room, keep_each_row *each, void *ctx,
                              struct err *e)
{
    struct memory *m = k;
    struct seat *s = m->rosters.at;
    int ret = 0;

    (void)e;
    if (m->rosters.n > 0)
        qsort(s, m->rosters.n, sizeof *s, seat_order);
    for (size_t i = 0; i < m->rosters.n && ret == 0; i++)
        if (room_same(&s[i].room, room))
            ret = each(ctx, &s[i].row);
    return ret;
}

static struct entry *entry_find(struct memory *m, const struct room_id *room, uint64_t number)
{
    struct entry *t = m->entries.at;
    for (size_t i = 0; i < m->entries.n; i++)
        if (t[i].e.number == number && room_same(&t[i].e.room, room))
            return t + i;
    return NULL;
}

static int memory_entry_put(void *k, const struct keep_entry *entry, bool news, struct err *e)
{
    struct memory *m = k;

    if (entry_find(m, &entry->room, entry->number) != NULL)
        return 0;
    struct span account = span_str(entry->account), line = span_str(entry->line);
    struct span sig = entry->sig, body = entry->body, refused = span_str(entry->refused);
    uint8_t *data = data_copy((struct span *const[]){&account, &line, &sig, &body, &refused}, 5);
    struct entry *t = data == NULL ? NULL : list_add(&m->entries, sizeof *t);
    if (t == NULL) {
        free(data);
        return no_memory(e);
    }
    t->e = *entry;
    t->data = data;
    t->e.account = str_span(account);
    t->e.line = str_span(line);
    t->e.sig = sig;
    t->e.body = body;
    t->e.refused = str_span(refused);
    t->e.arrival = news ? ++m->arrival : 0;
    return 0;
}

static int memory_entry_get(void *k, const struct room_id *room, uint64_t number,
                            struct keep_entry *out, struct err *e)
{
    struct entry *t = entry_find(k, room, number);

    (void)e;
    if (t == NULL)
        return 0;
    *out = t->e;
    return 1;
}

/* What an entry_ look-up asks for. */
struct want {
    const struct room_id *room;
    const struct hash *fp;     /* by this certificate; */
    const struct str *account; /* with account: by any other certificate of it */
    uint64_t from, below;
    bool first;
};

static bool want_fits(const struct want *w, const struct keep_entry *t)
{
    bool by_fp = hash_same(&t->fp, w->fp);

    if (!room_same(&t->room, w->room) || t->number >= w->below || t->number < w->from)
        return false;
    if (w->account == NULL)
        return by_fp && t->proven;
    return !by_fp && t->refused.n == 0 && str_same(t->account, *w->account);
}

/* By seq for one certificate, by number for an account. */
static bool want_prefers(const struct want *w, const struct keep_entry *a,
                         const struct keep_entry *b)
{
    if (w->account != NULL)
        return a->number > b->number;
    return w->first ? a->seq < b->seq : a->seq > b->seq;
}

static int entry_search(struct memory *m, const struct want *w, struct keep_entry *out)
{
    const struct entry *t = m->entries.at, *best = NULL;

    for (size_t i = 0; i < m->entries.n; i++)
        if (want_fits(w, &t[i].e) && (best == NULL || want_prefers(w, &t[i].e, &best->e)))
            best = t + i;
    if (best == NULL)
        return 0;
    *out = best->e;
    return 1;
}

static int memory_entry_last(void *k, const struct room_id *room, const struct hash *fp,
                             struct keep_entry *out, struct err *e)
{
    (void)e;
    return entry_search(k, &(struct want){room, fp, NULL, 0, UINT64_MAX, false}, out);
}

static int memory_entry_first(void *k, const struct room_id *room, const struct hash *fp,
                              uint64_t from, struct keep_entry *out, struct err *e)
{
    (void)e;
    return entry_search(k, &(struct want){room, fp, NULL, from, UINT64_MAX, true}, out);
}

static int memory_entry_former(void *k, const struct room_id *room, struct str account,
                               const struct hash *fp, uint64_t below, struct keep_entry *out,
                               struct err *e)
{
    (void)e;
    return entry_search(k, &(struct want){room, fp, &account, 0, below, false}, out);
}

static int number_order(const void *a, const void *b)
{
    const struct entry *const *x = a, *const *y = b;
    return ((*x)->e.number > (*y)->e.number) - ((*x)->e.number < (*y)->e.number);
}

static int arrival_order(const void *a, const void *b)
{
    const struct entry *const *x = a, *const *y = b;
    return ((*x)->e.arrival > (*y)->e.arrival) - ((*x)->e.arrival < (*y)->e.arrival);
}

/* Entries of a room below `bound`, or (no room) of all rooms that arrived after it. */
static struct entry **entries_pick(struct memory *m, const struct room_id *room, uint64_t bound,
                                   size_t *n)
{
    struct entry *all = m->entries.at;
    struct entry **row = calloc(m->entries.n + 1, sizeof *row);

    *n = 0;
    for (size_t i = 0; row != NULL && i < m->entries.n; i++) {
        const struct keep_entry *t = &all[i].e;
        if (room != NULL ? room_same(&t->room, room) && t->number < bound : t->arrival > bound)
            row[(*n)++] = all + i;
    }
    if (row != NULL)
        qsort(row, *n, sizeof *row, room != NULL ? number_order : arrival_order);
    return row;
}

static int memory_entries_before(void *k, const struct room_id *room, uint64_t before,
                                 unsigned count, keep_each_entry *each, void *ctx, struct err *e)
{
    size_t n;
    struct entry **row = entries_pick(k, room, before, &n);
    int ret = 0;

    if (row == NULL)
        return no_memory(e);
    for (size_t i = n > count ? n - count : 0; i < n && ret == 0; i++)
        ret = each(ctx, &row[i]->e);
    free(row);
    return ret;
}

static int memory_entries_since(void *k, uint64_t arrival, keep_each_entry *each, void *ctx,
                                struct err *e)
{
    size_t n;
    struct entry **row = entries_pick(k, NULL, arrival, &n);
    int ret = 0;

    if (row == NULL)
        return no_memory(e);
    for (size_t i = 0; i < n && ret == 0; i++)
        ret = each(ctx, &row[i]->e);
    free(row);
    return ret;
}

static int memory_arrival_last(void *k, uint64_t *out, struct err *e)
{
    const struct memory *m = k;

    (void)e;
    *out = m->arrival;
    return 0;
}

static struct out *out_find(struct memory *m, const struct room_id *room, uint64_t seq)
{
    struct out *o = m->outs.at;
    for (size_t i = 0; i < m->outs.n; i++)
        if (o[i].o.seq == seq && room_same(&o[i].o.room, room))
            return o + i;
    return NULL;
}

static int memory_out_put(void *k, const struct keep_out *out, struct err *e)
{
    struct memory *m = k;
    struct span line = span_str(out->line), sig = out->sig, body = out->body;
    struct span why = span_str(out->why);
    uint8_t *data = data_copy((struct span *const[]){&line, &sig, &body, &why}, 4);
    struct out *o = out_find(m, &out->room, out->seq);

    if (o == NULL && data != NULL)
        o = list_add(&m->outs, sizeof *o);
    if (o == NULL || data == NULL) {
        free(data);
        return no_memory(e);
    }
    uint8_t *old = o->data;
    o->o = *out;
    o->o.line = str_span(line);
    o->o.sig = sig;
    o->o.body = body;
    o->o.why = str_span(why);
    o->data = data;
    free(old);
    return 0;
}

static int memory_out_drop(void *k, const struct room_id *room, uint64_t seq, struct err *e)
{
    struct memory *m = k;
    struct out *o = out_find(m, room, seq), *all = m->outs.at;

    (void)e;
    if (o == NULL)
        return 0;
    free(o->data);
    *o = all[--m->outs.n];
    return 0;
}

static int out_order(const void *a, const void *b)
{
    const struct out *x = a, *y = b;
    int room = memcmp(x->o.room.b, y->o.room.b, sizeof x->o.room.b);
    return room != 0 ? room : (x->o.seq > y->o.seq) - (x->o.seq < y->o.seq);
}

static int memory_out_each(void *k, keep_each_out *each, void *ctx, struct err *e)
{
    struct memory *m = k;
    struct out *o = m->outs.at;
    int ret = 0;

    (void)e;
    if (m->outs.n > 0)
        qsort(o, m->outs.n, sizeof *o, out_order);
    for (size_t i = 0; i < m->outs.n && ret == 0; i++)
        ret = each(ctx, &o[i].o);
    return ret;
}

static void entries_forget(struct memory *m, const struct room_id *id)
{
    struct entry *t = m->entries.at;

    for (size_t i = m->entries.n; i-- > 0;)
        if (room_same(&t[i].e.room, id)) {
            free(t[i].data);
            t[i] = t[--m->entries.n];
        }
}

static void outs_forget(struct memory *m, const struct room_id *id)
{
    struct out *o = m->outs.at;

    for (size_t i = m->outs.n; i-- > 0;)
        if (room_same(&o[i].o.room, id)) {
            free(o[i].data);
            o[i] = o[--m->outs.n];
        }
}

static int memory_room_forget(void *k, const struct room_id *id, struct err *e)
{
    struct memory *m = k;
    struct seat *all = m->rosters.at;

    (void)e;
    for (size_t i = m->rosters.n; i-- > 0;)
        if (room_same(&all[i].room, id))
            all[i] = all[--m->rosters.n];
    entries_forget(k, id);
    outs_forget(k, id);
    return 0;
}

static struct held_cert *cert_find(struct memory *m, const struct hash *fp)
{
    struct held_cert *c = m->certs.at;
    for (size_t i = 0; i < m->certs.n; i++)
        if (hash_same(&c[i].c.fp, fp))
            return c + i;
    return NULL;
}

static int memory_cert_put(void *k, const struct keep_cert *cert, struct err *e)
{
    struct memory *m = k;

    if (cert_find(m, &cert->fp) != NULL)
        return 0;
    struct span account = span_str(cert->account), device = span_str(cert->device);
    struct span leaf = cert->leaf, issuer = cert->issuer;
    uint8_t *data = data_copy((struct span *const[]){&account, &device, &leaf, &issuer}, 4);
    struct held_cert *c = data == NULL ? NULL : list_add(&m->certs, sizeof *c);
    if (c == NULL) {
        free(data);
        return no_memory(e);
    }
    c->c = (struct keep_cert){cert->fp, str_span(account), str_span(device), leaf, issuer};
    c->data = data;
    return 0;
}

static int memory_cert_get(void *k, const struct hash *fp, struct keep_cert *out, struct err *e)
{
    struct held_cert *c = cert_find(k, fp);

    (void)e;
    if (c == NULL)
        return 0;
    *out = c->c;
    return 1;
}

static struct keep_vouch *vouch_find(struct memory *m, const struct hash *fp)
{
    struct keep_vouch *v = m->vouches.at;
    for (size_t i = 0; i < m->vouches.n; i++)
        if (hash_same(&v[i].fp, fp))
            return v + i;
    return NULL;
}

static int memory_vouch_put(void *k, const struct keep_vouch *vouch, struct err *e)
{
    struct memory *m = k;
    struct keep_vouch *v = vouch_find(m, &vouch->fp);

    if (v == NULL)
        v = list_add(&m->vouches, sizeof *v);
    if (v == NULL)
        return no_memory(e);
    *v = *vouch;
    return 0;
}

static int memory_vouch_get(void *k, const struct hash *fp, struct keep_vouch *out, struct err *e)
{
    struct keep_vouch *v = vouch_find(k, fp);

    (void)e;
    if (v == NULL)
        return 0;
    *out = *v;
    return 1;
}

static struct held_known *known_find(struct memory *m, const struct keep_known *k)
{
    struct held_known *x = m->knowns.at;
    for (size_t i = 0; i < m->knowns.n; i++)
        if (hash_same(&x[i].fp, &k->fp) && str_is(k->account, x[i].account))
            return x + i;
    return NULL;
}

static int memory_known_put(void *k, const struct keep_known *known, struct err *e)
{
    struct memory *m = k;
    struct held_known *x = known_find(m, known);

    if (x == NULL)
        x = list_add(&m->knowns, sizeof *x);
    if (x == NULL)
        return no_memory(e);
    x->fp = known->fp;
    x->state = known->state;
    return str_copy(x->account, sizeof x->account, known->account) < 0
               ? err_set(e, ERR_DATA, "a member's name is too long")
               : 0;
}

static int memory_known_each(void *k, keep_each_known *each, void *ctx, struct err *e)
{
    const struct memory *m = k;
    const struct held_known *x = m->knowns.at;

    (void)e;
    for (size_t i = 0; i < m->knowns.n; i++)
        if (each(ctx, &(struct keep_known){x[i].fp, str_of(x[i].account), x[i].state}) != 0)
            return -1;
    return 0;
}

static struct held_receipt *receipt_find(struct memory *m, const struct hash *hash)
{
    struct held_receipt *x = m->receipts.at;
    for (size_t i = 0; i < m->receipts.n; i++)
        if (hash_same(&x[i].r.hash, hash))
            return x + i;
    return NULL;
}

static int memory_receipt_put(void *k, const struct keep_receipt *receipt, struct err *e)
{
    struct memory *m = k;
    struct keep_receipt r = *receipt;
    struct span *const parts[] = {&r.data};
    uint8_t *data = data_copy(parts, COUNT(parts));
    struct held_receipt *x = receipt_find(m, &receipt->hash);

    if (x == NULL && data != NULL)
        x = list_add(&m->receipts, sizeof *x);
    if (x == NULL || data == NULL) {
        free(data);
        return no_memory(e);
    }
    free(x->data);
    *x = (struct held_receipt){r, data};
    return 0;
}

static int memory_receipt_each(void *k, keep_each_receipt *each, void *ctx, struct err *e)
{
    const struct memory *m = k;
    const struct held_receipt *x = m->receipts.at;

    (void)e;
    for (size_t i = 0; i < m->receipts.n; i++)
        if (each(ctx, &x[i].r) != 0)
            return -1;
    return 0;
}

const struct keep_ops keep_memory_ops = {
    .name = "memory",
    .close = memory_close,
    .begin = memory_begin,
    .commit = memory_begin,
    .rollback = memory_rollback,
    .value_get = memory_value_get,
    .value_put = memory_value_put,
    .room_get = memory_room_get,
    .room_put = memory_room_put,
    .room_forget = memory_room_forget,
    .roster_put = memory_roster_put,
    .roster_drop = memory_roster_drop,
    .roster_each = memory_roster_each,
    .entry_put = memory_entry_put,
    .entry_get = memory_entry_get,
    .entry_last = memory_entry_last,
    .entry_first = memory_entry_first,
    .entry_former = memory_entry_former,
    .entries_before = memory_entries_before,
    .entries_since = memory_entries_since,
    .arrival_last = memory_arrival_last,
    .out_put = memory_out_put,
    .out_drop = memory_out_drop,
    .out_each = memory_out_each,
    .cert_put = memory_cert_put,
    .cert_get = memory_cert_get,
    .vouch_put = memory_vouch_put,
    .vouch_get = memory_vouch_get,
    .known_put = memory_known_put,
    .known_each = memory_known_each,
    .receipt_put = memory_receipt_put,
    .receipt_each = memory_receipt_each,
};
