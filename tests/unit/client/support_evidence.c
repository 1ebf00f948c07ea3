#include "support_evidence.h"

#include <stdlib.h>
#include <string.h>

#include "common/evidence/checkpoint.h"
#include "common/evidence/transcript.h"
#include "common/evidence/tree.h"

void evidence_on(struct stage *s, struct evidence *v)
{
    *v = (struct evidence){.proofs = 0};
    stage_signer(s, &v->signer, "relay.test");
    s->evidence = v;
    stage_engine(s);
}

void evidence_end(struct evidence *v)
{
    pkey_free(v->signer.key);
    verdict_free(&v->found);
}

/* --- the tree of the log --- */

static struct tree_source source(struct stage *s, struct tree_leaves *box, struct hash *leaves)
{
    for (size_t i = 0; i < s->log_n; i++)
        transcript_leaf(&leaves[i], str_from(s->log[i].made.line, s->log[i].made.line_n),
                        s->log[i].time);
    if (s->evidence->swapped) {
        struct hash first = leaves[0];
        leaves[0] = leaves[1];
        leaves[1] = first;
    }
    *box = (struct tree_leaves){NULL, {leaves, s->log_n}};
    return tree_of_leaves(box);
}

static struct tree tree_of(struct stage *s, uint64_t size)
{
    struct hash leaves[LOG_MAX];
    struct tree_leaves box;
    struct tree_source from = source(s, &box, leaves);
    struct tree t;
    struct err e = {0};

    assert_int_equal(tree_at(&from, size, &t, &e), 0);
    return t;
}

static struct span grown(struct stage *s, uint64_t older, uint64_t newer, struct proof *out)
{
    struct hash leaves[LOG_MAX];
    struct tree_leaves box;
    struct tree_source from = source(s, &box, leaves);
    struct proof rest;
    struct err e = {0};

    out->n = 0;
    if (older == 0 || older > newer)
        return span_of(NULL, 0);
    assert_int_equal(tree_prove_growth(&from, older, newer, &rest, &e), 0);
    struct tree then = tree_of(s, older);
    out->p[0] = tree_head(&then).root;
    memcpy(out->p + 1, rest.p, rest.n * sizeof rest.p[0]);
    out->n = rest.n + 1;
    return span_of(out->p, out->n * sizeof out->p[0]);
}

bool evidence_root(struct stage *s, uint64_t number, struct hash *out)
{
    if (s->evidence == NULL || s->evidence->no_root)
        return false;
    struct tree t = tree_of(s, number);
    *out = tree_head(&t).root;
    out->b[7] ^= s->evidence->bad_root;
    return true;
}

/* --- what it answers --- */

static void refuse(struct stage *s, uint64_t id, enum proto_code code)
{
    stage_answer(s, F_ERROR,
                 &(struct f_error){.re = id, .code = code, .text = str_of("no evidence")});
}

static void serve_checkpoint(struct stage *s, const struct f_checkpoint_ask *ask)
{
    struct evidence *v = s->evidence;
    const struct person *by = v->by != NULL ? v->by : &v->signer;
    uint64_t size = v->size != 0 ? v->size : s->log_n;
    struct tree t = tree_of(s, size);
    struct checkpoint c = {.tree = tree_head(&t), .signer = by->fp};
    char text[CHECKPOINT_MAX + 1];
    uint8_t sig[SIG_MAX];
    size_t sig_n;
    struct proof a, b;
    struct err e = {0};

    memcpy(c.room, s->room.b, sizeof c.room);
    c.room[0] ^= v->other_room;
    c.time = v->time != 0 ? v->time : s->now;
    size_t n = checkpoint_put(text, &c);
    assert_int_equal(pkey_sign_pss(by->key, &s->rng, span_of(text, n), sig, &sig_n, &e), 0);
    sig[0] ^= v->bad_sig;
    struct f_checkpoint f = {ask->id, span_of(text, n), span_of(sig, sig_n),
                             grown(s, ask->after, size, &a), grown(s, ask->own, size, &b)};
    if (f.proof.n > HASH_LEN)
        a.p[a.n - 1].b[3] ^= v->bad_proof;
    if (f.grown.n > HASH_LEN)
        b.p[b.n - 1].b[3] ^= v->bad_grown;
    f.proof.n -= v->odd_proof && f.proof.n > 0;
    if (v->no_proof)
        f.proof.n = 0;
    if (v->no_grown)
        f.grown.n = 0;
    stage_answer(s, F_CHECKPOINT, &f);
}

static void ask_checkpoint(struct stage *s, const struct f_checkpoint_ask *ask)
{
    struct evidence *v = s->evidence;

    v->asked++;
    v->after = ask->after;
    v->own = ask->own;
    if (v->refused || v->gone)
        refuse(s, ask->id, v->gone ? CODE_NO_SUCH : CODE_BUSY);
    else if (!v->mute)
        serve_checkpoint(s, ask);
}

