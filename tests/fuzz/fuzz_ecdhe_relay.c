/* Any bytes, given to a relay that speaks `ecdhe`. */
#define FUZZ_KIND LINK_ECDHE
#include "tests/fuzz/fuzz_link_relay.c"
