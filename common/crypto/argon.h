/* argon.h -- a key from a password: Argon2id (RFC 9106), one lane, by libsodium. */
#ifndef COMMON_CRYPTO_ARGON_H
#define COMMON_CRYPTO_ARGON_H

#include "common/crypto/crypto.h"

struct argon_cost {
    uint32_t t;     /* passes */
    uint32_t m_kib; /* memory */
};

enum {
    ARGON_SALT_LEN = 16,
    ARGON_T = 3, /* 64 MiB, three passes: RFC 9106's second choice; measured 89 ms */
    ARGON_M_KIB = 64 * 1024,
    ARGON_T_MAX = 16, /* a stored cost above these is damage, not a wish */
    ARGON_M_KIB_MAX = 1024 * 1024,
};

/* The cost everybody uses; only test programs pass another. */
struct argon_cost argon_cost_default(void);

/* Derives 32 bytes. password: 1 to PASSWORD_MAX bytes, taken as they are (NFC is the caller's).
 * -1: the cost is out of bounds, the password too long, or no memory. Takes t passes over m_kib:
 * call it where nothing waits. */
int argon_derive(struct key *out, struct str password, const uint8_t salt[ARGON_SALT_LEN],
                 struct argon_cost cost, struct err *e) MUST_USE;

#endif
