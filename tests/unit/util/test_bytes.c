/* Spans, reader, writer, buffer, hex and base64: what they give, and above all what they refuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/util/bytes.h"

static void texts_are_compared_and_cut(void **state)
{
    struct str rest = str_of("a||b");
    char small[3];
    (void)state;

    assert_true(str_is(str_cut(&rest, '|'), "a"));
    assert_true(str_is(str_cut(&rest, '|'), ""));
    assert_non_null(rest.p);
    assert_true(str_is(str_cut(&rest, '|'), "b"));
    assert_null(rest.p);
    assert_int_equal(str_copy(small, sizeof small, str_of("ab")), 0);
    assert_int_equal(str_copy(small, sizeof small, str_of("abc")), -1);
    assert_string_equal(small, "");
    assert_int_equal(str_copy(small, 0, str_of("")), -1);
    assert_true(str_same(str_of(NULL), str_of("")));
    assert_false(str_same(str_of("a"), str_of("b")));
    assert_true(span_same(span_of(NULL, 0), span_of("x", 0)));
}

static void decimals_are_canonical(void **state)
{
    static const struct {
        const char *text;
        uint64_t max;
        int ret;
        uint64_t v;
    } rows[] = {
        {"0", 9, 0, 0},
        {"9", 9, 0, 9},
        {"10", 9, -1, 0},
        {"", 9, -1, 0},
        {"00", 9, -1, 0},
        {"01", 9, -1, 0},
        {"+1", 9, -1, 0},
        {"-1", 9, -1, 0},
        {" 1", 9, -1, 0},
        {"1 ", 9, -1, 0},
        {"1a", 99, -1, 0},
        {"0x1", 99, -1, 0},
        {"5", 3, -1, 0},
        {"18446744073709551615", UINT64_MAX, 0, UINT64_MAX},
        {"18446744073709551616", UINT64_MAX, -1, 0},
        {"99999999999999999999", UINT64_MAX, -1, 0},
        {"9007199254740991", (UINT64_C(1) << 53) - 1, 0, (UINT64_C(1) << 53) - 1},
        {"9007199254740992", (UINT64_C(1) << 53) - 1, -1, 0},
    };
    (void)state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        uint64_t v = 0;
        print_message("# %s\n", rows[i].text);
        assert_int_equal(str_u64(str_of(rows[i].text), rows[i].max, &v), rows[i].ret);
        assert_int_equal(v, rows[i].v);
    }
}

static void reader_is_short_for_good(void **state)
{
    const uint8_t in[] = {1, 0, 2, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 5, 6, 7};
    (void)state;

    for (size_t n = 0; n <= sizeof in; n++) {
        struct rd r = rd_of(span_of(in, n));
        bool right = rd_u8(&r) == 1 && rd_u16(&r) == 2 && rd_u24(&r) == 3 && rd_u32(&r) == 4 &&
                     rd_u64(&r) == 5;
        assert_int_equal(right, n >= 18);
        assert_int_equal(r.bad, n < 18);
        assert_int_equal(rd_done(&r), n == 18);
        if (n < 18) {
            assert_null(rd_take(&r, 0));
            assert_int_equal(rd_left(&r), 0);
        }
    }
    struct rd r = rd_of(span_of(in, sizeof in));
    assert_null(rd_take(&r, SIZE_MAX));
    r = rd_of(span_of(NULL, 0));
    assert_true(rd_done(&r));
    assert_int_equal(rd_rest(&r).n, 0);
}

static void lengths_of_numbers_have_one_spelling(void **state)
{
    static const struct {
        const char *hex;
        bool ok;
        uint64_t v;
    } rows[] = {
        {"00", true, 0},
        {"3f", true, 63},
        {"4040", true, 64},
        {"7bbd", true, 15293}, /* RFC 9000 A.1 */
        {"7fff", true, 16383},
        {"80004000", true, 16384},
        {"9d7f3e7d", true, 494878333}, /* and these two */
        {"c2197c5eff14e88c", true, UINT64_C(151288809941952652)},
        {"bfffffff", true, (1 << 30) - 1},
        {"c000000040000000", true, 1 << 30},
        {"ffffffffffffffff", true, (UINT64_C(1) << 62) - 1},
        {"4025", false, 0}, /* 37 in two bytes: RFC 9000 lets it pass, we do not */
        {"403f", false, 0},
        {"80003fff", false, 0},
        {"c00000003fffffff", false, 0},
        {"", false, 0},
        {"40", false, 0},
        {"800040", false, 0},
        {"c0000000400000", false, 0},
    };
    uint8_t bytes[8];
    (void)state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t n = strlen(rows[i].hex) / 2;
        struct wr w = wr_of(bytes, sizeof bytes);
        assert_int_equal(hex_take(bytes, n, str_of(rows[i].hex)), 0);
        struct rd r = rd_of(span_of(bytes, n));
        print_message("# %s\n", rows[i].hex);
        assert_int_equal(rd_var(&r), rows[i].v);
        assert_int_equal(rd_done(&r), rows[i].ok);
        if (rows[i].ok) {
            uint8_t as_read[8];
            memcpy(as_read, bytes, n);
            wr_var(&w, rows[i].v);
            assert_true(span_same(wr_span(&w), span_of(as_read, n)));
        }
    }
    struct wr w = wr_of(bytes, sizeof bytes);
    wr_var(&w, UINT64_C(1) << 62);
    assert_true(w.bad);
}

