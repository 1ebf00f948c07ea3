/* The same rows in and out of every store; and the files that SQLite must refuse. */
#include "common/evidence/transcript.h"
#include "common/evidence/tree.h"
#include "tests/unit/scratch.h"
#include "tests/unit/server/support_relay.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[64];
static struct store st;
static struct err e;

static int open_memory(void **state)
{
    (void)state;
    e = (struct err){0};
    st = (struct store){&store_memory, store_memory_new()};
    return st.db == NULL;
}

static void path_clear(void)
{
    char side[80];
    snprintf(path, sizeof path, "%s/countersign-store-%ld.db", scratch_place(), (long)getpid());
    for (int i = 0; i < 4; i++) {
        static const char *const suffix[] = {"", "-wal", "-shm", "-journal"};
        snprintf(side, sizeof side, "%s%s", path, suffix[i]);
        (void)unlink(side);
    }
}

static int open_sqlite(void **state)
{
    (void)state;
    e = (struct err){0};
    path_clear();
    st = (struct store){&store_sqlite, store_sqlite_open(path, STORE_CREATE, &e)};
    return st.db == NULL;
}

static int close_store(void **state)
{
    (void)state;
    store_close(&st);
    path_clear();
    return 0;
}

#define OP(call, ...) st.ops->call(st.db, __VA_ARGS__, &e)

static struct store_user user(unsigned char id, const char *name)
{
    struct store_user u = {.id = {{id}}, .t = 3, .m = 65536, .since = 5, .salt = {1, 2}};
    snprintf(u.name, sizeof u.name, "%s", name);
    snprintf(u.canonical, sizeof u.canonical, "%s", name);
    snprintf(u.skeleton, sizeof u.skeleton, "%s", name);
    memset(u.sealed, id, sizeof u.sealed);
    return u;
}

static struct store_device device(unsigned char fp, unsigned char account)
{
    return (struct store_device){
        .fp = {{fp}}, .account = {{account}}, .name = "laptop", .since = fp};
}

static struct store_room room(unsigned char id, const char *name)
{
    struct store_room r = {.id = {{id}}, .kind = ROOM_PRIVATE, .history = HISTORY_ALL, .since = 9};
    snprintf(r.name, sizeof r.name, "%s", name);
    snprintf(r.canonical, sizeof r.canonical, "%s", name);
    snprintf(r.skeleton, sizeof r.skeleton, "%s", name);
    snprintf(r.topic, sizeof r.topic, "topic of %s", name);
    return r;
}

/* Two accounts, three devices, one room. */
static void fill(void)
{
    struct store_user a = user(1, "alice"), b = user(2, "bob");
    static const struct store_chain chain = {.leaf = {1, 2, 3}, .issuer = {4}, 3, 1};
    struct store_device d[] = {device(11, 1), device(12, 1), device(21, 2)};
    struct store_room r = room(7, "lobby");

    assert_int_equal(OP(user_put, &a), 0);
    assert_int_equal(OP(user_put, &b), 0);
    for (size_t i = 0; i < COUNT(d); i++)
        assert_int_equal(OP(device_add, &d[i], &chain), 0);
    assert_int_equal(OP(room_put, &r), 0);
}

static int count_user(void *ctx, const struct store_user *row)
{
    char *order = ctx;
    size_t n = strlen(order);
    order[n] = row->name[0];
    return 0;
}

static void test_users(void **state)
{
    struct store_user u = user(1, "alice"), got;
    char order[8] = "";
    (void)state;
    fill();
    u.disabled = u.admin = true;
    snprintf(u.email, sizeof u.email, "a@b.example");
    assert_int_equal(OP(user_put, &u), 0);
    assert_int_equal(OP(user_get, &u.id, &got), 1);
    assert_memory_equal(&got, &u, sizeof u);
    assert_int_equal(OP(user_find, "bob", &got), 1);
    assert_string_equal(got.email, "");
    assert_int_equal(OP(user_find, "carol", &got), 0);
    assert_int_equal(OP(user_get, &(struct account_id){{3}}, &got), 0);
    assert_int_equal(OP(user_like, "alice"), 1);
    assert_int_equal(OP(user_like, "alic3"), 0);
    assert_int_equal(OP(user_each, count_user, order), 0);
    assert_string_equal(order, "ab");
}

static void test_user_names_are_unique(void **state)
{
    struct store_user u = user(3, "alice");
    (void)state;
    fill();
    assert_int_equal(OP(user_put, &u), -1);
    e = (struct err){0};
    snprintf(u.canonical, sizeof u.canonical, "a1ice"); /* only the skeleton is the same */
    assert_int_equal(OP(user_put, &u), -1);
}

/* P11: quotes, comments, wildcards and statements are letters like others, in every text there is:
 * written, read back, found by themselves and by nothing else, and the tables are as they were. */
