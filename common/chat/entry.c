#include "common/chat/entry.h"

#include <stdio.h>
#include <string.h>

#include "common/chat/json.h"

#define ENTRY_WORD "countersign-entry-1"

/* Word, two numbers and a time, room, four hashes, number and head of `seen`; bars and the dot. */
static_assert(sizeof ENTRY_WORD + 4 * 17 + 2 * ROOM_ID_LEN + 1 + 4 * (2 * HASH_LEN + 1) + 1 +
                      2 * HASH_LEN <=
                  LINE_MAX_LEN,
              "every line fits");

/* --- the line --- */

/* Cuts the next field off, and notes which one is wrong. */
struct fields {
    struct str rest;
    const char *wrong;
};

enum { LAST = '\0' }; /* in place of a separator: all that is left */

static struct str field_cut(struct fields *f, char sep, const char *name)
{
    struct str s = f->rest;

    if (sep == LAST)
        return s;
    s = str_cut(&f->rest, sep);
    if (f->rest.p == NULL && f->wrong == NULL)
        f->wrong = name; /* the separator was missing */
    return s;
}

static void field_hex(struct fields *f, char sep, const char *name, void *out, size_t n)
{
    if (hex_take(out, n, field_cut(f, sep, name)) < 0 && f->wrong == NULL)
        f->wrong = name;
}

static uint64_t field_u64(struct fields *f, char sep, const char *name)
{
    uint64_t v = 0;

    if (str_u64(field_cut(f, sep, name), JSON_INT_MAX, &v) < 0 && f->wrong == NULL)
        f->wrong = name;
    return v;
}

int entry_line_take(struct entry_line *l, struct str text, struct err *e)
{
    struct fields f = {text, NULL};

    memset(l, 0, sizeof *l);
    if (text.n > LINE_MAX_LEN)
        return err_set(e, ERR_PEER, "entry: the line is too long");
    if (!str_is(field_cut(&f, '|', "word"), ENTRY_WORD))
        f.wrong = "word";
    field_hex(&f, '|', "room", l->room.b, sizeof l->room.b);
    l->epoch = field_u64(&f, '|', "epoch");
    l->seq = field_u64(&f, '|', "seq");
    l->ts = (int64_t)field_u64(&f, '|', "time");
    field_hex(&f, '|', "author", l->author.b, HASH_LEN);
    field_hex(&f, '|', "prev", l->prev.b, HASH_LEN);
    field_hex(&f, '|', "body hash", l->body_hash.b, HASH_LEN);
    field_hex(&f, '|', "commitment", l->commitment.b, HASH_LEN);
    l->seen_number = field_u64(&f, '.', "seen");
    field_hex(&f, LAST, "seen", l->seen_head.b, HASH_LEN);
    if (f.wrong == NULL && l->seq == 0)
        f.wrong = "seq";
    return f.wrong == NULL ? 0 : err_set(e, ERR_PEER, "entry: the %s of the line", f.wrong);
}

/* One field of hex and the separator behind it. */
static void put_hex(struct wr *w, const void *p, size_t n, char behind)
{
    char hex[2 * HASH_LEN + 1];

    hex_put(hex, span_of(p, n));
    wr_put(w, hex, 2 * n);
    wr_u8(w, (uint8_t)behind);
}

static void put_u64(struct wr *w, uint64_t v, char behind)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%llu", (unsigned long long)v);

    wr_put(w, text, (size_t)n);
    wr_u8(w, (uint8_t)behind);
}

size_t entry_line_put(char out[LINE_MAX_LEN + 1], const struct entry_line *l)
{
    struct wr w = wr_of(out, LINE_MAX_LEN + 1);

    wr_put(&w, ENTRY_WORD "|", sizeof ENTRY_WORD);
    put_hex(&w, l->room.b, sizeof l->room.b, '|');
    put_u64(&w, l->epoch, '|');
    put_u64(&w, l->seq, '|');
    put_u64(&w, (uint64_t)l->ts, '|');
    put_hex(&w, l->author.b, HASH_LEN, '|');
    put_hex(&w, l->prev.b, HASH_LEN, '|');
    put_hex(&w, l->body_hash.b, HASH_LEN, '|');
    put_hex(&w, l->commitment.b, HASH_LEN, '|');
    put_u64(&w, l->seen_number, '.');
    put_hex(&w, l->seen_head.b, HASH_LEN, '\0');
    return w.len - 1;
}

void entry_line_hash(struct str line, struct hash *out)
{
    sha256(span_of(line.p, line.n), out);
}

/* --- the body --- */

void entry_commit(struct hash *out, const uint8_t opening[OPENING_LEN], struct span content)
{
    const struct span parts[] = {span_of("\x02", 1), span_of(opening, OPENING_LEN), content};
    sha256_parts(parts, COUNT(parts), out);
}

int entry_body_make(struct buf *b, struct entry_line *l, struct span content, const struct rng *r,
                    struct err *e)
{
    uint8_t opening[OPENING_LEN];
    int ret = -1;

