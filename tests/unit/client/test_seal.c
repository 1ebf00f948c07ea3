/* Receipts of a session and who seals them: the client always, the relay while it is there; what a
 * relay signs wrongly, or not at all, makes no receipt worse than one by the client alone (M9). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support_evidence.h"

static struct evidence v;

/* What was taken, judged. */
static struct {
    unsigned n;
    struct verdict v;
    bool by_relay, refuse, first_time;
    unsigned names;
    uint64_t first, last;
} taken;

static int take(void *ctx, const struct engine_sealed *what, struct err *e)
{
    const struct stage *s = ctx;
    const struct span root = span_of(s->root.b, s->root.n);
    const struct belief belief = {.roots = &root, .roots_n = 1, .flat = what->flat};

    if (taken.refuse)
        return err_set(e, ERR_IO, "no room");
    verdict_free(&taken.v);
    judge_bundle(what->bundle, &belief, &taken.v);
    if (!taken.v.consistent)
        fail_msg("%s: %s", taken.v.where, taken.v.why.text);
    assert_true(taken.v.anchored);
    taken.by_relay = what->by_relay;
    assert_int_equal(taken.v.seals[RECEIPT_RELAY].here, what->by_relay);
    taken.first = what->first;
    taken.last = what->last;
    taken.first_time = what->name[0] == '\0';
    snprintf(what->name, RECEIPT_NAME_MAX + 1, "file-%u", ++taken.names);
    taken.n++;
    return 0;
}

static int take_all(struct stage *s, struct err *e)
{
    const struct engine_sink to = {take, s};

    return engine_sealed(s->g, &to, e);
}

/* How many receipts were begun; the relay has answered. */
static int seal(struct stage *s)
{
    struct err e = {0};
    int n = engine_seal(s->g, true, &e);

    stage_serve(s);
    return n;
}

static unsigned took(struct stage *s)
{
    struct err e = {0};

    taken.n = 0;
    assert_int_equal(take_all(s, &e), 0);
    return taken.n;
}

/* Both are in; bob has said so much since alice's login, she read it and has a checkpoint. */
static struct stage *talked(void **state, unsigned said)
{
    struct stage *s = stage_new(state);

    evidence_on(s, &v);
    v.seal_role = RECEIPT_RELAY;
    stage_login(s);
    for (unsigned i = 0; i < said; i++) {
        s->now += 1000;
        stage_push(s, stage_write(s, BOB, "something"));
    }
    return s;
}

static void done(struct stage *s)
{
    stage_free(s);
    evidence_end(&v);
    verdict_free(&taken.v);
    memset(&taken, 0, sizeof taken);
}

static void alone(struct stage *s, unsigned alarms, unsigned notes)
{
    assert_false(engine_sealing(s->g));
    assert_int_equal(took(s), 1);
    assert_false(taken.by_relay);
    assert_true(taken.v.seals[RECEIPT_CLIENT].here);
    assert_int_equal(s->told.alarms, alarms);
    assert_int_equal(s->told.notes, notes);
    assert_int_equal(s->told.closes, 0);
}

/* --- an honest relay --- */

static void both_seal_what_was_said(void **state)
{
    struct stage *s = talked(state, 3);

    assert_int_equal(seal(s), 1);
    assert_int_equal(v.seals, 1);
    assert_false(engine_sealing(s->g));
    assert_int_equal(took(s), 1);
    assert_true(taken.by_relay);
    assert_string_equal(taken.v.seals[RECEIPT_RELAY].name, "relay.test");
    assert_int_equal(taken.last, s->log_n);
    assert_int_equal(took(s), 0); /* once */
    assert_int_equal(seal(s), 0); /* and nothing twice */
    assert_int_equal(s->told.alarms, 0);
    done(s);
}

