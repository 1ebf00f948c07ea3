/* The client as a witness (M7, M10): it keeps what the relay signed of a room and holds every later
 * checkpoint, and the root in each acknowledgement, against that and against what it verified
 * itself. Where the relay signed two histories, one file proves it to others. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support_evidence.h"

enum { CHECK_PAUSE_S = 60 }; /* docs/protocol.md 6.1 */

static struct evidence v;

static const struct engine_room *room(struct stage *s)
{
    return engine_room_get(s->g, &s->room);
}

static void again(struct stage *s)
{
    stage_lost(s);
    stage_login(s);
}

/* The clock goes on, and the relay is heard. */
static void pass(struct stage *s, unsigned seconds)
{
    for (; seconds > 0; seconds--) {
        s->mono += 1000;
        stage_feed(s, F_PONG, &(struct f_pong){false});
        engine_tick(s->g);
        stage_serve(s);
    }
}

/* Bob and alice are in (entries 1 and 2), he said so many things, she read them, and holds a
 * checkpoint of it all. */
static struct stage *witness(void **state, unsigned said)
{
    struct stage *s = stage_new(state);

    evidence_on(s, &v);
    stage_login(s);
    for (unsigned i = 0; i < said; i++) {
        s->now += 1000;
        stage_push(s, stage_write(s, BOB, "something"));
    }
    again(s);
    assert_int_equal(s->told.alarms, 0);
    assert_false(room(s)->broken);
    return s;
}

static void done(struct stage *s)
{
    stage_free(s);
    evidence_end(&v);
}

/* --- honest --- */

static void what_was_signed_is_kept(void **state)
{
    struct stage *s = witness(state, 3);

    assert_int_equal(v.asked, 2); /* after the login, and after what was said */
    assert_int_equal(v.own, 5);
    again(s);
    assert_int_equal(v.after, 5);
    stage_push(s, stage_write(s, BOB, "more"));
    stage_engine(s); /* a new start */
    stage_login(s);
    assert_int_equal(v.after, 5);
    assert_int_equal(v.own, 6);
    again(s);
    assert_int_equal(v.after, 6);
    assert_int_equal(s->told.alarms + v.proofs, 0);
    done(s);
}

/* A disk that has no room for checkpoints. */
static bool full;

static int full_put(void *k, const char *name, struct span value, struct err *e)
{
    return full && strncmp(name, "checkpoint-", 11) == 0
               ? err_set(e, ERR_IO, "no room")
               : keep_memory_ops.value_put(k, name, value, e);
}

static void what_cannot_be_kept_is_not_the_last(void **state)
{
    struct stage *s = witness(state, 3);
    struct keep_ops ops = keep_memory_ops;

    ops.value_put = full_put;
    s->keep.ops = &ops;
    stage_engine(s);
    full = true;
    stage_login(s);
    stage_push(s, stage_write(s, BOB, "more"));
    assert_true(s->told.closes > 0);
    stage_lost(s);
    full = false;
    stage_login(s);
    again(s);
    assert_int_equal(s->told.alarms + v.proofs, 0);
    assert_int_equal(v.after, 6);
    full = true;
    stage_push(s, stage_write(s, BOB, "yet more"));
    again(s);
    full = false;
    again(s);
    assert_int_equal(v.after, 6); /* of the one that is on the disk */
    done(s);
}

static void caught_up_is_said_when_it_was_checked(void **state)
{
    struct stage *s = stage_new(state);

    evidence_on(s, &v);
    v.mute = true;
    stage_login(s);
    assert_int_equal(v.asked, 1);
    assert_int_equal(s->told.caught, 0);
    v.mute = false;
    again(s);
    assert_int_equal(s->told.caught, 1);
    done(s);
}

static void between_two_questions_there_is_a_pause(void **state)
{
    struct stage *s = witness(state, 1);
    unsigned asked = v.asked;

    stage_push(s, stage_write(s, BOB, "more"));
    pass(s, CHECK_PAUSE_S * 2 / 3 - 1);
    assert_int_equal(v.asked, asked);
    pass(s, CHECK_PAUSE_S * 2 / 3 + 1);
    assert_int_equal(v.asked, asked + 1);
    assert_int_equal(v.own, 4);
    pass(s, 2 * CHECK_PAUSE_S); /* nothing was said since */
    assert_int_equal(v.asked, asked + 1);
    assert_int_equal(s->told.closes, 0);
    done(s);
}

