/* Every certificate, name and protocol that must be refused, and that the other side reads why. */
#include <stdlib.h>
#include <string.h>

#include "common/crypto/tls.h"
#include "tests/unit/link/support_link.h"

static struct world *w;
static enum cert_fault judgement; /* what the relay's program says */
static struct hash judged;

static int setup(void **state)
{
    (void)state;
    w = world_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_free(w);
    return 0;
}

static enum cert_fault judge(void *ctx, const struct hash *fp, const struct span *chain, size_t n)
{
    struct hash h;

    assert_ptr_equal(ctx, w);
    assert_true(n >= 1);
    sha256(chain[0], &h);
    assert_true(hash_same(&h, fp));
    judged = *fp;
    return judgement;
}

/* --- one row per refusal: what is changed, who refuses, what both say --- */

static struct der made; /* the certificate of the row at hand */

static void use(struct pair *p, enum role r, struct want want)
{
    world_issue(w, want, &made);
    p->chain[r][0] = span_of(made.b, made.n);
    if (want.key != NULL)
        p->conf[r].key = want.key;
}

static void no_certificate(struct pair *p)
{
    p->conf[ROLE_CLIENT].chain_n = 0;
    p->conf[ROLE_CLIENT].key = NULL;
}

static void client_of_another_ca(struct pair *p)
{
    use(p, ROLE_CLIENT, (struct want){.role = CERT_DEVICE, .by = &w->theirs});
    p->chain[ROLE_CLIENT][1] = span_of(w->theirs.inter.b, w->theirs.inter.n);
}

static void client_expired(struct pair *p)
{
    use(p, ROLE_CLIENT,
        (struct want){.role = CERT_DEVICE, .from = noon - 20 * day_ms, .to = noon - day_ms / 2});
}

static void client_not_yet(struct pair *p)
{
    use(p, ROLE_CLIENT,
        (struct want){.role = CERT_DEVICE, .from = noon + day_ms, .to = noon + 2 * day_ms});
}

static void client_is_a_relay(struct pair *p)
{
    use(p, ROLE_CLIENT, (struct want){.role = CERT_RELAY, .key = w->device_key});
}

static void client_revoked(struct pair *p)
{
    use(p, ROLE_CLIENT, (struct want){.role = CERT_DEVICE});
    world_revoke(w, &made);
}

static void client_unknown(struct pair *p)
{
    (void)p;
    judgement = CERT_NOT_ENROLLED;
}

static void client_revoked_in_tables(struct pair *p)
{
    (void)p;
    judgement = CERT_REVOKED;
}

static void client_is_a_ca(struct pair *p)
{
    p->chain[ROLE_CLIENT][0] = span_of(w->ours.inter.b, w->ours.inter.n);
    p->conf[ROLE_CLIENT].chain_n = 1;
    p->conf[ROLE_CLIENT].key = w->ours.inter_key;
}

static void relay_of_another_ca(struct pair *p)
{
    use(p, ROLE_RELAY, (struct want){.role = CERT_RELAY, .by = &w->theirs});
    p->chain[ROLE_RELAY][1] = span_of(w->theirs.inter.b, w->theirs.inter.n);
    p->chain[ROLE_RELAY][2] = span_of(w->theirs.root.b, w->theirs.root.n);
}

static void relay_expired(struct pair *p)
{
    use(p, ROLE_RELAY,
        (struct want){.role = CERT_RELAY, .from = noon - 20 * day_ms, .to = noon - 1000});
}

static void relay_not_yet(struct pair *p)
{
    use(p, ROLE_RELAY,
        (struct want){.role = CERT_RELAY, .from = noon + 2000, .to = noon + 2 * day_ms});
}

static void relay_of_no_role(struct pair *p)
{
    use(p, ROLE_RELAY, (struct want){.role = CERT_RELAY, .no_eku = true});
}

static void relay_of_another_name(struct pair *p)
{
    use(p, ROLE_RELAY, (struct want){.role = CERT_RELAY, .host = "other.test"});
}

static void another_address(struct pair *p)
{
    p->conf[ROLE_CLIENT].host = "127.0.0.2";
}

static void relay_revoked(struct pair *p)
{
    use(p, ROLE_RELAY, (struct want){.role = CERT_RELAY});
    world_revoke(w, &made);
}

static struct hash pin;

