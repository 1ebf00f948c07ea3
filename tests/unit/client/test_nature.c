/* What a room is stays what it was: a relay that says otherwise later loosens no check, and nothing
 * is forgotten on its word. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support_engine.h"

static const struct engine_room *room(struct stage *s)
{
    return engine_room_get(s->g, &s->room);
}

/* Alice and bob in a room of a kind; something was said and read. */
static struct stage *read_room(void **state, enum room_kind kind, bool ephemeral)
{
    struct stage *s = stage_empty(state, kind);

    s->ephemeral = ephemeral;
    if (kind == ROOM_PRIVATE) { /* its founder is in first, and lets her in */
        stage_log(s, stage_join(s, BOB));
        stage_log(s, stage_invite(s, BOB, ALICE));
    } else {
        stage_log(s, stage_join(s, BOB));
    }
    stage_login(s);
    stage_push(s, stage_write(s, BOB, "read"));
    assert_int_equal(s->told.good, 1);
    assert_int_equal(s->told.alarms, 0);
    return s;
}

static unsigned kept(struct stage *s)
{
    struct keep_entry t;
    struct err e = {0};
    unsigned n = 0;

    for (uint64_t i = 1; i <= s->log_n; i++)
        n += s->keep.ops->entry_get(s->keep.k, &s->room, i, &t, &e) == 1;
    return n;
}

static int count_out(void *ctx, const struct keep_out *out)
{
    (void)out;
    ++*(unsigned *)ctx;
    return 0;
}

static unsigned queued(struct stage *s)
{
    struct err e = {0};
    unsigned n = 0;

    assert_int_equal(s->keep.ops->out_each(s->keep.k, count_out, &n, &e), 0);
    return n;
}

static void again(struct stage *s, bool anew)
{
    stage_lost(s);
    if (anew)
        stage_engine(s);
    memset(&s->told, 0, sizeof s->told);
    stage_login(s);
}

