/* stamp.h -- a third clock: time stamps of RFC 3161, asked for and judged. docs/evidence.md 5.2.
 *
 * An authority signs that it has seen the SHA-256 of some bytes at a time by its clock. Here are
 * the request and the judgement of the reply, as bytes; who carries them is the client's. The reply
 * is DER, all of it, and judged strictly: what is not asked for is not taken. Borrows everything.
 */
#ifndef COMMON_CRYPTO_STAMP_H
#define COMMON_CRYPTO_STAMP_H

#include "common/crypto/x509.h"

enum { STAMP_NONCE_LEN = 8, STAMP_REQUEST_MAX = 80 };

/* TimeStampReq for data with this hash; the certificates are asked for. The nonce is any bytes that
 * were never used. Gives the length. */
size_t stamp_request(uint8_t out[STAMP_REQUEST_MAX], const struct hash *data,
                     const uint8_t nonce[STAMP_NONCE_LEN]);

struct stamp_ask {
    struct hash data;
    const uint8_t *nonce; /* of the request; NULL: who judges later does not know it */
    struct span root;     /* DER: the authority's CA that is believed */
};

struct time_stamp {
    int64_t time;                  /* ms, the authority's clock */
    char authority[CERT_NAME_MAX]; /* as its certificate has it: not cleaned */
    struct hash signer;            /* its certificate */
};

/* Is reply (TimeStampResp) a time stamp of that data, by an authority under this CA? 0, or
 * -1 and e: ERR_DATA (it is not), ERR_AUTH (nobody that is believed), ERR_UNAVAILABLE (the
 * authority refused), ERR_LOCAL. */
int stamp_check(struct span reply, const struct stamp_ask *ask, struct time_stamp *out,
                struct err *e) MUST_USE;

#endif
