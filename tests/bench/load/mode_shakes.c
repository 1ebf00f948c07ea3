#include "tests/bench/load/modes.h"

static const uint64_t warm_ns = 300 * 1000000;
enum { SPANS_MAX = 10 }; /* some servers take a second for a login: few would be too few */

/* Whoever is through hangs up and dials again. */
static int turn(struct load *l, uint64_t end)
{
    if (load_turn(l, end) < 0)
        return -1;
    for (unsigned i = 0; i < l->conns_n; i++)
        if (l->conns[i].state == CONN_READY) {
            conn_hang_up(&l->conns[i]);
            conn_dial(&l->conns[i]);
        }
    return l->err.code == ERR_NONE ? 0 : -1;
}

static int span(struct load *l, uint64_t ns)
{
    uint64_t end = watch_now_ns() + ns;

    while (watch_now_ns() < end)
        if (turn(l, end) < 0)
            return -1;
    return 0;
}

int mode_shakes(struct load *l)
{
    struct watch from, to;

    l->shakes = true;
    for (unsigned i = 0; i < l->conns_n; i++)
        conn_dial(&l->conns[i]);
    if (span(l, warm_ns) < 0 || watch_look(&from, (int)l->conf.pid, &l->err) < 0)
        return -1;
    unsigned before = l->registered;
    for (unsigned i = 0; i < SPANS_MAX && l->registered - before < l->conns_n; i++)
        if (span(l, l->conf.seconds * 1000000000) < 0)
            return -1;
    if (l->registered == before)
        return err_set(&l->err, ERR_PEER, "nobody is let in");
    if (watch_look(&to, (int)l->conf.pid, &l->err) < 0)
        return -1;
    double n = l->registered - before;
    figure("per_cpu_s", n / ((double)(to.server_ns - from.server_ns) / 1e9));
    figure("per_s", n / ((double)(to.at_ns - from.at_ns) / 1e9));
    if (l->shake_flights > 0) {
        figure("bytes", (double)l->shake_bytes / l->registered);
        figure("round_trips", (double)l->shake_flights / l->registered);
    }
    figure("other_cores", watch_others(&from, &to));
    return 0;
}
