/* checkpoint.h -- what a relay signs of a room or of its audit log: so many lines, this root, then.
 *
 * Five lines of ASCII (docs/evidence.md 2), the first three as C2SP's tlog-checkpoint has them:
 *
 *     countersign-checkpoint-1/room/<room id, 32 hex>
 *     <size>
 *     <root, base64>
 *     time <ms>
 *     signer <evidence certificate SHA-256, hex>
 *
 * Of the audit log `audit/` and the first 16 bytes of the root certificate's SHA-256 stand for
 * `room/` and its id: a relay has one such log, whatever becomes of its database.
 * One spelling; the signature (common/crypto/pkey.h) covers every byte. */
#ifndef COMMON_EVIDENCE_CHECKPOINT_H
#define COMMON_EVIDENCE_CHECKPOINT_H

#include "common/evidence/merkle.h"
#include "common/util/err.h"

enum checkpoint_log { CHECKPOINT_ROOM, CHECKPOINT_AUDIT };

struct checkpoint {
    enum checkpoint_log log;
    uint8_t room[ROOM_ID_LEN]; /* or that of the audit log: audit_log_id */
    struct merkle_head tree;   /* at least one entry */
    int64_t time;              /* ms, the relay's clock when it signed */
    struct hash signer;
};

/* Writes it with a NUL; gives its length. */
size_t checkpoint_put(char out[CHECKPOINT_MAX + 1], const struct checkpoint *c);
/* Read exactly what checkpoint_put writes of a room, or of an audit log. 0, or -1 and e (ERR_DATA)
 * with the line at fault. */
int checkpoint_take(struct checkpoint *c, struct str text, struct err *e) MUST_USE;
int checkpoint_audit_take(struct checkpoint *c, struct str text, struct err *e) MUST_USE;

/* Which audit log: that of the relay under this root certificate (DER). */
void audit_log_id(uint8_t out[ROOM_ID_LEN], struct span root);

#endif
