#include "client/keep_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STORE_APPLICATION = 0x43535443, SEAL_OVER = 24 + AEAD_TAG_LEN }; /* "CSTC" */

/* Step n brings a store of version n to n + 1. Steps are never changed, only added. */
static const char *const migrations[] = {
    /* 0: a new file */
    "CREATE TABLE value (name TEXT PRIMARY KEY, box BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE room (id BLOB PRIMARY KEY, based INT NOT NULL, first INT NOT NULL,"
    " number INT NOT NULL, base BLOB NOT NULL, head BLOB NOT NULL, seq INT NOT NULL,"
    " line BLOB NOT NULL, acked INT NOT NULL, acked_line BLOB NOT NULL, prev BLOB NOT NULL)"
    " WITHOUT ROWID;"
    "CREATE TABLE entry (room BLOB NOT NULL, number INT NOT NULL, time INT NOT NULL,"
    " arrival INT NOT NULL, head BLOB NOT NULL, fp BLOB NOT NULL, seq INT NOT NULL,"
    " line_hash BLOB NOT NULL, account TEXT NOT NULL, line TEXT NOT NULL, sig BLOB NOT NULL,"
    " box BLOB NOT NULL, proven INT NOT NULL, refused TEXT NOT NULL,"
    " PRIMARY KEY (room, number)) WITHOUT ROWID;"
    "CREATE INDEX entry_author ON entry (room, fp, seq) WHERE proven;"
    "CREATE INDEX entry_account ON entry (room, account, number) WHERE refused = '';"
    "CREATE UNIQUE INDEX entry_arrival ON entry (arrival) WHERE arrival > 0;"
    "CREATE TABLE outbox (room BLOB NOT NULL, seq INT NOT NULL, state INT NOT NULL,"
    " line TEXT NOT NULL, sig BLOB NOT NULL, box BLOB NOT NULL, why TEXT NOT NULL,"
    " PRIMARY KEY (room, seq)) WITHOUT ROWID;"
    "CREATE TABLE cert (fp BLOB PRIMARY KEY, account TEXT NOT NULL, device TEXT NOT NULL,"
    " leaf BLOB NOT NULL, issuer BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE vouch (fp BLOB PRIMARY KEY, at INT NOT NULL) WITHOUT ROWID;",
    /* 1: who is a member, as signed entries say it */
    "ALTER TABLE room ADD COLUMN since INT NOT NULL DEFAULT 0;"
    "ALTER TABLE room ADD COLUMN upto INT NOT NULL DEFAULT 0;"
    "CREATE TABLE roster (room BLOB NOT NULL, number INT NOT NULL, box BLOB NOT NULL,"
    " PRIMARY KEY (room, number)) WITHOUT ROWID;"
    "CREATE TABLE known (fp BLOB PRIMARY KEY, box BLOB NOT NULL) WITHOUT ROWID;",
    /* 2: one certificate may be shown as two people's; no row was ever written before */
    "DROP TABLE known;"
    "CREATE TABLE known (account TEXT NOT NULL, fp BLOB NOT NULL, box BLOB NOT NULL,"
    " PRIMARY KEY (account, fp)) WITHOUT ROWID;",
    /* 3: what a room is, so that nobody can say later that it is another */
    "ALTER TABLE room ADD COLUMN kind INT NOT NULL DEFAULT 0;"
    "ALTER TABLE room ADD COLUMN ephemeral INT NOT NULL DEFAULT 0;"
    "ALTER TABLE room ADD COLUMN partner BLOB NOT NULL DEFAULT X'';",
    /* 4: its name, likewise, and whether we asked to be in it: rooms of before were entered */
    "ALTER TABLE room ADD COLUMN name TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE room ADD COLUMN wanted INT NOT NULL DEFAULT 1;",
    /* 5: receipts, in the order in which they were signed */
    "CREATE TABLE receipt (nth INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, room BLOB NOT NULL,"
    " box BLOB NOT NULL);",
};

enum { STORE_VERSION = COUNT(migrations) };

#define ENTRY_COLUMNS                                                                              \
    "room, number, time, arrival, head, fp, seq, line_hash, account, line, sig, box, proven, "     \
    "refused"

