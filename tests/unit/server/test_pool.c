/* Blocks for what is being sent: the warm one comes back first, big ones and idle ones go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/pool.h"

static struct buf block(size_t n)
{
    static const uint8_t zeros[POOL_BLOCK_MAX + 1];
    struct buf b;

    buf_init(&b, sizeof zeros);
    assert_int_equal(buf_add(&b, zeros, n), 0);
    buf_drop(&b, n);
    return b;
}

static void the_last_one_given_comes_first(void **state)
{
    static struct pool pool;
    struct buf a = block(1000), b = block(1000);
    const uint8_t *warm = b.p;
    (void)state;

    assert_null(pool_take(&pool).p); /* empty: the taker makes its own */
    pool_give(&pool, &a);
    pool_give(&pool, &b);
    assert_null(b.p);
    struct buf got = pool_take(&pool);
    assert_ptr_equal(got.p, warm);
    assert_int_equal(got.len, 0);
    pool_give(&pool, &got);
    pool_give(&pool, &got); /* it has no memory any more */
    assert_int_equal(pool.n, 2);
    pool_free(&pool);
    assert_int_equal(pool.n, 0);
}

static void what_is_big_or_too_much_is_freed(void **state)
{
    static struct pool pool;
    struct buf big = block(POOL_BLOCK_MAX + 1), edge = block(POOL_BLOCK_MAX);
    (void)state;

    pool_give(&pool, &big);
    assert_null(big.p);
    assert_int_equal(pool.n, 0);
    pool_give(&pool, &edge);
    assert_int_equal(pool.n, 1);
    for (size_t i = 0; i < 2 * (size_t)POOL_BLOCKS; i++) {
        struct buf b = block(10);
        pool_give(&pool, &b);
        assert_null(b.p);
    }
    assert_int_equal(pool.n, POOL_BLOCKS);
    pool_free(&pool);
}

static void what_was_not_needed_goes(void **state)
{
    static struct pool pool;
    struct buf b[8];
    (void)state;

    for (size_t i = 0; i < COUNT(b); i++) {
        b[i] = block(10);
        pool_give(&pool, &b[i]);
    }
    pool_rest(&pool); /* all are new: they stay one turn */
    assert_int_equal(pool.n, 8);
    for (size_t i = 0; i < 3; i++)
        b[i] = pool_take(&pool);
    const uint8_t *warm = b[0].p;
    for (size_t i = 3; i-- > 0;)
        pool_give(&pool, &b[i]);
    pool_rest(&pool);
    assert_int_equal(pool.n, 3); /* as many as were out at once */
    b[0] = pool_take(&pool);
    assert_ptr_equal(b[0].p, warm);
    pool_give(&pool, &b[0]);
    pool_rest(&pool);
    assert_int_equal(pool.n, 1);
    pool_rest(&pool);
    pool_rest(&pool);
    assert_int_equal(pool.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_one_given_comes_first),
        cmocka_unit_test(what_is_big_or_too_much_is_freed),
        cmocka_unit_test(what_was_not_needed_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
