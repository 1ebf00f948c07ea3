/* Certificates: one chain in order, and one broken rule after another, each with its exact fault.
 * The chains are made by our own issuing code; what it refuses to make comes from openssl. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/crypto/issue.h"
#include "common/crypto/x509.h"
#include "tests/unit/crypto/x509_fixtures.h"

#define DAY ((int64_t)24 * 3600 * 1000)
#define NOW ((int64_t)1795000000000) /* 2026-11-18T17:06:40Z */

enum { LEVELS_MAX = 7 };

/* Keys are made once; P-256 because it is quick. */
static struct rng rng;
static struct pkey *keys[LEVELS_MAX], *device_key;
/* Of all that is judged in this program: whatever it has learned, it must change no verdict. */
static struct memo *memo;
static uint8_t spkis[LEVELS_MAX][SPKI_MAX], device_spki[SPKI_MAX];
static size_t spki_n[LEVELS_MAX], device_spki_n;

static int setup(void **state)
{
    struct err e = {0};

    (void)state;
    rng = rng_system();
    memo = memo_new();
    if (memo == NULL || crypto_init(&e) < 0)
        return -1;
    for (size_t i = 0; i < LEVELS_MAX; i++) {
        keys[i] = pkey_generate(PKEY_P256, &rng, &e);
        if (keys[i] == NULL || pkey_spki(keys[i], spkis[i], &spki_n[i], &e) < 0)
            return -1;
    }
    device_key = pkey_generate(PKEY_RSA_2048, &rng, &e);
    return device_key == NULL ? -1 : pkey_spki(device_key, device_spki, &device_spki_n, &e);
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < LEVELS_MAX; i++)
        pkey_free(keys[i]);
    pkey_free(device_key);
    memo_free(memo);
    return 0;
}

/* --- a scene: forms from the root down to the leaf, and the question --- */

struct scene {
    struct cert_form form[LEVELS_MAX]; /* [0] root, [levels - 1] leaf */
    struct pkey *signer[LEVELS_MAX];   /* of form[i] */
    size_t levels;
    bool send[LEVELS_MAX];
    bool self_signed;                      /* the leaf signs itself */
    uint8_t der[LEVELS_MAX][CERT_MAX + 1]; /* + 1: a byte behind it */
    size_t der_n[LEVELS_MAX];
    void (*spoil)(struct scene *s); /* on the finished DER */
    enum trust_crl policy;
    bool trust_intermediate, other_root, no_trust;
    bool crl; /* of the intermediate */
    struct crl_form list;
    struct crl_entry revoked;
    struct cert_ask ask;
};

static void form_fill(struct cert_form *f, enum cert_role role, const char *cn, const char *ou,
                      struct span spki)
{
    *f = cert_form_of(role);
    f->cn = str_of(cn);
    f->ou = str_of(ou);
    f->spki = spki;
    assert_int_equal(serial_draw(&f->serial, &rng), 0);
    f->not_before = NOW - DAY;
    f->not_after = NOW + 90 * DAY;
}

static struct san san_text(enum san_kind kind, const char *text)
{
    return (struct san){kind, span_of(text, strlen(text))};
}

static void ca_fill(struct scene *s, size_t i, enum cert_role role, const char *cn)
{
    form_fill(&s->form[i], role, cn, "", span_of(spkis[i], spki_n[i]));
    s->signer[i] = keys[i == 0 ? 0 : i - 1];
    s->send[i] = i > 0;
}

static void scene_relay(struct scene *s)
{
    memset(s, 0, sizeof *s);
    s->levels = 3;
    ca_fill(s, 0, CERT_ROOT, "test root");
    ca_fill(s, 1, CERT_INTERMEDIATE, "test CA");
    form_fill(&s->form[2], CERT_RELAY, "relay.example", "", span_of(spkis[2], spki_n[2]));
    s->signer[2] = keys[1];
    s->send[2] = true;
    s->form[2].sans[0] = san_text(SAN_DNS, "relay.example");
    s->form[2].sans_n = 1;
    s->ask = (struct cert_ask){.role = CERT_RELAY, .host = "relay.example", .at = NOW};
}

static void scene_device(struct scene *s)
{
    scene_relay(s);
    form_fill(&s->form[2], CERT_DEVICE, "alice", "laptop", span_of(device_spki, device_spki_n));
    s->form[2].sans[0] = san_text(SAN_URI, "countersign:alice/laptop");
    s->form[2].sans_n = 1;
    s->ask = (struct cert_ask){.role = CERT_DEVICE, .at = NOW};
}

static void scene_issue(struct scene *s)
{
    struct err e = {0};

    for (size_t i = 0; i < s->levels; i++) {
        struct issuer by = {.key = s->signer[i]};
        bool self = i == 0 || (s->self_signed && i + 1 == s->levels);
        if (self)
            by.key = keys[i];
        else
            by.cert = span_of(s->der[i - 1], s->der_n[i - 1]);
        if (cert_issue(&s->form[i], &by, &rng, s->der[i], &s->der_n[i], &e) < 0)
            fail_msg("level %zu: %s", i, e.text);
    }
    if (s->spoil != NULL)
        s->spoil(s);
}

static void scene_crl(struct scene *s, struct trust *t)
{
    struct issuer by = {span_of(s->der[1], s->der_n[1]), keys[1]};
    struct err e = {0};
    struct buf out;

    buf_init(&out, CRL_MAX);
    if (s->list.next_update == 0)
        s->list = (struct crl_form){.number = 7,
                                    .this_update = NOW - DAY,
                                    .next_update = NOW + DAY,
                                    .entries = &s->revoked,
                                    .entries_n = s->revoked.serial.n > 0};
    if (crl_write(&s->list, &by, &rng, &out, &e) < 0 || trust_add_crl(t, buf_span(&out), &e) < 0)
        fail_msg("%s", e.text);
    buf_free(&out);
}

/* An anchor of the same name as ours, with another key. */
static void trust_other(struct trust *t)
{
    struct cert_form f;
    struct issuer by = {.key = keys[5]};
    uint8_t der[CERT_MAX];
    size_t n;
    struct err e = {0};

    form_fill(&f, CERT_ROOT, "test root", "", span_of(spkis[5], spki_n[5]));
    assert_int_equal(cert_issue(&f, &by, &rng, der, &n, &e), 0);
    assert_int_equal(trust_add_root(t, span_of(der, n), &e), 0);
}

