/* What this session has said in each room, with a receipt that we sign (docs/evidence.md 5). Who
 * else seals it: engine_seal.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/core/engine_inner.h"
#include "common/crypto/cades.h"
#include "common/evidence/bundle.h"

/* What is gathered of one room. */
struct gather {
    struct engine *g;
    struct room *r;
    struct receipt receipt;
    struct bundle bundle;
    struct flat flat;
    struct buf crl, cades, archive;
    struct kept_signer relay;
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

uint64_t receipt_from(const struct room *r)
{
    return r->session_from > r->kept.first ? r->session_from : r->kept.first;
}

static int receipt_fill(struct gather *x)
{
    const struct engine *g = x->g;
    struct receipt *c = &x->receipt;

    *c = (struct receipt){.signer = g->conf.fp,
                          .peer = g->session.relay_fp,
                          .created = engine_now(g),
                          .first = receipt_from(x->r),
                          .last = x->r->kept.number,
                          .head = x->r->kept.head};
    memcpy(c->session, g->session.id, sizeof c->session);
    memcpy(c->room, x->r->pub.id.b, sizeof c->room);
    memcpy(c->link, g->session.link, sizeof c->link);
    memcpy(c->suite, g->session.suite, sizeof c->suite);
    if (c->link[0] == '\0')
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

static void gather_begin(struct gather *x)
{
    x->flat = (struct flat){.g = x->g, .r = x->r, .bundle = &x->bundle, .e = x->e};
    buf_init(&x->archive, BUNDLE_MAX);
    buf_init(&x->crl, CRL_MAX);
    buf_init(&x->cades, CADES_MAX);
}

static void gather_end(struct gather *x)
{
    bundle_free(&x->bundle);
    buf_free(&x->flat.text);
    buf_free(&x->archive);
    buf_free(&x->crl);
    buf_free(&x->cades);
}

/* --- making it --- */

/* What we sign of it in the form that others' programs know. */
static struct cades cades_of(const struct engine *g, const struct sealing *s)
{
    return (struct cades){.content = span_of(s->text, s->text_n),
                          .signer = g->conf.leaf,
                          .issuer = g->conf.issuer,
                          .time = s->receipt.created};
}

static int client_sign(struct gather *x, struct sealing *s)
{
    const struct engine *g = x->g;
    struct sealing_by *own = &s->by[RECEIPT_CLIENT];
    struct receipt_signed all;

    s->receipt = x->receipt;
    s->latest = x->flat.latest;
    s->text_n = receipt_put(s->text, &s->receipt);
    s->kept = !x->r->pub.ephemeral;
    s->closed = x->r->pub.ephemeral; /* of such a room the relay keeps nothing */
    own->good = true;
    own->seal = (struct receipt_seal){RECEIPT_CLIENT, g->conf.fp, s->receipt.created};
    own->text_n = receipt_seal_put(own->text, &own->seal);
    if (receipt_signed_make(&all, str_from(s->text, s->text_n), str_from(own->text, own->text_n)) <
        0)
        return err_set(x->e, ERR_LOCAL, "a receipt that is too long");
    const struct cades c = cades_of(g, s);
    return pkey_sign_pss(g->conf.key, &g->conf.rng, span_of(all.b, all.n), own->sig, &own->sig_n,
                         x->e) < 0 ||
                   cades_sign(&c, g->conf.key, &g->conf.rng, s->cades, &s->cades_n, x->e) < 0
               ? -1
               : 0;
}

static int receipt_put_all(struct gather *x, const struct sealing *s)
{
    const struct keep *k = &x->g->conf.keep;
    char name[16 + 2 * ROOM_ID_LEN];
    struct hash h;

    sha256(span_of(s->text, s->text_n), &h);
    previous_name(name, x->r);
    if (k->ops->begin(k->k, x->e) < 0)
        return -1;
    if (k->ops->value_put(k->k, name, span_of(h.b, HASH_LEN), x->e) == 0 &&
        sealing_keep(x->g, s, x->e) == 0 && session_put(x->g, x->e) == 0)
        return store_commit(x->g, x->e);
    k->ops->rollback(k->k);
    return -1;
}

/* It is the one before the next from now on: nobody is shown it who might be shown another one in
 * its place. */
static int receipt_keep(struct gather *x, const struct sealing *s)
{
    uint64_t from = x->r->session_from;

    x->r->session_from = s->receipt.last + 1;
    if (receipt_put_all(x, s) == 0)
        return 0;
    x->r->session_from = from;
    return -1;
}

struct sealing *receipt_make(struct engine *g, struct room *r, struct err *e)
{
    struct gather x = {.g = g, .r = r, .e = e};
    struct sealing *s = calloc(1, sizeof *s);

    if (s == NULL) {
        err_set(e, ERR_LOCAL, "no memory");
        return NULL;
    }
    gather_begin(&x);
    if (receipt_fill(&x) < 0 || entries_add(&x) < 0 || client_sign(&x, s) < 0 ||
        receipt_keep(&x, s) < 0) {
        free(s);
        s = NULL;
        (void)err_in(e, "no receipt of %s", r->pub.name);
    }
    gather_end(&x);
    return s;
}

/* --- handing it over --- */

static int bundle_seals(struct gather *x, const struct sealing *s)
{
    struct bundle *b = &x->bundle;
    const struct sealing_by *client = &s->by[RECEIPT_CLIENT], *relay = &s->by[RECEIPT_RELAY],
                            *member = &s->by[RECEIPT_MEMBER];

    b->client = span_of(client->text, client->text_n);
    b->client_sig = span_of(client->sig, client->sig_n);
    b->relay = b->relay_sig = b->member = b->member_sig = span_of("", 0);
    if (member->good) {
        b->member = span_of(member->text, member->text_n);
        b->member_sig = span_of(member->sig, member->sig_n);
        if (flat_author(&x->flat, &member->seal.signer) < 0)
            return -1;
    }
    if (!relay->good)
        return 0;
    b->relay = span_of(relay->text, relay->text_n);
    b->relay_sig = span_of(relay->sig, relay->sig_n);
    return signer_copy(x->g, &relay->seal.signer, &x->relay, x->e) < 0
               ? -1
               : bundle_cert_add(b, span_of(x->relay.leaf, x->relay.leaf_n), x->e);
}

static int bundle_make(struct gather *x, const struct sealing *s)
{
    const struct keep *k = &x->g->conf.keep;
    const struct cades c = cades_of(x->g, s);
    struct bundle *b = &x->bundle;

    x->receipt = s->receipt;
    if (entries_add(x) < 0 || bundle_seals(x, s) < 0 ||
        cades_put(&c, span_of(s->cades, s->cades_n), &x->cades, x->e) < 0)
        return -1;
    if (k->ops->value_get(k->k, "crl", &x->crl, x->e) != 1)
        return err_set(x->e, ERR_DATA, "the revocation list is not here");
    b->kind = BUNDLE_SESSION;
    b->receipt = span_of(s->text, s->text_n);
    b->receipt_p7s = buf_span(&x->cades);
    b->receipt_tsr = span_of("", 0);
    b->transcript = buf_span(&x->flat.text);
    b->root = x->g->conf.root;
    b->issuer = x->g->conf.issuer;
    b->crl = buf_span(&x->crl);
    return bundle_put(&x->archive, b, x->e);
}

int receipt_give(struct engine *g, struct sealing *s, const struct engine_sink *to, struct err *e)
{
    struct room_id id;
    struct gather x = {.g = g, .e = e};

    memcpy(id.b, s->receipt.room, sizeof id.b);
    x.r = room_offline(g, &id, e);
    if (x.r == NULL)
        return -1;
    gather_begin(&x);
    int rc = bundle_make(&x, s);
    if (rc == 0) {
        const struct engine_sealed what = {.room = &x.r->pub,
                                           .first = s->receipt.first,
                                           .last = s->receipt.last,
                                           .flat = buf_span(&x.flat.text),
                                           .bundle = buf_span(&x.archive),
                                           .by_relay = s->by[RECEIPT_RELAY].good,
                                           .by_member = s->by[RECEIPT_MEMBER].good,
                                           .name = s->name};
        rc = to->each(to->ctx, &what, e);
    }
    gather_end(&x);
    return rc < 0 ? err_in(e, "no receipt of %s", x.r->pub.name) : 0;
}
