/* pipe.h -- what carries a connection's bytes: OpenSSL's TLS, or the client's end of a link of
 * ours. conn.c decides when; a pipe owns what it has opened and works on the socket of its
 * connection, which does not block. Reasons go to load_fail. */
#ifndef BENCH_LOAD_PIPE_H
#define BENCH_LOAD_PIPE_H

#include "common/chat/account.h"
#include "tests/bench/load/load.h"

struct pipe_kind {
    /* Once for all connections: keys, trust. */
    int (*open)(struct load *l, struct err *e) MUST_USE;
    void (*close)(struct load *l);
    int (*start)(struct conn *c) MUST_USE; /* the socket is connected */
    int (*shake)(struct conn *c) MUST_USE; /* 1: shaken, 0: the server's turn, -1: failed */
    int (*push)(struct conn *c) MUST_USE;  /* c->out. 0: all went, 1: the socket is full, -1 */
    /* Opened bytes, how many: 0 when there are none now, -1 at the end of the stream. */
    int (*pull)(struct conn *c, uint8_t *p, size_t n) MUST_USE;
    uint64_t (*received)(const struct conn *c);
    /* What a login over it is bound to: link, exporter, the relay's certificate. */
    int (*bind)(const struct conn *c, struct account_auth *a) MUST_USE;
    void (*stop)(struct conn *c); /* never started is fine */
};

extern const struct pipe_kind pipe_tls;  /* OpenSSL's client */
extern const struct pipe_kind pipe_link; /* --link: common/link's client of that name */

#endif
