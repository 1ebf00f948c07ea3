/* What is taken as a line of the audit log is spelled as we spell it. */
#include <stdlib.h>
#include <string.h>

#include "common/evidence/audit.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[AUDIT_LINE_MAX + 1], scratch[AUDIT_LINE_MAX];
    struct audit_line l;
    struct err e = {0};

    if (audit_line_take(&l, str_from(data, size), scratch, &e) < 0) {
        if (e.code != ERR_DATA)
            abort();
        return 0;
    }
    size_t n = audit_line_put(text, &l);
    if (e.code != ERR_NONE || n != size || memcmp(text, data, n) != 0)
        abort();
    return 0;
}
