/* revoke.h -- what the store says of devices enters the CA's list. */
#ifndef SERVER_REVOKE_H
#define SERVER_REVOKE_H

#include "certs/ca.h"
#include "server/core/store.h"

/* Devices that the store calls revoked and the CA's index does not yet. How many; -1 and e. */
int revoke_sync(struct ca *ca, const struct store *store, int64_t now, struct err *e) MUST_USE;

#endif