static void join(struct pair *p)
{
    struct link_conf *c = &p->conf[ROLE_CLIENT];

    c->join = true;
    c->chain_n = 0;
    c->key = NULL;
    c->trust = NULL;
    c->root = &pin;
}

static void root_not_pinned(struct pair *p)
{
    join(p);
    sha256(p->chain[ROLE_RELAY][2], &pin);
    pin.b[31] ^= 1;
}

static void pinned_root_not_sent(struct pair *p)
{
    join(p);
    sha256(p->chain[ROLE_RELAY][2], &pin);
    p->conf[ROLE_RELAY].chain_n = 2;
}

/* The invite's root is presented, but did not issue what is in front of it. */
static void pinned_root_beside_another_chain(struct pair *p)
{
    relay_of_another_ca(p);
    p->chain[ROLE_RELAY][2] = span_of(w->ours.root.b, w->ours.root.n);
    join(p);
    sha256(p->chain[ROLE_RELAY][2], &pin);
}

static void pinned_is_the_leaf(struct pair *p)
{
    join(p);
    sha256(p->chain[ROLE_RELAY][0], &pin);
}

static void joining_another_name(struct pair *p)
{
    relay_of_another_name(p);
    join(p);
    sha256(p->chain[ROLE_RELAY][2], &pin);
}

#define REFUSED "relay refused our certificate: "

static const struct {
    void (*change)(struct pair *p);
    enum role by;
    const char *word; /* for the audit log of who refuses */
    const char *mine; /* a part of what who refuses says */
    const char *told; /* all that the other side says */
} refusals[] = {
    {no_certificate, ROLE_RELAY, "missing", "no certificate", REFUSED "certificate required"},
    {client_of_another_ca, ROLE_RELAY, "unknown-ca", "issuer",
     REFUSED "unknown certificate authority"},
    {client_expired, ROLE_RELAY, "expired", "expired", REFUSED "certificate expired"},
    {client_not_yet, ROLE_RELAY, "not-yet-valid", "valid", REFUSED "certificate expired"},
    {client_is_a_relay, ROLE_RELAY, "wrong-role", "not made to be a",
     REFUSED "unsupported certificate"},
    {client_revoked, ROLE_RELAY, "revoked", "revoked", REFUSED "certificate revoked"},
    {client_unknown, ROLE_RELAY, "not-enrolled", "enrolled",
     REFUSED "certificate unknown: no enrolled device"},
    {client_revoked_in_tables, ROLE_RELAY, "revoked", "revoked", REFUSED "certificate revoked"},
    {client_is_a_ca, ROLE_RELAY, "ca-as-leaf", "CA", REFUSED "unsupported certificate"},
#undef REFUSED
#define REFUSED "client refused our certificate: "
    {relay_of_another_ca, ROLE_CLIENT, "self-signed", "not trusted",
     REFUSED "unknown certificate authority"},
    {relay_expired, ROLE_CLIENT, "expired", "expired", REFUSED "certificate expired"},
    {relay_not_yet, ROLE_CLIENT, "not-yet-valid", "valid", REFUSED "certificate expired"},
    {relay_of_no_role, ROLE_CLIENT, "no-eku", "extended key usage",
     REFUSED "unsupported certificate"},
    {relay_of_another_name, ROLE_CLIENT, "wrong-name", "not for", REFUSED "bad certificate"},
    {another_address, ROLE_CLIENT, "wrong-name", "not for", REFUSED "bad certificate"},
    {relay_revoked, ROLE_CLIENT, "revoked", "revoked", REFUSED "certificate revoked"},
    {root_not_pinned, ROLE_CLIENT, "unknown-ca", "invite", REFUSED "unknown certificate authority"},
    {pinned_root_not_sent, ROLE_CLIENT, "unknown-ca", "invite",
     REFUSED "unknown certificate authority"},
    {pinned_root_beside_another_chain, ROLE_CLIENT, "unknown-ca", "issuer",
     REFUSED "unknown certificate authority"},
    {pinned_is_the_leaf, ROLE_CLIENT, NULL, "", NULL},
    {joining_another_name, ROLE_CLIENT, "wrong-name", "not for", REFUSED "bad certificate"},
};

static bool certificate_told(const struct pair *p, enum role r, bool out)
{
    for (size_t i = 0; i < p->steps_n[r]; i++)
        if (p->steps[r][i].out == out && strcmp(p->steps[r][i].name, "Certificate") == 0)
            return true;
    return false;
}

