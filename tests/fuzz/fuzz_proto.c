/* A frame that is accepted is written, and what was written is read and written to the same bytes.
 * The first byte says which side sent it. */
#include <stdlib.h>

#include "common/chat/proto.h"
#include "tests/fuzz/fuzz.h"

static struct span written(struct buf *b, const struct frame *f)
{
    struct err e = {0};

    buf_init(b, 2 * FRAME_MAX);
    if (frame_put(b, f->type, &f->u, &e) < 0)
        abort();
    return span_of(buf_span(b).p + FRAME_HEAD, buf_span(b).n - FRAME_HEAD);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct frame first, second;
    struct buf one, two;
    struct err e = {0};

    if (size < 1 || size > FRAME_MAX / 8)
        return 0;
    unsigned from = data[0] & 1 ? FROM_CLIENT : FROM_RELAY;
    if (frame_take(&first, span_of(data + 1, size - 1), from, &e) < 0)
        return 0;
    struct span a = written(&one, &first);
    if (frame_take(&second, a, from, &e) < 0 || second.type != first.type)
        abort();
    struct span b = written(&two, &second);
    if (!span_same(a, b))
        abort();
    frame_free(&first);
    frame_free(&second);
    buf_free(&one);
    buf_free(&two);
    return 0;
}
