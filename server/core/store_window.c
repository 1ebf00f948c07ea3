#include "server/core/store_window.h"

#include <stdlib.h>
#include <string.h>

#include "common/util/table.h"

struct kept {
    struct store_message row; /* its spans point behind it */
    size_t bytes;
};

struct last { /* of an author: the line, without its body */
    struct hash fp;
    struct kept *message;
    UT_hash_handle hh;
};

struct window {
    struct room_id id;
    struct kept *ring[WINDOW_ENTRIES]; /* number n at n % WINDOW_ENTRIES, first <= n < first + n */
    uint64_t first;
    size_t n, bytes;
    struct hash base; /* head(first - 1) */
    struct last *lasts;
    struct kept **seats; /* who is a member: these outlive the window, in order of number */
    size_t seats_n, seats_cap;
    size_t seats_all, seats_bytes; /* with those in the ring, for which there is place in seats */
    bool tight;                    /* no stay could be forgotten, and no leave came since */
    UT_hash_handle hh;
};

struct windows {
    struct window *rooms;
    size_t bytes; /* of kept messages */
};

void *store_window_new(void)
{
    return calloc(1, sizeof(struct windows));
}

static struct window *find(const struct windows *w, const struct room_id *id)
{
    struct window *r;

    HASH_FIND(hh, w->rooms, id, sizeof *id, r);
    return r;
}

/* --- messages --- */

static void kept_free(struct windows *w, struct kept *k)
{
    if (k == NULL)
        return;
    w->bytes -= k->bytes;
    free(k);
}

static struct kept *kept_new(struct windows *w, const struct store_message *row)
{
    size_t n = row->line.n + row->sig.n + row->body.n + row->why.n;
    struct kept *k = malloc(sizeof *k + n);

    if (k == NULL)
        return NULL;
    struct wr at = wr_of(k + 1, n);
    *k = (struct kept){.row = *row, .bytes = sizeof *k + n};
    k->row.line.p = (const char *)at.buf;
    wr_put(&at, row->line.p, row->line.n);
    k->row.sig.p = at.buf + at.len;
    wr_put(&at, row->sig.p, row->sig.n);
    k->row.body.p = at.buf + at.len;
    if (row->body.n > 0)
        wr_put(&at, row->body.p, row->body.n);
    k->row.why.p = (const char *)at.buf + at.len;
    if (row->why.n > 0)
        wr_put(&at, row->why.p, row->why.n);
    w->bytes += k->bytes;
    return k;
}

static struct kept **place(struct window *r, uint64_t number)
{
    return &r->ring[number % WINDOW_ENTRIES];
}

/* --- joins, leaves and invitations --- */

/* Asked for when the entry comes: what leaves the ring needs no memory. */
static int seat_reserve(struct window *r)
{
    size_t cap = r->seats_cap == 0 ? 8 : 2 * r->seats_cap;

    if (r->seats_all < r->seats_cap)
        return 0;
    struct kept **seats = realloc(r->seats, cap * sizeof *seats);
    if (seats == NULL)
        return -1;
    r->seats = seats;
    r->seats_cap = cap;
    return 0;
}

static void seat_keep(struct window *r, struct kept *k)
{
    r->seats[r->seats_n++] = k;
    if (k->row.leave)
        r->tight = false;
}

static bool invites(const struct kept *k)
{
    return !account_id_same(&k->row.account, &k->row.who);
}

/* Where the stay begins that this leave ends: behind the leave before of its account. */
static size_t stay_start(const struct window *r, size_t leave)
{
    const struct account_id *who = &r->seats[leave]->row.who;
    size_t i = leave;

    while (i > 0 &&
           !(r->seats[i - 1]->row.leave && account_id_same(&r->seats[i - 1]->row.who, who)))
        i--;
    return i;
}

/* A member's join rests on an invitation, and that on the stay in which it was written. */
static bool stay_needed(const struct window *r, size_t from, size_t leave)
{
    for (size_t i = from; i < leave; i++)
        if (invites(r->seats[i]) &&
            account_id_same(&r->seats[i]->row.account, &r->seats[leave]->row.who))
            return true;
    return false;
}

/* Invitation, join and leave of that account alone. */
static void stay_forget(struct windows *w, struct window *r, size_t from, size_t leave)
{
    const struct account_id who = r->seats[leave]->row.who;
    size_t n = from;

    for (size_t i = from; i < r->seats_n; i++) {
        struct kept *k = r->seats[i];
        if (i > leave || !account_id_same(&k->row.who, &who)) {
            r->seats[n++] = k;
            continue;
        }
        r->seats_bytes -= k->bytes;
        r->seats_all--;
        kept_free(w, k);
    }
    r->seats_n = n;
}

