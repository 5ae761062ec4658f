/* Moments: server/worker/stamp.h. */
#include "server/worker/stamp.h"

#include "tests/support/check_main.h"

#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

/* A text and the moment in it as we write it; NULL: none. */
struct stamp_case {
    const char *text, *written;
};

static void expect(const char *text, struct stamp stamp, const char *written)
{
    if (written == NULL) {
        ck_assert_msg(!stamp.known, "%s: read as %s", text, stamp_write(stamp.s).text);
        return;
    }
    ck_assert_msg(stamp.known, "%s: not read", text);
    ck_assert_msg(strcmp(stamp_write(stamp.s).text, written) == 0, "%s: read as %s", text, stamp_write(stamp.s).text);
}

static int64_t at(const char *text)
{
    struct stamp stamp = stamp_read_iso(text, strlen(text));

    ck_assert(stamp.known);
    return stamp.s;
}

START_TEST(iso_text_is_read_in_all_its_forms)
{
    static const struct stamp_case table[] = {
        {"2026-04-01", "2026-04-01T00:00:00Z"},
        {"2026-03-01T12:00:00", "2026-03-01T12:00:00Z"},
        {"2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z"},
        {"2026-03-01T15:00:00.412345+00:00", "2026-03-01T15:00:00Z"},
        {"2026-03-06T04:05:06.123456789Z", "2026-03-06T04:05:06Z"},
        {"2026-03-04T10:00:00-05:00", "2026-03-04T15:00:00Z"},
        {"2026-03-04T01:00:00+0530", "2026-03-03T19:30:00Z"},
        {"2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"},
        {"9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"},
    };

    for (size_t i = 0; i < COUNT(table); i++)
        expect(table[i].text, stamp_read_iso(table[i].text, strlen(table[i].text)), table[i].written);
}
END_TEST

START_TEST(what_is_no_moment_is_absent)
{
    static const char *const table[] = {
        "",
        "tomorrow",
        "2026",
        "2026-3-1",
        "2026-13-45T99:99:99Z",
        "2026-02-30T00:00:00Z",
        "2025-02-29",
        "2026-00-10",
        "2026-01-00",
        "2026-03-01T24:00:00Z",
        "2026-03-01T12:60:00Z",
        "2026-03-01T12:00:60Z",
        "2026-03-01T12:00",
        "2026-03-01T12:00:00.Z",
        "2026-03-01T12:00:00.1234567890Z",
        "2026-03-01T12:00:00X",
        "2026-03-01T12:00:00+5",
        "2026-03-01T12:00:00+24:00",
        "2026-03-01T12:00:00+01:60",
        "2026-03-01T12:00:00Zz",
        "2026-03-01 12:00:00",
        "1969-12-31T23:59:59Z",
        "1970-01-01",
        "9999-12-31T23:59:59-01:00",
        "2026-03-01T",
        " 2026-03-01",
        "20260301",
    };

    for (size_t i = 0; i < COUNT(table); i++)
        expect(table[i], stamp_read_iso(table[i], strlen(table[i])), NULL);
    expect("cut short", stamp_read_iso("2026-03-01T12:00:00Z", 12), NULL);
}
END_TEST

START_TEST(epochs_are_seconds_or_milliseconds)
{
    static const struct {
        double epoch;
        const char *written;
    } table[] = {
        {1772366400, "2026-03-01T12:00:00Z"},
        {1772366400.9, "2026-03-01T12:00:00Z"},
        {1772366400999, "2026-03-01T12:00:00Z"},
        {999999999999, NULL /* seconds, far beyond year 9999 */},
        {1e12, "2001-09-09T01:46:40Z"},
        {253402300799, "9999-12-31T23:59:59Z"},
        {253402300799999, "9999-12-31T23:59:59Z"},
        {253402300800, NULL},
        {253402300800000, NULL},
        {1e23, NULL},
        {0, NULL},
        {0.5, NULL},
        {-1, NULL},
    };

    for (size_t i = 0; i < COUNT(table); i++)
        expect("an epoch", stamp_read_epoch(number_make(table[i].epoch)), table[i].written);
    ck_assert(!stamp_read_epoch(NUMBER_ABSENT).known);
}
END_TEST