/* tree_size and tree_root are the last checkpoint that was found good. */
static void it_names_the_checkpoint_that_was_verified(void **state)
{
    struct stage *s = talked(state, 3);
    struct hash root;

    stage_lost(s);
    assert_int_equal(took(s), 0);
    stage_login(s); /* caught up: a checkpoint of all of it */
    uint64_t size = s->log_n;
    assert_true(evidence_root(s, size, &root));
    s->now += 1000;
    stage_push(s, stage_write(s, BOB, "behind it"));
    assert_int_equal(seal(s), 1);
    assert_int_equal(took(s), 1);
    assert_int_equal(taken.v.receipt.tree.size, size);
    assert_memory_equal(taken.v.receipt.tree.root.b, root.b, sizeof root);
    assert_int_equal(taken.v.receipt.last, size + 1);
    done(s);
}

/* The certificate of the evidence key is asked for when it is not here yet. */
static void an_unknown_signer_is_asked_for(void **state)
{
    struct stage *s = stage_new(state);

    evidence_on(s, &v);
    v.seal_role = RECEIPT_RELAY;
    v.refused = true; /* no checkpoint, so no signer was ever seen */
    stage_login(s);
    s->now += 1000;
    stage_push(s, stage_write(s, BOB, "something"));
    assert_int_equal(seal(s), 1);
    assert_int_equal(took(s), 1);
    assert_true(taken.by_relay);
    assert_int_equal(taken.v.receipt.tree.size, 0);
    done(s);
}

static void receipts_follow_each_other(void **state)
{
    struct stage *s = talked(state, 1);
    char text[RECEIPT_MAX + 1];
    struct hash first;

    assert_int_equal(seal(s), 1);
    sha256(span_of(text, receipt_put(text, &v.receipt)), &first);
    stage_push(s, stage_write(s, BOB, "more"));
    assert_int_equal(seal(s), 1);
    assert_memory_equal(v.receipt.previous.b, first.b, sizeof first);
    assert_int_equal(v.receipt.first, v.receipt.last);
    assert_int_equal(took(s), 2);
    done(s);
}

/* Of a room that is entered in mid-session, what was numbered since: not its history. */
static void a_room_entered_meanwhile_begins_there(void **state)
{
    struct stage *s = stage_new(state);
    struct err e = {0};

    evidence_on(s, &v);
    v.seal_role = RECEIPT_RELAY;
    stage_log(s, stage_write(s, BOB, "long before"));
    s->gone = true;
    stage_login(s);
    stage_log(s, stage_write(s, BOB, "before she came"));
    s->gone = false;
    uint64_t before = s->log_n;
    assert_true(engine_room_join(s->g, str_of("ops"), &e) != 0);
    stage_serve(s);
    stage_push(s, stage_write(s, BOB, "since"));
    assert_int_equal(seal(s), 1);
    assert_int_equal(v.receipt.first, before + 1);
    assert_int_equal(took(s), 1);
    assert_true(taken.by_relay);
    assert_int_equal(taken.last, s->log_n);
    done(s);
}

/* What a connection left unsealed is not of the next one, whose name and link the receipt bears. */
static void nothing_is_sealed_between_link_and_welcome(void **state)
{
    struct stage *s = talked(state, 2);
    struct err e = {0};

    stage_lost(s);
    stage_link(s);
    assert_int_equal(engine_seal(s->g, true, &e), 0);
    stage_lost(s);
    assert_int_equal(engine_seal(s->g, true, &e), 0);
    done(s);
}

/* --- a relay that is not there, or will not --- */

static void without_a_connection_it_is_the_clients_own(void **state)
{
    struct stage *s = talked(state, 2);

    stage_lost(s);
    assert_int_equal(seal(s), 1);
    assert_int_equal(v.seals, 0);
    alone(s, 0, 0);
    done(s);
}

static void a_relay_that_refuses_is_told(void **state)
{
    struct stage *s = talked(state, 2);

    v.seal_refused = true;
    assert_int_equal(seal(s), 1);
    alone(s, 0, 1);
    done(s);
}

