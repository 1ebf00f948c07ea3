/* Our disk refuses at one place after the other: what is shown or acknowledged is on it, nothing is
 * left out of it, and no line is signed twice. SQLite takes a transaction back by itself when the
 * disk is full; the disk here does so, too, and a change that goes on regardless is seen as a hole.
 * After other errors (a lock, a page that cannot be read, no memory) it is still open.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/keep_sqlite.h"
#include "support_engine.h"
#include "tests/unit/scratch.h"

enum { ALL = 1000000 };

/* --- a store that refuses: the at-th use from now on, and `more` after it --- */

enum use { LOOKS = 1, WRITES = 2 };

static struct balk {
    uint64_t at, more; /* at 0: it does not */
    unsigned uses;     /* those that count */
    bool open, balked; /* open: the transaction stays */
} balk, due;           /* due: what the story is to set */

static bool refuses(void *k, enum use use, struct err *e)
{
    if (balk.at == 0 || (balk.uses & use) == 0 || --balk.at > 0)
        return false;
    balk.at = balk.more > 0;
    balk.more -= balk.more > 0;
    balk.balked = true;
    if (!balk.open)
        keep_sqlite_ops.rollback(k);
    err_set(e, ERR_IO, "the store: database or disk is full");
    return true;
}

#define USES(X)                                                                                    \
    X(WRITES, begin, (void *k, struct err *e), (k, e))                                             \
    X(WRITES, commit, (void *k, struct err *e), (k, e))                                            \
    X(LOOKS, value_get, (void *k, const char *name, struct buf *out, struct err *e),               \
      (k, name, out, e))                                                                           \
    X(WRITES, value_put, (void *k, const char *name, struct span value, struct err *e),            \
      (k, name, value, e))                                                                         \
    X(LOOKS, room_get, (void *k, const struct room_id *id, struct keep_room *out, struct err *e),  \
      (k, id, out, e))                                                                             \
    X(WRITES, room_put, (void *k, const struct keep_room *room, struct err *e), (k, room, e))      \
    X(WRITES, room_forget, (void *k, const struct room_id *id, struct err *e), (k, id, e))         \
    X(WRITES, roster_put,                                                                          \
      (void *k, const struct room_id *room, const struct roster_row *row, struct err *e),          \
      (k, room, row, e))                                                                           \
    X(LOOKS, roster_each,                                                                          \
      (void *k, const struct room_id *room, keep_each_row *each, void *ctx, struct err *e),        \
      (k, room, each, ctx, e))                                                                     \
    X(WRITES, entry_put, (void *k, const struct keep_entry *t, bool news, struct err *e),          \
      (k, t, news, e))                                                                             \
    X(LOOKS, entry_get,                                                                            \
      (void *k, const struct room_id *room, uint64_t number, struct keep_entry *out,               \
       struct err *e),                                                                             \
      (k, room, number, out, e))                                                                   \
    X(LOOKS, entry_first,                                                                          \
      (void *k, const struct room_id *room, const struct hash *fp, uint64_t from,                  \
       struct keep_entry *out, struct err *e),                                                     \
      (k, room, fp, from, out, e))                                                                 \
    X(LOOKS, entry_last,                                                                           \
      (void *k, const struct room_id *room, const struct hash *fp, struct keep_entry *out,         \
       struct err *e),                                                                             \
      (k, room, fp, out, e))                                                                       \
    X(LOOKS, entry_former,                                                                         \
      (void *k, const struct room_id *room, struct str account, const struct hash *fp,             \
       uint64_t below, struct keep_entry *out, struct err *e),                                     \
      (k, room, account, fp, below, out, e))                                                       \
    X(WRITES, out_put, (void *k, const struct keep_out *out, struct err *e), (k, out, e))          \
    X(WRITES, out_drop, (void *k, const struct room_id *room, uint64_t seq, struct err *e),        \
      (k, room, seq, e))                                                                           \
    X(LOOKS, out_each, (void *k, keep_each_out *each, void *ctx, struct err *e),                   \
      (k, each, ctx, e))                                                                           \
    X(WRITES, cert_put, (void *k, const struct keep_cert *cert, struct err *e), (k, cert, e))      \
    X(LOOKS, cert_get, (void *k, const struct hash *fp, struct keep_cert *out, struct err *e),     \
      (k, fp, out, e))                                                                             \
    X(WRITES, known_put, (void *k, const struct keep_known *known, struct err *e), (k, known, e))

