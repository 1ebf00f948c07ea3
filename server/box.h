/* box.h -- mailboxes between the relay's threads. What crosses names connections by id.
 *
 * Putting never waits. A box either wakes a libuv loop (box_hook) or a thread in box_wait. */
#ifndef SERVER_BOX_H
#define SERVER_BOX_H

#include "server/core/job.h"
#include "server/gate.h"
#include "server/identity.h"

enum msg_kind {
    /* to a loop */
    MSG_GUEST,  /* a new connection: fd, source */
    MSG_SHAKEN, /* a worker's answer to MSG_FEED */
    MSG_EFFECT, /* from the sequencer */
    MSG_DRAIN,  /* say goodbye to everybody, then end */
    MSG_ABORT,  /* end without another byte */
    /* to a worker */
    MSG_FEED,     /* bytes of a connection that handshakes */
    MSG_DROP,     /* it is gone */
    MSG_IDENTITY, /* for connections from now on */
    MSG_STOP,
};

struct guest {
    int fd; /* the taker's */
    struct source source;
    char text[INET6_ADDRSTRLEN];
    uint16_t port; /* of the peer */
};

enum shaken_how { SHAKEN_MORE, SHAKEN_OPEN, SHAKEN_FAILED };

struct shaken {
    enum shaken_how how;
    struct buf out;            /* bytes for the peer, before those of link */
    struct link *link;         /* SHAKEN_OPEN: the taker's */
    struct identity *identity; /* SHAKEN_OPEN: a reference, the taker's; it outlives link */
    char why[128];             /* SHAKEN_FAILED: sentence */
    char word[32];             /* SHAKEN_FAILED: for audit_log */
    struct hash fp;            /* of the certificate whose key the peer has proven; else zeros */
};

struct msg {
    struct msg *next;
    enum msg_kind kind;
    uint64_t conn;
    union {
        struct guest guest;
        struct shaken shaken;
        struct effect effect;
        struct identity *identity; /* one reference */
        struct {
            uint8_t *p; /* owned */
            size_t n;
        } bytes;
    };
};

struct msg *msg_new(enum msg_kind kind, uint64_t conn); /* zeros; NULL: no memory */
void msg_free(struct msg *m); /* with everything it still owns; NULL is fine */

/* Messages in order, not yet delivered. */
struct msgs {
    struct msg *first, *last;
};
void msgs_add(struct msgs *l, struct msg *m);

struct box;

struct box *box_new(void); /* NULL: no memory */
void box_free(struct box *b);
/* Called, on the putting thread, when something lies in a box that was empty. Before any put. */
void box_hook(struct box *b, void (*wake)(void *ctx), void *ctx);
void box_put(struct box *b, struct msg *m);      /* takes m */
void box_put_all(struct box *b, struct msgs *l); /* takes all of them; l is empty then */
struct msg *box_take(struct box *b);             /* everything that is there; NULL: nothing */
struct msg *box_wait(struct box *b);             /* the same, but waits for something */

#endif
