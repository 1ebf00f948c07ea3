#include "tests/unit/support_vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/util/bytes.h"

size_t vector_take(const char *file, const char *name, uint8_t *out, size_t cap)
{
    char line[8192];
    size_t len = strlen(name), n;
    FILE *f = fopen(file, "r");
    bool found = false;

    assert_non_null(f);
    while (!found && fgets(line, sizeof line, f) != NULL)
        found = strncmp(line, name, len) == 0 && line[len] == ' ';
    fclose(f);
    if (!found)
        fail_msg("%s has no %s", file, name);
    line[strcspn(line, "\n")] = '\0';
    n = strlen(line + len + 1) / 2;
    assert_true(n <= cap);
    assert_int_equal(hex_take(out, n, str_of(line + len + 1)), 0);
    return n;
}
