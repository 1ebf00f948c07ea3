/* Strict JSON: what the grammar allows, and a longer list of what others let through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/chat/json.h"
#include "common/util/text.h"

static const char *const good[] = {
    "{}",
    " \t\r\n{ } \n",
    "{\"a\":1}",
    "{\"a\":-1,\"b\":0,\"c\":-0}",
    "{\"a\":9007199254740991,\"b\":-9007199254740991}",
    "{\"a\":[],\"b\":[1,[2],{}],\"c\":null,\"d\":true,\"e\":false}",
    "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\ude00\"}",
    "{\"\":\"empty key\"}",
    "{\"a\":\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\x7f\"}",
    "{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":1}}}}}}}}",
    "{\"a\":1,\"A\":1,\"\\u0061a\":1}",
    "{\"\xc3\xa9\":1,\"e\xcc\x81\":2}",
};

/* After JSONTestSuite's n_ cases, and what docs/protocol.md 2 adds. */
static const struct {
    const char *text, *why;
} bad[] = {
    {"", "nothing"},
    {" ", "white space alone"},
    {"[]", "an array"},
    {"1", "a number"},
    {"\"a\"", "a string"},
    {"null", "null"},
    {"\xef\xbb\xbf{}", "byte order mark"},
    {"{}x", "something behind"},
    {"{}{}", "another behind"},
    {"{},", "a comma behind"},
    {"{}\f", "a form feed is no white space"},
    {"{}\xc2\xa0", "nor is a no-break space"},
    {"{} // c", "a comment"},
    {"/**/{}", "a comment"},
    {"{", "open"},
    {"}", "closed"},
    {"{]", "the wrong bracket"},
    {"{\"a\":[1}", "the wrong bracket"},
    {"{\"a\":1]", "the wrong bracket"},
    {"{\"a\"}", "no value"},
    {"{\"a\":}", "no value"},
    {"{\"a\" 1}", "no colon"},
    {"{\"a\"::1}", "two colons"},
    {"{:1}", "no key"},
    {"{a:1}", "a bare key"},
    {"{'a':1}", "single quotes"},
    {"{1:1}", "a number for a key"},
    {"{null:1}", "a word for a key"},
    {"{\"a\":1,}", "a comma at the end"},
    {"{,\"a\":1}", "a comma at the start"},
    {"{\"a\":1,,\"b\":2}", "two commas"},
    {"{\"a\":1 \"b\":2}", "no comma"},
    {"{\"a\":[1,]}", "a comma at the end"},
    {"{\"a\":[,1]}", "a comma at the start"},
    {"{\"a\":[1 2]}", "no comma"},
    {"{\"a\":[,]}", "a comma alone"},
    {"{\"a\":[}", "open"},
    {"{\"a\":01}", "leading zero"},
    {"{\"a\":-01}", "leading zero"},
    {"{\"a\":00}", "leading zero"},
    {"{\"a\":+1}", "plus"},
    {"{\"a\":-}", "minus alone"},
    {"{\"a\":--1}", "two minuses"},
    {"{\"a\":- 1}", "minus apart"},
    {"{\"a\":1.0}", "a fraction"},
    {"{\"a\":1.}", "a dot"},
    {"{\"a\":.5}", "a dot"},
    {"{\"a\":1e3}", "an exponent"},
    {"{\"a\":1E3}", "an exponent"},
    {"{\"a\":1e999}", "an exponent"},
    {"{\"a\":0e1}", "an exponent"},
    {"{\"a\":0x1}", "hexadecimal"},
    {"{\"a\":1_000}", "underscores"},
    {"{\"a\":NaN}", "NaN"},
    {"{\"a\":Infinity}", "Infinity"},
    {"{\"a\":-Infinity}", "-Infinity"},
    {"{\"a\":9007199254740992}", "2^53"},
    {"{\"a\":-9007199254740992}", "-2^53"},
    {"{\"a\":10000000000000000}", "17 digits"},
    {"{\"a\":99999999999999999999999999}", "many digits"},
    {"{\"a\":\xef\xbc\x91}", "a full-width digit"},
    {"{\"a\":tru}", "a word cut"},
    {"{\"a\":truee}", "a word too long"},
    {"{\"a\":True}", "a capital"},
    {"{\"a\":nul}", "a word cut"},
    {"{\"a\":undefined}", "another word"},
    {"{\"a\":\"}", "a string open"},
    {"{\"a\":\"\\\"}", "a string open"},
    {"{\"a\":\"\\", "a string open"},
    {"{\"a\":\"\\x41\"}", "an unknown escape"},
    {"{\"a\":\"\\a\"}", "an unknown escape"},
    {"{\"a\":\"\\'\"}", "an unknown escape"},
    {"{\"a\":\"\\\n\"}", "an escaped newline"},
    {"{\"a\":\"\\u\"}", "no digits"},
    {"{\"a\":\"\\u00\"}", "two digits"},
    {"{\"a\":\"\\u00g0\"}", "no digit"},
    {"{\"a\":\"\\U0041\"}", "a capital U"},
    {"{\"a\":\"\\u0000\"}", "U+0000"},
    {"{\"\\u0000\":1}", "U+0000 in a key"},
    {"{\"a\":\"\\ud800\"}", "high surrogate alone"},
    {"{\"a\":\"\\ud800x\"}", "high surrogate alone"},
    {"{\"a\":\"\\ud800\\n\"}", "high surrogate alone"},
    {"{\"a\":\"\\ud800\\u0041\"}", "high surrogate and a letter"},
    {"{\"a\":\"\\ud800\\ud800\"}", "two high surrogates"},
    {"{\"a\":\"\\udc00\"}", "low surrogate alone"},
    {"{\"a\":\"\\udc00\\udc00\"}", "two low surrogates"},
    {"{\"a\":\"\\udc00\\ud800\"}", "surrogates swapped"},
    {"{\"a\":\"\t\"}", "a tab"},
    {"{\"a\":\"\n\"}", "a newline"},
    {"{\"a\":\"\x01\"}", "a control byte"},
    {"{\"a\":\"\x1f\"}", "a control byte"},
    {"{\"a\":\"\xff\"}", "no UTF-8"},
    {"{\"a\":\"\xc0\x80\"}", "an overlong NUL"},
    {"{\"a\":\"\xc3\"}", "a character cut"},
    {"{\"a\":\"\xed\xa0\x80\"}", "a surrogate in UTF-8"},
    {"{\"\xff\":1}", "no UTF-8 in a key"},
    {"{\"a\":1,\"a\":1}", "a key twice"},
    {"{\"a\":1,\"b\":2,\"a\":3}", "a key twice"},
    {"{\"a\":1,\"\\u0061\":2}", "a key twice, once escaped"},
    {"{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}", "a key twice, once as a pair"},
    {"{\"a\\/\":1,\"a/\":2}", "a key twice, once escaped"},
    {"{\"x\":{\"k\":1,\"k\":2}}", "a key twice, inside"},
    {"{\"x\":[{\"k\":1,\"k\":2}]}", "a key twice, inside"},
    {"{\"\":1,\"\":2}", "the empty key twice"},
    {"{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":1}}}}}}}}}", "one deeper"},
    {"{\"a\":[[[[[[[[1]]]]]]]]}", "one deeper"},
};