static void expect_broken(struct stage *s, const char *why)
{
    if (strstr(s->told.all_alarms, why) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", why, s->told.all_alarms);
    assert_true(room(s)->broken);
}

/* A stored room is called ephemeral, then left out: nothing of it goes, whatever was restarted. */
static void test_stored_is_not_forgotten(void **state)
{
    for (unsigned anew = 0; anew < 4; anew++) {
        struct stage *s = read_room(state, ROOM_PUBLIC, false);
        struct err e = {0};
        s->mute = true;
        assert_true(stage_say(s, "waits", &e) != 0);
        unsigned entries = kept(s);
        s->ephemeral = true;
        again(s, anew & 1);
        expect_broken(s, "it is ephemeral, and it was stored");
        assert_false(room(s)->ephemeral);
        s->gone = true;
        again(s, anew & 2);
        assert_int_equal(kept(s), entries);
        assert_int_equal(queued(s), 1);
        stage_free(s);
    }
}

/* An honest relay's ephemeral room is forgotten when it is gone, also after a restart. */
static void test_ephemeral_is_forgotten(void **state)
{
    for (unsigned anew = 0; anew < 2; anew++) {
        struct stage *s = read_room(state, ROOM_PUBLIC, true);
        again(s, anew);
        assert_true(room(s)->ephemeral && !room(s)->broken);
        assert_int_equal(s->told.alarms, 0);
        unsigned entries = kept(s);
        s->gone = true;
        again(s, anew);
        assert_true(kept(s) < entries);
        stage_free(s);
    }
}

/* Nor may a window pass over messages of a room that is stored. */
static void test_stored_has_no_window(void **state)
{
    struct stage *s = read_room(state, ROOM_PUBLIC, false);

    s->ephemeral = true;
    stage_log(s, stage_write(s, BOB, "hidden"));
    stage_log(s, stage_write(s, BOB, "shown"));
    s->from = s->log_n;
    again(s, false);
    expect_broken(s, "it is ephemeral, and it was stored");
    assert_int_equal(s->told.good, 0);
    stage_free(s);
}

static void test_ephemeral_is_not_stored(void **state)
{
    struct stage *s = read_room(state, ROOM_PUBLIC, true);

    s->ephemeral = false;
    again(s, true);
    expect_broken(s, "it is stored, and it was ephemeral");
    assert_true(room(s)->ephemeral);
    stage_free(s);
}

/* Called public, a private room would lose the checks of its members. */
static void test_kind_stays(void **state)
{
    for (unsigned anew = 0; anew < 2; anew++)
        for (enum room_kind was = ROOM_PUBLIC; was <= ROOM_DIRECT; was++)
            for (enum room_kind is = ROOM_PUBLIC; is <= ROOM_DIRECT; is++) {
                struct stage *s = read_room(state, was, false);
                enum engine_kind before = room(s)->kind;
                s->kind = is;
                again(s, anew);
                assert_int_equal(room(s)->kind, before);
                assert_int_equal(room(s)->broken, is != was);
                assert_int_equal(s->told.alarms, is != was);
                stage_free(s);
            }
}

/* The new certificate of a member stops us there still, and a ghost is an alarm. */
static void test_checks_of_a_private_room_stay(void **state)
{
    struct stage *s = read_room(state, ROOM_PRIVATE, false);
    struct err e = {0};

    s->kind = ROOM_PUBLIC;
    s->bob_new = true;
    s->carol_in = true;
    again(s, true);
    expect_broken(s, "calls a public room what was a private room");
    assert_non_null(strstr(s->told.all_alarms, "the relay alone says that carol is a member"));
    assert_int_equal(stage_say(s, "for bob alone", &e), 0);
    assert_non_null(strstr(e.text, "new certificate"));
    assert_int_equal(s->said_n, 0);
    stage_free(s);
}

static void test_partner_stays(void **state)
{
    for (unsigned anew = 0; anew < 2; anew++) {
        struct stage *s = read_room(state, ROOM_DIRECT, false);
        s->with = stage_account(CAROL);
        again(s, anew);
        expect_broken(s, "with somebody else than before");
        stage_free(s);
    }
}

static void test_name_stays(void **state)
{
    for (unsigned anew = 0; anew < 2; anew++) {
        struct stage *s = read_room(state, anew ? ROOM_DIRECT : ROOM_PUBLIC, false);
        const char *name = anew ? "bob" : "ops";
        s->called = "boss";
        again(s, anew);
        expect_broken(s, "the relay calls it boss now");
        assert_string_equal(room(s)->name, name);
        stage_free(s);
    }
}

/* --- what was asked for, and what was not --- */

/* Whatever the relay puts her into: no signature leaves that says that she is there. */
static void test_unasked_is_not_joined(void **state)
{
    static const char *const by[] = {NULL, "bob"};

    for (unsigned i = 0; i < 4; i++) {
        struct stage *s = stage_empty(state, ROOM_PUBLIC);
        stage_log(s, stage_join(s, BOB));
        s->unasked = true;
        s->room = stage_room_id(0xbb);
        s->gone = i < 2; /* else the welcome lists it */
        stage_engine(s);
        stage_login(s);
        s->is_signed = i == 3; /* ... with a join that is not there */
        if (i < 2)
            stage_offer(s, 0, by[i]);
        else
            again(s, true);
        stage_serve(s);
        assert_int_equal(s->joins_said, 0);
        assert_true(i == 3 || room(s) == NULL);
        assert_true(i == 3 ? s->told.alarms > 0 : s->told.notes > 0);
        stage_free(s);
    }
}

static struct stage *unasked(void **state, enum room_kind kind)
{
    struct stage *s = stage_empty(state, kind);

    stage_log(s, stage_join(s, BOB));
    s->unasked = s->gone = true;
    s->room = stage_room_id(0xbb);
    stage_engine(s);
    stage_login(s);
    return s;
}

/* Asked for it is, and after a crash before the join was signed, too. */
static void test_asked_is_joined(void **state)
{
    for (unsigned crash = 0; crash < 2; crash++) {
        struct stage *s = unasked(state, ROOM_PUBLIC);
        struct err e = {0};
        s->mute_seats = crash;
        s->room = stage_room_id(0xaa);
        assert_true(engine_room_join(s->g, str_of("#ops"), &e) != 0);
        stage_serve(s);
        assert_int_equal(s->joins_said, 1);
        s->gone = s->mute_seats = false;
        again(s, true);
        assert_int_equal(s->joins_said, 1 + crash);
        assert_true(room(s)->joined);
        stage_free(s);
    }
}

/* A chat that bob opens is entered; a second one with him is not, whoever it is said to be. */
static void test_one_chat_with_somebody(void **state)
{
    struct stage *s = stage_empty(state, ROOM_DIRECT);

    stage_log(s, stage_join(s, BOB));
    s->unasked = s->gone = true;
    stage_engine(s);
    stage_login(s);
    stage_offer(s, 0, "bob");
    stage_serve(s);
    assert_int_equal(s->joins_said, 1);
    assert_true(s->seat_with);
    s->room = stage_room_id(0xbb);
    s->is_signed = false;
    stage_offer(s, 0, "bob");
    s->with = stage_account(CAROL); /* of his name */
    stage_offer(s, 0, "bob");
    s->with = stage_account(BOB); /* under another */
    s->called = "rob";
    stage_offer(s, 0, "bob");
    s->with = stage_account(ALICE); /* herself */
    stage_offer(s, 0, "bob");
    stage_serve(s);
    assert_int_equal(s->joins_said, 1);
    stage_free(s);
}

/* Who left is not brought back by the relay. */
static void test_left_is_left(void **state)
{
    struct stage *s = read_room(state, ROOM_PUBLIC, false);
    struct err e = {0};

    assert_true(engine_room_leave(s->g, &s->room, &e) != 0);
    stage_serve(s);
    unsigned said = s->joins_said;
    for (unsigned anew = 0; anew < 2; anew++) {
        again(s, anew);
        stage_offer(s, 0, NULL);
        stage_serve(s);
        assert_int_equal(s->joins_said, said);
    }
    stage_free(s);
}

/* The answer is another room than was asked for. */
static void test_answered_with_another(void **state)
{
    enum { CREATE = 8, JOIN = 9, OPEN = 10 };
    static const struct {
        unsigned ask; /* CREATE: with what else */
        const char *name, *called;
        enum room_kind kind;
        bool ephemeral, good;
    } cases[] = {
        {CREATE | ENGINE_CREATE_HISTORY, "ops", "ops", ROOM_PUBLIC, false, true},
        {CREATE | ENGINE_CREATE_HISTORY | ENGINE_CREATE_PRIVATE, "ops", "ops", ROOM_PUBLIC, false,
         false},
        {CREATE | ENGINE_CREATE_HISTORY, "ops", "ops", ROOM_PRIVATE, false, false},
        {CREATE | ENGINE_CREATE_HISTORY, "ops", "ops", ROOM_PUBLIC, true, false},
        {CREATE | ENGINE_CREATE_HISTORY | ENGINE_CREATE_EPHEMERAL, "ops", "ops", ROOM_PUBLIC, false,
         false},
        {CREATE, "ops", "ops", ROOM_PUBLIC, false, false}, /* all of its history is told */
        {CREATE | ENGINE_CREATE_HISTORY, "ops", "oops", ROOM_PUBLIC, false, false},
        {CREATE | ENGINE_CREATE_HISTORY, "ops", "ops", ROOM_DIRECT, false, false},
        {JOIN << 4, "ops", "ops", ROOM_PUBLIC, false, true},
        {JOIN << 4, "#OPS", "ops", ROOM_PUBLIC, false, true},
        {JOIN << 4, "ops", "oops", ROOM_PUBLIC, false, false},
        {JOIN << 4, "bob", "bob", ROOM_DIRECT, false, false},
        {OPEN << 4, "@bob", "bob", ROOM_DIRECT, false, true},
        {OPEN << 4, "bob", "rob", ROOM_DIRECT, false, false},
        {OPEN << 4, "bob", "bob", ROOM_PRIVATE, false, false},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct stage *s = unasked(state, cases[i].kind);
        struct err e = {0};
        s->called = cases[i].called;
        s->ephemeral = cases[i].ephemeral;
        s->room = stage_room_id(0xaa);
        struct str name = str_of(cases[i].name);
        assert_true((cases[i].ask == JOIN << 4 ? engine_room_join(s->g, name, &e)
                     : cases[i].ask == OPEN << 4
                         ? engine_room_direct(s->g, name, &e)
                         : engine_room_create(s->g, name, cases[i].ask & 7, &e)) != 0);
        stage_serve(s);
        if (s->joins_said != cases[i].good || s->told.alarms == cases[i].good)
            fail_msg("case %zu: %u joins, %u alarms: %s", i, s->joins_said, s->told.alarms,
                     s->told.all_alarms);
        assert_int_equal(s->told.answer_code, cases[i].good ? ERR_NONE : ERR_PEER);
        stage_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stored_is_not_forgotten),
        cmocka_unit_test(test_ephemeral_is_forgotten),
        cmocka_unit_test(test_stored_has_no_window),
        cmocka_unit_test(test_ephemeral_is_not_stored),
        cmocka_unit_test(test_kind_stays),
        cmocka_unit_test(test_checks_of_a_private_room_stay),
        cmocka_unit_test(test_partner_stays),
        cmocka_unit_test(test_name_stays),
        cmocka_unit_test(test_unasked_is_not_joined),
        cmocka_unit_test(test_asked_is_joined),
        cmocka_unit_test(test_one_chat_with_somebody),
        cmocka_unit_test(test_left_is_left),
        cmocka_unit_test(test_answered_with_another),
    };
    return cmocka_run_group_tests(tests, stage_world, stage_world_end);
}