/* Every statement of the store: id, text. Prepared once, never built from data. */
#define STATEMENTS(X)                                                                              \
    X(BEGIN, "BEGIN IMMEDIATE")                                                                    \
    X(COMMIT, "COMMIT")                                                                            \
    X(ROLLBACK, "ROLLBACK")                                                                        \
    X(VALUE_GET, "SELECT box FROM value WHERE name = ?1")                                          \
    X(VALUE_PUT, "INSERT OR REPLACE INTO value VALUES (?1, ?2)")                                   \
    X(ROOM_GET, "SELECT * FROM room WHERE id = ?1")                                                \
    X(ROOM_PUT, "INSERT OR REPLACE INTO room VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,"      \
                "?13,?14,?15,?16,?17,?18)")                                                        \
    X(ROSTER_PUT, "INSERT OR REPLACE INTO roster VALUES (?1,?2,?3)")                               \
    X(ROSTER_DROP, "DELETE FROM roster WHERE room = ?1 AND number = ?2")                           \
    X(ROSTER_EACH, "SELECT number, box FROM roster WHERE room = ?1 ORDER BY number")               \
    X(ENTRY_PUT, "INSERT OR IGNORE INTO entry VALUES (?1,?2,?3,"                                   \
                 " CASE ?4 WHEN 0 THEN 0 ELSE (SELECT coalesce(max(arrival), 0) + 1 FROM entry"    \
                 " WHERE arrival > 0) END, ?5,?6,?7,?8,?9,?10,?11,?12,?13,?14)")                   \
    X(ENTRY_GET, "SELECT " ENTRY_COLUMNS " FROM entry WHERE room = ?1 AND number = ?2")            \
    X(ENTRY_LAST, "SELECT " ENTRY_COLUMNS " FROM entry WHERE room = ?1 AND fp = ?2"                \
                  " AND proven ORDER BY seq DESC LIMIT 1")                                         \
    X(ENTRY_FIRST, "SELECT " ENTRY_COLUMNS " FROM entry WHERE room = ?1 AND fp = ?2"               \
                   " AND proven AND number >= ?3 ORDER BY seq LIMIT 1")                            \
    X(ENTRY_FORMER, "SELECT " ENTRY_COLUMNS " FROM entry WHERE room = ?1 AND fp <> ?2"             \
                    " AND account = ?3 AND number < ?4 AND refused = ''"                           \
                    " ORDER BY number DESC LIMIT 1")                                               \
    X(ENTRIES_BEFORE, "SELECT * FROM (SELECT " ENTRY_COLUMNS " FROM entry WHERE room = ?1"         \
                      " AND number < ?2 ORDER BY number DESC LIMIT ?3) ORDER BY number")           \
    X(ENTRIES_SINCE, "SELECT " ENTRY_COLUMNS " FROM entry WHERE arrival > ?1 AND arrival > 0"      \
                     " ORDER BY arrival")                                                          \
    X(ARRIVAL_LAST, "SELECT coalesce(max(arrival), 0) FROM entry WHERE arrival > 0")               \
    X(OUT_PUT, "INSERT OR REPLACE INTO outbox VALUES (?1,?2,?3,?4,?5,?6,?7)")                      \
    X(OUT_DROP, "DELETE FROM outbox WHERE room = ?1 AND seq = ?2")                                 \
    X(FORGET_ROSTER, "DELETE FROM roster WHERE room = ?1")                                         \
    X(FORGET_OUTS, "DELETE FROM outbox WHERE room = ?1")                                           \
    X(FORGET_ENTRIES, "DELETE FROM entry WHERE room = ?1"                                          \
                      " AND arrival <> (SELECT max(arrival) FROM entry)")                          \
    X(FORGET_LAST, "UPDATE entry SET fp = zeroblob(32), account = '', line = '', sig = X'',"       \
                   " box = X'', proven = 0, refused = 'forgotten' WHERE room = ?1")                \
    X(OUT_EACH, "SELECT * FROM outbox ORDER BY room, seq")                                         \
    X(CERT_PUT, "INSERT OR IGNORE INTO cert VALUES (?1,?2,?3,?4,?5)")                              \
    X(CERT_GET, "SELECT * FROM cert WHERE fp = ?1")                                                \
    X(VOUCH_PUT, "INSERT OR REPLACE INTO vouch VALUES (?1,?2)")                                    \
    X(VOUCH_GET, "SELECT * FROM vouch WHERE fp = ?1")                                              \
    X(KNOWN_PUT, "INSERT OR REPLACE INTO known VALUES (?1,?2,?3)")                                 \
    X(KNOWN_EACH, "SELECT * FROM known")                                                           \
    X(RECEIPT_PUT, "INSERT INTO receipt (hash, room, box) VALUES (?1,?2,?3)"                       \
                   " ON CONFLICT (hash) DO UPDATE SET box = ?3")                                   \
    X(RECEIPT_EACH, "SELECT hash, room, box FROM receipt ORDER BY nth")

#define X(id, text) S_##id,
enum statement { STATEMENTS(X) S_COUNT };
#undef X

#define X(id, text) [S_##id] = text,
static const char *const statement_text[] = {STATEMENTS(X)};
#undef X

struct disk {
    sqlite3 *db;
    sqlite3_stmt *st[S_COUNT];
    struct key key;
    struct rng rng;
    struct buf opened; /* the body last given out */
};

static int disk_fail(struct disk *d, struct err *e)
{
    int code = d->db == NULL ? SQLITE_NOMEM : sqlite3_errcode(d->db);
    bool damaged = code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
    return err_set(e, damaged ? ERR_DATA : ERR_IO, "the store: %s",
                   d->db == NULL ? "no memory" : sqlite3_errmsg(d->db));
}

/* --- sealing: nonce, box; the row is bound in as associated data --- */

struct place { /* where a box belongs: it opens nowhere else */
    char table;
    const struct room_id *room;
    uint64_t number;
    const char *name;
};

static struct span place_put(const struct place *at, uint8_t out[128])
{
    struct wr w = wr_of(out, 128);

    wr_u8(&w, (uint8_t)at->table);
    wr_u64(&w, at->number);
    if (at->room != NULL)
        wr_put(&w, at->room->b, sizeof at->room->b);
    if (at->name != NULL)
        wr_put(&w, at->name, strlen(at->name));
    return wr_span(&w);
}