#define X(use, name, takes, gives)                                                                 \
    static int balk_##name takes                                                                   \
    {                                                                                              \
        return refuses(k, use, e) ? -1 : keep_sqlite_ops.name gives;                               \
    }
USES(X)
#undef X

static struct keep_ops balk_ops(void)
{
    struct keep_ops ops = keep_sqlite_ops;

#define X(use, name, takes, gives) ops.name = balk_##name;
    USES(X)
#undef X
    return ops;
}

struct scratch {
    char dir[64], path[96];
    struct key key;
    struct rng rng;
    struct keep_ops ops;
};

static void scratch_use(struct scratch *t, struct stage *s)
{
    struct err e = {0};

    *t = (struct scratch){.ops = balk_ops(), .rng = rng_system()};
    snprintf(t->dir, sizeof t->dir, "%s/countersign-store-XXXXXX", scratch_place());
    assert_non_null(mkdtemp(t->dir));
    snprintf(t->path, sizeof t->path, "%s/store.db", t->dir);
    balk = (struct balk){0};
    s->keep.ops->close(s->keep.k);
    s->keep = (struct keep){&t->ops, keep_sqlite_open(t->path, &t->key, &t->rng, &e)};
    if (s->keep.k == NULL)
        fail_msg("%s", e.text);
    stage_engine(s);
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

/* --- what has to hold at any time --- */

static int count_out(void *ctx, const struct keep_out *out)
{
    (void)out;
    ++*(unsigned *)ctx;
    return 0;
}

static void outbox_agrees(struct stage *s, const struct engine_room *r)
{
    struct err e = {0};
    unsigned queued = 0;

    assert_int_equal(keep_sqlite_ops.out_each(s->keep.k, count_out, &queued, &e), 0);
    assert_int_equal(r->queued, queued);
}

/* Memory and disk say the same; the disk has no hole; the relay was promised no more. */
static void agree(struct stage *s)
{
    const struct engine_room *r = engine_room_get(s->g, &s->room);
    struct keep_room kept = {.number = 0};
    struct keep_entry t;
    struct err e = {0};

    if (r == NULL)
        return;
    assert_true(keep_sqlite_ops.room_get(s->keep.k, &s->room, &kept, &e) >= 0);
    assert_int_equal(r->first, kept.first);
    assert_int_equal(r->number, kept.number);
    for (uint64_t n = kept.first; kept.based && n <= kept.number; n++)
        assert_int_equal(keep_sqlite_ops.entry_get(s->keep.k, &s->room, n, &t, &e), 1);
    outbox_agrees(s, r);
    assert_true(s->delivered <= kept.number);
    for (unsigned i = 0; i < s->told.numbers_n; i++) {
        assert_true(s->told.numbers[i] <= kept.number);
        for (unsigned k = 0; k < i; k++)
            assert_int_not_equal(s->told.numbers[i], s->told.numbers[k]);
    }
}

/* --- the story --- */

/* The disk is well again, and whoever hung up comes back. */
static void heal(struct stage *s)
{
    if (balk.balked)
        balk = (struct balk){.balked = true};
    for (unsigned closes = s->told.closes; closes > 0 && engine_phase(s->g) != ENGINE_OFFLINE;) {
        assert_int_equal(s->told.close_code, ERR_IO);
        if (strstr(s->told.close, "disk is full") == NULL)
            fail_msg("closed for another reason: %s", s->told.close);
        stage_lost(s);
    }
    if (engine_phase(s->g) == ENGINE_OFFLINE) {
        s->told.closes = 0;
        stage_login(s);
    }
}

static void step(struct stage *s)
{
    stage_serve(s);
    if (balk.more == 0) /* else it cannot be asked, and holds again after it was healed */
        agree(s);
    while (s->told.closes > 0)
        heal(s);
    heal(s);
    agree(s);
}

static void say(struct stage *s, const char *text)
{
    uint64_t seq = 0;

    for (int i = 0; i < 3 && seq == 0; i++) {
        struct err e = {0};
        seq = stage_say(s, text, &e);
        if (seq == 0)
            assert_int_equal(e.code, ERR_IO);
        else /* before the first byte leaves */
            outbox_agrees(s, engine_room_get(s->g, &s->room));
        step(s);
    }
    assert_int_not_equal(seq, 0);
}

static void push(struct stage *s, struct item *it)
{
    stage_push(s, it);
    step(s);
}

static void accept_bob(struct stage *s)
{
    int n = -1;

    for (int i = 0; i < 3 && n < 0; i++) {
        struct err e = {0};
        n = engine_accept(s->g, str_of("bob"), &e);
        step(s);
    }
    assert_int_equal(n, 1);
}

/* A private room: two are in it, one comes and goes, one is enrolled again. */
static void story(struct stage *s)
{
    struct err e = {0};

    stage_login(s);
    step(s);
    push(s, stage_write(s, BOB, "one"));
    say(s, "two");
    push(s, stage_invite(s, BOB, CAROL));
    s->carol_in = true;
    push(s, stage_join(s, CAROL));
    push(s, stage_write(s, CAROL, "three"));
    stage_lost(s);
    stage_log(s, stage_write(s, BOB, "four"));
    s->carol_in = false;
    stage_log(s, stage_leave(s, CAROL));
    stage_login(s);
    step(s);
    push(s, stage_write(s, BOB_NEW, "five"));
    assert_int_equal(stage_say(s, "to a stranger", &e), 0);
    assert_int_equal(e.code, ERR_AUTH);
    accept_bob(s);
    say(s, "six");
}

static void expect_whole(struct stage *s)
{
    if (s->told.refused > 0)
        fail_msg("refused: %s", s->told.why);
    assert_int_equal(s->told.numbers_n, 6);
    assert_int_equal(engine_room_get(s->g, &s->room)->number, s->log_n);
    assert_int_equal(engine_room_get(s->g, &s->room)->queued, 0);
    for (unsigned i = 0; i + 1 < s->said_n; i++) /* two were said, whatever was sent twice */
        assert_true(strcmp(s->said_line[i], s->said_line[i + 1]) == 0 || i == s->said_n - 2 ||
                    strcmp(s->said_line[i + 1], s->said_line[s->said_n - 1]) == 0);
}

static struct stage *private_room(void **state)
{
    struct stage *s = stage_empty(state, ROOM_PRIVATE);

    stage_log(s, stage_join(s, BOB));
    stage_log(s, stage_invite(s, BOB, ALICE));
    return s;
}

/* --- a room without a disk at the relay: left, it is forgotten --- */

static struct stage *mist(void **state)
{
    struct stage *s = stage_new(state);

    s->ephemeral = true;
    return s;
}

static void leave(struct stage *s)
{
    for (int i = 0; i < 3 && engine_room_get(s->g, &s->room)->joined; i++) {
        struct err e = {0};
        (void)engine_room_leave(s->g, &s->room, &e);
        stage_serve(s);
        s->gone = !s->is_signed;
        step(s);
    }
}

static void story_mist(struct stage *s)
{
    stage_login(s);
    step(s);
    push(s, stage_write(s, BOB, "one"));
    say(s, "two");
    leave(s);
}

static void expect_gone(struct stage *s)
{
    struct keep_room kept;
    struct keep_entry t;
    struct err e = {0};

    assert_int_equal(s->told.refused, 0);
    assert_false(engine_room_get(s->g, &s->room)->joined);
    assert_int_equal(keep_sqlite_ops.room_get(s->keep.k, &s->room, &kept, &e), 1);
    assert_false(kept.based);
    assert_int_equal(kept.seq, 3); /* join, "two", leave: the count of our own lines stays */
    for (uint64_t n = 1; n <= s->log_n; n++) /* of one the count of arrivals may be left */
        assert_true(keep_sqlite_ops.entry_get(s->keep.k, &s->room, n, &t, &e) == 0 ||
                    t.line.n + t.body.n == 0);
}

/* --- a page of older messages --- */

enum { OLDER = 55 }; /* more than the first page of a room */

static struct stage *long_room(void **state)
{
    struct stage *s = stage_new(state);

    s->paged = true;
    for (int i = 1; i < OLDER; i++)
        stage_log(s, stage_write(s, BOB, "said"));
    return s;
}

static void story_older(struct stage *s)
{
    stage_login(s);
    step(s);
    balk = due;
    for (int i = 0; i < 4 && !engine_room_get(s->g, &s->room)->begun; i++) {
        struct err e = {0};
        (void)engine_older(s->g, &s->room, 50, &e);
        step(s);
    }
}

static void expect_older(struct stage *s)
{
    assert_int_equal(s->told.refused, 0);
    assert_true(engine_room_get(s->g, &s->room)->begun);
    assert_int_equal(s->told.numbers_n, OLDER - 1); /* but for joins: each once */
}

/* A program that starts anew finds what the one that went through it had. */
static void expect_same_anew(struct stage *s)
{
    unsigned said = s->said_n, joins = s->joins_said;

    stage_engine(s);
    stage_login(s);
    agree(s);
    assert_int_equal(s->said_n, said);
    assert_int_equal(s->joins_said, joins);
    assert_false(engine_blocked(s->g, &s->room));
}

/* --- everywhere --- */

static const struct tale {
    struct stage *(*begin)(void **state);
    void (*tell)(struct stage *s);
    void (*expect)(struct stage *s);
    uint64_t writes, looks; /* it has more of them */
} coming_and_going = {private_room, story, expect_whole, 60, 20},
  forgotten = {mist, story_mist, expect_gone, 30, 10},
  older = {long_room, story_older, expect_older, 5, 5};

static bool refused_at(void **state, const struct tale *tale, const struct balk *how)
{
    struct stage *s = tale->begin(state);
    struct scratch t;

    scratch_use(&t, s);
    due = *how;
    if (tale != &older) /* that one begins when the first page is there */
        balk = due;
    tale->tell(s);
    bool balked = balk.balked;
    balk = (struct balk){0};
    tale->expect(s);
    expect_same_anew(s);
    stage_free(s);
    scratch_end(&t);
    return balked;
}

/* Each write fails alone, and each use whatever it is with the transaction left open; and from some
 * uses on all do until somebody sees to it. */
static void every_place(void **state, const struct tale *tale)
{
    struct balk one = {.at = 1, .uses = WRITES};
    struct balk any = {.at = 1, .uses = LOOKS | WRITES, .open = true};
    struct balk all = {.at = 1, .more = ALL, .uses = LOOKS | WRITES};

    while (refused_at(state, tale, &one))
        one.at++;
    assert_true(one.at > tale->writes);
    while (refused_at(state, tale, &any))
        any.at++;
    assert_true(any.at > one.at + tale->looks);
    while (refused_at(state, tale, &all))
        all.at += 5;
    assert_true(all.at > tale->writes);
}

static void test_members_come_and_go(void **state)
{
    every_place(state, &coming_and_going);
}

static void test_a_room_is_forgotten(void **state)
{
    every_place(state, &forgotten);
}

static void test_older_messages(void **state)
{
    every_place(state, &older);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members_come_and_go),
        cmocka_unit_test(test_a_room_is_forgotten),
        cmocka_unit_test(test_older_messages),
    };
    return cmocka_run_group_tests(tests, stage_world, stage_world_end);
}
