#include "tests/bench/load/modes.h"

/* Every connection is cut, then all dial again, `parallel` at a time; the clock stops when the last
 * one is logged in and in its room. */
int mode_storm(struct load *l)
{
    struct watch from, to;

    if (load_connect(l, l->conns_n) < 0 || watch_look(&from, (int)l->conf.pid, &l->err) < 0)
        return -1;
    l->conf.parallel = l->conns_n;
    for (unsigned i = 0; i < l->conns_n; i++)
        conn_hang_up(&l->conns[i]);
    if (load_connect(l, l->conns_n) < 0 || watch_look(&to, (int)l->conf.pid, &l->err) < 0)
        return -1;
    figure("back_s", (double)(to.at_ns - from.at_ns) / 1e9);
    figure("cpu_ms_each", (double)(to.server_ns - from.server_ns) / 1e6 / l->conns_n);
    figure("other_cores", watch_others(&from, &to));
    return 0;
}
