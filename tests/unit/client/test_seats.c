/* Who is a member: what we sign, and a relay that adds, removes and exchanges people. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support_engine.h"

static const struct engine_room *room(struct stage *s)
{
    return engine_room_get(s->g, &s->room);
}

static const struct engine_member *member(struct stage *s, const char *name)
{
    const struct engine_room *r = room(s);

    for (unsigned i = 0; i < r->members_n; i++)
        if (strcmp(r->members[i].name, name) == 0)
            return r->members + i;
    return NULL;
}

static void expect_alarm(struct stage *s, const char *why)
{
    if (strstr(s->told.all_alarms, why) == NULL)
        fail_msg("%u alarms, \"%s\" is not in \"%s\"", s->told.alarms, why, s->told.all_alarms);
}

/* --- what we sign --- */

static void test_join_is_signed_once(void **state)
{
    struct stage *s = stage_new(state);

    stage_login(s);
    assert_int_equal(s->joins_said, 1);
    assert_int_equal(s->seat_said, CONTENT_JOIN);
    assert_false(s->seat_with);
    assert_int_equal(member(s, "alice")->proof, ENGINE_SIGNED);
    assert_int_equal(member(s, "alice")->joined, 2);
    assert_int_equal(member(s, "bob")->proof, ENGINE_SIGNED);
    assert_int_equal(member(s, "bob")->joined, 1);
    stage_lost(s);
    stage_login(s);
    stage_engine(s);
    stage_login(s);
    assert_int_equal(s->joins_said, 1);
    assert_int_equal(s->told.alarms + s->told.refused, 0);
    stage_free(s);
}

/* Lost on its way, it is sent again, with the same bytes; so after a crash. */
static void test_join_is_resent(void **state)
{
    struct stage *s = stage_new(state);
    char first[LINE_MAX_LEN + 1];

    s->mute_seats = true;
    stage_login(s);
    memcpy(first, s->seat_line, sizeof first);
    stage_lost(s);
    stage_login(s);
    assert_string_equal(s->seat_line, first);
    stage_engine(s);
    s->mute_seats = false;
    stage_login(s);
    assert_string_equal(s->seat_line, first);
    assert_int_equal(s->joins_said, 3);
    assert_int_equal(member(s, "alice")->proof, ENGINE_SIGNED);
    stage_free(s);
}

/* The relay says that our join is there: the entries say that it is not. */
static void test_join_said_to_be_there(void **state)
{
    struct stage *s = stage_new(state);

    s->is_signed = true;
    stage_login(s);
    assert_int_equal(s->joins_said, 1);
    assert_int_equal(member(s, "alice")->proof, ENGINE_SIGNED);
    stage_free(s);
}

/* A second join would be void: no third one is tried on this connection. */
static void test_join_void(void **state)
{
    struct stage *s = stage_new(state);
    struct f_voided v = {s->room,          1, 2, s->now, str_of("you are a member already"),
                         .has_root = false};

    s->mute_seats = true;
    stage_login(s);
    stage_feed(s, F_VOIDED, &v);
    assert_int_equal(s->joins_said, 1);
    assert_int_equal(s->told.closes, 0);
    stage_free(s);
}

static void test_join_names_the_other_one(void **state)
{
    struct stage *s = stage_empty(state, ROOM_DIRECT);

    stage_log(s, stage_join(s, BOB));
    stage_login(s);
    assert_int_equal(s->joins_said, 1);
    assert_true(s->seat_with);
    assert_int_equal(s->told.alarms + s->told.refused, 0);
    stage_free(s);
}

static struct stage *cellar(void **state)
{
    struct stage *s = stage_empty(state, ROOM_PRIVATE);

    stage_log(s, stage_join(s, BOB));
    stage_log(s, stage_invite(s, BOB, ALICE));
    return s;
}

