/* Two ends of `sovereign` and somebody between them. */
#define FUZZ_KIND LINK_SOVEREIGN
#include "tests/fuzz/fuzz_link_pair.c"
