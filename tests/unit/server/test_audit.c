/* The audit log as a tree: the rows of a relay and of the operator beside it, its checkpoints, and
 * what becomes of addresses. The tree is built a second time here, from the rows. */
#include <sqlite3.h>
#include <stdio.h>

#include "common/evidence/audit.h"
#include "common/evidence/checkpoint.h"
#include "server/core/ledger.h"
#include "tests/unit/server/support_relay.h"

static struct relay *r;
static struct err e;

enum { DAY = 24 * 3600 * 1000, MINUTE = 60 * 1000 };

static int setup(void **state)
{
    (void)state;
    e = (struct err){0};
    r = relay_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    relay_free(r);
    return 0;
}

#define OP(call, ...) r->ops->call(r->store.db, __VA_ARGS__, &e)

static uint64_t size(void)
{
    uint64_t n;
    assert_int_equal(OP(audit_size, &n), 0);
    return n;
}

/* --- the tree out of the rows --- */

static int row_add(void *ctx, const struct store_audit *row)
{
    struct tree *t = ctx;
    struct tree_done done;
    struct hash leaf;
    char line[AUDIT_LINE_MAX + 1];

    assert_int_equal(row->number, t->size + 1);
    size_t n = ledger_line(line, row);
    assert_int_not_equal(n, 0);
    audit_leaf(&leaf, str_from(line, n));
    tree_add(t, &leaf, &done);
    assert_int_equal(row->nodes.n, 1 + done.n);
    assert_true(hash_same(&row->nodes.p[0], &leaf));
    for (size_t i = 0; i < done.n; i++)
        assert_true(hash_same(&row->nodes.p[1 + i], &done.p[i]));
    return 0;
}

static struct merkle_head head_of_rows(uint64_t last)
{
    struct tree t = {0};

    assert_int_equal(OP(audit_range, 1, last, row_add, &t), 0);
    assert_int_equal(t.size, last);
    return tree_head(&t);
}

/* The newest checkpoint: signed by the evidence certificate, of this log, of these rows. */
static struct checkpoint newest(void)
{
    struct cert *cert = cert_parse(span_of(r->evidence.b, r->evidence.n), NULL, &e);
    struct store_checkpoint row;
    struct checkpoint p;
    uint8_t id[ROOM_ID_LEN];

    assert_int_equal(OP(audit_signed, &row), 1);
    assert_int_equal(checkpoint_audit_take(&p, str_of(row.text), &e), 0);
    assert_true(
        cert_verify_sig(cert, span_of(row.text, strlen(row.text)), span_of(row.sig, row.sig_n)));
    cert_free(cert);
    audit_log_id(id, span_of(r->root.b, r->root.n));
    assert_memory_equal(p.room, id, sizeof id);
    assert_int_equal(row.size, p.tree.size);
    assert_int_equal(row.time, p.time);
    struct merkle_head want = head_of_rows(p.tree.size);
    assert_true(hash_same(&want.root, &p.tree.root));
    return p;
}

static void stranger(const char *source)
{
    struct job *j = job_new(JOB_AUDIT, 0);

    snprintf(j->source, sizeof j->source, "%s", source);
    snprintf(j->reason, sizeof j->reason, "unknown-ca");
    assert_int_equal(core_begin(r->core, r->now, &e), 0);
    core_job(r->core, j);
    assert_int_equal(core_commit(r->core, &e), 0);
}

struct look {
    struct str event;
    uint64_t number, count, span, rows;
    char line[AUDIT_LINE_MAX + 1], address[64];
};

static int look_row(void *ctx, const struct store_audit *row)
{
    struct look *l = ctx;

    if (!str_same(row->event, l->event))
        return 0;
    l->rows++;
    l->number = row->number;
    l->count = row->count;
    l->span = row->folded ? AUDIT_SPAN_MS : 0;
    assert_int_equal(str_copy(l->address, sizeof l->address, row->address), 0);
    return row->number == 0 ? 0 : !ledger_line(l->line, row);
}

static struct look last(const char *event)
{
    struct look l = {.event = str_of(event)};

    assert_int_equal(OP(audit_each, 0, look_row, &l), 0);
    return l;
}

/* --- rows --- */

static void what_happens_is_in_the_tree_at_once(void **state)
{
    struct client *a = client_member(r, "alice");
    (void)state;

    assert_true(size() >= 5); /* invite-made, accepted, invite-used, registration, login */
    (void)head_of_rows(size());
    uint64_t before = size();
    client_gone(a);
    relay_pump(r);
    assert_int_equal(size(), before + 1);
    assert_non_null(strstr(last("disconnect").line, "|disconnect|alice|"));
    (void)head_of_rows(size());
}

