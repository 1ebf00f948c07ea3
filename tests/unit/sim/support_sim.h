/* support_sim.h -- one seed's story: people talk while lines break, programs and disks die, clocks
 * jump and, in every second seed, the relay lies to one of them. Then all is repaired, everybody
 * speaks once more, and what each disk holds is compared. */
#ifndef TESTS_UNIT_SIM_SUPPORT_SIM_H
#define TESTS_UNIT_SIM_SUPPORT_SIM_H

#include <stdbool.h>
#include <stdint.h>

enum { SIM_LIES = 35 }; /* kinds of them */

struct sim_tally { /* adds up */
    unsigned seeds, cuts, said, boots, told, noticed;
    unsigned balked;            /* commits that a client's disk refused */
    unsigned mists, fallen;     /* rooms without a disk; those that did not hold all of theirs */
    unsigned enrolled, stopped; /* seeds with a further certificate; what it kept from being said */
    struct {
        const char *what;
        bool silent; /* nobody can notice it */
        unsigned told, noticed;
    } lies[SIM_LIES];
    uint64_t digest; /* of the last seed: every byte sent and when */
    char fail[512];  /* of the last seed; empty: good */
};

/* The same seed does the same. loud: what the clients are told goes to stderr. */
bool sim_seed(uint64_t seed, bool loud, struct sim_tally *t);

#endif