static struct trust *scene_trust(struct scene *s)
{
    struct err e = {0};
    struct trust *t = trust_new(s->policy, &e);

    assert_non_null(t);
    if (s->other_root)
        trust_other(t);
    else if (!s->no_trust && trust_add_root(t, span_of(s->der[0], s->der_n[0]), &e) < 0)
        fail_msg("%s", e.text);
    if ((s->trust_intermediate || s->crl) &&
        trust_add_intermediate(t, span_of(s->der[1], s->der_n[1]), &e) < 0)
        fail_msg("%s", e.text);
    if (s->crl)
        scene_crl(s, t);
    return t;
}

/* Asked again with what was learned, and once more with what this taught, the answer is the same.
 */
static void judged_alike(const struct scene *s, const struct trust *t, const struct span *chain,
                         size_t n, enum cert_fault want)
{
    struct cert_ask ask = s->ask;

    ask.memo = memo;
    for (int i = 0; i < 2; i++) {
        enum cert_fault why;
        struct err e = {0};
        int rc = cert_check(t, chain, n, &ask, &why, &e);
        assert_int_equal(rc, want == CERT_OK ? 0 : -1);
        assert_int_equal(why, want);
    }
}

static enum cert_fault scene_judge(struct scene *s, struct err *e)
{
    struct span chain[LEVELS_MAX];
    enum cert_fault why;
    size_t n = 0;

    scene_issue(s);
    struct trust *t = scene_trust(s);
    for (size_t i = s->levels; i-- > 0;)
        if (s->send[i])
            chain[n++] = span_of(s->der[i], s->der_n[i]);
    int rc = cert_check(t, chain, n, &s->ask, &why, e);
    assert_int_equal(rc, why == CERT_OK ? 0 : -1);
    assert_int_equal(e->code == ERR_NONE, why == CERT_OK);
    judged_alike(s, t, chain, n, why);
    trust_free(t);
    return why;
}

/* --- what is changed, one rule a function --- */

#define LEAF s->form[s->levels - 1]

static void as_it_is(struct scene *s)
{
    (void)s;
}
static void root_sent_too(struct scene *s)
{
    s->send[0] = true;
}
static void intermediate_known(struct scene *s)
{
    s->send[1] = false;
    s->trust_intermediate = true;
}
static void address_v4(struct scene *s)
{
    LEAF.sans[0] = (struct san){SAN_IP, span_of("\xc0\0\x02\x01", 4)};
    s->ask.host = "192.0.2.1";
}
static void address_v6(struct scene *s)
{
    LEAF.sans[0] = (struct san){SAN_IP, span_of("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", 16)};
    s->ask.host = "2001:db8::1";
}
static void other_case_and_dot(struct scene *s)
{
    s->ask.host = "Relay.EXAMPLE.";
}
static void last_second(struct scene *s)
{
    LEAF.not_after = NOW;
}
static void clean_list(struct scene *s)
{
    s->crl = true;
    s->policy = TRUST_CRL_LEAF;
}
static void revoked_later(struct scene *s)
{
    clean_list(s);
    s->revoked =
        (struct crl_entry){span_of(LEAF.serial.b, SERIAL_LEN), NOW + 1000, REVOKE_KEY_COMPROMISE};
}
static void revoked_within_this_second(struct scene *s)
{
    revoked_later(s);
    s->revoked.when = NOW + 900;
    s->ask.at = NOW + 300;
}
static void other_revoked(struct scene *s)
{
    revoked_later(s);
    s->revoked.serial = span_of("\x12\x34", 2);
    s->revoked.when = NOW - DAY;
}
static void list_fresh_at_its_own_clock(struct scene *s)
{
    clean_list(s);
    s->ask.now = NOW;
    s->ask.at = NOW - DAY / 2;
    s->list = (struct crl_form){.number = 1, .this_update = NOW - 1000, .next_update = NOW + DAY};
}