static void strangers_are_a_line_when_their_minute_is_over(void **state)
{
    uint64_t before = size();
    (void)state;

    r->now -= r->now % MINUTE;
    stranger("192.0.2.1");
    r->now += MINUTE - 1;
    stranger("192.0.2.1");
    relay_turn(r);
    assert_int_equal(size(), before);
    assert_int_equal(last("refused").count, 2);
    r->now += 1;
    relay_turn(r);
    assert_int_equal(size(), before + 1);
    struct look l = last("refused");
    assert_non_null(strstr(l.line, "|60000|refused||"));
    assert_non_null(strstr(l.line, "|unknown-ca|2|"));
    /* Another one in the minute that was closed, by a clock that went back, is another row. */
    r->now -= 1;
    stranger("192.0.2.1");
    assert_int_equal(last("refused").rows, 2);
    r->now += 1;
    relay_turn(r);
    assert_int_equal(size(), before + 2);
    (void)newest();
}

static void what_a_crash_left_open_is_closed_at_the_start(void **state)
{
    (void)state;
    stranger("192.0.2.1");
    uint64_t before = size();
    r->now += MINUTE;
    relay_restart(r);
    if (r->ops == &store_memory) /* forgets */
        return;
    assert_int_equal(size(), before + 1);
    (void)head_of_rows(size());
}

static void at_the_end_nothing_is_left_open(void **state)
{
    (void)state;
    stranger("192.0.2.1");
    assert_int_equal(core_begin(r->core, r->now, &e), 0);
    core_end(r->core);
    assert_int_equal(core_commit(r->core, &e), 0);
    assert_true(core_signing(r->core));
    assert_true(last("refused").number > 0);
}

/* Also what is closed while the last checkpoint but one is still being made. */
static void at_the_end_all_is_signed(void **state)
{
    (void)state;
    stranger("192.0.2.1");
    (void)client_member(r, "alice");
    r->notary_waits = true;
    relay_turn(r); /* signed without the stranger */
    assert_int_equal(core_begin(r->core, r->now, &e), 0);
    core_end(r->core);
    assert_int_equal(core_commit(r->core, &e), 0);
    r->notary_waits = false;
    relay_pump(r);
    assert_int_equal(newest().tree.size, size());
    assert_true(last("refused").number == size());
    assert_false(core_signing(r->core));
}

static void the_operator_writes_the_same_tree(void **state)
{
    struct client *a = client_member(r, "alice");
    struct store beside = r->store;
    (void)state;

    if (r->ops == &store_sqlite)
        beside.db = store_sqlite_open(r->path, STORE_BESIDE, &e);
    assert_non_null(beside.db);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(operator_disable(&beside, "alice", i % 2 == 0, r->now, &e), 0);
        stranger("192.0.2.1");
        r->now += MINUTE;
        relay_turn(r);
    }
    client_gone(a);
    relay_pump(r);
    relay_turn(r);
    relay_pump(r);
    assert_int_equal(newest().tree.size, size());
    assert_non_null(strstr(last("disabled").line, "|disabled|alice|||1|operator"));
    if (beside.db != r->store.db)
        store_close(&beside);
}

/* --- checkpoints --- */

static void one_is_signed_a_turn_of_what_is_new(void **state)
{
    (void)state;
    (void)client_member(r, "alice");
    relay_turn(r);
    unsigned before = r->audit_signings;
    assert_true(before > 0);
    assert_int_equal(newest().tree.size, size());
    relay_turn(r);
    assert_int_equal(r->audit_signings, before);
    (void)client_member(r, "bob");
    (void)client_member(r, "carol");
    assert_int_equal(r->audit_signings, before);
    relay_turn(r);
    assert_int_equal(r->audit_signings, before + 1);
    assert_int_equal(newest().tree.size, size());
}

static void without_a_signature_the_next_turn_tries_again(void **state)
{
    (void)state;
    (void)client_member(r, "alice");
    r->unsigned_all = true;
    relay_turn(r);
    struct store_checkpoint none;
    assert_int_equal(OP(audit_signed, &none), 0);
    r->unsigned_all = false;
    relay_turn(r);
    assert_int_equal(newest().tree.size, size());
}

static void no_time_is_before_what_it_covers(void **state)
{
    (void)state;
    (void)client_member(r, "alice");
    int64_t then = r->now;
    r->now -= DAY;
    relay_turn(r);
    assert_true(newest().time >= then);
    (void)client_member(r, "bob");
    relay_turn(r);
    assert_true(newest().time >= then);
    assert_int_equal(newest().tree.size, size());
}