/* The sealed form in memory of the caller's to free; NULL and e. Nothing stays nothing. */
static uint8_t *box_seal(struct disk *d, const struct place *at, struct span plain, size_t *n,
                         struct err *e)
{
    uint8_t aad[128];
    uint8_t *box = malloc(plain.n + SEAL_OVER);

    *n = plain.n + SEAL_OVER;
    if (box == NULL || rng_fill(&d->rng, box, 24) < 0 ||
        aead_seal(AEAD_XCHACHA20_POLY1305, &d->key, box, place_put(at, aad), plain, box + 24) < 0) {
        free(box);
        err_set(e, ERR_LOCAL, "the store: cannot seal");
        return NULL;
    }
    return box;
}

/* Opens into d->opened; what is in it already stays before. */
static int box_open(struct disk *d, const struct place *at, struct span box, struct span *plain,
                    struct err *e)
{
    uint8_t aad[128];

    buf_drop(&d->opened, d->opened.len);
    if (box.n < SEAL_OVER)
        return err_set(e, ERR_DATA, "the store: a sealed value is too short");
    uint8_t *to = buf_room(&d->opened, box.n - SEAL_OVER + 1);
    if (to == NULL)
        return err_set(e, ERR_OS, "no memory");
    if (aead_open(AEAD_XCHACHA20_POLY1305, &d->key, box.p, place_put(at, aad),
                  span_of(box.p + 24, box.n - 24), to) < 0)
        return err_set(e, ERR_DATA, "the store: a sealed value was changed, or the key is another");
    *plain = span_of(to, box.n - SEAL_OVER);
    return 0;
}

/* --- statements --- */

static sqlite3_stmt *stmt(struct disk *d, enum statement id)
{
    sqlite3_reset(d->st[id]);
    sqlite3_clear_bindings(d->st[id]);
    return d->st[id];
}

static void bind_span(sqlite3_stmt *s, int at, struct span v)
{
    sqlite3_bind_blob64(s, at, v.n == 0 ? "" : (const char *)v.p, v.n, SQLITE_STATIC);
}

static void bind_room(sqlite3_stmt *s, int at, const struct room_id *id)
{
    bind_span(s, at, span_of(id->b, sizeof id->b));
}

static void bind_hash(sqlite3_stmt *s, int at, const struct hash *h)
{
    bind_span(s, at, span_of(h->b, sizeof h->b));
}

static void bind_str(sqlite3_stmt *s, int at, struct str v)
{
    sqlite3_bind_text64(s, at, v.n == 0 ? "" : v.p, v.n, SQLITE_STATIC, SQLITE_UTF8);
}

static void bind_u64(sqlite3_stmt *s, int at, uint64_t v)
{
    sqlite3_bind_int64(s, at, (sqlite3_int64)v);
}

static struct span col_span(sqlite3_stmt *s, int at)
{
    const void *p = sqlite3_column_blob(s, at);
    return span_of(p, (size_t)sqlite3_column_bytes(s, at));
}

static struct str col_str(sqlite3_stmt *s, int at)
{
    const void *p = sqlite3_column_text(s, at);
    return str_from(p, (size_t)sqlite3_column_bytes(s, at));
}

static uint64_t col_u64(sqlite3_stmt *s, int at)
{
    return (uint64_t)sqlite3_column_int64(s, at);
}

/* A value of this size; of another one, zeros. */
static void col_exact(sqlite3_stmt *s, int at, void *out, size_t n)
{
    struct span v = col_span(s, at);

    if (v.n == n)
        memcpy(out, v.p, n);
}

static struct hash col_hash(sqlite3_stmt *s, int at)
{
    struct hash h = {{0}};

    col_exact(s, at, h.b, sizeof h.b);
    return h;
}

static struct room_id col_room(sqlite3_stmt *s, int at)
{
    struct room_id id = {{0}};

    col_exact(s, at, id.b, sizeof id.b);
    return id;
}

static struct account_id col_account(sqlite3_stmt *s, int at)
{
    struct account_id id = {{0}};

    col_exact(s, at, id.b, sizeof id.b);
    return id;
}

/* Runs a statement that gives no row. */
static int run(struct disk *d, sqlite3_stmt *s, struct err *e)
{
    int rc = sqlite3_step(s);

    sqlite3_reset(s);
    return rc == SQLITE_DONE ? 0 : disk_fail(d, e);
}

/* 1 a row, 0 none, -1. The row stays until the statement is used again. */
static int row(struct disk *d, sqlite3_stmt *s, struct err *e)
{
    int rc = sqlite3_step(s);

    if (rc == SQLITE_ROW)
        return 1;
    sqlite3_reset(s);
    return rc == SQLITE_DONE ? 0 : disk_fail(d, e);
}

/* --- operations --- */

static int disk_begin(void *k, struct err *e)
{
    return run(k, stmt(k, S_BEGIN), e);
}

static int disk_commit(void *k, struct err *e)
{
    return run(k, stmt(k, S_COMMIT), e);
}

static void disk_rollback(void *k)
{
    struct err e = {0};
    (void)!run(k, stmt(k, S_ROLLBACK), &e);
}

