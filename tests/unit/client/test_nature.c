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
    };
    return cmocka_run_group_tests(tests, stage_world, stage_world_end);
}