    buf_cut(b, 0);
    if (rng_fill(r, opening, sizeof opening) < 0) {
        (void)err_set(e, ERR_LOCAL, "no random numbers");
        goto out;
    }
    if (content.n == 0 || content.n > CONTENT_MAX) {
        (void)err_set(e, ERR_LIMIT, "the content is too long");
        goto out;
    }
    if (buf_add(b, opening, sizeof opening) < 0 || buf_add(b, content.p, content.n) < 0) {
        (void)err_set(e, ERR_LOCAL, "no memory for the content");
        goto out;
    }
    entry_commit(&l->commitment, opening, content);
    sha256(buf_span(b), &l->body_hash);
    ret = 0;
out:
    wipe(opening, sizeof opening);
    return ret;
}

int entry_body_check(const struct entry_line *l, struct span body, struct err *e)
{
    struct hash h;

    if (body.n <= OPENING_LEN || body.n > BODY_MAX)
        return err_set(e, ERR_PEER, "entry: a body of %zu bytes", body.n);
    sha256(body, &h);
    if (!hash_same(&h, &l->body_hash))
        return err_set(e, ERR_PEER, "entry: the body is not the one that was signed");
    return 0;
}

int entry_body_open(const struct entry_line *l, struct span body, struct span *content,
                    struct err *e)
{
    struct hash h;

    *content = span_of(NULL, 0);
    if (entry_body_check(l, body, e) < 0)
        return -1;
    struct span inner = span_of(body.p + OPENING_LEN, body.n - OPENING_LEN);
    entry_commit(&h, body.p, inner);
    if (!hash_same(&h, &l->commitment))
        return err_set(e, ERR_PEER, "entry: the commitment does not open to the content");
    *content = inner;
    return 0;
}

/* --- chains --- */

enum entry_order entry_order(const struct entry_chain *c, const struct entry_line *l,
                             const struct hash *line, struct err *e)
{
    if (l->seq < c->seq)
        return ENTRY_OLDER;
    if (l->seq == c->seq) {
        if (hash_same(line, &c->line))
            return ENTRY_SAME;
        (void)err_set(e, ERR_PEER, "entry: another line with the same seq %llu",
                      (unsigned long long)l->seq);
        return ENTRY_WRONG;
    }
    if (l->seq != c->seq + 1) {
        (void)err_set(e, ERR_PEER, "entry: seq %llu where %llu follows", (unsigned long long)l->seq,
                      (unsigned long long)c->seq + 1);
        return ENTRY_WRONG;
    }
    if (hash_same(&l->prev, &c->line))
        return ENTRY_NEXT;
    (void)err_set(e, ERR_PEER, "entry: prev is not the author's previous line");
    return ENTRY_WRONG;
}

void entry_chain_step(struct entry_chain *c, const struct entry_line *l, const struct hash *line)
{
    c->seq = l->seq;
    c->line = *line;
}

int entry_seen_check(const struct entry_line *l, uint64_t number, const struct hash *head_at,
                     struct err *e)
{
    static const struct hash start;
    const struct hash *head = l->seen_number == 0 ? &start : head_at;

    if (l->seen_number >= number)
        return err_set(e, ERR_PEER, "entry: the author has seen what comes after it");
    if (head != NULL && !hash_same(head, &l->seen_head))
        return err_set(e, ERR_PEER, "entry: the author has seen another history up to number %llu",
                       (unsigned long long)l->seen_number);
    return 0;
}

void entry_head_next(struct hash *head, struct str line, int64_t time_ms)
{
    char time[24];
    int n = snprintf(time, sizeof time, "|%lld", (long long)time_ms);
    const struct span parts[] = {span_of(head->b, HASH_LEN), span_of(line.p, line.n),
                                 span_of(time, (size_t)n)};
    struct hash next;

    sha256_parts(parts, COUNT(parts), &next);
    *head = next;
}

/* --- signatures --- */

int entry_sign(struct pkey *k, const struct rng *r, struct str line, uint8_t sig[SIG_MAX],
               size_t *n, struct err *e)
{
    return pkey_sign_pss(k, r, span_of(line.p, line.n), sig, n, e);
}

int entry_key_check(struct pubkey *key, const struct hash *fp, const struct entry_line *l,
                    struct str line, struct span sig, struct err *e)
{
    if (!hash_same(fp, &l->author))
        return err_set(e, ERR_PEER, "entry: the line names another certificate");
    if (key == NULL || !pubkey_verify_pss(key, span_of(line.p, line.n), sig))
        return err_set(e, ERR_PEER, "entry: the signature is wrong");
    return 0;
}

int entry_sig_check(const struct cert *c, const struct entry_line *l, struct str line,
                    struct span sig, struct err *e)
{
    struct err why = {0};
    struct hash fp;

    cert_fingerprint(cert_der(c), &fp);
    struct pubkey *key = pubkey_parse(cert_spki(c), &why);
    int rc = entry_key_check(key, &fp, l, line, sig, e);
    pubkey_free(key);
    return rc;
}

/* --- all of it --- */

int entry_make(struct entry_made *m, struct entry_line *l, struct span content, struct pkey *k,
               const struct rng *r, struct err *e)
{
    memset(m, 0, sizeof *m);
    buf_init(&m->body, BODY_MAX);
    if (entry_body_make(&m->body, l, content, r, e) < 0)
        goto fail;
    m->line_n = entry_line_put(m->line, l);
    if (entry_sign(k, r, str_from(m->line, m->line_n), m->sig, &m->sig_n, e) < 0)
        goto fail;
    return 0;
fail:
    entry_made_free(m);
    return -1;
}

void entry_made_free(struct entry_made *m)
{
    buf_free(&m->body);
    wipe(m, sizeof *m);
}
