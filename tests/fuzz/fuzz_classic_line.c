/* Any bytes as a line of `classic`, as its digits, and as a reason: what is taken means one thing.
 */
#include <stdlib.h>
#include <string.h>

#include "common/crypto/textbook.h"
#include "common/link/classic_line.h"
#include "tests/fuzz/fuzz.h"

static void need(bool ok)
{
    if (!ok)
        abort();
}

static void digits(struct str s)
{
    char text[TEXTBOOK_DIGITS_MAX + 1];
    struct textbook_open v;

    if (textbook_number(&v, s) < 0)
        return;
    need(v.n <= sizeof v.b && textbook_digits(text, span_of(v.b, v.n)) == 0);
    need(str_same(s, str_of(text)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str s = str_from(data, size);
    struct classic_line l;
    char reason[40];

    if (classic_line_take(&l, s) == 0) {
        digits(l.n);
        digits(l.chunk);
        classic_reason(reason, sizeof reason, l.reason);
        need(strlen(reason) < sizeof reason);
    }
    digits(s);
    classic_reason(reason, sizeof reason, s);
    return 0;
}
