/* x509.h -- certificates of peers: read, show, and judge by every rule.
 *
 * mbedTLS's own verification alone is not certificate validation; cert_check adds what it leaves
 * out (RFC 5280 6.1, RFC 9525, docs/protocol.md 9). No clock: the time is part of the question.
 *
 * A struct trust is filled by one thread; once nobody changes it any more, any number of threads
 * may check against it. A struct cert is used by one thread at a time. */
#ifndef COMMON_CRYPTO_X509_H
#define COMMON_CRYPTO_X509_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/crypto/crypto.h"
#include "common/crypto/memo.h"
#include "common/util/bytes.h"
#include "common/util/err.h"
#include "common/util/limits.h"

/* Every way in which a certificate is refused: id, TLS alert that says so (RFC 8446 6.2), sentence,
 * word for audit_log. 80: nothing is wrong with the certificate, its judge lacks a valid CRL. */
#define CERT_FAULTS(X)                                                                             \
    X(CERT_OK, 0, "in order", "ok")                                                                \
    X(CERT_NONE, 116, "no certificate was presented", "missing")                                   \
    X(CERT_TOO_BIG, 42, "the certificate is too big", "too-big")                                   \
    X(CERT_MALFORMED, 42, "the certificate is malformed", "malformed")                             \
    X(CERT_TRAILING, 42, "bytes follow the certificate", "trailing-bytes")                         \
    X(CERT_BAD_NAME, 42, "a name holds control bytes or a forbidden kind of text", "bad-name")     \
    X(CERT_VERSION, 43, "not X.509 version 3", "version")                                          \
    X(CERT_CRITICAL, 43, "an extension that limits it is not understood", "critical-extension")    \
    X(CERT_WEAK_KEY, 43, "the key is too weak or of a kind not allowed", "weak-key")               \
    X(CERT_WEAK_SIGNATURE, 43, "the signature algorithm is too weak", "weak-signature")            \
    X(CERT_CHAIN_LONG, 42, "the chain has too many certificates", "chain-too-long")                \
    X(CERT_SELF_SIGNED, 48, "signed by itself and not trusted", "self-signed")                     \
    X(CERT_UNKNOWN_CA, 48, "the issuer is not known here", "unknown-ca")                           \
    X(CERT_BAD_SIGNATURE, 42, "the issuer's signature does not verify", "bad-signature")           \
    X(CERT_ISSUER_NOT_CA, 42, "the issuer may not issue certificates", "issuer-not-ca")            \
    X(CERT_PATH_LENGTH, 42, "the issuer may not have further CAs below it", "path-length")         \
    X(CERT_IS_CA, 43, "a CA certificate where a leaf is wanted", "ca-as-leaf")                     \
    X(CERT_KEY_USAGE, 43, "the key usage is wrong for this role", "key-usage")                     \
    X(CERT_NO_EKU, 43, "the extended key usage is missing", "no-eku")                              \
    X(CERT_WRONG_ROLE, 43, "made for another role", "wrong-role")                                  \
    X(CERT_NO_SAN, 42, "no subject alternative name", "no-san")                                    \
    X(CERT_WRONG_NAME, 42, "made out to another name", "wrong-name")                               \
    X(CERT_EXPIRED, 45, "expired", "expired")                                                      \
    X(CERT_FUTURE, 45, "not valid yet", "not-yet-valid")                                           \
    X(CERT_REVOKED, 44, "revoked", "revoked")                                                      \
    X(CERT_NO_CRL, 80, "the issuer's revocation list is missing here", "crl-missing")              \
    X(CERT_CRL_EXPIRED, 80, "the issuer's revocation list is out of date here", "crl-expired")     \
    X(CERT_NOT_PINNED, 46, "another certificate than the one that was pinned", "not-pinned")       \
    X(CERT_NOT_ENROLLED, 46, "not an enrolled device", "not-enrolled")                             \
    X(CERT_LOCAL, 80, "the check failed on this side", "local")

#define X(id, alert, text, word) id,
enum cert_fault { CERT_FAULTS(X) CERT_FAULT_COUNT };
#undef X

unsigned cert_fault_alert(enum cert_fault f);   /* 0 for CERT_OK */
const char *cert_fault_text(enum cert_fault f); /* sentence for people */
const char *cert_fault_word(enum cert_fault f); /* one word for logs and audit_log */

/* What a certificate is for: id, name. The names stand in the CA's index and on command lines. */
#define CERT_ROLES(X)                                                                              \
    X(CERT_RELAY, "relay")       /* serverAuth, SAN DNS or IP; P-256 or RSA */                     \
    X(CERT_DEVICE, "device")     /* clientAuth, URI SAN of subject; RSA, signs entries */          \
    X(CERT_EVIDENCE, "evidence") /* OID_EVIDENCE, SAN as the relay's; RSA, signs checkpoints */    \
    X(CERT_INTERMEDIATE, "intermediate")                                                           \
    X(CERT_ROOT, "root")

#define X(id, name) id,
enum cert_role { CERT_ROLES(X) CERT_ROLE_COUNT };
#undef X

const char *cert_role_name(enum cert_role r);

/* The extended key usage of evidence certificates, in DER: 2.25 and a UUID (ITU-T X.667), which
 * needs nobody's registration: 2.25.8406729532635785283492383773779946475. */
#define OID_EVIDENCE "\x69\x8c\xd3\x89\xf1\x89\xe1\xaa\xb0\x87\xa4\xf5\xb2\xe6\xd6\xc3\xf7\xd7\x6b"

/* --- one certificate, for display and for signatures; parsing judges its form alone --- */

struct cert;

/* Exactly one DER certificate of at most CERT_MAX bytes, nothing behind it; copied. *why may be
 * NULL. Accepts weak and outdated ones: cert_check is the judge. */
