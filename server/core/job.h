/* job.h -- what a loop asks of the sequencer, and what the sequencer has the loops do.
 *
 * Both name connections by id, never by pointer: a connection may be gone when the answer comes. A
 * job and a frame belong to whoever holds them. */
#ifndef SERVER_CORE_JOB_H
#define SERVER_CORE_JOB_H

#include "common/chat/account.h"
#include "common/chat/content.h"
#include "common/chat/entry.h"
#include "common/chat/proto.h"
#include "common/crypto/csr.h"
#include "common/evidence/receipt.h"
#include "server/core/source.h"

/* One encoded frame (u32 and what follows), immutable, shared by all who send it, on any thread. */
struct shared {
    _Atomic unsigned refs;
    size_t n;
    uint8_t b[];
};

struct shared *shared_new(struct span bytes); /* one reference, the caller's; NULL: no memory */
struct shared *shared_ref(struct shared *s);  /* gives s */
void shared_unref(struct shared *s);          /* NULL is fine */

/* How many of a connection's jobs are under way: the connection and each of them hold it. */
struct ahead;
struct ahead *ahead_new(void); /* held once, by the caller; NULL: no memory */
struct ahead *ahead_hold(struct ahead *a);
void ahead_release(struct ahead *a); /* NULL is fine */
unsigned ahead_count(struct ahead *a);

enum job_kind {
    JOB_FRAME,  /* a request that passed every check that needs no shared state */
    JOB_GONE,   /* the connection ended */
    JOB_SIGNED, /* the answer to EFFECT_SIGN; conn is its ticket */
    JOB_AUDIT,  /* a refusal before authentication: reason, source, auth.client_cert when known */
};

struct job {
    struct job *next; /* for whoever queues it */
    enum job_kind kind;
    uint64_t conn;
    struct ahead *ahead;         /* held; NULL: nobody counts it */
    struct frame frame;          /* JOB_FRAME: owned */
    char source[SOURCE_MAX + 1]; /* address without port: login, resume, proof, join, audit */
    char reason[64];             /* JOB_GONE, JOB_AUDIT: one word or few */
    struct account_auth auth;    /* login, proof, resume: what is known on the loop */
    bool logout;                 /* JOB_GONE: the peer closed in order */
    bool compact;                /* login, resume: it reads compact entries */
    bool cosigns;                /* login, resume: COSIGN_WORD was among its features */
    const char *suite;           /* login, resume: of its link; lives as long as the program */
    struct entry_line line;      /* entry: taken apart, signature and body checked */
    struct hash line_hash;
    char policy[128];    /* entry: why it is to be voided; empty: it is not */
    struct content what; /* entry: what it says; owned, and only of join, leave and invite */
    struct csr csr;      /* join */
    struct receipt
        receipt; /* seal, cosign: taken apart, and signed by the certificate of the connection */
    int64_t sealed_at;   /* cosign: the date of the seal */
    char *email;         /* join: where the new member can be reached; owned, may be NULL */
    struct shared *text; /* signed: held */
    struct shared *sig;  /* ... held; NULL: it could not be signed */
};

struct job *job_new(enum job_kind kind, uint64_t conn); /* zeros; NULL: no memory */
void job_free(struct job *j);                           /* wipes; NULL is fine */

/* Jobs in order, on their way to the sequencer. */
struct jobs {
    struct job *first, *last;
    unsigned n;
};
void jobs_add(struct jobs *l, struct job *j);       /* takes j */
void jobs_move(struct jobs *to, struct jobs *from); /* all of them, behind those in to */
struct job *jobs_next(struct jobs *l);              /* the first, the caller's; NULL: none */
void jobs_free(struct jobs *l);                     /* all of them */

enum effect_kind {
    EFFECT_SEND,     /* frame to conn */
    EFFECT_WELCOME,  /* frame to conn, and call session_welcome: it is logged in */
    EFFECT_PUBLISH,  /* frame to every connection in room but conn (0: to all) */
    EFFECT_ENTER,    /* conn is in room from here on */
    EFFECT_LEAVE,    /* conn is no longer in room */
    EFFECT_READ,     /* half of what conn had under way is done: it may be read from again */
    EFFECT_CLOSE,    /* conn ends after what was sent to it; reason for the log */
    EFFECT_EVERYONE, /* frame to every connection that is logged in */
    EFFECT_SIGN,     /* frame: bytes for the evidence key, conn: ticket; JOB_SIGNED comes back */
    EFFECT_DEVICE,   /* fp: what a link's judge has to say of it from now on */
};

struct effect {
    enum effect_kind kind;
    uint64_t conn;
    struct room_id room;
    struct shared *frame; /* one reference: the taker's; NULL in PUBLISH: nobody reads this form */
    struct shared *compact; /* PUBLISH of an entry: the same for those who read compact ones */
    const char *reason;     /* static text */
    struct hash fp;
    enum cert_fault fault;       /* CERT_OK or CERT_REVOKED */
    struct account_id account;   /* WELCOME */
    char name[NAME_MAX_LEN + 1]; /* WELCOME: of the account, for the log */
};

/* The frame for a connection that reads compact entries, or does not; NULL: none for it. */
struct shared *effect_frame(const struct effect *ef, bool compact);
void effect_drop(struct effect *ef); /* gives its frames back */

#endif
