#include "server/core/seal.h"

#include <string.h>

enum { NONCE = 24, PLAIN = 64 };

int login_seal(uint8_t out[LOGIN_SEALED_LEN], const struct key *k, const struct account_id *id,
               const struct account_record *rec, const struct rng *r)
{
    uint8_t plain[PLAIN];

    memcpy(plain, rec->stored.b, 32);
    memcpy(plain + 32, rec->server.b, 32);
    int rc = rng_fill(r, out, NONCE);
    if (rc == 0)
        rc = aead_seal(AEAD_XCHACHA20_POLY1305, k, out, span_of(id->b, sizeof id->b),
                       span_of(plain, sizeof plain), out + NONCE);
    wipe(plain, sizeof plain);
    return rc;
}

int login_open(struct account_record *rec, const struct key *k, const struct account_id *id,
               const uint8_t sealed[LOGIN_SEALED_LEN])
{
    uint8_t plain[PLAIN] = {0};

    int rc = aead_open(AEAD_XCHACHA20_POLY1305, k, sealed, span_of(id->b, sizeof id->b),
                       span_of(sealed + NONCE, LOGIN_SEALED_LEN - NONCE), plain);
    memcpy(rec->stored.b, plain, 32);
    memcpy(rec->server.b, plain + 32, 32);
    wipe(plain, sizeof plain);
    return rc;
}