static int count_row(void *ctx, const struct store_checkpoint *row)
{
    uint64_t *n = ctx;

    assert_true(row->size > n[1]);
    n[1] = row->size;
    n[0]++;
    return 0;
}

static void the_last_of_each_day_stays(void **state)
{
    uint64_t n[2] = {0, 0};
    (void)state;

    r->now -= r->now % DAY;
    for (int i = 0; i < 4; i++) {
        char name[16];
        snprintf(name, sizeof name, "person-%d", i);
        (void)client_member(r, name);
        relay_turn(r);
        r->now += DAY / 2;
    }
    assert_int_equal(OP(audit_signed_each, count_row, n), 0);
    assert_int_equal(n[0], 2);
    assert_int_equal(n[1], size());
}

static void what_a_crash_left_unsigned_is_signed(void **state)
{
    (void)state;
    (void)client_member(r, "alice");
    r->notary_waits = true;
    relay_turn(r); /* on its way, and lost */
    relay_restart(r);
    r->notary_waits = false;
    if (r->ops == &store_memory) /* forgets */
        return;
    relay_turn(r);
    assert_int_equal(newest().tree.size, size());
}

/* --- a log that is not the one that was signed --- */

static void sql(const char *text)
{
    sqlite3 *db;
    char *why = NULL;

    assert_int_equal(sqlite3_open(r->path, &db), SQLITE_OK);
    if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", text, why);
    sqlite3_close(db);
}

static void not_taken(const char *harm)
{
    struct core_conf conf = {
        .store = r->store, .rng = r->rng, .root = span_of(r->root.b, r->root.n)};

    sql(harm);
    e = (struct err){0};
    struct core *second = core_new(&conf, r->now, &e);
    if (second != NULL)
        fail_msg("taken: %s", harm);
    assert_int_equal(e.code, ERR_DATA);
}

/* What the last root rests on is looked at by each start; the rest by `audit verify`. */
static void a_changed_log_is_not_signed_again(void **state)
{
    (void)state;
    if (r->ops == &store_memory)
        return;
    (void)client_member(r, "alice");
    relay_turn(r);
    sql("CREATE TABLE kept AS SELECT * FROM audit_log");
    not_taken("UPDATE audit_log SET nodes = zeroblob(length(nodes))");
    assert_non_null(strstr(e.text, "not the one that was signed"));
    sql("DELETE FROM audit_log; INSERT INTO audit_log SELECT * FROM kept");
    not_taken("DELETE FROM audit_log WHERE number = (SELECT max(number) FROM audit_log)");
    sql("DELETE FROM audit_log; INSERT INTO audit_log SELECT * FROM kept");
    not_taken("DELETE FROM audit_log");
    sql("DELETE FROM audit_log; INSERT INTO audit_log SELECT * FROM kept");
    not_taken("UPDATE audit_checkpoints SET text = replace(text, 'audit/', 'room/')");
}

/* --- addresses --- */

static struct ledger ledger(void)
{
    return (struct ledger){.store = &r->store, .rng = r->rng};
}

static void seen_from(struct ledger *l, const char *address)
{
    const struct store_audit row = {.event = str_of("seen"),
                                    .account = str_of("alice"),
                                    .reason = str_of("token"),
                                    .address = str_of(address),
                                    .time = r->now,
                                    .count = 1};

    assert_int_equal(ledger_add(l, &row, &e), 0);
}

static const char *address_of(const char *line)
{
    return strrchr(line, '|') + 1;
}

static void addresses_are_under_the_keys_of_weeks(void **state)
{
    struct ledger l = ledger();
    struct key key;
    char want[AUDIT_ADDRESS_TEXT];
    (void)state;

    r->now -= r->now % AUDIT_WEEK_MS;
    seen_from(&l, "192.0.2.1");
    struct look first = last("seen");
    r->now += AUDIT_WEEK_MS - 1;
    ledger_wipe(&l); /* after a restart the key is the same */
    l = ledger();
    seen_from(&l, "192.0.2.1");
    struct look same = last("seen");
    assert_string_equal(address_of(first.line), address_of(same.line));
    assert_int_equal(OP(audit_key_get, audit_week(r->now), &key), 1);
    audit_address(want, &key, str_of("192.0.2.1"));
    assert_string_equal(address_of(same.line), want);
    r->now += 1;
    seen_from(&l, "192.0.2.1");
    assert_string_not_equal(address_of(first.line), address_of(last("seen").line));
    seen_from(&l, "operator");
    assert_string_equal(address_of(last("seen").line), "operator");
    (void)head_of_rows(size());
}