static void nothing_sent(struct scene *s)
{
    s->send[1] = s->send[2] = false;
}
static void expired(struct scene *s)
{
    LEAF.not_after = NOW - 1000;
}
static void not_yet(struct scene *s)
{
    LEAF.not_before = NOW + 1000;
}
static void intermediate_expired(struct scene *s)
{
    s->form[1].not_after = NOW - 1000;
}
static void root_expired(struct scene *s)
{
    s->form[0].not_after = NOW - 1000;
}
static void root_not_yet(struct scene *s)
{
    s->form[0].not_before = NOW + 1000;
}
static void other_root(struct scene *s)
{
    s->other_root = true;
}
static void other_root_sent(struct scene *s)
{
    s->other_root = s->send[0] = true;
}
static void trusts_nobody(struct scene *s)
{
    s->no_trust = true;
}
static void intermediate_missing(struct scene *s)
{
    s->send[1] = false;
}
static void self_signed(struct scene *s)
{
    s->self_signed = true;
    s->send[1] = false;
}
static void client_as_relay(struct scene *s)
{
    LEAF.server_auth = false;
    LEAF.client_auth = true;
}
static void both_uses(struct scene *s)
{
    LEAF.server_auth = LEAF.client_auth = true;
}
static void issuer_for_clients(struct scene *s)
{
    s->form[1].client_auth = true;
}
static void issuer_for_both(struct scene *s)
{
    s->form[1].client_auth = s->form[1].server_auth = true;
}
static void relay_as_device(struct scene *s)
{
    LEAF.client_auth = false;
    LEAF.server_auth = true;
}
static void no_eku(struct scene *s)
{
    LEAF.server_auth = LEAF.client_auth = false;
}
static void no_usage(struct scene *s)
{
    LEAF.usage = 0;
}
static void usage_without_signature(struct scene *s)
{
    LEAF.usage = USAGE_NON_REPUDIATION;
}
static void device_without_non_repudiation(struct scene *s)
{
    LEAF.usage = USAGE_SIGN;
}
static void leaf_usage_of_ca(struct scene *s)
{
    LEAF.usage |= USAGE_CERT_SIGN;
}
static void leaf_usage_of_crl(struct scene *s)
{
    LEAF.usage |= USAGE_CRL_SIGN;
}
static void leaf_is_ca(struct scene *s)
{
    LEAF.ca = true;
}
static void intermediate_as_leaf(struct scene *s)
{
    s->levels = 2;
}
static void root_as_leaf(struct scene *s)
{
    s->levels = 1;
    s->send[0] = true;
}
static void root_as_intermediate(struct scene *s)
{
    root_as_leaf(s);
    s->ask.role = CERT_INTERMEDIATE;
}
static void device_with_ec_key(struct scene *s)
{
    LEAF.spki = span_of(spkis[2], spki_n[2]);
}
static void no_san(struct scene *s)
{
    LEAF.sans_n = 0;
}
static void other_name(struct scene *s)
{
    s->ask.host = "relay.example.org";
}
static void name_is_a_suffix(struct scene *s)
{
    s->ask.host = "elay.example";
}
static void wildcard(struct scene *s)
{
    LEAF.sans[0] = san_text(SAN_DNS, "*.example");
}
static void address_as_dns_name(struct scene *s)
{
    LEAF.sans[0] = san_text(SAN_DNS, "192.0.2.1");
    s->ask.host = "192.0.2.1";
}
static void other_address(struct scene *s)
{
    address_v4(s);
    s->ask.host = "192.0.2.2";
}
static void empty_host(struct scene *s)
{
    s->ask.host = "";
}
static void uri_for_host(struct scene *s)
{
    LEAF.sans[0] = san_text(SAN_URI, "relay.example");
}
static void no_host_given(struct scene *s)
{
    s->ask.host = NULL;
}
static void san_of_other_device(struct scene *s)
{
    LEAF.sans[0] = san_text(SAN_URI, "countersign:alice/desk");
}
static void san_of_other_person(struct scene *s)
{
    LEAF.sans[0] = san_text(SAN_URI, "countersign:bob/laptop");
}
static void two_sans(struct scene *s)
{
    LEAF.sans[1] = san_text(SAN_URI, "countersign:bob/laptop");
    LEAF.sans_n = 2;
}
static void device_without_ou(struct scene *s)
{
    LEAF.ou = str_of("");
    LEAF.sans[0] = san_text(SAN_URI, "countersign:alice/");
}
static void nul_in_san(struct scene *s)
{
    LEAF.sans[0] = (struct san){SAN_DNS, span_of("relay.example\0.org", 18)};
}
static void nul_in_cn(struct scene *s)
{
    LEAF.cn = str_from("relay\0.org", 10);
}
static void escape_in_cn(struct scene *s)
{
    LEAF.cn = str_of("relay\x1b[2J");
}
static void c1_in_cn(struct scene *s)
{
    LEAF.cn = str_of("relay\xc2\x9b"
                     "2J");
}
static void blank_in_san(struct scene *s)
{
    LEAF.sans[0] = san_text(SAN_DNS, "relay .example");
}
static void address_of_three_bytes(struct scene *s)
{
    LEAF.sans[0] = (struct san){SAN_IP, span_of("\x7f\0\0", 3)};
}
static void issuer_no_ca(struct scene *s)
{
    s->form[1].ca = false;
}
static void issuer_without_usage(struct scene *s)
{
    s->form[1].usage = 0;
}
static void issuer_may_not_sign(struct scene *s)
{
    s->form[1].usage = USAGE_CRL_SIGN;
}
static void insert_ca(struct scene *s, int pathlen)
{
    LEAF.spki = span_of(spkis[s->levels - 1], spki_n[s->levels - 1]);
    s->form[s->levels] = LEAF;
    s->signer[s->levels] = keys[s->levels - 1];
    s->send[s->levels] = true;
    ca_fill(s, s->levels - 1, CERT_INTERMEDIATE, s->levels == 3 ? "third CA" : "next CA");
    s->form[s->levels - 1].pathlen = pathlen;
    s->levels++;
    LEAF.spki = span_of(spkis[s->levels - 1], spki_n[s->levels - 1]);
}
static void third_ca(struct scene *s)
{
    insert_ca(s, -1);
}
static void third_ca_allowed(struct scene *s)
{
    third_ca(s);
    s->form[1].pathlen = -1;
}
static void third_ca_against_the_root(struct scene *s)
{
    third_ca_allowed(s);
    s->form[0].pathlen = 0;
}
static void chain_at_the_limit(struct scene *s)
{
    s->form[0].pathlen = s->form[1].pathlen = -1;
    while (s->levels < CHAIN_MAX + 1)
        insert_ca(s, -1);
}
static void too_deep(struct scene *s)
{
    s->form[0].pathlen = s->form[1].pathlen = -1;
    while (s->levels < CHAIN_MAX + 2)
        insert_ca(s, -1);
}
static void too_many(struct scene *s)
{
    too_deep(s);
    s->send[0] = true;
}

static void spoil_signature(struct scene *s)
{
    s->der[2][s->der_n[2] - 1] ^= 1;
}
static void spoil_issuer_signature(struct scene *s)
{
    s->der[1][s->der_n[1] - 1] ^= 1;
}
static void spoil_tail(struct scene *s)
{
    s->der[2][s->der_n[2]++] = 0;
}
static void spoil_tail_of_issuer(struct scene *s)
{
    s->der[1][s->der_n[1]++] = 0;
}
static void spoil_end(struct scene *s)
{
    s->der_n[2]--;
}
static void spoil_all(struct scene *s)
{
    memset(s->der[2], 0, s->der_n[2]);
}
static void spoil_empty(struct scene *s)
{
    s->der_n[2] = 0;
}
static void spoil_big(struct scene *s)
{
    s->der_n[2] = CERT_MAX + 1;
}
static void bad_signature(struct scene *s)
{
    s->spoil = spoil_signature;
}
static void bad_issuer_signature(struct scene *s)
{
    s->spoil = spoil_issuer_signature;
}
static void trailing(struct scene *s)
{
    s->spoil = spoil_tail;
}
static void trailing_issuer(struct scene *s)
{
    s->spoil = spoil_tail_of_issuer;
}
static void cut_short(struct scene *s)
{
    s->spoil = spoil_end;
}
static void zeros(struct scene *s)
{
    s->spoil = spoil_all;
}
static void no_bytes(struct scene *s)
{
    s->spoil = spoil_empty;
}
static void too_big(struct scene *s)
{
    s->spoil = spoil_big;
}