/* Who came later knows the peaks of what was before, and holds them to it. */
static void later_members_check_from_their_beginning(void **state)
{
    for (int lie = 0; lie < 2; lie++) {
        struct stage *s = stage_new(state);
        for (unsigned i = 0; i < 6; i++)
            stage_log(s, stage_write(s, BOB, "before"));
        s->from = 6;
        evidence_on(s, &v);
        v.bad_base = lie == 1;
        stage_login(s);
        assert_int_equal(v.bases, 1);
        assert_int_equal(v.own, 8);
        assert_int_equal(s->told.alarms, lie);
        assert_int_equal(room(s)->broken, lie);
        if (lie == 0) {
            again(s);
            assert_int_equal(v.bases, 1); /* kept with the checkpoint */
            assert_int_equal(v.own, 8);
        }
        done(s);
    }
}

static void nothing_is_asked_of_an_ephemeral_room(void **state)
{
    struct stage *s = stage_new(state);

    s->ephemeral = true;
    evidence_on(s, &v);
    stage_login(s);
    assert_int_equal(v.asked, 0);
    assert_int_equal(s->told.caught, 1);
    done(s);
}

static void busy_is_no_lie(void **state)
{
    struct stage *s = witness(state, 1);

    v.refused = true;
    again(s);
    assert_int_equal(s->told.alarms, 0);
    assert_false(room(s)->broken);
    done(s);
}

/* --- two histories: the five lies, each proven to others --- */

/* Bob's words under number n are others, at another time, or gone. */
static void rewrite(struct stage *s, unsigned n, int64_t later)
{
    struct item *it = stage_write(s, BOB, "other words");

    entry_made_free(&s->log[n - 1].made);
    it->number = n;
    it->time = s->log[n - 1].time + later;
    s->log[n - 1] = *it;
    free(it);
}

static void back_date(struct stage *s)
{
    s->log[3].time -= 500;
}

static void drop(struct stage *s)
{
    entry_made_free(&s->log[2].made);
    memmove(s->log + 2, s->log + 3, (s->log_n - 3) * sizeof s->log[0]);
    s->log_n--;
    for (size_t i = 2; i < s->log_n; i++)
        s->log[i].number = i + 1;
    stage_log(s, stage_write(s, BOB, "as if nothing had been there"));
}

static void reorder(struct stage *s)
{
    struct item third = s->log[2];

    s->log[2] = s->log[3];
    s->log[3] = third;
    s->log[2].number = 3;
    s->log[3].number = 4;
}

static void rewrite_one(struct stage *s)
{
    rewrite(s, 4, 0);
}

/* The others were told something else from number 4 on. */
static void fork_off(struct stage *s)
{
    rewrite(s, 4, 0);
    rewrite(s, 5, 7);
    stage_log(s, stage_write(s, BOB, "and more"));
    stage_log(s, stage_write(s, BOB, "and more"));
}

static void (*const lies[])(struct stage *s) = {rewrite_one, drop, reorder, back_date, fork_off};

static void proven(struct stage *s)
{
    assert_true(room(s)->broken);
    assert_true(s->told.alarms > 0);
    assert_int_equal(v.proofs, 1);
    if (!v.found.consistent)
        fail_msg("%s: %s", v.found.where, v.found.why.text);
    assert_int_equal(v.found.kind, BUNDLE_CONTRADICTION);
    assert_true(v.found.anchored);
    assert_memory_equal(v.found.checkpoint.room, s->room.b, sizeof s->room.b);
}

static void every_lie_about_the_past_is_proven(void **state)
{
    for (size_t i = 0; i < COUNT(lies); i++) {
        struct stage *s = witness(state, 4);
        lies[i](s);
        again(s);
        proven(s);
        done(s);
    }
}

/* The question alone does it, whatever the relay shows: it shows nothing here. */
static void a_lie_is_found_while_nothing_new_is_said(void **state)
{
    struct stage *s = witness(state, 4);

    back_date(s);
    again(s);
    proven(s);
    assert_int_equal(v.found.checkpoint.tree.size, v.found.later.tree.size);
    assert_true(strstr(s->told.alarm, "two histories") != NULL);
    done(s);
}

/* It stays found: the kept checkpoint is the one that was true. */
static void the_honest_checkpoint_stays(void **state)
{
    struct stage *s = witness(state, 4);
    struct hash was;

    back_date(s);
    again(s);
    proven(s);
    was = v.found.checkpoint.tree.root;
    stage_engine(s);
    stage_login(s);
    assert_int_equal(v.proofs, 2);
    assert_true(hash_same(&v.found.checkpoint.tree.root, &was));
    done(s);
}

