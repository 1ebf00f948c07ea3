/* Two ends of `cianr` and somebody between them. */
#define FUZZ_KIND LINK_CIANR
#include "tests/fuzz/fuzz_link_pair.c"