static void nobody_waits_for_ever(void **state)
{
    struct stage *s = talked(state, 2);

    v.seal_mute = true;
    assert_int_equal(seal(s), 1);
    assert_true(engine_sealing(s->g));
    assert_int_equal(took(s), 0);
    assert_true(engine_deadline(s->g) <= s->mono + SEAL_WAIT_MS);
    s->mono += SEAL_WAIT_MS - 1;
    engine_tick(s->g);
    assert_true(engine_sealing(s->g));
    s->mono++;
    engine_tick(s->g);
    stage_serve(s);
    alone(s, 0, 1);
    const struct span some = span_of("x", 1); /* false is false, however late */
    stage_feed(s, F_SEALED, &(struct f_sealed){v.seal_id, some, some, false});
    assert_int_equal(s->told.closes, 0);
    assert_int_equal(s->told.alarms, 1);
    assert_int_equal(took(s), 0);
    done(s);
}

/* The relay answers what it was asked before. */
static void answer(struct stage *s)
{
    char text[RECEIPT_MAX + 1];
    size_t n = receipt_put(text, &v.receipt);

    evidence_seal(s, &(struct f_seal){.id = v.seal_id, .receipt = span_of(text, n)});
    stage_serve(s);
}

static void what_comes_after_the_wait_is_taken(void **state)
{
    struct stage *s = talked(state, 2);

    v.seal_mute = true;
    assert_int_equal(seal(s), 1);
    s->mono += SEAL_WAIT_MS;
    engine_tick(s->g);
    stage_serve(s);
    alone(s, 0, 1);
    answer(s);
    assert_int_equal(took(s), 1);
    assert_true(taken.by_relay && !taken.first_time);
    assert_int_equal(took(s), 0);
    assert_int_equal(s->told.alarms, 0);
    done(s);
}

static void a_cut_connection_ends_the_wait(void **state)
{
    struct stage *s = talked(state, 2);

    v.seal_mute = true;
    assert_int_equal(seal(s), 1);
    stage_lost(s);
    stage_serve(s);
    alone(s, 0, 0);
    done(s);
}

static void a_seal_that_nobody_asked_for_ends_the_connection(void **state)
{
    struct stage *s = talked(state, 1);
    const struct span some = span_of("x", 1);

    stage_feed(s, F_SEALED, &(struct f_sealed){99, some, some, false});
    assert_int_equal(s->told.closes, 1);
    assert_int_equal(s->told.close_code, ERR_PEER);
    done(s);
}

static void of_an_ephemeral_room_the_relay_is_not_asked(void **state)
{
    struct stage *s = stage_new(state);

    s->ephemeral = true;
    evidence_on(s, &v);
    v.seal_role = RECEIPT_RELAY;
    stage_login(s);
    stage_push(s, stage_write(s, BOB, "something"));
    struct err e = {0};
    assert_int_equal(engine_seal(s->g, false, &e), 0); /* unasked it leaves nothing */
    assert_int_equal(seal(s), 1);
    assert_int_equal(v.seals, 0);
    alone(s, 0, s->told.notes);
    done(s);
}

/* --- sessions that were cut --- */

static struct hash hash_of(const struct receipt *x)
{
    char text[RECEIPT_MAX + 1];
    struct hash h;

    sha256(span_of(text, receipt_put(text, x)), &h);
    return h;
}

/* One receipt was taken without the relay's seal, for the first time; then the same with it. */
static void once_alone_and_once_sealed(struct stage *s)
{
    assert_int_equal(took(s), 1);
    assert_true(!taken.by_relay && taken.first_time);
    unsigned seals = v.seals;
    stage_login(s);
    assert_int_equal(v.seals, seals + 1);
    assert_int_equal(took(s), 1);
    assert_true(taken.by_relay && !taken.first_time);
    assert_int_equal(s->told.alarms, 0);
}

static void a_cut_session_is_offered_at_the_next_login(void **state)
{
    struct stage *s = talked(state, 1);

    assert_int_equal(seal(s), 1);
    struct receipt before = v.receipt;
    assert_int_equal(took(s), 1);
    stage_push(s, stage_write(s, BOB, "just before the cut"));
    stage_lost(s);
    assert_int_equal(seal(s), 1);
    once_alone_and_once_sealed(s);
    assert_memory_equal(v.receipt.session, before.session, sizeof before.session);
    assert_int_equal(v.receipt.first, before.last + 1);
    struct hash h = hash_of(&before);
    assert_memory_equal(v.receipt.previous.b, h.b, sizeof h);
    before = v.receipt; /* and what follows is behind it, in the new session */
    stage_push(s, stage_write(s, BOB, "after it"));
    assert_int_equal(seal(s), 1);
    assert_memory_not_equal(v.receipt.session, before.session, sizeof before.session);
    h = hash_of(&before);
    assert_memory_equal(v.receipt.previous.b, h.b, sizeof h);
    assert_int_equal(took(s), 1);
    stage_lost(s);
    unsigned seals = v.seals;
    stage_login(s); /* nothing is offered twice */
    assert_int_equal(v.seals, seals);
    done(s);
}

