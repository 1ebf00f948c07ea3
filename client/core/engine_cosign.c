/* engine_cosign.c -- the other member's seal in rooms of two (docs/protocol.md 6.2). When he seals
 * a session the relay shows us his receipt: we sign the same bytes, of what we have ourselves and
 * find equal, and of nothing else; what does not fit has no seal of ours and is nobody's mistake.
 * And his seal on ours, which the relay hands on. */
#include <stdlib.h>
#include <string.h>

#include "client/core/engine_inner.h"
#include "common/evidence/transcript.h"

/* --- ours on his --- */

/* We do not sign day and night for somebody who asks without end. */
static bool cosign_due(struct engine *g)
{
    int64_t now = engine_mono(g), least = now - (int64_t)COSIGN_BURST * COSIGN_MS;

    if (g->cosigned < least)
        g->cosigned = least;
    if (g->cosigned > now - COSIGN_MS)
        return false;
    g->cosigned += COSIGN_MS;
    return true;
}

static bool entries_same(struct engine *g, const struct room *r, const struct receipt *x)
{
    struct hash is;
    struct err e = {0};

    return r->kept.based && x->first >= r->kept.first && x->last <= r->kept.number &&
           head_at(g, r, x->first - 1, &is, &e) == 1 && hash_same(&is, &x->base) &&
           head_at(g, r, x->last, &is, &e) == 1 && hash_same(&is, &x->head);
}

/* Is it the root of our own entries? */
static bool root_same(struct engine *g, struct room *r, const struct merkle_head *said)
{
    struct tree_leaves own = {&r->witness.base, {NULL, 0}};
    struct tree_source from = tree_of_leaves(&own);
    struct tree t;
    struct err e = {0};

    if (said->size == 0)
        return true;
    struct hash *leaves = tree_based(r) ? tree_leaves(g, r, said->size, &e) : NULL;
    if (leaves == NULL)
        return false;
    own.leaves = (struct hashes){leaves, said->size - own.base->size};
    bool same = tree_at(&from, said->size, &t, &e) == 0;
    if (same) {
        const struct merkle_head is = tree_head(&t);
        same = hash_same(&is.root, &said->root);
    }
    free(leaves);
    return same;
}

/* Whose certificate is that? The other one's of the room, in order then; NULL: not, or not here. */
static const struct author *other_at(struct engine *g, const struct room *r, const struct hash *fp,
                                     int64_t at)
{
    const struct author *a = author_want(g, fp);
    struct err e = {0};

    return a != NULL && a->state == AUTHOR_HERE && strcmp(a->account, r->kept.name) == 0 &&
                   strcmp(a->account, g->account) != 0 && author_check(g, a, at, &e) == 0
               ? a
               : NULL;
}

/* The room of two that it is about, as far as we are in it and nothing is wrong there. */
static struct room *pair_of(const struct engine *g, const struct receipt *x)
{
    struct room_id id;

    memcpy(id.b, x->room, sizeof id.b);
    struct room *r = room_find(g, &id);
    return r != NULL && r->kept.kind == KEEP_DIRECT && r->pub.joined && r->is_signed &&
                   !r->pub.broken && !r->stale
               ? r
               : NULL;
}

static bool his_seal(struct engine *g, const struct room *r, const struct receipt *x,
                     const struct f_cosign_ask *f)
{
    struct receipt_seal seal;
    struct receipt_signed all;
    struct err e = {0};

    if (receipt_seal_take(&seal, str_from((const char *)f->seal.p, f->seal.n), &e) < 0 ||
        seal.role != RECEIPT_CLIENT || !hash_same(&seal.signer, &x->signer) ||
        seal.time != x->created || x->created > engine_now(g) + TS_FUTURE_MS ||
        receipt_signed_make(&all, str_from((const char *)f->receipt.p, f->receipt.n),
                            str_from((const char *)f->seal.p, f->seal.n)) < 0)
        return false;
    const struct author *a = other_at(g, r, &x->signer, x->created);
    return a != NULL && cert_verify_sig(a->cert, span_of(all.b, all.n), f->sig);
}

/* No seal is older than what it is about. */
static int latest_of(void *ctx, const struct keep_entry *t)
{
    int64_t *latest = ctx;

    if ((int64_t)t->time > *latest)
        *latest = (int64_t)t->time;
    return 0;
}

static int seal_give(struct engine *g, const struct room *r, const struct receipt *x,
                     struct span receipt)
{
    const struct keep *k = &g->conf.keep;
    struct receipt_seal seal = {RECEIPT_MEMBER, g->conf.fp, engine_now(g)};
    char text[RECEIPT_SEAL_MAX + 1];
    uint8_t sig[SIG_MAX];
    struct receipt_signed all;
    struct err e = {0};
    size_t sig_n;

