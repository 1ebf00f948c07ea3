/* cbc.h against openssl's AES and Python's HMAC, and that whatever is changed is refused alike. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/crypto/cbc.h"
#include "tests/unit/support_vectors.h"

#define VECTORS "tests/vectors/cianr.txt"

enum { TEXT_MOST = 200, HEAD_LEN = 13 };

static int setup(void **state)
{
    struct err e = {0};

    (void)state;
    return crypto_init(&e);
}

/* The script's fill(). */
static void fill(uint8_t *out, size_t first, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)(first + 7 * i);
}

struct sealed {
    struct key k;
    uint64_t seq;
    uint8_t head[HEAD_LEN], b[TEXT_MOST + CBC_EXTRA];
    size_t n; /* of b */
};

static void seal(struct sealed *s, size_t n)
{
    fill(s->k.b, 17, sizeof s->k.b);
    s->seq = (UINT64_C(1) << 40) + n;
    fill(s->head, n, sizeof s->head);
    fill(s->b + CBC_IV, n, n);
    s->n = cbc_len(n);
    assert_int_equal(cbc_seal(&s->k, s->seq, span_of(s->head, HEAD_LEN), s->b, n), 0);
}

static int open_sealed(const struct sealed *s, uint8_t *out, size_t *n)
{
    return cbc_open(&s->k, s->seq, span_of(s->head, HEAD_LEN), span_of(s->b, s->n), out, n);
}

static void sealing_matches_the_vectors(void **state)
{
    static const size_t lens[] = {0, 1, 15, 16, 17, 100};
    uint8_t want[512], back[TEXT_MOST + CBC_BLOCK], text[TEXT_MOST];
    char name[16];

    (void)state;
    for (size_t i = 0; i < COUNT(lens); i++) {
        struct sealed s;
        size_t n = TEXT_MOST;
        seal(&s, lens[i]);
        snprintf(name, sizeof name, "cbc%zu", lens[i]);
        assert_int_equal(vector_take(VECTORS, name, want, sizeof want), s.n);
        assert_memory_equal(s.b, want, s.n);
        assert_int_equal(open_sealed(&s, back, &n), 0);
        assert_int_equal(n, lens[i]);
        fill(text, n, n);
        assert_memory_equal(back, text, n);
    }
}

static void assert_refused(const struct sealed *s)
{
    static const uint8_t zeros[TEXT_MOST + CBC_EXTRA];
    uint8_t back[TEXT_MOST + CBC_EXTRA] = {0};
    size_t n = 4711;

    assert_int_equal(open_sealed(s, back, &n), -1);
    assert_int_equal(n, 4711);
    assert_memory_equal(back, zeros, sizeof back);
}

static void one_bit_anywhere_is_enough(void **state)
{
    struct sealed s;

    (void)state;
    seal(&s, 100);
    for (size_t i = 0; i < 8 * s.n; i++) {
        s.b[i / 8] ^= (uint8_t)(1U << i % 8);
        assert_refused(&s);
        s.b[i / 8] ^= (uint8_t)(1U << i % 8);
    }
    for (size_t i = 0; i < 8 * HEAD_LEN; i++) {
        s.head[i / 8] ^= (uint8_t)(1U << i % 8);
        assert_refused(&s);
        s.head[i / 8] ^= (uint8_t)(1U << i % 8);
    }
    for (int i = 0; i < 64; i++) {
        s.seq ^= UINT64_C(1) << i;
        assert_refused(&s);
        s.seq ^= UINT64_C(1) << i;
    }
    for (size_t i = 0; i < 8 * sizeof s.k; i++) {
        s.k.b[i / 8] ^= (uint8_t)(1U << i % 8);
        assert_refused(&s);
        s.k.b[i / 8] ^= (uint8_t)(1U << i % 8);
    }
}

static void every_other_length_is_refused(void **state)
{
    struct sealed s;
    size_t whole;

    (void)state;
    seal(&s, 100);
    whole = s.n;
    for (s.n = 0; s.n < whole; s.n++)
        assert_refused(&s);
    memset(s.b + whole, 0, CBC_BLOCK);
    s.n = whole + CBC_BLOCK;
    assert_refused(&s);
}

/* Who has the key may still lie about the padding: refused like everything else. */
static void padding_is_whole_or_refused(void **state)
{
    char name[16];

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        uint8_t b[CBC_LEAST], back[CBC_BLOCK];
        struct key k;
        size_t n = 0;
        fill(k.b, 17, sizeof k.b);
        snprintf(name, sizeof name, "padding%u", i);
        assert_int_equal(vector_take(VECTORS, name, b, sizeof b), CBC_LEAST);
        assert_int_equal(cbc_open(&k, i, span_of(NULL, 0), span_of(b, sizeof b), back, &n), -1);
    }
}

static void an_iv_is_never_used_twice(void **state)
{
    uint8_t seen[64][CBC_IV];

    (void)state;
    for (uint64_t i = 0; i < COUNT(seen); i++) {
        struct key k = {{1}};
        uint8_t b[CBC_LEAST];
        assert_int_equal(cbc_seal(&k, i, span_of(NULL, 0), b, 0), 0);
        for (uint64_t j = 0; j < i; j++)
            assert_memory_not_equal(seen[j], b, CBC_IV);
        memcpy(seen[i], b, CBC_IV);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sealing_matches_the_vectors),
        cmocka_unit_test(one_bit_anywhere_is_enough),
        cmocka_unit_test(every_other_length_is_refused),
        cmocka_unit_test(padding_is_whole_or_refused),
        cmocka_unit_test(an_iv_is_never_used_twice),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
