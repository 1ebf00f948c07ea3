/* One suite over every store of the client, then what only the one on disk can promise. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/keep_sqlite.h"
#include "support_engine.h"
#include "tests/unit/scratch.h"

static const char secret[] = "PLAINTEXT-MARKER-4711";

struct scratch {
    char dir[64], path[96];
    struct key key;
    struct rng rng;
};

static void scratch_make(struct scratch *t)
{
    snprintf(t->dir, sizeof t->dir, "%s/countersign-keep-XXXXXX", scratch_place());
    assert_non_null(mkdtemp(t->dir));
    snprintf(t->path, sizeof t->path, "%s/store.db", t->dir);
    memset(t->key.b, 1, sizeof t->key.b);
    t->rng = rng_system();
}

static void scratch_end(struct scratch *t)
{
    static const char *const tails[] = {"", "-wal", "-shm"};
    char path[128];

    for (size_t i = 0; i < COUNT(tails); i++) {
        snprintf(path, sizeof path, "%s%s", t->path, tails[i]);
        unlink(path);
    }
    rmdir(t->dir);
}

static void *scratch_open(struct scratch *t)
{
    struct err e = {0};
    void *k = keep_sqlite_open(t->path, &t->key, &t->rng, &e);

    if (k == NULL)
        fail_msg("open: %s", e.text);
    return k;
}

static struct hash hash_fill(uint8_t b)
{
    struct hash h;
    memset(h.b, b, sizeof h.b);
    return h;
}

static struct keep_entry entry_make_one(uint64_t number, uint8_t by, uint64_t seq)
{
    struct keep_entry t = {
        .room = stage_room_id(1),
        .number = number,
        .time = 1000 + number,
        .head = hash_fill((uint8_t)(100 + number)),
        .fp = hash_fill(by),
        .seq = seq,
        .line_hash = hash_fill((uint8_t)(200 + number)),
        .account = str_of(by == 9 ? "bob" : "alice"),
        .line = str_of("line"),
        .sig = span_of("sig", 3),
        .body = span_of(secret, sizeof secret),
        .proven = true,
        .refused = str_of(""),
    };
    return t;
}

struct seen {
    uint64_t number[16];
    size_t n, stop;
};

static int see(void *ctx, const struct keep_entry *t)
{
    struct seen *s = ctx;

    assert_int_equal(t->body.n, sizeof secret);
    s->number[s->n++] = t->number;
    return s->n == s->stop ? -1 : 0;
}

static void suite_entries(struct keep k)
{
    struct err e = {0};
    struct keep_entry t, out;
    struct room_id room = stage_room_id(1);
    struct hash alice = hash_fill(8), bob = hash_fill(9), phone = hash_fill(10);
    uint64_t arrival = 0;

    for (uint64_t n = 11; n <= 15; n++) {
        t = entry_make_one(n, n % 2 ? 8 : 9, n);
        assert_int_equal(k.ops->entry_put(k.k, &t, true, &e), 0);
    }
    t = entry_make_one(10, 8, 10);
    assert_int_equal(k.ops->entry_put(k.k, &t, false, &e), 0); /* an older page */
    t = entry_make_one(12, 8, 99);
    assert_int_equal(k.ops->entry_put(k.k, &t, true, &e), 0); /* stays as it is */
    t = entry_make_one(16, 8, 40);
    t.proven = false;
    t.refused = str_of("bad signature");
    assert_int_equal(k.ops->entry_put(k.k, &t, true, &e), 0);
    t = entry_make_one(17, 8, 3); /* shown again under a new number */
    t.refused = str_of("replayed");
    assert_int_equal(k.ops->entry_put(k.k, &t, true, &e), 0);

    assert_int_equal(k.ops->entry_get(k.k, &room, 12, &out, &e), 1);
    assert_int_equal(out.seq, 12);
    assert_memory_equal(out.body.p, secret, sizeof secret);
    assert_int_equal(k.ops->entry_get(k.k, &room, 99, &out, &e), 0);
    assert_int_equal(k.ops->entry_last(k.k, &room, &alice, &out, &e), 1);
    assert_int_equal(out.number, 15); /* neither the unproven nor the replayed one */
    assert_int_equal(k.ops->entry_first(k.k, &room, &bob, 0, &out, &e), 1);
    assert_int_equal(out.number, 12);
    assert_int_equal(k.ops->entry_first(k.k, &room, &bob, 13, &out, &e), 1);
    assert_int_equal(out.number, 14);
    assert_int_equal(k.ops->entry_last(k.k, &room, &phone, &out, &e), 0);
    assert_int_equal(k.ops->entry_former(k.k, &room, str_of("alice"), &phone, 14, &out, &e), 1);
    assert_int_equal(out.number, 13);
    assert_int_equal(k.ops->entry_former(k.k, &room, str_of("alice"), &alice, 14, &out, &e), 0);
    assert_int_equal(k.ops->arrival_last(k.k, &arrival, &e), 0);
    assert_int_equal(arrival, 7);

    struct seen s = {.stop = 0};
    assert_int_equal(k.ops->entries_before(k.k, &room, 14, 3, see, &s, &e), 0);
    assert_int_equal(s.n, 3);
    assert_int_equal(s.number[0], 11);
    assert_int_equal(s.number[2], 13);
    s = (struct seen){.stop = 0};
    assert_int_equal(k.ops->entries_since(k.k, 3, see, &s, &e), 0);
    assert_int_equal(s.n, 4); /* in order of arrival, without the older page */
    assert_int_equal(s.number[0], 14);
    s = (struct seen){.stop = 1};
    assert_int_equal(k.ops->entries_since(k.k, 0, see, &s, &e), -1);
    assert_int_equal(s.n, 1);
}

