#include "transport/h2_date.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const char days[] = "SunMonTueWedThuFriSat";
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

void mr_h2_date_format(char text[MR_H2_DATE_BYTES], int64_t unix_s)
{
    const time_t time = (time_t)unix_s;
    struct tm tm;
    gmtime_r(&time, &tm);
    char whole[96]; /* a year beyond 9999 does not fit, and is cut */
    snprintf(whole, sizeof whole, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * tm.tm_wday,
             tm.tm_mday, months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
             tm.tm_sec);
    memcpy(text, whole, MR_H2_DATE_BYTES - 1);
    text[MR_H2_DATE_BYTES - 1] = '\0';
}

/* Up to four digits; -1: others. */
static int number(const char *text, size_t digits)
{
    int value = 0;
    for (size_t i = 0; i < digits; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return -1;
        }
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

static int month_of(const char *text)
{
    for (int i = 0; i < 12; i++) {
        if (memcmp(text, months + 3 * i, 3) == 0) {
            return i;
        }
    }
    return -1;
}

int64_t mr_h2_date_parse(const char *text, size_t length)
{
    static const char form[] = "###, ## ### #### ##:##:## GMT";
    if (length != sizeof form - 1) {
        return 0;
    }
    for (size_t i = 0; i < length; i++) {
        if (form[i] != '#' && form[i] != text[i]) {
            return 0;
        }
    }
    struct tm tm = {.tm_mday = number(text + 5, 2),
                    .tm_mon = month_of(text + 8),
                    .tm_year = number(text + 12, 4) - 1900,
                    .tm_hour = number(text + 17, 2),
                    .tm_min = number(text + 20, 2),
                    .tm_sec = number(text + 23, 2)};
    if (tm.tm_mday < 1 || tm.tm_mon < 0 || tm.tm_year < 70 || tm.tm_hour < 0 || tm.tm_min < 0 ||
        tm.tm_sec < 0) {
        return 0;
    }
    const time_t time = timegm(&tm);
    return time > 0 ? (int64_t)time : 0;
}