/* The process is gone, and what it knew with it; its successor knows enough. */
static void a_killed_process_is_sealed_for_by_its_successor(void **state)
{
    struct stage *s = talked(state, 1);

    assert_int_equal(seal(s), 1);
    const struct receipt before = v.receipt;
    assert_int_equal(took(s), 1);
    stage_push(s, stage_write(s, BOB, "just before the end"));
    stage_engine(s);
    assert_int_equal(seal(s), 1);
    once_alone_and_once_sealed(s);
    assert_memory_equal(v.receipt.session, before.session, sizeof before.session);
    assert_string_equal(v.receipt.link, before.link);
    assert_string_equal(v.receipt.suite, before.suite);
    assert_memory_equal(&v.receipt.peer, &before.peer, sizeof before.peer);
    assert_int_equal(v.receipt.first, before.last + 1);
    assert_int_equal(v.receipt.last, s->log_n);
    stage_engine(s);
    assert_int_equal(seal(s), 0);
    assert_int_equal(took(s), 0);
    done(s);
}

/* A room that was entered in the midst of the session is in the record, too. */
static void a_killed_process_had_entered_a_room(void **state)
{
    struct stage *s = stage_new(state);
    struct err e = {0};

    evidence_on(s, &v);
    v.seal_role = RECEIPT_RELAY;
    s->gone = true;
    stage_login(s);
    stage_log(s, stage_write(s, BOB, "before she came"));
    s->gone = false;
    uint64_t before = s->log_n;
    assert_true(engine_room_join(s->g, str_of("ops"), &e) != 0);
    stage_serve(s);
    stage_push(s, stage_write(s, BOB, "since"));
    stage_engine(s);
    assert_int_equal(seal(s), 1);
    assert_int_equal(took(s), 1);
    assert_int_equal(taken.first, before + 1);
    done(s);
}

static void who_wants_no_transcripts_gets_none_of_a_killed_process(void **state)
{
    struct stage *s = talked(state, 1);

    stage_engine(s); /* of this one there is a record, until somebody logs in who wants none */
    s->unrecorded = true;
    stage_engine(s);
    stage_login(s);
    stage_push(s, stage_write(s, BOB, "unrecorded"));
    s->unrecorded = false;
    stage_engine(s);
    assert_int_equal(seal(s), 0);
    done(s);
}

/* It was signed, and the process died before anybody had the files. */
static void what_nobody_had_taken_is_offered_by_the_successor(void **state)
{
    struct stage *s = talked(state, 2);

    assert_int_equal(seal(s), 1);
    stage_engine(s);
    assert_int_equal(seal(s), 0);
    assert_int_equal(took(s), 1);
    assert_true(taken.by_relay && taken.first_time);
    stage_engine(s);
    assert_int_equal(took(s), 0);
    done(s);
}

/* It was signed, and nobody had the files when he changed his mind: no word of it is written, not
 * when one more seal comes for it either; what he asks for is. */
static void who_wants_no_transcripts_gets_none_of_a_session_before(void **state)
{
    for (unsigned sealed = 0; sealed < 2; sealed++) {
        struct stage *s = talked(state, 2);
        if (!sealed)
            stage_lost(s);
        assert_int_equal(seal(s), 1);
        s->unrecorded = true;
        stage_engine(s);
        assert_int_equal(took(s), 0);
        stage_login(s);
        assert_int_equal(v.seals, 1);
        assert_int_equal(took(s), 0);
        stage_push(s, stage_write(s, BOB, "in the session without"));
        assert_int_equal(seal(s), 1);
        assert_int_equal(took(s), 1);
        assert_int_equal(taken.first, s->log_n);
        assert_true(taken.by_relay);
        s->unrecorded = false;
        stage_engine(s);
        assert_int_equal(took(s), 1);
        assert_true(taken.by_relay && taken.first_time);
        assert_int_equal(taken.last, s->log_n - 1);
        done(s);
    }
}

