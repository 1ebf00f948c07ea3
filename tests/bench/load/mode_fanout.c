#include <stdio.h>

#include "tests/bench/load/modes.h"
#include "tests/bench/load/traffic.h"

static const uint64_t stall_ns = 10ull * 1000000000;

/* The measured span begins and ends while every window is full. */
struct span_of_time {
    uint64_t from, to; /* deliveries */
    struct watch begin, end;
    uint64_t delivered[2], acknowledged[2], received[2];
};

static uint64_t received(const struct load *l)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < l->conns_n; i++)
        n += conn_received(&l->conns[i]);
    return n;
}

static void plan(struct span_of_time *s, const struct traffic *t)
{
    const struct load_conf *conf = &t->load->conf;
    uint64_t windows = conf->rate > 0 ? 0 : conf->window * t->senders_n * t->receivers;

    s->from = t->total / 5;
    s->to = windows < t->total / 3 ? t->total - windows : t->total * 2 / 3;
}

static int look(struct load *l, struct span_of_time *s, unsigned which)
{
    s->delivered[which] = l->traffic->delivered;
    s->acknowledged[which] = l->traffic->acknowledged;
    s->received[which] = received(l);
    return watch_look(which == 0 ? &s->begin : &s->end, (int)l->conf.pid, &l->err);
}

/* Turns until so much was delivered; whoever brings nothing for long has lost something. */
static int turn_until(struct load *l, uint64_t delivered)
{
    struct traffic *t = l->traffic;
    uint64_t last = t->delivered, since = watch_now_ns();

    while (t->delivered < delivered) {
        if (load_turn(l, UINT64_MAX) < 0)
            return -1;
        if (t->delivered != last) {
            last = t->delivered;
            since = l->now_ns;
        } else if (l->now_ns - since > stall_ns) {
            return err_set(&l->err, ERR_PEER, "%llu of %llu deliveries never came",
                           (unsigned long long)(t->total - t->delivered),
                           (unsigned long long)t->total);
        }
    }
    return 0;
}

/* Everything is there; a moment more shows what comes twice. */
static int finish(struct load *l)
{
    struct traffic *t = l->traffic;
    uint64_t end;

    if (turn_until(l, t->total) < 0)
        return -1;
    for (end = l->now_ns + 100 * 1000000; l->now_ns < end;)
        if (load_turn(l, end) < 0)
            return -1;
    if (t->acknowledged != 0 && t->acknowledged != t->messages)
        return err_set(&l->err, ERR_PEER, "%llu of %llu entries were acknowledged",
                       (unsigned long long)t->acknowledged, (unsigned long long)t->messages);
    return 0;
}

static void report(const struct load *l, const struct span_of_time *s)
{
    const struct traffic *t = l->traffic;
    double seconds = (double)(s->end.at_ns - s->begin.at_ns) / 1e9;
    double n = (double)(s->delivered[1] - s->delivered[0]);

    figure("cpu_s_per_million", (double)(s->end.server_ns - s->begin.server_ns) / 1e9 / n * 1e6);
    figure("generator_s_per_million", (double)(s->end.own_ns - s->begin.own_ns) / 1e9 / n * 1e6);
    figure("deliveries_per_s", n / seconds);
    figure("messages_per_s", n / t->receivers / seconds);
    figure("acknowledged_per_s", (double)(s->acknowledged[1] - s->acknowledged[0]) / seconds);
    figure("wire_bytes", (double)(s->received[1] - s->received[0]) / n);
    figure("p50_ms", (double)hist_quantile(&t->latency, 0.5) / 1e6);
    figure("p99_ms", (double)hist_quantile(&t->latency, 0.99) / 1e6);
    figure("p999_ms", (double)hist_quantile(&t->latency, 0.999) / 1e6);
    figure("max_ms", (double)hist_quantile(&t->latency, 1) / 1e6);
    figure("other_cores", watch_others(&s->begin, &s->end));
}

static int prepare(struct load *l)
{
    if (l->driver->prepare == NULL)
        return 0;
    for (unsigned i = 0; i < l->traffic->senders_n; i++)
        if (l->driver->prepare(&l->traffic->senders[i]) < 0)
            return err_set(&l->err, ERR_LOCAL, "messages cannot be prepared");
    return 0;
}

static int measure(struct load *l)
{
    struct span_of_time s;

    plan(&s, l->traffic);
    l->speaking = true;
    traffic_begin(l->traffic);
    if (turn_until(l, s.from) < 0 || look(l, &s, 0) < 0)
        return -1;
    l->traffic->measured = true;
    if (turn_until(l, s.to) < 0 || look(l, &s, 1) < 0)
        return -1;
    l->traffic->measured = false;
    if (finish(l) < 0)
        return -1;
    report(l, &s);
    return 0;
}

int mode_fanout(struct load *l)
{
    static struct traffic t; /* its histogram is too big for a stack */

    if (load_connect(l, l->conns_n) < 0)
        return -1;
    int rc = traffic_open(l, &t) < 0 || prepare(l) < 0 ? -1 : measure(l);
    traffic_close(&t);
    return rc;
}
