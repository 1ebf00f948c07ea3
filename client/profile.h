/* profile.h -- one account on this computer: where its files are and what they hold.
 *
 *   $XDG_DATA_HOME/countersign/NAME/     0700
 *     account       relay, account, device, pinned costs, link and certificate  0600
 *     root.der      the pinned root certificate                    0600
 *     leaf.der, issuer.der   own certificate and its CA's          0600
 *     key           private key, store key and login key under the password   0600
 *     store.db      outbox and history, bodies sealed              0600
 *     transcripts/  what sessions leave, in clear text            0600
 *     contradictions/  what proves that the relay lied             0600
 *     lock          held by the one process that sends             0600
 *
 * Nothing outside these directories is written. A file that others may read is refused with the
 * chmod to run. */
#ifndef CLIENT_PROFILE_H
#define CLIENT_PROFILE_H

#include "common/chat/account.h"
#include "common/crypto/pkey.h"
#include "common/link/link.h"
#include "common/util/limits.h"

enum { PROFILE_NAME_MAX = 32, PROFILE_PATH_MAX = 512 };

struct profile {
    char name[PROFILE_NAME_MAX + 1];
    char dir[PROFILE_PATH_MAX];
    char host[256];
    uint16_t port;
    char relay[NAME_MAX_LEN + 1], account[NAME_MAX_LEN + 1], device[NAME_MAX_LEN + 1];
    struct argon_cost cost;
    enum link_kind link; /* that it joined by: no other is ever tried by itself */
    bool pinned;         /* `ecdhe`: the relay's own certificate is the one ... */
    struct hash pin;     /* ... of this SHA-256 */
    struct hash root_fp, fp;
    uint8_t root[CERT_MAX], leaf[CERT_MAX], issuer[CERT_MAX];
    size_t root_n, leaf_n, issuer_n;
};

/* What the password unlocks. */
struct profile_keys {
    struct pkey *key;
    struct key store;
    bool has_login;           /* not in the key file of an older version */
    struct account_key login; /* spares a start its second Argon2id; worth what the password is */
};

/* Where the profile is, or would be. NULL is "default". -1: a bad name, no home. */
int profile_where(struct profile *p, const char *name, struct err *e) MUST_USE;
bool profile_exists(const struct profile *p); /* an account file is there */
bool profile_begun(const struct profile *p);  /* a key without account: an answer was lost */
/* Reads account and certificates. ERR_CONFIG when there is none: the text says what to run. */
int profile_load(struct profile *p, const char *name, struct err *e) MUST_USE;
/* What the command line says takes the place of what was kept, in *p alone; NULL: it says nothing.
 * ERR_USAGE: a certificate is pinned over no link but `ecdhe`. */
int profile_route(struct profile *p, const enum link_kind *link, const struct hash *pin,
                  struct err *e) MUST_USE;
/* SHA-256 of the one certificate to believe the relay, for link_conf; NULL: whichever it has. */
const struct hash *profile_pin(const struct profile *p);
/* Opens the key file. ERR_AUTH: wrong password or damage. */
int profile_unlock(const struct profile *p, struct str password, const struct rng *rng,
                   struct profile_keys *out, struct err *e) MUST_USE;
void profile_keys_wipe(struct profile_keys *k);

/* Joining: the keys first, login key included, before the request leaves ... `again`: they are of
 * the file that is there and only their login key is new. */
int profile_save_keys(const struct profile *p, const struct profile_keys *keys, struct str password,
                      bool again, const struct rng *rng, struct err *e) MUST_USE;
/* ... then, with the answer, the rest; the account file last and at once. */
int profile_save(const struct profile *p, struct err *e) MUST_USE;

/* Forgets a key whose join was refused. */
void profile_forget(const struct profile *p);

/* Path of a file of the profile. */
int profile_path(const struct profile *p, const char *file, char out[PROFILE_PATH_MAX],
                 struct err *e) MUST_USE;

#endif