static struct span span_str(const char *s)
{
    return span_of(s, strlen(s));
}

/* A copy of exactly its size, so that AddressSanitizer sees a byte too many. */
static int scan_exactly(const char *p, size_t n)
{
    struct err e = {0};
    uint8_t *copy = malloc(n > 0 ? n : 1);
    assert_non_null(copy);
    memcpy(copy, p, n);
    int rc = json_scan(span_of(copy, n), &e);
    assert_int_equal(rc == 0 ? ERR_NONE : ERR_PEER, e.code);
    free(copy);
    return rc;
}

static void good_is_taken_and_every_cut_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        struct err e = {0};
        size_t n = strlen(good[i]), last = n;
        print_message("# %s\n", good[i]);
        struct json *j = json_parse(span_str(good[i]), &e);
        assert_non_null(j);
        json_free(j);
        while (good[i][last - 1] != '}')
            last--;
        for (size_t cut = 0; cut < last; cut++)
            assert_int_equal(scan_exactly(good[i], cut), -1);
        assert_int_equal(scan_exactly(good[i], n), 0);
    }
}

static void bad_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct err e = {0};
        print_message("# %s: %s\n", bad[i].why, bad[i].text);
        assert_int_equal(scan_exactly(bad[i].text, strlen(bad[i].text)), -1);
        assert_null(json_parse(span_str(bad[i].text), &e));
    }
    assert_int_equal(scan_exactly("{}\0", 3), -1);
    assert_int_equal(scan_exactly("{\"a\":\"\0\"}", 9), -1);
    assert_int_equal(scan_exactly("{\"a\0\":1}", 8), -1);
}

