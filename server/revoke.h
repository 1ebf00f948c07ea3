/* revoke.h -- the store and the CA's index agree on which devices are revoked. */
#ifndef SERVER_REVOKE_H
#define SERVER_REVOKE_H

#include "certs/ca.h"
#include "server/core/store.h"

/* Devices that the store calls revoked and the CA's index does not yet. How many; -1 and e. */
int revoke_sync(struct ca *ca, const struct store *store, int64_t now, struct err *e) MUST_USE;
/* The other way round: somebody used countersign-ca. Not between begin and commit. */
int revoke_adopt(const struct ca *ca, struct store *store, int64_t now, struct err *e) MUST_USE;

#endif
