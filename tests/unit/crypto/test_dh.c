/* The group of dh.h is the one of RFC 3526, and nothing but its honest values is computed with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <mbedtls/bignum.h>

#include "common/crypto/dh.h"
#include "tests/unit/support_vectors.h"

#define VECTORS "tests/vectors/cianr.txt"

static struct rng rng;

static int setup(void **state)
{
    struct err e = {0};

    (void)state;
    rng = rng_system();
    return crypto_init(&e);
}

/* The script computes it from the digits of pi, as the RFC has it. */
static void the_prime_is_the_one_of_the_rfc(void **state)
{
    uint8_t want[DH_LEN];

    (void)state;
    assert_int_equal(vector_take(VECTORS, "p", want, sizeof want), DH_LEN);
    assert_int_equal(dh_prime().n, DH_LEN);
    assert_memory_equal(dh_prime().p, want, DH_LEN);
}

static void the_prime_is_safe(void **state)
{
    mbedtls_mpi p;

    (void)state;
    mbedtls_mpi_init(&p);
    assert_int_equal(mbedtls_mpi_read_binary(&p, dh_prime().p, DH_LEN), 0);
    assert_int_equal(mbedtls_mpi_bitlen(&p), 8 * DH_LEN);
    assert_int_equal(mbedtls_mpi_is_prime_ext(&p, 20, rng_mbedtls, &rng), 0);
    assert_int_equal(mbedtls_mpi_shift_r(&p, 1), 0); /* (p - 1) / 2 */
    assert_int_equal(mbedtls_mpi_is_prime_ext(&p, 20, rng_mbedtls, &rng), 0);
    mbedtls_mpi_free(&p);
}

/* Random numbers that are no: the script's exponents. */
static int scripted(void *ctx, uint8_t *out, size_t n)
{
    return vector_take(VECTORS, ctx, out, n) == n ? 0 : -1;
}

static struct dh draw(const char *name)
{
    char copy[8];
    struct rng r = {scripted, copy};
    struct dh d;

    strcpy(copy, name);
    assert_int_equal(dh_draw(&d, &r), 0);
    return d;
}

static void both_sides_get_what_the_script_got(void **state)
{
    static const char *const rows[][3] = {{"a", "b", "first"}, {"c", "d", "second"}};
    uint8_t want[DH_LEN], got[DH_LEN];

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct dh one = draw(rows[i][0]), other = draw(rows[i][1]);
        vector_take(VECTORS, rows[i][2], want, sizeof want);
        assert_int_equal(dh_agree(got, &one, other.open), 0);
        assert_memory_equal(got, want, DH_LEN);
        assert_int_equal(dh_agree(got, &other, one.open), 0);
        assert_memory_equal(got, want, DH_LEN);
        dh_wipe(&one);
        for (size_t k = 0; k < sizeof one; k++)
            assert_int_equal(((const uint8_t *)&one)[k], 0);
    }
}

static void exponents_have_their_top_bit(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        struct dh d;
        assert_int_equal(dh_draw(&d, &rng), 0);
        assert_true(d.secret.b[0] & 0x80);
        assert_true(dh_public(d.open));
    }
}

static int nothing(void *ctx, uint8_t *out, size_t n)
{
    (void)ctx, (void)out, (void)n;
    return -1;
}

static void without_random_numbers_there_is_no_key(void **state)
{
    struct rng none = {nothing, NULL};
    struct dh d;

    (void)state;
    assert_int_equal(dh_draw(&d, &none), -1);
}

/* H13: a small number, or p plus something (p ends in eight bytes of ff). */
static void small(uint8_t out[DH_LEN], int v)
{
    memset(out, 0, DH_LEN);
    out[DH_LEN - 1] = (uint8_t)v;
}

static void near_p(uint8_t out[DH_LEN], int more)
{
    memcpy(out, dh_prime().p, DH_LEN);
    if (more <= 0)
        out[DH_LEN - 1] = (uint8_t)(out[DH_LEN - 1] + more);
    else
        for (size_t i = DH_LEN; i-- > 0 && ++out[i] == 0;)
            ;
}

static void only_values_of_the_group_are_taken(void **state)
{
    static const struct {
        void (*make)(uint8_t out[DH_LEN], int v);
        int v;
        bool ok;
    } rows[] = {
        {small, 0, false},   {small, 1, false},  {small, 2, true},
        {small, 3, true},    {near_p, -3, true}, {near_p, -2, true},
        {near_p, -1, false}, {near_p, 0, false}, {near_p, 1, false},
    };
    struct dh d;
    uint8_t v[DH_LEN], z[DH_LEN];

    (void)state;
    assert_int_equal(dh_draw(&d, &rng), 0);
    for (size_t i = 0; i < COUNT(rows); i++) {
        rows[i].make(v, rows[i].v);
        assert_int_equal(dh_public(v), rows[i].ok);
        assert_int_equal(dh_agree(z, &d, v), rows[i].ok ? 0 : -1);
    }
    memset(v, 0xff, sizeof v); /* -1 */
    assert_false(dh_public(v));
    assert_int_equal(dh_agree(z, &d, v), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_prime_is_the_one_of_the_rfc),
        cmocka_unit_test(the_prime_is_safe),
        cmocka_unit_test(both_sides_get_what_the_script_got),
        cmocka_unit_test(exponents_have_their_top_bit),
        cmocka_unit_test(without_random_numbers_there_is_no_key),
        cmocka_unit_test(only_values_of_the_group_are_taken),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
