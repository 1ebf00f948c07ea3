/* Any bytes, given to a relay that speaks `cianr`. */
#define FUZZ_KIND LINK_CIANR
#include "tests/fuzz/fuzz_link_relay.c"
