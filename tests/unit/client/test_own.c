/* Our own last line as the relay shows it at login, docs/protocol.md 7: nothing more is said in a
 * room whose relay lost it, changed it, or shows one that we did not write. */
#include <string.h>

#include "support_engine.h"

static void own_from_log(struct stage *s, size_t at)
{
    s->has_own = true;
    s->own = (struct f_own){s->log[at].number, s->log[at].time,
                            str_from(s->log[at].made.line, s->log[at].made.line_n),
                            span_of(s->log[at].made.sig, s->log[at].made.sig_n)};
}

/* From parts, and it is shown as ours; the caller frees it. */
static struct item *own_forge(struct stage *s, enum who signer, struct entry_line *l)
{
    struct item *it = stage_forge(s, signer, l, "{\"kind\":\"say\",\"text\":\"another\"}");

    s->has_own = true;
    s->own = (struct f_own){1, s->now, str_from(it->made.line, it->made.line_n),
                            span_of(it->made.sig, it->made.sig_n)};
    return it;
}

static void again(struct stage *s)
{
    stage_lost(s);
    stage_login(s);
}

static void expect_read_only(struct stage *s, const char *why)
{
    struct err e = {0};
    unsigned said = s->said_n;

    if (strstr(s->told.all_alarms, why) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", why, s->told.all_alarms);
    assert_non_null(strstr(s->told.all_alarms, "our own messages"));
    assert_int_equal(stage_say(s, "more", &e), 0);
    assert_int_equal(s->said_n, said);
}

static void test_own_same(void **state)
{
    struct stage *s = stage_new(state);
    struct err e = {0};

    stage_login(s);
    stage_say(s, "one", &e);
    own_from_log(s, 2);
    again(s);
    assert_int_equal(s->told.alarms, 0);
    assert_int_equal(stage_say(s, "two", &e), 3);
    stage_free(s);
}

static void test_own_lost(void **state)
{
    struct stage *s = stage_new(state);
    struct err e = {0};

    stage_login(s);
    stage_say(s, "one", &e);
    stage_lost(s);
    s->lie_own = true;
    stage_login(s);
    expect_read_only(s, "has lost");
    stage_free(s);
}

static void test_own_regress(void **state)
{
    struct stage *s = stage_new(state);
    struct err e = {0};

    stage_login(s);
    stage_say(s, "one", &e);
    stage_say(s, "two", &e);
    own_from_log(s, 2);
    again(s);
    expect_read_only(s, "has lost or changed");
    stage_free(s);
}

/* In the place of our last line, which it had acknowledged, it shows bob's. */
static void test_own_is_anothers(void **state)
{
    struct stage *s = stage_new(state);
    struct err e = {0};

    stage_login(s);
    stage_say(s, "one", &e);
    stage_push(s, stage_write(s, BOB, "two"));
    own_from_log(s, s->log_n - 1);
    again(s);
    expect_read_only(s, "has lost");
    stage_free(s);
}

/* Under the number of what it acknowledged last, or below. */
static void test_own_changed(void **state)
{
    for (uint64_t seq = 1; seq <= 2; seq++) {
        struct stage *s = stage_new(state);
        struct entry_line l;
        struct err e = {0};
        stage_login(s);
        assert_int_equal(stage_say(s, "one", &e), 2);
        stage_line(s, ALICE, &l);
        l.seq = seq;
        struct item *it = own_forge(s, ALICE, &l);
        again(s);
        expect_read_only(s, "has lost or changed");
        item_free(it);
        stage_free(s);
    }
}

/* What waits to be acknowledged may be there already, with the bytes that wait. */
static void test_own_queued(void **state)
{
    struct stage *s = stage_new(state);
    struct entry_line l;
    struct err e = {0};

    s->mute = true;
    stage_login(s);
    assert_int_equal(stage_say(s, "one", &e), 2);
    s->has_own = true;
    s->own = (struct f_own){3, s->now, str_of(s->said_line[0]), span_of(s->said_sig[0], 256)};
    again(s);
    assert_int_equal(s->told.alarms, 0);
    assert_int_equal(s->said_n, 2);

    stage_line(s, ALICE, &l);
    l.seq = 2;
    struct item *it = own_forge(s, ALICE, &l);
    again(s);
    assert_int_equal(s->said_n, 2);
    expect_read_only(s, "has changed");
    item_free(it);
    stage_free(s);
}

/* Newer than ours: adopted only if our signature is on it and nothing of ours waits. */
static void own_newer(void **state, enum who signer, bool waits, bool adopted)
{
    struct stage *s = stage_new(state);
    struct entry_line l;
    struct err e = {0};

    if (waits) {
        s->mute = true;
        stage_login(s);
        assert_int_equal(stage_say(s, "one", &e), 2);
        stage_lost(s);
    }
    unsigned said = s->said_n;
    stage_line(s, ALICE, &l);
    l.seq = 7;
    struct item *it = own_forge(s, signer, &l);
    stage_login(s);
    assert_int_equal(s->said_n, said);
    if (adopted)
        assert_true(stage_say(s, "next", &e) > 7);
    else
        expect_read_only(s, "shows a line that we did not write");
    item_free(it);
    stage_free(s);
}

static void test_own_newer(void **state)
{
    own_newer(state, ALICE, false, true);
    own_newer(state, BOB, false, false);
    own_newer(state, ALICE, true, false);
}

/* Our signature is on it, and it was written for another room; or it is no whole line. */
static void test_own_malformed(void **state)
{
    for (unsigned cut = 0; cut < 2; cut++) {
        struct stage *s = stage_new(state);
        struct entry_line l;
        stage_line(s, ALICE, &l);
        l.seq = 7;
        l.room = cut ? s->room : stage_room_id(0xbb);
        struct item *it = own_forge(s, ALICE, &l);
        s->own.line.n -= cut;
        stage_login(s);
        expect_read_only(s, "malformed");
        assert_int_equal(s->joins_said, 0);
        item_free(it);
        stage_free(s);
    }
}

/* The account's former device: its last line is what our first one follows, once its certificate
 * is one of our CA for this account. A name alone is no certificate. */
static void own_former(void **state, enum who former, bool taken)
{
    struct stage *s = stage_new(state);
    struct entry_line l;
    struct err e = {0};
    struct hash line;

    stage_log(s, stage_join(s, former));
    s->is_signed = true;
    own_from_log(s, 1);
    stage_login(s);
    if (taken) {
        assert_int_equal(stage_say(s, "next", &e), 1);
        assert_int_equal(entry_line_take(&l, str_of(s->said_line[0]), &e), 0);
        entry_line_hash(s->own.line, &line);
        assert_true(hash_same(&l.prev, &line));
        assert_null(strstr(s->told.all_alarms, "our own messages"));
    } else {
        if (strstr(s->told.all_alarms, "of another device, without its signature") == NULL)
            fail_msg("%s", s->told.all_alarms);
        assert_int_equal(stage_say(s, "next", &e), 0);
        assert_int_equal(s->said_n, 0);
    }
    stage_free(s);
}

static void test_own_former(void **state)
{
    own_former(state, ALICE_OLD, true);
    own_former(state, EVE, false);
    own_former(state, BOB, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_same),    cmocka_unit_test(test_own_lost),
        cmocka_unit_test(test_own_regress), cmocka_unit_test(test_own_is_anothers),
        cmocka_unit_test(test_own_changed), cmocka_unit_test(test_own_queued),
        cmocka_unit_test(test_own_newer),   cmocka_unit_test(test_own_malformed),
        cmocka_unit_test(test_own_former),
    };

    return cmocka_run_group_tests_name("own", tests, stage_world, stage_world_end);
}
