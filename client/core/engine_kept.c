/* engine_kept.c -- our receipts on our disk: text, seals, what became of them, and what the program
 * calls the files that it made of each. Those that the relay may still seal are read at the start,
 * in the order in which they were signed. */
#include <stdlib.h>
#include <string.h>

#include "client/core/engine_inner.h"

enum { OPEN = 1, CLOSED = 2 }; /* the first byte of a row */
enum {
    SEALS_BYTES = RECEIPT_ROLE_COUNT * (2 + RECEIPT_SEAL_MAX + 2 + SIG_MAX),
    ROW_MAX = 1 + 8 + 2 + RECEIPT_MAX + SEALS_BYTES + 2 + SIG_MAX + 2 + RECEIPT_NAME_MAX
};

/* --- one row --- */

/* How long it is; more than fits spoils r. */
static size_t part_take(struct rd *r, void *out, size_t max)
{
    struct span s = rd_part(r, 2);

    if (s.n > max)
        r->bad = true;
    else if (s.n > 0)
        memcpy(out, s.p, s.n);
    return r->bad ? 0 : s.n;
}

int sealing_keep(struct engine *g, const struct sealing *s, struct err *e)
{
    const struct keep *k = &g->conf.keep;
    struct keep_receipt row;
    uint8_t data[ROW_MAX];
    struct wr w = wr_of(data, sizeof data);

    if (!s->kept)
        return 0;
    wr_u8(&w, s->closed ? CLOSED : OPEN);
    wr_u64(&w, (uint64_t)s->latest);
    wr_part(&w, 2, span_of(s->text, s->text_n));
    for (size_t i = 0; i < RECEIPT_ROLE_COUNT; i++) {
        const struct sealing_by *by = &s->by[i];
        wr_part(&w, 2, span_of(by->text, by->good ? by->text_n : 0));
        wr_part(&w, 2, span_of(by->sig, by->good ? by->sig_n : 0));
    }
    wr_part(&w, 2, span_of(s->cades, s->cades_n));
    wr_part(&w, 2, span_of(s->name, strlen(s->name)));
    sha256(span_of(s->text, s->text_n), &row.hash);
    memcpy(row.room.b, s->receipt.room, sizeof row.room.b);
    row.data = wr_span(&w);
    return k->ops->receipt_put(k->k, &row, e);
}

static void seal_unpack(struct sealing_by *by, struct rd *r)
{
    struct err e = {0};

    by->text_n = part_take(r, by->text, RECEIPT_SEAL_MAX);
    by->sig_n = part_take(r, by->sig, SIG_MAX);
    by->good = by->sig_n > 0;
    if (by->good && receipt_seal_take(&by->seal, str_from(by->text, by->text_n), &e) < 0)
        r->bad = true;
}

int sealing_unpack(struct sealing *s, const struct keep_receipt *row, struct err *e)
{
    struct rd r = rd_of(row->data);
    struct err ignored = {0};

    *s = (struct sealing){.kept = true};
    uint8_t state = rd_u8(&r);
    s->closed = state == CLOSED;
    s->latest = (int64_t)rd_u64(&r);
    s->text_n = part_take(&r, s->text, RECEIPT_MAX);
    for (size_t i = 0; i < RECEIPT_ROLE_COUNT; i++)
        seal_unpack(&s->by[i], &r);
    s->cades_n = part_take(&r, s->cades, SIG_MAX);
    (void)part_take(&r, s->name, RECEIPT_NAME_MAX);
    if (!rd_done(&r) || (state != OPEN && state != CLOSED) ||
        receipt_take(&s->receipt, str_from(s->text, s->text_n), &ignored) < 0)
        return err_set(e, ERR_DATA, "the store: a receipt's row is damaged");
    return 0;
}

/* --- those that are not done --- */

struct loading {
    struct engine *g;
    struct err *e;
};

static int row_load(void *ctx, const struct keep_receipt *row)
{
    struct loading *x = ctx;
    struct sealing *s = malloc(sizeof *s);

    if (s == NULL)
        return err_set(x->e, ERR_OS, "no memory");
    if (sealing_unpack(s, row, x->e) < 0) {
        free(s);
        return -1;
    }
    s->unwanted = !x->g->conf.record && s->name[0] == '\0';
    sealing_due(s);
    if (s->closed && !s->due)
        free(s);
    else
        STAILQ_INSERT_TAIL(&x->g->sealings, s, link);
    return 0;
}

int sealings_load(struct engine *g, struct err *e)
{
    const struct keep *k = &g->conf.keep;
    const struct sealing *s;

    if (k->ops->receipt_each(k->k, row_load, &(struct loading){g, e}, e) < 0)
        return -1;
    STAILQ_FOREACH(s, &g->sealings, link)
        if (s->due) {
            event_add(g, &(struct engine_event){.kind = ENGINE_SEALED});
            break;
        }
    return 0;
}
