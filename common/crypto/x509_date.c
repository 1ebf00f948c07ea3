#include <stdio.h>

#include "common/crypto/x509_inside.h"
#include "common/util/time.h"

/* Days since 1970-01-01, by eras of 400 years that begin on a 1st of March (H. Hinnant,
 * "chrono-compatible low-level date algorithms"). */
static int64_t days_of(int64_t y, int m, int d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

int64_t x509_ms(const mbedtls_x509_time *t)
{
    int64_t s = (t->hour * 60 + t->min) * 60 + t->sec;
    return days_of(t->year, t->mon, t->day) * DAY_MS + s * 1000;
}

void ms_x509(int64_t ms, mbedtls_x509_time *t)
{
    int64_t days = ms / DAY_MS - (ms % DAY_MS < 0);
    int s = (int)((ms - days * DAY_MS) / 1000);
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;

    t->day = (int)(doy - (153 * mp + 2) / 5 + 1);
    t->mon = (int)(mp < 10 ? mp + 3 : mp - 9);
    t->year = (int)(yoe + era * 400 + (t->mon <= 2));
    t->hour = s / 3600;
    t->min = s / 60 % 60;
    t->sec = s % 60;
}

const char *date_put(char out[DATE_LEN], int64_t ms)
{
    mbedtls_x509_time t;

    ms_x509(ms, &t);
    snprintf(out, DATE_LEN, "%04d-%02d-%02d", t.year, t.mon, t.day);
    return out;
}
