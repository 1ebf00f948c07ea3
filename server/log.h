/* log.h -- the relay's log: one line an event on one descriptor, from any thread.
 *
 *     struct kv k;
 *     kv_event(&k, "refused"); kv_text(&k, "why", why);
 *     log_from(log, source, &k);
 *
 * Secrets, tokens and texts of messages never get here. */
#ifndef SERVER_LOG_H
#define SERVER_LOG_H

#include "common/util/kv.h"

struct log;

struct log *log_new(int fd); /* fd stays the caller's; NULL: no memory */
void log_free(struct log *l);

/* Our own events: each is written. errno survives. */
void log_event(struct log *l, const struct kv *k);
/* Events that a peer can cause: floods of one event become lines with a count, few in a second
 * however many there are. true when this one was written. */
bool log_from(struct log *l, const char *source, const struct kv *k);
void log_tick(struct log *l); /* about once a second */

/* Shorthands: event=EVENT why=WHY, of our own. */
void log_say(struct log *l, const char *event, const char *why);

int64_t clock_now(void *ctx);   /* milliseconds since 1970; ctx is not used */
uint64_t clock_mono(void *ctx); /* microseconds, monotonic */
int64_t clock_ticks(void);      /* milliseconds, monotonic */

#endif