struct cert *cert_parse(struct span der, enum cert_fault *why, struct err *e);
void cert_free(struct cert *c); /* NULL is fine */

struct span cert_der(const struct cert *c); /* valid until cert_free */
struct span cert_spki(const struct cert *c);
void cert_fingerprint(struct span der, struct hash *out); /* SHA-256 of the DER */

/* true when it carries its own signature, as a root does. cert_check does not ask: an anchor is
 * believed for what it is. */
bool cert_signed_itself(struct cert *c);

/* true when sig is the RSA-PSS signature (pkey.h) of line under the certificate's key. */
bool cert_verify_sig(const struct cert *c, struct span line, struct span sig);

enum { CERT_NAME_MAX = 256, CERT_SANS_MAX = 512, CERT_SERIAL_MAX = 20 };

/* What is shown of a certificate. Names come from whoever made it: no control bytes are in them,
 * but text_clean before they reach a terminal. */
struct cert_info {
    char subject[CERT_NAME_MAX]; /* "CN=alice, OU=laptop"; cut when longer */
    char issuer[CERT_NAME_MAX];
    char cn[CERT_NAME_MAX], ou[CERT_NAME_MAX], issuer_cn[CERT_NAME_MAX]; /* empty when absent */
    char serial[2 * CERT_SERIAL_MAX + 1];                                /* hex */
    int64_t not_before, not_after;                                       /* ms */
    char sans[CERT_SANS_MAX]; /* "DNS:relay.example, IP:192.0.2.1, URI:..." */
    char usage[128];          /* "digitalSignature, nonRepudiation, clientAuth" */
    const char *key;          /* "RSA", "P-256" or "other" */
    unsigned bits;
    const char *signature; /* "RSA with SHA-256" */
    bool ca;
    int pathlen; /* -1: no limit */
    bool self_issued;
    struct hash fingerprint;
};

void cert_info(const struct cert *c, struct cert_info *out);
void cert_subject(const struct cert *c, char out[CERT_NAME_MAX]); /* of all that, its subject */

/* --- whom we believe --- */

struct trust;

/* What a missing revocation list means. One that is here but out of date always refuses: whoever
 * may have to do without it leaves it out (trust_crl_until says when). */
enum trust_crl {
    TRUST_CRL_OPTIONAL, /* accepted: a client before its relay has sent it the first list */
    TRUST_CRL_LEAF,     /* the issuer of the leaf must have one; CAs above may lack it */
    TRUST_CRL_ALL,      /* every issuer in the chain must have one */
};

struct trust *trust_new(enum trust_crl policy, struct err *e);
void trust_free(struct trust *t); /* NULL is fine */

/* An anchor: a CA certificate that signed itself. Copied. */
int trust_add_root(struct trust *t, struct span der, struct err *e) MUST_USE;
/* A CA below an anchor already added; helps peers that send their leaf alone, and its CRL. */
int trust_add_intermediate(struct trust *t, struct span der, struct err *e) MUST_USE;
/* The CRL (DER) of a CA already added; its signature is verified here, its dates when it is used.
 * Replaces the former one of that CA; a lower CRL number than the one held is refused. */
int trust_add_crl(struct trust *t, struct span der, struct err *e) MUST_USE;
/* The earliest nextUpdate of the CRLs held, ms; INT64_MAX when there is none. */
int64_t trust_crl_until(const struct trust *t);
/* Forgets the CRLs that are out of date at now: for a client about to connect, whose relay sends a
 * new one. Not while others check. */
void trust_forget_stale(struct trust *t, int64_t now);
/* Changes what a missing CRL means, from now on: a client that has got its first list. */
void trust_demand(struct trust *t, enum trust_crl policy);
/* true and *when (ms) if the CRLs held name this certificate. */
bool trust_revoked(const struct trust *t, const struct cert *c, int64_t *when);

/* --- the full check --- */

struct cert_ask {
    enum cert_role role; /* CERT_RELAY, CERT_DEVICE, or CERT_INTERMEDIATE (a CA as chain[0]) */
    const char *host;    /* CERT_RELAY: DNS name or address that was asked for; without brackets;
                          * CERT_EVIDENCE: the same, or NULL when any relay will do */
    bool alone;          /* the chain is one certificate that signed itself, and who asks knows it
                          * by its SHA-256: nobody above it is asked, every other rule holds */
    int64_t at;          /* ms: when it must have been valid. A later revocation does not count. */
    int64_t now;         /* ms: by which the CRLs themselves must be fresh; 0: the same as at */
    struct memo *memo;   /* paths whose signatures are known to be right, and that learns of more;
                          * borrowed. NULL: every signature is verified */
};

/* t may be NULL for a certificate that stands alone. Judges chain[0..n) (DER as the peer sent it:
 * leaf first, each followed by its issuer; the root may be there or not). 0: everything holds. -1:
 * *why is the rule that was broken and e the sentence, with the subject and the date or name
 * concerned. */
int cert_check(const struct trust *t, const struct span *chain, size_t n,
               const struct cert_ask *ask, enum cert_fault *why, struct err *e) MUST_USE;

/* --- revocation lists, for display and for whoever makes the next one --- */

struct crl;

struct crl_info {
    char issuer[CERT_NAME_MAX];
    uint64_t number;
    int64_t this_update, next_update; /* ms */
    size_t count;
};

/* Exactly one DER CRL of at most CRL_MAX bytes. Its signature is not verified: see trust_add_crl.
 */
struct crl *crl_parse(struct span der, struct err *e);
void crl_free(struct crl *c); /* NULL is fine */
void crl_info(const struct crl *c, struct crl_info *out);

#endif
