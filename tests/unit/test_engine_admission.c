/* Admission that keeps its word: whoever is known to wait for longer than its deadline is told at once.
 * proto/README.md 3, "the wait already known to outlast the deadline". */
#include "tests/support/check_main.h"
#include "tests/support/engine_driver.h"

#include <stdio.h>

#define SERVICE_NS (10 * NS_PER_S)

static struct driver *create(uint64_t workers_per_home)
{
    struct engine_settings settings = driver_settings;

    settings.workers_per_home = workers_per_home;
    settings.cache_ttl_ns = 0;
    return driver_create(&settings);
}

/* One lease, answered after so long. */
static void measure(struct driver *driver, uint64_t service_ns)
{
    size_t leases_before = driver->lease_count;

    driver_ask(driver, (struct ask){.key = "measured", .patience_ns = 3600 * NS_PER_S});
    if (driver->lease_count == leases_before)
        driver_up(driver, driver->pinned_count);
    driver->now_ns += service_ns;
    driver_answer(driver, driver->leases[leases_before]->worker_id);
}

/* With patience for so long, under a key of its own. */
static struct engine_call *ask(struct driver *driver, uint64_t patience_ns)
{
    char key[16];

    snprintf(key, sizeof key, "%zu", driver->call_count);
    return driver_ask(driver, (struct ask){.key = key, .patience_ns = patience_ns});
}

/* One worker, which takes 10 s for an answer and is at work. */
static struct driver *create_measured(void)
{
    struct driver *driver = create(1);

    measure(driver, SERVICE_NS);
    ck_assert(!driver_is_back(driver, ask(driver, SERVICE_NS)));
    return driver;
}

START_TEST(a_wait_that_outlasts_the_deadline_is_refused_at_once_with_the_numbers)
{
    struct driver *driver = create_measured();
    struct engine_call *call;

    for (int i = 0; i < 3; i++)
        ck_assert(!driver_is_back(driver, ask(driver, 35 * NS_PER_S)));
    call = ask(driver, 35 * NS_PER_S);
    ck_assert_int_eq(driver_code(driver, call), STATUS_RESOURCE_EXHAUSTED);
    ck_assert_ptr_nonnull(strstr(call->result.status.message, "expected in 40000 ms"));
    ck_assert_ptr_nonnull(strstr(call->result.status.message, "the deadline is in 35000 ms"));
    ck_assert_ptr_nonnull(strstr(call->result.status.message, "place 4"));
    ck_assert_ptr_nonnull(strstr(call->result.status.message, "1 workers"));
    ck_assert_ptr_nonnull(strstr(call->result.status.message, "10000 ms each"));
    ck_assert_uint_ge(call->result.status.retry_after_ms, 40000);
    ck_assert_uint_le(call->result.status.retry_after_ms, 40001);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_REFUSED_WAIT), 1);
    ck_assert_uint_eq(driver_view(driver).flights, 4);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_wait_as_long_as_the_deadline_is_taken_in)
{
    struct driver *driver = create_measured();

    ck_assert_int_eq(driver_code(driver, ask(driver, SERVICE_NS - 1)), STATUS_RESOURCE_EXHAUSTED);
    ck_assert(!driver_is_back(driver, ask(driver, SERVICE_NS)));
    ck_assert_int_eq(driver_code(driver, ask(driver, 2 * SERVICE_NS - 1)), STATUS_RESOURCE_EXHAUSTED);
    ck_assert(!driver_is_back(driver, ask(driver, 2 * SERVICE_NS)));
    driver_destroy(driver);
}
END_TEST

START_TEST(a_deadline_counts_from_arrival_and_the_wait_from_now)
{
    struct driver *driver = create_measured();
    struct engine_call *call =
        driver_prepare(driver, (struct ask){.key = "late", .patience_ns = SERVICE_NS + NS_PER_S});

    driver->now_ns += 2 * NS_PER_S; /* its home took so long to be resolved */
    driver_hand_in(driver, call, NULL);
    ck_assert_int_eq(driver_code(driver, call), STATUS_RESOURCE_EXHAUSTED);
    ck_assert_ptr_nonnull(strstr(call->result.status.message, "the deadline is in 9000 ms"));
    driver_destroy(driver);
}
END_TEST

START_TEST(a_wait_that_is_not_known_is_taken_in)
{
    struct driver *driver = create(1);

    ask(driver, SERVICE_NS);
    driver_up(driver, 1);
    for (int i = 0; i < 10; i++) /* nothing was measured yet */
        ck_assert(!driver_is_back(driver, ask(driver, 1)));
    driver_destroy(driver);
}
END_TEST

START_TEST(without_a_live_worker_nothing_is_predicted)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;

    settings.workers_max = 1;
    driver = driver_create(&settings);
    measure(driver, SERVICE_NS);
    driver_spoke(driver, 1);
    driver_gone(driver, 1);
    driver_ask(driver, (struct ask){.home = "/other"});
    driver_up(driver, 2);
    ck_assert(!driver_is_back(driver, ask(driver, NS_PER_MS))); /* who knows when there is room */
    driver_destroy(driver);
}
END_TEST

