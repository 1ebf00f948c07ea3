/* table.h -- uthash, whose HASH_ADD may find no memory: then nothing was added, the table is as it
 * was, and HASH_ADDED says so. By itself uthash would end the program. Include this, not
 * <uthash.h>.
 *
 *     HASH_ADD(hh, all, id, sizeof x->id, x);
 *     if (!HASH_ADDED(hh, x)) ... x is still the caller's
 */
#ifndef COMMON_UTIL_TABLE_H
#define COMMON_UTIL_TABLE_H

#include <stddef.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#define HASH_ADDED(hh, item) ((item)->hh.tbl != NULL)

#endif
