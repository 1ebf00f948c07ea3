/* Text in rows: nothing is lost, nothing is too wide, words and groups of digits stay whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/core/wrap.h"

static const struct {
    const char *text;
    unsigned cols;
    const char *rows; /* joined with '|' */
    const char *why;
} cases[] = {
    {"", 10, "", "nothing is one empty row"},
    {"abc", 10, "abc", "short"},
    {"abc", 3, "abc", "exactly fits"},
    {"abc def", 3, "abc|def", "the space may stand over the edge"},
    {"abc def", 4, "abc|def", "breaks at the space"},
    {"abc def", 7, "abc def", "exactly fits with a space"},
    {"abcdef", 4, "abcd|ef", "a long word breaks"},
    {"a bcdefghi", 4, "a|bcde|fghi", "a long word begins on its own row"},
    {"a\nb", 10, "a|b", "newline"},
    {"a\n", 10, "a|", "a newline at the end leaves an empty row"},
    {"\n\n", 10, "||", "empty rows stay"},
    {"CD45 E0F8 AE72 AFFC", 14, "CD45 E0F8 AE72|AFFC", "three groups"},
    {"CD45 E0F8 AE72 AFFC", 13, "CD45 E0F8|AE72 AFFC", "two groups"},
    {"CD45 E0F8", 5, "CD45|E0F8", "one group"},
    {"日本語", 4, "日本|語", "wide characters"},
    {"日本語", 5, "日本|語", "half of a wide one does not fit"},
    {"日", 1, "日", "one that can never fit still comes out"},
    {"e\u0301e\u0301", 1, "e\u0301|e\u0301", "marks stay with their base"},
    {"abc", 0, "a|b|c", "no columns count as one"},
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wrap w = wrap_of(str_of(cases[i].text), cases[i].cols);
        char got[200] = "";
        struct str row;
        unsigned n = 0;
        for (; wrap_next(&w, &row); n++)
            snprintf(got + strlen(got), sizeof got - strlen(got), "%s%.*s", n > 0 ? "|" : "",
                     (int)row.n, row.p);
        if (strcmp(got, cases[i].rows) != 0)
            print_error("%s: '%s' gives '%s'\n", cases[i].why, cases[i].text, got);
        assert_string_equal(got, cases[i].rows);
        assert_int_equal(n, wrap_rows(str_of(cases[i].text), cases[i].cols));
    }
}

/* Whatever the text and the width: it ends, rows are no wider than asked, and all of it but the
 * separators comes out in order. */
static void test_any_text(void **state)
{
    static const char *const pieces[] = {"a", " ", "\n", "zz", "\u65e5", "e\u0301", "\u00e9", "-"};
    uint32_t seed = 1;

    (void)state;
    for (unsigned round = 0; round < 3000; round++) {
        char text[400] = "", *at = text;
        unsigned cols = round % 9 > 0 ? round % 9 : 1;
        for (unsigned i = 0; i < round % 64; i++) {
            seed = seed * 1664525 + 1013904223;
            strcat(text, pieces[(seed >> 24) % COUNT(pieces)]);
        }
        struct wrap w = wrap_of(str_of(text), round % 9);
        struct str row;
        for (size_t rows = 0; wrap_next(&w, &row); rows++) {
            unsigned width;
            assert_true(rows <= strlen(text));
            assert_true(row.p == at || row.p == at + 1);
            at = text + (row.p - text) + row.n;
            if (wrap_width(row) > cols)
                assert_int_equal(wrap_cluster(row, &width), row.n);
        }
        assert_true(*at == '\0' || at[1] == '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_any_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
