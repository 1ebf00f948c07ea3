/* Time stamps: a reply of openssl's authority (tests/e2e/tsa.py has made it), every byte of it, and
 * requests that openssl reads (tests/e2e/test_stamp.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/crypto/stamp.h"

static uint8_t token[TSR_MAX + 1], root[CERT_MAX];
static size_t token_n, root_n;

static size_t load(const char *name, uint8_t *out, size_t cap)
{
    FILE *f = fopen(name, "rb");

    assert_non_null(f);
    size_t n = fread(out, 1, cap, f);
    assert_true(n > 0 && n < cap);
    fclose(f);
    return n;
}

static int setup(void **state)
{
    struct err e = {0};
    (void)state;

    token_n = load("tests/fuzz/corpus/stamp/token", token, sizeof token);
    root_n = load("tests/vectors/tsa.der", root, sizeof root);
    return crypto_init(&e);
}

static struct stamp_ask asked(const char *data)
{
    struct stamp_ask ask = {.root = span_of(root, root_n)};

    sha256(span_of(data, strlen(data)), &ask.data);
    return ask;
}

static enum err_code judged(const struct stamp_ask *ask, size_t n, struct time_stamp *out)
{
    struct err e = {0};
    int rc = stamp_check(span_of(token, n), ask, out, &e);

    assert_true((rc == 0) == (e.code == ERR_NONE));
    return e.code;
}

static void a_reply_says_when_and_who(void **state)
{
    const struct stamp_ask ask = asked("stamped");
    struct time_stamp s;
    (void)state;

    assert_int_equal(judged(&ask, token_n, &s), ERR_NONE);
    assert_string_equal(s.authority, "time.example");
    assert_true(s.time > INT64_C(1790000000000) && s.time % 1000 == 0);
}

static void it_is_about_this_and_nothing_else(void **state)
{
    static const uint8_t nonce[STAMP_NONCE_LEN] = {0, 0, 0, 0, 0, 0, 0, 7};
    struct stamp_ask ask = asked("stampeD");
    struct time_stamp s;
    (void)state;

    assert_int_equal(judged(&ask, token_n, &s), ERR_DATA);
    ask = asked("stamped");
    ask.nonce = nonce; /* it has none */
    assert_int_equal(judged(&ask, token_n, &s), ERR_DATA);
}

/* The root of another authority is read out of nothing that was believed. */
static void only_the_ca_that_was_given_counts(void **state)
{
    struct stamp_ask ask = asked("stamped");
    struct time_stamp s;
    (void)state;

    root[root_n - 1] ^= 1; /* the same name, another certificate: its own signature is not asked */
    assert_int_equal(judged(&ask, token_n, &s), ERR_NONE);
    root[root_n - 1] ^= 1;
    ask.root = span_of("", 0);
    assert_int_equal(judged(&ask, token_n, &s), ERR_DATA);
    token_n = load("tests/fuzz/corpus/stamp/curve", token, sizeof token);
    ask.root = span_of(root, root_n);
    assert_int_equal(judged(&ask, token_n, &s), ERR_AUTH);
    token_n = load("tests/fuzz/corpus/stamp/token", token, sizeof token);
}

/* What may differ is what nobody signs: the status with its words, and which digests the envelope
 * announces. Time and authority stay. */
static void every_byte_that_is_signed_counts(void **state)
{
    const struct stamp_ask ask = asked("stamped");
    struct time_stamp want, got;
    size_t unsigned_bytes = 0;
    (void)state;

    assert_int_equal(judged(&ask, token_n, &want), ERR_NONE);
    for (size_t i = 0; i < token_n; i++) {
        token[i] ^= (uint8_t)(1 << i % 8);
        if (judged(&ask, token_n, &got) == ERR_NONE) {
            unsigned_bytes++;
            assert_true(got.time == want.time && hash_same(&got.signer, &want.signer));
            assert_true(i < 80);
        }
        token[i] ^= (uint8_t)(1 << i % 8);
    }
    assert_in_range(unsigned_bytes, 0, 20);
}

static void every_length_but_one_is_wrong(void **state)
{
    const struct stamp_ask ask = asked("stamped");
    struct time_stamp s;
    (void)state;

    for (size_t n = 0; n < token_n; n++)
        assert_int_not_equal(judged(&ask, n, &s), ERR_NONE);
    token[token_n] = 0;
    assert_int_equal(judged(&ask, token_n + 1, &s), ERR_DATA);
    assert_int_equal(judged(&ask, TSR_MAX + 1, &s), ERR_DATA);
}

static void a_refusal_says_why(void **state)
{
    static const struct {
        const char *der;
        size_t n;
        enum err_code code;
        const char *why;
    } replies[] = {
        {"\x30\x09\x30\x07\x02\x01\x02\x03\x02\x07\x80", 11, ERR_UNAVAILABLE, "SHA-256"},
        {"\x30\x05\x30\x03\x02\x01\x02", 7, ERR_UNAVAILABLE, "does not say why"},
        {"\x30\x05\x30\x03\x02\x01\x00", 7, ERR_DATA, "DER"},         /* granted, and no token */
        {"\x30\x06\x30\x04\x02\x02\x00\x02", 8, ERR_DATA, "DER"},     /* a longer 2 */
        {"\x30\x81\x05\x30\x03\x02\x01\x02", 8, ERR_DATA, "DER"},     /* a longer length */
        {"\x30\x80\x30\x03\x02\x01\x02\x00\x00", 9, ERR_DATA, "DER"}, /* an indefinite one */
        {"<html>", 6, ERR_DATA, "DER"},
    };
    const struct stamp_ask ask = asked("stamped");
    struct time_stamp s;
    (void)state;

    for (size_t i = 0; i < COUNT(replies); i++) {
        struct err e = {0};
        assert_int_equal(stamp_check(span_of(replies[i].der, replies[i].n), &ask, &s, &e), -1);
        assert_int_equal(e.code, replies[i].code);
        assert_non_null(strstr(e.text, replies[i].why));
    }
}

static void a_request_is_der(void **state)
{
    static const uint8_t high[STAMP_NONCE_LEN] = {0xff, 1, 2, 3, 4, 5, 6, 7};
    static const uint8_t low[STAMP_NONCE_LEN] = {0, 0, 0, 0, 0, 0, 1, 2};
    uint8_t out[STAMP_REQUEST_MAX];
    struct hash h;
    (void)state;

    sha256(span_of("stamped", 7), &h);
    size_t n = stamp_request(out, &h, high);
    assert_int_equal(n, out[1] + 2);
    assert_memory_equal(out + n - 14, "\x02\x09\x00\xff\x01\x02\x03\x04\x05\x06\x07\x01\x01\xff",
                        14);
    n = stamp_request(out, &h, low);
    assert_memory_equal(out + n - 7, "\x02\x02\x01\x02\x01\x01\xff", 7);
    assert_non_null(memmem(out, n, h.b, sizeof h.b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reply_says_when_and_who),
        cmocka_unit_test(it_is_about_this_and_nothing_else),
        cmocka_unit_test(only_the_ca_that_was_given_counts),
        cmocka_unit_test(every_byte_that_is_signed_counts),
        cmocka_unit_test(every_length_but_one_is_wrong),
        cmocka_unit_test(a_refusal_says_why),
        cmocka_unit_test(a_request_is_der),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
