/* wrap.h -- text cut into rows of a given number of columns, cluster by cluster.
 *
 * Rows break at spaces, so that a word, or a group of digits, is whole wherever it fits; a longer
 * word breaks between clusters. A newline ends a row. */
#ifndef CLIENT_CORE_WRAP_H
#define CLIENT_CORE_WRAP_H

#include <stdbool.h>

#include "common/util/bytes.h"

/* The cluster at the start of s: its bytes (0 at the end of s) and columns. Bytes that are no UTF-8
 * and control characters are clusters of one byte and column. */
size_t wrap_cluster(struct str s, unsigned *width);
unsigned wrap_width(struct str s); /* columns of s in one row */

struct wrap {
    struct str rest;
    unsigned cols;
    bool ended;
};

/* cols 0 counts as 1. An empty text is one empty row. */
struct wrap wrap_of(struct str text, unsigned cols);
/* The next row, without the space or newline it broke at; false behind the last. */
bool wrap_next(struct wrap *w, struct str *row);
unsigned wrap_rows(struct str text, unsigned cols);

#endif
