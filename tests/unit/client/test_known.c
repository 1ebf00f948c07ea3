/* Certificates that come later: a relay that enrols bob again, and what stops us until somebody
 * looked. */
#include <stdio.h>
#include <string.h>

#include "support_engine.h"

static struct stage *room_with_bob(void **state, enum room_kind kind)
{
    struct stage *s = stage_empty(state, kind);

    stage_log(s, stage_join(s, BOB));
    if (kind == ROOM_PRIVATE)
        stage_log(s, stage_invite(s, BOB, ALICE));
    stage_login(s);
    return s;
}

/* The next connection shows bob's further certificate. */
static void enrolled_again(struct stage *s)
{
    s->bob_new = true;
    stage_lost(s);
    stage_login(s);
}

static void expect_stopped(struct stage *s)
{
    unsigned said = s->said_n;
    struct err e = {0};

    assert_int_equal(stage_say(s, "secret", &e), 0);
    assert_int_equal(e.code, ERR_AUTH);
    assert_non_null(strstr(e.text, "bob has a new certificate"));
    assert_non_null(strstr(e.text, "/verify bob FINGERPRINT"));
    assert_non_null(strstr(e.text, "/accept bob"));
    assert_int_equal(s->said_n, said);
    assert_true(engine_blocked(s->g, &s->room));
}

static void expect_free(struct stage *s)
{
    unsigned said = s->said_n;
    struct err e = {0};

    assert_true(stage_say(s, "hello", &e) != 0);
    assert_int_equal(s->said_n, said + 1);
    assert_false(engine_blocked(s->g, &s->room));
}

static void expect_alarm(struct stage *s, const char *why)
{
    if (strstr(s->told.all_alarms, why) == NULL)
        fail_msg("%u alarms, \"%s\" is not in \"%s\"", s->told.alarms, why, s->told.all_alarms);
}

static void push_device(struct stage *s, bool kept)
{
    const struct f_device f = {.account = stage_account(BOB),
                               .name = str_of("bob"),
                               .device = str_of("phone"),
                               .fp = s->who[BOB_NEW].fp,
                               .time = s->now,
                               .kept = kept};

    stage_feed(s, F_DEVICE, &f);
}

static void accept_name(struct stage *s, const char *name, int n)
{
    struct err e = {0};

    assert_int_equal(engine_accept(s->g, str_of(name), &e), n);
}

static void accept_bob(struct stage *s, int n)
{
    accept_name(s, "@bob", n);
}

static void test_first_list_is_believed(void **state)
{
    struct stage *s = stage_empty(state, ROOM_DIRECT);

    s->bob_new = true; /* he has two from the start */
    stage_log(s, stage_join(s, BOB));
    stage_login(s);
    expect_free(s);
    assert_int_equal(s->told.alarms, 0);
    accept_bob(s, 0);
    stage_free(s);
}

static void stops_until_accepted(void **state, enum room_kind kind)
{
    struct stage *s = room_with_bob(state, kind);

    expect_free(s);
    enrolled_again(s);
    expect_alarm(s, "bob has a new certificate");
    unsigned alarms = s->told.alarms;
    expect_stopped(s);
    stage_lost(s);
    stage_login(s);
    assert_int_equal(s->told.alarms, alarms); /* said once */
    expect_stopped(s);
    accept_bob(s, 1);
    expect_free(s);
    accept_bob(s, 0);
    stage_free(s);
}

static void test_direct(void **state)
{
    stops_until_accepted(state, ROOM_DIRECT);
}

static void test_private(void **state)
{
    stops_until_accepted(state, ROOM_PRIVATE);
}

static void test_public_is_not_stopped(void **state)
{
    struct stage *s = room_with_bob(state, ROOM_PUBLIC);

    enrolled_again(s);
    expect_alarm(s, "bob has a new certificate");
    expect_free(s);
    stage_free(s);
}

