/* A guest of `classic`: who has a key is let in, and in the one room there is. */
#include "tests/bench/load/drivers.h"

static size_t take(struct conn *c, struct span in)
{
    (void)c;
    return in.n; /* who comes and goes: it is told to every guest */
}

const struct driver driver_classic = {
    .name = "classic",
    .login = conn_registered,
    .join = conn_joined,
    .take = take,
};
