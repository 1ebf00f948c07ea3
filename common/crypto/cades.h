/* cades.h -- a detached signature as others' programs know it: CMS SignedData (RFC 5652) in the
 * form of CAdES-B (ETSI EN 319 122-1, 6), one signer, RSA-PSS as everywhere here (pkey.h).
 * docs/evidence.md 5.1 has it to the byte.
 *
 * One spelling: but for the signature every byte follows from what is signed, the two certificates
 * and the time. So it is checked by writing it again, and nothing is parsed. Knows no receipt and
 * judges no certificate (x509.h). Borrows everything. */
#ifndef COMMON_CRYPTO_CADES_H
#define COMMON_CRYPTO_CADES_H

#include "common/crypto/pkey.h"
#include "common/crypto/x509.h"

struct cades {
    struct span content; /* what is signed; not in it */
    struct span signer;  /* his certificate, DER; in it */
    struct span issuer;  /* that of his CA, DER; in it */
    int64_t time;        /* ms; to the second below */
};

/* Signs with k, which is the signer's. sig has SIG_MAX bytes. 0, or -1 and e. */
int cades_sign(const struct cades *c, struct pkey *k, const struct rng *r, uint8_t *sig, size_t *n,
               struct err *e) MUST_USE;

/* The whole of it in DER, with a signature by cades_sign: appended to out. 0, or -1 and e: a
 * certificate that cannot be read (ERR_DATA), too long (ERR_LIMIT). */
int cades_put(const struct cades *c, struct span sig, struct buf *out, struct err *e) MUST_USE;

/* Is der what cades_put writes, and its signature the signer's? 0, or -1 and e (ERR_DATA;
 * ERR_LIMIT, ERR_LOCAL: it cannot be told). */
int cades_check(const struct cades *c, struct span der, struct err *e) MUST_USE;

#endif
