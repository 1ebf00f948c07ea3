/* The other member's seal in rooms of two: ours on his receipts, of what we have ourselves and of
 * nothing else; his on ours, when it is his (docs/protocol.md 6.2). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support_evidence.h"

static struct evidence v;

/* Alice and bob, he has said something that she has read. */
static struct stage *two(void **state)
{
    struct stage *s = stage_empty(state, ROOM_DIRECT);

    evidence_on(s, &v);
    v.seal_role = RECEIPT_RELAY;
    stage_log(s, stage_join(s, BOB));
    stage_login(s);
    for (unsigned i = 0; i < 3; i++)
        stage_push(s, stage_write(s, BOB, "between us"));
    return s;
}

static void done(struct stage *s)
{
    stage_free(s);
    evidence_end(&v);
}

static struct hash head_of(const struct stage *s, uint64_t number)
{
    struct hash head = {{0}};

    for (uint64_t i = 0; i < number; i++)
        entry_head_next(&head, str_from(s->log[i].made.line, s->log[i].made.line_n),
                        s->log[i].time);
    return head;
}

/* As bob's client makes it, of all that was said. */
static struct receipt his(struct stage *s)
{
    struct receipt x = {.session = {3},
                        .link = "tls",
                        .suite = "a suite",
                        .signer = s->who[BOB].fp,
                        .peer = {{9}},
                        .created = s->now,
                        .first = 2,
                        .last = s->log_n,
                        .base = head_of(s, 1),
                        .head = head_of(s, s->log_n)};

    memcpy(x.room, s->room.b, sizeof x.room);
    x.tree.size = s->log_n;
    assert_true(evidence_root(s, s->log_n, &x.tree.root));
    return x;
}

struct words {
    char text[RECEIPT_MAX + 1], seal[RECEIPT_SEAL_MAX + 1];
    uint8_t sig[SIG_MAX];
    size_t n, seal_n, sig_n;
};

static void words_sign(struct stage *s, struct words *w, const struct receipt_seal *seal,
                       const struct person *by)
{
    struct receipt_signed all;
    struct err e = {0};

    w->seal_n = receipt_seal_put(w->seal, seal);
    assert_int_equal(
        receipt_signed_make(&all, str_from(w->text, w->n), str_from(w->seal, w->seal_n)), 0);
    assert_int_equal(pkey_sign_pss(by->key, &s->rng, span_of(all.b, all.n), w->sig, &w->sig_n, &e),
                     0);
}

/* The relay shows it; harm: to his signature. How often she has sealed anything until then. */
static unsigned shown(struct stage *s, const struct receipt *x, const struct receipt_seal *seal,
                      uint8_t harm)
{
    struct words w;

    w.n = receipt_put(w.text, x);
    words_sign(s, &w, seal, &s->who[BOB]);
    w.sig[7] ^= harm;
    stage_feed(s, F_COSIGN_ASK,
               &(struct f_cosign_ask){span_of(w.text, w.n), span_of(w.seal, w.seal_n),
                                      span_of(w.sig, w.sig_n)});
    stage_serve(s);
    assert_int_equal(s->told.alarms + s->told.closes, 0);
    return v.cosigns;
}

static struct receipt_seal own_seal(const struct receipt *x)
{
    return (struct receipt_seal){RECEIPT_CLIENT, x->signer, x->created};
}

static void what_she_has_too_she_seals(void **state)
{
    struct stage *s = two(state);
    struct receipt x = his(s);
    const struct receipt_seal seal = own_seal(&x);

    assert_int_equal(shown(s, &x, &seal, 0), 1);
    assert_int_equal(v.cosign.role, RECEIPT_MEMBER);
    assert_true(hash_same(&v.cosign.signer, &s->who[ALICE].fp));
    assert_true(v.cosign_good);
    x.tree = (struct merkle_head){.size = 0}; /* without a checkpoint, too */
    assert_int_equal(shown(s, &x, &seal, 0), 2);
    done(s);
}