static int out_see(void *ctx, const struct keep_out *o)
{
    uint64_t *seqs = ctx;

    seqs[++seqs[0]] = o->seq;
    assert_int_equal(o->body.n, sizeof secret);
    return 0;
}

/* bob's rows count 1 (new) or 10 (gone), carol's 100 (accepted), all others 1000. */
static int see_known(void *ctx, const struct keep_known *x)
{
    bool bob = str_is(x->account, "bob"), carol = str_is(x->account, "carol");
    struct hash fp = hash_fill(8);

    *(unsigned *)ctx += !hash_same(&x->fp, &fp)              ? 1000
                        : bob && x->state == KEEP_NEW        ? 1
                        : bob && x->state == KEEP_GONE       ? 10
                        : carol && x->state == KEEP_ACCEPTED ? 100
                                                             : 1000;
    return 0;
}

static void suite_room(struct keep k)
{
    struct err e = {0};
    struct keep_room room = {.id = stage_room_id(1),
                             .based = true,
                             .first = 3,
                             .number = 9,
                             .base = hash_fill(1),
                             .head = hash_fill(2),
                             .seq = 4,
                             .line = hash_fill(3),
                             .acked = 2,
                             .acked_line = hash_fill(4),
                             .prev = hash_fill(5),
                             .since = 4,
                             .upto = 11,
                             .kind = KEEP_DIRECT,
                             .ephemeral = true,
                             .with = {{7, 1}},
                             .name = "bob",
                             .wanted = true};
    struct keep_room back = {0};

    assert_int_equal(k.ops->room_get(k.k, &room.id, &back, &e), 0);
    assert_int_equal(k.ops->room_put(k.k, &room, &e), 0);
    room.number = 10;
    assert_int_equal(k.ops->room_put(k.k, &room, &e), 0);
    assert_int_equal(k.ops->room_get(k.k, &room.id, &back, &e), 1);
    assert_true(back.based && back.first == 3 && back.number == 10 && back.seq == 4 &&
                back.acked == 2 && back.since == 4 && back.upto == 11);
    assert_true(back.kind == KEEP_DIRECT && back.ephemeral &&
                account_id_same(&back.with, &room.with) && back.wanted &&
                strcmp(back.name, "bob") == 0);
    assert_true(hash_same(&back.base, &room.base) && hash_same(&back.head, &room.head) &&
                hash_same(&back.line, &room.line) && hash_same(&back.prev, &room.prev) &&
                hash_same(&back.acked_line, &room.acked_line));
}

