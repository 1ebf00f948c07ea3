/* identity.h -- what the relay shows of itself and whom it believes: leaf, key, CA, CRL, parsed
 * once for each worker. Made anew at SIGHUP and at a renewal; connections that were made with the
 * former one keep it alive.
 *
 *   DIR/relay.crt DIR/relay.key      the leaf of TLS (PEM)
 *   DIR/ca/                          certs/ca.h */
#ifndef SERVER_IDENTITY_H
#define SERVER_IDENTITY_H

#include "certs/ca.h"
#include "common/link/link.h"
#include "server/conf.h"
#include "server/roll.h"

#define FILE_CA       "ca"
#define FILE_LEAF     "relay.crt"
#define FILE_LEAF_KEY "relay.key"
#define FILE_SEAL     "seal.key"
#define FILE_DB       "relay.db"
#define FILE_LOCK     "lock"
#define FILE_CONF     "countersignd.conf"

struct identity; /* counted; any thread may take and give back references */

struct identity *identity_load(const struct conf *c, struct roll *roll, struct err *e);
struct identity *identity_ref(struct identity *i);
void identity_unref(struct identity *i); /* NULL is fine */

/* A link of worker number `worker`, on its thread. */
struct link *identity_link(struct identity *i, unsigned worker, struct err *e);

struct span identity_root(const struct identity *i); /* DER; these live as long as i */
struct span identity_crl(const struct identity *i);
const struct hash *identity_leaf(const struct identity *i); /* SHA-256 */

/* A new key and leaf for `hosts`, into c's directory. */
int identity_make(const struct conf *c, struct ca *ca, const struct hosts *hosts, int64_t now,
                  struct err *e) MUST_USE;
/* Renews the leaf and the CRL when little time is left. 1: the disk holds something newer than
 * `held` (NULL: than before); 0, -1. */
int identity_renew(const struct conf *c, const struct identity *held, int64_t now,
                   struct err *e) MUST_USE;

/* The leaf as it lies on the disk. */
int identity_cert(const struct conf *c, struct cert_info *out, struct err *e) MUST_USE;
struct ca *identity_ca(const struct conf *c, struct err *e); /* opened; NULL and e */

#endif
