#include <stdio.h>

#include "tests/bench/load/modes.h"

/* Every connection stops before the client's last flight, where the relay has done its share of the
 * work, and stays. With --again it hangs up there and dials anew: a flood. Until the time is over,
 * or standard input ends. */

static int again(struct load *l)
{
    for (unsigned i = 0; i < l->conns_n; i++)
        if (l->conns[i].at_last) {
            conn_hang_up(&l->conns[i]);
            conn_dial(&l->conns[i]);
            l->registered++;
        }
    return l->err.code == ERR_NONE ? 0 : -1;
}

static bool all_half(const struct load *l)
{
    for (unsigned i = 0; i < l->conns_n; i++)
        if (!l->conns[i].at_last)
            return false;
    return true;
}

int mode_half(struct load *l)
{
    uint64_t begun = watch_now_ns(), end = begun + l->conf.seconds * 1000000000;
    bool told = false;

    l->half = true;
    for (unsigned i = 0; i < l->conns_n; i++)
        conn_dial(&l->conns[i]);
    while (watch_now_ns() < end) {
        if (load_turn(l, end) < 0)
            return -1;
        if (!told && (l->conf.again ? l->registered >= l->conns_n : all_half(l))) {
            figure("half_open", l->conns_n);
            fflush(stdout);
            told = true;
        }
        if (l->conf.again && again(l) < 0)
            return -1;
    }
    figure("again_per_s", l->registered / ((double)(watch_now_ns() - begun) / 1e9));
    return told ? 0 : err_set(&l->err, ERR_PEER, "not all were half open at a time");
}