static void test_hostile_text_is_text(void **state)
{
    static const char *const rows[] = {
        "x' OR '1'='1",
        "'; DROP TABLE users; --",
        "\"; DELETE FROM rooms; --",
        "%",
        "_____",
        "a' UNION SELECT 1,2,3 --",
        "\\'; --",
        "?1",
        ":name",
        "') ; ATTACH 'x'",
        "1; PRAGMA writable_schema=1",
        "/* */",
        "$$x$$",
        "\xc2\xbf' \xe2\x80\x98",
        "x';\nVACUUM;\n'",
    };
    struct store_user got;
    (void)state;
    fill();
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct store_user u = user((unsigned char)(50 + i), rows[i]);
        struct store_room h = room((unsigned char)(50 + i), rows[i]);
        snprintf(u.email, sizeof u.email, "%s", rows[i]);
        assert_int_equal(OP(user_find, rows[i], &got), 0);
        assert_int_equal(OP(user_like, rows[i]), 0);
        assert_int_equal(OP(user_put, &u), 0);
        assert_int_equal(OP(room_put, &h), 0);
        assert_int_equal(OP(user_find, rows[i], &got), 1);
        assert_memory_equal(&got, &u, sizeof u);
        u.admin = true;
        assert_int_equal(OP(user_put, &u), 0); /* an UPDATE of one row */
        assert_int_equal(OP(user_find, "alice", &got), 1);
        assert_false(got.admin);
    }
    assert_int_equal(OP(user_find, "bob", &got), 1);
    assert_int_equal(OP(user_like, "alic3"), 0);
}

static int sum_device(void *ctx, const struct store_device *row)
{
    *(int64_t *)ctx = *(int64_t *)ctx * 100 + row->fp.b[0] + (row->revoked != 0 ? 50 : 0);
    return 0;
}

static void test_devices(void **state)
{
    struct store_chain got;
    struct hash fp = {{12}}, none = {{99}};
    int64_t sum = 0;
    struct store_device d = device(11, 2);
    (void)state;
    fill();
    assert_int_equal(OP(device_chain, &fp, &got), 1);
    assert_int_equal(got.leaf_n, 3);
    assert_int_equal(got.issuer_n, 1);
    assert_memory_equal(got.leaf, "\1\2\3", 3);
    assert_int_equal(OP(device_chain, &none, &got), 0);
    assert_int_equal(OP(device_revoke, &fp, 77), 0);
    assert_int_equal(OP(device_each, sum_device, &sum), 0);
    assert_int_equal(sum, 11 * 10000 + (12 + 50) * 100 + 21);
    assert_int_equal(OP(device_add, &d, &got), -1); /* the fingerprint is taken */
}

static void test_sessions(void **state)
{
    struct store_session s = {.id = 5,
                              .current = {{1}},
                              .former = {{2}},
                              .fp = {{11}},
                              .account = {{1}},
                              .until = 1000},
                         got,
                         t = {.id = 6,
                              .current = {{3}},
                              .fp = {{12}},
                              .account = {{1}},
                              .until = 2000};
    (void)state;
    fill();
    assert_int_equal(OP(session_put, &s), 0);
    assert_int_equal(OP(session_put, &t), 0);
    assert_int_equal(OP(session_find, &s.current, &got), 1);
    assert_memory_equal(&got, &s, sizeof s);
    assert_int_equal(OP(session_find, &s.former, &got), 1);
    assert_int_equal(OP(session_find, &(struct hash){{0}}, &got), 0); /* "no former" finds none */
    assert_int_equal(OP(session_end_all, 500), 0);
    assert_int_equal(OP(session_end, 5, 600), 0);
    assert_int_equal(OP(session_find, &s.current, &got), 1);
    assert_int_equal(got.ended, 600);
    assert_int_equal(OP(session_purge, 1500, 100), 0); /* 5 is over its absolute end */
    assert_int_equal(OP(session_find, &s.current, &got), 0);
    assert_int_equal(OP(session_find, &t.current, &got), 1);
    assert_int_equal(got.ended, 500);
    assert_int_equal(OP(session_purge, 1500, 501), 0); /* 6 ended before 501 */
    assert_int_equal(OP(session_find, &t.current, &got), 0);
    assert_int_equal(OP(session_put, &s), 0);
    assert_int_equal(OP(session_drop, &s.fp), 0);
    assert_int_equal(OP(session_find, &s.current, &got), 0);
    assert_int_equal(OP(session_put, &s), 0);
    assert_int_equal(OP(session_put, &t), 0);
    assert_int_equal(OP(session_delete, s.id), 0);
    assert_int_equal(OP(session_delete, 7), 0);
    assert_int_equal(OP(session_find, &s.current, &got), 0);
    assert_int_equal(OP(session_find, &t.current, &got), 1);
}

enum { LOGINS_MOST = 4 };

struct logins {
    struct store_login l[LOGINS_MOST];
    size_t n;
};

static int login_look(void *ctx, const struct store_login *row)
{
    struct logins *all = ctx;

    assert_true(all->n < LOGINS_MOST);
    all->l[all->n++] = *row;
    return 0;
}

static struct store_login login(uint8_t id, int64_t started)
{
    return (struct store_login){.session = {id},
                                .account = {{1}},
                                .token = {{id, 1}},
                                .fp = {{11}},
                                .relay_fp = {{99}},
                                .link = "ecdhe",
                                .suite = "a suite",
                                .before = id,
                                .started = started};
}

static struct store_message message(uint64_t number, unsigned char fp, uint64_t seq)
{
    return (struct store_message){.room = {{7}},
                                  .number = number,
                                  .time = (int64_t)number * 10,
                                  .account = {{(uint8_t)(fp / 10)}},
                                  .fp = {{fp}},
                                  .seq = seq,
                                  .head = {{(uint8_t)number}},
                                  .line = str_of("a line"),
                                  .sig = span_of("sig", 3),
                                  .body = span_of("bo\0dy", 5)};
}

