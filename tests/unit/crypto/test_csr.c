/* Certificate requests and PEM: what is accepted, and everything that is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/crypto/csr.h"
#include "common/crypto/pem.h"

static struct rng rng;
static struct pkey *rsa, *ec;

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
    return 0;
}

static void requests_carry_the_key(void **state)
{
    struct pkey *keys[] = {rsa, ec};
    uint8_t der[CSR_MAX], spki[SPKI_MAX];
    struct csr q;
    struct err e = {0};
    size_t n, spki_n;
    (void)state;

    for (size_t i = 0; i < COUNT(keys); i++) {
        assert_int_equal(csr_make(keys[i], "alice", &rng, der, &n, &e), 0);
        assert_int_equal(csr_parse(span_of(der, n), &q, &e), 0);
        assert_int_equal(pkey_spki(keys[i], spki, &spki_n, &e), 0);
        assert_true(span_same(span_of(q.spki, q.spki_n), span_of(spki, spki_n)));
        assert_int_equal(q.rsa, i == 0);
        assert_int_equal(q.bits, i == 0 ? 2048 : 256);
    }
}

static void every_changed_byte_and_every_cut_is_refused(void **state)
{
    uint8_t der[CSR_MAX + 1];
    struct csr q;
    struct err e = {0};
    size_t n;
    (void)state;

    assert_int_equal(csr_make(ec, "alice", &rng, der, &n, &e), 0);
    for (size_t i = 0; i < n; i++) {
        struct err here = {0};
        assert_int_equal(csr_parse(span_of(der, i), &q, &here), -1);
        der[i] ^= (uint8_t)(1 << i % 8);
        if (csr_parse(span_of(der, n), &q, &here) == 0)
            fail_msg("accepted with a flipped bit in byte %zu", i);
        der[i] ^= (uint8_t)(1 << i % 8);
    }
    der[n] = 0;
    assert_int_equal(csr_parse(span_of(der, n + 1), &q, &e), -1);
}

/* A request signed with another key: whoever sends it does not have the private one. */
static void a_request_must_be_signed_with_its_own_key(void **state)
{
    uint8_t der[CSR_MAX], own[SPKI_MAX], other[SPKI_MAX];
    struct csr q;
    struct err e = {0};
    size_t n, own_n, other_n, at;
    (void)state;

    struct pkey *stranger = pkey_generate(PKEY_P256, &rng, &e);
    assert_int_equal(csr_make(ec, "alice", &rng, der, &n, &e), 0);
    assert_int_equal(pkey_spki(ec, own, &own_n, &e), 0);
    assert_int_equal(pkey_spki(stranger, other, &other_n, &e), 0);
    assert_int_equal(own_n, other_n);
    uint8_t *key = memmem(der, n, own, own_n);
    assert_non_null(key);
    at = (size_t)(key - der);
    memcpy(der + at, other, other_n);
    assert_int_equal(csr_parse(span_of(der, n), &q, &e), -1);
    assert_string_equal(e.text, "certificate request: not signed with its own key");
    pkey_free(stranger);
}

static void sizes_are_judged_first(void **state)
{
    uint8_t *big = calloc(1, 1024 * 1024);
    struct csr q;
    struct err e = {0};
    (void)state;

    big[0] = 0x30;
    assert_int_equal(csr_parse(span_of(big, 1024 * 1024), &q, &e), -1);
    assert_string_equal(e.text, "not one certificate request in DER of at most 4096 bytes");
    assert_int_equal(csr_parse(span_of(NULL, 0), &q, &e), -1);
    free(big);
}

/* --- PEM --- */

static int pem_of(const char *text, struct buf *out)
{
    struct err e = {0};

    buf_init(out, 64);
    return pem_or_der(span_of(text, strlen(text)), PEM_CSR, out, &e);
}

#define HEAD "-----BEGIN CERTIFICATE REQUEST-----\n"
#define TAIL "-----END CERTIFICATE REQUEST-----\n"

static void pem_is_taken_strictly(void **state)
{
    static const struct {
        const char *text;
        int rc;
        const char *why;
    } rows[] = {
        {HEAD "AAEC\n" TAIL, 0, "one block"},
        {"words before\n" HEAD "AAEC\r\n" TAIL, 0, "text before, CRLF inside"},
        {HEAD "AAEC\nAwQF\n" TAIL, 0, "two lines"},
        {HEAD "AAEC\n", -1, "no end"},
        {HEAD "AAE\n" TAIL, -1, "a group of three"},
        {HEAD "AA!C\n" TAIL, -1, "another alphabet"},
        {HEAD "Proc-Type: 4,ENCRYPTED\nAAEC\n" TAIL, -1, "a header"},
        {"-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n", -1, "another label"},
        {HEAD "AAEC\n-----END CERTIFICATE-----\n", -1, "the end of another"},
        {"", -1, "nothing"},
        {"AAEC", -1, "no frame"},
    };
    struct buf out;
    (void)state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        int rc = pem_of(rows[i].text, &out);
        if (rc != rows[i].rc)
            fail_msg("%s: got %d", rows[i].why, rc);
        buf_free(&out);
    }
}

static void pem_comes_back_as_it_went(void **state)
{
    uint8_t der[200];
    struct buf text, back;
    struct err e = {0};
    (void)state;

    for (size_t n = 0; n < sizeof der; n++) {
        memset(der, (int)n, n);
        buf_init(&text, 1024);
        buf_init(&back, sizeof der);
        assert_int_equal(pem_put(&text, PEM_CERT, span_of(der, n), &e), 0);
        struct span rest = buf_span(&text);
        assert_int_equal(pem_take(&rest, PEM_CERT, &back, &e), 1);
        assert_true(span_same(buf_span(&back), span_of(der, n)));
        assert_int_equal(pem_take(&rest, PEM_CERT, &back, &e), 0);
        buf_free(&text);
        buf_free(&back);
    }
}

static void pem_has_bounds(void **state)
{
    struct buf out;
    struct err e = {0};
    uint8_t der[100] = {0x30};
    (void)state;

    buf_init(&out, 99);
    assert_int_equal(pem_or_der(span_of(der, sizeof der), PEM_CERT, &out, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    err_clear(&e);
    assert_int_equal(pem_put(&out, PEM_CERT, span_of(der, sizeof der), &e), -1);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_carry_the_key),
        cmocka_unit_test(every_changed_byte_and_every_cut_is_refused),
        cmocka_unit_test(a_request_must_be_signed_with_its_own_key),
        cmocka_unit_test(sizes_are_judged_first),
        cmocka_unit_test(pem_is_taken_strictly),
        cmocka_unit_test(pem_comes_back_as_it_went),
        cmocka_unit_test(pem_has_bounds),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