static void test_invite(void **state)
{
    struct stage *s = cellar(state);
    struct hash roster;
    struct err e = {0};

    stage_login(s);
    assert_true(engine_room_invite(s->g, &s->room, str_of("@carol"), &e) != 0);
    stage_roster(s, &roster);
    stage_serve(s);
    assert_int_equal(s->told.answers, 1);
    assert_int_equal(s->told.answer_code, ERR_NONE);
    assert_int_equal(s->seat_said, CONTENT_INVITE);
    assert_true(hash_same(&s->seat_roster, &roster));
    assert_int_equal(s->seat_at, 3);
    s->carol_in = true;
    stage_push(s, stage_join(s, CAROL));
    assert_string_equal(member(s, "carol")->by, "alice");
    /* who is in is not invited; who is nobody cannot be */
    unsigned said = s->joins_said;
    assert_true(engine_room_invite(s->g, &s->room, str_of("carol"), &e) != 0);
    stage_serve(s);
    assert_int_equal(s->told.answer_code, ERR_AUTH);
    assert_true(engine_room_invite(s->g, &s->room, str_of("nobody"), &e) != 0);
    stage_serve(s);
    assert_int_equal(s->told.answer_code, ERR_INPUT);
    assert_int_equal(s->joins_said, said);
    assert_int_equal(s->told.alarms + s->told.refused, 0);
    stage_free(s);
}

static void test_leave(void **state)
{
    struct stage *s = stage_new(state);
    struct err e = {0};

    stage_login(s);
    assert_true(engine_room_leave(s->g, &s->room, &e) != 0);
    assert_int_equal(engine_say(s->g, &s->room, str_of("behind it"), &e), 0); /* never sent */
    assert_string_equal(e.text, "you are leaving that room: nothing was sent");
    e = (struct err){0};
    stage_serve(s);
    assert_int_equal(s->seat_said, CONTENT_LEAVE);
    assert_int_equal(s->told.answers, 1);
    assert_int_equal(s->told.answer_code, ERR_NONE);
    assert_false(room(s)->joined);
    assert_int_equal(stage_say(s, "more", &e), 0);
    assert_true(engine_room_leave(s->g, &s->room, &e) == 0);
    stage_free(s);

    s = stage_empty(state, ROOM_DIRECT);
    stage_log(s, stage_join(s, BOB));
    stage_login(s);
    assert_true(engine_room_leave(s->g, &s->room, &e) == 0);
    stage_free(s);
}

/* The relay has our leave, its answer was lost, and we were let in again before we heard of it. */
static void test_leave_before_we_came_again(void **state)
{
    struct stage *s = stage_new(state);
    struct err e = {0};

    stage_login(s);
    s->answers_lost = true;
    assert_true(engine_room_leave(s->g, &s->room, &e) != 0);
    stage_serve(s);
    assert_int_equal(s->seat_said, CONTENT_LEAVE);
    s->answers_lost = false;
    stage_lost(s);
    stage_login(s);
    assert_true(room(s)->joined);
    assert_int_equal(s->seat_said, CONTENT_JOIN); /* signed anew, behind the leave */
    assert_true(stage_say(s, "here again", &e) != 0);
    assert_int_equal(s->told.alarms + s->told.refused, 0);
    stage_free(s);
}

/* --- joins, leaves and invitations that are not in order --- */

static struct item *content(struct stage *s, enum who who, const char *text)
{
    struct entry_line l;

    stage_line(s, who, &l);
    return stage_forge(s, who, &l, text);
}

static struct item *join_as(struct stage *s, enum who who, enum who account, const char *name)
{
    struct account_id id = stage_account(account);
    char hex[2 * ACCOUNT_ID_LEN + 1], text[256];

    hex_put(hex, span_of(id.b, sizeof id.b));
    snprintf(text, sizeof text, "{\"kind\":\"join\",\"account\":\"%s\",\"name\":\"%s\"}", hex,
             name);
    return content(s, who, text);
}

static struct item *lie_uninvited(struct stage *s)
{
    return stage_join(s, CAROL);
}

static struct item *lie_other_name(struct stage *s)
{
    return join_as(s, CAROL, BOB, "bob");
}

static struct item *lie_other_account(struct stage *s)
{
    stage_push(s, stage_invite(s, BOB, CAROL));
    return join_as(s, CAROL, BOB, "carol");
}

