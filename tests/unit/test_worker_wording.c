/* Texts of a snapshot: server/worker/wording.h, and the limits kept by server/worker/reading.h. */
#include "server/worker/wording.h"

#include "proto/utf8.h"
#include "server/worker/reading.h"
#include "tests/support/check_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

static const char *clean(const char *text, size_t size, size_t character_count_max)
{
    static char out[TEXT_SIZE];

    memset(out, 'x', sizeof out);
    display_text(text, size, character_count_max, out);
    return out;
}

static struct label plan(const char *text)
{
    json_t *value = json_string(text);
    struct label label = wording_plan(value);

    json_decref(value);
    return label;
}

START_TEST(blanks_and_controls_become_one_space)
{
    static const struct {
        const char *given;
        size_t size;
        const char *cleaned;
    } table[] = {
        {"plain", 5, "plain"},
        {"  two   words \t\n", 16, "two words"},
        {"plus\0\x1b[31m\nteam", 15, "plus [31m team"},
        {"a\xc2\x85"
         "b\x7f"
         "c",
         6, "a b c"},
        {"\x01\x02", 2, ""},
        {"", 0, ""},
        {"na\xc3\xafve \xe2\x82\xac", 10, "na\xc3\xafve \xe2\x82\xac"},
    };

    for (size_t i = 0; i < COUNT(table); i++)
        ck_assert_str_eq(clean(table[i].given, table[i].size, 64), table[i].cleaned);
}
END_TEST

START_TEST(a_long_text_is_cut_and_says_so)
{
    ck_assert_str_eq(clean("0123456789", 10, 10), "0123456789");
    ck_assert_str_eq(clean("0123456789a", 11, 10), "0123456...");
    ck_assert_str_eq(clean("012345 789a", 11, 10), "012345...");    /* no blank before the dots */
    ck_assert_str_eq(clean("0123456789   ", 13, 10), "0123456789"); /* blanks at the end are no length */
    ck_assert_str_eq(clean("012345678 9", 11, 10), "0123456...");
    ck_assert_str_eq(clean("\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac", 15, 4), "\xe2\x82\xac...");
}
END_TEST

START_TEST(any_length_stays_within_its_bound)
{
    char given[4 * TEXT_SIZE];

    for (size_t size = 0; size + 4 <= sizeof given; size += 4)
        memcpy(given + size, "\xf0\x9f\x92\xa1", 4);
    for (size_t size = 0; size + 4 <= sizeof given; size += 4) {
        const char *cleaned = clean(given, size, LIMIT_TEXT_CHARACTERS_MAX);

        ck_assert_uint_lt(strlen(cleaned), TEXT_SIZE);
        ck_assert(utf8_valid(cleaned, strlen(cleaned)));
    }
}
END_TEST

START_TEST(a_plan_is_spelled_like_a_name)
{
    static const struct {
        const char *given, *spelled;
    } table[] = {
        {"individual_pro", "Individual Pro"},
        {"self_serve_business_usage_based", "Self Serve Business Usage Based"},
        {"plus", "Plus"},
        {"PRO", "Pro"},
        {"max-5x", "Max 5x"},
        {"Already a Name", "Already a Name"},
        {"has space_and_more", "has space_and_more"},
        {"_odd__one_", "Odd One"},
        {"\xc3\xa9t\xc3\xa9", "\xc3\xa9t\xc3\xa9"},
        {"", ""},
    };

    for (size_t i = 0; i < COUNT(table); i++)
        ck_assert_str_eq(plan(table[i].given).text, table[i].spelled);
    ck_assert_str_eq(wording_plan(NULL).text, "");
}
END_TEST

START_TEST(money_has_its_sign_in_front_and_two_digits)
{
    ck_assert_str_eq(wording_money(12.34, "USD").text, "$12.34");
    ck_assert_str_eq(wording_money(-1.2, "USD").text, "-$1.20");
    ck_assert_str_eq(wording_money(86.4, "CNY").text, "\xc2\xa5"
                                                      "86.40");
    ck_assert_str_eq(wording_money(5, "EUR").text, "\xe2\x82\xac"
                                                   "5.00");
    ck_assert_str_eq(wording_money(5, "GBP").text, "\xc2\xa3"
                                                   "5.00");
    ck_assert_str_eq(wording_money(12.34, "CHF").text, "12.34 CHF");
    ck_assert_str_eq(wording_money(-12.345, "CHF").text, "-12.35 CHF");
    ck_assert_str_eq(wording_money(-0.001, "USD").text, "$0.00");
    ck_assert_str_eq(wording_money(1234567.891, "USD").text, "$1234567.89");
    ck_assert_str_eq(wording_money(-999999999999.99, "ZZZ").text, "-999999999999.99 ZZZ");
}
END_TEST

