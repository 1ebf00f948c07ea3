/* file.h -- files of the programs: read with a bound, written so that a crash leaves the old or the
 * new one, secrets 0600 from the first byte and refused when others may read them.
 *
 * Nothing here follows a symbolic link in the last component of a path, or opens a FIFO or device.
 */
#ifndef CERTS_FILE_H
#define CERTS_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/util/bytes.h"
#include "common/util/err.h"

enum file_kind {
    FILE_PUBLIC, /* written 0644 */
    FILE_SECRET, /* written 0600; reading refuses it when group or others have any right, or when it
                    is neither ours nor root's, and names the chmod to run */
};

/* Appends the whole regular file to out. ERR_INPUT when it cannot be opened, ERR_LIMIT when it is
 * longer than out may grow, ERR_CONFIG when others may read a secret. */
int file_read(const char *path, enum file_kind kind, struct buf *out, struct err *e) MUST_USE;

/* A secret file of exactly n bytes. Errors as file_read; ERR_CONFIG too when it has another length.
 */
int file_read_key(const char *path, uint8_t *out, size_t n, struct err *e) MUST_USE;

/* Writes a file that must not exist yet. Synced, with its directory, before 0 is returned. */
int file_create(const char *path, enum file_kind kind, struct span data, struct err *e) MUST_USE;

/* The same, in place of an existing regular file or of none, by renaming a synced temporary one. */
int file_replace(const char *path, enum file_kind kind, struct span data, struct err *e) MUST_USE;

/* Appends one line (without LF) to an existing or new file and syncs it. */
int file_append(const char *path, enum file_kind kind, struct str line, struct err *e) MUST_USE;

bool file_exists(const char *path); /* anything at all, symbolic links included */

/* mkdir -p, new ones 0700. An existing last component must be a directory that nobody but us and
 * root may write to. */
int dir_make(const char *path, struct err *e) MUST_USE;
/* The same judgement of a directory that must be there. */
int dir_check(const char *path, struct err *e) MUST_USE;

/* Takes the lock file (created 0600), waiting up to wait_ms: a descriptor for file_unlock, or -1;
 * ERR_AGAIN when another process still holds it. The lock ends with the process. */
int file_lock(const char *path, int wait_ms, struct err *e) MUST_USE;
void file_unlock(int fd);

/* dir/name into out; -1 when it does not fit. */
int path_join(char *out, size_t cap, const char *dir, const char *name, struct err *e) MUST_USE;

#endif
