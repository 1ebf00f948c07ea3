#include "tests/bench/load/hist.h"

static unsigned slot_of(uint64_t ns)
{
    if (ns < HIST_STEPS)
        return (unsigned)ns;
    unsigned top = 63 - (unsigned)__builtin_clzll(ns); /* at least HIST_STEP_BITS */
    unsigned shift = top - HIST_STEP_BITS;

    return (shift + 1) * HIST_STEPS + (unsigned)(ns >> shift) - HIST_STEPS;
}

static uint64_t value_of(unsigned slot)
{
    if (slot < HIST_STEPS)
        return slot;
    unsigned shift = slot / HIST_STEPS - 1;

    return (uint64_t)(slot % HIST_STEPS + HIST_STEPS) << shift;
}

void hist_add(struct hist *h, uint64_t ns)
{
    h->slots[slot_of(ns)]++;
    h->n++;
}

uint64_t hist_quantile(const struct hist *h, double part)
{
    uint64_t want = (uint64_t)(part * (double)h->n), seen = 0;

    for (unsigned i = 0; i < HIST_SLOTS; i++) {
        seen += h->slots[i];
        if (seen > want || (seen == h->n && seen > 0))
            return value_of(i);
    }
    return 0;
}