static void revoked(struct scene *s)
{
    revoked_later(s);
    s->revoked.when = NOW - 1000;
}
static void revoked_now(struct scene *s)
{
    revoked_later(s);
    s->revoked.when = NOW / 1000 * 1000;
}
static void revoked_under_optional(struct scene *s)
{
    revoked(s);
    s->policy = TRUST_CRL_OPTIONAL;
}
static void list_missing(struct scene *s)
{
    s->policy = TRUST_CRL_LEAF;
}
static void list_of_root_missing(struct scene *s)
{
    clean_list(s);
    s->policy = TRUST_CRL_ALL;
}
static void list_expired(struct scene *s)
{
    clean_list(s);
    s->list = (struct crl_form){.this_update = NOW - 2 * DAY, .next_update = NOW - 1000};
}
static void list_expired_under_optional(struct scene *s)
{
    list_expired(s);
    s->policy = TRUST_CRL_OPTIONAL;
}
static void list_from_the_future(struct scene *s)
{
    clean_list(s);
    s->list = (struct crl_form){.this_update = NOW + 1000, .next_update = NOW + DAY};
}
static void list_stale_for_an_old_time(struct scene *s)
{
    list_expired(s);
    s->ask.at = NOW - DAY / 2;
    s->ask.now = NOW;
}

/* Known by its SHA-256 to who asks: no CA is there, and none is needed. */
static void alone(struct scene *s)
{
    s->self_signed = s->no_trust = s->ask.alone = true;
    s->send[1] = false;
}
static void alone_with_another(struct scene *s)
{
    alone(s);
    s->send[1] = true;
}
static void alone_signed_by_another(struct scene *s)
{
    alone(s);
    s->self_signed = false;
}
static void alone_badly_signed(struct scene *s)
{
    alone(s);
    s->spoil = spoil_signature;
}
static void alone_expired(struct scene *s)
{
    alone(s);
    LEAF.not_after = NOW - 1000;
}
static void alone_for_another(struct scene *s)
{
    alone(s);
    s->ask.host = "other.example";
}
static void alone_of_another_role(struct scene *s)
{
    alone(s);
    LEAF.server_auth = false;
    LEAF.client_auth = true;
}
static void alone_and_a_ca(struct scene *s)
{
    alone(s);
    LEAF.ca = true;
}

