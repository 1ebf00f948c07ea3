/* Any bytes, given to a relay that speaks `sovereign`. */
#define FUZZ_KIND LINK_SOVEREIGN
#include "tests/fuzz/fuzz_link_relay.c"
