/* sim -- SEEDS=n runs the seeds 1 to n and goes on after a failure; SEED=n runs that one, loudly.
 * Every failing seed is printed; it fails again in the same way. */
#include <stdio.h>
#include <stdlib.h>

#include "support_sim.h"

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text == NULL || text[0] == '\0' ? otherwise : strtoull(text, NULL, 10);
}

int main(void)
{
    struct sim_tally t = {0};
    uint64_t one = number("SEED", 0), last = one != 0 ? one : number("SEEDS", 200);
    unsigned failed = 0;

    for (uint64_t seed = one != 0 ? one : number("FIRST", 1); seed <= last; seed++)
        if (!sim_seed(seed, one != 0, &t)) {
            printf("FAIL seed %llu: %s\n", (unsigned long long)seed, t.fail);
            fflush(stdout);
            failed++;
        }
    printf("%u seeds, %u failed: %u said, %u power cuts, %u commits refused, %u starts, %u lies "
           "told, %u noticed\n",
           t.seeds, failed, t.said, t.cuts, t.balked, t.boots, t.told, t.noticed);
    printf("%u rooms without a disk, %u of them held only the latest; %u further certificates, %u "
           "times nothing was said to one\n",
           t.mists, t.fallen, t.enrolled, t.stopped);
    for (size_t i = 0; i < SIM_LIES; i++)
        printf("  %-36s %4u told, %4u noticed%s\n", t.lies[i].what, t.lies[i].told,
               t.lies[i].noticed, t.lies[i].silent ? " (nobody can)" : "");
    return failed > 0;
}