START_TEST(whoever_need_not_wait_is_taken_in_however_little_time_it_has)
{
    struct driver *driver = create(2);
    struct engine_call *call;

    measure(driver, SERVICE_NS);
    call = ask(driver, NS_PER_MS); /* an idle worker */
    ck_assert(!driver_is_back(driver, call));
    ck_assert(!driver_is_back(driver, ask(driver, NS_PER_MS))); /* a start */
    ck_assert_int_eq(driver_code(driver, ask(driver, NS_PER_MS)), STATUS_RESOURCE_EXHAUSTED);
    ck_assert(!driver_is_back(
        driver, driver_ask(driver, (struct ask){.key = "1", .patience_ns = NS_PER_MS}))); /* joins the first */
    ck_assert_uint_eq(driver_view(driver).flights, 2);
    driver_destroy(driver);
}
END_TEST

START_TEST(more_workers_make_the_wait_shorter)
{
    struct driver *driver = create(2);

    measure(driver, SERVICE_NS);
    ask(driver, 60 * NS_PER_S);
    ask(driver, 60 * NS_PER_S);
    driver_up(driver, 2);
    ck_assert_int_eq(driver_code(driver, ask(driver, SERVICE_NS / 2 - 1)), STATUS_RESOURCE_EXHAUSTED);
    ck_assert(!driver_is_back(driver, ask(driver, SERVICE_NS / 2)));
    ck_assert_int_eq(driver_code(driver, ask(driver, SERVICE_NS - 1)), STATUS_RESOURCE_EXHAUSTED);
    ck_assert(!driver_is_back(driver, ask(driver, SERVICE_NS)));
    driver_destroy(driver);
}
END_TEST

START_TEST(the_service_time_is_a_moving_average_of_an_eighth)
{
    struct driver *driver = create(1);
    struct engine_call *call;

    measure(driver, 8 * NS_PER_S);
    measure(driver, 16 * NS_PER_S);
    ask(driver, 60 * NS_PER_S);
    call = ask(driver, NS_PER_MS);
    ck_assert_ptr_nonnull(strstr(call->result.status.message, "9000 ms each")); /* 8 - 8 / 8 + 16 / 8 */
    driver_destroy(driver);
}
END_TEST

START_TEST(leases_that_failed_are_not_measured)
{
    struct driver *driver = create(1);
    struct engine_call *call;

    measure(driver, 8 * NS_PER_S);
    ask(driver, 60 * NS_PER_S);
    driver->now_ns += 30 * NS_PER_S;
    driver_return(driver, 1, LEASE_TIMED_OUT);
    driver_gone(driver, 1);
    ask(driver, 60 * NS_PER_S);
    driver_up(driver, 2);
    call = ask(driver, NS_PER_MS);
    ck_assert_ptr_nonnull(strstr(call->result.status.message, "8000 ms each"));
    driver_destroy(driver);
}
END_TEST

START_TEST(a_full_queue_says_when_to_come_again_by_what_was_measured)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;
    struct engine_call *call;

    settings.workers_per_home = settings.queue_per_home = 1;
    settings.cache_ttl_ns = 0;
    driver = driver_create(&settings);
    measure(driver, SERVICE_NS);
    ask(driver, 60 * NS_PER_S);
    ask(driver, 60 * NS_PER_S);
    call = ask(driver, 60 * NS_PER_S);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_REFUSED_QUEUE_PER_HOME), 1);
    ck_assert_uint_ge(call->result.status.retry_after_ms, 20000);
    ck_assert_uint_le(call->result.status.retry_after_ms, 20001);
    driver_destroy(driver);
}
END_TEST

START_TEST(each_home_is_measured_for_itself)
{
    struct driver *driver = create_measured();

    driver_ask(driver, (struct ask){.home = "/other", .key = "1"});
    driver_up(driver, 2);
    ck_assert(!driver_is_back(driver, driver_ask(driver, (struct ask){.home = "/other", .patience_ns = NS_PER_MS})));
    driver_destroy(driver);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("engine_admission");
    TCase *tests = tcase_create("admission");

    tcase_add_test(tests, a_wait_that_outlasts_the_deadline_is_refused_at_once_with_the_numbers);
    tcase_add_test(tests, a_wait_as_long_as_the_deadline_is_taken_in);
    tcase_add_test(tests, a_deadline_counts_from_arrival_and_the_wait_from_now);
    tcase_add_test(tests, a_wait_that_is_not_known_is_taken_in);
    tcase_add_test(tests, without_a_live_worker_nothing_is_predicted);
    tcase_add_test(tests, whoever_need_not_wait_is_taken_in_however_little_time_it_has);
    tcase_add_test(tests, more_workers_make_the_wait_shorter);
    tcase_add_test(tests, the_service_time_is_a_moving_average_of_an_eighth);
    tcase_add_test(tests, leases_that_failed_are_not_measured);
    tcase_add_test(tests, a_full_queue_says_when_to_come_again_by_what_was_measured);
    tcase_add_test(tests, each_home_is_measured_for_itself);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return check_main(make_suite());
}
