#include "common/evidence/tree.h"

void tree_add(struct tree *t, const struct hash *leaf, struct tree_done *done)
{
    struct hash h = *leaf;
    unsigned level = 0;

    for (; t->size >> level & 1; level++) {
        merkle_node(&h, &t->peaks[level], &h);
        if (done != NULL)
            done->p[level] = h;
    }
    t->peaks[level] = h;
    t->size++;
    if (done != NULL)
        done->n = level;
}

struct merkle_head tree_head(const struct tree *t)
{
    struct merkle_head head = {.size = t->size};
    bool any = false;

    if (t->size == 0)
        sha256(span_of("", 0), &head.root);
    for (unsigned k = 0; k < TREE_LEVELS; k++) {
        if (!(t->size >> k & 1))
            continue;
        if (any)
            merkle_node(&head.root, &t->peaks[k], &head.root);
        else
            head.root = t->peaks[k];
        any = true;
    }
    return head;
}

/* --- proofs --- */

struct prover {
    const struct tree_source *from;
    struct proof *out;
    struct err *e;
    uint64_t first, end; /* of a range */
};

/* The root of leaves a .. b - 1, a place where the tree is split. */
static int place_root(const struct tree_source *s, uint64_t a, uint64_t b, struct hash *out,
                      struct err *e)
{
    uint64_t n = b - a;
    bool any = false;

    for (unsigned k = 0; n >> k != 0; k++) {
        struct hash h;
        if (!(n >> k & 1))
            continue;
        if (s->node(s->ctx, b, k, &h, e) < 0)
            return -1;
        if (any)
            merkle_node(out, &h, out);
        else
            *out = h;
        any = true;
        b -= UINT64_C(1) << k;
    }
    return 0;
}

static int prove_place(struct prover *p, uint64_t a, uint64_t b)
{
    if (p->out->n == PROOF_MAX) /* no tree below 2^53 leaves needs more */
        return err_set(p->e, ERR_LIMIT, "more than %d hashes", PROOF_MAX);
    return place_root(p->from, a, b, &p->out->p[p->out->n++], p->e);
}

/* In the order in which merkle_range_check takes them. */
static int prove_range(struct prover *p, uint64_t a, uint64_t b)
{
    if (b <= p->first || a >= p->end)
        return prove_place(p, a, b);
    if (a >= p->first && b <= p->end)
        return 0;
    uint64_t mid = a + merkle_split(b - a);
    if (mid <= p->first)
        return prove_range(p, mid, b) < 0 || prove_range(p, a, mid) < 0 ? -1 : 0;
    return prove_range(p, a, mid) < 0 || prove_range(p, mid, b) < 0 ? -1 : 0;
}

int tree_prove_range(const struct tree_source *s, uint64_t size, uint64_t first, uint64_t end,
                     struct proof *out, struct err *e)
{
    struct prover p = {s, out, e, first, end};

    out->n = 0;
    if (first >= end || end > size || size > EXACT_INT_MAX)
        return err_set(e, ERR_USAGE, "not a range of the tree");
    return prove_range(&p, 0, size);
}

/* RFC 6962 2.1.2: SUBPROOF(m - a, the leaves a .. b - 1, whole). */
static int prove_growth(struct prover *p, uint64_t a, uint64_t m, uint64_t b, bool whole)
{
    if (m == b)
        return whole ? 0 : prove_place(p, a, b);
    uint64_t mid = a + merkle_split(b - a);
    if (m <= mid)
        return prove_growth(p, a, m, mid, whole) < 0 || prove_place(p, mid, b) < 0 ? -1 : 0;
    return prove_growth(p, mid, m, b, false) < 0 || prove_place(p, a, mid) < 0 ? -1 : 0;
}

int tree_prove_growth(const struct tree_source *s, uint64_t older, uint64_t newer,
                      struct proof *out, struct err *e)
{
    struct prover p = {.from = s, .out = out, .e = e};

    out->n = 0;
    if (older == 0 || older > newer || newer > EXACT_INT_MAX)
        return err_set(e, ERR_USAGE, "not two sizes of one tree");
    return prove_growth(&p, 0, older, newer, true);
}

int tree_at(const struct tree_source *s, uint64_t size, struct tree *out, struct err *e)
{
    uint64_t end = size;

    *out = (struct tree){.size = size};
    for (unsigned k = 0; k < TREE_LEVELS; k++) {
        if (!(size >> k & 1))
            continue;
        if (s->node(s->ctx, end, k, &out->peaks[k], e) < 0)
            return -1;
        end -= UINT64_C(1) << k;
    }
    return 0;
}

/* --- leaves in memory --- */

/* A complete subtree within the base is a peak, or inside one. */
static int base_node(const struct tree *base, uint64_t end, unsigned level, struct hash *out,
                     struct err *e)
{
    if (!(base->size >> level & 1) || end != base->size >> level << level)
        return err_set(e, ERR_USAGE, "a part of the tree whose leaves are not known");
    *out = base->peaks[level];
    return 0;
}

static int leaves_node(void *ctx, uint64_t end, unsigned level, struct hash *out, struct err *e)
{
    const struct tree_leaves *l = ctx;
    uint64_t before = l->base == NULL ? 0 : l->base->size;
    struct hash right;

    if (end <= before)
        return base_node(l->base, end, level, out, e);
    if (end - before > l->leaves.n)
        return err_set(e, ERR_USAGE, "a leaf that is not there");
    if (level == 0) {
        *out = l->leaves.p[end - before - 1];
        return 0;
    }
    uint64_t mid = end - (UINT64_C(1) << (level - 1));
    if (leaves_node(ctx, mid, level - 1, out, e) < 0 ||
        leaves_node(ctx, end, level - 1, &right, e) < 0)
        return -1;
    merkle_node(out, out, &right);
    return 0;
}

struct tree_source tree_of_leaves(struct tree_leaves *l)
{
    return (struct tree_source){leaves_node, l};
}