static void test_logins(void **state)
{
    struct store_login a = login(1, 100), b = login(2, 200), c = login(3, 300);
    struct store_message said = message(1, 11, 1);
    struct logins got = {.n = 0};
    (void)state;
    fill();
    assert_int_equal(OP(login_put, &a), 0);
    assert_int_equal(OP(login_put, &b), 0);
    assert_int_equal(OP(login_put, &c), 0);
    assert_int_equal(OP(message_add, &said), 0);
    assert_int_equal(OP(login_end, b.session, 250, 7), 0);
    assert_int_equal(OP(login_end, (const uint8_t[SESSION_ID_LEN]){9}, 250, 7), 0); /* no such */
    assert_int_equal(OP(login_each, login_look, &got), 0);
    assert_int_equal(got.n, 3);
    b.ended = 250;
    b.counted = true;
    b.entries = 7;
    b.after = 1;
    assert_memory_equal(&got.l[0], &a, sizeof a);
    assert_memory_equal(&got.l[1], &b, sizeof b);
    assert_memory_equal(&got.l[2], &c, sizeof c);
    got.n = 0;
    said = message(2, 11, 2);
    assert_int_equal(OP(message_add, &said), 0);
    assert_int_equal(OP(login_end_all, 400), 0); /* what a crash left: nobody counted */
    assert_int_equal(OP(login_each, login_look, &got), 0);
    a.ended = c.ended = 400;
    a.after = c.after = 2;
    assert_memory_equal(&got.l[0], &a, sizeof a);
    assert_memory_equal(&got.l[1], &b, sizeof b);
    assert_memory_equal(&got.l[2], &c, sizeof c);
    assert_int_equal(OP(session_drop, &a.fp), 0); /* the tokens go, and this stays */
    got.n = 0;
    assert_int_equal(OP(login_each, login_look, &got), 0);
    assert_int_equal(got.n, 3);
}

static struct store_tip tip_seen;

static int room_look(void *ctx, const struct store_room *row, const struct store_tip *tip)
{
    struct store_room *out = ctx;
    *out = *row;
    tip_seen = *tip;
    return 0;
}

static int message_look(void *ctx, const struct store_message *row)
{
    uint64_t *sum = ctx;

    assert_true(str_is(row->line, "a line"));
    assert_true(span_same(row->sig, span_of("sig", 3)));
    if (row->why.n == 0)
        assert_true(span_same(row->body, span_of("bo\0dy", 5)));
    else
        assert_true(str_is(row->why, "policy") && row->body.n == 0);
    *sum = *sum * 10 + row->number;
    return 0;
}

static int former_look(void *ctx, const struct store_message *row)
{
    uint64_t *sum = ctx;

    assert_true(str_is(row->line, "a line") && span_same(row->sig, span_of("sig", 3)));
    assert_int_equal(row->body.n + row->why.n, 0);
    *sum = *sum * 10 + row->number;
    return 0;
}

static void test_messages(void **state)
{
    struct store_message m[] = {message(1, 11, 1), message(2, 21, 1), message(3, 12, 1),
                                message(4, 11, 2), message(5, 21, 2)};
    struct room_id id = {{7}}, other = {{8}};
    struct hash head;
    uint64_t sum = 0;
    struct store_room got;
    (void)state;
    fill();
    assert_int_equal(OP(message_count, &sum), 1);
    assert_int_equal(sum, 0);
    assert_int_equal(OP(room_each, room_look, &got), 0);
    assert_int_equal(tip_seen.number, 0);
    m[4].why = str_of("policy");
    m[4].body = span_of(NULL, 0);
    m[0].seats = m[2].seats = m[3].seats = true;
    for (size_t i = 0; i < COUNT(m); i++)
        assert_int_equal(OP(message_add, &m[i]), 0);
    assert_int_equal(OP(room_each, room_look, &got), 0);
    assert_int_equal(tip_seen.number, 5);
    assert_memory_equal(&tip_seen.head, &m[4].head, sizeof head);
    struct store_room r = room(7, "lobby");
    assert_memory_equal(&got, &r, sizeof r);
    assert_int_equal(OP(message_range, &id, 2, 4, message_look, &sum), 0);
    assert_int_equal(sum, 234);
    sum = 0;
    assert_int_equal(OP(message_range, &id, 5, 3, message_look, &sum), 0);
    assert_int_equal(sum, 543);
    sum = 0;
    assert_int_equal(OP(message_seq, &id, &m[1].fp, 2, message_look, &sum), 1);
    assert_int_equal(OP(message_seq, &id, &m[1].fp, 3, message_look, &sum), 0);
    assert_int_equal(OP(message_seq, &other, &m[1].fp, 2, message_look, &sum), 0);
    assert_int_equal(OP(message_last, &id, &m[0].fp, message_look, &sum), 1);
    assert_int_equal(sum, 54);
    sum = 0;
    assert_int_equal(OP(message_former, &id, &m[0].account, former_look, &sum), 0);
    assert_int_equal(sum, 431);
    assert_int_equal(OP(message_former, &id, &m[1].account, former_look, &sum), 0);
    assert_int_equal(OP(message_former, &id, &(struct account_id){{99}}, former_look, &sum), 0);
    assert_int_equal(sum, 43152);
    sum = 0;
    assert_int_equal(OP(message_seats, &id, 0, message_look, &sum), 0);
    assert_int_equal(sum, 134);
    assert_int_equal(OP(message_seats, &id, 3, message_look, &sum), 0);
    assert_int_equal(sum, 1344);
    assert_int_equal(OP(message_seats, &id, 4, message_look, &sum), 0);
    assert_int_equal(OP(message_seats, &other, 0, message_look, &sum), 0);
    assert_int_equal(sum, 1344);
    assert_int_equal(OP(message_head, &id, 3, &head), 1);
    assert_memory_equal(&head, &m[2].head, sizeof head);
    assert_int_equal(OP(message_head, &id, 6, &head), 0);
    uint64_t place = 9;
    assert_int_equal(OP(message_count, &place), 1);
    assert_int_equal(place, COUNT(m));
    assert_int_equal(OP(message_place, &id, 4, &place), 1);
    assert_int_equal(place, 4);
    assert_int_equal(OP(message_place, &id, 6, &place), 0);
    assert_int_equal(OP(message_place, &other, 4, &place), 0);
}