/* P5: every kind of sequence that is no UTF-8, as a text, as a key, and cut at each byte. */
static void what_is_no_utf8_is_refused(void **state)
{
    static const char *const no[] = {
        "\x80",
        "\xbf",
        "\xc0\x80",
        "\xc0\xaf",
        "\xc1\xbf",
        "\xe0\x80\xaf",
        "\xe0\x9f\xbf",
        "\xf0\x80\x80\xaf",
        "\xf0\x8f\xbf\xbf",
        "\xf8\x88\x80\x80\x80",
        "\xfc\x84\x80\x80\x80\x80",
        "\xfe",
        "\xff",
        "\xfe\xfe\xff\xff",
        "\xed\xa0\x80",
        "\xed\xbf\xbf",
        "\xed\xa0\x80\xed\xb0\x80",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xc2",
        "\xe1\x80",
        "\xf1\x80\x80",
        "\xc2\xc2\xa9",
        "\xe2\x28\xa1",
        "\xf0\x28\x8c\xbc",
        "\xf0\x90\x28\xbc",
        "a\x80z",
    };
    static const char *const yes[] = {"\xc2\x80",     "\xdf\xbf",         "\xe0\xa0\x80",
                                      "\xed\x9f\xbf", "\xee\x80\x80",     "\xef\xbf\xbd",
                                      "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"};
    char text[64];
    (void)state;

    for (size_t i = 0; i < COUNT(no) + COUNT(yes); i++) {
        const char *s = i < COUNT(no) ? no[i] : yes[i - COUNT(no)];
        int want = i < COUNT(no) ? -1 : 0;
        int n = snprintf(text, sizeof text, "{\"a\":\"%s\"}", s);
        assert_int_equal(scan_exactly(text, (size_t)n), want);
        n = snprintf(text, sizeof text, "{\"%s\":1}", s);
        assert_int_equal(scan_exactly(text, (size_t)n), want);
        assert_int_equal(text_utf8_ok(str_of(s)), want == 0);
        for (size_t cut = 1; cut < strlen(s) && want == 0; cut++)
            assert_false(text_utf8_ok(str_from(s, cut)));
    }
}

static void nesting_by_the_million_is_refused(void **state)
{
    static char deep[2000006];
    (void)state;

    memcpy(deep, "{\"a\":", 5);
    memset(deep + 5, '[', sizeof deep - 5);
    assert_int_equal(scan_exactly(deep, sizeof deep), -1);
    for (size_t i = 0; i + 5 <= sizeof deep; i += 5)
        memcpy(deep + i, "{\"a\":", 5);
    assert_int_equal(scan_exactly(deep, sizeof deep), -1);
}

static void keys_are_bounded(void **state)
{
    char text[8 * 1024], *at = text;
    (void)state;

    for (int i = 0; i <= JSON_KEYS_MAX; i++) {
        at += sprintf(at, "%s\"k%d\":1", i == 0 ? "{" : ",", i);
        char *end = at + sprintf(at, "}");
        assert_int_equal(scan_exactly(text, (size_t)(end - text)), i < JSON_KEYS_MAX ? 0 : -1);
    }
    for (int n = 1; n < 100; n++) {
        at = text + sprintf(text, "{\"%0*d\":1}", n, 0);
        assert_int_equal(scan_exactly(text, (size_t)(at - text)), n <= JSON_KEY_MAX ? 0 : -1);
    }
}

