/* 200 seeds of the simulator: tests/unit/sim/sim.c runs more, and one again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support_sim.h"

enum { SEEDS = 200, PART = 50 };

static void run(uint64_t first)
{
    struct sim_tally t = {0};

    for (uint64_t seed = first; seed < first + PART; seed++)
        if (!sim_seed(seed, false, &t))
            fail_msg("seed %llu: %s; again: make sim SEED=%llu", (unsigned long long)seed, t.fail,
                     (unsigned long long)seed);
    print_message("# %u said, %u power cuts, %u starts, %u lies told, %u noticed\n", t.said, t.cuts,
                  t.boots, t.told, t.noticed);
    assert_true(t.said > 0 && t.cuts > 0 && t.noticed > 0);
}

static void test_seeds_1_to_50(void **state)
{
    (void)state;
    run(1);
}

static void test_seeds_51_to_100(void **state)
{
    (void)state;
    run(51);
}

static void test_seeds_101_to_150(void **state)
{
    (void)state;
    run(101);
}

static void test_seeds_151_to_200(void **state)
{
    (void)state;
    run(151);
}

/* An honest seed and a liar's, each twice: the same bytes at the same times. */
static void test_a_seed_replays_exactly(void **state)
{
    struct sim_tally a = {0}, b = {0};

    (void)state;
    for (uint64_t seed = 1001; seed <= 1002; seed++) {
        assert_true(sim_seed(seed, false, &a));
        assert_true(sim_seed(5, false, &b) && sim_seed(seed, false, &b));
        assert_true(a.digest == b.digest && a.digest != 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_seed_replays_exactly), cmocka_unit_test(test_seeds_1_to_50),
        cmocka_unit_test(test_seeds_51_to_100),        cmocka_unit_test(test_seeds_101_to_150),
        cmocka_unit_test(test_seeds_151_to_200),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
