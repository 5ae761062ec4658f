/* unit.top_trend: differences between two looks, and what follows from them. */
#include "client/probectl/top/trend.h"
#include "tests/support/check_main.h"
#include "tests/unit/top_samples.h"

#include <math.h>
#include <string.h>

static struct trend trend;
static struct trend_figures figures;

static void setup(void)
{
    trend = (struct trend){.look_count = 0};
}

static void teardown(void)
{
    trend_fini(&trend);
}

/* A look in which `count` cached calls took up to 0.1 ms. */
static void add(uint64_t uptime_ms, uint64_t count)
{
    trend_add(&trend, make_look(uptime_ms, &(struct kind){"cached", "OK", {count}}, count > 0));
}

static void expect_near(double value, double wanted)
{
    ck_assert_msg(fabs(value - wanted) < 1e-9 + fabs(wanted) * 1e-6, "%g instead of %g", value, wanted);
}

START_TEST(before_the_second_look_figures_are_those_since_the_start)
{
    bool since_start;

    add(20000, 40);
    trend_look(&trend, TREND_CACHED, &figures);
    ck_assert_uint_eq(figures.calls, 40);
    expect_near(figures.rate, 2);
    ck_assert_uint_eq(trend_span_ms(&trend, &since_start), 20000);
    ck_assert(since_start);
    ck_assert_uint_eq(trend.step_count, 0);
}
END_TEST

START_TEST(a_rate_is_what_was_counted_over_the_daemons_own_time)
{
    bool since_start;

    add(20000, 40);
    add(22500, 90);
    trend_look(&trend, TREND_CACHED, &figures);
    ck_assert_uint_eq(figures.calls, 90);
    expect_near(figures.rate, 20);
    ck_assert_uint_eq(trend_span_ms(&trend, &since_start), 2500);
    ck_assert(!since_start);
    expect_near(trend.rates[0][TREND_CACHED], 20);
    trend_look(&trend, TREND_WARM, &figures);
    expect_near(figures.rate, 0);
    ck_assert(figures.half_s < 0 && figures.most_s < 0);
}
END_TEST

START_TEST(percentiles_are_of_the_span_and_estimated_within_their_bucket)
{
    const struct kind before = {"warm", "OK", {0, 1000, 0, 0, 0}}, after = {"warm", "OK", {0, 1000, 60, 40, 0}};

    trend_add(&trend, make_look(1000, &before, 1));
    trend_add(&trend, make_look(2000, &after, 1));
    trend_look(&trend, TREND_WARM, &figures);
    expect_near(figures.half_s, 0.001 + (0.010 - 0.001) * 50 / 60);
    expect_near(figures.most_s, 0.010 + (0.100 - 0.010) * 39 / 40);
}
END_TEST

START_TEST(what_took_longer_than_every_bound_counts_as_the_last_of_them)
{
    trend_add(&trend, make_look(1000, &(struct kind){"cold", "OK", {0, 0, 0, 0, 9}}, 1));
    trend_look(&trend, TREND_COLD, &figures);
    expect_near(figures.half_s, 0.1);
}
END_TEST

START_TEST(the_span_is_ten_seconds_however_long_it_runs)
{
    bool since_start;

    for (uint64_t i = 0; i < 100; i++)
        add(1000 + 2000 * i, 10 * i * i);
    ck_assert_uint_eq(trend_span_ms(&trend, &since_start), TREND_SPAN_MS);
    trend_look(&trend, TREND_CACHED, &figures);
    expect_near(figures.rate, (10.0 * 99 * 99 - 10.0 * 94 * 94) / 10);
}
END_TEST

START_TEST(the_oldest_looks_and_steps_make_room)
{
    bool since_start;

    for (uint64_t i = 0; i < 2 * TREND_STEP_COUNT_MAX; i++)
        add(1000 + 10 * i, i);
    ck_assert_uint_eq(trend.step_count, TREND_STEP_COUNT_MAX);
    ck_assert_uint_eq(trend.look_count, TREND_LOOK_COUNT_MAX);
    ck_assert_uint_eq(trend_span_ms(&trend, &since_start), 10 * (TREND_LOOK_COUNT_MAX - 1));
    trend_look(&trend, TREND_CACHED, &figures);
    expect_near(figures.rate, 100);
}
END_TEST

START_TEST(an_origin_that_comes_later_counts_from_nothing)
{
    const struct kind both[] = {{"cached", "OK", {5}}, {"joined", "OK", {0, 3}}};

    add(1000, 5);
    trend_add(&trend, make_look(2000, both, 2));
    trend_look(&trend, TREND_JOINED, &figures);
    expect_near(figures.rate, 3);
    trend_look(&trend, TREND_ORIGIN_COUNT, &figures);
    ck_assert_uint_eq(figures.calls, 8);
    expect_near(figures.rate, 3);
}
END_TEST

