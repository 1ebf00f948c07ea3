/* keep_sqlite.h -- the client's store on disk: SQLite, WAL, synchronous FULL, 0600.
 *
 * Bodies, values and reasons are sealed with the store key (XChaCha20-Poly1305, bound to their
 * row): nothing that was said is readable in the file. Lines, signatures and certificates are open.
 */
#ifndef CLIENT_KEEP_SQLITE_H
#define CLIENT_KEEP_SQLITE_H

#include "client/core/keep.h"

extern const struct keep_ops keep_sqlite_ops;

/* Opens or makes the store. A file of another program, a newer version or a damaged one is refused
 * with a sentence and left as it is. NULL and e. */
void *keep_sqlite_open(const char *path, const struct key *key, const struct rng *rng,
                       struct err *e);

#endif
