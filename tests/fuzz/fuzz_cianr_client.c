/* Any bytes, given to a client of `cianr`. */
#define FUZZ_KIND LINK_CIANR
#include "tests/fuzz/fuzz_link_client.c"
