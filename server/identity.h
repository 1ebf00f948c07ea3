/* identity.h -- what the relay shows of itself and whom it believes: leaf, key, CA, CRL, parsed
 * once for each worker. Made anew at SIGHUP and at a renewal; connections that were made with the
 * former one keep it alive.
 *
 *   DIR/relay.crt DIR/relay.key          the P-256 leaf (PEM): tls
 *   DIR/relay-rsa.crt DIR/relay-rsa.key  the RSA-2048 leaf: cianr; ecdhe, if not told otherwise
 *   DIR/relay-self.crt DIR/relay-self.key  an RSA-2048 leaf that signed itself: ecdhe, if told so.
 *                                          Made when first asked for, never renewed: clients pin it
 *   DIR/evidence.crt DIR/evidence.key    the RSA-3072 leaf that signs evidence, on no link
 *   DIR/ca/                          certs/ca.h
 *
 * `classic` shows none of it: it has a pair of keys that is made at each load and never written, or
 * the 16 bytes of the file that classic_key names. */
#ifndef SERVER_IDENTITY_H
#define SERVER_IDENTITY_H

#include "certs/ca.h"
#include "common/link/link.h"
#include "server/conf.h"
#include "server/roll.h"

#define FILE_CA           "ca"
#define FILE_LEAF         "relay.crt"
#define FILE_LEAF_KEY     "relay.key"
#define FILE_RSA          "relay-rsa.crt"
#define FILE_RSA_KEY      "relay-rsa.key"
#define FILE_SELF         "relay-self.crt"
#define FILE_SELF_KEY     "relay-self.key"
#define FILE_EVIDENCE     "evidence.crt"
#define FILE_EVIDENCE_KEY "evidence.key"
#define FILE_SEAL         "seal.key"
#define FILE_DB           "relay.db"
#define FILE_LOCK         "lock"
#define FILE_CONF         "countersignd.conf"

struct identity; /* counted; any thread may take and give back references */

struct identity *identity_load(const struct conf *c, struct roll *roll, struct err *e);
struct identity *identity_ref(struct identity *i);
void identity_unref(struct identity *i); /* NULL is fine */

/* The links that are spoken, bits by enum link_kind. */
unsigned identity_links(const struct identity *i);
/* A link of one of them, of worker number `worker`, on its thread. */
struct link *identity_link(struct identity *i, unsigned worker, enum link_kind kind, struct err *e);

struct span identity_root(const struct identity *i); /* DER; these live as long as i */
struct span identity_crl(const struct identity *i);
/* SHA-256 of the leaf that a link of this kind shows; `classic` shows none. */
const struct hash *identity_leaf(const struct identity *i, enum link_kind kind);

/* Does this configuration show that leaf to anybody? All but LEAF_SELF always are. */
bool identity_wants(const struct conf *c, enum leaf leaf);
/* New keys and leaves for `hosts`, into c's directory. */
int identity_make(const struct conf *c, struct ca *ca, const struct hosts *hosts, int64_t now,
                  struct err *e) MUST_USE;
/* Renews leaves and CRL when little time is left, and makes those leaves that an older
 * installation lacks. 1: the disk holds something newer than
 * `held` (NULL: than before); 0, -1. */
int identity_renew(const struct conf *c, const struct identity *held, int64_t now,
                   struct err *e) MUST_USE;

/* A leaf as it lies on the disk. */
int identity_cert(const struct conf *c, enum leaf leaf, struct cert_info *out,
                  struct err *e) MUST_USE;
/* The evidence certificate and its issuer as they lie on the disk (DER, into empty buffers);
 * identity_load has judged them. */
int identity_evidence(const struct conf *c, const struct ca *ca, struct buf *leaf,
                      struct buf *issuer, struct err *e) MUST_USE;
struct pkey *identity_evidence_key(const struct conf *c, struct err *e); /* NULL and e */
bool identity_lacks(const struct conf *c, enum leaf leaf);   /* there is no such file yet */
struct ca *identity_ca(const struct conf *c, struct err *e); /* opened; NULL and e */

#endif