static void refusal_check(const struct pair *p, size_t i)
{
    enum role by = refusals[i].by, other = by == ROLE_CLIENT ? ROLE_RELAY : ROLE_CLIENT;
    struct link_info mine, told;

    assert_false(p->established[ROLE_CLIENT] || p->established[ROLE_RELAY]);
    assert_true(p->failed[ROLE_CLIENT] && p->failed[ROLE_RELAY]);
    assert_int_equal(p->order_bad, 0);
    link_info(p->end[by], &mine);
    link_info(p->end[other], &told);
    if (link_error(p->end[by])->code != ERR_AUTH)
        fail_msg("row %zu: %s", i, pair_why(p, by));
    assert_false(mine.refused_by_peer);
    assert_non_null(mine.refused);
    if (strstr(pair_why(p, by), refusals[i].mine) == NULL)
        fail_msg("row %zu: %s", i, pair_why(p, by));
    if (refusals[i].word != NULL)
        assert_string_equal(mine.refused, refusals[i].word);
    if (refusals[i].told != NULL) {
        assert_string_equal(pair_why(p, other), refusals[i].told);
        assert_true(told.refused_by_peer);
        assert_non_null(told.refused);
    }
    assert_false(certificate_told(p, by, false)); /* what was refused is no step */
    if (by == ROLE_CLIENT)
        assert_false(certificate_told(p, by, true)); /* we name ourselves to nobody unproven */
}

static void each_is_refused_and_read(void **state)
{
    static const size_t pieces[] = {1 << 20, 1, 11};

    (void)state;
    for (size_t i = 0; i < COUNT(refusals); i++) {
        for (size_t k = 0; k < COUNT(pieces); k++) {
            struct pair p;
            pair_conf(&p, w);
            judgement = CERT_OK;
            p.conf[ROLE_RELAY].judge = judge;
            p.conf[ROLE_RELAY].judge_ctx = w;
            refusals[i].change(&p);
            pair_start(&p);
            pair_pump(&p, pieces[k]);
            if (!p.failed[refusals[i].by] || p.established[refusals[i].by])
                fail_msg("row %zu was not refused", i);
            refusal_check(&p, i);
            pair_free(&p);
            world_forgive(w); /* a revocation list must not colour the next row */
        }
    }
}

/* mbedTLS does not even let us play this relay (openssl s_server does: tests/e2e); but a relay
 * configured like this must fail where both can read it. */
static void a_device_cannot_play_the_relay(void **state)
{
    struct pair p;

    (void)state;
    pair_conf(&p, w);
    p.chain[ROLE_RELAY][0] = p.chain[ROLE_CLIENT][0]; /* the client's own, thrown back at it */
    p.conf[ROLE_RELAY].key = w->device_key;
    pair_start(&p);
    pair_pump(&p, 1 << 20);
    assert_true(p.failed[ROLE_CLIENT] && p.failed[ROLE_RELAY]);
    assert_false(p.established[ROLE_CLIENT] || p.established[ROLE_RELAY]);
    assert_false(certificate_told(&p, ROLE_CLIENT, true));
    assert_string_equal(pair_why(&p, ROLE_CLIENT),
                        "the relay ended the connection: no common parameters (alert 40)");
    pair_free(&p);
}

/* Our own bytes come back: nobody takes its own words for a peer's. */
static void own_words_reflected_prove_nothing(void **state)
{
    struct pair p;

    (void)state;
    pair_conf(&p, w);
    pair_start(&p);
    struct span s = link_out(p.end[ROLE_CLIENT]);
    uint8_t *copy = malloc(s.n);
    assert_non_null(copy);
    memcpy(copy, s.p, s.n);
    assert_int_equal(link_feed(p.end[ROLE_CLIENT], copy, s.n), -1);
    free(copy);
    pair_events(&p, ROLE_CLIENT);
    assert_true(p.failed[ROLE_CLIENT]);
    pair_free(&p);
}

static void the_judge_sees_who_comes_and_may_agree(void **state)
{
    struct pair p;
    struct hash h;

    (void)state;
    judgement = CERT_OK;
    memset(&judged, 0, sizeof judged);
    pair_conf(&p, w);
    p.conf[ROLE_RELAY].judge = judge;
    p.conf[ROLE_RELAY].judge_ctx = w;
    pair_meet(&p, 1 << 20);
    assert_true(p.established[ROLE_CLIENT]);
    sha256(p.chain[ROLE_CLIENT][0], &h);
    assert_true(hash_same(&judged, &h));
    pair_free(&p);
}

