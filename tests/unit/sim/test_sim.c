/* 200 seeds of the simulator: tests/unit/sim/sim.c runs more, and one again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support_sim.h"

enum { SEEDS = 200, PART = 50, FURTHER = 1000 };

static struct sim_tally all; /* of the seeds run so far */

static void run(uint64_t first)
{
    for (uint64_t seed = first; seed < first + PART; seed++)
        if (!sim_seed(seed, false, &all))
            fail_msg("seed %llu: %s; again: make sim SEED=%llu", (unsigned long long)seed, all.fail,
                     (unsigned long long)seed);
    print_message("# %u said, %u power cuts, %u starts, %u lies told, %u noticed\n", all.said,
                  all.cuts, all.boots, all.told, all.noticed);
    assert_true(all.said > 0 && all.cuts > 0 && all.noticed > 0);
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

/* Further seeds of a lie, which every (2 * SIM_LIES)th tells, until one of them is noticed. */
static void seek(size_t lie)
{
    for (uint64_t seed = 2 * lie; seed <= FURTHER && all.lies[lie].noticed == 0;
         seed += (uint64_t)2 * SIM_LIES)
        if (seed > SEEDS)
            assert_true(sim_seed(seed, false, &all));
}

/* Behind all of them: nothing that is tried was left out by chance. */
static void test_every_kind_of_lie_was_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIM_LIES; i++) {
        if (!all.lies[i].silent)
            seek(i);
        if (all.lies[i].told == 0 || (all.lies[i].noticed > 0) == all.lies[i].silent)
            fail_msg("%s: %u told, %u noticed", all.lies[i].what, all.lies[i].told,
                     all.lies[i].noticed);
    }
}

static void test_rooms_and_keys_took_part(void **state)
{
    (void)state;
    assert_true(all.mists > 0 && all.fallen > 0 && all.balked > 0);
    assert_true(all.enrolled > 0 && all.stopped > 0);
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
        cmocka_unit_test(test_a_seed_replays_exactly),
        cmocka_unit_test(test_seeds_1_to_50),
        cmocka_unit_test(test_seeds_51_to_100),
        cmocka_unit_test(test_seeds_101_to_150),
        cmocka_unit_test(test_seeds_151_to_200),
        cmocka_unit_test(test_every_kind_of_lie_was_told),
        cmocka_unit_test(test_rooms_and_keys_took_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