static void values_are_bounded(void **state)
{
    static char text[2 * JSON_NODES_MAX + 16];
    (void)state;

    /* The object and the array are values themselves. */
    for (int over = 0; over < 2; over++) {
        size_t n = (size_t)sprintf(text, "{\"a\":[1");
        for (int i = 1; i < JSON_NODES_MAX - 2 + over; i++, n += 2)
            memcpy(text + n, ",1", 2);
        memcpy(text + n, "]}", 2);
        assert_int_equal(scan_exactly(text, n + 2), over == 0 ? 0 : -1);
    }
}

static void getters_judge_type_and_bounds(void **state)
{
    static const char text[] = "{\"s\":\"abc\",\"n\":7,\"neg\":-7,\"t\":true,\"h\":\"00ff\","
                               "\"b\":\"AP8=\",\"o\":{\"x\":1},\"a\":[\"p\",\"q\"],\"z\":null}";
    uint8_t two[2];
    (void)state;
    /* Each case on a getter of its own: it fails or not, and nothing after a failure succeeds. */
#define CASE(right, call)                                                                          \
    do {                                                                                           \
        struct err e = {0};                                                                        \
        struct json *j = json_parse(span_of(text, sizeof text - 1), &e);                           \
        struct jget g = jget_of(j, &e);                                                            \
        (void)(call);                                                                              \
        assert_int_equal(jget_done(&g), (right) ? 0 : -1);                                         \
        assert_int_equal(e.code, (right) ? ERR_NONE : ERR_PEER);                                   \
        (void)jget_u64(&g, "n", 0, 9);                                                             \
        assert_int_equal(jget_done(&g), (right) ? 0 : -1);                                         \
        json_free(j);                                                                              \
    } while (0)
    CASE(true, jget_str(&g, "s", 1, 3));
    CASE(false, jget_str(&g, "s", 1, 2));
    CASE(false, jget_str(&g, "s", 4, 9));
    CASE(false, jget_str(&g, "S", 1, 3));
    CASE(false, jget_str(&g, "n", 0, 3));
    CASE(false, jget_str(&g, "z", 0, 3));
    CASE(true, jget_u64(&g, "n", 7, 7));
    CASE(false, jget_u64(&g, "n", 8, 9));
    CASE(false, jget_u64(&g, "n", 0, 6));
    CASE(false, jget_u64(&g, "neg", 0, JSON_INT_MAX));
    CASE(false, jget_u64(&g, "s", 0, 9));
    CASE(false, jget_u64(&g, "t", 0, 9));
    CASE(false, jget_u64(&g, "missing", 0, 9));
    CASE(true, jget_bool(&g, "t"));
    CASE(false, jget_bool(&g, "n"));
    CASE(false, jget_bool(&g, "z"));
    CASE(true, (jget_hex(&g, "h", two, 2), 0));
    CASE(false, (jget_hex(&g, "h", two, 1), 0));
    CASE(false, (jget_hex(&g, "b", two, 2), 0));
    CASE(true, (jget_b64(&g, "b", two, 2), 0));
    CASE(false, (jget_b64(&g, "b", two, 1), 0));
    CASE(false, (jget_b64(&g, "s", two, 2), 0));
    CASE(true, jget_bytes(&g, "b", 2, 2).n);
    CASE(false, jget_bytes(&g, "b", 0, 1).n);
    CASE(true, jget_obj(&g, "o").node);
    CASE(false, jget_obj(&g, "a").node);
    CASE(true, jget_arr(&g, "a", 2).n);
    CASE(false, jget_arr(&g, "a", 1).n);
    CASE(false, jget_arr(&g, "o", 9).n);
#undef CASE
}

