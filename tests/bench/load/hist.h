/* hist.h -- how long things took: a histogram with 64 steps for every power of two, so a quantile
 * is off by less than 1.6 %. Values in nanoseconds. Grows nothing, knows no clock. */
#ifndef BENCH_LOAD_HIST_H
#define BENCH_LOAD_HIST_H

#include <stdint.h>

enum { HIST_STEP_BITS = 6, HIST_STEPS = 1 << HIST_STEP_BITS, HIST_SLOTS = (64 - 5) * HIST_STEPS };

struct hist {
    uint64_t n, slots[HIST_SLOTS];
};

void hist_add(struct hist *h, uint64_t ns);
/* The value that `part` (0 to 1) of all values do not exceed; 0 when there are none. */
uint64_t hist_quantile(const struct hist *h, double part);

#endif