static void test_messages_are_unique(void **state)
{
    struct store_message a = message(1, 11, 1), same_number = message(1, 11, 2),
                         same_seq = message(2, 11, 1);
    (void)state;
    fill();
    assert_int_equal(OP(message_add, &a), 0);
    assert_int_equal(OP(message_add, &same_number), -1);
    e = (struct err){0};
    assert_int_equal(OP(message_add, &same_seq), -1);
}

static int member_look(void *ctx, const struct store_member *row)
{
    *(struct store_member *)ctx = *row;
    return 0;
}

static void test_members(void **state)
{
    struct store_member m = {.room = {{7}},
                             .account = {{2}},
                             .state = STATE_INVITED,
                             .role = ROLE_MEMBER,
                             .since = 3,
                             .by = {{1}}},
                        got;
    (void)state;
    fill();
    assert_int_equal(OP(member_put, &m), 0);
    m.state = STATE_MEMBER;
    m.from = 4;
    m.delivered = 9;
    m.joined = 12;
    assert_int_equal(OP(member_put, &m), 0);
    assert_int_equal(OP(member_each, member_look, &got), 0);
    assert_memory_equal(&got, &m, sizeof m);
}

static void test_invites(void **state)
{
    struct store_invite v = {.token = {{1}},
                             .bound = true,
                             .account = {{2}},
                             .keep = true,
                             .made = 1,
                             .expires = 9},
                        got;
    (void)state;
    fill();
    assert_int_equal(OP(invite_put, &v), 0);
    assert_int_equal(OP(invite_get, &v.token, &got), 1);
    assert_memory_equal(&got, &v, sizeof v);
    assert_int_equal(OP(invite_get, &(struct hash){{2}}, &got), 0);
    v.used = 5;
    v.key = (struct hash){{3}};
    v.fp = (struct hash){{11}};
    assert_int_equal(OP(invite_use, &v), 1);
    assert_int_equal(OP(invite_use, &v), 0); /* one use */
    assert_int_equal(OP(invite_get, &v.token, &got), 1);
    assert_memory_equal(&got, &v, sizeof v);
    v.token = (struct hash){{77}};
    assert_int_equal(OP(invite_use, &v), 0);
}

static int audit_sum(void *ctx, const struct store_audit *row)
{
    uint64_t *sum = ctx;
    *sum = *sum * 100 + row->count;
    if (row->folded) { /* one name for all that was counted, or none */
        assert_true(str_is(row->account, row->count == 5 ? "" : "first"));
        assert_true(str_is(row->fp, row->count == 5 ? "" : "aa"));
    }
    return 0;
}

static void test_audit(void **state)
{
    struct store_audit a = {.event = str_of("refused"),
                            .account = str_of("first"),
                            .fp = str_of("aa"),
                            .reason = str_of("expired"),
                            .address = str_of("192.0.2.1"),
                            .time = 120000,
                            .count = 1,
                            .folded = true};
    uint64_t sum = 0;
    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(OP(audit_add, &a), 0);
        a.time += 7000;                                 /* the same minute */
        a.account = str_of(i == 0 ? "later" : "first"); /* the second one alone differs */
        a.fp = str_of(i == 0 ? "bb" : "aa");
    }
    a.time = 180000; /* the next */
    assert_int_equal(OP(audit_add, &a), 0);
    assert_int_equal(OP(audit_add, &a), 0);
    a.time = 240000;
    a.folded = false;
    assert_int_equal(OP(audit_add, &a), 0);
    assert_int_equal(OP(audit_add, &a), 0);
    assert_int_equal(st.ops->audit_each(st.db, 0, audit_sum, &sum, &e), 0);
    assert_int_equal(sum, 5020101);
    sum = 0;
    assert_int_equal(st.ops->audit_each(st.db, 200000, audit_sum, &sum, &e), 0);
    assert_int_equal(sum, 101);
}

