#include "common/evidence/merkle.h"

#include <assert.h>

void merkle_node(struct hash *out, const struct hash *left, const struct hash *right)
{
    const struct span parts[] = {span_of("\x01", 1), span_of(left->b, HASH_LEN),
                                 span_of(right->b, HASH_LEN)};
    struct hash joined;

    sha256_parts(parts, COUNT(parts), &joined);
    *out = joined;
}

void merkle_leaf(struct hash *out, const struct span *parts, size_t n)
{
    struct span all[MERKLE_PARTS_MAX + 1] = {span_of("\0", 1)};

    assert(n <= MERKLE_PARTS_MAX);
    for (size_t i = 0; i < n; i++)
        all[i + 1] = parts[i];
    sha256_parts(all, n + 1, out);
}

uint64_t merkle_split(uint64_t n)
{
    uint64_t k = 1;

    while (k << 1 < n)
        k <<= 1;
    return k;
}

/* Hashes taken one after the other; sticky like struct rd. */
struct taker {
    struct hashes left;
    bool bad;
};

static struct hash take(struct taker *t)
{
    static const struct hash none;

    if (t->bad || t->left.n == 0) {
        t->bad = true;
        return none;
    }
    t->left.n--;
    return *t->left.p++;
}

static bool all_taken(const struct taker *t)
{
    return !t->bad && t->left.n == 0;
}

/* --- a range of leaves --- */

struct ranger {
    uint64_t first, end;
    const struct hash *leaves;
    struct taker proof;
};

/* The root of the leaves a .. b - 1: at most 53 calls deep, and quiet once the proof ran short. */
static struct hash range_root(struct ranger *r, uint64_t a, uint64_t b)
{
    struct hash left, right;

    if (r->proof.bad || b <= r->first || a >= r->end)
        return take(&r->proof);
    if (b - a == 1)
        return r->leaves[a - r->first];
    uint64_t mid = a + merkle_split(b - a);
    if (mid <= r->first) { /* what is known lies in the right half: the other one joins it later */
        right = range_root(r, mid, b);
        left = range_root(r, a, mid);
    } else {
        left = range_root(r, a, mid);
        right = range_root(r, mid, b);
    }
    merkle_node(&left, &left, &right);
    return left;
}

bool merkle_range_check(const struct merkle_range *r, const struct hash *root)
{
    struct ranger g = {r->first, r->first + r->leaves.n, r->leaves.p, {r->proof, false}};

    if (r->leaves.n == 0 || r->first >= r->size || r->leaves.n > r->size - r->first)
        return false;
    struct hash found = range_root(&g, 0, r->size);
    return all_taken(&g.proof) && hash_same(&found, root);
}

/* --- two sizes of one tree --- */

struct pair {
    struct hash older, newer; /* roots of the same place in both */
};

/* The place whose n leaves begin at some point of the tree; the older tree has m of them. `whole`:
 * the place begins at leaf 0, so that with m == n it is the older tree itself, which is known. */
static struct pair pair_root(struct taker *t, uint64_t m, uint64_t n, const struct hash *whole)
{
    struct pair p;

    if (t->bad || m == n) {
        p.older = p.newer = whole != NULL ? *whole : take(t);
        return p;
    }
    uint64_t k = merkle_split(n);
    if (m <= k) {
        p = pair_root(t, m, k, whole);
        struct hash right = take(t);
        merkle_node(&p.newer, &p.newer, &right);
        return p;
    }
    p = pair_root(t, m - k, n - k, NULL);
    struct hash left = take(t);
    merkle_node(&p.older, &left, &p.older);
    merkle_node(&p.newer, &left, &p.newer);
    return p;
}

bool merkle_consistent(const struct merkle_head *older, const struct merkle_head *newer,
                       struct hashes proof)
{
    struct taker t = {proof, false};

    if (older->size == 0 || older->size > newer->size)
        return false;
    struct pair p = pair_root(&t, older->size, newer->size, &older->root);
    return all_taken(&t) && hash_same(&p.older, &older->root) && hash_same(&p.newer, &newer->root);
}