    if (k->ops->entries_before(k->k, &r->pub.id, x->last + 1, (unsigned)(x->last - x->first + 1),
                               latest_of, &seal.time, &e) < 0)
        return 0;
    size_t n = receipt_seal_put(text, &seal);
    if (receipt_signed_make(&all, str_from((const char *)receipt.p, receipt.n), str_from(text, n)) <
            0 ||
        pkey_sign_pss(g->conf.key, &g->conf.rng, span_of(all.b, all.n), sig, &sig_n, &e) < 0)
        return 0;
    const struct f_cosign f = {receipt, span_of(text, n), span_of(sig, sig_n)};
    return engine_put(g, F_COSIGN, &f);
}

int take_cosign_ask(struct engine *g, struct frame *f)
{
    const struct f_cosign_ask *ask = &f->u.cosign_ask;
    struct receipt x;
    struct err e = {0};

    if (receipt_take(&x, str_from((const char *)ask->receipt.p, ask->receipt.n), &e) < 0)
        return engine_fail(g, ERR_PEER, true, "the relay broke the protocol: %s", e.text);
    struct room *r = pair_of(g, &x);
    if (r == NULL || !g->conf.record || !cosign_due(g) || !entries_same(g, r, &x) ||
        !root_same(g, r, &x.tree) || !his_seal(g, r, &x, ask))
        return 0;
    return seal_give(g, r, &x, ask->receipt);
}

/* --- his on ours --- */

static int member_take(struct sealing_by *by, const struct f_cosigned *f, struct err *e)
{
    *by = (struct sealing_by){.text_n = f->seal.n, .sig_n = f->sig.n};
    if (f->seal.n >= sizeof by->text || f->sig.n > sizeof by->sig)
        return err_set(e, ERR_DATA, "it is too long");
    memcpy(by->text, f->seal.p, f->seal.n);
    memcpy(by->sig, f->sig.p, f->sig.n);
    return receipt_seal_take(&by->seal, str_from(by->text, by->text_n), e);
}

static int member_check(struct engine *g, const struct sealing *s, const struct sealing_by *by,
                        struct err *e)
{
    const struct room *r = pair_of(g, &s->receipt);
    struct receipt_signed all;

    if (r == NULL)
        return err_set(e, ERR_DATA, "it is of no room of two");
    if (by->seal.role != RECEIPT_MEMBER)
        return err_set(e, ERR_DATA, "it is another's");
    if (by->seal.time < s->latest)
        return err_set(e, ERR_DATA, "it is dated before what it seals");
    if (by->seal.time > trust_crl_until(g->conf.trust))
        return err_set(e, ERR_DATA, "it is dated after the list of revoked certificates");
    const struct author *a = other_at(g, r, &by->seal.signer, by->seal.time);
    if (a == NULL)
        return err_set(e, ERR_DATA, "its certificate is not one of the other member's");
    if (receipt_signed_make(&all, str_from(s->text, s->text_n), str_from(by->text, by->text_n)) <
            0 ||
        !cert_verify_sig(a->cert, span_of(all.b, all.n), span_of(by->sig, by->sig_n)))
        return err_set(e, ERR_DATA, "its signature is wrong");
    return 0;
}

static struct sealing *sealing_of(struct engine *g, const struct hash *hash)
{
    struct sealing *s;
    struct hash h;

    STAILQ_FOREACH(s, &g->sealings, link) {
        sha256(span_of(s->text, s->text_n), &h);
        if (hash_same(&h, hash))
            return s;
    }
    return NULL;
}

int take_cosigned(struct engine *g, struct frame *f)
{
    const struct f_cosigned *said = &f->u.cosigned;
    struct sealing *s = sealing_of(g, &said->receipt);
    struct sealing_by by;
    struct err e = {0};

    if (s == NULL || s->closed || s->by[RECEIPT_MEMBER].good)
        return 0; /* nobody waits for it any more */
    if (crl_check(g) < 0)
        return -1;
    if (member_take(&by, said, &e) < 0 || member_check(g, s, &by, &e) < 0) {
        event_text(g, ENGINE_ALARM, pair_of(g, &s->receipt),
                   "the other member's seal on our receipt is not valid: %s", e.text);
        return 0;
    }
    by.good = true;
    s->by[RECEIPT_MEMBER] = by;
    seal_came(g, s);
    return 0;
}
