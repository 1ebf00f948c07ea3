/* core.h -- the sequencer's logic: who may what, in which order it happened, what is on disk.
 *
 * One thread. No sockets, clock or threads in here: time comes with each batch, randomness with the
 * conf. Work goes in as jobs and comes out as effects, in the order in which they have to be done:
 *
 *     core_begin(c, now, &e);
 *     core_job(c, j) ...                         many
 *     core_commit(c, &e);                        on disk, or the program ends
 *     while (core_effect(c, &ef)) ...            only now anything is acknowledged or published
 *
 * A -1 with anything but ERR_AGAIN of core_begin is final: stop without sending another byte. */
#ifndef SERVER_CORE_CORE_H
#define SERVER_CORE_CORE_H

#include "server/core/job.h"
#include "server/core/store.h"

struct core;

/* Makes the certificate of a new device (slow: RSA). */
typedef int core_issue(void *ctx, int64_t now, struct span spki, struct str name, struct str device,
                       struct store_chain *out, struct err *e);

struct core_conf {
    struct store store; /* stays the caller's */
    struct key seal;    /* for login records */
    struct rng rng;
    struct span root, crl;   /* DER, copied; crl may be empty */
    struct span evidence[2]; /* DER, copied: certificate of the evidence key, its issuer; empty:
                              * there is no such key, nothing is signed */
    core_issue *issue;
    void *issue_ctx;
    unsigned audit_days; /* how long addresses stay in the audit log; 0: AUDIT_DAYS */
};

/* Loads accounts, rooms and members. Effects wait at once: an EFFECT_DEVICE for every device. */
struct core *core_new(const struct core_conf *conf, int64_t now, struct err *e);
void core_free(struct core *c); /* NULL is fine */

int core_begin(struct core *c, int64_t now, struct err *e) MUST_USE;
void core_job(struct core *c, struct job *j); /* takes j */
bool core_full(const struct core *c);         /* enough for one batch: commit */
int core_commit(struct core *c, struct err *e) MUST_USE;
bool core_effect(struct core *c, struct effect *out); /* none before the commit */

/* These belong between core_begin and core_commit as well. */
void core_tick(struct core *c); /* every few seconds: sessions and penalties that ended */
/* The last batch but for signatures: no row of the audit log is left open, or unsigned for long. */
void core_end(struct core *c);
bool core_signing(const struct core *c); /* something is with the evidence key: a job will come */
/* Another certificate of the evidence key, from now on. */
int core_set_signer(struct core *c, struct span leaf, struct span issuer, struct err *e) MUST_USE;
void core_refresh(struct core *c); /* accounts and devices as another process left them */
int core_set_crl(struct core *c, struct span crl, struct err *e) MUST_USE;

/* 1: another process has written to the store: call core_refresh in the next batch. 0, -1 and e. */
int core_changed(struct core *c, struct err *e) MUST_USE;

/* Figures for tests, log and bench. */
struct core_counts {
    uint64_t encodings; /* frames encoded since the start */
    uint64_t entries, online, accounts, rooms;
    uint64_t signings; /* asked for since the start */
};
void core_counts(const struct core *c, struct core_counts *out);

#endif