/* The oldest one that may go; false: there is none. */
static bool stay_drop(struct windows *w, struct window *r)
{
    for (size_t i = 0; !r->tight && i < r->seats_n; i++) {
        size_t from = r->seats[i]->row.leave ? stay_start(r, i) : i;
        if (r->seats[i]->row.leave && !stay_needed(r, from, i)) {
            stay_forget(w, r, from, i);
            return true;
        }
    }
    r->tight = true;
    return false;
}

static bool seats_over(const struct windows *w, const struct window *r)
{
    return r->seats_all >= ROSTER_ROWS_MAX || r->seats_bytes >= SEATS_BYTES ||
           w->bytes >= EPHEMERAL_BYTES;
}

bool store_window_full(void *db, const struct room_id *room)
{
    struct windows *w = db;
    struct window *r = find(w, room);

    if (r == NULL)
        return w->bytes >= EPHEMERAL_BYTES;
    while (seats_over(w, r))
        if (!stay_drop(w, r))
            return true;
    return false;
}

/* --- the ring --- */

static void oldest_drop(struct windows *w, struct window *r)
{
    struct kept **at = place(r, r->first);

    r->base = (*at)->row.head;
    r->bytes -= (*at)->bytes;
    if ((*at)->row.seats)
        seat_keep(r, *at);
    else
        kept_free(w, *at);
    *at = NULL;
    r->first++;
    r->n--;
}

static struct last *last_get(struct window *r, const struct hash *fp)
{
    struct last *l;

    HASH_FIND(hh, r->lasts, fp, sizeof *fp, l);
    if (l != NULL || (l = calloc(1, sizeof *l)) == NULL)
        return l;
    l->fp = *fp;
    HASH_ADD(hh, r->lasts, fp, sizeof l->fp, l);
    if (HASH_ADDED(hh, l))
        return l;
    free(l);
    return NULL;
}

static int last_set(struct windows *w, struct window *r, const struct store_message *row)
{
    struct store_message bare = *row;

    bare.body = span_of(NULL, 0);
    struct kept *k = kept_new(w, &bare);
    struct last *l = k == NULL ? NULL : last_get(r, &row->fp);
    if (l == NULL) {
        kept_free(w, k);
        return -1;
    }
    kept_free(w, l->message);
    l->message = k;
    return 0;
}

static struct window *window_get(struct windows *w, const struct room_id *id)
{
    struct window *r = find(w, id);

    if (r != NULL || (r = calloc(1, sizeof *r)) == NULL)
        return r;
    r->id = *id;
    r->first = 1;
    HASH_ADD(hh, w->rooms, id, sizeof r->id, r);
    if (HASH_ADDED(hh, r))
        return r;
    free(r);
    return NULL;
}

static int window_message_add(void *db, const struct store_message *row, struct err *e)
{
    struct windows *w = db;
    struct window *r = window_get(w, &row->room);

    if (r != NULL && row->number != r->first + r->n)
        return err_set(e, ERR_DATA, "the store: an ephemeral room has a hole");
    struct kept *k = r == NULL ? NULL : kept_new(w, row);
    if (k == NULL || (row->seats && seat_reserve(r) < 0) || last_set(w, r, row) < 0) {
        kept_free(w, k);
        return err_set(e, ERR_LOCAL, "the store: no memory");
    }
    if (r->n == WINDOW_ENTRIES)
        oldest_drop(w, r);
    *place(r, row->number) = k;
    r->bytes += k->bytes;
    r->n++;
    r->seats_all += row->seats;
    r->seats_bytes += row->seats ? k->bytes : 0;
    while ((r->bytes > WINDOW_BYTES || w->bytes > EPHEMERAL_BYTES) && r->n > 1)
        oldest_drop(w, r);
    return 0;
}

static const struct kept *at_number(struct window *r, uint64_t number)
{
    return r == NULL || number < r->first || number - r->first >= r->n ? NULL : *place(r, number);
}

static int window_message_seq(void *db, const struct room_id *room, const struct hash *fp,
                              uint64_t seq, store_each_message *each, void *ctx, struct err *e)
{
    struct window *r = find(db, room);
    struct last *l = NULL;

    (void)e;
    if (r != NULL)
        HASH_FIND(hh, r->lasts, fp, sizeof *fp, l);
    if (l != NULL && l->message->row.seq == seq)
        return each(ctx, &l->message->row) < 0 ? -1 : 1;
    for (uint64_t n = r == NULL ? 0 : r->n; n-- > 0;) {
        const struct kept *k = at_number(r, r->first + n);
        if (k->row.seq == seq && hash_same(&k->row.fp, fp))
            return each(ctx, &k->row) < 0 ? -1 : 1;
    }
    return 0;
}

static int window_message_last(void *db, const struct room_id *room, const struct hash *fp,
                               store_each_message *each, void *ctx, struct err *e)
{
    struct window *r = find(db, room);
    struct last *l = NULL;

    (void)e;
    if (r != NULL)
        HASH_FIND(hh, r->lasts, fp, sizeof *fp, l);
    if (l == NULL)
        return 0;
    return each(ctx, &l->message->row) < 0 ? -1 : 1;
}

