/* checkpoint.h -- what a relay signs of one room: so many entries, this root, then.
 *
 * Five lines of ASCII (docs/evidence.md 2), the first three as C2SP's tlog-checkpoint has them:
 *
 *     countersign-checkpoint-1/room/<room id, 32 hex>
 *     <size>
 *     <root, base64>
 *     time <ms>
 *     signer <evidence certificate SHA-256, hex>
 *
 * One spelling; the signature (common/crypto/pkey.h) covers every byte. */
#ifndef COMMON_EVIDENCE_CHECKPOINT_H
#define COMMON_EVIDENCE_CHECKPOINT_H

#include "common/evidence/merkle.h"
#include "common/util/err.h"

struct checkpoint {
    uint8_t room[ROOM_ID_LEN];
    struct merkle_head tree; /* at least one entry */
    int64_t time;            /* ms, the relay's clock when it signed */
    struct hash signer;
};

/* Writes it with a NUL; gives its length. */
size_t checkpoint_put(char out[CHECKPOINT_MAX + 1], const struct checkpoint *c);
/* Reads exactly what checkpoint_put writes. 0, or -1 and e (ERR_DATA) with the line at fault. */
int checkpoint_take(struct checkpoint *c, struct str text, struct err *e) MUST_USE;

#endif
