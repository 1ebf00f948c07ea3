/* The last good checkpoint of a room, with the tree that was held against it, on our disk: one
 * sealed value for each room. */
#include <stdio.h>
#include <string.h>

#include "client/core/engine_inner.h"

enum { TREE_BYTES = 8 + TREE_LEVELS * HASH_LEN, NAME_CAP = 16 + 2 * ROOM_ID_LEN };
enum { HELD_BYTES = 2 + CHECKPOINT_MAX + 2 + SIG_MAX + 2 * TREE_BYTES };

static void held_name(char out[NAME_CAP], const struct room *r)
{
    char hex[2 * ROOM_ID_LEN + 1];

    hex_put(hex, span_of(r->pub.id.b, ROOM_ID_LEN));
    snprintf(out, NAME_CAP, "checkpoint-%s", hex);
}

static void tree_pack(struct wr *w, const struct tree *t)
{
    wr_u64(w, t->size);
    for (unsigned k = 0; k < TREE_LEVELS; k++)
        if (t->size >> k & 1)
            wr_put(w, t->peaks[k].b, HASH_LEN);
}

static void hash_unpack(struct rd *r, struct hash *out)
{
    const uint8_t *p = rd_take(r, HASH_LEN);

    if (p != NULL)
        memcpy(out->b, p, HASH_LEN);
}

static void tree_unpack(struct rd *r, struct tree *t)
{
    *t = (struct tree){.size = rd_u64(r)};
    for (unsigned k = 0; k < TREE_LEVELS; k++)
        if (t->size >> k & 1)
            hash_unpack(r, &t->peaks[k]);
    if (t->size > EXACT_INT_MAX)
        r->bad = true;
}

static int signed_take(struct held *h, struct span text, struct span sig, struct err *e)
{
    if (text.n > CHECKPOINT_MAX || sig.n == 0 || sig.n > SIG_MAX)
        return err_set(e, ERR_DATA, "not a checkpoint");
    if (checkpoint_take(&h->is, str_from(text.p, text.n), e) < 0)
        return -1;
    memcpy(h->text, text.p, text.n);
    h->text[text.n] = '\0';
    memcpy(h->sig, sig.p, sig.n);
    h->text_n = text.n;
    h->sig_n = sig.n;
    return 0;
}

int held_take(struct held *h, const struct room *r, const struct f_checkpoint *f, struct err *e)
{
    if (signed_take(h, f->text, f->sig, e) < 0)
        return -1;
    return memcmp(h->is.room, r->pub.id.b, ROOM_ID_LEN) == 0
               ? 0
               : err_set(e, ERR_DATA, "it is about another room");
}

static int held_unpack(struct witness *w, struct span box, struct err *e)
{
    struct rd in = rd_of(box);
    struct held h = {.text_n = 0};

    size_t n = rd_u16(&in);
    struct span text = span_of(rd_take(&in, n), n);
    n = rd_u16(&in);
    struct span sig = span_of(rd_take(&in, n), n);
    struct tree base, tree;
    tree_unpack(&in, &base);
    tree_unpack(&in, &tree);
    if (!rd_done(&in) || signed_take(&h, text, sig, e) < 0)
        return err_set(e, ERR_DATA, "a kept checkpoint cannot be read");
    w->last = h;
    w->base = base;
    w->tree = tree;
    return 0;
}

int held_load(struct engine *g, struct room *r, struct err *e)
{
    const struct keep *k = &g->conf.keep;
    char name[NAME_CAP];
    struct buf b;

    held_name(name, r);
    buf_init(&b, HELD_BYTES);
    int found = k->ops->value_get(k->k, name, &b, e);
    int ret = found == 1 ? held_unpack(&r->witness, buf_span(&b), e) : found;
    buf_free(&b);
    return ret;
}

int held_save(struct engine *g, struct room *r, const struct held *last)
{
    const struct keep *k = &g->conf.keep;
    struct witness *x = &r->witness;
    uint8_t box[HELD_BYTES];
    struct wr w = wr_of(box, sizeof box);
    char name[NAME_CAP];
    struct err e = {0};

    wr_u16(&w, (uint16_t)last->text_n);
    wr_put(&w, last->text, last->text_n);
    wr_u16(&w, (uint16_t)last->sig_n);
    wr_put(&w, last->sig, last->sig_n);
    tree_pack(&w, &x->base);
    tree_pack(&w, &x->tree);
    held_name(name, r);
    if (k->ops->value_put(k->k, name, wr_span(&w), &e) < 0)
        return engine_fail(g, e.code, false, "%s", e.text);
    x->last = *last;
    return 0;
}
