/* index.h -- the CA's index: a text file that only grows, one line per issue and per revocation.
 *
 *   issued SERIAL FINGERPRINT ROLE NOT-BEFORE NOT-AFTER SUBJECT...
 *   revoked SERIAL TIME REASON
 *
 * Serials and fingerprints in hex, times in ms since 1970, the subject to the end of the line. */
#ifndef CERTS_INDEX_H
#define CERTS_INDEX_H

#include "certs/ca.h"

struct index {
    struct ca_entry *v; /* owned; oldest first */
    size_t n, cap;
};

/* Loads the whole file. A damaged line refuses it, with its number; half a line at the end is what
 * a crash leaves and is passed over. */
int index_load(const char *path, struct index *out, struct err *e) MUST_USE;
void index_free(struct index *i);
struct ca_entry *index_find(const struct index *i, const struct hash *fp); /* or NULL */

int index_add(const char *path, const struct ca_entry *entry, struct err *e) MUST_USE;
int index_revoke(const char *path, const struct ca_entry *entry, int64_t when,
                 enum revoke_reason why, struct err *e) MUST_USE;

/* The reverse of cert_role_name and revoke_reason_name; -1: no such. */
int role_named(struct str name) MUST_USE;
int reason_named(struct str name) MUST_USE;

#endif
