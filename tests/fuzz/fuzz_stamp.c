/* A time-stamp reply of any bytes: it is judged, and the same twice. No CA is believed, so none is
 * good; what was stamped is what the corpus has stamped, so that all of a reply is looked at. */
#include <stdlib.h>
#include <string.h>

#include "common/crypto/stamp.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stamp_ask ask = {.root = span_of("", 0)};
    struct time_stamp stamp;
    struct err a = {0}, b = {0};

    if (crypto_init(&a) < 0)
        return 0;
    sha256(span_of("stamped", 7), &ask.data);
    if (stamp_check(span_of(data, size), &ask, &stamp, &a) == 0 ||
        stamp_check(span_of(data, size), &ask, &stamp, &b) == 0)
        abort();
    if (a.code == ERR_NONE || a.code != b.code || strcmp(a.text, b.text) != 0)
        abort();
    return 0;
}