static void test_rollback(void **state)
{
    struct store_user carol = user(3, "carol"), alice = user(1, "alice"), got;
    struct store_session s = {.id = 5, .current = {{1}}, .fp = {{11}}, .account = {{1}}};
    struct store_session out;
    (void)state;
    fill();
    assert_int_equal(OP(session_put, &s), 0);
    assert_int_equal(st.ops->begin(st.db, &e), 0);
    alice.disabled = true;
    assert_int_equal(OP(user_put, &carol), 0);
    assert_int_equal(OP(user_put, &alice), 0);
    assert_int_equal(OP(session_drop, &s.fp), 0);
    assert_int_equal(OP(user_find, "carol", &got), 1); /* seen within */
    st.ops->rollback(st.db);
    assert_int_equal(OP(user_find, "carol", &got), 0);
    assert_int_equal(OP(user_get, &alice.id, &got), 1);
    assert_false(got.disabled);
    assert_int_equal(OP(session_find, &s.current, &out), 1);
    assert_int_equal(st.ops->begin(st.db, &e), 0);
    assert_int_equal(OP(user_put, &carol), 0);
    assert_int_equal(st.ops->commit(st.db, &e), 0);
    assert_int_equal(OP(user_find, "carol", &got), 1);
    assert_int_equal(st.ops->commit(st.db, &e), -1); /* nothing was begun */
}

/* --- SQLite's file --- */

static void *reopen(enum store_open how)
{
    store_close(&st);
    e = (struct err){0};
    st = (struct store){&store_sqlite, store_sqlite_open(path, how, &e)};
    return st.db;
}

static void sql(const char *text)
{
    sqlite3 *db;
    store_close(&st);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", text, sqlite3_errmsg(db));
    sqlite3_close(db);
}

static void test_file_stays(void **state)
{
    struct store_user got;
    struct stat s;
    (void)state;
    fill();
    assert_int_equal(stat(path, &s), 0);
    assert_int_equal(s.st_mode & 0777, 0600);
    assert_non_null(reopen(STORE_OPEN));
    assert_int_equal(OP(user_find, "bob", &got), 1);
    assert_non_null(reopen(STORE_CHECK));
    assert_int_equal(OP(user_find, "bob", &got), 1);
}

static void refused(enum err_code code, const char *word)
{
    if (reopen(STORE_OPEN) != NULL)
        fail_msg("opened, although: %s", word);
    assert_int_equal(e.code, code);
    if (strstr(e.text, word) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", e.text, word);
    if (code != ERR_INPUT && access(path, F_OK) != 0)
        fail_msg("the file is gone");
}

static void test_file_refused_create(void **state)
{
    struct stat s;
    (void)state;
    assert_null(reopen(STORE_CREATE)); /* never over an old one */
    assert_int_equal(e.code, ERR_CREATE);
    assert_int_equal(stat(path, &s), 0);
    assert_true(s.st_size > 0);
}

static void test_file_refused_missing(void **state)
{
    (void)state;
    store_close(&st);
    path_clear();
    refused(ERR_INPUT, "No such file");
    assert_int_not_equal(access(path, F_OK), 0); /* and none was made */
}

static void test_file_refused_newer(void **state)
{
    (void)state;
    sql("PRAGMA user_version = 99");
    refused(ERR_DATA, "newer");
}

static void test_file_refused_foreign(void **state)
{
    (void)state;
    sql("PRAGMA application_id = 1");
    refused(ERR_DATA, "another program");
}

static void test_file_refused_not_sqlite(void **state)
{
    (void)state;
    store_close(&st);
    path_clear();
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    for (int i = 0; i < 500; i++)
        assert_int_equal(write(fd, "this is a text\n", 15), 15);
    close(fd);
    refused(ERR_DATA, "not a database");
}

static void test_file_refused_empty(void **state)
{
    (void)state;
    store_close(&st);
    assert_int_equal(truncate(path, 0), 0);
    refused(ERR_DATA, "empty");
    struct stat s;
    assert_int_equal(stat(path, &s), 0);
    assert_int_equal(s.st_size, 0); /* not made anew */
    assert_int_equal(unlink(path), 0);
    char side[80];
    snprintf(side, sizeof side, "%s-wal", path);
    int fd = open(side, O_WRONLY | O_CREAT, 0600);
    close(fd);
    assert_null(reopen(STORE_CREATE)); /* a journal without its database */
    assert_int_equal(e.code, ERR_DATA);
}

static void test_file_refused_damaged(void **state)
{
    struct stat s;
    (void)state;
    fill();
    store_close(&st);
    assert_int_equal(stat(path, &s), 0);
    int fd = open(path, O_RDWR);
    for (off_t at = 4096; at < s.st_size; at += 4096) /* every page but the first */
        assert_int_equal(pwrite(fd, "\xff\xff\xff\xff\xff\xff\xff\xff", 8, at), 8);
    close(fd);
    refused(ERR_DATA, "damaged");
    assert_null(reopen(STORE_CHECK));
    err_clear(&e);
    assert_null(reopen(STORE_BESIDE)); /* it checks nothing, but cannot even tell the tables */
    assert_int_equal(e.code, ERR_DATA);
}

static void test_file_refused_open_to_others(void **state)
{
    (void)state;
    store_close(&st);
    assert_int_equal(chmod(path, 0644), 0);
    refused(ERR_CONFIG, "chmod 600");
}

/* Whoever may write into the directory could put anything there; nothing of it is opened. */
static void test_file_refused_no_file(void **state)
{
    char other[sizeof path + 8];
    (void)state;

    store_close(&st);
    snprintf(other, sizeof other, "%s-other", path);
    assert_int_equal(rename(path, other), 0);
    assert_int_equal(symlink(other, path), 0);
    refused(ERR_INPUT, "no regular file");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    e = (struct err){0};
    refused(ERR_INPUT, "no regular file");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rename(other, path), 0);
}

