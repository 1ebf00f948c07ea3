/* job.h -- one command at work on a connected client, without a screen: it opens the profile,
 * connects, does its thing when logged in, and ends. headless.c has the commands that end by
 * themselves, plain.c the line mode. */
#ifndef CLIENT_JOB_H
#define CLIENT_JOB_H

#include <uv.h>

#include "client/command.h"

struct job {
    struct call *call;
    struct client *client;
    uv_timer_t limit;
    uv_signal_t term, intr;
    bool done, ready;
    struct err err; /* why it failed; ERR_NONE at the end: fine */

    /* send, room */
    struct str text;
    struct room_id room;
    uint64_t request, seq, number;
    int64_t time;
    char later[REASON_MAX]; /* why the relay does not take it yet */
    const char *target;
    int (*at_ready)(struct job *j);
    int (*at_answer)(struct job *j, const struct engine_event *ev); /* its request succeeded */
    bool listed; /* send: the room's members are told */
    size_t at;   /* accept: the room that is asked about */

    /* recv, export */
    bool quiet;       /* prints no message */
    uint64_t printed; /* arrival of the last entry printed */
    unsigned refused;
    bool broken;            /* the relay lied about a room */
    bool caught[ROOMS_MAX]; /* by place in the engine's list */

    /* plain */
    void *mode;
    void (*at_event)(struct job *j); /* after every event; NULL: nothing to do */
    void (*at_end)(struct job *j);   /* closes its own handles; NULL */
};

/* Opens the client, runs it until job_end, closes it. -1 and e: why it failed. */
int job_run(struct job *j, struct err *e) MUST_USE;
void job_end(struct job *j);
void job_fail(struct job *j, const struct err *why); /* ends it for this reason */
struct engine *job_engine(struct job *j);

/* Prints an entry that has arrived since the last one, if its room is wanted; ctx is the job. */
int job_print(void *ctx, const struct engine_entry *t) MUST_USE;

#endif
