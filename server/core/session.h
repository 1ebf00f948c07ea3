/* session.h -- one connection above its link, on its loop: what the peer still owes us, which
 * frames it may send, and every check that needs no shared state.
 *
 * Opened bytes go in; jobs for the sequencer and frames for the peer come out. A peer's mistake
 * ends that peer: session_feed gives -1, session_out holds the error frame that says why, the
 * program sends it and closes. Knows no other connection, no store, no clock. */
#ifndef SERVER_CORE_SESSION_H
#define SERVER_CORE_SESSION_H

#include "server/core/job.h"

struct session;

struct session_conf {
    uint64_t conn;          /* never used again */
    bool join;              /* countersign-join/1 was agreed on */
    const char *link;       /* as link_kind_name says */
    const char *suite;      /* as struct link_info has it; NULL: unknown */
    const char *relay;      /* our name, for hello */
    const char *source;     /* peer's address without port */
    struct span leaf;       /* DER of the peer's certificate; empty on join */
    const char *email;      /* on join, where the peer can be reached; NULL: not said */
    struct hash relay_cert; /* SHA-256 of the certificate this connection saw */
    struct key exporter;
};

/* When something happens: the wall clock, by which certificates and messages are judged, and one
 * that nobody sets, for whatever has to happen within some time. */
struct moment {
    int64_t wall;  /* ms since 1970 */
    int64_t ticks; /* ms, monotonic */
};

/* hello is in session_out at once. Everything is copied. */
struct session *session_new(const struct session_conf *conf, struct moment at, struct err *e);
void session_free(struct session *s); /* NULL is fine */

/* Opened bytes. -1: the peer is done with, see session_error. */
int session_feed(struct session *s, struct span in, struct moment at) MUST_USE;
/* JOBS_MAX jobs wait, and perhaps further frames behind them: take the jobs, then call session_feed
 * without bytes before anything else is fed. */
bool session_stalled(const struct session *s);
/* The next job for the sequencer, the caller's from now on; NULL: there is none. */
struct job *session_job(struct session *s);
/* Frames for the peer, in clear: link_send them, then session_sent. */
struct span session_out(const struct session *s);
void session_sent(struct session *s, size_t n);

void session_welcome(struct session *s); /* EFFECT_WELCOME: logged in */
/* Ping when nothing was heard for PING_MS; -1: nothing for twice PING_MS, hello or login owed for
 * LOGIN_MS, or its certificate has expired. Call about once a second. */
int session_tick(struct session *s, struct moment at) MUST_USE;
/* The relay goes down: an error frame `shutdown` into session_out. */
void session_shutdown(struct session *s);

bool session_ready(const struct session *s);   /* owes nothing */
bool session_compact(const struct session *s); /* its hello had COMPACT_WORD */
const struct err *session_error(const struct session *s);
const struct hash *session_fp(const struct session *s); /* zeros on join */

#endif