static void a_relay_that_has_not_noticed_the_end_is_asked_again(void **state)
{
    struct stage *s = talked(state, 2);

    stage_lost(s);
    assert_int_equal(seal(s), 1);
    assert_int_equal(took(s), 1);
    v.seal_busy = true;
    stage_login(s);
    assert_int_equal(v.seals, 1);
    assert_int_equal(s->told.notes, 0);
    assert_int_equal(engine_deadline(s->g), s->mono + SEAL_AGAIN_MS);
    s->mono += SEAL_AGAIN_MS - 1;
    engine_tick(s->g);
    stage_serve(s);
    assert_int_equal(v.seals, 1);
    v.seal_busy = false;
    s->mono++;
    engine_tick(s->g);
    stage_serve(s);
    assert_int_equal(v.seals, 2);
    assert_int_equal(took(s), 1);
    assert_true(taken.by_relay);
    done(s);
}

/* Receipts of a room follow each other: one waits for the one before it, and nobody for both. */
static void what_is_behind_one_that_waits_is_not_asked_for(void **state)
{
    struct stage *s = talked(state, 2);

    stage_lost(s);
    assert_int_equal(seal(s), 1);
    v.seal_busy = true;
    stage_login(s);
    stage_push(s, stage_write(s, BOB, "in the next session"));
    assert_int_equal(seal(s), 1);
    assert_false(engine_sealing(s->g));
    assert_int_equal(v.seals, 1);
    assert_int_equal(took(s), 2);
    v.seal_busy = false;
    s->mono += SEAL_AGAIN_MS;
    engine_tick(s->g);
    stage_serve(s);
    assert_int_equal(v.seals, 3);
    assert_int_equal(took(s), 2);
    assert_true(taken.by_relay);
    assert_int_equal(taken.last, s->log_n);
    done(s);
}

/* The end may wait while the one before is being sealed. */
static void what_is_behind_one_under_way_waits_for_both(void **state)
{
    struct stage *s = talked(state, 2);

    stage_lost(s);
    assert_int_equal(seal(s), 1);
    v.seal_mute = true;
    stage_login(s);
    stage_push(s, stage_write(s, BOB, "in the next session"));
    assert_int_equal(seal(s), 1);
    assert_true(engine_sealing(s->g));
    assert_int_equal(v.seals, 1);
    v.seal_mute = false;
    answer(s);
    assert_int_equal(v.seals, 2);
    assert_false(engine_sealing(s->g));
    assert_int_equal(took(s), 2);
    assert_true(taken.by_relay);
    done(s);
}

static void what_the_relay_refuses_later_is_told_once(void **state)
{
    struct stage *s = talked(state, 2);

    stage_lost(s);
    assert_int_equal(seal(s), 1);
    assert_int_equal(took(s), 1);
    v.seal_refused = true;
    stage_login(s);
    assert_int_equal(s->told.notes, 1);
    assert_int_equal(took(s), 0);
    stage_engine(s);
    stage_login(s);
    assert_int_equal(v.seals, 1);
    assert_int_equal(took(s), 0);
    done(s);
}

/* What it says of the room, the connection or itself may be otherwise on the next connection. */
static void what_the_relay_cannot_do_now_is_asked_for_again(void **state)
{
    static const enum proto_code codes[] = {CODE_NO_SUCH, CODE_LIMIT, CODE_SHUTDOWN, CODE_STATE,
                                            CODE_AUTH};

    for (size_t i = 0; i < COUNT(codes); i++) {
        struct stage *s = talked(state, 2);
        v.seal_refused = true;
        v.seal_code = codes[i];
        assert_int_equal(seal(s), 1);
        assert_int_equal(v.seals, 1);
        assert_int_equal(took(s), 1);
        assert_false(taken.by_relay);
        s->mono += SEAL_AGAIN_MS; /* not on this one */
        engine_tick(s->g);
        stage_serve(s);
        assert_int_equal(v.seals, 1);
        v.seal_refused = false;
        stage_engine(s);
        stage_login(s);
        assert_int_equal(v.seals, 2);
        assert_int_equal(took(s), 1);
        assert_true(taken.by_relay && !taken.first_time);
        done(s);
    }
}

