/* What is taken as a receipt, or as a seal of one, is spelled as we spell it. */
#include <stdlib.h>
#include <string.h>

#include "common/evidence/receipt.h"
#include "tests/fuzz/fuzz.h"

static void as_receipt(struct str in)
{
    char text[RECEIPT_MAX + 1];
    struct receipt r;
    struct err e = {0};

    if (receipt_take(&r, in, &e) < 0) {
        if (e.code != ERR_DATA)
            abort();
        return;
    }
    size_t n = receipt_put(text, &r);
    if (e.code != ERR_NONE || n != in.n || memcmp(text, in.p, n) != 0)
        abort();
}

static void as_seal(struct str in)
{
    char text[RECEIPT_SEAL_MAX + 1];
    struct receipt_seal s;
    struct err e = {0};

    if (receipt_seal_take(&s, in, &e) < 0) {
        if (e.code != ERR_DATA)
            abort();
        return;
    }
    size_t n = receipt_seal_put(text, &s);
    if (e.code != ERR_NONE || n != in.n || memcmp(text, in.p, n) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    as_receipt(str_from(data, size));
    as_seal(str_from(data, size));
    return 0;
}
