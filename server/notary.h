/* notary.h -- the thread that holds the evidence key and signs what the core gives it, one after
 * the other, in order: an RSA-3072 signature takes milliseconds, for which nobody else stands
 * still. It runs at a lower priority than those who serve members. */
#ifndef SERVER_NOTARY_H
#define SERVER_NOTARY_H

#include "common/crypto/pkey.h"
#include "server/core/job.h"

struct notary;

/* Takes key, also on failure. answer(ctx, j) is called on the notary's thread and takes j: a
 * JOB_SIGNED with the ticket as conn, the text, and the signature, or none when there was no memory
 * or randomness for it. NULL and e. */
struct notary *notary_start(struct pkey *key, void (*answer)(void *ctx, struct job *j), void *ctx,
                            struct err *e);
/* Any thread; takes a reference of its own to text. -1: no memory. */
int notary_put(struct notary *n, uint64_t ticket, struct shared *text) MUST_USE;
/* Is this the certificate (DER) of the key? */
bool notary_holds(const struct notary *n, struct span leaf);
void notary_stop(struct notary *n); /* ends after the signature under way; NULL is fine */

#endif
