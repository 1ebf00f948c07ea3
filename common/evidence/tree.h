/* tree.h -- RFC 6962 trees that grow, and the making of proofs that merkle.h checks.
 *
 * A tree is remembered by its peaks, the roots of its complete subtrees: one for each bit of its
 * size. A leaf more costs one hash on average, the root at most one for each peak. For proofs the
 * hashes of complete subtrees come from a source: a database that kept what tree_add completed, or
 * leaves in memory. Leaves count from 0, sizes are below 2^53, nothing here allocates. Source: RFC
 * 6962 2.1. */
#ifndef COMMON_EVIDENCE_TREE_H
#define COMMON_EVIDENCE_TREE_H

#include "common/evidence/merkle.h"
#include "common/util/err.h"

enum { TREE_LEVELS = 53 };

struct tree { /* zeros: empty */
    uint64_t size;
    struct hash peaks[TREE_LEVELS]; /* of 2^k leaves at k, where size has bit k; else unused */
};

/* Complete subtrees of two leaves and more that end with one leaf, the smallest first. */
struct tree_done {
    struct hash p[TREE_LEVELS];
    size_t n;
};

/* One leaf more; done may be NULL. */
void tree_add(struct tree *t, const struct hash *leaf, struct tree_done *done);
/* Its size and its root; an empty tree's is SHA-256 of nothing. */
struct merkle_head tree_head(const struct tree *t);

/* Where hashes of complete subtrees come from: of 2^level leaves, the last of which is leaf number
 * end - 1; end is a multiple of 2^level. 0, or -1 and e. */
struct tree_source {
    int (*node)(void *ctx, uint64_t end, unsigned level, struct hash *out, struct err *e);
    void *ctx;
};

struct proof {
    struct hash p[PROOF_MAX];
    size_t n;
};

/* The tree as it was at this size: reads at most TREE_LEVELS nodes. */
int tree_at(const struct tree_source *s, uint64_t size, struct tree *out, struct err *e) MUST_USE;
/* For merkle_range_check of the leaves first .. end - 1 in a tree of `size`; ERR_USAGE when that is
 * no range of it. */
int tree_prove_range(const struct tree_source *s, uint64_t size, uint64_t first, uint64_t end,
                     struct proof *out, struct err *e) MUST_USE;
/* For merkle_consistent of the tree at two sizes; ERR_USAGE unless 0 < older <= newer. */
int tree_prove_growth(const struct tree_source *s, uint64_t older, uint64_t newer,
                      struct proof *out, struct err *e) MUST_USE;

/* Leaves in memory behind a tree of which only the peaks are known (base NULL: none). As a source
 * it costs a walk over the leaves asked for; what lies inside a peak is ERR_USAGE. Both are
 * borrowed. */
struct tree_leaves {
    const struct tree *base;
    struct hashes leaves;
};
struct tree_source tree_of_leaves(struct tree_leaves *l);

#endif
