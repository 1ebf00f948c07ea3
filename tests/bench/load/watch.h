/* watch.h -- what the server and everybody else cost, as the kernel counts it. */
#ifndef BENCH_LOAD_WATCH_H
#define BENCH_LOAD_WATCH_H

#include <stdint.h>

#include "common/util/err.h"

/* One look. The server's time is that of its process with all threads, also those that ended: what
 * /proc/PID/stat says as utime and stime, in nanoseconds instead of ticks. */
struct watch {
    uint64_t at_ns;             /* monotonic */
    uint64_t server_ns, own_ns; /* CPU time */
    uint64_t machine_ns;        /* CPU time of the whole machine, in ticks of 10 ms */
};

uint64_t watch_now_ns(void); /* monotonic */
int watch_look(struct watch *w, int pid, struct err *e) MUST_USE;
/* Of the span between two looks: cores that neither server nor generator used. */
double watch_others(const struct watch *from, const struct watch *to);
long watch_resident_kb(int pid); /* -1: the server is gone */

#endif
