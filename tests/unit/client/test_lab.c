/* Every attack on every link: what comes of it is written down here a second time, by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client/lab.h"
#include "client/shake_local.h"

static struct lab_pki ours, his;
static unsigned told[3];

static int setup(void **state)
{
    const struct rng rng = rng_system();
    struct err e = {0};

    (void)state;
    return crypto_init(&e) < 0 || lab_pki_make(&ours, &rng, &e) < 0 ||
                   lab_pki_make(&his, &rng, &e) < 0
               ? -1
               : 0;
}

static int teardown(void **state)
{
    (void)state;
    lab_pki_wipe(&ours);
    lab_pki_wipe(&his);
    return 0;
}

static void on_told(void *ctx, enum lab_who who, const char *what)
{
    (void)ctx;
    assert_true(strlen(what) > 0);
    told[who]++;
}

static struct lab_outcome run(enum lab_attack a, enum link_kind kind)
{
    const struct lab lab = {.ours = &ours, .his = &his, .tell = on_told};
    struct lab_outcome out;
    struct err e = {0};

    memset(told, 0, sizeof told);
    if (lab_run(&lab, a, kind, &out, &e) < 0)
        fail_msg("%s on %s: %s", lab_attack_name(a), link_kind_name(kind), e.text);
    return out;
}

/* Somebody ended it, and said why and where: an attack that does nothing does not count. */
static void all_but_classic_stop_every_attack(void **state)
{
    (void)state;
    for (enum link_kind k = 0; k < LINK_CLASSIC; k++)
        for (enum lab_attack a = 0; a < LAB_ATTACK_COUNT; a++) {
            struct lab_outcome out = run(a, k);
            if (out.won)
                fail_msg("%s on %s: %s", lab_attack_name(a), link_kind_name(k), out.what);
            assert_true(strncmp(out.what, "the client: ", 12) == 0 ||
                        strncmp(out.what, "the relay: ", 11) == 0);
            assert_int_equal(told[LAB_ATTACKER] > 0, true);
            assert_false(lab_expects(a, k));
        }
}

static void classic_loses_all_but_one(void **state)
{
    static const struct {
        enum lab_attack attack;
        const char *what;
    } rows[] = {
        {LAB_MITM, "he reads the client's words and puts his in their place"},
        {LAB_DOWNGRADE, "both go on with less, and do not know"},
        {LAB_REPLAY, "the relay hears the whole session once more"},
        {LAB_TAMPER, "the relay: HMAC verification failed"},
        {LAB_REFLECT, "the client takes its own words for the relay's"},
        {LAB_TRUNCATE, "the relay takes it for a farewell"},
        {LAB_REORDER, "the relay hears them the wrong way round"},
        {LAB_STOLEN_KEY, "he reads what was said before he came"},
    };

    (void)state;
    assert_int_equal(COUNT(rows), LAB_ATTACK_COUNT);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct lab_outcome out = run(rows[i].attack, LINK_CLASSIC);
        assert_string_equal(out.what, rows[i].what);
        assert_int_equal(out.won, rows[i].attack != LAB_TAMPER);
        assert_int_equal(lab_expects(rows[i].attack, LINK_CLASSIC), out.won);
    }
}

/* Where an attack is seen: what stopped it, said again by hand for some. */
static void what_stopped_it_is_told(void **state)
{
    static const struct {
        enum lab_attack attack;
        enum link_kind kind;
        const char *step, *why;
    } rows[] = {
        {LAB_MITM, LINK_TLS, "CertificateRequest", "certificate is refused"},
        {LAB_MITM, LINK_ECDHE, "ClientHello", "certificate is refused"},
        {LAB_DOWNGRADE, LINK_ECDHE, "ClientHello", "signature is not over what we saw"},
        {LAB_DOWNGRADE, LINK_SOVEREIGN, "ServerHello", "damaged or forged"},
        {LAB_REPLAY, LINK_ECDHE, "HKDF", "Client Finished: damaged or forged"},
        {LAB_TRUNCATE, LINK_TLS, "Verdict", "cut"},
        {LAB_TRUNCATE, LINK_CIANR, "server finished", "cut"},
        {LAB_STOLEN_KEY, LINK_SOVEREIGN, "SecureAck", "damaged or forged"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct lab_outcome out = run(rows[i].attack, rows[i].kind);
        assert_string_equal(out.step, rows[i].step);
        if (strstr(out.what, rows[i].why) == NULL)
            fail_msg("%s", out.what);
    }
}

/* What `handshake --link all` says of a link is what the attacks on it show. */
static void what_a_link_is_worth_is_shown_by_attacks(void **state)
{
    (void)state;
    for (enum link_kind k = 0; k < LINK_KIND_COUNT; k++) {
        const struct link_worth *w = link_worth(k);

        assert_int_equal(w->mutual, !run(LAB_MITM, k).won);
        assert_int_equal(w->replay_safe, !run(LAB_REPLAY, k).won);
        assert_int_equal(w->forward_secret, !run(LAB_STOLEN_KEY, k).won);
    }
}

/* --- who sees which certificate --- */

struct wire {
    const struct lab_pair *pair;
    uint8_t b[64 * 1024];
    size_t n;
    bool shown[2], to_proven[2]; /* by whose certificate it is */
};

/* As it is, or in base64 behind the three bytes that a chain has before its first certificate. */
static bool seen(const struct wire *w, struct span der)
{
    static char text[2 * CERT_MAX];

    assert_true(der.n > 300);
    b64_put(text, span_of(der.p, der.n / 3 * 3));
    return memmem(w->b, w->n, der.p, der.n) != NULL ||
           memmem(w->b, w->n, text, strlen(text)) != NULL;
}

/* Who had to prove himself before he was shown the certificate of the end `of`: in the moment in
 * which the other one learns it, has that one signed? */
static void note_shown(struct wire *w)
{
    struct link_info i[2];

    for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++)
        link_info(w->pair->end[r], &i[r]);
    for (enum role of = ROLE_CLIENT; of <= ROLE_RELAY; of++) {
        enum role to = of == ROLE_CLIENT ? ROLE_RELAY : ROLE_CLIENT;
        if (i[to].peer_n == 0 || w->shown[of])
            continue;
        w->shown[of] = true;
        w->to_proven[of] = i[of].proven;
    }
}

