/* support_vectors.h -- values that scripts in tests/vectors have made: lines of "name hex". */
#ifndef TESTS_UNIT_SUPPORT_VECTORS_H
#define TESTS_UNIT_SUPPORT_VECTORS_H

#include <stddef.h>
#include <stdint.h>

/* The value's bytes; fails the test when there is none of that name, or it is longer than cap. */
size_t vector_take(const char *file, const char *name, uint8_t *out, size_t cap);

#endif
