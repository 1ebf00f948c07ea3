/* Two checkpoints of a relay that cannot both be true, as a file for others (docs/evidence.md 1).
 */
#include <string.h>

#include "client/core/engine_inner.h"
#include "common/evidence/bundle.h"

int signer_copy(struct engine *g, const struct hash *fp, struct kept_signer *out, struct err *e)
{
    struct keep_cert kept;

    if (g->conf.keep.ops->cert_get(g->conf.keep.k, fp, &kept, e) != 1 ||
        kept.leaf.n > sizeof out->leaf || kept.issuer.n > sizeof out->issuer)
        return err_set(e, ERR_DATA, "the certificate of the relay's signer is not here");
    memcpy(out->leaf, kept.leaf.p, kept.leaf.n);
    memcpy(out->issuer, kept.issuer.p, kept.issuer.n);
    out->leaf_n = kept.leaf.n;
    out->issuer_n = kept.issuer.n;
    return 0;
}

/* The three parts that are not the checkpoints'. */
struct parts {
    struct buf crl, proof, archive;
    struct kept_signer was, is;
};

static int parts_get(struct engine *g, const struct lie *l, struct parts *p, struct err *e)
{
    const struct keep *k = &g->conf.keep;

    if (k->ops->value_get(k->k, "crl", &p->crl, e) != 1)
        return err_set(e, ERR_DATA, "the revocation list is not here");
    return signer_copy(g, &l->was->is.signer, &p->was, e) < 0 ||
                   signer_copy(g, &l->is->is.signer, &p->is, e) < 0
               ? -1
               : proof_put(&p->proof, l->proof, e);
}

static int bundle_make(struct engine *g, const struct lie *l, struct parts *p, struct err *e)
{
    struct bundle b = {
        .kind = BUNDLE_CONTRADICTION,
        .checkpoint = span_of(l->was->text, l->was->text_n),
        .checkpoint_sig = span_of(l->was->sig, l->was->sig_n),
        .later = span_of(l->is->text, l->is->text_n),
        .later_sig = span_of(l->is->sig, l->is->sig_n),
        .proof = buf_span(&p->proof),
        .root = g->conf.root,
        .issuer = span_of(p->is.issuer, p->is.issuer_n),
        .crl = buf_span(&p->crl),
    };
    int rc = bundle_cert_add(&b, span_of(p->was.leaf, p->was.leaf_n), e) < 0 ||
                     bundle_cert_add(&b, span_of(p->is.leaf, p->is.leaf_n), e) < 0
                 ? -1
                 : bundle_put(&p->archive, &b, e);

    bundle_free(&b);
    return rc;
}

void lie_show(struct engine *g, struct room *r, const struct lie *l)
{
    struct parts p;
    struct err e = {0};

    buf_init(&p.crl, CRL_MAX);
    buf_init(&p.proof, PROOF_MAX * (HASH_B64 + 1));
    buf_init(&p.archive, BUNDLE_MAX);
    if (parts_get(g, l, &p, &e) < 0 || bundle_make(g, l, &p, &e) < 0)
        event_text(g, ENGINE_ALARM, r, "%s: what proves it to others cannot be kept: %s",
                   r->pub.name, e.text);
    else
        event_add(g, &(struct engine_event){.kind = ENGINE_EVIDENCE,
                                            .room = r->pub.id,
                                            .roomed = true,
                                            .evidence = buf_span(&p.archive)});
    buf_free(&p.crl);
    buf_free(&p.proof);
    buf_free(&p.archive);
}