static int disk_value_get(void *k, const char *name, struct buf *out, struct err *e)
{
    struct disk *d = k;
    struct span plain;
    sqlite3_stmt *s = stmt(d, S_VALUE_GET);

    bind_str(s, 1, str_of(name));
    int found = row(d, s, e);
    if (found == 1 &&
        box_open(d, &(struct place){'v', NULL, 0, name}, col_span(s, 0), &plain, e) < 0)
        found = -1;
    sqlite3_reset(s);
    if (found == 1 && buf_add(out, plain.p, plain.n) < 0)
        return err_set(e, ERR_OS, "no memory");
    return found;
}

static int disk_value_put(void *k, const char *name, struct span value, struct err *e)
{
    struct disk *d = k;
    size_t n;
    uint8_t *box = box_seal(d, &(struct place){'v', NULL, 0, name}, value, &n, e);
    sqlite3_stmt *s = stmt(d, S_VALUE_PUT);

    if (box == NULL)
        return -1;
    bind_str(s, 1, str_of(name));
    bind_span(s, 2, span_of(box, n));
    int ret = run(d, s, e);
    free(box);
    return ret;
}

static int disk_room_get(void *k, const struct room_id *id, struct keep_room *out, struct err *e)
{
    sqlite3_stmt *s = stmt(k, S_ROOM_GET);

    bind_room(s, 1, id);
    int found = row(k, s, e);
    if (found == 1)
        *out = (struct keep_room){
            .id = *id,
            .based = col_u64(s, 1) != 0,
            .first = col_u64(s, 2),
            .number = col_u64(s, 3),
            .base = col_hash(s, 4),
            .head = col_hash(s, 5),
            .seq = col_u64(s, 6),
            .line = col_hash(s, 7),
            .acked = col_u64(s, 8),
            .acked_line = col_hash(s, 9),
            .prev = col_hash(s, 10),
            .since = col_u64(s, 11),
            .upto = col_u64(s, 12),
            .kind = (enum keep_kind)col_u64(s, 13),
            .ephemeral = col_u64(s, 14) != 0,
            .with = col_account(s, 15),
            .wanted = col_u64(s, 17) != 0,
        };
    if (found == 1)
        found = str_copy(out->name, sizeof out->name, col_str(s, 16)) < 0
                    ? err_set(e, ERR_DATA, "the store: a room's name is too long")
                    : 1;
    sqlite3_reset(s);
    return found;
}

static int disk_room_put(void *k, const struct keep_room *r, struct err *e)
{
    sqlite3_stmt *s = stmt(k, S_ROOM_PUT);

    bind_room(s, 1, &r->id);
    bind_u64(s, 2, r->based);
    bind_u64(s, 3, r->first);
    bind_u64(s, 4, r->number);
    bind_hash(s, 5, &r->base);
    bind_hash(s, 6, &r->head);
    bind_u64(s, 7, r->seq);
    bind_hash(s, 8, &r->line);
    bind_u64(s, 9, r->acked);
    bind_hash(s, 10, &r->acked_line);
    bind_hash(s, 11, &r->prev);
    bind_u64(s, 12, r->since);
    bind_u64(s, 13, r->upto);
    bind_u64(s, 14, r->kind);
    bind_u64(s, 15, r->ephemeral);
    bind_span(s, 16, span_of(r->with.b, sizeof r->with.b));
    bind_str(s, 17, str_of(r->name));
    bind_u64(s, 18, r->wanted);
    return run(k, s, e);
}

static int disk_room_forget(void *k, const struct room_id *id, struct err *e)
{
    static const int all[] = {S_FORGET_OUTS, S_FORGET_ENTRIES, S_FORGET_LAST, S_FORGET_ROSTER};
    int ret = 0;

    for (size_t i = 0; i < COUNT(all) && ret == 0; i++) {
        sqlite3_stmt *s = stmt(k, all[i]);
        bind_room(s, 1, id);
        ret = run(k, s, e);
    }
    return ret;
}

/* A row of a roster as it is sealed: fields of fixed width, then the two names. */
static void row_pack(const struct roster_row *row, struct wr *w)
{
    wr_u8(w, row->invitation);
    wr_put(w, row->account.b, sizeof row->account.b);
    wr_put(w, row->fp.b, sizeof row->fp.b);
    wr_put(w, row->line.b, sizeof row->line.b);
    wr_u64(w, row->from);
    wr_u64(w, row->end);
    wr_u64(w, row->at);
    wr_put(w, row->roster.b, sizeof row->roster.b);
    wr_u8(w, (uint8_t)strlen(row->name));
    wr_put(w, row->name, strlen(row->name));
    wr_u8(w, (uint8_t)strlen(row->by));
    wr_put(w, row->by, strlen(row->by));
}

static void rd_bytes(struct rd *r, void *out, size_t n)
{
    const uint8_t *p = rd_take(r, n);

    if (p != NULL)
        memcpy(out, p, n);
}

static void rd_name(struct rd *r, char out[NAME_MAX_LEN + 1])
{
    size_t n = rd_u8(r);
    const uint8_t *p = rd_take(r, n);

    if (p == NULL || str_copy(out, NAME_MAX_LEN + 1, str_from(p, n)) < 0)
        r->bad = true;
}

