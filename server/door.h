/* door.h -- the listening socket: takes guests, asks the gate, hands them to the loops in turn.
 * Without file descriptors left it closes the door for a moment instead of spinning (F2). */
#ifndef SERVER_DOOR_H
#define SERVER_DOOR_H

#include <uv.h>

#include "server/box.h"
#include "server/log.h"
#include "server/sequencer.h"

struct door;

struct door_conf {
    const char *listen; /* ADDR:PORT */
    struct log *log;
    struct gate *gate;
    struct sequencer *sequencer; /* for audit_log */
    struct box *const *loops;    /* borrowed */
    size_t loops_n;
};

/* Binds and listens, but takes nobody yet. */
struct door *door_new(const struct door_conf *c, struct err *e);
void door_open(struct door *d, uv_loop_t *loop); /* logs event=listening */
void door_close(struct door *d);                 /* on that loop's thread */
void door_free(struct door *d);                  /* after the loop ended; NULL is fine */
unsigned door_port(const struct door *d);

/* A socket bound to text, for the door and for doctor; -1 and e. */
int door_bind(const char *text, struct err *e);

#endif
