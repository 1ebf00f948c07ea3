#include "tests/unit/chat/support_vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/util/bytes.h"

void vector_text(char out[VECTOR_MAX], const char *name)
{
    char line[2 * VECTOR_MAX];
    size_t n = strlen(name);
    FILE *f = fopen("tests/vectors/login.txt", "r");

    assert_non_null(f);
    out[0] = '\0';
    while (out[0] == '\0' && fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, name, n) == 0 && line[n] == ' ')
            assert_int_equal(str_copy(out, VECTOR_MAX, str_of(line + n + 1)), 0);
    }
    fclose(f);
    assert_true(out[0] != '\0');
}

void vector_hex(void *out, size_t n, const char *name)
{
    char text[VECTOR_MAX];

    vector_text(text, name);
    assert_int_equal(hex_take(out, n, str_of(text)), 0);
}

void vector_fill(void *out, size_t n, unsigned first)
{
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)out)[i] = (uint8_t)(first + 7 * i);
}
