/* books.h -- the relay's database and the key of its login records, where they lie on the disk. */
#ifndef SERVER_BOOKS_H
#define SERVER_BOOKS_H

#include "server/conf.h"
#include "server/core/store.h"
#include "server/store_sqlite.h"

int books_create(const struct conf *c, struct err *e) MUST_USE; /* both; neither may exist */
int books_open(const struct conf *c, enum store_open how, struct store *out,
               struct err *e) MUST_USE;
int books_check(const struct conf *c, struct err *e) MUST_USE; /* for doctor: changes nothing */
int books_seal(const struct conf *c, struct key *out, struct err *e) MUST_USE;

#endif