START_TEST(a_count_has_no_more_digits_than_it_needs)
{
    ck_assert_str_eq(wording_count(256).text, "256");
    ck_assert_str_eq(wording_count(412.5).text, "412.5");
    ck_assert_str_eq(wording_count(0.126).text, "0.13");
    ck_assert_str_eq(wording_count(100).text, "100");
    ck_assert_str_eq(wording_count(0).text, "0");
    ck_assert_str_eq(wording_count(-0.001).text, "0");
    ck_assert_str_eq(wording_count(-3.5).text, "-3.5");
    ck_assert_str_eq(wording_count(999999999999).text, "999999999999");
}
END_TEST

START_TEST(a_window_is_called_by_the_largest_unit_that_divides_it)
{
    static const struct {
        int64_t length_s;
        const char *name;
    } table[] = {{86400, "Daily"}, {604800, "Weekly"},  {2592000, "Monthly"}, {18000, "5-hour"}, {172800, "2-day"},
                 {3600, "1-hour"}, {5400, "90-minute"}, {90, "90-second"},    {1, "1-second"},   {2678400, "31-day"}};

    for (size_t i = 0; i < COUNT(table); i++)
        ck_assert_str_eq(wording_length(table[i].length_s).text, table[i].name);
}
END_TEST

static struct label of_text(struct label (*make)(const json_t *value), const char *text)
{
    json_t *value = json_string(text);
    struct label label = make(value);

    json_decref(value);
    return label;
}

START_TEST(a_currency_has_three_letters)
{
    ck_assert_str_eq(of_text(wording_currency, "USD").text, "USD");
    ck_assert_str_eq(of_text(wording_currency, "cny").text, "CNY");
    ck_assert_str_eq(of_text(wording_currency, "US").text, "");
    ck_assert_str_eq(of_text(wording_currency, "USDT").text, "");
    ck_assert_str_eq(of_text(wording_currency, "U$D").text, "");
    ck_assert_str_eq(wording_currency(NULL).text, "");
}
END_TEST

static struct label without_level(const json_t *value)
{
    return wording_plan_behind(value, "LEVEL_");
}

START_TEST(a_plan_can_be_told_without_its_beginning)
{
    ck_assert_str_eq(of_text(without_level, "LEVEL_BASIC").text, "Basic");
    ck_assert_str_eq(of_text(without_level, "LEVEL_VERY_HIGH").text, "Very High");
    ck_assert_str_eq(of_text(without_level, "gold").text, "Gold");
    ck_assert_str_eq(of_text(without_level, "LEVEL_").text, "");
}
END_TEST

START_TEST(what_is_used_of_what_is_told_when_both_are_known)
{
    ck_assert_str_eq(wording_used(number_make(73.5), number_make(300)).text, "73.5 of 300 used");
    ck_assert_str_eq(wording_used(NUMBER_ABSENT, number_make(300)).text, "");
    ck_assert_str_eq(wording_used(number_make(1), NUMBER_ABSENT).text, "");
    ck_assert_str_eq(wording_used_money(number_make(2.4), number_make(50), "USD").text, "$2.40 of $50.00 used");
    ck_assert_str_eq(wording_used_money(NUMBER_ABSENT, number_make(50), "USD").text, "");
    ck_assert_str_eq(wording_used_money(number_make(-999999999999), number_make(-999999999999), "USD").text,
                     "-$999999999999.00 of -$999999999999.00 used");
}
END_TEST

START_TEST(a_scoped_window_is_called_by_its_scope_first)
{
    ck_assert_str_eq(wording_scoped("video", (struct phrase){"Daily"}).text, "video daily");
    ck_assert_str_eq(wording_scoped("Code review", (struct phrase){"5-hour"}).text, "Code review 5-hour");
}
END_TEST

/* ---- the limits of a reading ---- */

static struct reading *reading_create(void)
{
    struct reading *reading = calloc(1, sizeof *reading);

    ck_assert_ptr_nonnull(reading);
    return reading;
}

START_TEST(what_is_beyond_the_limits_is_dropped)
{
    struct reading *reading = reading_create();

    for (int i = 0; i < 100; i++) {
        char label[16];

        snprintf(label, sizeof label, "L%d", i);
        reading_add_window(reading, &(struct window){.label = label, .used_percent = number_make(i)});
        reading_add_detail(reading, "%s", label);
        reading_add_balance(reading, label, i, "USD");
    }
    ck_assert_uint_eq(reading->window_count, LIMIT_WINDOW_COUNT_MAX);
    ck_assert_uint_eq(reading->detail_count, LIMIT_DETAIL_COUNT_MAX);
    ck_assert_uint_eq(reading->balance_count, LIMIT_BALANCE_COUNT_MAX);
    ck_assert_str_eq(reading->windows[31].label, "L31");
    free(reading);
}
END_TEST

