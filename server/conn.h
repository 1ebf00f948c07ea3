/* conn.h -- one connection on its loop. Included by server/loop.c and server/conn.c alone. */
#ifndef SERVER_CONN_H
#define SERVER_CONN_H

#include <uv.h>

#include "common/util/table.h"
#include "server/core/session.h"
#include "server/loop.h"
#include "server/pool.h"

enum conn_state {
    CONN_SHAKING, /* its link is on a worker */
    CONN_OPEN,    /* its link is here */
    CONN_ENDING,  /* our last words are on their way; nothing it says matters any more */
};

struct conn {
    uint64_t id;
    UT_hash_handle hh;
    struct loop *loop;
    enum conn_state state;
    bool at_worker; /* one job at a time: nothing is read meanwhile */
    bool held;      /* too many of its jobs are under way: nothing is read or taken */
    bool full;      /* the socket took no more: nothing is sent until it says so */
    bool dirty;     /* in the list of those with something to send */
    bool proven;    /* logged in: no longer counted as a newcomer */
    bool joining;   /* countersign-join/1 */
    bool classic;   /* a guest of `classic`: it has no session */
    bool logout;    /* the peer closed in order */
    bool shut;      /* our side of the stream is closed */
    int fd;
    int events; /* what is polled for */
    uv_poll_t poll;
    struct source source;
    char text[INET6_ADDRSTRLEN];
    uint16_t port;
    unsigned allowed;      /* classic: texts that he may still say in this turn */
    int64_t deadline;      /* monotonic ms: newcomer, or ENDING; 0: none */
    struct buf early;      /* bytes from the worker, before those of link */
    struct shared **queue; /* frames that wait to be sealed: from queue_at on, queued bytes */
    unsigned queue_n, queue_at, queue_cap;
    size_t queued;
    struct link *link;
    struct identity *identity;
    struct session *session;
    struct ahead *ahead;
    struct crowd **rooms;
    size_t rooms_n, rooms_cap;
    struct conn *next_dirty;
};

struct crowd { /* the members of a room who are on this loop */
    struct room_id id;
    UT_hash_handle hh;
    struct conn **members;
    size_t n, cap;
};

struct loop {
    unsigned number;
    struct loop_env env;
    uv_loop_t uv;
    uv_async_t mail;
    uv_prepare_t before;
    uv_check_t after;
    uv_timer_t timer;
    struct box *box;
    struct conn *conns;
    struct crowd *rooms;
    struct conn *dirty;
    struct jobs jobs; /* of this turn: the sequencer gets them together */
    struct pool pool; /* for what is sealed and not yet sent */
    bool draining;
    int64_t drain_until;
    uint8_t scratch[CONN_READ_MAX];
};

/* Takes j; the sequencer gets it at the end of the turn, or when JOBS_MAX wait. */
void loop_ask(struct loop *l, struct job *j);

/* Takes the guest's descriptor. */
void conn_welcome(struct loop *l, uint64_t id, struct guest *g);
void conn_shaken(struct conn *c, struct shaken *s);
/* One encoded frame for the peer; it is sealed when it can be sent. */
void conn_send(struct conn *c, struct shared *frame);
void conn_publish(struct conn *c, const struct effect *ef); /* in the form it reads */
void conn_resume(struct conn *c);
void conn_flush(struct conn *c); /* what waits, as far as the socket takes it: a write a slice */
void conn_tick(struct conn *c, int64_t now, int64_t ticks);
void conn_proven(struct conn *c);
void conn_guest(struct conn *c); /* of `classic`: no newcomer any more */
/* Ends it in order: what was sent to it still goes out, then close_notify. */
void conn_end(struct conn *c, const char *why);
void conn_destroy(struct conn *c, const char *why); /* at once, without a word */

int crowd_enter(struct loop *l, const struct room_id *id, struct conn *c) MUST_USE;
void crowd_leave(struct loop *l, const struct room_id *id, struct conn *c);
void crowds_leave(struct conn *c); /* all of them */
struct crowd *crowd_find(const struct loop *l, const struct room_id *id);

#endif