/* Shown once the history was cut and goes on otherwise: our own lines are the proof. */
static void a_shorter_history_that_is_another_is_proven(void **state)
{
    struct stage *s = witness(state, 6);

    rewrite(s, 4, 0);
    v.size = 5;
    again(s);
    proven(s);
    assert_int_equal(v.found.checkpoint.tree.size, 5);
    assert_int_equal(v.found.later.tree.size, 8);
    done(s);
}

static void a_shorter_history_is_lost(void **state)
{
    struct stage *s = witness(state, 6);

    v.size = 5;
    again(s);
    assert_true(room(s)->broken);
    assert_true(strstr(s->told.all_alarms, "signed for 8, and now for 5") != NULL);
    assert_int_equal(v.proofs, 0);
    done(s);
}

/* --- what proves nothing to others, and is not believed either --- */

static void one_that_proves_no_growth(void **state)
{
    static const size_t at[] = {
        offsetof(struct evidence, no_proof), offsetof(struct evidence, bad_proof),
        offsetof(struct evidence, no_grown), offsetof(struct evidence, bad_grown)};

    for (size_t i = 0; i < COUNT(at); i++) {
        struct stage *s = witness(state, 4);
        stage_push(s, stage_write(s, BOB, "more"));
        stage_log(s, stage_write(s, BOB, "not delivered yet"));
        *(bool *)((char *)&v + at[i]) = true;
        pass(s, 2 * CHECK_PAUSE_S);
        assert_int_equal(v.after, 6);
        assert_int_equal(v.own, 7);
        assert_true(room(s)->broken);
        assert_true(strstr(s->told.all_alarms, "does not prove") != NULL);
        assert_int_equal(v.proofs, 0);
        done(s);
    }
}

/* It signs for others than it showed us: at our first visit, when there is nothing older. */
static void another_history_than_was_shown(void **state)
{
    struct stage *s = stage_new(state);

    stage_log(s, stage_write(s, BOB, "one"));
    evidence_on(s, &v);
    v.swapped = true;
    stage_login(s);
    assert_true(room(s)->broken);
    assert_true(strstr(s->told.all_alarms, "another history than it showed") != NULL);
    again(s);
    assert_int_equal(v.after, 0); /* it is not kept */
    done(s);
}

static void fewer_than_were_shown(void **state)
{
    struct stage *s = stage_new(state);

    stage_log(s, stage_write(s, BOB, "one"));
    evidence_on(s, &v);
    v.size = 2;
    stage_login(s);
    assert_true(room(s)->broken);
    assert_true(strstr(s->told.all_alarms, "showed 3 messages and signs for 2") != NULL);
    done(s);
}

static void dates_go_forward(void **state)
{
    struct stage *s = witness(state, 2);

    v.time = s->now - 1; /* before that of the last entry */
    again(s);
    assert_true(room(s)->broken);
    assert_true(strstr(s->told.all_alarms, "date") != NULL);
    done(s);
    s = witness(state, 2);
    v.time = s->now + 60 * 1000;
    stage_push(s, stage_write(s, BOB, "more"));
    again(s);
    assert_false(room(s)->broken);
    v.time = s->now + 30 * 1000; /* after all that was said, but before the last one */
    again(s);
    assert_true(room(s)->broken);
    done(s);
}

/* --- acknowledgements --- */

static void the_root_of_an_acknowledgement(void **state)
{
    for (int lie = 0; lie < 2; lie++) {
        struct stage *s = witness(state, 2);
        struct err e = {0};
        v.bad_root = lie == 1;
        v.mute = true;
        assert_true(stage_say(s, "mine", &e) > 0);
        assert_int_equal(room(s)->broken, lie);
        assert_int_equal(s->told.alarms, lie);
        done(s);
    }
}

/* The relay rewrote what was before our message, and gives itself away with the answer: the
 * checkpoint that is asked for at once proves it. */
static void a_root_over_another_past_is_followed_up(void **state)
{
    struct stage *s = witness(state, 4);
    struct err e = {0};

    back_date(s);
    assert_true(stage_say(s, "mine", &e) > 0);
    assert_true(strstr(s->told.all_alarms, "another history than it showed") != NULL);
    assert_true(room(s)->broken);
    assert_int_equal(v.proofs, 1);
    assert_true(v.found.consistent);
    done(s);
}