static void addresses_go_after_their_days_and_lines_stay(void **state)
{
    struct ledger l = ledger();
    struct key key;
    (void)state;

    r->now -= r->now % AUDIT_WEEK_MS;
    seen_from(&l, "192.0.2.1");
    int64_t week = audit_week(r->now), then = r->now;
    struct look before = last("seen");
    struct merkle_head head = head_of_rows(size());
    r->now = then + AUDIT_DAYS * (int64_t)DAY;
    relay_turn(r);
    assert_string_equal(last("seen").address, "192.0.2.1");
    r->now += 1;
    relay_turn(r);
    struct look after = last("seen");
    assert_string_equal(after.address, "");
    assert_string_equal(after.line, before.line);
    /* Its key goes when a week is over for all that happened in it. */
    assert_int_equal(OP(audit_key_get, week, &key), 1);
    r->now = then + AUDIT_WEEK_MS + AUDIT_DAYS * (int64_t)DAY - 1;
    relay_turn(r);
    assert_int_equal(OP(audit_key_get, week, &key), 1);
    r->now += 1;
    relay_turn(r);
    assert_int_equal(OP(audit_key_get, week, &key), 0);
    struct merkle_head now = head_of_rows(head.size);
    assert_true(hash_same(&now.root, &head.root));
}

static void a_key_waits_for_the_last_address_of_its_week(void **state)
{
    struct ledger l = ledger();
    struct key key;
    (void)state;

    for (int i = 0; i < AUDIT_FORGET_MAX + 1; i++)
        seen_from(&l, "192.0.2.1");
    int64_t week = audit_week(r->now);
    r->now += 30 * (int64_t)DAY;
    relay_turn(r);
    assert_int_equal(OP(audit_key_get, week, &key), 1);
    relay_turn(r);
    assert_int_equal(OP(audit_key_get, week, &key), 0);
    assert_string_equal(last("seen").address, "");
}

/* Rows of before, whose addresses are their lines' own, are left alone. */
/* The clock goes forward until the key is destroyed, and comes back: no line is under that key. */
static void a_key_that_is_destroyed_seals_nothing(void **state)
{
    struct ledger l = ledger();
    struct key key;
    char want[AUDIT_ADDRESS_TEXT];
    (void)state;

    seen_from(&l, "192.0.2.1");
    int64_t then = r->now, week = audit_week(then);
    assert_int_equal(ledger_forget(&l, then + AUDIT_WEEK_MS + 1, &e), 0);
    assert_int_equal(OP(audit_key_get, week, &key), 0);
    seen_from(&l, "192.0.2.2");
    assert_int_equal(OP(audit_key_get, week, &key), 1);
    audit_address(want, &key, str_of("192.0.2.2"));
    assert_string_equal(address_of(last("seen").line), want);
}

static void words_stay(void **state)
{
    struct ledger l = ledger();
    (void)state;

    seen_from(&l, "operator");
    r->now += 30 * (int64_t)DAY;
    relay_turn(r);
    assert_string_equal(last("seen").address, "operator");
}

static void the_rows_of_a_minute_fold_no_more_when_they_forget(void **state)
{
    (void)state;
    r->now -= r->now % MINUTE;
    stranger("192.0.2.1");
    stranger("192.0.2.2");
    r->now += MINUTE;
    relay_turn(r);
    assert_int_equal(last("refused").rows, 2);
    r->now += 30 * (int64_t)DAY;
    relay_turn(r); /* both are now alike but for their lines */
    assert_int_equal(last("refused").rows, 2);
    assert_string_equal(last("refused").address, "");
    (void)newest();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_happens_is_in_the_tree_at_once),
        TEST(strangers_are_a_line_when_their_minute_is_over),
        TEST(what_a_crash_left_open_is_closed_at_the_start),
        TEST(at_the_end_nothing_is_left_open),
        TEST(at_the_end_all_is_signed),
        TEST(the_operator_writes_the_same_tree),
        TEST(one_is_signed_a_turn_of_what_is_new),
        TEST(without_a_signature_the_next_turn_tries_again),
        TEST(no_time_is_before_what_it_covers),
        TEST(the_last_of_each_day_stays),
        TEST(what_a_crash_left_unsigned_is_signed),
        TEST(a_changed_log_is_not_signed_again),
        TEST(addresses_are_under_the_keys_of_weeks),
        TEST(addresses_go_after_their_days_and_lines_stay),
        TEST(a_key_waits_for_the_last_address_of_its_week),
        TEST(a_key_that_is_destroyed_seals_nothing),
        TEST(words_stay),
        TEST(the_rows_of_a_minute_fold_no_more_when_they_forget),
    };

    relay_store = "memory";
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    relay_store = "sqlite";
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
