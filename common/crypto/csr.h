/* csr.h -- certificate requests (PKCS#10, RFC 2986): the carrier of a public key and the proof that
 * its private key is at hand. What a request asks for besides is never copied into a certificate.
 */
#ifndef COMMON_CRYPTO_CSR_H
#define COMMON_CRYPTO_CSR_H

#include "common/crypto/pkey.h"
#include "common/util/limits.h"

struct csr {
    uint8_t spki[SPKI_MAX]; /* SubjectPublicKeyInfo, DER */
    size_t spki_n;
    bool rsa;
    unsigned bits;
};

/* The request of a key, with subject CN=cn. *n is what was written. */
int csr_make(struct pkey *k, const char *cn, const struct rng *r, uint8_t out[CSR_MAX], size_t *n,
             struct err *e) MUST_USE;

/* Exactly one DER request of at most CSR_MAX bytes, nothing behind it, with a key of RSA 2048 to
 * 4096 or P-256 and a self-signature that verifies. Devices must have RSA: the caller looks at
 * out->rsa. */
int csr_parse(struct span der, struct csr *out, struct err *e) MUST_USE;

#endif