static int row_unpack(struct roster_row *row, struct span box, struct err *e)
{
    struct rd r = rd_of(box);

    row->invitation = rd_u8(&r) != 0;
    rd_bytes(&r, row->account.b, sizeof row->account.b);
    rd_bytes(&r, row->fp.b, sizeof row->fp.b);
    rd_bytes(&r, row->line.b, sizeof row->line.b);
    row->from = rd_u64(&r);
    row->end = rd_u64(&r);
    row->at = rd_u64(&r);
    rd_bytes(&r, row->roster.b, sizeof row->roster.b);
    rd_name(&r, row->name);
    rd_name(&r, row->by);
    return rd_done(&r) ? 0 : err_set(e, ERR_DATA, "the store: a member's row is damaged");
}

static int disk_roster_put(void *k, const struct room_id *room, const struct roster_row *row,
                           struct err *e)
{
    struct disk *d = k;
    uint8_t plain[sizeof *row];
    struct wr w = wr_of(plain, sizeof plain);
    size_t n;

    row_pack(row, &w);
    uint8_t *box = box_seal(d, &(struct place){'m', room, row->number, NULL}, wr_span(&w), &n, e);
    sqlite3_stmt *s = stmt(d, S_ROSTER_PUT);
    if (box == NULL)
        return -1;
    bind_room(s, 1, room);
    bind_u64(s, 2, row->number);
    bind_span(s, 3, span_of(box, n));
    int ret = run(d, s, e);
    free(box);
    return ret;
}

static int disk_roster_drop(void *k, const struct room_id *room, uint64_t number, struct err *e)
{
    sqlite3_stmt *s = stmt(k, S_ROSTER_DROP);

    bind_room(s, 1, room);
    bind_u64(s, 2, number);
    return run(k, s, e);
}

static int disk_roster_each(void *k, const struct room_id *room, keep_each_row *each, void *ctx,
                            struct err *e)
{
    sqlite3_stmt *s = stmt(k, S_ROSTER_EACH);
    int found, ret = 0;

    bind_room(s, 1, room);
    while (ret == 0 && (found = row(k, s, e)) != 0) {
        struct roster_row got = {.number = found < 0 ? 0 : col_u64(s, 0)};
        struct span plain;
        ret = found < 0 ||
                      box_open(k, &(struct place){'m', room, got.number, NULL}, col_span(s, 1),
                               &plain, e) < 0 ||
                      row_unpack(&got, plain, e) < 0
                  ? -1
                  : each(ctx, &got);
    }
    sqlite3_reset(s);
    return ret;
}

static int disk_entry_put(void *k, const struct keep_entry *t, bool news, struct err *e)
{
    struct disk *d = k;
    size_t n = 0;
    uint8_t *box = NULL;
    sqlite3_stmt *s = stmt(d, S_ENTRY_PUT);

    if (t->body.n > 0) {
        box = box_seal(d, &(struct place){'e', &t->room, t->number, NULL}, t->body, &n, e);
        if (box == NULL)
            return -1;
    }
    bind_room(s, 1, &t->room);
    bind_u64(s, 2, t->number);
    bind_u64(s, 3, t->time);
    bind_u64(s, 4, news);
    bind_hash(s, 5, &t->head);
    bind_hash(s, 6, &t->fp);
    bind_u64(s, 7, t->seq);
    bind_hash(s, 8, &t->line_hash);
    bind_str(s, 9, t->account);
    bind_str(s, 10, t->line);
    bind_span(s, 11, t->sig);
    bind_span(s, 12, span_of(box, n));
    bind_u64(s, 13, t->proven);
    bind_str(s, 14, t->refused);
    int ret = run(d, s, e);
    free(box);
    return ret;
}

static int entry_of(struct disk *d, sqlite3_stmt *s, struct keep_entry *t, struct err *e)
{
    struct span box = col_span(s, 11);

    *t = (struct keep_entry){
        .room = col_room(s, 0),
        .number = col_u64(s, 1),
        .time = col_u64(s, 2),
        .arrival = col_u64(s, 3),
        .head = col_hash(s, 4),
        .fp = col_hash(s, 5),
        .seq = col_u64(s, 6),
        .line_hash = col_hash(s, 7),
        .account = col_str(s, 8),
        .line = col_str(s, 9),
        .sig = col_span(s, 10),
        .proven = col_u64(s, 12) != 0,
        .refused = col_str(s, 13),
    };
    if (box.n == 0)
        return 0;
    return box_open(d, &(struct place){'e', &t->room, t->number, NULL}, box, &t->body, e);
}

/* The one entry that a bound statement finds. Its spans live until the statement runs again. */
static int entry_one(struct disk *d, sqlite3_stmt *s, struct keep_entry *out, struct err *e)
{
    int found = row(d, s, e);

    return found == 1 && entry_of(d, s, out, e) < 0 ? -1 : found;
}

static int disk_entry_get(void *k, const struct room_id *room, uint64_t number,
                          struct keep_entry *out, struct err *e)
{
    sqlite3_stmt *s = stmt(k, S_ENTRY_GET);

    bind_room(s, 1, room);
    bind_u64(s, 2, number);
    return entry_one(k, s, out, e);
}

static int disk_entry_last(void *k, const struct room_id *room, const struct hash *fp,
                           struct keep_entry *out, struct err *e)
{
    sqlite3_stmt *s = stmt(k, S_ENTRY_LAST);

    bind_room(s, 1, room);
    bind_hash(s, 2, fp);
    return entry_one(k, s, out, e);
}

