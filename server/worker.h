/* worker.h -- a thread that carries handshakes: it owns the links of its connections until they are
 * established, and the copy of the relay's key that these links use. Public-key work never stops a
 * loop. */
#ifndef SERVER_WORKER_H
#define SERVER_WORKER_H

#include "server/box.h"

struct worker;

/* answer(ctx, m) is called on the worker's thread and takes m (MSG_SHAKEN). */
struct worker *worker_start(unsigned number, struct identity *identity,
                            void (*answer)(void *ctx, struct msg *m), void *ctx, struct err *e);
struct box *worker_box(struct worker *w); /* MSG_FEED, MSG_DROP, MSG_IDENTITY */
void worker_stop(struct worker *w);       /* waits for its thread; NULL is fine */

#endif