static void a_false_seal_that_comes_later_changes_no_receipt(void **state)
{
    struct stage *s = talked(state, 2);

    stage_lost(s);
    assert_int_equal(seal(s), 1);
    assert_int_equal(took(s), 1);
    v.bad_sig = true;
    stage_login(s);
    assert_int_equal(took(s), 0);
    assert_true(s->told.alarms > 0);
    unsigned seals = v.seals;
    v.bad_sig = false;
    stage_engine(s);
    stage_login(s);
    assert_int_equal(v.seals, seals);
    assert_int_equal(took(s), 0);
    done(s);
}

/* --- a relay that lies: an alarm, and the receipt is as good as without it --- */

static void lie_role(struct stage *s)
{
    (void)s;
    v.seal_role = RECEIPT_MEMBER;
}
static void lie_early(struct stage *s)
{
    v.seal_time = s->now - 1; /* before the last entry */
}
static void lie_late(struct stage *s)
{
    v.seal_time = trust_crl_until(s->trust) + 1000; /* its certificate lives longer */
}
static void lie_sig(struct stage *s)
{
    (void)s;
    v.bad_sig = true;
}
static void lie_form(struct stage *s)
{
    (void)s;
    v.seal_odd = true;
}
static void lie_signer(struct stage *s)
{
    v.by = &s->who[BOB]; /* a member's certificate is no evidence certificate */
}
static void lie_hidden(struct stage *s)
{
    (void)s;
    v.hidden = true;
}

static void a_false_seal_is_an_alarm_and_left_out(void **state)
{
    static void (*const lies[])(struct stage * s) = {lie_role, lie_early,  lie_late,  lie_sig,
                                                     lie_form, lie_signer, lie_hidden};

    for (size_t i = 0; i < COUNT(lies); i++) {
        struct stage *s = stage_new(state);
        evidence_on(s, &v);
        v.seal_role = RECEIPT_RELAY;
        v.refused = true; /* no checkpoint before: its signer is asked for, too */
        stage_login(s);
        s->now += 1000;
        stage_push(s, stage_write(s, BOB, "something"));
        lies[i](s);
        assert_int_equal(seal(s), 1);
        if (s->told.alarms != 1)
            fail_msg("lie %zu: %u alarms", i, s->told.alarms);
        alone(s, 1, s->told.notes);
        done(s);
    }
}

/* It is evidence all the same, and whoever reads it should know. */
static void a_date_ahead_of_our_clock_is_noted(void **state)
{
    static const unsigned notes[] = {0, 1};

    for (size_t i = 0; i < COUNT(notes); i++) {
        struct stage *s = talked(state, 1);
        unsigned before = s->told.notes;
        v.seal_time = s->now + TS_FUTURE_MS + (int64_t)i;
        assert_int_equal(seal(s), 1);
        assert_int_equal(s->told.notes - before, notes[i]);
        assert_int_equal(s->told.alarms, 0);
        assert_int_equal(took(s), 1);
        assert_true(taken.by_relay);
        done(s);
    }
}

/* --- our own disk --- */

static bool unread;

static int unread_get(void *k, const struct hash *fp, struct keep_cert *out, struct err *e)
{
    return unread ? err_set(e, ERR_IO, "no answer") : keep_memory_ops.cert_get(k, fp, out, e);
}

