#include "server/base/moment.h"

#include <math.h>
#include <stdbool.h>

#define SECONDS_MAX        INT64_C(253402300799) /* 9999-12-31T23:59:59Z */
#define MILLISECONDS_FROM  1e12                  /* a number from here on counts milliseconds */
#define SECONDS_PER_DAY    INT64_C(86400)
#define DAYS_BEFORE_1970   INT64_C(719468) /* from 0000-03-01 */
#define DAYS_PER_400_YEARS 146097

struct reader {
    const char *at, *end;
};

static bool read_byte(struct reader *reader, char wanted)
{
    if (reader->at == reader->end || *reader->at != wanted)
        return false;
    reader->at++;
    return true;
}

/* Exactly `count` digits. */
static bool read_digits(struct reader *reader, int count, int *value_out)
{
    int value = 0;

    for (int i = 0; i < count; i++, reader->at++) {
        if (reader->at == reader->end || *reader->at < '0' || *reader->at > '9')
            return false;
        value = value * 10 + (*reader->at - '0');
    }
    *value_out = value;
    return true;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

/* Days since 1970-01-01 in the Gregorian calendar, counted in years that begin in March: the leap day ends them. */
static int64_t days_since_1970(int year, int month, int day)
{
    int64_t march_year = month > 2 ? year : year - 1;
    int64_t era = (march_year < 0 ? march_year - 399 : march_year) / 400;
    int64_t year_of_era = march_year - era * 400;
    int64_t month_from_march = month > 2 ? month - 3 : month + 9;
    int64_t day_of_year = (153 * month_from_march + 2) / 5 + day - 1;

    return era * DAYS_PER_400_YEARS + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           DAYS_BEFORE_1970;
}

static bool read_date(struct reader *reader, int64_t *days_out)
{
    int year, month, day;

    if (!read_digits(reader, 4, &year) || !read_byte(reader, '-') || !read_digits(reader, 2, &month) ||
        !read_byte(reader, '-') || !read_digits(reader, 2, &day))
        return false;
    if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month))
        return false;
    *days_out = days_since_1970(year, month, day);
    return true;
}

/* ".5" is 500 ms; further digits than three are cut. */
static bool read_fraction(struct reader *reader, int *milliseconds_out)
{
    static const int weights[] = {100, 10, 1};
    int digit, count = 0;

    *milliseconds_out = 0;
    if (!read_byte(reader, '.'))
        return true;
    while (read_digits(reader, 1, &digit)) {
        if (count < 3)
            *milliseconds_out += digit * weights[count];
        count++;
    }
    return count >= 1 && count <= 9;
}

static bool read_clock(struct reader *reader, int64_t *milliseconds_out)
{
    int hour, minute, second, fraction;

    if (!read_digits(reader, 2, &hour) || !read_byte(reader, ':') || !read_digits(reader, 2, &minute) ||
        !read_byte(reader, ':') || !read_digits(reader, 2, &second) || !read_fraction(reader, &fraction))
        return false;
    if (hour > 23 || minute > 59 || second > 59)
        return false;
    *milliseconds_out = ((hour * 60 + minute) * 60 + second) * INT64_C(1000) + fraction;
    return true;
}

/* What the local time is ahead of UTC; nothing, or Z, is UTC itself. */
static bool read_zone(struct reader *reader, int64_t *milliseconds_out)
{
    int hour, minute;
    bool west;

    *milliseconds_out = 0;
    if (reader->at == reader->end || read_byte(reader, 'Z'))
        return true;
    west = read_byte(reader, '-');
    if (!west && !read_byte(reader, '+'))
        return false;
    if (!read_digits(reader, 2, &hour))
        return false;
    read_byte(reader, ':');
    if (!read_digits(reader, 2, &minute) || hour > 23 || minute > 59)
        return false;
    *milliseconds_out = (west ? -1 : 1) * (hour * 60 + minute) * INT64_C(60000);
    return true;
}

int64_t moment_from_text(const char *text, size_t size)
{
    struct reader reader = {text, text + size};
    int64_t days, clock = 0, zone = 0, moment;

    if (!read_date(&reader, &days))
        return 0;
    if (reader.at != reader.end) {
        if (!read_byte(&reader, 'T') || !read_clock(&reader, &clock) || !read_zone(&reader, &zone))
            return 0;
    }
    moment = days * SECONDS_PER_DAY * 1000 + clock - zone;
    return reader.at != reader.end || moment <= 0 || moment / 1000 > SECONDS_MAX ? 0 : moment;
}

int64_t moment_from_number(double number)
{
    double milliseconds = number >= MILLISECONDS_FROM ? number : number * 1000;

    if (!isfinite(number) || milliseconds < 1 || milliseconds >= (double)(SECONDS_MAX + 1) * 1000)
        return 0;
    return (int64_t)milliseconds;
}
