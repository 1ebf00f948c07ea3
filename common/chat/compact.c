#include "common/chat/compact.h"

#include <stdlib.h>
#include <string.h>

#include "common/chat/entry.h"
#include "common/chat/frame.h"
#include "common/chat/json.h"

/* The first byte, which no JSON begins with. */
enum { COMPACT_ENTRY = 1, COMPACT_SAY = 2 };

enum { VAR_MAX = 8, HEAD_MAX = 1 + 5 * VAR_MAX + ROOM_ID_LEN + 3 * HASH_LEN + 2 };

static_assert(HEAD_MAX + SIG_MAX + BODY_MAX <= FRAME_MAX, "the longest entry fits a frame");

bool compact_is(struct span frame)
{
    return frame.n > 0 && (frame.p[0] == COMPACT_ENTRY || frame.p[0] == COMPACT_SAY);
}

bool compact_spoken(const struct str *features, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_is(features[i], COMPACT_WORD))
            return true;
    return false;
}

/* What the author says of the body follows from it. */
static void derive(struct entry_line *l, struct span body)
{
    sha256(body, &l->body_hash);
    entry_commit(&l->commitment, body.p, span_of(body.p + OPENING_LEN, body.n - OPENING_LEN));
}

/* --- reading --- */

/* An integer as JSON would have it: below 2^53. */
static uint64_t number_take(struct rd *r, uint64_t min)
{
    uint64_t v = rd_var(r);

    if (v < min || v > JSON_INT_MAX)
        r->bad = true;
    return v;
}

static void bytes_take(struct rd *r, void *out, size_t n)
{
    const uint8_t *p = rd_take(r, n);

    if (p != NULL)
        memcpy(out, p, n);
}

static void line_take(struct rd *r, struct entry_line *l)
{
    bytes_take(r, l->room.b, sizeof l->room.b);
    l->seq = number_take(r, 1);
    l->ts = (int64_t)number_take(r, 0);
    bytes_take(r, l->author.b, HASH_LEN);
    bytes_take(r, l->prev.b, HASH_LEN);
    l->seen_number = number_take(r, 0);
    bytes_take(r, l->seen_head.b, HASH_LEN);
}

static struct span sig_take(struct rd *r)
{
    size_t n = rd_u16(r);
    const uint8_t *p = rd_take(r, n);

    if (n < 1 || n > SIG_MAX)
        r->bad = true;
    return span_of(p, r->bad ? 0 : n);
}

/* Line, signature and body, in memory of the frame's own. */
static int own(struct frame *f, struct entry_line *l, struct f_entry_say *say, struct err *e)
{
    size_t n = LINE_MAX_LEN + 1 + say->sig.n + say->body.n;
    char *p = malloc(n);

    if (p == NULL)
        return err_set(e, ERR_LOCAL, "no memory for a frame");
    f->own = p;
    f->own_n = n;
    derive(l, say->body);
    say->line = str_from(p, entry_line_put(p, l));
    p += LINE_MAX_LEN + 1;
    memcpy(p, say->sig.p, say->sig.n);
    memcpy(p + say->sig.n, say->body.p, say->body.n);
    say->sig.p = (uint8_t *)p;
    say->body.p = say->sig.p + say->sig.n;
    return 0;
}

int compact_take(struct frame *f, struct span frame, unsigned from, struct err *e)
{
    struct rd r = rd_of(frame);
    struct entry_line l = {0};
    struct f_entry_say say = {0};
    uint64_t number = 0, time = 0;
    uint8_t kind = rd_u8(&r);

    memset(f, 0, sizeof *f);
    if (kind != (from == FROM_RELAY ? COMPACT_ENTRY : COMPACT_SAY))
        return err_set(e, ERR_PEER, "an unknown type of frame");
    if (kind == COMPACT_ENTRY) {
        number = number_take(&r, 1);
        time = number_take(&r, 0);
    }
    line_take(&r, &l);
    say.sig = sig_take(&r);
    say.body = rd_rest(&r);
    if (r.bad || say.body.n <= OPENING_LEN || say.body.n > BODY_MAX)
        return err_set(e, ERR_PEER, "entry: a compact frame that is not one");
    if (own(f, &l, &say, e) < 0)
        return -1;
    f->type = kind == COMPACT_ENTRY ? F_ENTRY : F_ENTRY_SAY;
    if (kind == COMPACT_ENTRY)
        f->u.entry = (struct f_entry){number, (int64_t)time, say.line, say.sig, say.body, {0}};
    else
        f->u.entry_say = say;
    return 0;
}

/* --- writing --- */

static void line_put(struct wr *w, const struct entry_line *l)
{
    wr_put(w, l->room.b, sizeof l->room.b);
    wr_var(w, l->seq);
    wr_var(w, (uint64_t)l->ts);
    wr_put(w, l->author.b, HASH_LEN);
    wr_put(w, l->prev.b, HASH_LEN);
    wr_var(w, l->seen_number);
    wr_put(w, l->seen_head.b, HASH_LEN);
}

/* The line's fields, if its reader can derive all the rest of it. */
static bool derivable(const struct f_entry_say *f, struct entry_line *l)
{
    struct entry_line again;
    struct err e = {0};

    if (entry_line_take(l, f->line, &e) < 0 || l->epoch != 0 || f->body.n <= OPENING_LEN ||
        f->body.n > BODY_MAX || f->sig.n < 1 || f->sig.n > SIG_MAX)
        return false;
    again = *l;
    derive(&again, f->body);
    return hash_same(&again.body_hash, &l->body_hash) &&
           hash_same(&again.commitment, &l->commitment);
}

/* Head, signature and body behind the u32. */
static int frame_write(struct buf *b, struct wr *head, const struct entry_line *l,
                       const struct f_entry_say *f, struct err *e)
{
    size_t before = b->len, mark;

    line_put(head, l);
    wr_u16(head, (uint16_t)f->sig.n);
    struct span s = wr_span(head);
    if (frame_begin(b, &mark) == 0 && buf_add(b, s.p, s.n) == 0 &&
        buf_add(b, f->sig.p, f->sig.n) == 0 && buf_add(b, f->body.p, f->body.n) == 0 &&
        frame_end(b, mark) == 0)
        return 1;
    buf_cut(b, before);
    return err_set(e, ERR_LIMIT, "entry: no room to send it");
}

int compact_entry_put(struct buf *b, const struct f_entry *f, struct err *e)
{
    const struct f_entry_say say = {f->line, f->sig, f->body};
    uint8_t bytes[HEAD_MAX];
    struct wr head = wr_of(bytes, sizeof bytes);
    struct entry_line l;

    if (f->why.n > 0 || f->number < 1 || f->number > JSON_INT_MAX || f->time < 0 ||
        (uint64_t)f->time > JSON_INT_MAX || !derivable(&say, &l))
        return 0;
    wr_u8(&head, COMPACT_ENTRY);
    wr_var(&head, f->number);
    wr_var(&head, (uint64_t)f->time);
    return frame_write(b, &head, &l, &say, e);
}

int compact_say_put(struct buf *b, const struct f_entry_say *f, struct err *e)
{
    uint8_t bytes[HEAD_MAX];
    struct wr head = wr_of(bytes, sizeof bytes);
    struct entry_line l;

    if (!derivable(f, &l))
        return 0;
    wr_u8(&head, COMPACT_SAY);
    return frame_write(b, &head, &l, f, e);
}
