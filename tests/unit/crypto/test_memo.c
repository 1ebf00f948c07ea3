/* The memo: never knows what it was not told, forgets the first of a set, and works as nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "common/crypto/memo.h"

static struct hash hash_nth(unsigned n)
{
    struct hash h;

    sha256(span_of(&n, sizeof n), &h);
    return h;
}

static void an_empty_one_knows_nothing(void **state)
{
    struct memo *m = memo_new();
    const struct hash zeros = {{0}};
    struct hash h = hash_nth(1);
    (void)state;

    assert_false(memo_has(m, &zeros)); /* what an unused place holds */
    assert_false(memo_has(m, &h));
    memo_free(m);
}

static void every_bit_counts(void **state)
{
    struct memo *m = memo_new();
    struct hash h = hash_nth(1);
    (void)state;

    memo_add(m, &h);
    for (size_t i = 0; i < 8 * sizeof h; i++) {
        struct hash near = h;
        near.b[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_false(memo_has(m, &near));
    }
    assert_true(memo_has(m, &h));
    memo_free(m);
}

static void the_first_of_a_full_set_is_forgotten(void **state)
{
    struct memo *m = memo_new();
    struct hash h = hash_nth(1), first = h;
    (void)state;

    memo_add(m, &first);
    for (unsigned i = 1; i < MEMO_WAYS; i++) {
        h.b[31] = (uint8_t)(first.b[31] + i);
        memo_add(m, &h);
        memo_add(m, &h); /* takes no second place */
    }
    assert_true(memo_has(m, &first));
    h.b[31] = (uint8_t)(first.b[31] + MEMO_WAYS);
    memo_add(m, &h);
    assert_false(memo_has(m, &first));
    for (unsigned i = 1; i <= MEMO_WAYS; i++) {
        h.b[31] = (uint8_t)(first.b[31] + i);
        assert_true(memo_has(m, &h));
    }
    memo_free(m);
}

static void it_stays_bounded_and_knows_the_latest(void **state)
{
    struct memo *m = memo_new();
    unsigned known = 0;
    (void)state;

    for (unsigned i = 0; i < 100000; i++) {
        struct hash h = hash_nth(i);
        memo_add(m, &h);
        assert_true(memo_has(m, &h));
    }
    for (unsigned i = 0; i < 100000; i++) {
        struct hash h = hash_nth(i);
        known += memo_has(m, &h);
    }
    assert_int_equal(known, MEMO_WAYS * MEMO_SETS); /* every set was filled many times over */
    memo_free(m);
}

static void without_memory_nothing_is_known(void **state)
{
    struct hash h = hash_nth(1);
    (void)state;

    memo_add(NULL, &h);
    assert_false(memo_has(NULL, &h));
    memo_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_one_knows_nothing),
        cmocka_unit_test(every_bit_counts),
        cmocka_unit_test(the_first_of_a_full_set_is_forgotten),
        cmocka_unit_test(it_stays_bounded_and_knows_the_latest),
        cmocka_unit_test(without_memory_nothing_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
