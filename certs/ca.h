/* ca.h -- the certificate authority in a directory: a root that can leave the machine, an
 * intermediate that does the work, an index of what was issued, the revocation lists.
 *
 *   root.crt root.key intermediate.crt intermediate.key    PEM
 *   index                                                  one line per issue or revocation
 *   crl.der root-crl.der                                   of the intermediate, of the root
 *   lock                                                   held while the index changes
 *
 * Everything but a new intermediate and a new root CRL works without root.key. A struct ca is used
 * by one thread at a time; several processes may use the same directory. */
#ifndef CERTS_CA_H
#define CERTS_CA_H

#include "certs/file.h"
#include "common/crypto/csr.h"
#include "common/crypto/issue.h"
#include "common/crypto/x509.h"

enum {
    CA_ROOT_DAYS = 3650,
    CA_INTERMEDIATE_DAYS = 1825,
    CA_RELAY_DAYS = 90,
    CA_DEVICE_DAYS = 365,
    CA_EVIDENCE_DAYS = 730,
    CA_SELF_DAYS = 3650,
    CA_CRL_DAYS = 30,
    CA_ROOT_CRL_DAYS = 365,
    CA_DAYS_MAX = 3650,
    CA_NAME_MAX = 64 - 8, /* a common name has at most 64 bytes (RFC 5280, A.1) */
};

#define CA_FILE_ROOT         "root.crt"
#define CA_FILE_ROOT_KEY     "root.key"
#define CA_FILE_INTERMEDIATE "intermediate.crt"
#define CA_FILE_KEY          "intermediate.key"
#define CA_FILE_INDEX        "index"
#define CA_FILE_CRL          "crl.der"
#define CA_FILE_ROOT_CRL     "root-crl.der"

struct ca;

struct ca_setup {
    const char *dir;      /* made 0700 when missing; must not hold a CA yet */
    const char *name;     /* of the two certificates: "NAME root CA", "NAME CA" */
    const char *root_key; /* where the root's key goes; NULL: dir/root.key */
    enum pkey_kind kind;  /* PKEY_RSA_3072; tests take PKEY_P256 to be quick */
    struct rng rng;
    int64_t now; /* ms */
};

/* Makes keys, certificates, an empty index and both CRLs. Slow: two RSA keys. */
int ca_create(const struct ca_setup *s, struct err *e) MUST_USE;

/* Loads certificates and the intermediate's key. The root key is not touched. */
struct ca *ca_open(const char *dir, const struct rng *rng, struct err *e);
void ca_free(struct ca *ca); /* wipes the key; NULL is fine */

struct span ca_root(const struct ca *ca);         /* DER, valid until ca_free */
struct span ca_intermediate(const struct ca *ca); /* DER, valid until ca_free */

/* Writes a private key as PEM into a new file, 0600. */
int ca_key_create(const char *path, const struct pkey *k, struct err *e) MUST_USE;

/* One certificate, as DER. */
struct ca_cert {
    uint8_t der[CERT_MAX];
    size_t n;
};

/* Issues, notes in the index (synced), then returns. days 0: the role's own. A certificate never
 * outlives the intermediate. not_before is 5 minutes before now: clocks differ. */
int ca_issue_relay(struct ca *ca, int64_t now, struct span spki, const char *const *hosts,
                   size_t hosts_n, unsigned days, struct ca_cert *out, struct err *e) MUST_USE;
/* The same for the certificate that signs checkpoints; an RSA key. */
int ca_issue_evidence(struct ca *ca, int64_t now, struct span spki, const char *const *hosts,
                      size_t hosts_n, unsigned days, struct ca_cert *out, struct err *e) MUST_USE;
/* A relay's certificate that its own key has signed, for CA_SELF_DAYS: in no index, on no list. Who
 * uses it knows it by its SHA-256, so another one would be nobody's. */
int ca_self_relay(const struct rng *rng, int64_t now, struct pkey *key, const char *const *hosts,
                  size_t hosts_n, struct ca_cert *out, struct err *e) MUST_USE;
int ca_issue_device(struct ca *ca, int64_t now, struct span spki, struct str name,
                    struct str device, unsigned days, struct ca_cert *out, struct err *e) MUST_USE;

/* Notes the revocation of a certificate of the index and writes a new crl.der. ERR_INPUT: no such
 * certificate. Revoking twice keeps the first date. */
int ca_revoke(struct ca *ca, int64_t now, const struct hash *fp, enum revoke_reason why,
              struct err *e) MUST_USE;

/* Writes a fresh crl.der (CA_CRL_DAYS) from the index. */
int ca_crl(struct ca *ca, int64_t now, struct err *e) MUST_USE;
/* The crl.der as it lies on the disk. */
int ca_crl_read(const struct ca *ca, struct buf *out, struct err *e) MUST_USE;

/* Work for the root key, wherever its file is now; NULL: dir/root.key. */
int ca_root_crl(struct ca *ca, int64_t now, const char *root_key, struct err *e) MUST_USE;

/* One line of the index. */
struct ca_entry {
    char serial[2 * CERT_SERIAL_MAX + 1]; /* hex */
    struct hash fp;
    enum cert_role role;
    int64_t not_before, not_after; /* ms */
    int64_t revoked;               /* ms; 0: it is not */
    enum revoke_reason reason;
    char subject[CERT_NAME_MAX];
};

/* Calls each for every certificate of the index, oldest first, until it returns not 0. */
int ca_each(const struct ca *ca, int (*each)(void *ctx, const struct ca_entry *entry), void *ctx,
            struct err *e) MUST_USE;

#endif