static int disk_entry_first(void *k, const struct room_id *room, const struct hash *fp,
                            uint64_t from, struct keep_entry *out, struct err *e)
{
    sqlite3_stmt *s = stmt(k, S_ENTRY_FIRST);

    bind_room(s, 1, room);
    bind_hash(s, 2, fp);
    bind_u64(s, 3, from);
    return entry_one(k, s, out, e);
}

static int disk_entry_former(void *k, const struct room_id *room, struct str account,
                             const struct hash *fp, uint64_t below, struct keep_entry *out,
                             struct err *e)
{
    sqlite3_stmt *s = stmt(k, S_ENTRY_FORMER);

    bind_room(s, 1, room);
    bind_hash(s, 2, fp);
    bind_str(s, 3, account);
    bind_u64(s, 4, below > INT64_MAX ? INT64_MAX : below);
    return entry_one(k, s, out, e);
}

static int entries_walk(struct disk *d, sqlite3_stmt *s, keep_each_entry *each, void *ctx,
                        struct err *e)
{
    struct keep_entry t;
    int found, ret = 0;

    while (ret == 0 && (found = row(d, s, e)) != 0)
        ret = found < 0 || entry_of(d, s, &t, e) < 0 ? -1 : each(ctx, &t);
    sqlite3_reset(s);
    return ret;
}

static int disk_entries_before(void *k, const struct room_id *room, uint64_t before, unsigned count,
                               keep_each_entry *each, void *ctx, struct err *e)
{
    sqlite3_stmt *s = stmt(k, S_ENTRIES_BEFORE);

    bind_room(s, 1, room);
    bind_u64(s, 2, before > INT64_MAX ? INT64_MAX : before);
    bind_u64(s, 3, count);
    return entries_walk(k, s, each, ctx, e);
}

static int disk_entries_since(void *k, uint64_t arrival, keep_each_entry *each, void *ctx,
                              struct err *e)
{
    sqlite3_stmt *s = stmt(k, S_ENTRIES_SINCE);

    bind_u64(s, 1, arrival);
    return entries_walk(k, s, each, ctx, e);
}

static int disk_arrival_last(void *k, uint64_t *out, struct err *e)
{
    sqlite3_stmt *s = stmt(k, S_ARRIVAL_LAST);
    int found = row(k, s, e);

    if (found == 1)
        *out = col_u64(s, 0);
    sqlite3_reset(s);
    return found == 1 ? 0 : -1;
}

static int disk_out_put(void *k, const struct keep_out *o, struct err *e)
{
    struct disk *d = k;
    size_t n;
    uint8_t *box = box_seal(d, &(struct place){'o', &o->room, o->seq, NULL}, o->body, &n, e);
    sqlite3_stmt *s = stmt(d, S_OUT_PUT);

    if (box == NULL)
        return -1;
    bind_room(s, 1, &o->room);
    bind_u64(s, 2, o->seq);
    bind_u64(s, 3, o->state);
    bind_str(s, 4, o->line);
    bind_span(s, 5, o->sig);
    bind_span(s, 6, span_of(box, n));
    bind_str(s, 7, o->why);
    int ret = run(d, s, e);
    free(box);
    return ret;
}

static int disk_out_drop(void *k, const struct room_id *room, uint64_t seq, struct err *e)
{
    sqlite3_stmt *s = stmt(k, S_OUT_DROP);

    bind_room(s, 1, room);
    bind_u64(s, 2, seq);
    return run(k, s, e);
}

static int out_of(struct disk *d, sqlite3_stmt *s, struct keep_out *o, struct err *e)
{
    *o = (struct keep_out){
        .room = col_room(s, 0),
        .seq = col_u64(s, 1),
        .state = (enum keep_state)col_u64(s, 2),
        .line = col_str(s, 3),
        .sig = col_span(s, 4),
        .why = col_str(s, 6),
    };
    return box_open(d, &(struct place){'o', &o->room, o->seq, NULL}, col_span(s, 5), &o->body, e);
}

static int disk_out_each(void *k, keep_each_out *each, void *ctx, struct err *e)
{
    struct keep_out o;
    sqlite3_stmt *s = stmt(k, S_OUT_EACH);
    int found, ret = 0;

    while (ret == 0 && (found = row(k, s, e)) != 0)
        ret = found < 0 || out_of(k, s, &o, e) < 0 ? -1 : each(ctx, &o);
    sqlite3_reset(s);
    return ret;
}

static int disk_cert_put(void *k, const struct keep_cert *c, struct err *e)
{
    sqlite3_stmt *s = stmt(k, S_CERT_PUT);

    bind_hash(s, 1, &c->fp);
    bind_str(s, 2, c->account);
    bind_str(s, 3, c->device);
    bind_span(s, 4, c->leaf);
    bind_span(s, 5, c->issuer);
    return run(k, s, e);
}

static int disk_cert_get(void *k, const struct hash *fp, struct keep_cert *out, struct err *e)
{
    sqlite3_stmt *s = stmt(k, S_CERT_GET);

    bind_hash(s, 1, fp);
    int found = row(k, s, e);
    if (found == 1)
        *out =
            (struct keep_cert){*fp, col_str(s, 1), col_str(s, 2), col_span(s, 3), col_span(s, 4)};
    return found;
}

