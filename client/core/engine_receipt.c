/* What this session has said in each room, with a receipt that we sign (docs/evidence.md 5). */
#include <stdio.h>
#include <string.h>

#include "client/core/engine_inner.h"
#include "common/evidence/bundle.h"
#include "common/evidence/receipt.h"

/* What is gathered of one room. */
struct gather {
    struct engine *g;
    struct room *r;
    struct receipt receipt;
    struct bundle bundle;
    struct flat flat;
    struct buf crl, archive;
    struct err *e;
};

/* Under which name the last receipt's hash is kept. */
static void previous_name(char out[16 + 2 * ROOM_ID_LEN], const struct room *r)
{
    char hex[2 * ROOM_ID_LEN + 1];

    hex_put(hex, span_of(r->pub.id.b, ROOM_ID_LEN));
    snprintf(out, 16 + 2 * ROOM_ID_LEN, "receipt-%s", hex);
}

static int previous_get(struct gather *x)
{
    const struct keep *k = &x->g->conf.keep;
    char name[16 + 2 * ROOM_ID_LEN];
    struct buf b;

    previous_name(name, x->r);
    buf_init(&b, HASH_LEN);
    int found = k->ops->value_get(k->k, name, &b, x->e);
    if (found == 1 && buf_span(&b).n == HASH_LEN)
        memcpy(x->receipt.previous.b, buf_span(&b).p, HASH_LEN);
    buf_free(&b);
    return found < 0 ? -1 : 0;
}

static int receipt_fill(struct gather *x)
{
    const struct engine *g = x->g;
    struct receipt *c = &x->receipt;

    *c = (struct receipt){.signer = g->conf.fp,
                          .peer = g->peer.relay_fp,
                          .created = engine_now(g),
                          .first = x->r->session_from,
                          .last = x->r->kept.number,
                          .head = x->r->kept.head};
    memcpy(c->session, g->session, sizeof c->session);
    memcpy(c->room, x->r->pub.id.b, sizeof c->room);
    if (str_copy(c->link, sizeof c->link, str_of(g->peer.link)) < 0 ||
        str_copy(c->suite, sizeof c->suite,
                 str_of(g->peer.suite == NULL ? "unknown" : g->peer.suite)) < 0)
        return err_set(x->e, ERR_LOCAL, "the name of the link is too long");
    if (x->r->witness.last.is.tree.size <= c->last)
        c->tree = x->r->witness.last.is.tree;
    if (head_at(x->g, x->r, c->first - 1, &c->base, x->e) != 1)
        return err_set(x->e, ERR_DATA, "what was said before is not here");
    return previous_get(x);
}

/* No receipt is older than what it is about. */
static int entries_add(struct gather *x)
{
    struct receipt *c = &x->receipt;

    if (flat_make(&x->flat, c->first, c->last) < 0)
        return -1;
    if (x->flat.latest > c->created)
        c->created = x->flat.latest;
    return flat_author(&x->flat, &x->g->conf.fp);
}

/* Signs it and puts the bundle together. */
static int bundle_make(struct gather *x, char text[RECEIPT_MAX + 1])
{
    const struct engine *g = x->g;
    const struct receipt_seal seal = {RECEIPT_CLIENT, g->conf.fp, x->receipt.created};
    char words[RECEIPT_SEAL_MAX + 1];
    struct receipt_signed all;
    uint8_t sig[SIG_MAX];
    struct bundle *b = &x->bundle;
    size_t sig_n = 0, n = receipt_put(text, &x->receipt);
    size_t words_n = receipt_seal_put(words, &seal);

    if (receipt_signed_make(&all, str_from(text, n), str_from(words, words_n)) < 0)
        return err_set(x->e, ERR_LOCAL, "a receipt that is too long");
    if (pkey_sign_pss(g->conf.key, &g->conf.rng, span_of(all.b, all.n), sig, &sig_n, x->e) < 0)
        return -1;
    b->kind = BUNDLE_SESSION;
    b->receipt = span_of(text, n);
    b->client = span_of(words, words_n);
    b->client_sig = span_of(sig, sig_n);
    b->relay = b->relay_sig = b->member = b->member_sig = span_of("", 0);
    b->transcript = buf_span(&x->flat.text);
    b->root = g->conf.root;
    b->issuer = g->conf.issuer;
    b->crl = buf_span(&x->crl);
    return bundle_put(&x->archive, b, x->e);
}

static int gather_all(struct gather *x, char text[RECEIPT_MAX + 1])
{
    const struct keep *k = &x->g->conf.keep;

    if (receipt_fill(x) < 0 || entries_add(x) < 0)
        return -1;
    if (k->ops->value_get(k->k, "crl", &x->crl, x->e) != 1)
        return err_set(x->e, ERR_DATA, "the revocation list is not here");
    return bundle_make(x, text);
}

/* It counts once whoever asked for it has it. */
static int receipt_done(struct gather *x, const char *text)
{
    const struct keep *k = &x->g->conf.keep;
    char name[16 + 2 * ROOM_ID_LEN];
    struct hash h;

    sha256(span_of(text, strlen(text)), &h);
    previous_name(name, x->r);
    x->r->session_from = x->receipt.last + 1;
    return k->ops->value_put(k->k, name, span_of(h.b, HASH_LEN), x->e);
}

static int room_seal(struct engine *g, struct room *r, const struct engine_sealing *s,
                     struct err *e)
{
    struct gather x = {.g = g, .r = r, .e = e};
    char text[RECEIPT_MAX + 1];

    x.flat = (struct flat){.g = g, .r = r, .bundle = &x.bundle, .e = e};
    buf_init(&x.archive, BUNDLE_MAX);
    buf_init(&x.crl, CRL_MAX);
    int rc = gather_all(&x, text);
    if (rc == 0)
        rc = s->each(s->ctx, buf_span(&x.flat.text), buf_span(&x.archive), e);
    if (rc == 0)
        rc = receipt_done(&x, text);
    bundle_free(&x.bundle);
    buf_free(&x.flat.text);
    buf_free(&x.archive);
    buf_free(&x.crl);
    return rc < 0 ? err_in(e, "no receipt of %s", r->pub.name) : 0;
}

void receipt_begin(struct engine *g)
{
    for (size_t i = 0; i < g->rooms_n; i++)
        g->rooms[i]->session_from = g->rooms[i]->pub.joined ? g->rooms[i]->entered + 1 : 0;
}

int engine_seal(struct engine *g, const struct engine_sealing *s, struct err *e)
{
    int rc = 0;

    for (size_t i = 0; i < g->rooms_n; i++) {
        struct room *r = g->rooms[i];
        struct err why = {0};
        if (r->session_from == 0 && r->pub.joined && r->kept.based)
            r->session_from = r->kept.first; /* we came in while the session went on */
        if (r->session_from == 0 || !r->kept.based || r->pub.broken ||
            r->kept.number < r->session_from)
            continue;
        if (r->session_from < r->kept.first)
            r->session_from = r->kept.first;
        if (room_seal(g, r, s, &why) < 0)
            rc = err_set(e, why.code, "%s", why.text);
    }
    return rc;
}