static void no_root_is_said_once(void **state)
{
    struct stage *s = witness(state, 1);
    struct err e = {0};

    v.no_root = true;
    assert_true(stage_say(s, "mine", &e) > 0);
    assert_true(stage_say(s, "mine too", &e) > 0);
    assert_int_equal(s->told.alarms, 1);
    assert_true(strstr(s->told.alarm, "can be proven") != NULL);
    assert_false(room(s)->broken);
    done(s);
}

/* --- who may sign --- */

/* Said, not believed, not kept; the room goes on. */
static void odd(struct stage *s, const char *why)
{
    uint64_t before = v.after;

    assert_int_equal(s->told.alarms, 1);
    if (strstr(s->told.alarm, why) == NULL)
        fail_msg("%s", s->told.alarm);
    assert_false(room(s)->broken);
    assert_int_equal(v.proofs, 0);
    assert_int_equal(s->told.closes, 0);
    v.by = NULL;
    v.bad_sig = v.hidden = v.other_room = v.odd_proof = v.gone = false;
    s->told.alarms = 0;
    again(s);
    assert_int_equal(v.after, before);
    assert_int_equal(s->told.alarms, 0);
}

static void signed_by_somebody_else(void **state)
{
    static const struct {
        enum who by;
        const char *why;
    } cases[] = {{BOB, "not made to be"}, {MALLORY, "not a CA trusted here"}};

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct stage *s = witness(state, 1);
        v.by = s->who + cases[i].by;
        again(s);
        odd(s, cases[i].why);
        done(s);
    }
}

static void signed_wrongly(void **state)
{
    static const struct {
        size_t at;
        const char *why;
    } cases[] = {{offsetof(struct evidence, bad_sig), "its signature is wrong"},
                 {offsetof(struct evidence, other_room), "about another room"},
                 {offsetof(struct evidence, odd_proof), "no hashes"},
                 {offsetof(struct evidence, gone), "none of this room any more"}};

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct stage *s = witness(state, 1);
        *(bool *)((char *)&v + cases[i].at) = true;
        again(s);
        odd(s, cases[i].why);
        done(s);
    }
}

static void a_signer_that_is_not_to_be_had(void **state)
{
    struct stage *s = stage_new(state);

    evidence_on(s, &v);
    v.hidden = true;
    stage_login(s);
    odd(s, "its signer is unknown");
    done(s);
}

static void another_relays_certificate(void **state)
{
    struct stage *s = stage_new(state);

    evidence_on(s, &v);
    struct evidence other = {.proofs = 0};
    stage_signer(s, &other.signer, "other.test");
    v.by = &other.signer;
    stage_login(s);
    odd(s, "it is for DNS:other.test");
    pkey_free(other.signer.key);
    done(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_signed_is_kept),
        cmocka_unit_test(what_cannot_be_kept_is_not_the_last),
        cmocka_unit_test(caught_up_is_said_when_it_was_checked),
        cmocka_unit_test(between_two_questions_there_is_a_pause),
        cmocka_unit_test(later_members_check_from_their_beginning),
        cmocka_unit_test(nothing_is_asked_of_an_ephemeral_room),
        cmocka_unit_test(busy_is_no_lie),
        cmocka_unit_test(every_lie_about_the_past_is_proven),
        cmocka_unit_test(a_lie_is_found_while_nothing_new_is_said),
        cmocka_unit_test(the_honest_checkpoint_stays),
        cmocka_unit_test(a_shorter_history_that_is_another_is_proven),
        cmocka_unit_test(a_shorter_history_is_lost),
        cmocka_unit_test(one_that_proves_no_growth),
        cmocka_unit_test(another_history_than_was_shown),
        cmocka_unit_test(fewer_than_were_shown),
        cmocka_unit_test(dates_go_forward),
        cmocka_unit_test(the_root_of_an_acknowledgement),
        cmocka_unit_test(a_root_over_another_past_is_followed_up),
        cmocka_unit_test(no_root_is_said_once),
        cmocka_unit_test(signed_by_somebody_else),
        cmocka_unit_test(signed_wrongly),
        cmocka_unit_test(a_signer_that_is_not_to_be_had),
        cmocka_unit_test(another_relays_certificate),
    };

    return cmocka_run_group_tests(tests, stage_world, stage_world_end);
}
