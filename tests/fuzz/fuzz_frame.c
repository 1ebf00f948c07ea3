/* A stream of frames, whole and byte by byte: the same frames, or refused by both. */
#include <stdlib.h>
#include <string.h>

#include "common/chat/frame.h"
#include "common/crypto/crypto.h"
#include "tests/fuzz/fuzz.h"

enum { BOUND = 4096 };

/* The frames of the stream and how it ended, hashed. */
static struct hash frames_digest(const uint8_t *in, size_t n, size_t step)
{
    struct sha {
        struct hash h;
        uint8_t end;
    } sum = {0};
    struct frames f;
    struct err e = {0};
    int rc = 0;

    frames_init(&f, BOUND);
    for (size_t at = 0; at < n && rc == 0; at += step) {
        struct span out;
        if (frames_feed(&f, span_of(in + at, n - at < step ? n - at : step), &e) < 0)
            abort();
        while ((rc = frames_next(&f, &out, &e)) == 1) {
            if (out.n < 1 || out.n > BOUND)
                abort();
            const struct span parts[] = {span_of(sum.h.b, sizeof sum.h.b), out};
            sha256_parts(parts, 2, &sum.h);
        }
    }
    sum.h.b[0] ^= (uint8_t)rc;
    frames_free(&f);
    return sum.h;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > FRAME_MAX)
        return 0;
    struct hash whole = frames_digest(data, size, size + 1);
    struct hash bytes = frames_digest(data, size, 1);
    if (memcmp(&whole, &bytes, sizeof whole) != 0)
        abort();
    return 0;
}
