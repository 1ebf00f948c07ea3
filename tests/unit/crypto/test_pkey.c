/* Keys: made, written, read back, signing and refusing. openssl's signatures are the judge. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/crypto/pkey.h"
#include "common/util/limits.h"
#include "tests/unit/crypto/pss_vectors.h"

static struct rng rng;
static struct pkey *rsa, *ec; /* made once: an RSA key takes a while */

static int setup(void **state)
{
    struct err e = {0};
    (void)state;
    rng = rng_system();
    if (crypto_init(&e) < 0)
        return -1;
    rsa = pkey_generate(PKEY_RSA_2048, &rng, &e);
    ec = pkey_generate(PKEY_P256, &rng, &e);
    return rsa != NULL && ec != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    pkey_free(rsa);
    pkey_free(ec);
    pkey_free(NULL);
    return 0;
}

static size_t unhex(uint8_t *out, const char *hex)
{
    assert_int_equal(hex_take(out, strlen(hex) / 2, str_of(hex)), 0);
    return strlen(hex) / 2;
}

static void openssl_signatures_are_judged_rightly(void **state)
{
    static const struct {
        const char *sig, *text;
        bool ok;
        const char *why;
    } rows[] = {
        {pss_sig_32, "countersign", true, "salt of 32"},
        {pss_sig_32, "countersigm", false, "another text"},
        {pss_sig_20, "countersign", false, "salt of 20"},
        {pss_sig_v15, "countersign", false, "PKCS#1 v1.5"},
    };
    uint8_t spki[SPKI_MAX], sig[SIG_MAX];
    struct err e = {0};
    (void)state;

    struct pubkey *k = pubkey_parse(span_of(spki, unhex(spki, pss_spki)), &e);
    assert_non_null(k);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct span s = span_of(sig, unhex(sig, rows[i].sig));
        struct span t = span_of(rows[i].text, strlen(rows[i].text));
        if (pubkey_verify_pss(k, t, s) != rows[i].ok)
            fail_msg("%s", rows[i].why);
        if (pubkey_verify_pss(k, t, span_of(s.p, s.n - 1)))
            fail_msg("%s, cut short", rows[i].why);
    }
    pubkey_free(k);
}

static void a_signature_holds_for_its_bytes_only(void **state)
{
    uint8_t spki[SPKI_MAX], sig[SIG_MAX];
    char line[] = "countersign-entry-1|abc";
    struct span data = span_of(line, sizeof line - 1);
    struct err e = {0};
    size_t n, sn;
    (void)state;

    assert_int_equal(pkey_sign_pss(rsa, &rng, data, sig, &sn, &e), 0);
    assert_int_equal(sn, 256);
    assert_int_equal(pkey_spki(rsa, spki, &n, &e), 0);
    struct pubkey *k = pubkey_parse(span_of(spki, n), &e);
    assert_non_null(k);
    assert_true(pubkey_verify_pss(k, data, span_of(sig, sn)));
    for (size_t i = 0; i < sn; i += 7) {
        sig[i] ^= 4;
        assert_false(pubkey_verify_pss(k, data, span_of(sig, sn)));
        sig[i] ^= 4;
    }
    line[3] ^= 1;
    assert_false(pubkey_verify_pss(k, data, span_of(sig, sn)));
    pubkey_free(k);
}

static void p256_does_not_sign_messages(void **state)
{
    uint8_t sig[SIG_MAX];
    struct err e = {0};
    size_t n;
    (void)state;

    assert_int_equal(pkey_sign_pss(ec, &rng, span_of("x", 1), sig, &n, &e), -1);
    assert_int_equal(e.code, ERR_LOCAL);
}

/* Handshakes are signed by either kind; what was signed, and nothing else, verifies. */
static void both_kinds_sign_handshakes(void **state)
{
    struct pkey *both[] = {rsa, ec};
    (void)state;

    for (size_t i = 0; i < COUNT(both); i++) {
        uint8_t sig[SIG_MAX], spki[2][SPKI_MAX];
        size_t n, len[2];
        struct err e = {0};

        assert_int_equal(pkey_sign(both[i], &rng, span_of("said", 4), sig, &n, &e), 0);
        assert_int_equal(pkey_spki(both[i], spki[0], &len[0], &e), 0);
        assert_int_equal(pkey_spki(both[!i], spki[1], &len[1], &e), 0);
        struct pubkey *own = pubkey_parse(span_of(spki[0], len[0]), &e);
        struct pubkey *other = pubkey_parse(span_of(spki[1], len[1]), &e);
        assert_true(pubkey_verify(own, span_of("said", 4), span_of(sig, n)));
        assert_false(pubkey_verify(other, span_of("said", 4), span_of(sig, n)));
        assert_false(pubkey_verify(own, span_of("sain", 4), span_of(sig, n)));
        assert_false(pubkey_verify(own, span_of("said", 4), span_of(sig, n - 1)));
        assert_false(pubkey_verify(own, span_of("said", 4), span_of(sig, 0)));
        for (size_t at = 0; at < n; at += 5) {
            sig[at] ^= 1;
            assert_false(pubkey_verify(own, span_of("said", 4), span_of(sig, n)));
            sig[at] ^= 1;
        }
        pubkey_free(own);
        pubkey_free(other);
    }
}