static const struct row {
    void (*scene)(struct scene *s);
    void (*change)(struct scene *s);
    enum cert_fault want;
    const char *why;
} rows[] = {
    {scene_relay, as_it_is, CERT_OK, "a relay"},
    {scene_device, as_it_is, CERT_OK, "a device"},
    {scene_relay, alone, CERT_OK, "it signed itself and is known"},
    {scene_relay, alone_with_another, CERT_CHAIN_LONG, "alone means alone"},
    {scene_relay, alone_signed_by_another, CERT_BAD_SIGNATURE, "alone, and not by itself"},
    {scene_relay, alone_badly_signed, CERT_BAD_SIGNATURE, "alone, damaged"},
    {scene_relay, alone_expired, CERT_EXPIRED, "alone, expired"},
    {scene_relay, alone_for_another, CERT_WRONG_NAME, "alone, for another host"},
    {scene_relay, alone_of_another_role, CERT_WRONG_ROLE, "alone, a device's"},
    {scene_relay, alone_and_a_ca, CERT_IS_CA, "alone, a CA"},
    {scene_relay, root_sent_too, CERT_OK, "the root may be in the chain"},
    {scene_relay, intermediate_known, CERT_OK, "the leaf alone, its issuer known"},
    {scene_relay, address_v4, CERT_OK, "IPv4"},
    {scene_relay, address_v6, CERT_OK, "IPv6"},
    {scene_relay, other_case_and_dot, CERT_OK, "DNS names have no case"},
    {scene_relay, last_second, CERT_OK, "the last second is included"},
    {scene_relay, chain_at_the_limit, CERT_OK, "CHAIN_MAX certificates below the root"},
    {scene_relay, issuer_for_both, CERT_OK, "an issuer for clients and servers"},
    {scene_device, clean_list, CERT_OK, "a fresh list without us"},
    {scene_device, revoked_later, CERT_OK, "revoked later: good for what came before"},
    {scene_device, revoked_within_this_second, CERT_OK, "revoked later in the same second"},
    {scene_device, other_revoked, CERT_OK, "another one was revoked"},
    {scene_device, list_fresh_at_its_own_clock, CERT_OK, "an old time, a new list"},

    {scene_relay, nothing_sent, CERT_NONE, "nothing presented"},
    {scene_relay, expired, CERT_EXPIRED, "leaf expired"},
    {scene_device, expired, CERT_EXPIRED, "device expired"},
    {scene_relay, not_yet, CERT_FUTURE, "leaf not valid yet"},
    {scene_relay, intermediate_expired, CERT_EXPIRED, "intermediate expired"},
    {scene_relay, root_expired, CERT_EXPIRED, "root expired"},
    {scene_relay, root_not_yet, CERT_FUTURE, "root not valid yet"},
    {scene_relay, other_root, CERT_UNKNOWN_CA, "a CA of the same name, another key"},
    {scene_relay, other_root_sent, CERT_SELF_SIGNED, "that CA's root in the chain"},
    {scene_relay, trusts_nobody, CERT_UNKNOWN_CA, "no anchors at all"},
    {scene_relay, intermediate_missing, CERT_UNKNOWN_CA, "the intermediate was not sent"},
    {scene_relay, self_signed, CERT_SELF_SIGNED, "signed by itself"},
    {scene_relay, bad_signature, CERT_BAD_SIGNATURE, "one bit of the leaf's signature"},
    {scene_relay, bad_issuer_signature, CERT_BAD_SIGNATURE, "one bit of the CA's signature"},
    {scene_relay, client_as_relay, CERT_WRONG_ROLE, "clientAuth as relay"},
    {scene_relay, both_uses, CERT_WRONG_ROLE, "both uses as relay"},
    {scene_device, both_uses, CERT_WRONG_ROLE, "both uses as device"},
    {scene_device, relay_as_device, CERT_WRONG_ROLE, "serverAuth as device"},
    {scene_relay, issuer_for_clients, CERT_WRONG_ROLE, "an issuer for clients only"},
    {scene_relay, no_eku, CERT_NO_EKU, "relay without EKU"},
    {scene_device, no_eku, CERT_NO_EKU, "device without EKU"},
    {scene_relay, no_usage, CERT_KEY_USAGE, "no key usage"},
    {scene_relay, usage_without_signature, CERT_KEY_USAGE, "may not sign"},
    {scene_device, device_without_non_repudiation, CERT_KEY_USAGE, "no nonRepudiation"},
    {scene_relay, leaf_usage_of_ca, CERT_KEY_USAGE, "keyCertSign on a leaf"},
    {scene_device, leaf_usage_of_crl, CERT_KEY_USAGE, "cRLSign on a leaf"},
    {scene_relay, leaf_is_ca, CERT_IS_CA, "a CA with a leaf's names"},
    {scene_relay, intermediate_as_leaf, CERT_IS_CA, "the intermediate as relay"},
    {scene_relay, root_as_leaf, CERT_IS_CA, "the root as relay"},
    {scene_relay, root_as_intermediate, CERT_WRONG_ROLE, "the root as a CA below it"},
    {scene_device, device_with_ec_key, CERT_WEAK_KEY, "a device without RSA cannot sign entries"},
    {scene_relay, no_san, CERT_NO_SAN, "only a CN, and it matches"},
    {scene_device, no_san, CERT_NO_SAN, "device without SAN"},
    {scene_relay, other_name, CERT_WRONG_NAME, "another host"},
    {scene_relay, name_is_a_suffix, CERT_WRONG_NAME, "a suffix of the name"},
    {scene_relay, wildcard, CERT_WRONG_NAME, "no wildcards"},
    {scene_relay, address_as_dns_name, CERT_WRONG_NAME, "an address written as DNS name"},
    {scene_relay, other_address, CERT_WRONG_NAME, "another address"},
    {scene_relay, empty_host, CERT_WRONG_NAME, "the empty host"},
    {scene_relay, uri_for_host, CERT_WRONG_NAME, "the host as URI"},
    {scene_relay, no_host_given, CERT_LOCAL, "the caller forgot the host"},
    {scene_device, san_of_other_device, CERT_WRONG_NAME, "SAN of another device"},
    {scene_device, san_of_other_person, CERT_WRONG_NAME, "SAN of another person"},
    {scene_device, two_sans, CERT_WRONG_NAME, "a second SAN"},
    {scene_device, device_without_ou, CERT_WRONG_NAME, "no device in the subject"},
    {scene_relay, nul_in_san, CERT_BAD_NAME, "NUL in a SAN"},
    {scene_relay, nul_in_cn, CERT_BAD_NAME, "NUL in the CN"},
    {scene_relay, escape_in_cn, CERT_BAD_NAME, "ESC in the CN"},
    {scene_relay, c1_in_cn, CERT_BAD_NAME, "C1 control in the CN"},
    {scene_relay, blank_in_san, CERT_BAD_NAME, "a blank in a DNS name"},
    {scene_relay, address_of_three_bytes, CERT_MALFORMED, "an address of three bytes"},
    {scene_relay, issuer_no_ca, CERT_ISSUER_NOT_CA, "issued by a leaf"},
    {scene_relay, issuer_without_usage, CERT_ISSUER_NOT_CA, "issuer without key usage"},
    {scene_relay, issuer_may_not_sign, CERT_ISSUER_NOT_CA, "issuer without keyCertSign"},
    {scene_relay, third_ca, CERT_PATH_LENGTH, "a CA below pathlen 0"},
    {scene_relay, third_ca_allowed, CERT_PATH_LENGTH, "the root allows one CA"},
    {scene_relay, third_ca_against_the_root, CERT_PATH_LENGTH, "the root says pathlen 0"},
    {scene_relay, too_deep, CERT_CHAIN_LONG, "one certificate too deep"},
    {scene_relay, too_many, CERT_CHAIN_LONG, "more than may be sent"},
    {scene_relay, trailing, CERT_TRAILING, "a byte behind the leaf"},
    {scene_relay, trailing_issuer, CERT_TRAILING, "a byte behind the intermediate"},
    {scene_relay, cut_short, CERT_MALFORMED, "the last byte is missing"},
    {scene_relay, zeros, CERT_MALFORMED, "only zeros"},
    {scene_relay, no_bytes, CERT_MALFORMED, "an empty certificate"},
    {scene_relay, too_big, CERT_TOO_BIG, "larger than CERT_MAX"},
    {scene_device, revoked, CERT_REVOKED, "revoked a second ago"},
    {scene_device, revoked_now, CERT_REVOKED, "revoked this second"},
    {scene_device, revoked_under_optional, CERT_REVOKED, "a list that is optional still counts"},
    {scene_relay, revoked, CERT_REVOKED, "a revoked relay"},
    {scene_device, list_missing, CERT_NO_CRL, "no list of the leaf's issuer"},
    {scene_device, list_of_root_missing, CERT_NO_CRL, "no list of the root"},
    {scene_device, list_expired, CERT_CRL_EXPIRED, "an expired list"},
    {scene_device, list_expired_under_optional, CERT_CRL_EXPIRED, "expired, though optional"},
    {scene_device, list_from_the_future, CERT_CRL_EXPIRED, "a list from the future"},
    {scene_device, list_stale_for_an_old_time, CERT_CRL_EXPIRED, "freshness goes by now, not at"},
};

static void chains_are_judged_by_every_rule(void **state)
{
    struct scene *s = malloc(sizeof *s);

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err e = {0};
        rows[i].scene(s);
        rows[i].change(s);
        enum cert_fault got = scene_judge(s, &e);
        if (got != rows[i].want)
            fail_msg("%s: wanted %s, got %s (%s)", rows[i].why, cert_fault_word(rows[i].want),
                     cert_fault_word(got), e.text);
    }
    free(s);
}

/* --- what our own code does not make --- */

static struct span unhex(const char *hex, uint8_t out[CERT_MAX])
{
    size_t n = strlen(hex) / 2;

    assert_true(n <= CERT_MAX);
    assert_int_equal(hex_take(out, n, str_of(hex)), 0);
    return span_of(out, n);
}

