/* Figures in words. */
#include "client/probectl/top/words.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void words_count(uint64_t count, char out[WORDS_SIZE])
{
    char digits[24];
    int size = snprintf(digits, sizeof digits, "%" PRIu64, count);
    size_t at = 0;

    for (int i = 0; i < size; i++) {
        if (i > 0 && (size - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
}

void words_rate(double per_second, char out[WORDS_SIZE])
{
    if (per_second < 9.95)
        snprintf(out, WORDS_SIZE, "%.1f", per_second);
    else
        words_count(per_second < 1e18 ? (uint64_t)llround(per_second) : UINT64_C(1000000000000000000), out);
}

/* Three digits, whatever their place. */
static void three_digits(double value, const char *unit, char out[WORDS_SIZE])
{
    int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;

    snprintf(out, WORDS_SIZE, "%.*f %s", decimals, value, unit);
}

void words_seconds(double seconds, bool utf8, char out[WORDS_SIZE])
{
    if (seconds < 0.0009995)
        snprintf(out, WORDS_SIZE, "%.0f %s", seconds * 1e6, utf8 ? "\xc2\xb5s" : "us");
    else if (seconds < 0.9995)
        three_digits(seconds * 1e3, "ms", out);
    else
        three_digits(seconds, "s", out);
}

/* The smaller unit is left out where there is none of it. */
static void two_units(uint64_t large, const char *large_unit, uint64_t small, const char *small_unit,
                      char out[WORDS_SIZE])
{
    if (small == 0)
        snprintf(out, WORDS_SIZE, "%" PRIu64 " %s", large, large_unit);
    else
        snprintf(out, WORDS_SIZE, "%" PRIu64 " %s %" PRIu64 " %s", large, large_unit, small, small_unit);
}

void words_span(uint64_t ms, char out[WORDS_SIZE])
{
    uint64_t seconds = ms / 1000, minutes = seconds / 60, hours = minutes / 60;

    if (ms < 1000)
        snprintf(out, WORDS_SIZE, "%" PRIu64 " ms", ms);
    else if (seconds < 60)
        snprintf(out, WORDS_SIZE, "%" PRIu64 ".%" PRIu64 " s", seconds, ms % 1000 / 100);
    else if (minutes < 60)
        two_units(minutes, "min", seconds % 60, "s", out);
    else if (hours < 24)
        two_units(hours, "h", minutes % 60, "min", out);
    else
        two_units(hours / 24, "d", hours % 24, "h", out);
}

void words_moment(int64_t at_ms, int64_t now_ms, char out[WORDS_SIZE])
{
    enum { HALF_DAY_MS = 12 * 60 * 60 * 1000 };
    time_t at = (time_t)(at_ms / 1000);
    bool near = now_ms - at_ms < HALF_DAY_MS && at_ms - now_ms < HALF_DAY_MS;
    struct tm parts;

    if (localtime_r(&at, &parts) == NULL || strftime(out, WORDS_SIZE, near ? "%H:%M:%S" : "%e %b %H:%M", &parts) == 0)
        snprintf(out, WORDS_SIZE, "%" PRId64, at_ms);
    else if (out[0] == ' ')
        memmove(out, out + 1, strlen(out));
}
