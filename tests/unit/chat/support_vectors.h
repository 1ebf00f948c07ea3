/* tests/vectors/login.txt, made by login.py next to it. */
#ifndef TESTS_UNIT_CHAT_SUPPORT_VECTORS_H
#define TESTS_UNIT_CHAT_SUPPORT_VECTORS_H

#include <stddef.h>
#include <stdint.h>

enum { VECTOR_MAX = 1024 };

/* The text of that name; the test fails when there is none. Tests run in the project's root. */
void vector_text(char out[VECTOR_MAX], const char *name);
/* The same as n bytes of hex. */
void vector_hex(void *out, size_t n, const char *name);
/* fill() of login.py. */
void vector_fill(void *out, size_t n, unsigned first);

#endif
