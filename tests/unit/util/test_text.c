/* Text of peers: what is UTF-8, what may be shown, how wide it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/util/text.h"

/* After Kuhn's UTF-8 stress test and RFC 3629. */
static const struct {
    const char *text;
    bool ok;
    const char *why;
} utf8[] = {
    {"", true, "nothing"},
    {"plain", true, "ASCII"},
    {"\xc2\x80", true, "first of two bytes"},
    {"\xdf\xbf", true, "last of two bytes"},
    {"\xe0\xa0\x80", true, "first of three bytes"},
    {"\xed\x9f\xbf", true, "last before the surrogates"},
    {"\xee\x80\x80", true, "first behind the surrogates"},
    {"\xef\xbf\xbd", true, "U+FFFD"},
    {"\xf0\x90\x80\x80", true, "first of four bytes"},
    {"\xf4\x8f\xbf\xbf", true, "U+10FFFF"},
    {"\x80", false, "continuation alone"},
    {"\xbf", false, "continuation alone"},
    {"\xc2", false, "two bytes cut"},
    {"\xe2\x82", false, "three bytes cut"},
    {"\xf0\x9f\x98", false, "four bytes cut"},
    {"\xc2 ", false, "no continuation"},
    {"\xe2\x82 ", false, "no second continuation"},
    {"\xc0\x80", false, "overlong NUL"},
    {"\xc0\xaf", false, "overlong slash"},
    {"\xc1\xbf", false, "overlong DEL"},
    {"\xe0\x80\xaf", false, "overlong slash in three"},
    {"\xe0\x9f\xbf", false, "overlong in three"},
    {"\xf0\x80\x80\xaf", false, "overlong slash in four"},
    {"\xf0\x8f\xbf\xbf", false, "overlong in four"},
    {"\xed\xa0\x80", false, "high surrogate"},
    {"\xed\xbf\xbf", false, "low surrogate"},
    {"\xed\xa1\x8c\xed\xbe\xb4", false, "CESU-8"},
    {"\xf4\x90\x80\x80", false, "above U+10FFFF"},
    {"\xf5\x80\x80\x80", false, "lead byte F5"},
    {"\xf8\x88\x80\x80\x80", false, "five bytes"},
    {"\xfe", false, "FE"},
    {"\xff", false, "FF"},
};

static void utf8_is_judged(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(utf8); i++) {
        print_message("# %s\n", utf8[i].why);
        assert_int_equal(text_utf8_ok(str_of(utf8[i].text)), utf8[i].ok);
    }
}

/* The table that style.md asks for: each byte alone, written down by rule and not by the code. */
static void all_bytes_are_cleaned(void **state)
{
    (void)state;
    for (int i = 0; i < 256; i++) {
        char in = (char)i, want[8], out[8];
        if (i < 0x20 || i == 0x7f)
            snprintf(want, sizeof want, "^%c", i == 0x7f ? '?' : i + 64);
        else if (i < 0x7f)
            snprintf(want, sizeof want, "%c", i);
        else
            snprintf(want, sizeof want, "<%02X>", (unsigned)i);
        assert_int_equal(text_clean(out, sizeof out, str_from(&in, 1), TEXT_ONE_LINE),
                         strlen(want));
        assert_string_equal(out, want);
    }
}

static const struct {
    const char *in, *out, *why;
} cleanings[] = {
    {"hello", "hello", "plain"},
    {"\033]0;title\007", "^[]0;title^G", "window title"},
    {"\033[2J", "^[[2J", "clear screen"},
    {"\xc2\x9b"
     "31m",
     "<9B>31m", "CSI as a C1 character"},
    {"\x9b"
     "31m",
     "<9B>31m", "CSI as a C1 byte"},
    {"\xc2\x9d"
     "52;c;x\xc2\x9c",
     "<9D>52;c;x<9C>", "OSC 52 in C1"},
    {"a\nb", "a^Jb", "newline"},
    {"a\rb", "a^Mb", "carriage return"},
    {"\xe2\x80\xae"
     "evil",
     "<U+202E>evil", "override"},
    {"\xe2\x81\xa6", "<U+2066>", "isolate"},
    {"\xe2\x80\x8b", "<U+200B>", "zero width space"},
    {"\xe2\x80\x8f", "<U+200F>", "right-to-left mark"},
    {"\xe2\x80\xa8", "<U+2028>", "line separator"},
    {"\xd8\x9c", "<U+061C>", "Arabic letter mark"},
    {"\xef\xbb\xbf", "<U+FEFF>", "byte order mark"},
    {"\xf3\xa0\x81\x81", "<U+E0041>", "tag"},
    {"\xef\xbf\xb9", "<U+FFF9>", "annotation"},
    {"\xe2\x81\xa4", "<U+2064>", "invisible plus"},
    {"\xff\xfe", "<FF><FE>", "no UTF-8"},
    {"\xe2\x82", "<E2><82>", "a character cut"},
    {"\xd7\xa9\xd7\x9c", "\xd7\xa9\xd7\x9c", "Hebrew stays"},
    {"e\xcc\x81", "e\xcc\x81", "one mark"},
    {"e\xcc\x81\xcc\x81\xcc\x81\xcc\x81", "e\xcc\x81\xcc\x81\xcc\x81\xcc\x81", "four marks"},
    {"e\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81o", "e\xcc\x81\xcc\x81\xcc\x81\xcc\x81o",
     "six marks"},
};

static void hostile_text_is_shown_harmless(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cleanings); i++) {
        char out[64];
        print_message("# %s\n", cleanings[i].why);
        text_clean(out, sizeof out, str_of(cleanings[i].in), TEXT_ONE_LINE);
        assert_string_equal(out, cleanings[i].out);
    }
}