/* The account's message with the highest number below that, among those that are still here. */
static const struct kept *account_below(struct window *r, const struct account_id *a,
                                        uint64_t below)
{
    const struct kept *best = NULL;

    for (uint64_t n = r->first + r->n; n-- > r->first && best == NULL;) {
        const struct kept *k = *place(r, n);
        if (n < below && account_id_same(&k->row.account, a))
            best = k;
    }
    if (best != NULL)
        return best;
    for (const struct last *l = r->lasts; l != NULL; l = l->hh.next) {
        const struct kept *k = l->message;
        if (k->row.number < below && account_id_same(&k->row.account, a) &&
            (best == NULL || k->row.number > best->row.number))
            best = k;
    }
    return best;
}

static int window_message_former(void *db, const struct room_id *room,
                                 const struct account_id *account, store_each_message *each,
                                 void *ctx, struct err *e)
{
    struct window *r = find(db, room);
    uint64_t below = UINT64_MAX;
    const struct kept *k;
    int ret = 0;

    (void)e;
    while (ret == 0 && r != NULL && (k = account_below(r, account, below)) != NULL) {
        struct store_message row = k->row;
        row.body = span_of(NULL, 0);
        row.why = (struct str){NULL, 0};
        below = row.number;
        ret = each(ctx, &row);
    }
    return ret;
}

static int window_message_head(void *db, const struct room_id *room, uint64_t number,
                               struct hash *out, struct err *e)
{
    struct window *r = find(db, room);
    const struct kept *k = at_number(r, number);

    (void)e;
    if (k == NULL && (r == NULL || number + 1 != r->first))
        return 0;
    *out = k != NULL ? k->row.head : r->base;
    return 1;
}

static int window_message_range(void *db, const struct room_id *room, uint64_t first, uint64_t last,
                                store_each_message *each, void *ctx, struct err *e)
{
    struct window *r = find(db, room);
    int ret = 0;

    (void)e;
    for (uint64_t n = first;; n = first <= last ? n + 1 : n - 1) {
        const struct kept *k = at_number(r, n);
        if (k != NULL)
            ret = each(ctx, &k->row);
        if (ret != 0 || n == last)
            return ret;
    }
}

static int window_message_seats(void *db, const struct room_id *room, uint64_t after,
                                store_each_message *each, void *ctx, struct err *e)
{
    struct window *r = find(db, room);
    int ret = 0;

    (void)e;
    for (size_t i = 0; r != NULL && ret == 0 && i < r->seats_n; i++)
        if (r->seats[i]->row.number > after)
            ret = each(ctx, &r->seats[i]->row);
    for (uint64_t n = 0; r != NULL && ret == 0 && n < r->n; n++) {
        const struct kept *k = at_number(r, r->first + n);
        if (k->row.seats && k->row.number > after)
            ret = each(ctx, &k->row);
    }
    return ret;
}

/* --- what the core itself remembers --- */

static int window_room_put(void *db, const struct store_room *row, struct err *e)
{
    (void)db, (void)row, (void)e;
    return 0;
}

static int window_member_put(void *db, const struct store_member *row, struct err *e)
{
    (void)db, (void)row, (void)e;
    return 0;
}

/* --- rooms come and go --- */

uint64_t store_window_first(const void *db, const struct room_id *room)
{
    const struct window *r = find(db, room);
    return r == NULL ? 1 : r->first;
}

size_t store_window_bytes(const void *db)
{
    const struct windows *w = db;
    return w->bytes;
}

static void window_free(struct windows *w, struct window *r)
{
    struct last *l = NULL, *next;

    while (r->n > 0)
        oldest_drop(w, r);
    while (r->seats_n > 0)
        kept_free(w, r->seats[--r->seats_n]);
    free(r->seats);
    HASH_ITER(hh, r->lasts, l, next) {
        HASH_DEL(r->lasts, l);
        kept_free(w, l->message);
        free(l);
    }
    HASH_DEL(w->rooms, r);
    free(r);
}

void store_window_drop(void *db, const struct room_id *room)
{
    struct window *r = find(db, room);

    if (r != NULL)
        window_free(db, r);
}

static void window_close(void *db)
{
    struct windows *w = db;
    struct window *r = NULL, *next;

    if (w == NULL)
        return;
    HASH_ITER(hh, w->rooms, r, next) {
        window_free(w, r);
    }
    free(w);
}

const struct store_ops store_window = {
    .name = "window",
    .close = window_close,
    .room_put = window_room_put,
    .member_put = window_member_put,
    .message_seats = window_message_seats,
    .message_add = window_message_add,
    .message_seq = window_message_seq,
    .message_last = window_message_last,
    .message_former = window_message_former,
    .message_head = window_message_head,
    .message_range = window_message_range,
};