static void openssl_chains_are_judged_too(void **state)
{
    static const struct {
        const char *hex;
        enum cert_fault want;
        const char *why;
    } cases[] = {
        {fixture_good, CERT_OK, "in order"},
        {fixture_sha1, CERT_WEAK_SIGNATURE, "SHA-1"},
        {fixture_rsa1024, CERT_WEAK_KEY, "RSA-1024"},
        {fixture_p384, CERT_WEAK_KEY, "a curve we do not use"},
        {fixture_version1, CERT_VERSION, "version 1"},
        {fixture_critical, CERT_CRITICAL, "unknown critical extension"},
        {fixture_limits, CERT_CRITICAL, "name constraints, though not critical"},
        {fixture_harmless, CERT_OK, "an unknown extension that is not critical"},
        {fixture_any_eku, CERT_WRONG_ROLE, "anyExtendedKeyUsage is not serverAuth"},
        {fixture_two_eku, CERT_WRONG_ROLE, "serverAuth and another"},
    };
    struct cert_ask ask = {.role = CERT_RELAY, .host = "relay.example"};
    uint8_t root[CERT_MAX], leaf[CERT_MAX];
    struct err e = {0};
    enum cert_fault why;
    (void)state;

    ask.at = NOW + 30 * DAY;
    struct trust *t = trust_new(TRUST_CRL_OPTIONAL, &e);
    assert_int_equal(trust_add_root(t, unhex(fixture_root, root), &e), 0);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct span chain = unhex(cases[i].hex, leaf);
        struct err here = {0};
        int rc = cert_check(t, &chain, 1, &ask, &why, &here);
        assert_int_equal(rc, why == CERT_OK ? 0 : -1);
        if (why != cases[i].want)
            fail_msg("%s: got %s (%s)", cases[i].why, cert_fault_word(why), here.text);
    }
    trust_free(t);
}

static void every_cut_is_refused(void **state)
{
    struct scene *s = malloc(sizeof *s);
    (void)state;

    scene_device(s);
    scene_issue(s);
    for (size_t n = 0; n < s->der_n[2]; n++) {
        struct err e = {0};
        assert_null(cert_parse(span_of(s->der[2], n), NULL, &e));
        assert_int_not_equal(e.code, ERR_NONE);
    }
    free(s);
}

static void flips_are_refused(struct scene *s, const struct trust *t, size_t level)
{
    struct span chain[] = {span_of(s->der[2], s->der_n[2]), span_of(s->der[1], s->der_n[1])};

    for (size_t i = 0; i < s->der_n[level]; i++) {
        struct err e = {0};
        enum cert_fault why;
        s->der[level][i] ^= (uint8_t)(1 << i % 8);
        assert_int_equal(cert_check(t, chain, 2, &s->ask, &why, &e), -1);
        s->der[level][i] ^= (uint8_t)(1 << i % 8);
    }
}

static void no_flipped_bit_is_accepted(void **state)
{
    struct scene *s = malloc(sizeof *s);
    struct err e = {0};
    enum cert_fault why;
    (void)state;

    scene_relay(s);
    scene_issue(s);
    struct trust *t = scene_trust(s);
    struct span chain[] = {span_of(s->der[2], s->der_n[2]), span_of(s->der[1], s->der_n[1])};
    flips_are_refused(s, t, 2);
    s->ask.memo = memo; /* who knows the right one is not taken in by one that is nearly the same */
    assert_int_equal(cert_check(t, chain, 2, &s->ask, &why, &e), 0);
    flips_are_refused(s, t, 2);
    flips_are_refused(s, t, 1);
    assert_int_equal(cert_check(t, chain, 2, &s->ask, &why, &e), 0);
    trust_free(t);
    free(s);
}

/* Only the signatures of a path that is known are not asked for again, and only of that path. */
static void what_is_known_is_not_verified_again(void **state)
{
    struct scene *s = malloc(sizeof *s);
    enum cert_fault why;
    struct hash sum;
    (void)state;

    scene_relay(s);
    scene_issue(s);
    struct trust *t = scene_trust(s);
    s->ask.memo = memo_new();
    s->der[2][s->der_n[2] - 1] ^= 1; /* the last byte of its signature */
    struct span path[] = {span_of(s->der[2], s->der_n[2]), span_of(s->der[1], s->der_n[1]),
                          span_of(s->der[0], s->der_n[0])};
    struct err e = {0}, late = {0};
    assert_int_equal(cert_check(t, path, 2, &s->ask, &why, &e), -1);
    assert_int_equal(why, CERT_BAD_SIGNATURE);
    sha256_parts(path, 3, &sum);
    assert_false(memo_has(s->ask.memo, &sum)); /* what was refused is not learned */
    memo_add(s->ask.memo, &sum);
    assert_int_equal(cert_check(t, path, 2, &s->ask, &why, &late), 0);
    s->ask.at = NOW + 91 * DAY;
    assert_int_equal(cert_check(t, path, 2, &s->ask, &why, &late), -1);
    assert_int_equal(why, CERT_EXPIRED);
    memo_free(s->ask.memo);
    trust_free(t);
    free(s);
}

static void a_refusal_says_what_and_when(void **state)
{
    struct scene *s = malloc(sizeof *s);
    struct err e = {0};
    (void)state;

    scene_relay(s);
    LEAF.not_after = NOW - 30 * DAY;
    assert_int_equal(scene_judge(s, &e), CERT_EXPIRED);
    assert_string_equal(e.text, "certificate of CN=relay.example: expired 2026-10-19");
    assert_int_equal(cert_fault_alert(CERT_EXPIRED), 45);
    free(s);
}

static void every_fault_has_its_alert_and_its_own_word(void **state)
{
    (void)state;
    for (int i = 0; i < CERT_FAULT_COUNT; i++) {
        enum cert_fault f = (enum cert_fault)i;
        unsigned alert = cert_fault_alert(f);
        assert_true(f == CERT_OK ? alert == 0
                                 : (alert >= 42 && alert <= 48) || alert == 80 || alert == 116);
        assert_true(strlen(cert_fault_text(f)) > 0);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(cert_fault_word(f), cert_fault_word((enum cert_fault)k));
    }
}

static void info_shows_what_was_issued(void **state)
{
    struct scene *s = malloc(sizeof *s);
    struct cert_info info;
    struct err e = {0};
    char serial[2 * SERIAL_LEN + 1];
    (void)state;

    scene_device(s);
    scene_issue(s);
    struct cert *c = cert_parse(span_of(s->der[2], s->der_n[2]), NULL, &e);
    assert_non_null(c);
    cert_info(c, &info);
    hex_put(serial, span_of(LEAF.serial.b, SERIAL_LEN));
    assert_string_equal(info.subject, "CN=alice, OU=laptop");
    assert_string_equal(info.cn, "alice");
    assert_string_equal(info.ou, "laptop");
    assert_string_equal(info.issuer_cn, "test CA");
    assert_string_equal(info.serial, serial);
    assert_string_equal(info.sans, "URI:countersign:alice/laptop");
    assert_string_equal(info.usage, "digitalSignature, nonRepudiation, clientAuth");
    assert_string_equal(info.key, "RSA");
    assert_int_equal(info.bits, 2048);
    assert_true(info.not_before == (NOW - DAY) / 1000 * 1000);
    assert_true(info.not_after == (NOW + 90 * DAY) / 1000 * 1000);
    assert_false(info.ca);
    cert_free(c);
    free(s);
}

