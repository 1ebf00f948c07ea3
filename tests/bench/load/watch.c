#include "tests/bench/load/watch.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

static uint64_t clock_ns(clockid_t id)
{
    struct timespec t;

    return clock_gettime(id, &t) < 0 ? 0 : (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

uint64_t watch_now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

/* user, nice, system, (idle, iowait,) irq, softirq */
static uint64_t machine_ns(void)
{
    unsigned long long t[7] = {0};
    FILE *f = fopen("/proc/stat", "r");

    if (f == NULL)
        return 0;
    int n = fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu", &t[0], &t[1], &t[2], &t[3], &t[4],
                   &t[5], &t[6]);
    fclose(f);
    uint64_t ticks = n == 7 ? t[0] + t[1] + t[2] + t[5] + t[6] : 0;
    return ticks * (1000000000 / (uint64_t)sysconf(_SC_CLK_TCK));
}

int watch_look(struct watch *w, int pid, struct err *e)
{
    clockid_t server;

    *w = (struct watch){.at_ns = watch_now_ns(), .own_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID)};
    w->machine_ns = machine_ns();
    if (clock_getcpuclockid(pid, &server) != 0 || (w->server_ns = clock_ns(server)) == 0)
        return err_set(e, ERR_OS, "no process %d", pid);
    return 0;
}

double watch_others(const struct watch *from, const struct watch *to)
{
    double ours = (double)(to->server_ns - from->server_ns) + (double)(to->own_ns - from->own_ns);
    double rest = (double)(to->machine_ns - from->machine_ns) - ours;

    return rest > 0 ? rest / (double)(to->at_ns - from->at_ns) : 0;
}

long watch_resident_kb(int pid)
{
    char path[64];
    long pages = -1;

    snprintf(path, sizeof path, "/proc/%d/statm", pid);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return -1;
    if (fscanf(f, "%*d %ld", &pages) != 1)
        pages = -1;
    fclose(f);
    return pages < 0 ? -1 : pages * (sysconf(_SC_PAGESIZE) / 1024);
}