static void lie_base(struct receipt *x)
{
    x->base.b[4] ^= 1;
}
static void lie_head(struct receipt *x)
{
    x->head.b[4] ^= 1;
}
static void lie_root(struct receipt *x)
{
    x->tree.root.b[4] ^= 1;
}
static void lie_size(struct receipt *x)
{
    x->tree.size--;
}
static void lie_first(struct receipt *x)
{
    x->first++;
}
static void lie_less(struct receipt *x)
{
    x->last--;
    x->tree.size = 1;
}
static void lie_more(struct receipt *x)
{
    x->last++;
}
static void lie_room(struct receipt *x)
{
    x->room[3] ^= 1;
}
static void lie_ahead(struct receipt *x)
{
    x->created += TS_FUTURE_MS + 1;
}
static void lie_signer(struct receipt *x)
{
    x->signer.b[3] ^= 1;
}

static void what_she_has_not_she_does_not_seal(void **state)
{
    static void (*const lies[])(struct receipt * x) = {lie_base,  lie_head,  lie_root, lie_size,
                                                       lie_first, lie_less,  lie_more, lie_room,
                                                       lie_ahead, lie_signer};
    struct stage *s = two(state);

    for (size_t i = 0; i < COUNT(lies); i++) {
        struct receipt x = his(s);
        lies[i](&x);
        const struct receipt_seal seal = own_seal(&x);
        if (shown(s, &x, &seal, 0) != 0)
            fail_msg("lie %zu was sealed", i);
    }
    done(s);
}

static void what_he_did_not_seal_she_does_not(void **state)
{
    struct stage *s = two(state);
    struct receipt x = his(s);
    struct receipt_seal seal = own_seal(&x);

    assert_int_equal(shown(s, &x, &seal, 1), 0);
    seal.role = RECEIPT_RELAY;
    assert_int_equal(shown(s, &x, &seal, 0), 0);
    seal = own_seal(&x);
    seal.time++;
    assert_int_equal(shown(s, &x, &seal, 0), 0);
    seal = own_seal(&x);
    seal.signer = s->who[ALICE].fp;
    assert_int_equal(shown(s, &x, &seal, 0), 0);
    x.signer = s->who[ALICE].fp; /* her own, as if it were another's */
    seal = own_seal(&x);
    assert_int_equal(shown(s, &x, &seal, 0), 0);
    done(s);
}

static void without_end_she_does_not_seal(void **state)
{
    struct stage *s = two(state);
    const struct receipt x = his(s);
    const struct receipt_seal seal = own_seal(&x);

    for (unsigned i = 0; i < COSIGN_BURST + 3; i++)
        (void)shown(s, &x, &seal, 0);
    assert_int_equal(v.cosigns, COSIGN_BURST);
    s->mono += COSIGN_MS;
    assert_int_equal(shown(s, &x, &seal, 0), COSIGN_BURST + 1);
    assert_int_equal(shown(s, &x, &seal, 0), COSIGN_BURST + 1);
    done(s);
}

/* --- his on hers --- */

static struct {
    unsigned n;
    bool by_relay, by_member;
} taken;

static int take(void *ctx, const struct engine_sealed *what, struct err *e)
{
    const struct stage *s = ctx;
    const struct span root = span_of(s->root.b, s->root.n);
    const struct belief belief = {.roots = &root, .roots_n = 1, .flat = what->flat};
    struct verdict found;

    (void)e;
    judge_bundle(what->bundle, &belief, &found);
    if (!found.consistent)
        fail_msg("%s: %s", found.where, found.why.text);
    assert_int_equal(found.seals[RECEIPT_MEMBER].here, what->by_member);
    verdict_free(&found);
    snprintf(what->name, RECEIPT_NAME_MAX + 1, "file");
    taken.by_relay = what->by_relay;
    taken.by_member = what->by_member;
    taken.n++;
    return 0;
}

