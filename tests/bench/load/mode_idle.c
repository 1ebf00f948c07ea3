#include "tests/bench/load/modes.h"

/* The server's resident memory once all are at rest for `seconds`. The orchestrator knows what it
 * was before. */
int mode_idle(struct load *l)
{
    uint64_t begun = watch_now_ns();

    if (load_connect(l, l->conns_n) < 0)
        return -1;
    uint64_t ready = watch_now_ns(), end = ready + l->conf.seconds * 1000000000;
    while (watch_now_ns() < end)
        if (load_turn(l, end) < 0)
            return -1;
    long kb = watch_resident_kb((int)l->conf.pid);
    if (kb < 0)
        return err_set(&l->err, ERR_OS, "the server is gone");
    figure("resident_kb", (double)kb);
    figure("connect_s", (double)(ready - begun) / 1e9);
    return 0;
}