static void suite_rest(struct keep k)
{
    const struct room_id room = stage_room_id(1);
    struct err e = {0};
    struct buf b;
    uint64_t seqs[8] = {0};

    suite_room(k);
    buf_init(&b, 1000);
    assert_int_equal(k.ops->value_get(k.k, "x", &b, &e), 0);
    assert_int_equal(k.ops->value_put(k.k, "x", span_of("one", 3), &e), 0);
    assert_int_equal(k.ops->value_put(k.k, "x", span_of(secret, sizeof secret), &e), 0);
    assert_int_equal(k.ops->value_get(k.k, "x", &b, &e), 1);
    assert_true(span_same(buf_span(&b), span_of(secret, sizeof secret)));
    buf_free(&b);

    for (uint64_t seq = 3; seq > 0; seq--) {
        const struct keep_out o = {room,
                                   seq,
                                   KEEP_QUEUED,
                                   str_of("line"),
                                   span_of("s", 1),
                                   span_of(secret, sizeof secret),
                                   str_of("")};
        assert_int_equal(k.ops->out_put(k.k, &o, &e), 0);
        assert_int_equal(k.ops->out_put(k.k, &o, &e), 0);
    }
    assert_int_equal(k.ops->out_drop(k.k, &room, 2, &e), 0);
    assert_int_equal(k.ops->out_each(k.k, out_see, seqs, &e), 0);
    assert_int_equal(seqs[0], 2);
    assert_int_equal(seqs[1], 1);
    assert_int_equal(seqs[2], 3);

    const struct keep_cert c = {hash_fill(8), str_of("bob"), str_of("desk"), span_of("leaf", 4),
                                span_of("issuer", 6)};
    struct keep_cert cb;
    assert_int_equal(k.ops->cert_get(k.k, &c.fp, &cb, &e), 0);
    assert_int_equal(k.ops->cert_put(k.k, &c, &e), 0);
    assert_int_equal(k.ops->cert_get(k.k, &c.fp, &cb, &e), 1);
    assert_true(str_is(cb.device, "desk") && cb.issuer.n == 6);
    const struct keep_vouch v = {hash_fill(8), 77};
    struct keep_vouch vb;
    assert_int_equal(k.ops->vouch_get(k.k, &v.fp, &vb, &e), 0);
    assert_int_equal(k.ops->vouch_put(k.k, &v, &e), 0);
    assert_int_equal(k.ops->vouch_get(k.k, &v.fp, &vb, &e), 1);
    assert_int_equal(vb.at_ms, 77);

    const struct keep_known x = {hash_fill(8), str_of("bob"), KEEP_NEW};
    const struct keep_known y = {hash_fill(8), str_of("carol"), KEEP_ACCEPTED}; /* not bob's */
    const struct keep_known z = {hash_fill(8), str_of("bob"), KEEP_GONE};
    unsigned rows = 0;
    assert_int_equal(k.ops->known_put(k.k, &x, &e), 0);
    assert_int_equal(k.ops->known_put(k.k, &y, &e), 0);
    assert_int_equal(k.ops->known_each(k.k, see_known, &rows, &e), 0);
    assert_int_equal(rows, 1 + 100);
    assert_int_equal(k.ops->known_put(k.k, &z, &e), 0);
    rows = 0;
    assert_int_equal(k.ops->known_each(k.k, see_known, &rows, &e), 0);
    assert_int_equal(rows, 10 + 100);
}

static int see_receipt(void *ctx, const struct keep_receipt *x)
{
    struct buf *seen = ctx;

    assert_true(room_id_same(&x->room, &(struct room_id){{x->hash.b[0]}}));
    return buf_add(seen, x->data.p, x->data.n);
}

/* In order of when they were new, however often they change. */
static void suite_receipts(struct keep k)
{
    const struct keep_receipt x = {hash_fill(8), {{8}}, span_of("one,", 4)},
                              y = {hash_fill(3), {{3}}, span_of("two,", 4)},
                              z = {hash_fill(8), {{8}}, span_of("three,", 6)};
    struct err e = {0};
    struct buf seen;

    buf_init(&seen, 64);
    assert_int_equal(k.ops->receipt_each(k.k, see_receipt, &seen, &e), 0);
    assert_int_equal(k.ops->receipt_put(k.k, &x, &e), 0);
    assert_int_equal(k.ops->receipt_put(k.k, &y, &e), 0);
    assert_int_equal(k.ops->receipt_each(k.k, see_receipt, &seen, &e), 0);
    assert_int_equal(k.ops->receipt_put(k.k, &z, &e), 0);
    assert_int_equal(k.ops->receipt_each(k.k, see_receipt, &seen, &e), 0);
    assert_true(span_same(buf_span(&seen), span_of("one,two,three,two,", 18)));
    buf_free(&seen);
}

