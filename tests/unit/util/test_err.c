/* The first reason wins, is clean, and has a code with an exit status. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/util/err.h"

static void first_reason_wins(void **state)
{
    struct err e = {0};
    (void)state;

    assert_int_equal(err_set(&e, ERR_PEER, "frame %d", 7), -1);
    assert_int_equal(err_set(&e, ERR_LOCAL, "echo"), -1);
    assert_int_equal(e.code, ERR_PEER);
    assert_string_equal(e.text, "frame 7");
    err_clear(&e);
    assert_int_equal(e.code, ERR_NONE);
    assert_int_equal(err_set(&e, ERR_AUTH, "later"), -1);
    assert_string_equal(e.text, "later");
}

static void context_goes_in_front(void **state)
{
    struct err e = {0};
    (void)state;

    (void)err_set(&e, ERR_DATA, "bad line");
    assert_int_equal(err_in(&e, "file %s", "x"), -1);
    assert_string_equal(e.text, "file x: bad line");
    assert_int_equal(e.code, ERR_DATA);
}

/* What others put into a sentence is shown as everywhere (text_clean), in its context too. */
static void what_others_said_is_cleaned(void **state)
{
    static const char said[] = "\x1b]0;o\a \x9b \xc2\x9b \xe2\x80\xae \n \x7f caf\xc3\xa9";
    static const char seen[] = "^[]0;o^G <9B> <9B> <U+202E> ^J ^? caf\xc3\xa9";
    struct err e = {0};
    char all[256], both[256];
    (void)state;

    (void)err_set(&e, ERR_DATA, "%s", said);
    assert_string_equal(e.text, seen);
    (void)err_in(&e, "%s", said);
    snprintf(both, sizeof both, "%s: %s", seen, seen);
    assert_string_equal(e.text, both);
    for (int i = 1; i < 256; i++)
        all[i - 1] = (char)i;
    all[255] = '\0';
    err_clear(&e);
    (void)err_set(&e, ERR_DATA, "%s", all);
    for (size_t i = 0; e.text[i] != '\0'; i++)
        assert_true((unsigned char)e.text[i] >= 0x20 && e.text[i] != 0x7f);
}

/* A sentence that is too long ends behind a whole character. */
static void no_character_is_cut(void **state)
{
    struct err e = {0};
    char text[600];
    (void)state;

    for (size_t i = 0; i < sizeof text - 1; i++)
        text[i] = "\xe2\x82\xac"[i % 3];
    text[sizeof text - 1] = '\0';
    (void)err_set(&e, ERR_DATA, "%s", text);
    assert_int_equal(strlen(e.text), 255);
    (void)err_in(&e, "in");
    assert_int_equal(strlen(e.text), 4 + 249);
    assert_memory_equal(e.text + strlen(e.text) - 3, "\xe2\x82\xac", 3);
}

static void long_text_is_cut(void **state)
{
    struct err e = {0};
    char text[1000];
    (void)state;

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    (void)err_set(&e, ERR_DATA, "%s", text);
    assert_int_equal(strlen(e.text), sizeof e.text - 1);
    (void)err_in(&e, "%s", text);
    assert_true(strlen(e.text) < sizeof e.text);
}

static void every_code_has_text_and_status(void **state)
{
    (void)state;
#define X(id, text, status)                                                                        \
    assert_string_equal(err_code_text(id), text);                                                  \
    assert_int_equal(err_status(id), status);
    ERR_LIST(X)
#undef X
    assert_int_equal(err_status(ERR_PEER), 76);
    assert_int_equal(err_status(ERR_AUTH), 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_reason_wins),
        cmocka_unit_test(context_goes_in_front),
        cmocka_unit_test(what_others_said_is_cleaned),
        cmocka_unit_test(no_character_is_cut),
        cmocka_unit_test(long_text_is_cut),
        cmocka_unit_test(every_code_has_text_and_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
