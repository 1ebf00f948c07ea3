/* Any bytes, given to a client of `ecdhe`. */
#define FUZZ_KIND LINK_ECDHE
#include "tests/fuzz/fuzz_link_client.c"
