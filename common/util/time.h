/* time.h -- milliseconds since 1970 and RFC 3339 in UTC. No clock: times are passed in. */
#ifndef COMMON_UTIL_TIME_H
#define COMMON_UTIL_TIME_H

#include <stdint.h>

#include "common/util/bytes.h"
#include "common/util/err.h"

enum { DAY_MS = 24 * 60 * 60 * 1000 };
enum { TIME_TEXT = 25 }; /* "2026-11-21T10:15:00.000Z" and its NUL */

struct time_parts { /* UTC */
    int year;       /* 1970 to 9999 */
    unsigned month, day, hour, minute, second, ms;
};

/* The last millisecond that has four digits of year. */
#define TIME_MS_MAX INT64_C(253402300799999)

/* Times outside 0 .. TIME_MS_MAX become the nearest bound. */
void time_split(int64_t ms, struct time_parts *out);
void time_put(char out[TIME_TEXT], int64_t ms); /* with milliseconds */
/* Exactly what time_put writes, or the same without ".mmm"; real dates only. 0 or -1. */
int time_take(int64_t *ms, struct str s) MUST_USE;
/* What an option says: such a time, or a date alone, which is its first millisecond or its last.
 * NULL and "" say nothing. 0, or -1 and e (ERR_USAGE). */
int time_option(int64_t *ms, const char *option, const char *text, bool last,
                struct err *e) MUST_USE;

#endif
