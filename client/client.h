/* client.h -- profile, store, engine and connection on one libuv loop: what every program of the
 * client runs. It connects, reconnects, derives passwords on a worker thread and hands on what
 * happens; it shows nothing.
 *
 *     c = client_open(&conf, password, &e);      unlocks key and store
 *     client_watch(c, &watch);
 *     client_start(c);                           connects
 *     client_run(c);                             until client_stop has finished
 *     client_close(c); */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include "client/core/engine.h"
#include "client/profile.h"
#include "common/link/link.h"

struct client;   /* opaque */
struct password; /* ask.h */
struct uv_loop_s;

struct client_conf {
    const char *profile;          /* --profile NAME; NULL: "default" */
    int password_fd;              /* --password-fd N; -1: none */
    const struct password *known; /* NULL, or the password as asked for by join a moment ago */
    const char *password_file;    /* --password-file; NULL: that of the configuration, or none */
    unsigned lock_wait_ms;        /* how long another process may hold the outbox */
    bool follow, whole;           /* see struct engine_conf */
    const enum link_kind *link;   /* --link NAME; NULL: the one that the account joined by */
    const struct hash *pin;       /* --pin SHA256 of the relay's certificate, `ecdhe`; NULL: the one
                                     that the account joined with, if any */
    const char *transcript;       /* --transcript auto|off: does each session's end leave files?
                                     NULL: as in the configuration, else auto */
    struct argon_cost *cost;      /* NULL: the real one. Only test programs lower it. */
};

enum client_net {
    CLIENT_IDLE,
    CLIENT_RESOLVING,
    CLIENT_CONNECTING,
    CLIENT_HANDSHAKE,
    CLIENT_LINKED, /* the relay's first frame has been opened */
    CLIENT_WAITING /* the connection failed or ended; the next try comes at retry_ms */
};

struct client_state {
    enum client_net net;
    const char *where; /* address in use, "[::1]:7443"; "" before one answered */
    unsigned attempt;  /* from 1; back to 1 after a login */
    int64_t retry_ms;  /* CLIENT_WAITING: until the next try */
    struct err why;    /* CLIENT_WAITING: what went wrong, or ERR_NONE */
};

/* Who is told; any function may be NULL. Pointers live for the call. */
struct client_watch {
    void (*event)(void *ctx, const struct engine_event *ev);
    void (*step)(void *ctx, const struct link_step *step);      /* number 1: a new try begins */
    void (*state)(void *ctx, const struct client_state *state); /* also every second of a wait */
    void (*over)(void *ctx, const struct err *why); /* no further try: refused, wrong password */
    void *ctx;
};

/* Opens the profile: key, certificates, store, outbox (locked). NULL and e. */
struct client *client_open(const struct client_conf *conf, struct str password, struct err *e);
void client_close(struct client *c); /* wipes; NULL is fine */

void client_watch(struct client *c, const struct client_watch *watch); /* copied */
void client_start(struct client *c);
void client_retry(struct client *c); /* now instead of at the end of the countdown */
/* Ends the connection and plans no further try. Like client_stop, once the relay has sealed what
 * was said, or SEAL_WAIT_MS are over; at once when called again. */
void client_pause(struct client *c);
bool client_rekey(struct client *c); /* see link_rekey; false: there is no link to do it on */
/* What was said since the last receipt is written with one (client/transcripts.h), once the relay
 * has sealed it; a note says where. Of how many rooms, or -1 and e: one has none. */
int client_seal(struct client *c, struct err *e) MUST_USE;
void client_stop(struct client *c); /* says close_notify, ends client_run */
/* For who ends, before client_close: what is still to be written. -1 and e: something was not. */
int client_sealed(struct client *c, struct err *e) MUST_USE;
/* Why the relay sealed nothing at the end; one clean line, NULL: it did, or was not waited for. */
const char *client_refused(const struct client *c);
int client_run(struct client *c, struct err *e) MUST_USE;

/* After commands to the engine: sends what it has to say and hands on its events. Never from
 * inside a watch function; there it happens by itself. */
void client_push(struct client *c);

struct engine *client_engine(struct client *c);
const struct profile *client_profile(const struct client *c);
struct uv_loop_s *client_loop(struct client *c);
/* The present link, or the last one: suite, group, the relay's chain. false: there was none. */
bool client_link(const struct client *c, struct link_info *out);
void client_now(const struct client *c, struct client_state *out);

#endif