/* What versions 8, 7, 6, 5, 4, 3 and 2 added. */
#define FORMER_8                                                                                   \
    "ALTER TABLE receipts DROP COLUMN member; ALTER TABLE receipts DROP COLUMN member_sig;"
#define FORMER_7                                                                                   \
    FORMER_8                                                                                       \
    "DROP TABLE audit_keys; DROP TABLE audit_checkpoints; DROP INDEX audit_known;"                 \
    "DROP INDEX audit_number; DROP INDEX audit_open; DROP INDEX audit_folded;"                     \
    "ALTER TABLE audit_log DROP COLUMN number; ALTER TABLE audit_log DROP COLUMN sealed;"          \
    "ALTER TABLE audit_log DROP COLUMN nodes;"                                                     \
    "CREATE UNIQUE INDEX audit_folded ON audit_log (event, reason, address, time) WHERE folded;"
#define FORMER_6                                                                                   \
    FORMER_7                                                                                       \
    "ALTER TABLE logins DROP COLUMN link; ALTER TABLE logins DROP COLUMN suite;"                   \
    "ALTER TABLE logins DROP COLUMN before; ALTER TABLE logins DROP COLUMN after;"
#define FORMER_5 FORMER_6 "DROP TABLE receipts; ALTER TABLE logins DROP COLUMN transcript_hash;"
#define FORMER_4 FORMER_5 "DROP TABLE logins;"
#define FORMER_3                                                                                   \
    FORMER_4                                                                                       \
    "DROP TABLE checkpoints; DROP TABLE signers; ALTER TABLE messages DROP COLUMN nodes;"
#define FORMER_2                                                                                   \
    FORMER_3                                                                                       \
    "DROP INDEX messages_seats; ALTER TABLE messages DROP COLUMN seats;"                           \
    "ALTER TABLE members DROP COLUMN joined;"

/* Members of a file from before members signed are let in again when they do. */
static void test_file_of_before_signed_joins(void **state)
{
    struct store_member m = {.room = {{7}}, .account = {{2}}, .state = STATE_MEMBER, .from = 4},
                        got;
    struct store_message g = message(1, 11, 1);
    struct room_id id = {{7}};
    uint64_t sum = 0;
    (void)state;
    fill();
    assert_int_equal(OP(member_put, &m), 0);
    assert_int_equal(OP(message_add, &g), 0);
    sql(FORMER_2 "PRAGMA user_version = 2");
    assert_non_null(reopen(STORE_OPEN));
    assert_int_equal(OP(member_each, member_look, &got), 0);
    m.state = STATE_ADMITTED;
    assert_memory_equal(&got, &m, sizeof m);
    assert_int_equal(OP(message_range, &id, 1, 1, message_look, &sum), 0);
    assert_int_equal(OP(message_seats, &id, 0, message_look, &sum), 0);
    assert_int_equal(sum, 1);
    assert_non_null(reopen(STORE_CHECK));
}

/* The nodes of message `number` in a tree of its own, as the core gives them. */
static size_t nodes_of(uint64_t number, struct hash out[TREE_LEVELS + 1])
{
    struct tree t = {0};
    struct tree_done done = {.n = 0};

    for (uint64_t n = 1; n <= number; n++) {
        struct store_message g = message(n, 11, n);
        transcript_leaf(&out[0], g.line, g.time);
        tree_add(&t, &out[0], &done);
    }
    memcpy(out + 1, done.p, done.n * sizeof done.p[0]);
    return 1 + done.n;
}

static void nodes_look(uint64_t number)
{
    struct hash want[TREE_LEVELS + 1], got;
    struct room_id id = {{7}};
    size_t n = nodes_of(number, want);

    for (unsigned k = 0; k < n; k++) {
        assert_int_equal(OP(message_node, &id, number, k, &got), 1);
        assert_memory_equal(&got, &want[k], sizeof got);
    }
    assert_int_equal(OP(message_node, &id, number, (unsigned)n, &got), 0);
}

static void test_trees(void **state)
{
    struct room_id id = {{7}}, other = {{8}};
    struct hash nodes[TREE_LEVELS + 1], got;
    int64_t latest;
    (void)state;
    fill();
    for (uint64_t n = 1; n <= 9; n++) {
        struct store_message g = message(n, 11, n);
        g.nodes = (struct hashes){nodes, nodes_of(n, nodes)};
        assert_int_equal(OP(message_add, &g), 0);
    }
    for (uint64_t n = 1; n <= 9; n++)
        nodes_look(n);
    assert_int_equal(OP(message_node, &id, 10, 0, &got), 0);
    assert_int_equal(OP(message_node, &other, 1, 0, &got), 0);
    assert_int_equal(OP(message_latest, &id, 4, &latest), 0);
    assert_int_equal(latest, 90);
    assert_int_equal(OP(message_latest, &id, 9, &latest), 0);
    assert_int_equal(latest, 0);
}