START_TEST(json_decides_the_form_by_its_type)
{
    json_t *text = json_string("2026-03-01T12:00:00Z"), *number = json_real(1772366400), *flag = json_true();

    ck_assert_int_eq(stamp_read(text).s, 1772366400);
    ck_assert_int_eq(stamp_read(number).s, 1772366400);
    ck_assert(!stamp_read(flag).known);
    ck_assert(!stamp_read(NULL).known);
    json_decref(text);
    json_decref(number);
}
END_TEST

START_TEST(http_dates_are_read_in_their_three_forms)
{
    static const struct stamp_case table[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37Z"},
        {"Sunday, 06-Nov-94 08:49:37 GMT", "1994-11-06T08:49:37Z"},
        {"Sun Nov  6 08:49:37 1994", "1994-11-06T08:49:37Z"},
        {"Sun, 01 Mar 2026 12:02:00 GMT", "2026-03-01T12:02:00Z"},
        {"Sun, 31 Feb 2026 12:02:00 GMT", NULL},
        {"Sun, 01 Mar 2026 12:02:00 CET", NULL},
        {"Sun, 01 Mar 2026 12:02:00 GMT and more", NULL},
        {"soon; drop table", NULL},
        {"", NULL},
    };

    for (size_t i = 0; i < COUNT(table); i++)
        expect(table[i].text, stamp_read_http_date(table[i].text), table[i].written);
}
END_TEST

START_TEST(periods_begin_at_midnight_utc_weeks_on_monday)
{
    static const struct {
        const char *now, *day, *week, *month;
    } table[] = {
        {"2026-03-01T12:00:00Z", "2026-03-02T00:00:00Z", "2026-03-02T00:00:00Z", "2026-04-01T00:00:00Z"}, /* Sunday */
        {"2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z", "2026-03-09T00:00:00Z", "2026-04-01T00:00:00Z"}, /* Monday */
        {"2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z", "2027-01-04T00:00:00Z", "2027-01-01T00:00:00Z"},
        {"2024-02-28T10:00:00Z", "2024-02-29T00:00:00Z", "2024-03-04T00:00:00Z", "2024-03-01T00:00:00Z"},
        {"1970-01-02T00:00:00Z", "1970-01-03T00:00:00Z", "1970-01-05T00:00:00Z", "1970-02-01T00:00:00Z"},
    };

    for (size_t i = 0; i < COUNT(table); i++) {
        ck_assert_str_eq(stamp_write(stamp_next_day(at(table[i].now))).text, table[i].day);
        ck_assert_str_eq(stamp_write(stamp_next_week(at(table[i].now))).text, table[i].week);
        ck_assert_str_eq(stamp_write(stamp_next_month(at(table[i].now))).text, table[i].month);
    }
}
END_TEST

START_TEST(a_month_begins_on_its_first)
{
    ck_assert_str_eq(stamp_write(stamp_this_month(INT64_C(1772366400))).text, "2026-03-01T00:00:00Z");
    ck_assert_str_eq(stamp_write(stamp_this_month(INT64_C(1772323200))).text, "2026-03-01T00:00:00Z");
    ck_assert_str_eq(stamp_write(stamp_this_month(INT64_C(1772323199))).text, "2026-02-01T00:00:00Z");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("worker_stamp");
    TCase *tcase = tcase_create("stamp");

    tcase_add_test(tcase, iso_text_is_read_in_all_its_forms);
    tcase_add_test(tcase, what_is_no_moment_is_absent);
    tcase_add_test(tcase, epochs_are_seconds_or_milliseconds);
    tcase_add_test(tcase, json_decides_the_form_by_its_type);
    tcase_add_test(tcase, http_dates_are_read_in_their_three_forms);
    tcase_add_test(tcase, periods_begin_at_midnight_utc_weeks_on_monday);
    tcase_add_test(tcase, a_month_begins_on_its_first);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