static struct item *lie_twice(struct stage *s)
{
    return stage_join(s, BOB);
}

static struct item *lie_mallory(struct stage *s)
{
    return stage_join(s, MALLORY);
}

static struct item *lie_room_of_two(struct stage *s)
{
    s->kind = ROOM_DIRECT;
    stage_push(s, stage_invite(s, BOB, CAROL));
    struct item *it = stage_join(s, CAROL);
    s->kind = ROOM_PRIVATE;
    return it;
}

static struct item *resigned(struct stage *s, struct item *it, enum who signer)
{
    struct entry_line l;
    struct err e = {0};

    assert_int_equal(entry_line_take(&l, str_from(it->made.line, it->made.line_n), &e), 0);
    stage_resign(s, it, signer, &l);
    return it;
}

static struct item *lie_forged_leave(struct stage *s)
{
    return resigned(s, stage_leave(s, BOB), CAROL);
}

static struct item *lie_forged_invite(struct stage *s)
{
    return resigned(s, stage_invite(s, BOB, CAROL), CAROL);
}

static struct item *lie_stranger_leaves(struct stage *s)
{
    return stage_leave(s, CAROL);
}

static struct item *lie_stranger_invites(struct stage *s)
{
    return stage_invite(s, CAROL, CAROL);
}

static struct item *lie_invitation_used(struct stage *s)
{
    stage_push(s, stage_invite(s, BOB, CAROL));
    stage_push(s, stage_join(s, CAROL));
    stage_push(s, stage_leave(s, CAROL));
    return stage_join(s, CAROL);
}

static struct item *lie_after_leaving(struct stage *s)
{
    stage_push(s, stage_leave(s, BOB));
    return stage_write(s, BOB, "still here");
}

static struct item *lie_ghost_speaks(struct stage *s)
{
    s->carol_in = true;
    return stage_write(s, CAROL, "I was always here");
}

static struct item *lie_invite_by_one_who_left(struct stage *s)
{
    stage_push(s, stage_leave(s, BOB));
    return stage_invite(s, BOB, CAROL);
}

static struct item *lie_later(struct stage *s)
{
    return content(s, BOB,
                   "{\"kind\":\"invite\",\"account\":\"03030303030303030303030303030303\","
                   "\"name\":\"carol\",\"roster\":"
                   "\"0000000000000000000000000000000000000000000000000000000000000000\","
                   "\"at\":9000}");
}

static struct item *lie_unknown_kind(struct stage *s)
{
    return content(s, CAROL, "{\"kind\":\"dance\"}");
}

static const struct lie {
    const char *name;
    struct item *(*make)(struct stage *s);
    const char *why;
} lies[] = {
    {"join without an invitation", lie_uninvited, "no member has invited"},
    {"join in another's name", lie_other_name, "name of somebody else"},
    {"join of another account", lie_other_account, "another account was invited"},
    {"join of a member", lie_twice, "a member already"},
    {"join by another CA's bob", lie_mallory, "certificate"},
    {"join as in a room of two", lie_room_of_two, "room of two"},
    {"forged leave", lie_forged_leave, "signature"},
    {"forged invitation", lie_forged_invite, "signature"},
    {"leave of a stranger", lie_stranger_leaves, "not a member"},
    {"invitation by a stranger", lie_stranger_invites, "not a member"},
    {"invitation used twice", lie_invitation_used, "no member has invited"},
    {"said after leaving", lie_after_leaving, "not a member"},
    {"a listed ghost speaks", lie_ghost_speaks, "not a member"},
    {"invitation after leaving", lie_invite_by_one_who_left, "not a member"},
    {"vouching for later", lie_later, "of later"},
    {"an unknown kind of a stranger", lie_unknown_kind, "not a member"},
};