static unsigned took(struct stage *s)
{
    const struct engine_sink to = {take, s};
    struct err e = {0};

    taken.n = 0;
    assert_int_equal(engine_sealed(s->g, &to, &e), 0);
    return taken.n;
}

/* She has one sealed, and the relay says that bob was asked. */
static void asked(struct stage *s)
{
    struct err e = {0};

    v.seal_member = true;
    assert_int_equal(engine_seal(s->g, true, &e), 1);
    stage_serve(s);
    assert_true(engine_sealing(s->g));
    assert_int_equal(took(s), 0);
}

static void told(struct stage *s, const struct receipt_seal *seal, const struct person *by,
                 uint8_t harm)
{
    struct words w;
    struct hash h;

    w.n = receipt_put(w.text, &v.receipt);
    words_sign(s, &w, seal, by);
    w.sig[7] ^= harm;
    sha256(span_of(w.text, w.n), &h);
    stage_feed(s, F_COSIGNED,
               &(struct f_cosigned){h, span_of(w.seal, w.seal_n), span_of(w.sig, w.sig_n)});
    stage_serve(s);
}

static void his_seal_is_in_the_receipt(void **state)
{
    struct stage *s = two(state);

    asked(s);
    told(s, &(struct receipt_seal){RECEIPT_MEMBER, s->who[BOB].fp, s->now}, &s->who[BOB], 0);
    assert_false(engine_sealing(s->g));
    assert_int_equal(took(s), 1);
    assert_true(taken.by_relay && taken.by_member);
    assert_int_equal(s->told.alarms, 0);
    done(s);
}

static void nobody_waits_for_him_for_ever(void **state)
{
    struct stage *s = two(state);

    asked(s);
    unsigned notes = s->told.notes;
    s->mono += SEAL_WAIT_MS;
    engine_tick(s->g);
    stage_serve(s);
    assert_false(engine_sealing(s->g));
    assert_int_equal(took(s), 1);
    assert_true(taken.by_relay && !taken.by_member);
    assert_int_equal(s->told.notes, notes);
    told(s, &(struct receipt_seal){RECEIPT_MEMBER, s->who[BOB].fp, s->now}, &s->who[BOB], 0);
    assert_int_equal(took(s), 1); /* later, all the same */
    assert_true(taken.by_relay && taken.by_member);
    done(s);
}

static void a_false_one_is_an_alarm_and_left_out(void **state)
{
    for (unsigned i = 0; i < 5; i++) {
        struct stage *s = two(state);
        struct receipt_seal seal = {RECEIPT_MEMBER, s->who[BOB].fp, s->now};
        const struct person *by = &s->who[BOB];
        asked(s);
        if (i == 0)
            seal.role = RECEIPT_RELAY;
        if (i == 1)
            seal.time = s->now - 24 * 3600 * 1000;
        if (i == 2)
            seal.time = trust_crl_until(s->trust) + 1000;
        if (i == 3) { /* her own */
            by = &s->who[ALICE];
            seal.signer = by->fp;
        }
        told(s, &seal, by, i == 4);
        assert_int_equal(s->told.alarms, 1);
        s->mono += SEAL_WAIT_MS;
        engine_tick(s->g);
        assert_int_equal(took(s), 1);
        assert_true(taken.by_relay && !taken.by_member);
        done(s);
    }
}

#define TEST(f) cmocka_unit_test(f)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_she_has_too_she_seals),           TEST(what_she_has_not_she_does_not_seal),
        TEST(what_he_did_not_seal_she_does_not),    TEST(without_end_she_does_not_seal),
        TEST(his_seal_is_in_the_receipt),           TEST(nobody_waits_for_him_for_ever),
        TEST(a_false_one_is_an_alarm_and_left_out),
    };

    return cmocka_run_group_tests(tests, stage_world, stage_world_end);
}