static void arrays_are_walked(void **state)
{
    struct err e = {0};
    struct json *j = json_parse(span_str("{\"a\":[\"p\",\"AP8=\",{\"x\":1},5]}"), &e);
    struct jget g = jget_of(j, &e);
    struct jarr a = jget_arr(&g, "a", 9);
    (void)state;

    assert_int_equal(a.n, 4);
    assert_true(str_is(jarr_str(&a, 1, 1), "p"));
    assert_int_equal(jarr_bytes(&a, 2, 2).n, 2);
    struct jget o = jarr_obj(&a);
    assert_int_equal(jget_u64(&o, "x", 0, 9), 1);
    assert_int_equal(jget_done(&g), 0);
    (void)jarr_str(&a, 0, 9);
    assert_int_equal(jget_done(&g), -1);
    json_free(j);
}

static void what_is_written_is_read_back(void **state)
{
    char all[127];
    struct buf b;
    struct err e = {0};
    (void)state;

    for (int i = 1; i < 128; i++)
        all[i - 1] = (char)i;
    buf_init(&b, 4096);
    struct jput w = jput_of(&b);
    jput_open(&w, NULL, '{');
    jput_str(&w, "s", str_from(all, sizeof all));
    jput_u64(&w, "n", JSON_INT_MAX);
    jput_i64(&w, "i", -5);
    jput_bool(&w, "t", true);
    jput_null(&w, "z");
    jput_hex(&w, "h", span_of("\x00\xff", 2));
    jput_b64(&w, "b", span_of("\xfb\xff", 2));
    jput_open(&w, "a", '[');
    jput_str(&w, NULL, str_of("x"));
    jput_open(&w, NULL, '{');
    jput_close(&w, '}');
    jput_close(&w, ']');
    jput_close(&w, '}');
    assert_int_equal(jput_done(&w), 0);
    struct json *j = json_parse(buf_span(&b), &e);
    assert_non_null(j);
    struct jget g = jget_of(j, &e);
    assert_true(str_same(jget_str(&g, "s", 0, 999), str_from(all, sizeof all)));
    assert_true(jget_u64(&g, "n", 0, JSON_INT_MAX) == JSON_INT_MAX);
    assert_int_equal(jget_arr(&g, "a", 2).n, 2);
    assert_int_equal(jget_done(&g), 0);
    json_free(j);
    assert_non_null(strstr((char *)memcpy(buf_room(&b, 1), "", 1) - b.len + 1,
                           ",\"i\":-5,\"t\":true,\"z\":null,\"h\":\"00ff\",\"b\":\"+/8=\","
                           "\"a\":[\"x\",{}]}"));
    buf_free(&b);
}

static void writer_refuses_what_is_not_json(void **state)
{
    static const struct {
        const char *p;
        size_t n;
    } texts[] = {{"\xff", 1}, {"a\0b", 3}, {"\xed\xa0\x80", 3}, {"\xc3", 1}};
    struct buf b;
    (void)state;

    for (size_t i = 0; i < COUNT(texts); i++) {
        buf_init(&b, 100);
        struct jput w = jput_of(&b);
        jput_str(&w, NULL, str_from(texts[i].p, texts[i].n));
        assert_int_equal(jput_done(&w), -1);
        buf_free(&b);
    }
    for (size_t max = 0; max < 20; max++) {
        buf_init(&b, max);
        struct jput w = jput_of(&b);
        jput_open(&w, NULL, '{');
        jput_b64(&w, "b", span_of("abcdef", 6));
        jput_close(&w, '}');
        assert_int_equal(jput_done(&w), max < 16 ? -1 : 0);
        buf_free(&b);
    }
    buf_init(&b, 100);
    struct jput w = jput_of(&b);
    jput_u64(&w, NULL, JSON_INT_MAX + 1);
    assert_int_equal(jput_done(&w), -1);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_is_taken_and_every_cut_refused),
        cmocka_unit_test(bad_is_refused),
        cmocka_unit_test(what_is_no_utf8_is_refused),
        cmocka_unit_test(nesting_by_the_million_is_refused),
        cmocka_unit_test(keys_are_bounded),
        cmocka_unit_test(values_are_bounded),
        cmocka_unit_test(getters_judge_type_and_bounds),
        cmocka_unit_test(arrays_are_walked),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(writer_refuses_what_is_not_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