/* --- hellos changed on their way --- */

/* Finds an extension of the ClientHello in wire form; its place, or 0. */
static size_t extension_at(struct span hello, unsigned type)
{
    struct rd r = rd_of(hello);

    rd_take(&r, 5 + 4 + 2 + 32);
    rd_take(&r, rd_u8(&r));
    rd_take(&r, rd_u16(&r));
    rd_take(&r, rd_u8(&r));
    rd_u16(&r);
    while (rd_left(&r) > 0) {
        size_t at = (size_t)(r.at - hello.p);
        if (rd_u16(&r) == type)
            return at;
        rd_take(&r, rd_u16(&r));
    }
    return 0;
}

enum { EXT_ALPN = 16, EXT_VERSIONS = 43, EXT_SHARE = 51 };

/* Feeds a relay our hello with some bytes set; the alert it answers in clear, 256 for none. */
static unsigned answer_to(struct pair *p, unsigned ext, size_t off, const void *put, size_t n)
{
    uint8_t hello[1024];

    pair_conf(p, w);
    pair_start(p);
    struct span s = link_out(p->end[ROLE_CLIENT]);
    assert_true(s.n <= sizeof hello);
    memcpy(hello, s.p, s.n);
    size_t at = extension_at(s, ext);
    assert_true(at > 0);
    memcpy(hello + at + off, put, n);
    bool ok = link_feed(p->end[ROLE_RELAY], hello, s.n) == 0;
    pair_events(p, ROLE_RELAY);
    s = link_out(p->end[ROLE_RELAY]);
    return !ok && s.n == 7 && s.p[0] == 21 ? s.p[6] : 256;
}