/* The event stops us at once, before any list says it. */
static void test_event_stops(void **state)
{
    struct stage *s = room_with_bob(state, ROOM_DIRECT);

    push_device(s, true);
    expect_alarm(s, "bob has a new device \"phone\"");
    expect_stopped(s);
    accept_bob(s, 1);
    expect_free(s);
    stage_free(s);
}

static void new_one_speaks(struct stage *s, uint64_t seq)
{
    struct entry_line l;

    stage_line(s, BOB, &l);
    l.author = s->who[BOB_NEW].fp;
    l.seq = seq;
    stage_push(s, stage_forge(s, BOB_NEW, &l, "{\"kind\":\"say\",\"text\":\"still here\"}"));
}

/* A relay that lists the old certificate only, and shows what the new one signed. */
static void test_author_stops(void **state)
{
    struct stage *s = room_with_bob(state, ROOM_DIRECT);

    stage_push(s, stage_write(s, BOB, "I was here"));
    new_one_speaks(s, 1);
    assert_int_equal(s->told.refused, 0);
    expect_alarm(s, "bob has a new certificate");
    expect_stopped(s);
    accept_bob(s, 1);
    expect_free(s);
    stage_free(s);
}

static void verify_bob(struct stage *s, enum who who, int want)
{
    char fp[2 * HASH_LEN + 1];
    struct hash which;
    struct err e = {0};

    hex_put(fp, span_of(s->who[who].fp.b, HASH_LEN));
    assert_int_equal(engine_verify(s->g, str_of("bob"), str_of(fp), &which, &e), want);
}

/* To compare the old certificate says nothing of the new one. */
static void test_verify_frees(void **state)
{
    struct stage *s = room_with_bob(state, ROOM_DIRECT);

    enrolled_again(s);
    verify_bob(s, BOB, 1);
    verify_bob(s, MALLORY, 0);
    expect_stopped(s);
    verify_bob(s, BOB_NEW, 1);
    expect_free(s);
    stage_free(s);
}

static void test_restart_remembers(void **state)
{
    struct stage *s = room_with_bob(state, ROOM_DIRECT);

    enrolled_again(s);
    s->bob_new = false; /* the relay hides it again */
    stage_engine(s);
    stage_login(s);
    expect_stopped(s);
    accept_bob(s, 1);
    s->bob_new = true;
    stage_engine(s);
    stage_login(s);
    expect_free(s);
    stage_free(s);
}

static void test_revoked_stops_nothing(void **state)
{
    struct stage *s = room_with_bob(state, ROOM_DIRECT);

    enrolled_again(s);
    expect_stopped(s);
    s->bob_new_revoked = s->now;
    stage_lost(s);
    stage_login(s);
    expect_free(s);
    s->bob_new_revoked = 0; /* and back */
    stage_lost(s);
    stage_login(s);
    expect_stopped(s);
    stage_free(s);
}

/* The list says that it is revoked, the revocation list does not, and it goes on speaking. */
static void test_revoked_that_speaks(void **state)
{
    struct stage *s = room_with_bob(state, ROOM_DIRECT);

    stage_push(s, stage_write(s, BOB, "I was here"));
    enrolled_again(s);
    s->bob_new_revoked = s->now;
    stage_lost(s);
    stage_login(s);
    expect_free(s);
    new_one_speaks(s, 1);
    assert_int_equal(s->told.refused, 0);
    expect_stopped(s);
    stage_free(s);
}

/* bob's new certificate is the first that a list names for dave, before and behind his list. */
static void test_shown_as_another_s(void **state)
{
    struct stage *s = room_with_bob(state, ROOM_DIRECT);

    s->dave_is_bob_new = true;
    stage_lost(s);
    stage_login(s);
    expect_free(s);
    push_device(s, true);
    expect_stopped(s);
    stage_lost(s);
    stage_login(s);
    accept_name(s, "dave", 0);
    expect_stopped(s);
    accept_bob(s, 1);
    expect_free(s);
    stage_free(s);
}