static void test_checkpoints(void **state)
{
    static const struct store_chain chain = {.leaf = {1, 2, 3}, .issuer = {4}, 3, 1},
                                    second = {.leaf = {9}, .issuer = {9}, 1, 1};
    struct store_checkpoint c = {
        .room = {{7}}, .size = 3, .time = 30, .signer = {{5}}, .text = "a\nb\n", .sig_n = 2};
    struct store_checkpoint got;
    struct store_chain got_chain;
    struct hash fp = {{5}}, none = {{6}};
    (void)state;
    fill();
    assert_int_equal(OP(checkpoint_get, &c.room, &got), 0);
    assert_int_equal(OP(signer_put, &fp, &chain), 0);
    assert_int_equal(OP(signer_put, &fp, &second), 0); /* the first stays */
    assert_int_equal(OP(signer_get, &fp, &got_chain), 1);
    assert_int_equal(got_chain.leaf_n, 3);
    assert_memory_equal(got_chain.leaf, chain.leaf, 3);
    assert_int_equal(OP(signer_get, &none, &got_chain), 0);
    assert_int_equal(OP(checkpoint_put, &c), 0);
    c.size = 4;
    assert_int_equal(OP(checkpoint_put, &c), 0); /* the newest alone */
    assert_int_equal(OP(checkpoint_get, &c.room, &got), 1);
    assert_memory_equal(&got, &c, sizeof c);
}

static struct store_receipt receipt(uint8_t id, uint8_t session)
{
    struct store_receipt x = {.hash = {{id}},
                              .session = {session},
                              .room = {{7}},
                              .fp = {{11}},
                              .previous = {{0, id}},
                              .last = 10U * id,
                              .client = "role client\n",
                              .relay = "role relay\n",
                              .client_sig = {1, id},
                              .relay_sig = {2, id},
                              .client_sig_n = 2,
                              .relay_sig_n = SIG_MAX};
    memset(x.text, 'a', RECEIPT_MAX);
    return x;
}

static void test_receipts(void **state)
{
    struct store_receipt a = receipt(2, 1), b = receipt(1, 1), got;
    struct store_login l = login(1, 100), is;
    struct room_id other = {{8}};
    struct store_place at;
    struct hash h = {{3}};
    (void)state;
    fill();
    assert_int_equal(OP(login_put, &l), 0);
    assert_int_equal(OP(receipt_place, &a.room, &a.fp, &h, &at), 0);
    assert_int_equal(OP(receipt_get, &a.hash, &got), 0);
    assert_int_equal(OP(receipt_add, &a), 0);
    assert_int_equal(OP(receipt_add, &b), 0);
    assert_int_equal(OP(receipt_add, &a), -1); /* once */
    err_clear(&e);
    struct store_receipt second = receipt(4, 1);
    second.previous = a.previous; /* and one in a place */
    assert_int_equal(OP(receipt_add, &second), -1);
    err_clear(&e);
    assert_int_equal(OP(receipt_get, &a.hash, &got), 1);
    assert_memory_equal(&got, &a, sizeof a);
    assert_int_equal(OP(receipt_place, &a.room, &a.fp, &h, &at), 1);
    assert_memory_equal(&at.hash, &b.hash, sizeof at.hash); /* by when it came */
    assert_int_equal(at.last, b.last);
    assert_false(at.taken);
    assert_int_equal(OP(receipt_place, &a.room, &a.fp, &a.previous, &at), 1);
    assert_true(at.taken);
    assert_memory_equal(&at.hash, &b.hash, sizeof at.hash);
    assert_int_equal(OP(receipt_place, &other, &a.fp, &a.previous, &at), 0);
    assert_int_equal(OP(receipt_place, &a.room, &h, &a.previous, &at), 0);
    assert_int_equal(OP(receipt_cosign, &a.hash, "another seal", span_of("sig", 3)), 0);
    assert_int_equal(OP(receipt_cosign, &a.hash, "too late", span_of("no", 2)),
                     0); /* the first stays */
    assert_int_equal(OP(receipt_get, &a.hash, &got), 1);
    assert_string_equal(got.member, "another seal");
    assert_true(span_same(span_of(got.member_sig, got.member_sig_n), span_of("sig", 3)));
    assert_int_equal(OP(receipt_get, &b.hash, &got), 1);
    assert_int_equal(got.member_sig_n, 0);
    assert_int_equal(OP(login_get, l.session, &is), 1);
    assert_memory_equal(&is, &l, sizeof l);
    assert_int_equal(OP(login_seal, l.session, &h), 0);
    assert_int_equal(OP(login_get, l.session, &is), 1);
    l.has_transcript = true;
    l.transcript = h;
    assert_memory_equal(&is, &l, sizeof l);
    assert_int_equal(OP(login_get, (const uint8_t[SESSION_ID_LEN]){9}, &is), 0);
}

/* Logins of before receipts stay, without any. */
static void test_file_of_before_receipts(void **state)
{
    struct store_login l = login(1, 100), got;
    (void)state;
    fill();
    assert_int_equal(OP(login_put, &l), 0);
    sql(FORMER_5 "PRAGMA user_version = 5");
    assert_non_null(reopen(STORE_OPEN));
    assert_int_equal(OP(login_get, l.session, &got), 1);
    memset(l.link, 0, sizeof l.link); /* what no version before kept */
    memset(l.suite, 0, sizeof l.suite);
    l.before = 0;
    assert_memory_equal(&got, &l, sizeof l);
    const struct store_receipt x = receipt(1, 1);
    assert_int_equal(OP(receipt_add, &x), 0);
    assert_non_null(reopen(STORE_CHECK));
}

