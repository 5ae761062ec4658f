#include "server/worker/stamp.h"

#include "server/base/moment.h"

#include <time.h>

enum { DAY_S = 86400, WEEK_DAYS = 7, MONDAY_AFTER_EPOCH = 4 /* 1970-01-05 */ };

struct stamp stamp_make(int64_t s)
{
    return s > 0 && s <= STAMP_S_MAX ? (struct stamp){true, s} : STAMP_ABSENT;
}

/* Broken-down UTC to seconds; false for what is no moment (30 February, 25 o'clock, a leap second). */
static bool stamp_from_civil(const struct tm *civil, int64_t *s_out)
{
    struct tm given = *civil, back;
    time_t s = timegm(&given); /* carries 30 February over to March */

    if (gmtime_r(&s, &back) == NULL)
        return false;
    if (back.tm_year != civil->tm_year || back.tm_mon != civil->tm_mon || back.tm_mday != civil->tm_mday ||
        back.tm_hour != civil->tm_hour || back.tm_min != civil->tm_min || back.tm_sec != civil->tm_sec)
        return false;
    *s_out = s;
    return true;
}

/* Whole seconds: what is finer is cut. */
struct stamp stamp_read_iso(const char *text, size_t size)
{
    return stamp_make(moment_from_text(text, size) / 1000);
}

struct stamp stamp_read_epoch(struct number value)
{
    return value.known ? stamp_make(moment_from_number(value.value) / 1000) : STAMP_ABSENT;
}

struct stamp stamp_read(const json_t *value)
{
    if (json_is_string(value))
        return stamp_read_iso(json_string_value(value), json_string_length(value));
    return stamp_read_epoch(number_read(value));
}

struct stamp stamp_read_http_date(const char *text)
{
    static const char *const forms[] = {
        "%a, %d %b %Y %H:%M:%S GMT", /* Sun, 06 Nov 1994 08:49:37 GMT */
        "%a, %d-%b-%y %H:%M:%S GMT", /* Sunday, 06-Nov-94 08:49:37 GMT */
        "%a %b %e %H:%M:%S %Y",      /* Sun Nov  6 08:49:37 1994 */
    };

    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct tm civil = {0};
        const char *rest = strptime(text, forms[i], &civil);
        int64_t s;

        if (rest != NULL && *rest == '\0' && stamp_from_civil(&civil, &s))
            return stamp_make(s);
    }
    return STAMP_ABSENT;
}

struct stamp_text stamp_write(int64_t s)
{
    struct stamp_text out = {""};
    struct tm civil = {0};
    time_t moment = (time_t)s;

    gmtime_r(&moment, &civil);
    strftime(out.text, sizeof out.text, "%Y-%m-%dT%H:%M:%SZ", &civil);
    return out;
}

int64_t stamp_next_day(int64_t now_s)
{
    return (now_s / DAY_S + 1) * DAY_S;
}

int64_t stamp_next_week(int64_t now_s)
{
    int64_t days_since_monday = (now_s / DAY_S - MONDAY_AFTER_EPOCH + WEEK_DAYS) % WEEK_DAYS;

    return (now_s / DAY_S + WEEK_DAYS - days_since_monday) * DAY_S;
}

/* The beginning of the month that is so many after now's. */
static int64_t stamp_month(int64_t now_s, int months_later)
{
    struct tm civil = {0};
    time_t moment = (time_t)now_s;

    gmtime_r(&moment, &civil);
    return timegm(&(struct tm){.tm_year = civil.tm_year, .tm_mon = civil.tm_mon + months_later, .tm_mday = 1});
}

int64_t stamp_next_month(int64_t now_s)
{
    return stamp_month(now_s, 1);
}

int64_t stamp_this_month(int64_t now_s)
{
    return stamp_month(now_s, 0);
}