static void entry_signatures_are_judged_by_the_certificate(void **state)
{
    struct scene *s = malloc(sizeof *s);
    struct err e = {0};
    struct span line = span_of("line", 4);
    uint8_t sig[SIG_MAX];
    size_t n;
    (void)state;

    scene_device(s);
    scene_issue(s);
    struct cert *c = cert_parse(span_of(s->der[2], s->der_n[2]), NULL, &e);
    struct cert *ec = cert_parse(span_of(s->der[1], s->der_n[1]), NULL, &e);
    assert_int_equal(pkey_sign_pss(device_key, &rng, line, sig, &n, &e), 0);
    assert_true(cert_verify_sig(c, line, span_of(sig, n)));
    assert_false(cert_verify_sig(c, span_of("lime", 4), span_of(sig, n)));
    assert_false(cert_verify_sig(c, line, span_of(sig, n - 1)));
    assert_false(cert_verify_sig(ec, line, span_of(sig, n)));
    sig[n / 2] ^= 1;
    assert_false(cert_verify_sig(c, line, span_of(sig, n)));
    cert_free(c);
    cert_free(ec);
    free(s);
}

/* The padding of an RSA key is set by whoever used it last: PSS for entries, v1.5 here. */
static void signing_entries_does_not_spoil_signing_certificates(void **state)
{
    struct scene *s = malloc(sizeof *s);
    uint8_t sig[SIG_MAX];
    struct err e = {0};
    size_t n;
    (void)state;

    scene_relay(s);
    s->form[1].spki = span_of(device_spki, device_spki_n);
    s->signer[2] = device_key;
    assert_int_equal(pkey_sign_pss(device_key, &rng, span_of("x", 1), sig, &n, &e), 0);
    if (scene_judge(s, &e) != CERT_OK)
        fail_msg("%s", e.text);
    free(s);
}

/* --- trust --- */

static void only_fit_cas_are_trusted(void **state)
{
    struct scene *s = malloc(sizeof *s);
    struct err e = {0};
    (void)state;

    scene_relay(s);
    scene_issue(s);
    struct trust *t = trust_new(TRUST_CRL_OPTIONAL, &e);
    assert_int_equal(trust_add_root(t, span_of(s->der[2], s->der_n[2]), &e), -1); /* a leaf */
    assert_int_equal(trust_add_root(t, span_of(s->der[1], s->der_n[1]), &e), -1); /* not itself */
    assert_int_equal(trust_add_intermediate(t, span_of(s->der[2], s->der_n[2]), &e), -1);
    assert_int_equal(trust_add_root(t, span_of(s->der[0], s->der_n[0] - 1), &e), -1);
    assert_true(trust_crl_until(t) == INT64_MAX);
    trust_free(t);
    trust_free(NULL);
    free(s);
}

static struct span list_of(const struct scene *s, struct pkey *key, struct crl_form f,
                           struct buf *out)
{
    struct issuer by = {span_of(s->der[1], s->der_n[1]), key};
    struct err e = {0};

    buf_init(out, CRL_MAX);
    if (crl_write(&f, &by, &rng, out, &e) < 0)
        fail_msg("%s", e.text);
    return buf_span(out);
}

static void lists_are_verified_before_they_count(void **state)
{
    struct scene *s = malloc(sizeof *s);
    struct crl_form f = {.number = 5, .this_update = NOW, .next_update = NOW + DAY};
    struct err e = {0};
    struct buf b, older, same;
    (void)state;

    scene_relay(s);
    s->trust_intermediate = true;
    scene_issue(s);
    struct trust *t = scene_trust(s);
    struct span der = list_of(s, keys[1], f, &b);
    for (size_t i = 0; i < der.n; i++) {
        struct err here = {0};
        b.p[b.off + i] ^= (uint8_t)(1 << i % 8);
        if (trust_add_crl(t, der, &here) == 0)
            fail_msg("a list with a flipped bit in byte %zu was accepted", i);
        b.p[b.off + i] ^= (uint8_t)(1 << i % 8);
        assert_int_equal(trust_add_crl(t, span_of(der.p, i), &here), -1);
    }
    assert_int_equal(trust_add_crl(t, der, &e), 0);
    assert_true(trust_crl_until(t) == f.next_update / 1000 * 1000);

    f.number = 4;
    assert_int_equal(trust_add_crl(t, list_of(s, keys[1], f, &older), &e), -1);
    assert_string_equal(e.text, "an old revocation list: number 4, we have 5");
    f.number = 5;
    err_clear(&e);
    assert_int_equal(trust_add_crl(t, list_of(s, keys[1], f, &same), &e), 0);
    assert_int_equal(buf_add(&same, "", 1), 0);
    assert_int_equal(trust_add_crl(t, buf_span(&same), &e), -1); /* a byte behind it */
    trust_free(t);
    buf_free(&b);
    buf_free(&older);
    buf_free(&same);
    free(s);
}

static enum cert_fault again(const struct scene *s, const struct trust *t)
{
    struct span chain[] = {span_of(s->der[2], s->der_n[2]), span_of(s->der[1], s->der_n[1])};
    struct err e = {0};
    enum cert_fault why;

    (void)!cert_check(t, chain, 2, &s->ask, &why, &e);
    return why;
}

static void stale_lists_can_be_forgotten_and_lists_demanded(void **state)
{
    struct scene *s = malloc(sizeof *s);
    struct cert *c;
    int64_t when = 0;
    struct err e = {0};
    (void)state;

    scene_device(s);
    revoked(s);
    scene_issue(s);
    struct trust *t = scene_trust(s);
    c = cert_parse(span_of(s->der[2], s->der_n[2]), NULL, &e);
    trust_forget_stale(t, NOW);
    assert_int_equal(again(s, t), CERT_REVOKED); /* still fresh */
    assert_true(trust_revoked(t, c, &when));
    assert_true(when == NOW - 1000);
    trust_forget_stale(t, NOW + 2 * DAY);
    assert_true(trust_crl_until(t) == INT64_MAX);
    assert_false(trust_revoked(t, c, &when));
    assert_int_equal(again(s, t), CERT_NO_CRL);
    trust_demand(t, TRUST_CRL_OPTIONAL);
    assert_int_equal(again(s, t), CERT_OK);
    trust_demand(t, TRUST_CRL_LEAF);
    assert_int_equal(again(s, t), CERT_NO_CRL);
    cert_free(c);
    trust_free(t);
    free(s);
}

