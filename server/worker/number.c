#include "server/worker/number.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { INTEGER_DIGITS_MAX = 24, FRACTION_DIGITS_MAX = 18, DECIMAL_SIZE_MAX = 1 + 24 + 1 + 18 };

struct number number_make(double value)
{
    return isfinite(value) ? (struct number){true, value} : NUMBER_ABSENT;
}

static struct number number_make_amount(double value)
{
    return fabs(value) < NUMBER_AMOUNT_MAX ? number_make(value) : NUMBER_ABSENT;
}

struct number number_read(const json_t *value)
{
    return json_is_number(value) ? number_make(json_number_value(value)) : NUMBER_ABSENT;
}

struct number number_read_amount(const json_t *value)
{
    return json_is_number(value) ? number_make_amount(json_number_value(value)) : NUMBER_ABSENT;
}

static size_t number_digits(const char *at, const char *end)
{
    size_t count = 0;

    while (at + count < end && at[count] >= '0' && at[count] <= '9')
        count++;
    return count;
}

/* Whether all of it is a decimal; strtod alone would take hex, exponents, "inf" and much else. */
static bool number_is_decimal(const char *at, const char *end)
{
    size_t integer_count, fraction_count;

    if (at < end && *at == '-')
        at++;
    integer_count = number_digits(at, end);
    if (integer_count == 0 || integer_count > INTEGER_DIGITS_MAX)
        return false;
    at += integer_count;
    if (at == end)
        return true;
    if (*at++ != '.')
        return false;
    fraction_count = number_digits(at, end);
    return fraction_count > 0 && fraction_count <= FRACTION_DIGITS_MAX && at + fraction_count == end;
}

struct number number_read_decimal(const json_t *value)
{
    char decimal[DECIMAL_SIZE_MAX + 1];
    const char *at, *end;

    if (!json_is_string(value))
        return number_read_amount(value);
    at = json_string_value(value);
    end = at + json_string_length(value);
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    while (at < end && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    if (end - at > DECIMAL_SIZE_MAX || !number_is_decimal(at, end))
        return NUMBER_ABSENT;
    memcpy(decimal, at, (size_t)(end - at));
    decimal[end - at] = '\0';
    return number_make_amount(strtod(decimal, NULL));
}

struct number number_percent(struct number value)
{
    if (!value.known)
        return NUMBER_ABSENT;
    return number_make(value.value > 0 ? fmin(value.value, 100) : 0); /* and no -0 */
}

struct number number_rest(struct number percent)
{
    return percent.known ? number_make(100 - percent.value) : NUMBER_ABSENT;
}

struct number number_percent_of_fraction(struct number fraction)
{
    return fraction.known ? number_make(fraction.value * 100) : NUMBER_ABSENT;
}

struct number number_minus(struct number value, struct number less)
{
    return value.known && less.known ? number_make(value.value - less.value) : NUMBER_ABSENT;
}

struct number number_percent_of(struct number part, struct number whole)
{
    if (!part.known || !whole.known || whole.value <= 0)
        return NUMBER_ABSENT;
    return number_make(part.value / whole.value * 100);
}
