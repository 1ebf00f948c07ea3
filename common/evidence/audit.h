/* audit.h -- a line of the relay's audit log (docs/evidence.md 9).
 *
 *     countersign-audit-1|number|time|span|event|account|fingerprint|reason|count|address
 *
 * ASCII, one spelling. Event, account and reason as in URIs (what is not unreserved is %XX), so
 * that no name can end a field. An address is in it under its week's key (HMAC-SHA-256, hex): who
 * has no key cannot try addresses out; `operator`, `*` (more sources than are told apart) and
 * nothing stand for themselves. The leaf in the log's tree is that of RFC 6962. */
#ifndef COMMON_EVIDENCE_AUDIT_H
#define COMMON_EVIDENCE_AUDIT_H

#include "common/crypto/crypto.h"
#include "common/util/bytes.h"
#include "common/util/err.h"
#include "common/util/limits.h"

struct audit_line {
    uint64_t number; /* from 1 */
    int64_t time;    /* ms */
    uint64_t span;   /* it counts what happened within so many ms from then on: 0, AUDIT_SPAN_MS */
    struct str event, account, fp, reason; /* not escaped; fp: empty or hex */
    uint64_t count;
    struct str address; /* what audit_address gives */
};

/* Writes it with a NUL; its length, or 0: it has no line (a text too long, a number too big). */
size_t audit_line_put(char out[AUDIT_LINE_MAX + 1], const struct audit_line *l);
/* Reads exactly what audit_line_put writes. Texts are borrowed from `line` and from `scratch`. 0,
 * or -1 and e (ERR_DATA) with the field at fault. */
int audit_line_take(struct audit_line *l, struct str line, char scratch[AUDIT_LINE_MAX],
                    struct err *e) MUST_USE;
void audit_leaf(struct hash *out, struct str line);

/* What stands for this address, with a NUL; empty, `operator` and `*` need no key. */
enum { AUDIT_ADDRESS_TEXT = 2 * HASH_LEN + 1 };
bool audit_address_plain(struct str address); /* ... and are these */
void audit_address(char out[AUDIT_ADDRESS_TEXT], const struct key *k, struct str address);
int64_t audit_week(int64_t time); /* which key: weeks since 1970-01-01 00:00 UTC */

#endif