/* Whom we cannot judge we do not accuse. */
static void a_disk_that_fails_accuses_nobody(void **state)
{
    struct stage *s = talked(state, 2);
    struct keep_ops ops = keep_memory_ops;
    struct err e = {0};

    ops.cert_get = unread_get;
    s->keep.ops = &ops;
    stage_engine(s);
    stage_login(s);
    stage_push(s, stage_write(s, BOB, "more"));
    v.seal_mute = true;
    assert_int_equal(engine_seal(s->g, true, &e), 1);
    unsigned notes = s->told.notes;
    unread = true;
    v.seal_mute = false;
    stage_serve(s);
    unread = false;
    assert_int_equal(v.seals, 1);
    assert_int_equal(s->told.alarms, 0);
    assert_int_equal(s->told.notes, notes + 1);
    assert_int_equal(took(s), 1);
    assert_false(taken.by_relay);
    done(s);
}

static bool full;

static int full_put(void *k, const char *name, struct span value, struct err *e)
{
    return full && strncmp(name, "receipt-", 8) == 0 ? err_set(e, ERR_IO, "no room")
                                                     : keep_memory_ops.value_put(k, name, value, e);
}

/* Nobody is shown a receipt that might have to be made a second time, as another one. */
static void what_is_not_kept_is_shown_to_nobody(void **state)
{
    struct stage *s = talked(state, 2);
    struct keep_ops ops = keep_memory_ops;

    ops.value_put = full_put;
    s->keep.ops = &ops;
    stage_engine(s);
    stage_login(s);
    stage_push(s, stage_write(s, BOB, "more"));
    full = true;
    assert_int_equal(seal(s), -1);
    assert_int_equal(v.seals, 0);
    full = false;
    assert_int_equal(seal(s), 1);
    assert_int_equal(v.seals, 1);
    assert_int_equal(took(s), 1);
    done(s);
}

static void what_could_not_be_written_is_offered_again(void **state)
{
    struct stage *s = talked(state, 2);
    struct err e = {0};

    assert_int_equal(seal(s), 1);
    taken.refuse = true;
    assert_int_equal(take_all(s, &e), -1);
    assert_non_null(strstr(e.text, "no receipt of"));
    taken.refuse = false;
    assert_int_equal(took(s), 1);
    assert_true(taken.by_relay);
    done(s);
}

#define TEST(f) cmocka_unit_test(f)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(both_seal_what_was_said),
        TEST(it_names_the_checkpoint_that_was_verified),
        TEST(an_unknown_signer_is_asked_for),
        TEST(receipts_follow_each_other),
        TEST(a_room_entered_meanwhile_begins_there),
        TEST(nothing_is_sealed_between_link_and_welcome),
        TEST(without_a_connection_it_is_the_clients_own),
        TEST(a_relay_that_refuses_is_told),
        TEST(nobody_waits_for_ever),
        TEST(what_comes_after_the_wait_is_taken),
        TEST(a_cut_connection_ends_the_wait),
        TEST(a_cut_session_is_offered_at_the_next_login),
        TEST(a_killed_process_is_sealed_for_by_its_successor),
        TEST(a_killed_process_had_entered_a_room),
        TEST(who_wants_no_transcripts_gets_none_of_a_killed_process),
        TEST(what_nobody_had_taken_is_offered_by_the_successor),
        TEST(who_wants_no_transcripts_gets_none_of_a_session_before),
        TEST(a_relay_that_has_not_noticed_the_end_is_asked_again),
        TEST(what_is_behind_one_that_waits_is_not_asked_for),
        TEST(what_is_behind_one_under_way_waits_for_both),
        TEST(what_the_relay_refuses_later_is_told_once),
        TEST(what_the_relay_cannot_do_now_is_asked_for_again),
        TEST(a_false_seal_that_comes_later_changes_no_receipt),
        TEST(a_seal_that_nobody_asked_for_ends_the_connection),
        TEST(of_an_ephemeral_room_the_relay_is_not_asked),
        TEST(a_false_seal_is_an_alarm_and_left_out),
        TEST(a_date_ahead_of_our_clock_is_noted),
        TEST(a_disk_that_fails_accuses_nobody),
        TEST(what_is_not_kept_is_shown_to_nobody),
        TEST(what_could_not_be_written_is_offered_again),
    };

    return cmocka_run_group_tests(tests, stage_world, stage_world_end);
}
