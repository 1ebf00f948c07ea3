/* wire.h -- a connection with its handshake: net.h below, common/link above, one at a time.
 *
 * What joining, the handshake view and the client have in common. The link of the last connection
 * stays to be looked at until the next one is dialled. */
#ifndef CLIENT_WIRE_H
#define CLIENT_WIRE_H

#include <uv.h>

#include "common/link/link.h"

struct wire; /* opaque */

/* Nothing is called after wire_hang_up, or after down. */
struct wire_ops {
    void (*up)(void *ctx, const char *where); /* TCP stands, the handshake begins */
    void (*step)(void *ctx, const struct link_step *step);
    void (*linked)(void *ctx); /* the relay's first bytes were opened */
    void (*message)(void *ctx, struct span bytes);
    void (*rest)(void *ctx); /* all that came has been handed on: time to answer */
    void (*down)(void *ctx, const struct err *why, bool final); /* final: another try is no use */
    void *ctx;
};

struct wire *wire_new(uv_loop_t *loop, const struct wire_ops *ops, struct err *e);
void wire_free(struct wire *w); /* NULL is fine; the loop must run once more */

/* conf is borrowed until the next wire_dial; its host is used for the name of the certificate. */
void wire_dial(struct wire *w, const struct link_conf *conf, const char *host, uint16_t port);
void wire_send(struct wire *w, struct span plain);  /* sealed and written; fails into down */
bool wire_rekey(struct wire *w);                    /* see link_rekey; false: not now */
void wire_hang_up(struct wire *w);                  /* says close_notify */
const struct link *wire_link(const struct wire *w); /* NULL before the first one */

/* Clocks for a link_conf: ctx is not used. */
int64_t clock_wall_ms(void *ctx);
uint64_t clock_mono_us(void *ctx);
int64_t clock_mono_ms(void *ctx);

#endif
