/* Two ends of `ecdhe` and somebody between them. */
#define FUZZ_KIND LINK_ECDHE
#include "tests/fuzz/fuzz_link_pair.c"