/* Rooms of before trees have them after the first start. */
static void test_file_of_before_trees(void **state)
{
    struct store_room r = room(8, "attic");
    struct room_id id = {{8}};
    struct hash got;
    (void)state;
    fill();
    assert_int_equal(OP(room_put, &r), 0);
    for (uint64_t n = 1; n <= 21; n++) {
        struct store_message g = message(n, 11, n), h = message(n, 12, n);
        h.room = id;
        assert_int_equal(OP(message_add, &g), 0);
        if (n <= 4)
            assert_int_equal(OP(message_add, &h), 0);
    }
    assert_int_equal(OP(message_node, &id, 1, 0, &got), 0);
    sql(FORMER_3 "PRAGMA user_version = 3");
    assert_null(reopen(STORE_CHECK));
    assert_non_null(reopen(STORE_OPEN));
    for (uint64_t n = 1; n <= 21; n++)
        nodes_look(n);
    assert_int_equal(OP(message_node, &id, 4, 2, &got), 1);
    assert_int_equal(OP(message_node, &id, 5, 0, &got), 0);
    assert_non_null(reopen(STORE_CHECK));
}

static void test_file_older_is_renewed(void **state)
{
    struct store_user got;
    (void)state;
    fill();
    sql(FORMER_2 "DROP INDEX audit_time; PRAGMA user_version = 1");
    assert_null(reopen(STORE_CHECK)); /* doctor changes nothing */
    assert_non_null(reopen(STORE_OPEN));
    assert_int_equal(OP(user_find, "bob", &got), 1);
    assert_non_null(reopen(STORE_CHECK));
}

static void test_file_other_process(void **state)
{
    struct store two;
    struct store_user carol = user(3, "carol");
    (void)state;
    two = (struct store){&store_sqlite, store_sqlite_open(path, STORE_OPEN, &e)};
    assert_non_null(two.db);
    assert_int_equal(st.ops->changed(st.db, &e), 0);
    fill(); /* our own writing is no news */
    assert_int_equal(st.ops->changed(st.db, &e), 0);
    assert_int_equal(two.ops->user_put(two.db, &carol, &e), 0);
    assert_int_equal(st.ops->changed(st.db, &e), 1);
    assert_int_equal(st.ops->changed(st.db, &e), 0);
    store_close(&two);
}

#define SUITE(open)                                                                                \
    cmocka_unit_test_setup_teardown(test_users, open, close_store),                                \
        cmocka_unit_test_setup_teardown(test_hostile_text_is_text, open, close_store),             \
        cmocka_unit_test_setup_teardown(test_user_names_are_unique, open, close_store),            \
        cmocka_unit_test_setup_teardown(test_devices, open, close_store),                          \
        cmocka_unit_test_setup_teardown(test_sessions, open, close_store),                         \
        cmocka_unit_test_setup_teardown(test_logins, open, close_store),                           \
        cmocka_unit_test_setup_teardown(test_messages, open, close_store),                         \
        cmocka_unit_test_setup_teardown(test_messages_are_unique, open, close_store),              \
        cmocka_unit_test_setup_teardown(test_trees, open, close_store),                            \
        cmocka_unit_test_setup_teardown(test_receipts, open, close_store),                         \
        cmocka_unit_test_setup_teardown(test_checkpoints, open, close_store),                      \
        cmocka_unit_test_setup_teardown(test_members, open, close_store),                          \
        cmocka_unit_test_setup_teardown(test_invites, open, close_store),                          \
        cmocka_unit_test_setup_teardown(test_audit, open, close_store),                            \
        cmocka_unit_test_setup_teardown(test_rollback, open, close_store)

#define FILE_TEST(name) cmocka_unit_test_setup_teardown(name, open_sqlite, close_store)

int main(void)
{
    const struct CMUnitTest memory[] = {SUITE(open_memory)};
    const struct CMUnitTest sqlite[] = {
        SUITE(open_sqlite),
        FILE_TEST(test_file_stays),
        FILE_TEST(test_file_refused_create),
        FILE_TEST(test_file_refused_missing),
        FILE_TEST(test_file_refused_newer),
        FILE_TEST(test_file_refused_foreign),
        FILE_TEST(test_file_refused_not_sqlite),
        FILE_TEST(test_file_refused_empty),
        FILE_TEST(test_file_refused_damaged),
        FILE_TEST(test_file_refused_open_to_others),
        FILE_TEST(test_file_refused_no_file),
        FILE_TEST(test_file_older_is_renewed),
        FILE_TEST(test_file_of_before_signed_joins),
        FILE_TEST(test_file_of_before_receipts),
        FILE_TEST(test_file_of_before_trees),
        FILE_TEST(test_file_other_process),
    };
    int rc = cmocka_run_group_tests_name("store: memory", memory, NULL, NULL);
    return rc + cmocka_run_group_tests_name("store: sqlite", sqlite, NULL, NULL);
}
