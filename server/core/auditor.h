/* auditor.h -- is the audit log what it was? The tree is built anew from the rows and held against
 * the nodes stored with them and against checkpoints: those that the store keeps, and any older one
 * that whoever asks has kept elsewhere (docs/evidence.md 9). Reads, and judges no signature. */
#ifndef SERVER_CORE_AUDITOR_H
#define SERVER_CORE_AUDITOR_H

#include "common/evidence/checkpoint.h"
#include "server/core/store.h"

struct auditor {
    const struct store *store;            /* borrowed */
    const struct checkpoint *checkpoints; /* borrowed; by size, and all of this log */
    size_t checkpoints_n;
    /* What came of it: */
    uint64_t rows;      /* that are in the tree */
    uint64_t addresses; /* plain ones, held against their lines */
    uint64_t open;
    struct merkle_head head;
};

/* 0: everything agrees. -1 and e: ERR_DATA with the first row, or rows, at fault and why; other
 * codes are the store's. */
int auditor_run(struct auditor *a, struct err *e) MUST_USE;

#endif
