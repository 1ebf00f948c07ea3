/* tar.h -- the one form of tar that evidence comes in: POSIX ustar, regular files of mode 0644 and
 * nobody in particular, dated 1970, one after the other, two blocks of zeros, the end.
 *
 * Every byte of an archive follows from the names and contents of its files, so any other byte is
 * refused; GNU tar and pax read it as they read any archive. */
#ifndef COMMON_EVIDENCE_TAR_H
#define COMMON_EVIDENCE_TAR_H

#include "common/util/bytes.h"
#include "common/util/err.h"
#include "common/util/limits.h"

struct tar_file {
    struct str name; /* 1 to TAR_NAME_MAX of a-z A-Z 0-9 . - / */
    struct span data;
};

/* The next file, borrowed from what r reads: 1; 0 at the end, when nothing is left over; -1 and e
 * (ERR_DATA). */
int tar_next(struct rd *r, struct tar_file *f, struct err *e) MUST_USE;

/* Appends one file, and what ends an archive. -1 and e: a name that has no place here (ERR_LOCAL),
 * or more than out may hold (ERR_LIMIT). */
int tar_put(struct buf *out, const struct tar_file *f, struct err *e) MUST_USE;
int tar_end(struct buf *out, struct err *e) MUST_USE;

#endif
