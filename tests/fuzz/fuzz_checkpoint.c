/* What is taken as a checkpoint is spelled as we spell it. */
#include <stdlib.h>
#include <string.h>

#include "common/evidence/checkpoint.h"
#include "tests/fuzz/fuzz.h"

/* e: of the one who read c. */
static bool taken(const struct checkpoint *c, const struct err *e, struct span data)
{
    char text[CHECKPOINT_MAX + 1];

    if (e->code == ERR_DATA)
        return false;
    size_t n = checkpoint_put(text, c);
    if (e->code != ERR_NONE || n != data.n || memcmp(text, data.p, n) != 0)
        abort();
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct checkpoint room, audit;
    struct err e = {0}, f = {0};

    if ((checkpoint_take(&room, str_from(data, size), &e) < 0) != (e.code != ERR_NONE) ||
        (checkpoint_audit_take(&audit, str_from(data, size), &f) < 0) != (f.code != ERR_NONE))
        abort();
    if (taken(&room, &e, span_of(data, size)) && taken(&audit, &f, span_of(data, size)))
        abort();
    return 0;
}
