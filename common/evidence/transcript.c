#include "common/evidence/transcript.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/evidence/merkle.h"

enum { CT_MAX = LINE_MAX_LEN + 1 + BODY_MAX };

int transcript_open(struct transcript *t, struct str text, struct err *e)
{
    *t = (struct transcript){.rest = text, .ct = malloc(CT_MAX)};
    return t->ct != NULL ? 0 : err_set(e, ERR_LOCAL, "no memory");
}

void transcript_close(struct transcript *t)
{
    free(t->ct);
    *t = (struct transcript){0};
}

/* Line and body, divided by the first LF. */
static int ct_split(struct transcript *t, size_t n)
{
    struct str rest = str_from(t->ct, n);

    t->line = str_cut(&rest, '\n');
    t->body = span_of(rest.p, rest.n);
    return t->line.n >= 1 && t->line.n <= LINE_MAX_LEN && (rest.p == NULL || rest.n > 0) ? 0 : -1;
}

static const char *fields_take(struct transcript *t, struct str line)
{
    uint64_t time;
    size_t n;

    if (str_u64(str_cut(&line, '|'), EXACT_INT_MAX, &t->number) < 0 || t->number == 0)
        return "seqno";
    if (str_u64(str_cut(&line, '|'), EXACT_INT_MAX, &time) < 0)
        return "ts";
    t->time = (int64_t)time;
    if (b64_take(t->ct, CT_MAX, &n, str_cut(&line, '|')) < 0 || ct_split(t, n) < 0)
        return "ct";
    if (b64_take(t->sig, sizeof t->sig, &t->sig_n, str_cut(&line, '|')) < 0 || t->sig_n == 0)
        return "sig";
    if (line.p == NULL || hex_take(t->author.b, HASH_LEN, line) < 0)
        return "peer_cert_fingerprint";
    return NULL;
}

int transcript_next(struct transcript *t, struct err *e)
{
    if (t->rest.n == 0)
        return 0;
    struct str line = str_cut(&t->rest, '\n');
    const char *wrong = fields_take(t, line);
    if (wrong != NULL)
        return err_set(e, ERR_DATA, "%s", wrong);
    if (t->rest.p == NULL)
        return err_set(e, ERR_DATA, "cut off: no line feed at the end");
    return 1;
}

void transcript_leaf(struct hash *out, struct str line, int64_t time)
{
    char text[24];
    int n = snprintf(text, sizeof text, "|%" PRId64, time);
    const struct span parts[] = {span_of(line.p, line.n), span_of(text, (size_t)n)};

    merkle_leaf(out, parts, COUNT(parts));
}

/* Appends base64 of n bytes, which b64_put ends with a NUL. */
static int b64_add(struct buf *out, struct span data)
{
    size_t n = b64_len(data.n);
    char *text = (char *)buf_room(out, n + 1);

    if (text == NULL)
        return -1;
    b64_put(text, data);
    buf_cut(out, buf_span(out).n - 1);
    return 0;
}

static int ct_add(struct buf *out, const struct transcript_row *row)
{
    struct buf ct;
    int rc = -1;

    buf_init(&ct, CT_MAX);
    if (buf_add(&ct, row->line.p, row->line.n) == 0 &&
        (row->body.n == 0 ||
         (buf_add(&ct, "\n", 1) == 0 && buf_add(&ct, row->body.p, row->body.n) == 0)))
        rc = b64_add(out, buf_span(&ct));
    buf_free(&ct);
    return rc;
}

int transcript_put(struct buf *out, const struct transcript_row *row, struct err *e)
{
    char begin[48], end[2 * HASH_LEN + 3] = "|";
    int n = snprintf(begin, sizeof begin, "%" PRIu64 "|%" PRId64 "|", row->number, row->time);

    hex_put(end + 1, span_of(row->author.b, HASH_LEN));
    end[2 * HASH_LEN + 1] = '\n';
    return buf_add(out, begin, (size_t)n) < 0 || ct_add(out, row) < 0 || buf_add(out, "|", 1) < 0 ||
                   b64_add(out, row->sig) < 0 || buf_add(out, end, sizeof end - 1) < 0
               ? err_set(e, ERR_LIMIT, "more than a transcript may hold")
               : 0;
}
