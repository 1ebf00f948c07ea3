/* CAdES-B signatures: one spelling, and no other is taken. tests/e2e/test_verify_session.py asks
 * openssl about them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/crypto/cades.h"
#include "common/crypto/issue.h"

#define NOW INT64_C(1790000000123)

struct made {
    struct pkey *key;
    uint8_t der[CERT_MAX];
    size_t n;
};

static struct rng rng;
static struct made ca, alice, bob, curve;

static int make(struct made *m, enum pkey_kind kind, enum cert_role role, const char *name)
{
    struct cert_form f = cert_form_of(role);
    struct issuer by = {span_of(ca.der, ca.n), m == &ca ? NULL : ca.key};
    uint8_t spki[SPKI_MAX];
    struct err e = {0};
    size_t n;

    m->key = pkey_generate(kind, &rng, &e);
    if (m->key == NULL || pkey_spki(m->key, spki, &n, &e) < 0 || serial_draw(&f.serial, &rng) < 0)
        return -1;
    by.key = m == &ca ? m->key : ca.key;
    f.cn = str_of(name);
    f.ou = str_of("laptop");
    f.spki = span_of(spki, n);
    f.not_before = NOW - 1000;
    f.not_after = NOW + 1000;
    return cert_issue(&f, &by, &rng, m->der, &m->n, &e);
}

static int setup(void **state)
{
    struct err e = {0};
    (void)state;

    rng = rng_system();
    return crypto_init(&e) < 0 || make(&ca, PKEY_P256, CERT_ROOT, "root") < 0 ||
                   make(&alice, PKEY_RSA_2048, CERT_DEVICE, "alice") < 0 ||
                   make(&bob, PKEY_RSA_2048, CERT_DEVICE, "bob") < 0 ||
                   make(&curve, PKEY_P256, CERT_DEVICE, "curve") < 0
               ? -1
               : 0;
}

static int teardown(void **state)
{
    (void)state;
    pkey_free(ca.key);
    pkey_free(alice.key);
    pkey_free(bob.key);
    pkey_free(curve.key);
    return 0;
}

static struct cades of(const struct made *signer)
{
    return (struct cades){.content = span_of("a receipt\n", 10),
                          .signer = span_of(signer->der, signer->n),
                          .issuer = span_of(ca.der, ca.n),
                          .time = NOW};
}

/* What somebody with this key makes of it. */
static struct span written(const struct cades *c, struct pkey *key, struct buf *out)
{
    uint8_t sig[SIG_MAX];
    struct err e = {0};
    size_t n;

    buf_init(out, CADES_MAX);
    assert_int_equal(cades_sign(c, key, &rng, sig, &n, &e), 0);
    assert_int_equal(cades_put(c, span_of(sig, n), out, &e), 0);
    return buf_span(out);
}

static bool good(const struct cades *c, struct span der)
{
    struct err e = {0};
    int rc = cades_check(c, der, &e);

    assert_true(rc == 0 ? e.code == ERR_NONE : e.code == ERR_DATA);
    return rc == 0;
}

static void what_is_signed_is_taken(void **state)
{
    struct cades c = of(&alice);
    struct buf out;
    (void)state;

    struct span der = written(&c, alice.key, &out);
    assert_true(good(&c, der));
    c.time = NOW - 123; /* the same second */
    assert_true(good(&c, der));
    buf_free(&out);
}

static void every_changed_byte_and_every_cut_is_refused(void **state)
{
    const struct cades c = of(&alice);
    uint8_t der[CADES_MAX];
    struct buf out;
    (void)state;

    struct span s = written(&c, alice.key, &out);
    memcpy(der, s.p, s.n);
    for (size_t i = 0; i < s.n; i++) {
        assert_false(good(&c, span_of(der, i)));
        der[i] ^= (uint8_t)(1 << i % 8);
        if (good(&c, span_of(der, s.n)))
            fail_msg("byte %zu may be changed", i);
        der[i] ^= (uint8_t)(1 << i % 8);
    }
    der[s.n] = 0;
    assert_false(good(&c, span_of(der, s.n + 1)));
    assert_true(good(&c, span_of(der, s.n)));
    buf_free(&out);
}

static void it_is_about_these_and_no_others(void **state)
{
    const struct cades c = of(&alice);
    struct buf out, others;
    (void)state;

    struct span der = written(&c, alice.key, &out);
    struct cades lies[] = {c, c, c, c};
    lies[0].content = span_of("a receipT\n", 10);
    lies[1].time = NOW + 1000;
    lies[2].signer = span_of(bob.der, bob.n);
    lies[3].issuer = span_of(bob.der, bob.n);
    for (size_t i = 0; i < COUNT(lies); i++)
        assert_false(good(&lies[i], der));
    /* Bob's key under alice's name, and an honest one of his */
    assert_false(good(&c, written(&c, bob.key, &others)));
    buf_free(&others);
    assert_false(good(&c, written(&lies[2], bob.key, &others)));
    assert_true(good(&lies[2], buf_span(&others)));
    buf_free(&others);
    buf_free(&out);
}

static void times_are_written_as_rfc_5652_has_them(void **state)
{
    static const struct {
        int64_t time;
        const char *text;
    } times[] = {{INT64_C(2524607999999), "\x17\x0d"
                                          "491231235959Z"},
                 {INT64_C(2524608000000), "\x18\x0f"
                                          "20500101000000Z"}};
    (void)state;

    for (size_t i = 0; i < COUNT(times); i++) {
        struct cades c = of(&alice);
        struct buf out;
        c.time = times[i].time;
        struct span der = written(&c, alice.key, &out);
        assert_non_null(memmem(der.p, der.n, times[i].text, strlen(times[i].text)));
        assert_true(good(&c, der));
        buf_free(&out);
    }
}

static void what_cannot_sign_or_be_read_is_refused(void **state)
{
    struct cades c = of(&curve);
    uint8_t sig[SIG_MAX];
    struct err e = {0};
    struct buf out;
    size_t n;
    (void)state;

    assert_int_equal(cades_sign(&c, curve.key, &rng, sig, &n, &e), -1);
    assert_false(good(&c, span_of("", 0)));
    c = of(&alice);
    c.time = INT64_C(400000) * 365 * 86400 * 1000; /* no year of four digits */
    e = (struct err){0};
    assert_int_equal(cades_sign(&c, alice.key, &rng, sig, &n, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    c = of(&alice);
    c.signer.n--;
    e = (struct err){0};
    buf_init(&out, CADES_MAX);
    assert_int_equal(cades_put(&c, span_of(sig, 256), &out, &e), -1);
    assert_int_equal(out.len, 0);
    c = of(&alice);
    e = (struct err){0};
    buf_init(&out, 100);
    assert_int_equal(cades_put(&c, span_of(sig, 256), &out, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_signed_is_taken),
        cmocka_unit_test(every_changed_byte_and_every_cut_is_refused),
        cmocka_unit_test(it_is_about_these_and_no_others),
        cmocka_unit_test(times_are_written_as_rfc_5652_has_them),
        cmocka_unit_test(what_cannot_sign_or_be_read_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