START_TEST(a_window_without_a_percentage_or_a_name_is_left_out)
{
    struct reading *reading = reading_create();

    reading_add_window(reading, &(struct window){.label = "Session", .used_percent = NUMBER_ABSENT});
    reading_add_window(reading, &(struct window){.label = "", .used_percent = number_make(1)});
    ck_assert(!reading_is_usable(reading));
    reading_add_window(reading, &(struct window){.label = "Session", .used_percent = number_make(0)});
    ck_assert(reading_is_usable(reading));
    ck_assert(reading_has_window(reading, "session"));
    ck_assert(!reading_has_window(reading, "Sess"));
    free(reading);
}
END_TEST

START_TEST(an_echoed_secret_is_noticed_however_it_is_spelled)
{
    static const char secret[] = "sk-test_ABCDEF0123456789abcdef";
    struct reading *reading = reading_create();

    ck_assert(!reading_mentions(reading, secret));
    reading_add_detail(reading, "Credits: 412.5");
    ck_assert(!reading_mentions(reading, secret));
    reading_add_detail(reading, "Bad key sk-test_ABCDEF0123456789abcdef");
    ck_assert(reading_mentions(reading, secret));
    reading->detail_count = 0;
    reading_set_plan(reading, plan(secret).text);
    ck_assert_str_eq(reading->plan, "Sk Test Abcdef0123456789abcdef");
    ck_assert(reading_mentions(reading, secret));
    ck_assert_msg(!reading_mentions(reading, "Sk"), "a secret this short cannot be told from a word");
    free(reading);
}
END_TEST

START_TEST(a_total_is_told_with_its_parts)
{
    const struct balance_part parts[BALANCE_PART_COUNT] = {{"granted", number_make(6.4)}, {"topped up", NUMBER_ABSENT}};
    struct reading *reading = reading_create();

    reading_add_total(reading, "Total", number_make(86.4), "CNY", parts);
    reading_add_total(reading, "Total", number_make(-3), "CHF", NULL);
    reading_add_total(reading, "Total", NUMBER_ABSENT, "USD", parts);
    reading_add_total(reading, "Total", number_make(1), "", parts);
    ck_assert_uint_eq(reading->detail_count, 2);
    ck_assert_str_eq(reading->details[0], "Balance: \xc2\xa5"
                                          "86.40 CNY (granted \xc2\xa5"
                                          "6.40)");
    ck_assert_str_eq(reading->details[1], "Balance: -3.00 CHF");
    ck_assert_uint_eq(reading->balance_count, 2);
    ck_assert_str_eq(reading->balances[1].currency, "CHF");
    free(reading);
}
END_TEST

START_TEST(an_errors_code_is_a_number_or_none)
{
    static const struct {
        const char *code, *told;
    } table[] = {{"1001", "1001"}, {"\"1001\"", "1001"}, {"-7", "-7"}, {"\"sk-secret\"", ""}, {"null", ""}, {"{}", ""}};

    for (size_t i = 0; i < COUNT(table); i++) {
        struct reading *reading = reading_create();
        json_t *code = json_loads(table[i].code, JSON_DECODE_ANY, NULL);

        reading_set_error(reading, BODY_ERROR, code);
        ck_assert_str_eq(reading->error_code.text, table[i].told);
        json_decref(code);
        free(reading);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("worker_wording");
    TCase *wording = tcase_create("wording"), *reading = tcase_create("reading");

    tcase_add_test(wording, blanks_and_controls_become_one_space);
    tcase_add_test(wording, a_long_text_is_cut_and_says_so);
    tcase_add_test(wording, any_length_stays_within_its_bound);
    tcase_add_test(wording, a_plan_is_spelled_like_a_name);
    tcase_add_test(wording, money_has_its_sign_in_front_and_two_digits);
    tcase_add_test(wording, a_count_has_no_more_digits_than_it_needs);
    tcase_add_test(wording, a_window_is_called_by_the_largest_unit_that_divides_it);
    tcase_add_test(wording, a_currency_has_three_letters);
    tcase_add_test(wording, a_plan_can_be_told_without_its_beginning);
    tcase_add_test(wording, what_is_used_of_what_is_told_when_both_are_known);
    tcase_add_test(wording, a_scoped_window_is_called_by_its_scope_first);
    suite_add_tcase(suite, wording);
    tcase_add_test(reading, what_is_beyond_the_limits_is_dropped);
    tcase_add_test(reading, a_window_without_a_percentage_or_a_name_is_left_out);
    tcase_add_test(reading, an_echoed_secret_is_noticed_however_it_is_spelled);
    tcase_add_test(reading, a_total_is_told_with_its_parts);
    tcase_add_test(reading, an_errors_code_is_a_number_or_none);
    suite_add_tcase(suite, reading);
    return check_main(suite);
}