static void test_lies(void **state)
{
    for (size_t i = 0; i < COUNT(lies); i++) {
        struct stage *s = cellar(state);
        stage_login(s);
        struct item *it = lies[i].make(s);
        unsigned good = s->told.good, seats = s->told.seats;
        stage_push(s, it);
        if (s->told.refused != 1 || s->told.good != good || s->told.seats != seats)
            fail_msg("%s: refused %u, %u more good", lies[i].name, s->told.refused,
                     s->told.good - good + s->told.seats - seats);
        if (strstr(s->told.why, lies[i].why) == NULL)
            fail_msg("%s: \"%s\" is not in \"%s\"", lies[i].name, lies[i].why, s->told.why);
        assert_int_equal(room(s)->number, s->log_n); /* one lie does not stop the room */
        stage_free(s);
    }
}

static struct item *direct_third(struct stage *s)
{
    return stage_join(s, CAROL);
}

static struct item *direct_plain(struct stage *s)
{
    return join_as(s, BOB, BOB, "bob");
}

static struct item *direct_elsewhere(struct stage *s)
{
    return content(s, BOB,
                   "{\"kind\":\"join\",\"account\":\"02020202020202020202020202020202\","
                   "\"name\":\"bob\",\"with\":{\"account\":\"03030303030303030303030303030303\","
                   "\"name\":\"carol\"}}");
}

