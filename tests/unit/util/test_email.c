/* E-mail addresses: the plain form, and all that is another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/util/email.h"
#include "common/util/limits.h"

#define TEN   "abcdefghij"
#define SIXTY TEN TEN TEN TEN TEN TEN

static void plain_addresses_are_taken(void **state)
{
    static const char *const good[] = {
        "a@b",
        "alice@example.org",
        "a.b-c+d_e@mail.example.org",
        "!#$%&'*+-/=?^_`{|}~@x-y.z9",
        SIXTY "abcd@example",
        "a@" SIXTY "abc." SIXTY "abc",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        print_message("# %s\n", good[i]);
        assert_true(email_is(str_of(good[i])));
    }
}

static void all_others_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "@",
        "a",
        "a@",
        "@b",
        "a@b@c",
        ".a@b",
        "a.@b",
        "a..b@c",
        "a@.b",
        "a@b.",
        "a@b..c",
        "a@-b",
        "a@b-",
        "a@b_c",
        "a b@c",
        " a@b",
        "a@b ",
        "a@b\n",
        "a\t@b",
        "a@[192.0.2.1]",
        "\"a\"@b",
        "a\\b@c",
        "a\"@b",
        "a,b@c",
        "<a@b>",
        "a(x)@b",
        "a:b@c",
        "\xc3\xa4@b",
        "a@\xc3\xa4",
        "a\x1b[m@b",
        "a\x7f@b",
        SIXTY "abcde@b",
        "a@" SIXTY "abcd",
        "a@" SIXTY "." SIXTY "." SIXTY "." SIXTY "." TEN,
    };

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        print_message("# %s\n", bad[i]);
        assert_false(email_is(str_of(bad[i])));
    }
    assert_false(email_is(str_from("a\0b@c", 5)));
}

static void the_longest_is_254_bytes(void **state)
{
    char text[EMAIL_MAX + 2];

    (void)state;
    memset(text, 'a', sizeof text);
    text[1] = '@';
    for (size_t i = 32; i < EMAIL_MAX - 1; i += 32)
        text[i] = '.';
    assert_true(email_is(str_from(text, EMAIL_MAX)));
    assert_false(email_is(str_from(text, EMAIL_MAX + 1)));
}

static void letters_case_makes_no_other_address(void **state)
{
    (void)state;
    assert_true(email_same(str_of("Alice@Example.org"), str_of("alice@eXample.ORG")));
    assert_false(email_same(str_of("alice@example.org"), str_of("alice@example.com")));
    assert_false(email_same(str_of("alice@example.org"), str_of("alice@example.or")));
    assert_false(email_same(str_of(""), str_of("a@b")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_addresses_are_taken),
        cmocka_unit_test(all_others_are_refused),
        cmocka_unit_test(the_longest_is_254_bytes),
        cmocka_unit_test(letters_case_makes_no_other_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
