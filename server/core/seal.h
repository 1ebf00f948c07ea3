/* seal.h -- the relay's record of a login, sealed under a key that lies in a file beside the
 * database: a stolen database alone cannot even be guessed against. XChaCha20-Poly1305, bound to
 * the account's id. */
#ifndef SERVER_CORE_SEAL_H
#define SERVER_CORE_SEAL_H

#include "common/chat/account.h"
#include "common/chat/id.h"

int login_seal(uint8_t out[LOGIN_SEALED_LEN], const struct key *k, const struct account_id *id,
               const struct account_record *rec, const struct rng *r) MUST_USE;
/* -1: another key, another account, or damaged; rec is then zeros. */
int login_open(struct account_record *rec, const struct key *k, const struct account_id *id,
               const uint8_t sealed[LOGIN_SEALED_LEN]) MUST_USE;

#endif
