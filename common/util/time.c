#include "common/util/time.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool year_is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static unsigned month_days(int64_t year, unsigned month)
{
    static const unsigned days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && year_is_leap(year) ? 1u : 0u);
}

/* Days from 1970-01-01 to the first of January of that year. */
static int64_t year_start(int64_t year)
{
    int64_t y = year - 1;
    return (year - 1970) * 365 + (y / 4 - y / 100 + y / 400) - (1969 / 4 - 1969 / 100 + 1969 / 400);
}

void time_split(int64_t ms, struct time_parts *out)
{
    int64_t t = ms < 0 ? 0 : ms > TIME_MS_MAX ? TIME_MS_MAX : ms;
    int64_t days = t / DAY_MS;
    unsigned in_day = (unsigned)(t % DAY_MS);
    int64_t year = 1970 + days / 366;

    while (year_start(year + 1) <= days)
        year++;
    unsigned day = (unsigned)(days - year_start(year)), month = 1;
    for (; day >= month_days(year, month); month++)
        day -= month_days(year, month);
    *out = (struct time_parts){
        .year = (int)year,
        .month = month,
        .day = day + 1,
        .hour = in_day / 3600000,
        .minute = in_day / 60000 % 60,
        .second = in_day / 1000 % 60,
        .ms = in_day % 1000,
    };
}

static char *put_digits(char *out, unsigned v, unsigned digits, char behind)
{
    for (unsigned i = digits; i > 0; i--, v /= 10)
        out[i - 1] = (char)('0' + v % 10);
    out[digits] = behind;
    return out + digits + 1;
}

void time_put(char out[TIME_TEXT], int64_t ms)
{
    struct time_parts t;

    time_split(ms, &t);
    out = put_digits(out, (unsigned)t.year, 4, '-');
    out = put_digits(out, t.month, 2, '-');
    out = put_digits(out, t.day, 2, 'T');
    out = put_digits(out, t.hour, 2, ':');
    out = put_digits(out, t.minute, 2, ':');
    out = put_digits(out, t.second, 2, '.');
    out = put_digits(out, t.ms, 3, 'Z');
    out[0] = '\0';
}

/* Exactly so many digits and the character behind them. */
static bool take_digits(struct rd *r, unsigned digits, char behind, unsigned *out)
{
    *out = 0;
    while (digits-- > 0) {
        unsigned d = (unsigned)rd_u8(r) - '0';
        if (d > 9)
            return false;
        *out = *out * 10 + d;
    }
    return rd_u8(r) == (uint8_t)behind;
}

static bool take_parts(struct rd *r, size_t n, struct time_parts *t)
{
    unsigned year;
    bool whole = n == sizeof "2026-11-21T10:15:00Z" - 1;

    t->ms = 0;
    if (!take_digits(r, 4, '-', &year) || !take_digits(r, 2, '-', &t->month) ||
        !take_digits(r, 2, 'T', &t->day) || !take_digits(r, 2, ':', &t->hour) ||
        !take_digits(r, 2, ':', &t->minute) || !take_digits(r, 2, whole ? 'Z' : '.', &t->second))
        return false;
    t->year = (int)year;
    return (whole || take_digits(r, 3, 'Z', &t->ms)) && rd_done(r);
}

int time_take(int64_t *ms, struct str s)
{
    struct rd r = rd_of(span_of(s.p, s.n));
    struct time_parts t;

    if (!take_parts(&r, s.n, &t) || t.year < 1970 || t.month < 1 || t.month > 12 || t.day < 1 ||
        t.day > month_days(t.year, t.month) || t.hour > 23 || t.minute > 59 || t.second > 59)
        return -1;
    int64_t days = year_start(t.year) + t.day - 1;
    for (unsigned m = 1; m < t.month; m++)
        days += month_days(t.year, m);
    *ms = days * DAY_MS + ((t.hour * 60 + t.minute) * 60 + t.second) * INT64_C(1000) + t.ms;
    return 0;
}

int time_option(int64_t *ms, const char *option, const char *text, bool last, struct err *e)
{
    char whole[64];

    if (text == NULL || text[0] == '\0')
        return 0;
    snprintf(whole, sizeof whole, "%.24s%s", text,
             strchr(text, 'T') != NULL ? ""
             : last                    ? "T23:59:59.999Z"
                                       : "T00:00:00Z");
    if (strlen(text) >= TIME_TEXT || time_take(ms, str_of(whole)) < 0)
        return err_set(e, ERR_USAGE,
                       "%s wants a date (2026-11-21) or a time in UTC (2026-11-21T10:15:00Z)",
                       option);
    return 0;
}