START_TEST(failures_of_every_code_are_one_origin_and_each_a_kind)
{
    const struct kind before[] = {{"none", "INTERNAL", {1}}, {"none", "ABORTED", {2}}};
    const struct kind after[] = {{"none", "INTERNAL", {1}}, {"none", "ABORTED", {6}}};

    trend_add(&trend, make_look(1000, before, 2));
    trend_add(&trend, make_look(2000, after, 2));
    trend_look(&trend, TREND_FAILED, &figures);
    ck_assert_uint_eq(figures.calls, 7);
    expect_near(figures.rate, 4);
    trend_look_kind(&trend, trend_now(&trend)->times[0], &figures);
    expect_near(figures.rate, 0);
    trend_look_kind(&trend, trend_now(&trend)->times[1], &figures);
    ck_assert_uint_eq(figures.calls, 6);
    expect_near(figures.rate, 4);
}
END_TEST

static void expect_anew(uint64_t calls, uint64_t span_ms)
{
    bool since_start;

    ck_assert_uint_eq(trend_span_ms(&trend, &since_start), span_ms);
    ck_assert(since_start);
    ck_assert_uint_eq(trend.step_count, 0);
    trend_look(&trend, TREND_CACHED, &figures);
    ck_assert_uint_eq(figures.calls, calls);
}

START_TEST(a_daemon_that_was_started_anew_begins_anew)
{
    add(50000, 10);
    add(52000, 12);
    add(1000, 20); /* not as old as it was */
    expect_anew(20, 1000);
    add(3000, 22);
    add(90000, 4); /* older than it was, and yet it has counted less */
    expect_anew(4, 90000);
    add(92000, 4);
    add(94000, 0); /* … or nothing */
    expect_anew(0, 94000);
}
END_TEST

START_TEST(two_looks_within_a_millisecond_are_one)
{
    add(1000, 5);
    add(2000, 6);
    add(2000, 8);
    ck_assert_uint_eq(trend.step_count, 1);
    add(3000, 9);
    ck_assert_uint_eq(trend.step_count, 2);
    expect_near(trend.rates[1][TREND_CACHED], 1);
}
END_TEST

/* What another version might say. */
START_TEST(a_look_of_another_shape_is_harmless)
{
    enum { MANY = 200 };
    Probed__V1__GetStatusResponse look = PROBED__V1__GET_STATUS_RESPONSE__INIT;
    Probed__V1__CallTimes times = PROBED__V1__CALL_TIMES__INIT, *pointer = &times;
    uint64_t buckets[MANY];
    uint32_t bounds[MANY];

    for (size_t i = 0; i < MANY; i++) {
        buckets[i] = 1;
        bounds[i] = (uint32_t)i;
    }
    times.origin = times.status = LENT("new");
    look.times = &pointer;
    look.n_times = 1;
    times.buckets = buckets;
    times.n_buckets = MANY;
    trend_add(&trend, (Probed__V1__GetStatusResponse *)arrived(&look.base)); /* no bounds, no time */
    trend_look(&trend, TREND_FAILED, &figures);
    ck_assert_uint_eq(figures.calls, MANY);
    ck_assert(figures.rate == 0 && figures.half_s < 0);
    look.uptime_ms = 1000;
    look.time_bounds_us = bounds;
    look.n_time_bounds_us = MANY;
    trend_add(&trend, (Probed__V1__GetStatusResponse *)arrived(&look.base));
    look.uptime_ms = 2000;
    buckets[MANY - 1] = 11;
    trend_add(&trend, (Probed__V1__GetStatusResponse *)arrived(&look.base));
    trend_look(&trend, TREND_FAILED, &figures);
    ck_assert(figures.half_s >= 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("top_trend");
    TCase *tcase = tcase_create("trend");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, before_the_second_look_figures_are_those_since_the_start);
    tcase_add_test(tcase, a_rate_is_what_was_counted_over_the_daemons_own_time);
    tcase_add_test(tcase, percentiles_are_of_the_span_and_estimated_within_their_bucket);
    tcase_add_test(tcase, what_took_longer_than_every_bound_counts_as_the_last_of_them);
    tcase_add_test(tcase, the_span_is_ten_seconds_however_long_it_runs);
    tcase_add_test(tcase, the_oldest_looks_and_steps_make_room);
    tcase_add_test(tcase, an_origin_that_comes_later_counts_from_nothing);
    tcase_add_test(tcase, failures_of_every_code_are_one_origin_and_each_a_kind);
    tcase_add_test(tcase, a_daemon_that_was_started_anew_begins_anew);
    tcase_add_test(tcase, two_looks_within_a_millisecond_are_one);
    tcase_add_test(tcase, a_look_of_another_shape_is_harmless);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
