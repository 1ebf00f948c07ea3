/* traffic.h -- who said what when, and who still misses it.
 *
 * Closed loop: each sender keeps `window` messages that not all receivers have yet. Open loop:
 * messages have a time at which they should leave, and their latency counts from there, so a late
 * generator or a stalled server shows. Every receiver gets every message of every sender once and
 * in the sender's order, or the run fails. */
#ifndef BENCH_LOAD_TRAFFIC_H
#define BENCH_LOAD_TRAFFIC_H

#include "tests/bench/load/hist.h"
#include "tests/bench/load/load.h"

struct sender {
    unsigned number;
    struct conn *conn;
    uint32_t messages;     /* it has to say in all */
    uint32_t said, whole;  /* said so far; of these, everybody has so many */
    uint32_t acknowledged; /* by a server that does so */
    uint32_t *missing;     /* receivers who still miss message i */
    uint64_t *left_ns;     /* when message i left, or should have */
    bool moved;            /* in the list of those whose window has room */
    struct sender *next_moved;
};

struct traffic {
    struct load *load;
    struct sender *senders;
    unsigned senders_n, receivers;
    struct sender *moved;
    uint64_t messages, said, delivered, total, acknowledged;
    uint64_t begun_ns;
    bool measured; /* latencies count */
    struct hist latency;
};

int traffic_open(struct load *l, struct traffic *t) MUST_USE;
void traffic_close(struct traffic *t);
void traffic_begin(struct traffic *t);
/* What is due by now leaves; gives when the next message is, UINT64_MAX: the answers tell. */
uint64_t traffic_pump(struct traffic *t);

/* --- for drivers --- */

/* Message `seq` of that sender, counted from 0, was delivered to c. */
void traffic_delivered(struct conn *c, uint32_t sender, uint32_t seq);

void traffic_acknowledged(struct sender *s);

/* Payload of protocols that carry bytes: `bytes` of text that say sender and seq. */
enum { PAYLOAD_HEAD = 13 };
void payload_put(char *out, const struct load *l, const struct sender *s, uint32_t seq);
void payload_take(struct conn *c, struct span payload); /* calls traffic_delivered */

#endif
