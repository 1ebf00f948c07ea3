/* One event is one line whatever a peer put into it (P10). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "common/util/kv.h"

static const struct {
    const char *value;
    size_t n;
    const char *written;
} cases[] = {
    {"plain", 5, "plain"},
    {"192.0.2.1:7443", 14, "192.0.2.1:7443"},
    {"a/b@c+d-e_f", 11, "a/b@c+d-e_f"},
    {"", 0, "\"\""},
    {"two words", 9, "\"two words\""},
    {"a=b", 3, "\"a=b\""},
    {"say \"hi\"", 8, "\"say \\\"hi\\\"\""},
    {"back\\slash", 10, "\"back\\\\slash\""},
    {"line\nbreak", 10, "\"line\\x0abreak\""},
    {"\r\n event=login", 14, "\"\\x0d\\x0a event=login\""},
    {"\x1b[31m", 5, "\"\\x1b[31m\""},
    {"nul\0l", 5, "\"nul\\x00l\""},
    {"%n%s", 4, "\"%n%s\""},
    {"a|b", 3, "\"a|b\""},
    {"\xe2\x80\xae", 3, "\"\\xe2\\x80\\xae\""},
    {"\x7f\x80\xff", 3, "\"\\x7f\\x80\\xff\""},
};

static void values(void **state)
{
    char want[128] = "k=";
    struct kv k;
    (void)state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        kv_start(&k);
        kv_str(&k, "k", str_from(cases[i].value, cases[i].n));
        assert_int_equal(str_copy(want + 2, sizeof want - 2, str_of(cases[i].written)), 0);
        assert_string_equal(k.line, want);
    }
}

static void every_byte_stays_on_its_line(void **state)
{
    char all[256];
    struct kv k;
    (void)state;

    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    kv_event(&k, "x");
    kv_str(&k, "v", str_from(all, sizeof all));
    assert_false(k.cut);
    for (size_t i = 0; i < k.n; i++)
        assert_in_range((unsigned char)k.line[i], 0x20, 0x7e);
}

static void pairs(void **state)
{
    struct kv k;
    (void)state;

    kv_event(&k, "refused");
    kv_u64(&k, "conn", 17);
    kv_i64(&k, "left", -3);
    kv_text(&k, "why", "bad signature");
    kv_text(&k, "none", NULL);
    kv_hex(&k, "fp", span_of("\x01\xab", 2));
    assert_string_equal(k.line, "event=refused conn=17 left=-3 why=\"bad signature\" fp=01ab");
    assert_int_equal(k.n, strlen(k.line));
}

static void long_values_are_cut(void **state)
{
    char big[4 * KV_VALUE_MAX];
    struct kv k;
    (void)state;

    memset(big, 'x', sizeof big);
    kv_start(&k);
    kv_str(&k, "v", str_from(big, sizeof big));
    assert_int_equal(k.n, strlen("v=\"...\"") + KV_VALUE_MAX);
    assert_string_equal(k.line + k.n - 4, "...\"");
}

/* A line is never cut inside a pair. */
static void full_lines_leave_pairs_out(void **state)
{
    char big[KV_VALUE_MAX];
    struct kv k;
    (void)state;

    memset(big, 1, sizeof big); /* four characters each */
    kv_start(&k);
    for (int i = 0; i < 8; i++)
        kv_str(&k, "v", str_from(big, sizeof big));
    assert_true(k.cut);
    assert_true(k.n < sizeof k.line);
    assert_int_equal(k.line[k.n], '\0');
    assert_int_equal(k.line[k.n - 1], '"');
    kv_text(&k, "end", "1");
    assert_string_equal(k.line + k.n - 6, " end=1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),
        cmocka_unit_test(every_byte_stays_on_its_line),
        cmocka_unit_test(pairs),
        cmocka_unit_test(long_values_are_cut),
        cmocka_unit_test(full_lines_leave_pairs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