/* A disk with all that is remembered but two. */
static int crowd_each(void *k, keep_each_known *each, void *ctx, struct err *e)
{
    struct keep_known x = {.account = str_of("crowd"), .state = KEEP_ACCEPTED};

    (void)k;
    (void)e;
    for (uint32_t i = 0; i < KNOWN_MAX - 2; i++) {
        memcpy(x.fp.b, &i, sizeof i);
        if (each(ctx, &x) != 0)
            return -1;
    }
    return 0;
}

/* The relay has shown so many that nothing more is remembered. */
static void test_too_many_stop(void **state)
{
    struct stage *s = room_with_bob(state, ROOM_DIRECT);
    struct keep_ops crowded = *s->keep.ops;
    struct err e = {0};

    crowded.known_each = crowd_each;
    s->keep.ops = &crowded;
    stage_engine(s);
    stage_login(s);
    expect_free(s);
    s->carol_in = true;
    stage_lost(s);
    stage_login(s);
    assert_int_equal(stage_say(s, "secret", &e), 0);
    assert_int_equal(e.code, ERR_LIMIT);
    assert_true(engine_blocked(s->g, &s->room));
    stage_free(s);
}

/* What was said before waits, too, also across a restart; then it goes out as it was. */
static void test_outbox_waits(void **state)
{
    struct stage *s = room_with_bob(state, ROOM_DIRECT);
    struct err e = {0};

    expect_free(s);
    stage_lost(s);
    assert_true(stage_say(s, "said before", &e) != 0);
    unsigned said = s->said_n;
    s->bob_new = true;
    for (unsigned i = 0; i < 3; i++) {
        stage_login(s);
        assert_int_equal(s->said_n, said);
        expect_stopped(s);
        assert_int_equal(engine_room_get(s->g, &s->room)->queued, 1);
        stage_lost(s);
        if (i == 1)
            stage_engine(s);
    }
    stage_login(s);
    assert_int_equal(engine_accept(s->g, str_of("bob"), &e), 1);
    stage_serve(s);
    assert_int_equal(s->said_n, said + 1);
    assert_int_equal(engine_room_get(s->g, &s->room)->queued, 0);
    stage_free(s);
}

/* The certificate is revoked before anybody accepted it: nothing stops any more. */
static void test_outbox_waits_for_a_list(void **state)
{
    struct stage *s = room_with_bob(state, ROOM_DIRECT);
    struct err e = {0};

    expect_free(s);
    stage_lost(s);
    assert_true(stage_say(s, "said before", &e) != 0);
    unsigned said = s->said_n;
    s->bob_new = true;
    stage_login(s);
    assert_int_equal(s->said_n, said);
    s->bob_new_revoked = s->now;
    assert_true(engine_members(s->g, &s->room, &e) != 0);
    stage_serve(s);
    assert_int_equal(s->said_n, said + 1);
    stage_free(s);
}

static void test_accept_whom(void **state)
{
    struct stage *s = room_with_bob(state, ROOM_DIRECT);
    struct err e = {0};

    enrolled_again(s);
    assert_int_equal(engine_accept(s->g, str_of("carol"), &e), -1);
    assert_int_equal(e.code, ERR_INPUT);
    assert_int_equal(engine_accept(s->g, str_of("alice"), &e), 0);
    expect_stopped(s);
    stage_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_list_is_believed),
        cmocka_unit_test(test_direct),
        cmocka_unit_test(test_private),
        cmocka_unit_test(test_public_is_not_stopped),
        cmocka_unit_test(test_event_stops),
        cmocka_unit_test(test_author_stops),
        cmocka_unit_test(test_verify_frees),
        cmocka_unit_test(test_restart_remembers),
        cmocka_unit_test(test_revoked_stops_nothing),
        cmocka_unit_test(test_revoked_that_speaks),
        cmocka_unit_test(test_shown_as_another_s),
        cmocka_unit_test(test_too_many_stop),
        cmocka_unit_test(test_outbox_waits),
        cmocka_unit_test(test_outbox_waits_for_a_list),
        cmocka_unit_test(test_accept_whom),
    };

    return cmocka_run_group_tests_name("known", tests, stage_world, stage_world_end);
}
