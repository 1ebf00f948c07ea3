/* dh.h -- Diffie-Hellman over the one group there is: RFC 3526 group 14 (2048 bits, generator 2).
 *
 * The group stands here and never comes from a peer. Exponents have 256 bits (RFC 7919 5.2: twice
 * the strength of the group, a tenth of the time), are drawn for each exchange and wiped with it.
 * The group's p is a safe prime: a public value from 2 to p - 2 has order q or 2q, so there is no
 * small subgroup to be led into. Numbers are big-endian and always DH_LEN bytes long. */
#ifndef COMMON_CRYPTO_DH_H
#define COMMON_CRYPTO_DH_H

#include "common/crypto/crypto.h"

enum { DH_LEN = 256 };

/* One side's ephemeral pair. dh_wipe once the secret was agreed. */
struct dh {
    struct key secret;
    uint8_t open[DH_LEN]; /* what the other side is told */
};

struct span dh_prime(void); /* p: for tests and for showing it */
/* Is this a value the group has an honest use for: 2 <= v <= p - 2? Looks at public bytes. */
bool dh_public(const uint8_t v[DH_LEN]);

int dh_draw(struct dh *out, const struct rng *r) MUST_USE;
/* 0, or -1: theirs is not from 2 to p - 2 (nothing was computed with it), or no memory. */
int dh_agree(uint8_t out[DH_LEN], const struct dh *ours, const uint8_t theirs[DH_LEN]) MUST_USE;
void dh_wipe(struct dh *d);

#endif