static void serve_tree(struct stage *s, const struct f_tree_ask *ask)
{
    struct tree t = tree_of(s, ask->size);
    struct proof peaks = {.n = 0};

    s->evidence->bases++;
    for (unsigned k = TREE_LEVELS; k-- > 0;)
        if (t.size >> k & 1)
            peaks.p[peaks.n++] = t.peaks[k];
    peaks.p[0].b[0] ^= s->evidence->bad_base;
    const struct f_tree f = {ask->id, ask->room, ask->size,
                             span_of(peaks.p, peaks.n * sizeof peaks.p[0])};
    stage_answer(s, F_TREE, &f);
}

static void serve_signer(struct stage *s, const struct f_signer_ask *ask)
{
    const struct evidence *v = s->evidence;
    const struct person *p = v->by != NULL ? v->by : &v->signer;
    const struct span chain[] = {span_of(p->leaf.b, p->leaf.n), span_of(p->issuer.b, p->issuer.n)};
    const struct f_signer f = {ask->id, ask->fp, chain, COUNT(chain)};

    if (v->hidden)
        refuse(s, ask->id, CODE_NO_SUCH);
    else
        stage_answer(s, F_SIGNER, &f);
}

void evidence_seal(struct stage *s, const struct f_seal *ask)
{
    struct evidence *v = s->evidence;
    const struct person *by = v->by != NULL ? v->by : &v->signer;
    const struct receipt_seal seal = {v->seal_role, by->fp,
                                      v->seal_time != 0 ? v->seal_time : s->now};
    char text[RECEIPT_SEAL_MAX + 1];
    struct receipt_signed all;
    uint8_t sig[SIG_MAX];
    size_t sig_n, n = receipt_seal_put(text, &seal);
    struct err e = {0};

    assert_int_equal(
        receipt_signed_make(&all, str_from(ask->receipt.p, ask->receipt.n), str_from(text, n)), 0);
    assert_int_equal(pkey_sign_pss(by->key, &s->rng, span_of(all.b, all.n), sig, &sig_n, &e), 0);
    sig[0] ^= v->bad_sig;
    stage_answer(s, F_SEALED,
                 &(struct f_sealed){ask->id, span_of(text, n - v->seal_odd), span_of(sig, sig_n),
                                    v->seal_member});
}

static void ask_seal(struct stage *s, const struct f_seal *ask)
{
    struct evidence *v = s->evidence;
    struct err e = {0};

    v->seals++;
    v->seal_id = ask->id;
    assert_int_equal(receipt_take(&v->receipt, str_from(ask->receipt.p, ask->receipt.n), &e), 0);
    if (v->seal_busy)
        refuse(s, ask->id, CODE_BUSY);
    else if (v->seal_refused)
        refuse(s, ask->id, v->seal_code == 0 ? CODE_DENIED : v->seal_code);
    else if (!v->seal_mute)
        evidence_seal(s, ask);
}

static void take_cosign(struct stage *s, const struct f_cosign *f)
{
    struct evidence *v = s->evidence;
    struct cert *c =
        cert_parse(span_of(s->who[ALICE].leaf.b, s->who[ALICE].leaf.n), NULL, &(struct err){0});
    struct receipt_signed all;
    struct err e = {0};

    v->cosigns++;
    assert_int_equal(receipt_seal_take(&v->cosign, str_from(f->seal.p, f->seal.n), &e), 0);
    assert_int_equal(receipt_signed_make(&all, str_from(f->receipt.p, f->receipt.n),
                                         str_from(f->seal.p, f->seal.n)),
                     0);
    v->cosign_good = cert_verify_sig(c, span_of(all.b, all.n), f->sig);
    cert_free(c);
}

bool evidence_serve(struct stage *s, const struct frame *f)
{
    if (s->evidence == NULL)
        return false;
    if (f->type == F_CHECKPOINT_ASK)
        ask_checkpoint(s, &f->u.checkpoint_ask);
    else if (f->type == F_TREE_ASK)
        serve_tree(s, &f->u.tree_ask);
    else if (f->type == F_SIGNER_ASK)
        serve_signer(s, &f->u.signer_ask);
    else if (f->type == F_SEAL)
        ask_seal(s, &f->u.seal);
    else if (f->type == F_COSIGN)
        take_cosign(s, &f->u.cosign);
    else
        return false;
    return true;
}

/* What the engine would have others believe goes to the judge at once. */
void evidence_told(struct stage *s, const struct engine_event *ev)
{
    const struct span root = span_of(s->root.b, s->root.n);

    assert_non_null(s->evidence);
    s->evidence->proofs++;
    verdict_free(&s->evidence->found);
    judge_bundle(ev->evidence, &(struct belief){.roots = &root, .roots_n = 1}, &s->evidence->found);
}