static void test_direct_lies(void **state)
{
    static const struct lie rows[] = {
        {"a third one", direct_third, "a third one"},
        {"with nobody", direct_plain, "somebody else"},
        {"with another", direct_elsewhere, "somebody else"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct stage *s = stage_empty(state, ROOM_DIRECT);
        stage_login(s);
        stage_push(s, rows[i].make(s));
        if (s->told.refused != 1 || strstr(s->told.why, rows[i].why) == NULL)
            fail_msg("%s: refused %u, %s", rows[i].name, s->told.refused, s->told.why);
        stage_free(s);
    }
}

/* --- the relay's list against the signatures --- */

static void test_ghost_in_the_list(void **state)
{
    struct stage *s = cellar(state);

    s->carol_in = true;
    stage_login(s);
    expect_alarm(s, "the relay alone says that carol is a member");
    assert_int_equal(member(s, "carol")->proof, ENGINE_UNPROVEN);
    assert_int_equal(member(s, "bob")->proof, ENGINE_SIGNED);
    assert_int_equal(s->told.alarms, 1);
    struct err e = {0};
    assert_true(engine_members(s->g, &s->room, &e) != 0);
    stage_serve(s);
    assert_int_equal(s->told.alarms, 1); /* said once */
    stage_free(s);

    s = stage_new(state); /* a public room: the mark in the list says it */
    s->carol_in = true;
    stage_login(s);
    assert_int_equal(s->told.alarms, 0);
    assert_int_equal(member(s, "carol")->proof, ENGINE_UNPROVEN);
    stage_free(s);
}

static void test_third_in_a_direct_room(void **state)
{
    struct stage *s = stage_empty(state, ROOM_DIRECT);

    stage_log(s, stage_join(s, BOB));
    s->carol_in = true;
    stage_login(s);
    expect_alarm(s, "the relay alone says that carol is a member");
    stage_free(s);
}

static void test_removed_from_the_list(void **state)
{
    struct stage *s = cellar(state);

    s->bob_out = true;
    stage_login(s);
    expect_alarm(s, "the relay does not list bob");
    stage_free(s);
}

static void test_left_is_no_lie(void **state)
{
    struct stage *s = cellar(state);

    stage_login(s);
    stage_push(s, stage_leave(s, BOB));
    assert_true(member(s, "bob")->left);
    s->bob_out = true;
    stage_lost(s);
    stage_login(s);
    assert_int_equal(s->told.alarms + s->told.refused, 0);
    stage_free(s);
}

/* --- who comes later --- */

/* Bob, then carol by his invitation; alice is invited and reads from her join on. */
static struct stage *late(void **state)
{
    struct stage *s = stage_empty(state, ROOM_PRIVATE);

    stage_log(s, stage_join(s, BOB));
    stage_log(s, stage_invite(s, BOB, CAROL));
    stage_log(s, stage_join(s, CAROL));
    stage_log(s, stage_write(s, CAROL, "before alice"));
    stage_log(s, stage_invite(s, BOB, ALICE));
    s->carol_in = true;
    s->from = 6;
    return s;
}

static void test_newcomer(void **state)
{
    struct stage *s = late(state);

    stage_login(s);
    assert_int_equal(s->rolls, 1);
    assert_string_equal(member(s, "carol")->by, "bob");
    assert_int_equal(member(s, "carol")->joined, 3);
    stage_push(s, stage_write(s, CAROL, "welcome"));
    assert_int_equal(s->told.good, 1);
    assert_int_equal(s->told.alarms + s->told.refused, 0);
    stage_lost(s);
    stage_login(s); /* what was told once is kept */
    assert_int_equal(s->rolls, 1);
    stage_engine(s);
    stage_login(s);
    assert_int_equal(s->rolls, 1);
    stage_push(s, stage_write(s, BOB, "hello"));
    assert_int_equal(s->told.good, 2);
    assert_int_equal(s->told.alarms + s->told.refused, 0);
    stage_free(s);
}

/* The relay leaves out a join, a leave, the inviter himself: bob signed another list. */
static void test_newcomer_is_told_another_list(void **state)
{
    for (uint64_t cut = 1; cut <= 3; cut += 2) {
        struct stage *s = late(state);
        s->roll_cut = cut;
        s->carol_in = false;
        stage_login(s);
        expect_alarm(s, cut == 3 ? "bob vouched for another list" : "not in order");
        stage_free(s);
    }
    struct stage *s = stage_empty(state, ROOM_PRIVATE);
    stage_log(s, stage_join(s, BOB));
    stage_log(s, stage_invite(s, BOB, CAROL));
    stage_log(s, stage_join(s, CAROL));
    stage_log(s, stage_leave(s, CAROL));
    stage_log(s, stage_invite(s, BOB, ALICE));
    s->from = 6;
    s->carol_in = true; /* whose leave the relay keeps for itself */
    s->roll_cut = 4;
    stage_login(s);
    expect_alarm(s, "bob vouched for another list");
    stage_free(s);
}

/* A join that nobody invited stands in the roll, signed as it may be. */
static void test_newcomer_and_a_ghost(void **state)
{
    struct stage *s = stage_empty(state, ROOM_PRIVATE);

    stage_log(s, stage_join(s, BOB));
    stage_log(s, stage_join(s, CAROL));
    stage_log(s, stage_invite(s, BOB, ALICE));
    s->from = 4;
    s->carol_in = true;
    stage_login(s);
    assert_true(s->told.alarms >= 2);
    assert_int_equal(member(s, "carol")->proof, ENGINE_UNPROVEN);
    stage_push(s, stage_write(s, CAROL, "boo"));
    assert_int_equal(s->told.refused, 1);
    stage_free(s);
}

/* A message stands in the roll: it makes nobody a member, and is no news either. */
static void test_roll_of_messages(void **state)
{
    struct stage *s = late(state);

    s->roll_with = 4;
    stage_login(s);
    expect_alarm(s, "what the relay tells of its members is not in order: it says nothing");
    assert_int_equal(s->told.good, 0);
    assert_int_equal(member(s, "carol")->joined, 3); /* the others stand */
    stage_free(s);
}

/* It goes no further than what we asked it to go on from: it is not asked in a circle. */
static void test_roll_stands(void **state)
{
    struct stage *s = late(state);

    s->roll_stands = true;
    stage_login(s);
    expect_alarm(s, "does not tell who is a member");
    assert_true(room(s)->broken);
    assert_int_equal(s->rolls, 1);
    stage_free(s);
}

/* Two members who see different lists: the next invitation tells. */
static void test_members_compare(void **state)
{
    struct stage *s = late(state);
    struct entry_line l;

    stage_login(s);
    stage_line(s, CAROL, &l);
    stage_push(s, stage_forge(s, CAROL, &l,
                              "{\"kind\":\"invite\",\"account\":"
                              "\"09090909090909090909090909090909\",\"name\":\"dave\",\"roster\":"
                              "\"0000000000000000000000000000000000000000000000000000000000000000"
                              "\",\"at\":6}"));
    expect_alarm(s, "carol vouched for another list");
    stage_free(s);
}

/* What the roll kept back shows when the history is read. */
static void test_roll_against_history(void **state)
{
    struct stage *s = stage_empty(state, ROOM_PRIVATE);
    struct err e = {0};

    stage_log(s, stage_join(s, BOB));
    stage_log(s, stage_invite(s, BOB, ALICE));
    stage_log(s, stage_join(s, ALICE));
    for (int i = 0; i < 55; i++)
        stage_log(s, stage_write(s, BOB, "x"));
    stage_log(s, stage_invite(s, BOB, CAROL));
    stage_log(s, stage_join(s, CAROL));
    s->carol_in = s->is_signed = true;
    s->paged = true;
    s->roll_cut = 59;
    stage_engine(s);
    stage_login(s);
    assert_int_equal(s->told.refused, 2); /* carol's invitation, and so her join */
    assert_non_null(strstr(s->told.why, "left it out"));
    (void)e;
    stage_free(s);
}

/* --- rooms from before members signed --- */

static struct stage *legacy(void **state, enum room_kind kind)
{
    struct stage *s = stage_empty(state, kind);

    stage_log(s, stage_write(s, BOB, "long ago"));
    stage_log(s, stage_write(s, CAROL, "me too"));
    s->carol_in = true;
    return s;
}

static void test_legacy_history(void **state)
{
    struct stage *s = legacy(state, ROOM_PUBLIC);

    stage_login(s);
    assert_int_equal(s->told.good, 2);
    assert_int_equal(s->joins_said, 1); /* alice signs at her next login */
    assert_int_equal(member(s, "bob")->proof, ENGINE_UNPROVEN);
    stage_push(s, stage_join(s, BOB));
    assert_int_equal(member(s, "bob")->proof, ENGINE_SIGNED);
    stage_push(s, stage_write(s, BOB, "signed in"));
    assert_int_equal(s->told.good, 3);
    assert_int_equal(s->told.refused, 0);
    stage_push(s, stage_write(s, CAROL, "not signed in"));
    assert_int_equal(s->told.refused, 1);
    stage_free(s);
}

/* A member of before cannot show an invitation: that is said, and it is said what bears it out. */
static void test_legacy_private(void **state)
{
    struct stage *s = legacy(state, ROOM_PRIVATE);

    stage_login(s);
    unsigned alarms = s->told.alarms;
    stage_push(s, stage_join(s, CAROL));
    assert_int_equal(s->told.alarms, alarms + 1);
    expect_alarm(s, "carol joined without an invitation");
    assert_int_equal(member(s, "carol")->proof, ENGINE_UNINVITED);
    stage_push(s, stage_write(s, CAROL, "still me"));
    assert_int_equal(s->told.refused, 0);
    stage_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_join_is_signed_once),
        cmocka_unit_test(test_join_is_resent),
        cmocka_unit_test(test_join_said_to_be_there),
        cmocka_unit_test(test_join_void),
        cmocka_unit_test(test_join_names_the_other_one),
        cmocka_unit_test(test_invite),
        cmocka_unit_test(test_leave),
        cmocka_unit_test(test_leave_before_we_came_again),
        cmocka_unit_test(test_lies),
        cmocka_unit_test(test_direct_lies),
        cmocka_unit_test(test_ghost_in_the_list),
        cmocka_unit_test(test_third_in_a_direct_room),
        cmocka_unit_test(test_removed_from_the_list),
        cmocka_unit_test(test_left_is_no_lie),
        cmocka_unit_test(test_newcomer),
        cmocka_unit_test(test_newcomer_is_told_another_list),
        cmocka_unit_test(test_newcomer_and_a_ghost),
        cmocka_unit_test(test_roll_of_messages),
        cmocka_unit_test(test_roll_stands),
        cmocka_unit_test(test_members_compare),
        cmocka_unit_test(test_roll_against_history),
        cmocka_unit_test(test_legacy_history),
        cmocka_unit_test(test_legacy_private),
    };

    return cmocka_run_group_tests_name("seats", tests, stage_world, stage_world_end);
}
