/* net.h -- one TCP connection of the client on a libuv loop: name, address race, bytes.
 *
 * A name may have IPv6 and IPv4 addresses: they are tried in turn, interleaved, each NET_HEAD_MS
 * after the one before (RFC 8305), and the first that answers stays. Knows nothing of TLS. */
#ifndef CLIENT_NET_H
#define CLIENT_NET_H

#include <stdint.h>
#include <uv.h>

#include "common/crypto/crypto.h"
#include "common/util/bytes.h"
#include "common/util/err.h"

enum {
    NET_HEAD_MS = 250,             /* head start of one address over the next */
    NET_BACKOFF_MS = 1000,         /* first bound of the wait before another try ... */
    NET_BACKOFF_MAX_MS = 60 * 1000 /* ... which doubles up to here */
};

struct net; /* opaque */

/* Nothing is called after net_hang_up, or after down. */
struct net_ops {
    void (*up)(void *ctx, const char *where); /* "[::1]:7443" */
    void (*bytes)(void *ctx, struct span in);
    void (*eof)(void *ctx);                         /* the peer's stream has ended */
    void (*down)(void *ctx, const struct err *why); /* could not connect, or broke */
    void *ctx;
};

struct net *net_new(uv_loop_t *loop, const struct net_ops *ops, struct err *e);
void net_free(struct net *n); /* hangs up; memory goes when the loop has closed the handles */

void net_dial(struct net *n, const char *host, uint16_t port); /* ends in up or down */
void net_race(struct net *n, const struct addrinfo *list);     /* the same, the name being known */
/* Copies and queues; too much waiting ends in down. */
void net_write(struct net *n, struct span out);
void net_hang_up(struct net *n); /* what was written is still sent */

/* How long to wait before try number `attempt` (from 1): drawn evenly from 0 to a bound that
 * doubles (full jitter), so that a thousand clients do not come back at once. */
int64_t net_backoff(unsigned attempt, const struct rng *rng);

/* "host:port", "host" (then port stays), "[v6]:port", "[v6]", a bare IPv6 address. host without
 * brackets. -1: not an address. */
int net_address(struct str text, char *host, size_t cap, uint16_t *port, struct err *e) MUST_USE;

#endif