/* The same CA name and serials, signed with another key. */
static void a_list_of_another_signer_is_refused(void **state)
{
    struct scene *s = malloc(sizeof *s), *fake = malloc(sizeof *fake);
    struct crl_form f = {.number = 5, .this_update = NOW, .next_update = NOW + DAY};
    struct err e = {0};
    struct buf b;
    (void)state;

    scene_relay(s);
    s->trust_intermediate = true;
    scene_issue(s);
    scene_relay(fake);
    fake->form[1].spki = span_of(spkis[4], spki_n[4]);
    fake->signer[2] = keys[4];
    scene_issue(fake);
    struct trust *t = scene_trust(s);
    assert_int_equal(trust_add_crl(t, list_of(fake, keys[4], f, &b), &e), -1);
    assert_string_equal(e.text, "no CA known here signed this revocation list");
    trust_free(t);
    buf_free(&b);
    free(s);
    free(fake);
}

static void a_ca_that_may_not_sign_lists_does_not(void **state)
{
    struct scene *s = malloc(sizeof *s);
    struct crl_form f = {.number = 5, .this_update = NOW, .next_update = NOW + DAY};
    struct err e = {0};
    struct buf b;
    (void)state;

    scene_relay(s);
    s->form[1].usage = USAGE_CERT_SIGN;
    s->trust_intermediate = true;
    scene_issue(s);
    struct trust *t = scene_trust(s);
    assert_int_equal(trust_add_crl(t, list_of(s, keys[1], f, &b), &e), -1);
    trust_free(t);
    buf_free(&b);
    free(s);
}

static void lists_say_what_was_written(void **state)
{
    struct scene *s = malloc(sizeof *s);
    struct crl_entry gone[] = {
        {span_of("\x01", 1), NOW - DAY, REVOKE_UNSPECIFIED},
        {span_of("\x80\x00", 2), NOW - 2 * DAY, REVOKE_SUPERSEDED},
    };
    struct crl_form f = {.number = 0xfedcba9876543210u,
                         .this_update = NOW,
                         .next_update = NOW + DAY,
                         .entries = gone,
                         .entries_n = 2};
    struct crl_info info;
    struct err e = {0};
    struct buf b;
    (void)state;

    scene_relay(s);
    scene_issue(s);
    struct crl *c = crl_parse(list_of(s, keys[1], f, &b), &e);
    assert_non_null(c);
    crl_info(c, &info);
    assert_true(info.number == f.number);
    assert_int_equal(info.count, 2);
    assert_string_equal(info.issuer, "CN=test CA");
    crl_free(c);
    crl_free(NULL);
    buf_free(&b);
    free(s);
}

static void a_ca_revokes_with_the_key_of_its_certificate_only(void **state)
{
    struct scene *s = malloc(sizeof *s);
    struct issuer by;
    struct err e = {0};
    uint8_t out[CERT_MAX];
    size_t n;
    (void)state;

    scene_relay(s);
    scene_issue(s);
    by = (struct issuer){span_of(s->der[1], s->der_n[1]), keys[4]};
    assert_int_equal(cert_issue(&s->form[2], &by, &rng, out, &n, &e), -1);
    assert_int_equal(e.code, ERR_CONFIG);
    free(s);
}

static void device_uris_are_ascii(void **state)
{
    static const struct {
        const char *name, *device, *uri;
    } cases[] = {
        {"alice", "laptop", "countersign:alice/laptop"},
        {"j\xc3\xb6rg", "my box", "countersign:j%C3%B6rg/my%20box"},
        {"a/b", "%", "countersign:a%2Fb/%25"},
    };
    char out[64], small[24];
    (void)state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(
            device_uri(out, sizeof out, str_of(cases[i].name), str_of(cases[i].device)), 0);
        assert_string_equal(out, cases[i].uri);
    }
    assert_int_equal(device_uri(small, sizeof small, str_of("alice"), str_of("laptop")), -1);
    assert_string_equal(small, "");
}

static void names_outside_ascii_make_good_devices(void **state)
{
    struct scene *s = malloc(sizeof *s);
    struct err e = {0};
    (void)state;

    scene_device(s);
    LEAF.cn = str_of("j\xc3\xb6rg");
    LEAF.sans[0] = san_text(SAN_URI, "countersign:j%C3%B6rg/laptop");
    assert_int_equal(scene_judge(s, &e), CERT_OK);
    scene_device(s);
    LEAF.sans[0] = san_text(SAN_URI, "countersign:%61lice/laptop"); /* another spelling */
    assert_int_equal(scene_judge(s, &e), CERT_WRONG_NAME);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chains_are_judged_by_every_rule),
        cmocka_unit_test(openssl_chains_are_judged_too),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(no_flipped_bit_is_accepted),
        cmocka_unit_test(what_is_known_is_not_verified_again),
        cmocka_unit_test(a_refusal_says_what_and_when),
        cmocka_unit_test(every_fault_has_its_alert_and_its_own_word),
        cmocka_unit_test(info_shows_what_was_issued),
        cmocka_unit_test(entry_signatures_are_judged_by_the_certificate),
        cmocka_unit_test(signing_entries_does_not_spoil_signing_certificates),
        cmocka_unit_test(only_fit_cas_are_trusted),
        cmocka_unit_test(lists_are_verified_before_they_count),
        cmocka_unit_test(stale_lists_can_be_forgotten_and_lists_demanded),
        cmocka_unit_test(a_list_of_another_signer_is_refused),
        cmocka_unit_test(a_ca_that_may_not_sign_lists_does_not),
        cmocka_unit_test(lists_say_what_was_written),
        cmocka_unit_test(a_ca_revokes_with_the_key_of_its_certificate_only),
        cmocka_unit_test(device_uris_are_ascii),
        cmocka_unit_test(names_outside_ascii_make_good_devices),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
