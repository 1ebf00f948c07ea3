/* A line that is accepted is written again to the same bytes; contents are taken or refused. */
#include <stdlib.h>
#include <string.h>

#include "common/chat/content.h"
#include "common/chat/entry.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct entry_line l;
    struct content c;
    struct span inner;
    struct err e = {0};

    if (entry_line_take(&l, str_from(data, size), &e) == 0) {
        char again[LINE_MAX_LEN + 1];
        if (entry_line_put(again, &l) != size || memcmp(again, data, size) != 0)
            abort();
        if (entry_body_open(&l, span_of(data, size), &inner, &e) == 0)
            abort(); /* a line that is its own body would be a SHA-256 collision */
    }
    err_clear(&e);
    if (content_take(&c, span_of(data, size), &e) == 0) {
        if (c.kind == CONTENT_SAY && (c.text.n < 1 || c.text.n > TEXT_MAX))
            abort();
        content_free(&c);
    }
    return 0;
}
