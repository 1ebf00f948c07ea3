/* loop.h -- a thread of libuv that carries connections: sockets, established links, sessions, and
 * its members of each room. Shares nothing with other loops and never waits. */
#ifndef SERVER_LOOP_H
#define SERVER_LOOP_H

#include <uv.h>

#include "server/box.h"
#include "server/log.h"
#include "server/sequencer.h"
#include "server/worker.h"

struct loop;

/* What all loops use. Borrowed until loop_free. */
struct loop_env {
    struct log *log;
    struct gate *gate, *classic_gate; /* classic_gate: the guests of `classic` */
    struct sequencer *sequencer;
    struct worker *const *workers;
    size_t workers_n;
    struct box *const *loops; /* of every loop, this one included */
    size_t loops_n;
    const char *name;              /* of the relay, for hello */
    _Atomic uint64_t *newcomer_ms; /* for handshake and login; may change at any time */
    _Atomic uint64_t *out_max;     /* bytes waiting for one reader */
};

struct loop *loop_new(unsigned number, const struct loop_env *env, struct err *e);
struct box *loop_box(struct loop *l); /* MSG_GUEST, MSG_SHAKEN, MSG_EFFECT, MSG_DRAIN, MSG_ABORT */
uv_loop_t *loop_uv(struct loop *l);   /* for further handles of its thread; before loop_run */
/* Runs on the calling thread until MSG_DRAIN or MSG_ABORT has been carried out. */
void loop_run(struct loop *l);
void loop_free(struct loop *l); /* after loop_run returned; NULL is fine */

/* Ids of connections: the loop is in them. */
uint64_t conn_id(uint64_t serial, unsigned loop);
unsigned conn_loop(uint64_t id);
uint64_t conn_serial(uint64_t id);

#endif
