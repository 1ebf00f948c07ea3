#include "common/chat/frame.h"

#include <string.h>

void frames_init(struct frames *f, size_t max)
{
    *f = (struct frames){.max = max};
    buf_init(&f->in, 2 * (FRAME_HEAD + (size_t)FRAME_MAX));
}

void frames_free(struct frames *f)
{
    buf_free(&f->in);
}

void frames_bound(struct frames *f, size_t max)
{
    f->max = max;
}

/* What an idle connection may keep. */
enum { FRAMES_IDLE = 1024 };

/* The frame shown last is done with. One big frame must not cost its memory for hours. */
static void frames_pass(struct frames *f)
{
    buf_drop(&f->in, f->gone);
    f->gone = 0;
    if (f->in.len == 0 && f->in.cap > FRAMES_IDLE)
        buf_free(&f->in);
}

/* 1 and its length when the head is there. */
static int head_take(struct frames *f, size_t *n, struct err *e)
{
    struct rd r = rd_of(buf_span(&f->in));

    if (rd_left(&r) < FRAME_HEAD)
        return 0;
    *n = rd_u32(&r);
    if (*n >= 1 && *n <= f->max)
        return 1;
    f->broken = true;
    return err_set(e, ERR_PEER, "a frame of %zu bytes, where 1 to %zu are allowed", *n, f->max);
}

int frames_feed(struct frames *f, struct span in, struct err *e)
{
    if (f->broken)
        return err_set(e, ERR_PEER, "a frame's length was impossible");
    frames_pass(f);
    if (buf_add(&f->in, in.p, in.n) == 0)
        return 0;
    f->broken = true;
    return err_set(e, ERR_LIMIT, "no room for the peer's bytes");
}

int frames_next(struct frames *f, struct span *out, struct err *e)
{
    size_t n = 0;

    if (f->broken)
        return err_set(e, ERR_PEER, "a frame's length was impossible");
    frames_pass(f);
    int rc = head_take(f, &n, e);
    if (rc <= 0)
        return rc;
    struct rd r = rd_of(buf_span(&f->in));
    (void)rd_take(&r, FRAME_HEAD);
    const uint8_t *p = rd_take(&r, n);
    if (p == NULL)
        return 0;
    *out = span_of(p, n);
    f->gone = FRAME_HEAD + n;
    return 1;
}

size_t frames_waiting(const struct frames *f)
{
    return f->in.len - f->gone;
}

int frame_begin(struct buf *b, size_t *mark)
{
    *mark = b->len;
    return buf_add(b, "\0\0\0\0", FRAME_HEAD);
}

int frame_end(struct buf *b, size_t mark)
{
    size_t n = b->len - mark - FRAME_HEAD;
    struct wr w = wr_of(b->p + b->off + mark, FRAME_HEAD);

    if (n < 1 || n > FRAME_MAX) {
        buf_cut(b, mark);
        return -1;
    }
    wr_u32(&w, (uint32_t)n);
    return 0;
}