static void keys_survive_their_file(void **state)
{
    struct pkey *both[] = {rsa, ec};
    (void)state;

    for (size_t i = 0; i < COUNT(both); i++) {
        uint8_t der[PKEY_DER_MAX], one[SPKI_MAX], two[SPKI_MAX];
        size_t n, n1, n2;
        struct err e = {0};

        assert_int_equal(pkey_der(both[i], der, &n, &e), 0);
        struct pkey *back = pkey_parse(span_of(der, n), &rng, &e);
        assert_non_null(back);
        assert_int_equal(pkey_spki(both[i], one, &n1, &e), 0);
        assert_int_equal(pkey_spki(back, two, &n2, &e), 0);
        assert_true(span_same(span_of(one, n1), span_of(two, n2)));
        assert_int_equal(pkey_bits(back), pkey_bits(both[i]));
        pkey_free(back);
        for (size_t cut = 0; cut < n; cut += 1 + n / 97) {
            err_clear(&e);
            assert_null(pkey_parse(span_of(der, cut), &rng, &e));
            assert_int_equal(e.code, ERR_DATA);
        }
    }
}

static void public_keys_end_where_their_der_ends(void **state)
{
    uint8_t spki[SPKI_MAX];
    struct err e = {0};
    size_t n = unhex(spki, pss_spki);
    (void)state;

    spki[n] = 0;
    assert_null(pubkey_parse(span_of(spki, n + 1), &e));
    for (size_t cut = 0; cut < n; cut++)
        assert_null(pubkey_parse(span_of(spki, cut), &(struct err){0}));
}

/* An RSA key of 1024 bits; a point that is not on P-256. */
static void weak_and_strange_keys_are_refused(void **state)
{
    static const char *const rows[] = {
        "30819f300d06092a864886f70d010101050003818d0030818902818100"
        "c0ffee000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
        "00"
        "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
        "00"
        "0000000000000000000000000000000000000000000000000000000000000000000000010203010001",
        "3059301306072a8648ce3d020106082a8648ce3d030107034200"
        "04ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
        "ff"
        "ffffffffffffffffffffffffffffffffffffff",
    };
    uint8_t spki[SPKI_MAX];
    (void)state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err e = {0};
        assert_null(pubkey_parse(span_of(spki, unhex(spki, rows[i])), &e));
        assert_int_equal(e.code, ERR_DATA);
    }
}

/* H12. A key of P-256 is a point of that curve, in the one form that RFC 5480 demands of everybody:
 * another curve's points would give its secrets away piece by piece. */
static void points_off_the_curve_are_no_keys(void **state)
{
    enum { HEAD = 26, FIELD = 32, POINT = HEAD + 1 }; /* lengths at 1 and HEAD - 2 */
    static const char order_of_field[] =
        "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";
    struct err e = {0};
    struct pkey *own = pkey_generate(PKEY_P256, &rng, &e);
    uint8_t good[SPKI_MAX], bad[SPKI_MAX], p[FIELD];
    size_t n;
    (void)state;

    assert_non_null(own);
    assert_int_equal(pkey_spki(own, good, &n, &e), 0);
    pkey_free(own);
    assert_int_equal(n, POINT + 2 * FIELD);
    assert_int_equal(good[HEAD], 4); /* not compressed */
    struct pubkey *k = pubkey_parse(span_of(good, n), &e);
    assert_non_null(k);
    pubkey_free(k);
    for (size_t i = 0; i < 2 * FIELD; i++) { /* one bit beside it */
        memcpy(bad, good, n);
        bad[POINT + i] ^= (uint8_t)(1U << i % 8);
        assert_null(pubkey_parse(span_of(bad, n), &(struct err){0}));
    }
    memcpy(bad, good, n);
    memset(bad + POINT, 0, 2 * FIELD); /* (0, 0) */
    assert_null(pubkey_parse(span_of(bad, n), &(struct err){0}));
    assert_int_equal(hex_take(p, sizeof p, str_of(order_of_field)), 0);
    memcpy(bad, good, n);
    memcpy(bad + POINT, p, sizeof p); /* x = p, which is 0 */
    assert_null(pubkey_parse(span_of(bad, n), &(struct err){0}));
    for (unsigned form = 0; form < 8; form++) { /* infinity, compressed, hybrid, unknown */
        size_t len = form == 0 ? 1 : form == 2 || form == 3 ? 1 + FIELD : 1 + 2 * FIELD;
        if (form == 4)
            continue;
        memcpy(bad, good, n);
        bad[HEAD] = (uint8_t)form;
        bad[1] = (uint8_t)(HEAD - 2 + len);
        bad[HEAD - 2] = (uint8_t)(1 + len);
        if (pubkey_parse(span_of(bad, HEAD + len), &(struct err){0}) != NULL)
            fail_msg("form %u of a point", form);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openssl_signatures_are_judged_rightly),
        cmocka_unit_test(a_signature_holds_for_its_bytes_only),
        cmocka_unit_test(p256_does_not_sign_messages),
        cmocka_unit_test(both_kinds_sign_handshakes),
        cmocka_unit_test(keys_survive_their_file),
        cmocka_unit_test(public_keys_end_where_their_der_ends),
        cmocka_unit_test(weak_and_strange_keys_are_refused),
        cmocka_unit_test(points_off_the_curve_are_no_keys),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
