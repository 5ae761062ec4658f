/* The histogram of Probe calls. */
#include "server/service/timing.h"

#include "server/base/duration.h"
#include "server/threads/thread.h"
#include "tests/support/check_main.h"

#include <string.h>

static struct timing timing;

static void setup(void)
{
    memset(&timing, 0, sizeof timing);
}

START_TEST(a_call_counts_in_the_first_bucket_whose_bound_it_does_not_exceed)
{
    struct timing_view view;

    for (unsigned bucket = 0; bucket < TIMING_BOUND_COUNT; bucket++) {
        setup();
        timing_note(&timing, TIMING_WARM, STATUS_OK, timing_bound_ns(bucket));
        timing_note(&timing, TIMING_WARM, STATUS_OK, timing_bound_ns(bucket) + 1);
        ck_assert(timing_look(&timing, TIMING_WARM, STATUS_OK, &view));
        ck_assert_uint_eq(view.buckets[bucket], 1);
        ck_assert_uint_eq(view.buckets[bucket + 1], 1);
        ck_assert_uint_eq(view.count, 2);
        ck_assert_uint_eq(view.sum_ns, 2 * timing_bound_ns(bucket) + 1);
    }
}
END_TEST

START_TEST(bounds_rise)
{
    for (unsigned bucket = 1; bucket < TIMING_BOUND_COUNT; bucket++)
        ck_assert_uint_gt(timing_bound_ns(bucket), timing_bound_ns(bucket - 1));
}
END_TEST

START_TEST(origins_and_codes_are_counted_apart)
{
    struct timing_view view;

    timing_note(&timing, TIMING_CACHED, STATUS_OK, 1);
    timing_note(&timing, TIMING_NONE, STATUS_DEADLINE_EXCEEDED, 10 * NS_PER_S);
    ck_assert(timing_look(&timing, TIMING_CACHED, STATUS_OK, &view));
    ck_assert_uint_eq(view.count, 1);
    ck_assert(timing_look(&timing, TIMING_NONE, STATUS_DEADLINE_EXCEEDED, &view));
    ck_assert_uint_eq(view.sum_ns, 10 * NS_PER_S);
    ck_assert(!timing_look(&timing, TIMING_CACHED, STATUS_DEADLINE_EXCEEDED, &view));
    ck_assert(!timing_look(&timing, TIMING_WARM, STATUS_OK, &view));
}
END_TEST

enum { THREAD_COUNT = 4, NOTE_COUNT = 20000 };

static void note_many(void *context)
{
    (void)context;
    for (uint64_t i = 0; i < NOTE_COUNT; i++)
        timing_note(&timing, TIMING_JOINED, STATUS_OK, i * NS_PER_MS);
}

START_TEST(nothing_is_lost_between_threads)
{
    pthread_t threads[THREAD_COUNT];
    struct timing_view view;

    for (size_t i = 0; i < THREAD_COUNT; i++) {
        struct status status = thread_start(&threads[i], "noter", 0, note_many, NULL);

        ck_assert(status_is_ok(&status));
    }
    for (size_t i = 0; i < THREAD_COUNT; i++)
        thread_join(threads[i]);
    ck_assert(timing_look(&timing, TIMING_JOINED, STATUS_OK, &view));
    ck_assert_uint_eq(view.count, THREAD_COUNT * NOTE_COUNT);
    ck_assert_uint_eq(view.sum_ns, THREAD_COUNT * NS_PER_MS * (NOTE_COUNT * (NOTE_COUNT - UINT64_C(1)) / 2));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("timing");
    TCase *tcase = tcase_create("timing");

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, a_call_counts_in_the_first_bucket_whose_bound_it_does_not_exceed);
    tcase_add_test(tcase, bounds_rise);
    tcase_add_test(tcase, origins_and_codes_are_counted_apart);
    tcase_add_test(tcase, nothing_is_lost_between_threads);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