static void hellos_of_others_are_refused_by_number(void **state)
{
    static const struct {
        unsigned ext;
        size_t off;
        const char *put;
        size_t n;
        unsigned alert;
        const char *why;
    } rows[] = {
        {EXT_ALPN, 0, "\xfa\xfa", 2, 120, "no ALPN"},
        {EXT_ALPN, 7, "countersign/2", 13, 120, "another ALPN"},
        {EXT_ALPN, 7, "COUNTERSIGN/1", 13, 120, "ALPN in another case"},
        {EXT_VERSIONS, 0, "\xfa\xfa", 2, 70, "TLS 1.2"},
        {EXT_VERSIONS, 5, "\x03\x03", 2, 70, "TLS 1.2 in the extension"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct pair p;
        unsigned alert = answer_to(&p, rows[i].ext, rows[i].off, rows[i].put, rows[i].n);
        if (alert != rows[i].alert)
            fail_msg("%s: alert %u, %s", rows[i].why, alert, pair_why(&p, ROLE_RELAY));
        assert_true(p.failed[ROLE_RELAY]);
        pair_free(&p);
    }
}

/* A relay that finds no key share it can use asks for another: two more steps, really seen. */
static void a_retry_is_a_step(void **state)
{
    struct pair p;

    (void)state;
    assert_int_equal(answer_to(&p, EXT_SHARE, 6, "\x00\x18", 2), 256);
    assert_int_equal(p.steps_n[ROLE_RELAY], 2);
    assert_string_equal(p.steps[ROLE_RELAY][1].name, "HelloRetryRequest");
    assert_true(p.steps[ROLE_RELAY][1].out);
    assert_int_equal(p.steps[ROLE_RELAY][1].total, 13);
    pair_free(&p);
}

/* What openssl s_client -tls1_2 says: no TLS 1.3 anywhere. */
static void a_tls12_client_is_refused(void **state)
{
    static const char hex[] =
        "1603010097010000930303b653086fc9f67dcaac7551ca90ac2cb71177fc7929c6c5772abfd9625a"
        "fb59d2000004c02c00ff01000066000b000403000102000a000c000a001d0017001e001900180023"
        "000000100010000e0d636f756e7465727369676e2f310016000000170000000d002a002804030503"
        "0603080708080809080a080b080408050806040105010601030303010302040205020602";
    uint8_t hello[sizeof hex / 2];
    struct pair p;

    (void)state;
    assert_int_equal(hex_take(hello, sizeof hello, str_of(hex)), 0);
    pair_conf(&p, w);
    pair_start(&p);
    assert_int_equal(link_feed(p.end[ROLE_RELAY], hello, sizeof hello), -1);
    struct span s = link_out(p.end[ROLE_RELAY]);
    assert_int_equal(s.n, 7);
    assert_int_equal(s.p[0], 21);
    assert_int_equal(s.p[6], 70); /* protocol_version */
    pair_free(&p);
}

/* --- a relay that keeps to TLS but not to docs/protocol.md 1, made with tls.h alone --- */

static int64_t at_noon(void *ctx)
{
    (void)ctx;
    return noon;
}

static uint64_t no_time(void *ctx)
{
    (void)ctx;
    return 0;
}

static struct tls *bare_relay(const struct pair *p, const struct tls_alpn *alpn)
{
    struct tls_setup s = {
        .relay = true,
        .chain = p->chain[ROLE_RELAY],
        .chain_n = 3,
        .key = w->relay_key,
        .trust = w->trust,
        .alpn = alpn,
        .alpn_n = 1,
        .rng = w->rng,
        .now_ms = at_noon,
        .mono_us = no_time,
    };
    struct err e = {0};
    struct tls_conf *c = tls_conf_new(&s, &e);
    struct tls *t = c == NULL ? NULL : tls_new(c, &e);

    assert_non_null(t);
    tls_conf_free(c);
    return t;
}

static void against_bare(struct pair *p, struct tls *t)
{
    for (int i = 0; i < 10; i++) {
        struct span s = link_out(p->end[ROLE_CLIENT]);
        (void)!tls_feed(t, s.p, s.n);
        link_sent(p->end[ROLE_CLIENT], s.n);
        s = tls_out(t);
        (void)!link_feed(p->end[ROLE_CLIENT], s.p, s.n);
        tls_sent(t, s.n);
    }
    pair_events(p, ROLE_CLIENT);
}

static void a_relay_that_does_not_ask_who_we_are_is_refused(void **state)
{
    static const struct tls_alpn lax = {LINK_ALPN_CHAT, false}, nosy = {LINK_ALPN_JOIN, true};
    struct pair p;

    (void)state;
    for (int i = 0; i < 2; i++) {
        pair_conf(&p, w);
        if (i == 1) {
            join(&p);
            sha256(p.chain[ROLE_RELAY][2], &pin);
        }
        pair_start(&p);
        struct tls *t = bare_relay(&p, i == 0 ? &lax : &nosy);
        against_bare(&p, t);
        assert_true(p.failed[ROLE_CLIENT]);
        assert_non_null(strstr(pair_why(&p, ROLE_CLIENT),
                               i == 0 ? "does not ask who we are" : "where none is due"));
        assert_false(tls_open(t));
        assert_non_null(strstr(tls_error(t)->text, "unexpected message"));
        tls_free(t);
        pair_free(&p);
    }
}

static void unusable_configurations_are_told(void **state)
{
    struct pair p;
    struct err e;

    (void)state;
    for (int i = 0; i < 7; i++) {
        pair_conf(&p, w);
        struct link_conf *c = &p.conf[ROLE_CLIENT], *r = &p.conf[ROLE_RELAY];
        enum role who = i < 4 ? ROLE_CLIENT : ROLE_RELAY;
        switch (i) {
        case 0: c->host = NULL; break;
        case 1: c->trust = NULL; break;
        case 2: c->key = w->relay_key; break;
        case 3: c->key = NULL; break;
        case 4: r->chain_n = 0; break;
        case 5: r->trust = NULL, r->root = &pin; break;
        case 6: p.chain[ROLE_RELAY][0].n--; break;
        }
        e = (struct err){0};
        assert_null(link_new(who, &p.conf[who], &e));
        assert_int_not_equal(e.code, ERR_NONE);
        pair_free(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_refused_and_read),
        cmocka_unit_test(a_device_cannot_play_the_relay),
        cmocka_unit_test(own_words_reflected_prove_nothing),
        cmocka_unit_test(the_judge_sees_who_comes_and_may_agree),
        cmocka_unit_test(hellos_of_others_are_refused_by_number),
        cmocka_unit_test(a_retry_is_a_step),
        cmocka_unit_test(a_tls12_client_is_refused),
        cmocka_unit_test(a_relay_that_does_not_ask_who_we_are_is_refused),
        cmocka_unit_test(unusable_configurations_are_told),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
