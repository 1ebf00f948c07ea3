/* RFC 3339: there and back, leap years, and what is no time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/util/time.h"

static const struct {
    int64_t ms;
    const char *text;
} times[] = {
    {0, "1970-01-01T00:00:00.000Z"},
    {951782399999, "2000-02-28T23:59:59.999Z"},
    {951782400000, "2000-02-29T00:00:00.000Z"},
    {951868800000, "2000-03-01T00:00:00.000Z"},
    {1704067199000, "2023-12-31T23:59:59.000Z"},
    {1735603200000, "2024-12-31T00:00:00.000Z"},
    {4107542400000, "2100-03-01T00:00:00.000Z"},
    {TIME_MS_MAX, "9999-12-31T23:59:59.999Z"},
};

static void there_and_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(times); i++) {
        char text[TIME_TEXT];
        int64_t ms = -1;
        time_put(text, times[i].ms);
        assert_string_equal(text, times[i].text);
        assert_int_equal(time_take(&ms, str_of(text)), 0);
        assert_true(ms == times[i].ms);
        for (size_t n = 0; n < TIME_TEXT - 1; n++)
            assert_int_equal(time_take(&ms, str_from(text, n)), -1);
    }
}

static void every_day_is_itself(void **state)
{
    (void)state;
    for (int64_t ms = 0; ms < TIME_MS_MAX; ms += INT64_C(86400000) * 13 + 4321) {
        char text[TIME_TEXT];
        int64_t back = -1;
        time_put(text, ms);
        assert_int_equal(time_take(&back, str_of(text)), 0);
        assert_true(back == ms);
    }
}

static void outside_becomes_the_bound(void **state)
{
    char text[TIME_TEXT];
    (void)state;

    time_put(text, -1);
    assert_string_equal(text, "1970-01-01T00:00:00.000Z");
    time_put(text, INT64_MAX);
    assert_string_equal(text, "9999-12-31T23:59:59.999Z");
}

static void whole_seconds_are_read(void **state)
{
    int64_t ms;
    (void)state;
    assert_int_equal(time_take(&ms, str_of("2000-02-29T00:00:01Z")), 0);
    assert_true(ms == 951782401000);
}

static void no_times_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "2001-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2000-04-31T00:00:00Z",
        "2000-00-10T00:00:00Z",
        "2000-13-10T00:00:00Z",
        "2000-01-00T00:00:00Z",
        "2000-01-01T24:00:00Z",
        "2000-01-01T00:60:00Z",
        "2000-01-01T00:00:60Z",
        "1969-12-31T23:59:59Z",
        "2000-01-01 00:00:00Z",
        "2000-01-01T00:00:00z",
        "2000-01-01T00:00:00+00:00",
        "2000-01-01T00:00:00.00Z",
        "2000-01-01T00:00:00.0000Z",
        "2000-01-01T00:00:00,000Z",
        "2000-01-01T00:00:00Z ",
        " 2000-01-01T00:00:00Z",
        "2000-1-01T00:00:00.0Z",
    };
    int64_t ms;
    (void)state;

    for (size_t i = 0; i < COUNT(bad); i++) {
        print_message("# %s\n", bad[i]);
        assert_int_equal(time_take(&ms, str_of(bad[i])), -1);
    }
}

static void options_take_dates_too(void **state)
{
    static const char *const wrong[] = {"2026-13-01", "21.11.2026", "2026-11-21T10:15", "yesterday",
                                        "2026-11-21T10:15:00.000Z and more"};
    struct err e = {0};
    int64_t ms = 7;
    (void)state;

    assert_int_equal(time_option(&ms, "--since", NULL, false, &e), 0);
    assert_int_equal(time_option(&ms, "--since", "", false, &e), 0);
    assert_int_equal(ms, 7);
    assert_int_equal(time_option(&ms, "--since", "1970-01-02", false, &e), 0);
    assert_int_equal(ms, DAY_MS);
    assert_int_equal(time_option(&ms, "--until", "1970-01-02", true, &e), 0);
    assert_int_equal(ms, 2 * DAY_MS - 1);
    assert_int_equal(time_option(&ms, "--until", "1970-01-01T00:00:05Z", true, &e), 0);
    assert_int_equal(ms, 5000);
    for (size_t i = 0; i < COUNT(wrong); i++) {
        e = (struct err){0};
        assert_int_equal(time_option(&ms, "--until", wrong[i], true, &e), -1);
        assert_int_equal(e.code, ERR_USAGE);
        assert_memory_equal(e.text, "--until wants", 13);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(every_day_is_itself),
        cmocka_unit_test(outside_becomes_the_bound),
        cmocka_unit_test(whole_seconds_are_read),
        cmocka_unit_test(no_times_are_refused),
        cmocka_unit_test(options_take_dates_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