/* What is left of an entry of a room that was forgotten: its arrival alone. */
static int see_stub(void *ctx, const struct keep_entry *t)
{
    ++*(unsigned *)ctx;
    assert_int_equal(t->line.n + t->sig.n + t->body.n + t->account.n, 0);
    return 0;
}

static void suite_forget(struct keep k)
{
    struct room_id id = stage_room_id(1), other = stage_room_id(2);
    struct keep_entry t;
    struct err e = {0};
    uint64_t before = 0, after = 0, seqs[8] = {0};
    unsigned stubs = 0;

    t = entry_make_one(40, 9, 40);
    t.room = other;
    assert_int_equal(k.ops->entry_put(k.k, &t, true, &e), 0);
    t = entry_make_one(41, 9, 41);
    assert_int_equal(k.ops->entry_put(k.k, &t, true, &e), 0);
    assert_int_equal(k.ops->arrival_last(k.k, &before, &e), 0);
    const struct keep_out o = {
        other,     1, KEEP_QUEUED, str_of("line"), span_of("s", 1), span_of(secret, sizeof secret),
        str_of("")};
    assert_int_equal(k.ops->out_put(k.k, &o, &e), 0);
    assert_int_equal(k.ops->room_forget(k.k, &id, &e), 0);
    assert_int_equal(k.ops->entry_last(k.k, &id, &t.fp, &t, &e), 0);
    assert_int_equal(k.ops->entries_before(k.k, &id, 1000, 100, see_stub, &stubs, &e), 0);
    assert_true(stubs <= 1);
    assert_int_equal(k.ops->entry_get(k.k, &other, 40, &t, &e), 1); /* another room's stay */
    assert_int_equal(t.body.n, sizeof secret);
    assert_int_equal(k.ops->out_each(k.k, out_see, seqs, &e), 0);
    assert_int_equal(seqs[0], 1);
    assert_int_equal(k.ops->room_get(k.k, &id, &(struct keep_room){0}, &e), 1);
    t = entry_make_one(42, 9, 42); /* no arrival is given twice: cursors point to them */
    t.room = other;
    assert_int_equal(k.ops->entry_put(k.k, &t, true, &e), 0);
    assert_int_equal(k.ops->arrival_last(k.k, &after, &e), 0);
    assert_int_equal(after, before + 1);
}

static int row_see(void *ctx, const struct roster_row *row)
{
    struct roster_row *last = ctx;

    assert_true(row->number > last->number);
    *last = *row;
    return 0;
}

static void suite_roster(struct keep k)
{
    struct roster_row stay = {.number = 7,
                              .account = {{1, 2}},
                              .name = "bob",
                              .fp = hash_fill(1),
                              .line = hash_fill(2),
                              .by = "alice",
                              .from = 5,
                              .end = 9},
                      in = {.number = 5,
                            .invitation = true,
                            .account = {{1, 2}},
                            .by = "alice",
                            .at = 4,
                            .end = 7,
                            .roster = hash_fill(3)},
                      last = {0};
    struct room_id room = stage_room_id(1), other = stage_room_id(2);
    struct err e = {0};

    memset(in.name, 'n', NAME_MAX_LEN); /* the longest there is */
    assert_int_equal(k.ops->roster_put(k.k, &room, &stay, &e), 0);
    assert_int_equal(k.ops->roster_put(k.k, &room, &in, &e), 0);
    assert_int_equal(k.ops->roster_each(k.k, &other, row_see, &last, &e), 0);
    assert_int_equal(last.number, 0);
    stay.end = 0;
    assert_int_equal(k.ops->roster_put(k.k, &room, &stay, &e), 0);
    assert_int_equal(k.ops->roster_each(k.k, &room, row_see, &last, &e), 0);
    assert_memory_equal(&last, &stay, sizeof last);
    assert_int_equal(k.ops->roster_drop(k.k, &room, 7, &e), 0);
    last = (struct roster_row){0};
    assert_int_equal(k.ops->roster_each(k.k, &room, row_see, &last, &e), 0);
    assert_memory_equal(&last, &in, sizeof last);
}

static void test_suite(void **state)
{
    struct scratch t;
    struct keep k = {&keep_memory_ops, keep_memory_new()};

    (void)state;
    suite_entries(k);
    suite_rest(k);
    suite_forget(k);
    suite_receipts(k);
    suite_roster(k);
    k.ops->close(k.k);
    scratch_make(&t);
    k = (struct keep){&keep_sqlite_ops, scratch_open(&t)};
    suite_entries(k);
    suite_rest(k);
    suite_forget(k);
    suite_receipts(k);
    suite_roster(k);
    k.ops->close(k.k);
    scratch_end(&t);
}

