/* account.h -- login by password in the shape of SCRAM (RFC 5802) with Argon2id.
 *
 * docs/protocol.md 4 is the authority. The relay keeps what account_record holds and never learns
 * the password; the proofs are bound to one TLS connection and both its certificates. */
#ifndef COMMON_CHAT_ACCOUNT_H
#define COMMON_CHAT_ACCOUNT_H

#include "common/crypto/argon.h"
#include "common/crypto/crypto.h"
#include "common/util/bytes.h"
#include "common/util/err.h"
#include "common/util/limits.h"

/* What one login is bound to. */
struct account_auth {
    const char *link; /* as link_kind_name says */
    struct key exporter;
    struct hash client_cert, relay_cert;
    uint8_t client_nonce[NONCE_LEN], relay_nonce[NONCE_LEN];
    uint8_t salt[SALT_LEN];
    struct argon_cost cost;
};

#define ACCOUNT_EXPORTER "EXPORTER-countersign-login-1"

/* What the relay stores, sealed, beside salt and cost. */
struct account_record {
    struct key stored, server;
};

/* SaltedPassword, kept with its salt: a login that asks for another salt is not its. */
struct account_key {
    uint8_t salt[ARGON_SALT_LEN];
    struct key salted;
};

enum { ACCOUNT_AUTH_MAX = 512 };

/* The salt that Argon2id gets: bound to root certificate and account name. */
void account_salt(uint8_t out[ARGON_SALT_LEN], const struct hash *root, struct str name,
                  const uint8_t salt[SALT_LEN]);
/* SaltedPassword. password: UTF-8, 1 to PASSWORD_MAX bytes as typed; NFC is applied here. Slow. */
int account_salted(struct key *out, struct str password, const uint8_t argon_salt[ARGON_SALT_LEN],
                   struct argon_cost cost, struct err *e) MUST_USE;
void account_record(struct account_record *out, const struct key *salted);

/* Client: the proof for this login; what the relay must answer. */
void account_client_proof(struct hash *proof, const struct key *salted,
                          const struct account_auth *a);
bool account_relay_proved(const struct key *salted, const struct account_auth *a,
                          const struct hash *proof);

/* Relay: is the proof right (in constant time), and what to answer. For an unknown account call it
 * with a record made of random keys: the same work, never true. */
bool account_client_proved(const struct account_record *rec, const struct account_auth *a,
                           const struct hash *proof);
void account_relay_proof(struct hash *proof, const struct account_record *rec,
                         const struct account_auth *a);

/* AuthMessage, for both and for the tests; gives its length. */
size_t account_auth_message(char out[ACCOUNT_AUTH_MAX], const struct account_auth *a);

/* Which connection it was, for receipts: the first bytes of SHA-256("countersign-session-1" ||
 * exporter). */
void account_session(uint8_t out[SESSION_ID_LEN], const struct key *exporter);

#endif
