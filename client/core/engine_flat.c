/* Entries of a room from our disk as a transcript (docs/evidence.md 3), with the certificates of
 * their authors. */
#include <string.h>

#include "client/core/engine_inner.h"
#include "common/evidence/transcript.h"

static bool hidden(const struct flat *x, uint64_t number)
{
    for (size_t i = 0; i < x->hide_n; i++)
        if (x->hide[i] == number)
            return true;
    return false;
}

static int row_add(void *ctx, const struct keep_entry *t)
{
    struct flat *x = ctx;
    bool withheld = t->refused.n > 0 || t->body.n == 0 || hidden(x, t->number);
    const struct transcript_row row = {
        .number = t->number,
        .time = (int64_t)t->time,
        .line = t->line,
        .body = withheld ? span_of(NULL, 0) : t->body,
        .sig = t->sig,
        .author = t->fp,
    };

    if (t->number != x->next || !t->proven)
        return err_set(x->e, ERR_DATA, "entry %llu is not one that its author signed",
                       (unsigned long long)x->next);
    x->next++;
    x->withheld += withheld;
    if (row.time > x->latest)
        x->latest = row.time;
    return transcript_put(&x->text, &row, x->e);
}

int flat_author(struct flat *x, const struct hash *fp)
{
    const struct author *a = author_want(x->g, fp);

    if (a == NULL || a->state != AUTHOR_HERE)
        return err_set(x->e, ERR_DATA, "an author's certificate is not here");
    return bundle_cert_add(x->bundle, cert_der(a->cert), x->e);
}

/* Behind the rows: what the store gives out lives until its next use. */
static int authors_add(struct flat *x)
{
    struct transcript t;
    struct span s = buf_span(&x->text);
    int rc = transcript_open(&t, str_from(s.p, s.n), x->e);

    while (rc == 0 && (rc = transcript_next(&t, x->e)) == 1)
        rc = flat_author(x, &t.author);
    transcript_close(&t);
    return rc < 0 ? -1 : 0;
}

int flat_make(struct flat *x, uint64_t first, uint64_t last)
{
    const struct keep *k = &x->g->conf.keep;

    buf_init(&x->text, BUNDLE_MAX / 2);
    if (last - first >= TRANSCRIPT_MAX)
        return err_set(x->e, ERR_LIMIT, "more entries than one transcript holds");
    x->next = first;
    if (k->ops->entries_before(k->k, &x->r->pub.id, last + 1, (unsigned)(last - first + 1), row_add,
                               x, x->e) < 0)
        return -1;
    if (x->next != last + 1)
        return err_set(x->e, ERR_DATA, "entries are missing here");
    return authors_add(x);
}
