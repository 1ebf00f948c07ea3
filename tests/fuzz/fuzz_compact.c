/* A compact frame that is accepted is written again to the same bytes, and its line is one. The
 * first byte says which side sent it. */
#include <stdlib.h>

#include "common/chat/compact.h"
#include "common/chat/entry.h"
#include "tests/fuzz/fuzz.h"

static void same_again(const struct frame *f, struct span frame)
{
    struct buf b;
    struct err e = {0};

    buf_init(&b, FRAME_MAX + FRAME_HEAD);
    int ret = f->type == F_ENTRY ? compact_entry_put(&b, &f->u.entry, &e)
                                 : compact_say_put(&b, &f->u.entry_say, &e);
    struct span all = buf_span(&b);
    if (ret != 1 || !span_same(span_of(all.p + FRAME_HEAD, all.n - FRAME_HEAD), frame))
        abort();
    buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct entry_line l;
    struct frame f;
    struct err e = {0};

    if (size < 1 || size > FRAME_MAX)
        return 0;
    struct span frame = span_of(data + 1, size - 1);
    if (compact_take(&f, frame, data[0] & 1 ? FROM_CLIENT : FROM_RELAY, &e) < 0)
        return 0;
    if (entry_line_take(&l, f.type == F_ENTRY ? f.u.entry.line : f.u.entry_say.line, &e) < 0)
        abort();
    same_again(&f, frame);
    frame_free(&f);
    return 0;
}
