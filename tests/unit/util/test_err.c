/* The first reason wins, is clean, and has a code with an exit status. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
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

static void no_control_byte_gets_through(void **state)
{
    struct err e = {0};
    char all[256];
    (void)state;

    for (int i = 1; i < 256; i++)
        all[i - 1] = (char)i;
    all[255] = '\0';
    (void)err_set(&e, ERR_DATA, "%s", all);
    for (size_t i = 0; e.text[i] != '\0'; i++)
        assert_true((unsigned char)e.text[i] >= 0x20 && e.text[i] != 0x7f);
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
        cmocka_unit_test(no_control_byte_gets_through),
        cmocka_unit_test(long_text_is_cut),
        cmocka_unit_test(every_code_has_text_and_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
