/* Any bytes, given to a client of `sovereign`. */
#define FUZZ_KIND LINK_SOVEREIGN
#include "tests/fuzz/fuzz_link_client.c"
