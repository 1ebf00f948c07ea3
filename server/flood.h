/* flood.h -- how often one event may be told: so many times a second, then only how many were left
 * out. Of any second at most FLOOD_EVENT events of a kind are told, and FLOOD_REPORTS counts with
 * their source; what else there is to count has no source. Pure: the clock is passed in. Used by
 * one thread at a time. */
#ifndef SERVER_FLOOD_H
#define SERVER_FLOOD_H

#include <stdbool.h>
#include <stdint.h>

#include "common/util/bytes.h"
#include "common/util/limits.h"

enum { FLOOD_WHAT = 32, FLOOD_WHO = 64, FLOOD_EVENTS = 64 };

/* What was left out of an event, from one source, or (source empty) from any; none is counted
 * twice.
 */
typedef void flood_report(void *ctx, const char *event, const char *source, uint64_t count);

struct flood_slot {
    char event[FLOOD_WHAT], source[FLOOD_WHO]; /* event empty: free; source empty: all of them */
    int64_t second;
    unsigned told;
    uint64_t left_out;
};

struct flood {
    struct flood_slot slots[FLOOD_SLOTS]; /* an event from a source */
    struct flood_slot all[FLOOD_EVENTS];  /* an event from anybody: nothing pushes these out */
    int64_t second;
    unsigned reports; /* in it, with a source */
    flood_report *report;
    void *ctx;
};

void flood_init(struct flood *f, flood_report *report, void *ctx);
/* May this one be told now? */
bool flood_pass(struct flood *f, const char *event, const char *source, int64_t now_ms);
/* Reports what was left out in seconds that are over. Call about once a second. */
void flood_tick(struct flood *f, int64_t now_ms);
/* Reports everything left out so far. */
void flood_end(struct flood *f);

#endif
