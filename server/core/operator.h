/* operator.h -- what the commands of the relay's operator do to the store, in their own process
 * beside a running relay: each is one transaction and writes its line of the audit log. A running
 * relay notices by core_changed. */
#ifndef SERVER_CORE_OPERATOR_H
#define SERVER_CORE_OPERATOR_H

#include "server/core/store.h"

struct operator_invite {
    const char *for_name; /* a further device of that account; NULL: a new account */
    bool keep;            /* for_name: its former devices stay valid */
    bool admin;           /* new account only */
    int64_t life;         /* ms; 0: INVITE_LIFE_MS */
};

/* The token goes into the invite and nowhere else. ERR_INPUT: no such account. */
int operator_invite(struct store *s, const struct operator_invite *ask, const struct rng *r,
                    int64_t now, uint8_t token[TOKEN_LEN], struct err *e) MUST_USE;

/* ERR_INPUT: no such account. */
int operator_disable(struct store *s, const char *name, bool disabled, int64_t now,
                     struct err *e) MUST_USE;

/* Marks a device as revoked and ends its sessions; the CRL is the CA's business. ERR_INPUT: no such
 * device. */
int operator_revoke(struct store *s, const struct hash *fp, int64_t now, struct err *e) MUST_USE;

#endif
