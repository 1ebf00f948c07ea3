/* What is taken as a checkpoint is spelled as we spell it. */
#include <stdlib.h>
#include <string.h>

#include "common/evidence/checkpoint.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[CHECKPOINT_MAX + 1];
    struct checkpoint c;
    struct err e = {0};

    if (checkpoint_take(&c, str_from(data, size), &e) < 0) {
        if (e.code != ERR_DATA)
            abort();
        return 0;
    }
    size_t n = checkpoint_put(text, &c);
    if (e.code != ERR_NONE || n != size || memcmp(text, data, n) != 0)
        abort();
    return 0;
}