static int disk_vouch_put(void *k, const struct keep_vouch *v, struct err *e)
{
    sqlite3_stmt *s = stmt(k, S_VOUCH_PUT);

    bind_hash(s, 1, &v->fp);
    sqlite3_bind_int64(s, 2, v->at_ms);
    return run(k, s, e);
}

static int disk_vouch_get(void *k, const struct hash *fp, struct keep_vouch *out, struct err *e)
{
    sqlite3_stmt *s = stmt(k, S_VOUCH_GET);

    bind_hash(s, 1, fp);
    int found = row(k, s, e);
    if (found == 1)
        *out = (struct keep_vouch){*fp, sqlite3_column_int64(s, 1)};
    sqlite3_reset(s);
    return found;
}

/* Bound to its row: by the fingerprint, and by the account that is in the box too. */
static int disk_known_put(void *k, const struct keep_known *x, struct err *e)
{
    struct disk *d = k;
    uint8_t plain[1 + 8 + NAME_MAX_LEN];
    struct wr w = wr_of(plain, sizeof plain);
    char hex[2 * HASH_LEN + 1];
    size_t n;

    hex_put(hex, span_of(x->fp.b, sizeof x->fp.b));
    wr_u8(&w, (uint8_t)x->state);
    wr_put(&w, x->account.p, x->account.n);
    if (wr_span(&w).n == 0)
        return err_set(e, ERR_DATA, "a member's name is too long");
    uint8_t *box = box_seal(d, &(struct place){'k', NULL, 0, hex}, wr_span(&w), &n, e);
    sqlite3_stmt *s = stmt(d, S_KNOWN_PUT);
    if (box == NULL)
        return -1;
    bind_str(s, 1, x->account);
    bind_hash(s, 2, &x->fp);
    bind_span(s, 3, span_of(box, n));
    int ret = run(d, s, e);
    free(box);
    return ret;
}

static int known_of(struct disk *d, sqlite3_stmt *s, struct keep_known *x, struct err *e)
{
    char hex[2 * HASH_LEN + 1];
    struct span plain;

    *x = (struct keep_known){.fp = col_hash(s, 1), .account = col_str(s, 0)};
    hex_put(hex, span_of(x->fp.b, sizeof x->fp.b));
    if (box_open(d, &(struct place){'k', NULL, 0, hex}, col_span(s, 2), &plain, e) < 0)
        return -1;
    if (plain.n < 2 || plain.p[0] < KEEP_NEW || plain.p[0] > KEEP_GONE ||
        !str_same(x->account, str_from((const char *)plain.p + 1, plain.n - 1)))
        return err_set(e, ERR_DATA, "the store: a known certificate's row is damaged");
    x->state = (enum keep_known_state)plain.p[0];
    return 0;
}

static int disk_known_each(void *k, keep_each_known *each, void *ctx, struct err *e)
{
    sqlite3_stmt *s = stmt(k, S_KNOWN_EACH);
    struct keep_known x;
    int found, ret = 0;

    while (ret == 0 && (found = row(k, s, e)) != 0)
        ret = found < 0 || known_of(k, s, &x, e) < 0 ? -1 : each(ctx, &x);
    sqlite3_reset(s);
    return ret;
}

/* --- receipts --- */

static int disk_receipt_put(void *k, const struct keep_receipt *x, struct err *e)
{
    struct disk *d = k;
    char hex[2 * HASH_LEN + 1];
    size_t n;

    hex_put(hex, span_of(x->hash.b, sizeof x->hash.b));
    uint8_t *box = box_seal(d, &(struct place){'s', &x->room, 0, hex}, x->data, &n, e);
    sqlite3_stmt *s = stmt(d, S_RECEIPT_PUT);
    if (box == NULL)
        return -1;
    bind_hash(s, 1, &x->hash);
    bind_room(s, 2, &x->room);
    bind_span(s, 3, span_of(box, n));
    int ret = run(d, s, e);
    free(box);
    return ret;
}

static int receipt_of(struct disk *d, sqlite3_stmt *s, struct keep_receipt *x, struct err *e)
{
    char hex[2 * HASH_LEN + 1];

    *x = (struct keep_receipt){.hash = col_hash(s, 0), .room = col_room(s, 1)};
    hex_put(hex, span_of(x->hash.b, sizeof x->hash.b));
    return box_open(d, &(struct place){'s', &x->room, 0, hex}, col_span(s, 2), &x->data, e);
}

static int disk_receipt_each(void *k, keep_each_receipt *each, void *ctx, struct err *e)
{
    sqlite3_stmt *s = stmt(k, S_RECEIPT_EACH);
    struct keep_receipt x;
    int found, ret = 0;

    while (ret == 0 && (found = row(k, s, e)) != 0)
        ret = found < 0 || receipt_of(k, s, &x, e) < 0 ? -1 : each(ctx, &x);
    sqlite3_reset(s);
    return ret;
}

/* --- opening --- */

static void disk_close(void *k)
{
    struct disk *d = k;

    if (d == NULL)
        return;
    for (size_t i = 0; i < S_COUNT; i++)
        sqlite3_finalize(d->st[i]);
    sqlite3_close(d->db);
    buf_free(&d->opened);
    key_wipe(&d->key);
    free(d);
}

