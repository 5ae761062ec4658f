/* http/views: what the page says of how long calls took. */
#include "server/http/views.h"

#include "server/base/duration.h"
#include "tests/support/check_main.h"

#include <math.h>

/* A share of `part` of the way through a bucket, in seconds. */
static double within(unsigned bucket, double part)
{
    double from = bucket == 0 ? 0 : (double)timing_bound_ns(bucket - 1), to = (double)timing_bound_ns(bucket);

    return (from + part * (to - from)) / (double)NS_PER_S;
}

static void expect_quantile(const struct timing_view *timing, double quantile, double wanted_s)
{
    double said_s = view_quantile_s(timing, quantile);

    ck_assert_msg(fabs(said_s - wanted_s) < wanted_s / 1e9, "%g s instead of %g s", said_s, wanted_s);
}

START_TEST(within_a_bucket_calls_are_taken_to_lie_evenly)
{
    for (unsigned bucket = 0; bucket < TIMING_BOUND_COUNT; bucket++) {
        struct timing_view timing = {.count = 200};

        timing.buckets[bucket] = 200;
        expect_quantile(&timing, 0.25, within(bucket, 0.25));
        expect_quantile(&timing, 0.99, within(bucket, 0.99));
    }
}
END_TEST

START_TEST(a_quantile_lies_in_the_bucket_that_reaches_it)
{
    struct timing_view timing = {.count = 100};

    timing.buckets[3] = 60;
    timing.buckets[7] = 30;
    timing.buckets[12] = 10;
    expect_quantile(&timing, 0.5, within(3, 50.0 / 60));
    expect_quantile(&timing, 0.6, within(3, 1));
    expect_quantile(&timing, 0.75, within(7, 0.5));
    expect_quantile(&timing, 0.99, within(12, 0.9));
}
END_TEST

START_TEST(beyond_the_last_bound_it_is_that_bound)
{
    struct timing_view timing = {.count = 3};

    timing.buckets[0] = 1;
    timing.buckets[TIMING_BOUND_COUNT] = 2;
    expect_quantile(&timing, 0.99, within(TIMING_BOUND_COUNT - 1, 1));
}
END_TEST

START_TEST(every_state_of_a_worker_has_a_name_of_its_own)
{
    for (int state = 0; state < WORKER_STATE_COUNT; state++) {
        ck_assert_str_ne(view_worker_state((enum worker_state)state), "");
        for (int other = 0; other < state; other++)
            ck_assert_str_ne(view_worker_state((enum worker_state)state), view_worker_state((enum worker_state)other));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("views");
    TCase *tcase = tcase_create("views");

    tcase_add_test(tcase, within_a_bucket_calls_are_taken_to_lie_evenly);
    tcase_add_test(tcase, a_quantile_lies_in_the_bucket_that_reaches_it);
    tcase_add_test(tcase, beyond_the_last_bound_it_is_that_bound);
    tcase_add_test(tcase, every_state_of_a_worker_has_a_name_of_its_own);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