static void writer_is_full_for_good(void **state)
{
    uint8_t out[18];
    (void)state;

    for (size_t cap = 0; cap <= sizeof out; cap++) {
        struct wr w = wr_of(out, cap);
        wr_u8(&w, 1);
        wr_u16(&w, 2);
        wr_u32(&w, 4);
        wr_u64(&w, 5);
        wr_put(&w, "abc", 3);
        assert_int_equal(w.bad, cap < 18);
        assert_int_equal(wr_span(&w).n, cap < 18 ? 0 : 18);
    }
    assert_memory_equal(out, "\1\0\2\0\0\0\4\0\0\0\0\0\0\0\5abc", 18);
}

static void lengths_are_filled_in(void **state)
{
    uint8_t out[400];
    struct wr w = wr_of(out, sizeof out);
    (void)state;

    size_t outer = wr_open(&w, 2), inner = wr_open(&w, 1);
    wr_put(&w, "xyz", 3);
    wr_close(&w, inner, 1);
    wr_close(&w, outer, 2);
    assert_int_equal(wr_span(&w).n, 6);
    assert_memory_equal(out, "\0\4\3xyz", 6);
    w = wr_of(out, sizeof out);
    inner = wr_open(&w, 1);
    assert_non_null(wr_room(&w, 256));
    wr_close(&w, inner, 1);
    assert_true(w.bad);
}

static void buffer_keeps_order_and_bound(void **state)
{
    struct buf b;
    uint8_t next_in = 0, next_out = 0, portion[100];
    (void)state;

    buf_init(&b, 1000);
    for (size_t round = 0; round < 2000; round++) {
        size_t n = (round * 7919) % sizeof portion;
        for (size_t i = 0; i < n; i++)
            portion[i] = (uint8_t)(next_in + i);
        if (n <= 1000 - b.len) {
            assert_int_equal(buf_add(&b, portion, n), 0);
            next_in = (uint8_t)(next_in + n);
        } else {
            assert_int_equal(buf_add(&b, portion, n), -1);
        }
        size_t drop = (round * 104729) % sizeof portion;
        struct span s = buf_span(&b);
        for (size_t i = 0; i < s.n; i++)
            assert_int_equal(s.p[i], (uint8_t)(next_out + i));
        next_out = (uint8_t)(next_out + (drop < s.n ? drop : s.n));
        buf_drop(&b, drop);
    }
    buf_free(&b);
    assert_int_equal(buf_span(&b).n, 0);
    assert_int_equal(b.max, 1000);
}

static void buffer_refuses_what_wraps(void **state)
{
    struct buf b;
    (void)state;

    buf_init(&b, 10);
    assert_int_equal(buf_add(&b, "0123456789", 10), 0);
    assert_int_equal(buf_add(&b, "x", 1), -1);
    assert_null(buf_room(&b, SIZE_MAX));
    assert_null(buf_room(&b, SIZE_MAX - 5));
    buf_cut(&b, 4);
    assert_int_equal(buf_span(&b).n, 4);
    assert_int_equal(buf_add(&b, "abcdef", 6), 0);
    assert_memory_equal(buf_span(&b).p, "0123abcdef", 10);
    buf_free(&b);
    assert_int_equal(buf_add(&b, NULL, 0), 0);
    buf_free(&b);
}

static void hex_has_one_form(void **state)
{
    static const char *const bad[] = {"0", "0g", "0A", "AF", " 0", "0 ", "0x", "", "000"};
    uint8_t out[2];
    char text[5];
    (void)state;

    hex_put(text, span_of("\0\xaf", 2));
    assert_string_equal(text, "00af");
    assert_int_equal(hex_take(out, 2, str_of("00af")), 0);
    assert_memory_equal(out, "\0\xaf", 2);
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(hex_take(out, 1, str_of(bad[i])), -1);
}