/* The file exists with 0600 before SQLite opens it; its -wal and -shm take the same mode. */
static int file_make(const char *path, struct err *e)
{
    struct stat st;
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return err_set(e, ERR_CREATE, "%s: %s", path, strerror(errno));
    int rc = fstat(fd, &st);
    close(fd);
    if (rc < 0 || !S_ISREG(st.st_mode))
        return err_set(e, ERR_CREATE, "%s: not a regular file", path);
    if ((st.st_mode & 077) != 0)
        return err_set(e, ERR_AUTH, "%s may be read by others; run: chmod 600 %s", path, path);
    return 0;
}

static int pragma_number(struct disk *d, const char *text, int64_t *out, struct err *e)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(d->db, text, -1, &s, NULL);

    if (rc == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW) {
        *out = sqlite3_column_int64(s, 0);
        sqlite3_finalize(s);
        return 0;
    }
    sqlite3_finalize(s);
    return disk_fail(d, e);
}

static int exec(struct disk *d, const char *text, struct err *e)
{
    return sqlite3_exec(d->db, text, NULL, NULL, NULL) == SQLITE_OK ? 0 : disk_fail(d, e);
}

static int migrate(struct disk *d, int64_t from, struct err *e)
{
    char text[64];

    if (exec(d, "BEGIN IMMEDIATE", e) < 0)
        return -1;
    for (int64_t v = from; v < STORE_VERSION; v++)
        if (exec(d, migrations[v], e) < 0)
            return -1;
    snprintf(text, sizeof text, "PRAGMA application_id = %d", (int)STORE_APPLICATION);
    if (exec(d, text, e) < 0)
        return -1;
    snprintf(text, sizeof text, "PRAGMA user_version = %d", (int)STORE_VERSION);
    return exec(d, text, e) < 0 || exec(d, "COMMIT", e) < 0 ? -1 : 0;
}

/* An empty file becomes a store; anything else must be one of ours and not newer than we are. */
static int schema_ready(struct disk *d, const char *path, struct err *e)
{
    int64_t app = 0, version = 0, tables = 0;

    if (pragma_number(d, "PRAGMA application_id", &app, e) < 0 ||
        pragma_number(d, "PRAGMA user_version", &version, e) < 0 ||
        pragma_number(d, "SELECT count(*) FROM sqlite_master", &tables, e) < 0)
        return err_in(e, "%s", path);
    if (tables == 0 && app == 0 && version == 0)
        return migrate(d, 0, e);
    if (app != STORE_APPLICATION || version < 1)
        return err_set(e, ERR_DATA, "%s is a database of another program: move it away", path);
    if (version > STORE_VERSION)
        return err_set(e, ERR_DATA, "%s was written by a newer countersign: upgrade", path);
    return version < STORE_VERSION ? migrate(d, version, e) : 0;
}

void *keep_sqlite_open(const char *path, const struct key *key, const struct rng *rng,
                       struct err *e)
{
    struct disk *d = calloc(1, sizeof *d);

    if (d == NULL) {
        err_set(e, ERR_OS, "no memory");
        return NULL;
    }
    d->key = *key;
    d->rng = *rng;
    buf_init(&d->opened, BODY_MAX + 64 * 1024);
    if (file_make(path, e) < 0)
        goto fail;
    if (sqlite3_open_v2(path, &d->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW, NULL) !=
        SQLITE_OK) {
        disk_fail(d, e);
        goto fail;
    }
    sqlite3_busy_timeout(d->db, 5000);
    if (exec(d,
             "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;"
             "PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF",
             e) < 0 ||
        schema_ready(d, path, e) < 0)
        goto fail;
    for (size_t i = 0; i < S_COUNT; i++)
        if (sqlite3_prepare_v3(d->db, statement_text[i], -1, SQLITE_PREPARE_PERSISTENT, &d->st[i],
                               NULL) != SQLITE_OK) {
            disk_fail(d, e);
            goto fail;
        }
    return d;
fail:
    disk_close(d);
    return NULL;
}

const struct keep_ops keep_sqlite_ops = {
    .name = "sqlite",
    .close = disk_close,
    .begin = disk_begin,
    .commit = disk_commit,
    .rollback = disk_rollback,
    .value_get = disk_value_get,
    .value_put = disk_value_put,
    .room_get = disk_room_get,
    .room_put = disk_room_put,
    .room_forget = disk_room_forget,
    .roster_put = disk_roster_put,
    .roster_drop = disk_roster_drop,
    .roster_each = disk_roster_each,
    .entry_put = disk_entry_put,
    .entry_get = disk_entry_get,
    .entry_last = disk_entry_last,
    .entry_first = disk_entry_first,
    .entry_former = disk_entry_former,
    .entries_before = disk_entries_before,
    .entries_since = disk_entries_since,
    .arrival_last = disk_arrival_last,
    .out_put = disk_out_put,
    .out_drop = disk_out_drop,
    .out_each = disk_out_each,
    .cert_put = disk_cert_put,
    .cert_get = disk_cert_get,
    .vouch_put = disk_vouch_put,
    .vouch_get = disk_vouch_get,
    .known_put = disk_known_put,
    .known_each = disk_known_each,
    .receipt_put = disk_receipt_put,
    .receipt_each = disk_receipt_each,
};
