/* Messages of a room for somebody else: with the relay's checkpoint, and the proof that they are in
 * its tree; nothing else that was said there is in it (docs/evidence.md 1, 4). */
#include <stdlib.h>
#include <string.h>

#include "client/core/engine_inner.h"
#include "common/evidence/bundle.h"

struct export
{
    struct engine *g;
    struct room *r;
    struct engine_export *what;
    struct bundle bundle;
    struct flat flat;
    struct buf crl, proof;
    struct kept_signer signer;
    struct err *e;
};

/* --- which messages --- */

struct range {
    const struct engine_export *what;
    uint64_t first, last;
};

static int range_row(void *ctx, const struct keep_entry *t)
{
    struct range *x = ctx;
    int64_t time = (int64_t)t->time;

    if (t->number < x->what->first || (x->what->last != 0 && t->number > x->what->last) ||
        time < x->what->since || (x->what->until != 0 && time > x->what->until))
        return 0;
    if (x->first == 0)
        x->first = t->number;
    x->last = t->number;
    return 0;
}

/* From the first that fits to the last: a transcript has no gap. */
static int range_find(struct export *x)
{
    const struct keep *k = &x->g->conf.keep;
    uint64_t from = x->r->kept.first, size = x->r->witness.last.is.tree.size;
    struct range found = {.what = x->what};

    if (x->what->first > size)
        return err_set(x->e, ERR_INPUT, "the relay has signed for %llu messages of this room",
                       (unsigned long long)size);
    if (size < from ||
        k->ops->entries_before(k->k, &x->r->pub.id, size + 1, (unsigned)(size - from + 1),
                               range_row, &found, x->e) < 0 ||
        found.first == 0)
        return err_set(x->e, ERR_INPUT, "no message that you have read here is meant");
    x->what->first = found.first;
    x->what->last = found.last;
    return 0;
}

/* --- what goes with them --- */

static int proof_make(struct export *x)
{
    uint64_t size = x->r->witness.last.is.tree.size;
    struct hash *leaves = tree_leaves(x->g, x->r, size, x->e);
    struct tree_leaves own = {&x->r->witness.base, {leaves, size - x->r->witness.base.size}};
    struct tree_source from = tree_of_leaves(&own);
    struct proof p;

    int rc = leaves == NULL
                 ? -1
                 : tree_prove_range(&from, size, x->what->first - 1, x->what->last, &p, x->e);
    if (rc == 0)
        rc = proof_put(&x->proof, (struct hashes){p.p, p.n}, x->e);
    free(leaves);
    return rc;
}

static int parts_make(struct export *x)
{
    const struct keep *k = &x->g->conf.keep;
    const struct held *last = &x->r->witness.last;

    if (last->is.tree.size == 0 || !tree_based(x->r) || last->is.tree.size > x->r->kept.number)
        return err_set(x->e, ERR_AGAIN, "the relay has not signed for this room yet");
    if (k->ops->value_get(k->k, "crl", &x->crl, x->e) != 1)
        return err_set(x->e, ERR_DATA, "the revocation list is not here");
    if (range_find(x) < 0 || flat_make(&x->flat, x->what->first, x->what->last) < 0 ||
        proof_make(x) < 0 || signer_copy(x->g, &last->is.signer, &x->signer, x->e) < 0)
        return -1;
    x->what->withheld = x->flat.withheld;
    return bundle_cert_add(&x->bundle, span_of(x->signer.leaf, x->signer.leaf_n), x->e);
}

static int bundle_fill(struct export *x, struct buf *out)
{
    const struct held *last = &x->r->witness.last;
    struct bundle *b = &x->bundle;

    b->kind = BUNDLE_MESSAGES;
    b->checkpoint = span_of(last->text, last->text_n);
    b->checkpoint_sig = span_of(last->sig, last->sig_n);
    b->checkpoint_tsr = span_of("", 0);
    b->transcript = buf_span(&x->flat.text);
    b->proof = buf_span(&x->proof);
    b->root = x->g->conf.root;
    b->issuer = span_of(x->signer.issuer, x->signer.issuer_n);
    b->crl = buf_span(&x->crl);
    return bundle_put(out, b, x->e);
}

int engine_export(struct engine *g, struct engine_export *what, struct buf *out, struct err *e)
{
    struct export x = {.g = g, .r = room_find(g, &what->room), .what = what, .e = e};

    if (x.r == NULL)
        return err_set(e, ERR_INPUT, "no such room");
    x.flat = (struct flat){.g = g,
                           .r = x.r,
                           .bundle = &x.bundle,
                           .hide = what->redact,
                           .hide_n = what->redact_n,
                           .e = e};
    buf_init(&x.crl, CRL_MAX);
    buf_init(&x.proof, PROOF_MAX * (HASH_B64 + 1));
    int rc = parts_make(&x) < 0 ? -1 : bundle_fill(&x, out);
    bundle_free(&x.bundle);
    buf_free(&x.flat.text);
    buf_free(&x.crl);
    buf_free(&x.proof);
    return rc;
}

int engine_export_hide(struct str list, uint64_t out[REDACT_MAX], size_t *n, struct err *e)
{
    *n = 0;
    while (list.n > 0) {
        if (*n == REDACT_MAX)
            return err_set(e, ERR_LIMIT, "at most %d texts can be left out", REDACT_MAX);
        if (str_u64(str_cut(&list, ','), EXACT_INT_MAX, out + *n) < 0 || out[*n] == 0)
            return err_set(e, ERR_USAGE,
                           "texts to be left out are named by numbers, without blanks: 3,5,8");
        ++*n;
    }
    return 0;
}
