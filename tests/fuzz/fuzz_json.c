/* What the scanner lets through, cJSON builds; what is no UTF-8 or has a NUL never passes. */
#include <stdlib.h>
#include <string.h>

#include "common/chat/json.h"
#include "common/util/text.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = {0};
    struct span in = span_of(data, size);

    if (json_scan(in, &e) < 0) {
        if (e.code != ERR_PEER)
            abort();
        return 0;
    }
    if (!text_utf8_ok(str_from(data, size)) || memchr(data, 0, size) != NULL)
        abort();
    struct json *j = json_parse(in, &e);
    if (j == NULL)
        abort();
    struct jget g = jget_of(j, &e);
    (void)jget_str(&g, "type", 0, 100);
    json_free(j);
    return 0;
}