/* --- on disk --- */

static bool file_holds(const char *path, const char *what)
{
    FILE *f = fopen(path, "rb");
    char *all = malloc(1 << 22);
    size_t n = f == NULL ? 0 : fread(all, 1, 1 << 22, f);
    bool found = n > 0 && memmem(all, n, what, strlen(what)) != NULL;

    if (f != NULL)
        fclose(f);
    free(all);
    return found;
}

static void test_sealed(void **state)
{
    struct scratch t;
    struct stat st;
    struct err e = {0};
    struct keep_entry out;
    struct room_id room = stage_room_id(1);
    char wal[128];

    (void)state;
    scratch_make(&t);
    struct keep k = {&keep_sqlite_ops, scratch_open(&t)};
    suite_entries(k);
    suite_rest(k);
    snprintf(wal, sizeof wal, "%s-wal", t.path);
    assert_int_equal(stat(wal, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_true(file_holds(wal, "alice")); /* the grep works */
    assert_false(file_holds(wal, secret));
    k.ops->close(k.k);
    assert_int_equal(stat(t.path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_true(file_holds(t.path, "alice"));
    assert_false(file_holds(t.path, secret));
    /* another key opens nothing */
    t.key.b[0] ^= 1;
    k.k = scratch_open(&t);
    assert_int_equal(k.ops->entry_get(k.k, &room, 12, &out, &e), -1);
    assert_int_equal(e.code, ERR_DATA);
    k.ops->close(k.k);
    scratch_end(&t);
}

static void sql(const char *path, const char *text)
{
    char command[1024];

    snprintf(command, sizeof command,
             "/usr/bin/python3 -c \"import sqlite3; c=sqlite3.connect('%s'); "
             "c.executescript('''%s'''); c.commit()\"",
             path, text);
    assert_int_equal(system(command), 0);
}

/* A box moved to another row must not open there. */
static void test_moved_box(void **state)
{
    struct scratch t;
    struct err e = {0};
    struct keep_entry out;
    struct room_id room = stage_room_id(1);

    (void)state;
    scratch_make(&t);
    struct keep k = {&keep_sqlite_ops, scratch_open(&t)};
    suite_entries(k);
    k.ops->close(k.k);
    sql(t.path, "update entry set box = (select box from entry where number = 11) "
                "where number = 12");
    k.k = scratch_open(&t);
    assert_int_equal(k.ops->entry_get(k.k, &room, 11, &out, &e), 1);
    assert_int_equal(k.ops->entry_get(k.k, &room, 12, &out, &e), -1);
    k.ops->close(k.k);
    scratch_end(&t);
}

static void expect_refused(struct scratch *t, const char *why)
{
    struct err e = {0};
    void *k = keep_sqlite_open(t->path, &t->key, &t->rng, &e);

    assert_null(k);
    if (strstr(e.text, why) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", why, e.text);
}

static void test_refused(void **state)
{
    struct scratch t;

    (void)state;
    scratch_make(&t);
    keep_sqlite_ops.close(scratch_open(&t));
    sql(t.path, "pragma user_version = 7");
    expect_refused(&t, "newer");
    sql(t.path, "pragma user_version = 6; pragma application_id = 7");
    expect_refused(&t, "another program");
    sql(t.path, "pragma application_id = 1129534531");
    assert_int_equal(chmod(t.path, 0644), 0);
    expect_refused(&t, "chmod 600");
    assert_int_equal(chmod(t.path, 0600), 0);
    keep_sqlite_ops.close(scratch_open(&t)); /* and it was never replaced */
    FILE *f = fopen(t.path, "wb");
    fputs("this is no database at all, and long enough to be looked at", f);
    fclose(f);
    expect_refused(&t, "not a database");
    assert_true(file_holds(t.path, "no database"));
    unlink(t.path);
    assert_int_equal(symlink("/tmp/elsewhere", t.path), 0);
    expect_refused(&t, "store.db");
    scratch_end(&t);
}

/* A file from before members signed: all that it held stays, and it knows no members yet. */
static void test_former_version(void **state)
{
    struct scratch t;
    struct err e = {0};
    struct keep_room room = {.id = stage_room_id(1), .based = true, .first = 1, .number = 8}, back;
    struct keep_entry entry = entry_make_one(1, 8, 1), out;
    struct roster_row last = {0};

    (void)state;
    scratch_make(&t);
    struct keep k = {&keep_sqlite_ops, scratch_open(&t)};
    assert_int_equal(k.ops->room_put(k.k, &room, &e), 0);
    assert_int_equal(k.ops->entry_put(k.k, &entry, true, &e), 0);
    k.ops->close(k.k);
    sql(t.path, "drop table receipt; drop table roster; drop table known; alter table room drop "
                "column since;"
                "alter table room drop column upto; alter table room drop column kind;"
                "alter table room drop column ephemeral; alter table room drop column partner;"
                "alter table room drop column name; alter table room drop column wanted;"
                "pragma user_version = 1");
    k.k = scratch_open(&t);
    assert_int_equal(k.ops->room_get(k.k, &room.id, &back, &e), 1);
    assert_true(back.based && back.number == 8 && back.since == 0 && back.upto == 0);
    assert_true(back.kind == KEEP_UNHEARD && !back.ephemeral);
    assert_true(back.wanted && back.name[0] == '\0');
    assert_int_equal(k.ops->entry_get(k.k, &entry.room, 1, &out, &e), 1);
    assert_int_equal(k.ops->roster_each(k.k, &room.id, row_see, &last, &e), 0);
    k.ops->close(k.k);
    keep_sqlite_ops.close(scratch_open(&t));
    scratch_end(&t);
}

static int no_known(void *ctx, const struct keep_known *x)
{
    (void)ctx;
    (void)x;
    return -1;
}

/* The table of certificates was made, and never used, before a row named its account. */
static void test_former_known(void **state)
{
    struct scratch t;
    struct err e = {0};
    const struct keep_known x = {hash_fill(8), str_of("bob"), KEEP_NEW};
    unsigned rows = 0;

    (void)state;
    scratch_make(&t);
    keep_sqlite_ops.close(scratch_open(&t));
    sql(t.path, "drop table receipt; drop table known; create table known (fp blob primary key, "
                "box blob not null) "
                "without rowid; alter table room drop column kind;"
                "alter table room drop column ephemeral; alter table room drop column partner;"
                "alter table room drop column name; alter table room drop column wanted;"
                "pragma user_version = 2");
    struct keep k = {&keep_sqlite_ops, scratch_open(&t)};
    assert_int_equal(k.ops->known_each(k.k, no_known, NULL, &e), 0);
    assert_int_equal(k.ops->known_put(k.k, &x, &e), 0);
    assert_int_equal(k.ops->known_each(k.k, see_known, &rows, &e), 0);
    assert_int_equal(rows, 1);
    k.ops->close(k.k);
    scratch_end(&t);
}

/* Who can write the file cannot make a certificate known: neither another's, nor as another's. */
static void test_known_is_sealed(void **state)
{
    static const char *const harms[] = {
        "update known set account = 'carol';",
        "update known set fp = zeroblob(32)",
        "update known set box = zeroblob(60)",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(harms); i++) {
        const struct keep_known x = {hash_fill(8), str_of("bob"), KEEP_ACCEPTED};
        struct err e = {0};
        struct scratch t;

        scratch_make(&t);
        struct keep k = {&keep_sqlite_ops, scratch_open(&t)};
        assert_int_equal(k.ops->known_put(k.k, &x, &e), 0);
        k.ops->close(k.k);
        sql(t.path, harms[i]);
        k.k = scratch_open(&t);
        unsigned rows = 0;
        assert_int_equal(k.ops->known_each(k.k, see_known, &rows, &e), -1);
        assert_int_equal(e.code, ERR_DATA);
        assert_int_equal(rows, 0);
        k.ops->close(k.k);
        scratch_end(&t);
    }
}

/* Nor can he move a receipt, or what is known of it. */
static void test_receipt_is_sealed(void **state)
{
    static const char *const harms[] = {
        "update receipt set hash = zeroblob(32)",
        "update receipt set room = zeroblob(16)",
        "update receipt set box = zeroblob(60)",
        "update receipt set box = zeroblob(0)",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(harms); i++) {
        const struct keep_receipt x = {hash_fill(8), {{8}}, span_of("one", 3)};
        struct err e = {0};
        struct scratch t;
        struct buf seen;

        buf_init(&seen, 64);
        scratch_make(&t);
        struct keep k = {&keep_sqlite_ops, scratch_open(&t)};
        assert_int_equal(k.ops->receipt_put(k.k, &x, &e), 0);
        k.ops->close(k.k);
        sql(t.path, harms[i]);
        k.k = scratch_open(&t);
        assert_int_equal(k.ops->receipt_each(k.k, see_receipt, &seen, &e), -1);
        assert_int_equal(e.code, ERR_DATA);
        k.ops->close(k.k);
        scratch_end(&t);
    }
}

static void test_rollback(void **state)
{
    struct scratch t;
    struct err e = {0};
    struct keep_entry entry = entry_make_one(1, 8, 1), out;

    (void)state;
    scratch_make(&t);
    struct keep k = {&keep_sqlite_ops, scratch_open(&t)};
    assert_int_equal(k.ops->begin(k.k, &e), 0);
    assert_int_equal(k.ops->entry_put(k.k, &entry, true, &e), 0);
    k.ops->rollback(k.k);
    assert_int_equal(k.ops->entry_get(k.k, &entry.room, 1, &out, &e), 0);
    k.ops->close(k.k);
    scratch_end(&t);
}

/* --- kill -9 between our disk and the wire: the same bytes go out afterwards (M11) --- */

struct shared { /* what the child said, told through a pipe */
    char line[LINE_MAX_LEN + 1];
    uint8_t sig[SIG_MAX];
    struct hash body;
};

static void use_disk(struct stage *s, struct scratch *t)
{
    s->keep.ops->close(s->keep.k);
    s->keep = (struct keep){&keep_sqlite_ops, scratch_open(t)};
    stage_engine(s);
}

static void child(struct stage *s, struct scratch *t, int fd)
{
    struct shared told = {0};
    struct err e = {0};

    use_disk(s, t);
    s->mute = true; /* the relay does not answer */
    stage_login(s);
    if (engine_say(s->g, &s->room, str_of("survives"), &e) != 2)
        _exit(1);
    stage_serve(s);
    memcpy(told.line, s->said_line[0], sizeof told.line);
    memcpy(told.sig, s->said_sig[0], sizeof told.sig);
    told.body = s->said_body[0];
    if (write(fd, &told, sizeof told) != (ssize_t)sizeof told)
        _exit(1);
    raise(SIGKILL);
}

static void test_kill(void **state)
{
    struct stage *s = stage_new(state);
    struct scratch t;
    struct shared told = {0};
    int fd[2], status = 0;

    scratch_make(&t);
    use_disk(s, &t); /* she signs her join, and the relay has it */
    stage_login(s);
    s->keep.ops->close(s->keep.k);
    s->keep = (struct keep){&keep_memory_ops, keep_memory_new()};
    stage_engine(s);
    assert_int_equal(pipe(fd), 0);
    pid_t pid = fork();
    if (pid == 0)
        child(s, &t, fd[1]);
    assert_int_equal(read(fd[0], &told, sizeof told), sizeof told);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    use_disk(s, &t);
    assert_int_equal(s->said_n, 0);
    stage_login(s);
    assert_int_equal(s->said_n, 1);
    assert_string_equal(s->said_line[0], told.line);
    assert_memory_equal(s->said_sig[0], told.sig, 256);
    assert_true(hash_same(&s->said_body[0], &told.body));
    assert_int_equal(s->told.state, ENGINE_RELAY);
    /* sent and acknowledged: the next start sends nothing */
    stage_engine(s);
    stage_lost(s);
    stage_login(s);
    assert_int_equal(s->said_n, 1);
    assert_int_equal(s->told.alarms, 0);
    close(fd[0]);
    close(fd[1]);
    stage_free(s);
    scratch_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_suite),           cmocka_unit_test(test_sealed),
        cmocka_unit_test(test_refused),         cmocka_unit_test(test_moved_box),
        cmocka_unit_test(test_rollback),        cmocka_unit_test(test_kill),
        cmocka_unit_test(test_former_version),  cmocka_unit_test(test_former_known),
        cmocka_unit_test(test_known_is_sealed), cmocka_unit_test(test_receipt_is_sealed),
    };

    return cmocka_run_group_tests_name("keep", tests, stage_world, stage_world_end);
}
