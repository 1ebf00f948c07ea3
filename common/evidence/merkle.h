/* merkle.h -- RFC 6962 hash trees: leaves, and the check of two kinds of proof.
 *
 * leaf = SHA-256(0x00 || data), node = SHA-256(0x01 || left || right); a tree of n leaves is split
 * at the largest power of two below n. Indices count from 0, sizes are below 2^53. A proof lists
 * the subtrees that are not known, in the order in which they are joined on the way up: for one
 * leaf that is the audit path of RFC 6962 2.1.1. Nothing here keeps state or allocates. Sources:
 * RFC 6962 2.1, RFC 9162 2.1.3 and 2.1.4. */
#ifndef COMMON_EVIDENCE_MERKLE_H
#define COMMON_EVIDENCE_MERKLE_H

#include "common/crypto/crypto.h"
#include "common/util/bytes.h"
#include "common/util/limits.h"

/* The hash of one leaf whose data are the parts one after the other, at most MERKLE_PARTS_MAX. */
enum { MERKLE_PARTS_MAX = 4 };
void merkle_leaf(struct hash *out, const struct span *parts, size_t n);
/* The node above two; out may be one of them. */
void merkle_node(struct hash *out, const struct hash *left, const struct hash *right);
/* Where a tree of n leaves is split: the largest power of two below n; n is 2 or more. */
uint64_t merkle_split(uint64_t n);

/* Borrowed. */
struct hashes {
    const struct hash *p;
    size_t n;
};

/* Leaves first, first + 1, ... of a tree of `size`, and the proof that they are in it. */
struct merkle_range {
    uint64_t size, first;
    struct hashes leaves; /* at least one */
    struct hashes proof;
};

/* true when the tree has this root; every hash of the proof must have been needed. */
bool merkle_range_check(const struct merkle_range *r, const struct hash *root);

/* A tree, as much as is known of it. */
struct merkle_head {
    uint64_t size;
    struct hash root;
};

/* true when the proof shows that `newer` begins with the leaves of `older`, which is not empty and
 * not larger. */
bool merkle_consistent(const struct merkle_head *older, const struct merkle_head *newer,
                       struct hashes proof);

#endif