/* Not one character of the ranges that ux.md names gets through as itself. */
static void hidden_characters_never_pass(void **state)
{
    static const int32_t ranges[][2] = {{0x00, 0x1f},     {0x7f, 0x9f},       {0x202a, 0x202e},
                                        {0x2066, 0x2069}, {0x200b, 0x200f},   {0x2060, 0x2064},
                                        {0xfeff, 0xfeff}, {0xe0000, 0xe007f}, {0xfff9, 0xfffb}};
    (void)state;
    for (size_t i = 0; i < COUNT(ranges); i++) {
        for (int32_t p = ranges[i][0]; p <= ranges[i][1]; p++) {
            char in[4], out[16];
            size_t n = text_put(in, p);
            assert_true(text_clean(out, sizeof out, str_from(in, n), TEXT_ONE_LINE) >= 2);
            for (size_t k = 0; out[k] != '\0'; k++)
                assert_in_range((unsigned char)out[k], 0x20, 0x7e);
        }
    }
}

static void newlines_stay_when_asked(void **state)
{
    char out[16];
    (void)state;
    text_clean(out, sizeof out, str_of("a\nb\rc"), TEXT_LINES);
    assert_string_equal(out, "a\nb^Mc");
}

/* Whatever the room, only whole pieces are written, and a prefix of the full result. */
static void cutting_splits_nothing(void **state)
{
    const char *in = "a\xe2\x82\xac\033\xff\xf0\x9f\x98\x80z";
    char whole[64], part[64];
    (void)state;

    size_t n = text_clean(whole, sizeof whole, str_of(in), TEXT_ONE_LINE);
    for (size_t cap = 0; cap <= n + 1; cap++) {
        memset(part, 'x', sizeof part);
        size_t got = text_clean(part, cap, str_of(in), TEXT_ONE_LINE);
        assert_true(got < cap || cap == 0);
        assert_memory_equal(part, whole, got);
        assert_true(text_utf8_ok(str_from(part, got)));
        assert_int_equal(part[cap], 'x');
    }
    assert_int_equal(text_clean(part, n + 1, str_of(in), TEXT_ONE_LINE), n);
}

static void marks_are_bounded_in_any_amount(void **state)
{
    static char in[200001], out[4 * sizeof in];
    (void)state;

    in[0] = 'a';
    for (size_t i = 1; i + 1 < sizeof in; i += 2)
        memcpy(in + i, "\xcc\x81", 2);
    assert_int_equal(text_clean(out, sizeof out, str_from(in, sizeof in), TEXT_ONE_LINE),
                     1 + 2 * TEXT_MARKS_MAX);
}

static void nothing_grows_beyond_the_factor(void **state)
{
    (void)state;
    for (int32_t p = 0; p <= 0x10ffff; p++) {
        char in[4], out[32];
        if (p >= 0xd800 && p <= 0xdfff)
            continue;
        size_t n = text_put(in, p);
        assert_true(text_clean(out, sizeof out, str_from(in, n), TEXT_ONE_LINE) <=
                    TEXT_CLEAN_GROWS * n);
    }
}

static void forms_are_unicode(void **state)
{
    char out[32];
    size_t n;
    (void)state;

    assert_int_equal(text_nfc(out, sizeof out, &n, str_of("e\xcc\x81")), 0);
    assert_string_equal(out, "\xc3\xa9");
    assert_int_equal(text_fold(out, sizeof out, &n,
                               str_of("STRA\xc3\x9f"
                                      "E \xef\xbc\xa1")),
                     0);
    assert_string_equal(out, "strasse a");
    assert_int_equal(text_nfc(out, sizeof out, &n, str_of("")), 0);
    assert_int_equal(n, 0);
    assert_int_equal(text_nfc(out, sizeof out, &n, str_from("a\0b", 3)), -1);
    assert_int_equal(text_nfc(out, sizeof out, &n, str_of("\xff")), -1);
    assert_int_equal(text_nfc(out, 3, &n, str_of("abc")), -1);
    assert_string_equal(out, "");
    assert_int_equal(text_nfc(out, 4, &n, str_of("abc")), 0);
}

static void columns_are_those_of_terminals(void **state)
{
    static const struct {
        const char *text;
        size_t columns;
    } rows[] = {
        {"", 0},
        {"abc", 3},
        {"e\xcc\x81", 1},
        {"\xe4\xb8\xad\xe6\x96\x87", 4},
        {"\xf0\x9f\x98\x80", 2},
        {"\xf0\x9f\x87\xa9\xf0\x9f\x87\xaa", 2},
        {"\xed\x95\x9c", 2},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(text_width(str_of(rows[i].text)), rows[i].columns);
    assert_int_equal(text_fit(str_of("a\xe4\xb8\xad"
                                     "b"),
                              2),
                     1);
    assert_int_equal(text_fit(str_of("a\xe4\xb8\xad"
                                     "b"),
                              3),
                     4);
    assert_int_equal(text_fit(str_of("ae\xcc\x81"
                                     "b"),
                              2),
                     4);
    assert_int_equal(text_fit(str_of(""), 5), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_is_judged),
        cmocka_unit_test(all_bytes_are_cleaned),
        cmocka_unit_test(hostile_text_is_shown_harmless),
        cmocka_unit_test(hidden_characters_never_pass),
        cmocka_unit_test(newlines_stay_when_asked),
        cmocka_unit_test(cutting_splits_nothing),
        cmocka_unit_test(marks_are_bounded_in_any_amount),
        cmocka_unit_test(nothing_grows_beyond_the_factor),
        cmocka_unit_test(forms_are_unicode),
        cmocka_unit_test(columns_are_those_of_terminals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
