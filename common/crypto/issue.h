/* issue.h -- certificates and revocation lists written: DER, version 3 and version 2 (RFC 5280). */
#ifndef COMMON_CRYPTO_ISSUE_H
#define COMMON_CRYPTO_ISSUE_H

#include "common/crypto/pkey.h"
#include "common/crypto/x509.h"

enum { SERIAL_LEN = 16, SANS_MAX = 16 };

struct serial {
    uint8_t b[SERIAL_LEN]; /* top bit 0, next bit 1: positive, always 16 bytes */
};

/* Bits of KeyUsage (RFC 5280 4.2.1.3), first bit first. */
enum {
    USAGE_SIGN = 1 << 0,
    USAGE_NON_REPUDIATION = 1 << 1,
    USAGE_CERT_SIGN = 1 << 5,
    USAGE_CRL_SIGN = 1 << 6,
};

enum san_kind { SAN_DNS, SAN_IP, SAN_URI };

struct san {
    enum san_kind kind;
    struct span value; /* text, or 4 or 16 bytes of address */
};

/* Everything a certificate says. cert_form_of fills in what its role prescribes; the caller adds
 * subject, names, dates and key. */
struct cert_form {
    struct str cn, ou; /* subject; ou may be empty */
    struct span spki;  /* DER; borrowed like every span here */
    struct serial serial;
    int64_t not_before, not_after; /* ms, cut to seconds */
    struct san sans[SANS_MAX];
    size_t sans_n;
    bool ca;
    int pathlen;                             /* -1: none */
    unsigned usage;                          /* USAGE_ bits; 0: no key usage extension */
    bool server_auth, client_auth, evidence; /* extended key usage; none: no such extension */
};

struct cert_form cert_form_of(enum cert_role role);

/* 128 random bits as above. */
int serial_draw(struct serial *out, const struct rng *r) MUST_USE;

/* Percent-encodes name and device into "countersign:<name>/<device>": the URI SAN of a device.
 * Only A-Z a-z 0-9 - . _ ~ stand for themselves. -1 when it does not fit. */
int device_uri(char *out, size_t cap, struct str name, struct str device) MUST_USE;

/* Who signs. cert is empty for a root, which signs itself. */
struct issuer {
    struct span cert; /* DER */
    struct pkey *key;
};

/* Writes and signs (SHA-256) the certificate of the form: out gets the DER, *n its length. */
int cert_issue(const struct cert_form *f, const struct issuer *by, const struct rng *r,
               uint8_t out[CERT_MAX], size_t *n, struct err *e) MUST_USE;

/* Why a certificate was revoked: id, CRLReason code (RFC 5280 5.3.1), name. */
#define REVOKE_REASONS(X)                                                                          \
    X(REVOKE_UNSPECIFIED, 0, "unspecified")                                                        \
    X(REVOKE_KEY_COMPROMISE, 1, "key-compromise")                                                  \
    X(REVOKE_CA_COMPROMISE, 2, "ca-compromise")                                                    \
    X(REVOKE_AFFILIATION, 3, "affiliation-changed")                                                \
    X(REVOKE_SUPERSEDED, 4, "superseded")                                                          \
    X(REVOKE_CESSATION, 5, "cessation")

#define X(id, code, name) id,
enum revoke_reason { REVOKE_REASONS(X) REVOKE_REASON_COUNT };
#undef X

const char *revoke_reason_name(enum revoke_reason r);

struct crl_entry {
    struct span serial; /* as in the certificate, without leading zeros */
    int64_t when;       /* ms, rounded up to a second */
    enum revoke_reason reason;
};

struct crl_form {
    uint64_t number;                  /* CRL number: only grows */
    int64_t this_update, next_update; /* ms */
    const struct crl_entry *entries;
    size_t entries_n;
};

/* Writes and signs the CRL; the DER is appended to out (at most CRL_MAX bytes). */
int crl_write(const struct crl_form *f, const struct issuer *by, const struct rng *r,
              struct buf *out, struct err *e) MUST_USE;

#endif