static const struct {
    const char *bytes, *text, *url;
} base64[] = {
    /* RFC 4648 10, and the two letters of the other alphabet */
    {"", "", ""},
    {"f", "Zg==", "Zg"},
    {"fo", "Zm8=", "Zm8"},
    {"foo", "Zm9v", "Zm9v"},
    {"foob", "Zm9vYg==", "Zm9vYg"},
    {"fooba", "Zm9vYmE=", "Zm9vYmE"},
    {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
    {"\xfb\xff\xfe", "+//+", "-__-"},
};

static void base64_gives_the_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(base64); i++) {
        struct span s = span_of(base64[i].bytes, strlen(base64[i].bytes));
        char text[16];
        uint8_t out[8];
        size_t n;
        b64_put(text, s);
        assert_string_equal(text, base64[i].text);
        assert_int_equal(b64_len(s.n), strlen(text));
        assert_int_equal(b64_take(out, sizeof out, &n, str_of(text)), 0);
        assert_true(span_same(span_of(out, n), s));
        b64url_put(text, s);
        assert_string_equal(text, base64[i].url);
        assert_int_equal(b64url_len(s.n), strlen(text));
        assert_int_equal(b64url_take(out, sizeof out, &n, str_of(text)), 0);
        assert_true(span_same(span_of(out, n), s));
    }
}

static void base64_has_one_form(void **state)
{
    static const char *const bad[] = {
        "Z",    "Zg",       "Zg=",      "Zg===",  "Zh==",     "Zm9=",       "=",
        "====", "Zg==Zg==", "Zm9v\n",   " Zm9v",  "Zm 9",     "Zm9-",       "Zm9_",
        "Z=g=", "Zm9v=",    "Zm9v====", "Zg==\n", "Zm8=Zm8=", "\xc3\xa9==",
    };
    static const char *const bad_url[] = {"Z",    "Zh",   "Zm9", "Zg==", "Zm9v+",
                                          "+//+", "Zm8=", "Zg ", "-__-A"};
    uint8_t out[16];
    size_t n;
    (void)state;

    for (size_t i = 0; i < COUNT(bad); i++) {
        print_message("# %s\n", bad[i]);
        assert_int_equal(b64_take(out, sizeof out, &n, str_of(bad[i])), -1);
    }
    for (size_t i = 0; i < COUNT(bad_url); i++) {
        print_message("# %s\n", bad_url[i]);
        assert_int_equal(b64url_take(out, sizeof out, &n, str_of(bad_url[i])), -1);
    }
    assert_int_equal(b64_take(out, 2, &n, str_of("Zm9v")), -1);
}

/* Of all last letters before the padding only every sixteenth, or fourth, leaves no bits over. */
static void base64_refuses_trailing_bits(void **state)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t out[4];
    size_t n;
    (void)state;

    for (unsigned i = 0; i < 64; i++) {
        char one[] = {'Z', letters[i], '=', '=', '\0'}, two[] = {'Z', 'm', letters[i], '=', '\0'};
        assert_int_equal(b64_take(out, sizeof out, &n, str_of(one)), i % 16 == 0 ? 0 : -1);
        assert_int_equal(b64_take(out, sizeof out, &n, str_of(two)), i % 4 == 0 ? 0 : -1);
    }
}

static void percent_has_one_form(void **state)
{
    static const char *const good[][2] = {
        {"", ""}, {"az-AZ.09_~", "az-AZ.09_~"}, {"a b|%", "a%20b%7C%25"}, {"\xc3\xa9", "%C3%A9"}};
    static const char *const bad[] = {"a b", "%", "%4", "%zz", "%c3", "%41", "|", "\xc3", "%%41"};
    (void)state;

    for (size_t i = 0; i < COUNT(good); i++) {
        uint8_t text[32], back[32];
        struct wr w = wr_of(text, sizeof text), v = wr_of(back, sizeof back);
        struct str got;
        wr_percent(&w, str_of(good[i][0]));
        struct span s = wr_span(&w);
        assert_true(str_is(str_from(s.p, s.n), good[i][1]));
        assert_int_equal(percent_take(&got, &v, str_of(good[i][1])), 0);
        assert_true(str_is(got, good[i][0]));
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        uint8_t back[32];
        struct wr v = wr_of(back, sizeof back);
        struct str got;
        assert_int_equal(percent_take(&got, &v, str_of(bad[i])), -1);
    }
    uint8_t two[2];
    struct wr v = wr_of(two, sizeof two);
    struct str got;
    assert_int_equal(percent_take(&got, &v, str_of("abc")), -1); /* no room */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_compared_and_cut),
        cmocka_unit_test(decimals_are_canonical),
        cmocka_unit_test(reader_is_short_for_good),
        cmocka_unit_test(lengths_of_numbers_have_one_spelling),
        cmocka_unit_test(writer_is_full_for_good),
        cmocka_unit_test(lengths_are_filled_in),
        cmocka_unit_test(buffer_keeps_order_and_bound),
        cmocka_unit_test(buffer_refuses_what_wraps),
        cmocka_unit_test(hex_has_one_form),
        cmocka_unit_test(base64_gives_the_vectors),
        cmocka_unit_test(base64_has_one_form),
        cmocka_unit_test(base64_refuses_trailing_bits),
        cmocka_unit_test(percent_has_one_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
