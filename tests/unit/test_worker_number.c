/* Numbers as providers send them: server/worker/number.h. */
#include "server/worker/number.h"

#include "tests/support/check_main.h"

#include <math.h>
#include <stdbool.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

/* A JSON text and what is to be read from it. */
struct reading_case {
    const char *json;
    bool known;
    double value;
};

static json_t *parse(const char *json)
{
    json_t *value = json_loads(json, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, NULL);

    ck_assert_msg(value != NULL, "%s is no JSON", json);
    return value;
}

static void expect(const struct reading_case *table, size_t count, struct number (*read)(const json_t *value))
{
    for (size_t i = 0; i < count; i++) {
        json_t *value = parse(table[i].json);
        struct number number = read(value);

        ck_assert_msg(number.known == table[i].known, "%s: known is %d", table[i].json, number.known);
        ck_assert_msg(!number.known || fabs(number.value - table[i].value) < 1e-9, "%s: read as %f", table[i].json,
                      number.value);
        json_decref(value);
    }
}

START_TEST(only_a_json_number_is_a_number)
{
    static const struct reading_case table[] = {
        {"0", true, 0},     {"-1.5", true, -1.5},    {"1e308", true, 1e308}, {"99999999999999999999999", true, 1e23},
        {"true", false, 0}, {"false", false, 0},     {"null", false, 0},     {"\"62\"", false, 0},
        {"[1]", false, 0},  {"{\"a\":1}", false, 0},
    };

    expect(table, COUNT(table), number_read);
    ck_assert(!number_read(NULL).known);
}
END_TEST

START_TEST(an_absurd_amount_is_absent)
{
    static const struct reading_case table[] = {
        {"999999999999", true, 999999999999.0},
        {"-999999999999.5", true, -999999999999.5},
        {"1000000000000", false, 0},
        {"-1e12", false, 0},
        {"1e308", false, 0},
        {"\"1\"", false, 0},
    };

    expect(table, COUNT(table), number_read_amount);
}
END_TEST

START_TEST(a_decimal_string_counts_where_it_is_asked_for)
{
    static const struct reading_case table[] = {
        {"\"412.50\"", true, 412.5},
        {"\" \\t-0.25\\t \"", true, -0.25},
        {"\"7\"", true, 7},
        {"12.5", true, 12.5},
        {"\"000000000000000000000012\"", true, 12},               /* 24 digits */
        {"\"0000000000000000000000012\"", false, 0},              /* 25 */
        {"\"0.123456789012345678\"", true, 0.123456789012345678}, /* 18 digits */
        {"\"0.1234567890123456789\"", false, 0},                  /* 19 */
        {"\"1e3\"", false, 0},
        {"\"0x10\"", false, 0},
        {"\"+1\"", false, 0},
        {"\"1,000\"", false, 0},
        {"\"1.\"", false, 0},
        {"\".5\"", false, 0},
        {"\"-\"", false, 0},
        {"\"\"", false, 0},
        {"\"inf\"", false, 0},
        {"\"nan\"", false, 0},
        {"\"1\\u00002\"", false, 0},
        {"\"1\\n\"", false, 0},
        {"\"1000000000000\"", false, 0}, /* absurd */
        {"true", false, 0},
    };

    expect(table, COUNT(table), number_read_decimal);
}
END_TEST

START_TEST(a_percentage_is_clamped_and_never_made_up)
{
    ck_assert(!number_percent(NUMBER_ABSENT).known);
    ck_assert_double_eq(number_percent(number_make(-0.0001)).value, 0);
    ck_assert(!signbit(number_percent(number_make(-0.0)).value));
    ck_assert_double_eq(number_percent(number_make(62.5)).value, 62.5);
    ck_assert_double_eq(number_percent(number_make(1e6)).value, 100);
}
END_TEST

START_TEST(a_part_of_nothing_is_no_percentage)
{
    ck_assert_double_eq(number_percent_of(number_make(10.5), number_make(40)).value, 26.25);
    ck_assert(!number_percent_of(number_make(1), number_make(0)).known);
    ck_assert(!number_percent_of(number_make(1), number_make(-4)).known);
    ck_assert(!number_percent_of(NUMBER_ABSENT, number_make(4)).known);
    ck_assert(!number_percent_of(number_make(1), NUMBER_ABSENT).known);
}
END_TEST

START_TEST(what_is_made_of_what_is_absent_is_absent)
{
    ck_assert_double_eq(number_rest(number_make(75.5)).value, 24.5);
    ck_assert_double_eq(number_rest(number_make(-15)).value, 115);
    ck_assert_double_eq(number_percent_of_fraction(number_make(0.25)).value, 25);
    ck_assert_double_eq(number_minus(number_make(300), number_make(-45)).value, 345);
    ck_assert(!number_rest(NUMBER_ABSENT).known);
    ck_assert(!number_percent_of_fraction(NUMBER_ABSENT).known);
    ck_assert(!number_minus(NUMBER_ABSENT, number_make(1)).known);
    ck_assert(!number_minus(number_make(1), NUMBER_ABSENT).known);
}
END_TEST

START_TEST(what_is_not_finite_is_absent)
{
    ck_assert(!number_make((double)INFINITY).known);
    ck_assert(!number_make((double)NAN).known);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("worker_number");
    TCase *tcase = tcase_create("number");

    tcase_add_test(tcase, only_a_json_number_is_a_number);
    tcase_add_test(tcase, an_absurd_amount_is_absent);
    tcase_add_test(tcase, a_decimal_string_counts_where_it_is_asked_for);
    tcase_add_test(tcase, a_percentage_is_clamped_and_never_made_up);
    tcase_add_test(tcase, a_part_of_nothing_is_no_percentage);
    tcase_add_test(tcase, what_is_made_of_what_is_absent_is_absent);
    tcase_add_test(tcase, what_is_not_finite_is_absent);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