static void listen_in(void *ctx, enum role from, struct buf *bytes)
{
    struct wire *w = ctx;
    struct span s = buf_span(bytes);

    (void)from;
    note_shown(w);
    assert_true(w->n + s.n <= sizeof w->b);
    memcpy(w->b + w->n, s.p, s.n);
    w->n += s.n;
}

static void on_any(void *ctx, enum role at, const struct link_event *ev)
{
    (void)at, (void)ev;
    note_shown(ctx);
}

/* The word for it in the table of `handshake --link all`. */
static const char *seen_by(const struct wire *w, enum role of)
{
    assert_true(w->shown[of]);
    if (seen(w, w->pair->chain[of][0]))
        return "everybody";
    if (w->to_proven[of])
        return of == ROLE_CLIENT ? "a proven relay" : "a proven client";
    return of == ROLE_CLIENT ? "whoever answers" : "whoever asks";
}

static void who_sees_whose_certificate_is_observed(void **state)
{
    static struct wire w;

    (void)state;
    for (enum link_kind k = 0; k < LINK_CLASSIC; k++) {
        struct lab_pair p;
        struct err e = {0};

        w = (struct wire){.pair = &p};
        lab_pair_init(&p, &ours, k);
        p.middle = listen_in;
        p.event = on_any;
        p.ctx = &w;
        assert_int_equal(lab_pair_meet(&p, &e), 0);
        assert_string_equal(seen_by(&w, ROLE_RELAY), link_worth(k)->relay_seen_by);
        assert_string_equal(seen_by(&w, ROLE_CLIENT), link_worth(k)->client_seen_by);
        lab_pair_free(&p);
    }
}

/* "Whoever asks" needs no certificate that this relay would take; to be "a proven relay" it takes
 * one that this client believes. */
static void a_stranger_learns_what_the_table_says(void **state)
{
    (void)state;
    for (enum link_kind k = 0; k < LINK_CLASSIC; k++)
        for (enum role strange = ROLE_CLIENT; strange <= ROLE_RELAY; strange++) {
            struct lab_pair p;
            struct link_info i;
            struct err e = {0};
            enum role other = strange == ROLE_CLIENT ? ROLE_RELAY : ROLE_CLIENT;
            const char *by = strange == ROLE_CLIENT ? link_worth(k)->relay_seen_by
                                                    : link_worth(k)->client_seen_by;

            lab_pair_init(&p, strange == ROLE_CLIENT ? &ours : &his, k);
            if (strange == ROLE_CLIENT) { /* alice of another authority, who knows where to ask */
                p.chain[ROLE_CLIENT][0] = span_of(his.member.b, his.member.n);
                p.chain[ROLE_CLIENT][1] = span_of(his.issuer.b, his.issuer.n);
                p.conf[ROLE_CLIENT].key = his.member_key;
            } else { /* the client is ours, who answers it is not */
                p.chain[ROLE_CLIENT][0] = span_of(ours.member.b, ours.member.n);
                p.chain[ROLE_CLIENT][1] = span_of(ours.issuer.b, ours.issuer.n);
                p.conf[ROLE_CLIENT].key = ours.member_key;
                p.conf[ROLE_CLIENT].trust = ours.trust;
            }
            assert_int_equal(lab_pair_meet(&p, &e), -1);
            link_info(p.end[strange], &i);
            if (strncmp(by, "whoever asks", 12) == 0)
                assert_true(i.peer_n > 0 && span_same(i.peer[0], p.chain[other][0]));
            if (strncmp(by, "a proven", 8) == 0)
                assert_int_equal(i.peer_n, 0);
            lab_pair_free(&p);
        }
}

static void names_are_taken(void **state)
{
    enum lab_attack a;

    (void)state;
    for (enum lab_attack i = 0; i < LAB_ATTACK_COUNT; i++) {
        assert_int_equal(lab_attack_take(str_of(lab_attack_name(i)), &a), 0);
        assert_int_equal(a, i);
    }
    assert_int_equal(lab_attack_take(str_of("all"), &a), -1);
    assert_int_equal(lab_attack_take(str_of("mit"), &a), -1);
    assert_int_equal(lab_attack_take(str_of(""), &a), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_but_classic_stop_every_attack),
        cmocka_unit_test(classic_loses_all_but_one),
        cmocka_unit_test(what_stopped_it_is_told),
        cmocka_unit_test(what_a_link_is_worth_is_shown_by_attacks),
        cmocka_unit_test(who_sees_whose_certificate_is_observed),
        cmocka_unit_test(a_stranger_learns_what_the_table_says),
        cmocka_unit_test(names_are_taken),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
