#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* What each tests/fuzz/fuzz_x.c defines: called with any bytes, returns 0, aborts on a fault. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
