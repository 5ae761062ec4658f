/* unit.histogram: what probeload counts latencies in. */
#include "client/probeload/histogram.h"
#include "tests/support/check_main.h"

#include <math.h>
#include <string.h>

static const uint64_t US = 1000, S = 1000000000;

static struct histogram histogram, other, sum;

START_TEST(every_value_from_1_us_to_100_s_is_kept_to_a_thousandth)
{
    for (uint64_t value = US; value <= 100 * S; value += value / 300 + 1) {
        uint64_t kept;

        histogram_add(&histogram, value);
        histogram_add(&histogram, 101 * S); /* so that the first is not the greatest */
        kept = histogram_value_at(&histogram, 0.5);
        ck_assert_uint_ge(kept, value);
        ck_assert_uint_le((kept - value) * 1000, value);
        ck_assert_uint_eq(histogram_count_to(&histogram, value), 1);
        ck_assert_uint_eq(histogram_count_to(&histogram, value - value / 500 - 1), 0);
        histogram_reset(&histogram);
    }
}
END_TEST

START_TEST(values_below_a_microsecond_are_kept_whole)
{
    for (uint64_t value = 0; value < 2 * 1024; value++) {
        histogram_reset(&histogram);
        histogram_add(&histogram, value);
        histogram_add(&histogram, S);
        ck_assert_uint_eq(histogram_value_at(&histogram, 0.5), value);
    }
}
END_TEST

START_TEST(percentiles_are_those_of_the_values)
{
    ck_assert_uint_eq(histogram_value_at(&histogram, 0.5), 0);
    for (uint64_t i = 1; i <= 1000; i++)
        histogram_add(&histogram, i);
    ck_assert_uint_eq(histogram_value_at(&histogram, 0), 1);
    ck_assert_uint_eq(histogram_value_at(&histogram, 0.5), 500);
    ck_assert_uint_eq(histogram_value_at(&histogram, 0.99), 990);
    ck_assert_uint_eq(histogram_value_at(&histogram, 0.9999), 1000);
    ck_assert_uint_eq(histogram_value_at(&histogram, 1), 1000);
    ck_assert_uint_eq(histogram.max, 1000);
}
END_TEST

START_TEST(no_percentile_is_above_the_greatest_value)
{
    histogram_add(&histogram, 12345678901);
    ck_assert_uint_eq(histogram_value_at(&histogram, 0.5), 12345678901);
    ck_assert_uint_eq(histogram_value_at(&histogram, 1), 12345678901);
}
END_TEST

START_TEST(what_is_too_long_counts_as_the_longest)
{
    histogram_add(&histogram, UINT64_MAX);
    ck_assert_uint_eq(histogram.count, 1);
    ck_assert_uint_ge(histogram_value_at(&histogram, 1), 100 * S);
    ck_assert_uint_eq(histogram.max, UINT64_MAX);
}
END_TEST

START_TEST(histograms_add_up_without_loss)
{
    for (uint64_t i = 1; i <= 50000; i++) {
        histogram_add(i % 3 == 0 ? &histogram : &other, i * i);
        histogram_add(&sum, i * i);
    }
    histogram_merge(&histogram, &other);
    ck_assert_int_eq(memcmp(&histogram, &sum, sizeof sum), 0);
}
END_TEST

START_TEST(mean_and_deviation_are_those_of_the_values)
{
    ck_assert(histogram_mean(&histogram) == 0 && histogram_deviation(&histogram) == 0);
    for (uint64_t i = 0; i < 10000; i++)
        histogram_add(&histogram, i % 2 == 0 ? 3 * S : 5 * S);
    ck_assert(fabs(histogram_mean(&histogram) - 4e9) < 1);
    ck_assert(fabs(histogram_deviation(&histogram) - 1e9) < 1e6);
}
END_TEST

START_TEST(a_reset_one_is_empty)
{
    static const struct histogram empty;

    histogram_add(&histogram, 17);
    histogram_reset(&histogram);
    ck_assert_int_eq(memcmp(&histogram, &empty, sizeof empty), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("histogram");
    TCase *tcase = tcase_create("histogram");

    tcase_add_test(tcase, every_value_from_1_us_to_100_s_is_kept_to_a_thousandth);
    tcase_add_test(tcase, values_below_a_microsecond_are_kept_whole);
    tcase_add_test(tcase, percentiles_are_those_of_the_values);
    tcase_add_test(tcase, no_percentile_is_above_the_greatest_value);
    tcase_add_test(tcase, what_is_too_long_counts_as_the_longest);
    tcase_add_test(tcase, histograms_add_up_without_loss);
    tcase_add_test(tcase, mean_and_deviation_are_those_of_the_values);
    tcase_add_test(tcase, a_reset_one_is_empty);
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
