/* store_sqlite.h -- the relay's store in one SQLite file: WAL, synchronous=FULL, schema version
 * with migrations. A file that is newer, somebody else's, damaged or no database is refused with a
 * sentence and never replaced. */
#ifndef SERVER_STORE_SQLITE_H
#define SERVER_STORE_SQLITE_H

#include "server/core/store.h"

extern const struct store_ops store_sqlite;

enum store_open {
    STORE_CREATE, /* init: the file must not exist */
    STORE_OPEN,   /* run: it must, and is read whole; older schemas are brought up to date */
    STORE_BESIDE, /* invite, user: as for run, but damage shows only where they look */
    STORE_CHECK,  /* doctor: opened, read whole, nothing changed */
};

/* NULL and e: ERR_INPUT cannot be opened, ERR_CREATE already there, ERR_DATA damaged, foreign or
 * newer, ERR_AGAIN locked. The file is 0600. */
void *store_sqlite_open(const char *path, enum store_open how, struct err *e);

#endif
