/* An invite that is accepted is written again to the same line. The checksum, which a fuzzer would
 * never hit, is put right first. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/chat/invite.h"
#include "tests/fuzz/fuzz.h"

static void take(const char *line, size_t n)
{
    struct invite in;
    char again[INVITE_MAX];

    if (invite_take(&in, str_from(line, n)) != INVITE_OK)
        return;
    if (invite_put(again, &in) < 0 || strstr(line, again) == NULL)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char line[2 * INVITE_MAX] = "";

    if (size > INVITE_MAX)
        return 0;
    memcpy(line, data, size);
    take(line, size);
    int n = snprintf(line + size, 8, ".%06x", (unsigned)crc24(span_of(data, size)));
    take(line, size + (size_t)n);
    return 0;
}
