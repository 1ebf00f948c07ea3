/* x509_inside.h -- what the files x509*.c, csr.c and issue.c share; nobody else includes it. */
#ifndef COMMON_CRYPTO_X509_INSIDE_H
#define COMMON_CRYPTO_X509_INSIDE_H

#include <mbedtls/x509_crl.h>
#include <mbedtls/x509_crt.h>

#include "common/crypto/x509.h"

struct cert {
    mbedtls_x509_crt crt;
};

struct crl {
    mbedtls_x509_crl crl;
    uint64_t number;
};

/* A CA somebody decided to believe, and its revocation list. */
struct trust_ca {
    struct cert *cert;
    bool root;
    struct crl *crl; /* NULL: none yet; its signature was verified with cert */
};

enum { TRUST_CAS_MAX = 16 };

struct trust {
    enum trust_crl policy;
    struct trust_ca ca[TRUST_CAS_MAX];
    size_t n;
};

/* mbedTLS's spans as ours. */
#define BUF_SPAN(b) span_of((b).p, (b).len)

/* The algorithms we accept in signatures of certificates, lists and requests. */
extern const mbedtls_x509_crt_profile x509_profile;

/* true when der is one SEQUENCE that fills it; *whole gets the length that its head claims. */
bool der_whole(struct span der, size_t *whole);

/* RSA of 2048 to 4096 bits or P-256. */
bool pk_strong(const mbedtls_pk_context *pk);
/* This key is written as everybody has to read it: a point of P-256 is not compressed (RFC 5480
 * 2.2). One key has one form. */
bool pk_plain(const mbedtls_pk_context *pk, struct span spki);
/* SHA-256 or longer under RSA (PKCS#1 v1.5) or ECDSA. */
bool sig_strong(const mbedtls_x509_buf *oid);
/* sig, by the algorithm that the signed thing names, over tbs. */
bool sig_verify(struct span tbs, mbedtls_md_type_t md, mbedtls_pk_type_t type, const void *opts,
                mbedtls_pk_context *pk, struct span sig);

/* The value of the first attribute with this OID (MBEDTLS_OID_AT_...), empty when absent. */
struct str name_part(const mbedtls_x509_name *name, const char *oid, size_t oid_n);
/* Only UTF8String, PrintableString and IA5String without control bytes. */
bool name_clean(const mbedtls_x509_name *name);

/* true when ca may be the issuer of c: the names are the same bytes, the key identifiers agree. */
bool cert_issued_by(const struct cert *c, const struct cert *ca);
bool cert_ca(const struct cert *c);
/* Serial numbers of certificates and lists: equal but for leading zeros. */
bool serial_same(const mbedtls_x509_buf *a, const mbedtls_x509_buf *b);
/* The CA in t with this certificate's name and key, or NULL. */
const struct trust_ca *trust_find(const struct trust *t, const struct cert *ca);
/* When crl revokes c: true, and the time in ms. */
bool crl_has(const struct crl *crl, const struct cert *c, int64_t *when);

/* Calendar. Proleptic Gregorian, UTC. */
int64_t x509_ms(const mbedtls_x509_time *t);
void ms_x509(int64_t ms, mbedtls_x509_time *t);
enum { DATE_LEN = 24 };
const char *date_put(char out[DATE_LEN], int64_t ms); /* "2026-01-02"; returns out */

#endif
