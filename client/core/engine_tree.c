/* The tree of a room's entries as we verified them, built from our own disk when it is needed. */
#include <stdlib.h>
#include <string.h>

#include "client/core/engine_inner.h"
#include "common/evidence/transcript.h"

enum { WALK_STEP = 256 };

/* Entries one after the other, from number `next` on. */
struct walk {
    uint64_t next;
    int (*leaf)(void *ctx, const struct hash *leaf);
    void *ctx;
};

static int walk_row(void *ctx, const struct keep_entry *t)
{
    struct walk *w = ctx;
    struct hash leaf;

    if (t->number != w->next)
        return -1;
    transcript_leaf(&leaf, t->line, (int64_t)t->time);
    w->next++;
    return w->leaf(w->ctx, &leaf);
}

/* Up to number `last`. */
static int walk(struct engine *g, const struct room *r, struct walk *w, uint64_t last,
                struct err *e)
{
    const struct keep *k = &g->conf.keep;

    while (w->next <= last) {
        uint64_t from = w->next, n = last - from < WALK_STEP ? last - from + 1 : WALK_STEP;
        if (k->ops->entries_before(k->k, &r->pub.id, from + n, (unsigned)n, walk_row, w, e) < 0 ||
            w->next != from + n)
            return err_set(e, ERR_DATA, "entry %llu is not here", (unsigned long long)w->next);
    }
    return 0;
}

/* Has the relay's word been taken for no more than is before our first entry, and what we built on
 * it not been left behind? */
static bool fits(const struct room *r)
{
    const struct witness *w = &r->witness;

    return w->base.size + 1 == r->kept.first && w->tree.size >= w->base.size &&
           w->tree.size <= r->kept.number;
}

bool tree_based(const struct room *r)
{
    return r->kept.based && (r->kept.first == 1 || fits(r));
}

int tree_base_take(struct room *r, const struct f_tree *f)
{
    struct tree t = {.size = f->size};
    size_t n = 0;

    for (unsigned k = TREE_LEVELS; k-- > 0;) {
        if (!(t.size >> k & 1))
            continue;
        if ((n + 1) * HASH_LEN > f->peaks.n)
            return -1;
        memcpy(t.peaks[k].b, f->peaks.p + n++ * HASH_LEN, HASH_LEN);
    }
    if (n * HASH_LEN != f->peaks.n || t.size + 1 != r->kept.first)
        return -1;
    r->witness.base = r->witness.tree = t;
    return 0;
}

static int add_leaf(void *ctx, const struct hash *leaf)
{
    tree_add(ctx, leaf, NULL);
    return 0;
}

int tree_grow(struct engine *g, struct room *r, uint64_t size, struct err *e)
{
    struct witness *w = &r->witness;

    if (!fits(r))
        w->base = w->tree = (struct tree){.size = 0}; /* from the first on: see tree_based */
    struct tree t = w->tree;
    struct walk walking = {t.size + 1, add_leaf, &t};
    if (walk(g, r, &walking, size, e) < 0)
        return -1;
    w->tree = t;
    return 0;
}

struct gather {
    struct hash *at;
};

static int gather_leaf(void *ctx, const struct hash *leaf)
{
    struct gather *x = ctx;

    *x->at++ = *leaf;
    return 0;
}

struct hash *tree_leaves(struct engine *g, struct room *r, uint64_t size, struct err *e)
{
    uint64_t before = r->witness.base.size;
    struct hash *all = size <= before || size - before > TRANSCRIPT_MAX
                           ? NULL
                           : calloc(size - before, sizeof *all);
    struct gather x = {all};
    struct walk walking = {before + 1, gather_leaf, &x};

    if (all == NULL) {
        err_set(e, ERR_LIMIT, "more entries than can be proven at once");
        return NULL;
    }
    if (walk(g, r, &walking, size, e) < 0) {
        free(all);
        return NULL;
    }
    return all;
}
