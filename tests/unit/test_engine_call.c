/* Calls: parked, kept to their deadlines, left by their clients, given back once. */
#include "tests/support/check_main.h"
#include "tests/support/engine_driver.h"

#include <stdio.h>

START_TEST(a_call_that_arrives_past_its_deadline_starts_nothing)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = driver_prepare(driver, (struct ask){.patience_ns = NS_PER_MS});

    driver->now_ns += NS_PER_MS;
    driver_hand_in(driver, call, NULL);
    ck_assert_int_eq(driver_code(driver, call), STATUS_DEADLINE_EXCEEDED);
    ck_assert_uint_eq(driver->pinned_count, 0);
    ck_assert_uint_eq(driver_view(driver).homes, 0);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_EXPIRED), 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(an_invalidation_past_its_deadline_does_nothing)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call;
    struct actions actions = ACTIONS_EMPTY;

    call = &driver->calls[driver->call_count++];
    *call = (struct engine_call){.id = 1, .kind = ENGINE_CALL_INVALIDATE, .arrived_ns = 1, .deadline_ns = 2};
    engine_invalidate_arrived(driver->engine, driver->now_ns, call, "/h", 0, &actions);
    ck_assert_ptr_eq(actions.answered, call);
    ck_assert_int_eq(call->result.status.code, STATUS_DEADLINE_EXCEEDED);
    ck_assert_uint_eq(driver_sync(driver, "/h").generation, 1);
    driver->back[0] = true;
    driver_destroy(driver);
}
END_TEST

START_TEST(a_deadline_without_a_lease_says_who_stood_before)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;
    struct engine_call *call;

    settings.workers_per_home = 1;
    driver = driver_create(&settings);
    driver_ask(driver, (struct ask){.key = "1"});
    driver_ask(driver, (struct ask){.key = "2"});
    call = driver_ask(driver, (struct ask){.key = "3", .patience_ns = 250 * NS_PER_MS});
    driver_up(driver, 1);
    ck_assert_uint_eq(engine_next_ns(driver->engine), call->deadline_ns);
    driver_wait(driver, 250 * NS_PER_MS);
    ck_assert_int_eq(driver_code(driver, call), STATUS_DEADLINE_EXCEEDED);
    ck_assert_str_eq(call->result.status.message,
                     "no lease within 250 ms: 1 workers leased, 0 starting, 1 probes ahead");
    driver_destroy(driver);
}
END_TEST

START_TEST(a_long_queue_ahead_is_not_counted_to_its_end)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;
    struct engine_call *call;
    char key[16];

    settings.workers_per_home = 1;
    settings.queue_per_home = 2000;
    driver = driver_create(&settings);
    for (int i = 0; i < 1100; i++) {
        snprintf(key, sizeof key, "%d", i);
        driver_ask(driver, (struct ask){.key = key});
    }
    call = driver_ask(driver, (struct ask){.patience_ns = NS_PER_S});
    driver_wait(driver, NS_PER_S);
    ck_assert_int_eq(driver_code(driver, call), STATUS_DEADLINE_EXCEEDED);
    ck_assert_ptr_nonnull(strstr(call->result.status.message, "1000 or more probes ahead"));
    driver_destroy(driver);
}
END_TEST

START_TEST(a_deadline_in_the_air_says_so_and_the_probe_goes_on)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = driver_ask(driver, (struct ask){.patience_ns = 250 * NS_PER_MS});

    driver_up(driver, 1);
    driver_wait(driver, 250 * NS_PER_MS);
    ck_assert_int_eq(driver_code(driver, call), STATUS_DEADLINE_EXCEEDED);
    ck_assert_str_eq(call->result.status.message, "the provider had not answered within 250 ms: worker 1 is asking it");
    driver_answer(driver, 1);
    ck_assert_int_eq(driver_ask(driver, (struct ask){0})->result.origin, ORIGIN_CACHED);
    driver_destroy(driver);
}
END_TEST

START_TEST(no_worker_is_leased_to_a_caller_whose_time_is_up)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = driver_ask(driver, (struct ask){.patience_ns = NS_PER_S});

    ck_assert(driver_pinned(driver, 1));
    driver->now_ns += NS_PER_S; /* and the timer is late */
    driver_up(driver, 1);
    ck_assert_int_eq(driver_code(driver, call), STATUS_DEADLINE_EXCEEDED);
    ck_assert_ptr_null(driver->workers[1].lease);
    driver_destroy(driver);
}
END_TEST

START_TEST(calls_that_end_in_one_step_come_back_in_order_of_arrival)
{
    struct driver *driver = driver_create(&driver_settings);
    char home[16];

    for (int i = 0; i < 20; i++) { /* the later the call, the earlier its deadline */
        snprintf(home, sizeof home, "/h/%d", i);
        driver->now_ns++;
        driver_ask(driver, (struct ask){.home = home, .patience_ns = NS_PER_S - (uint64_t)i * 10});
    }
    driver->now_ns += NS_PER_S;
    driver_wait(driver, 0);
    ck_assert_uint_eq(driver->answered_count, 20);
    for (size_t i = 0; i < 20; i++)
        ck_assert_ptr_eq(driver->answered[i], &driver->calls[i]);
    driver_destroy(driver);
}
END_TEST

/* ---- parked ---- */

START_TEST(a_parked_call_can_be_taken_back_once)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = driver_prepare(driver, (struct ask){0});

    driver_park(driver, call);
    ck_assert_int_eq(call->place, ENGINE_CALL_PARKED);
    ck_assert(!engine_call_unparked(driver->engine, call, call->id + 1));
    ck_assert(engine_call_unparked(driver->engine, call, call->id));
    ck_assert(!engine_call_unparked(driver->engine, call, call->id));
    driver_hand_in(driver, call, NULL);
    ck_assert_int_eq(call->place, ENGINE_CALL_ABOARD);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_parked_call_may_be_handed_in_as_it_is)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = driver_prepare(driver, (struct ask){0});

    driver_park(driver, call);
    driver_hand_in(driver, call, NULL);
    ck_assert_int_eq(call->place, ENGINE_CALL_ABOARD);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_parked_call_is_kept_to_its_deadline)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = driver_prepare(driver, (struct ask){.patience_ns = NS_PER_S});

    driver_park(driver, call);
    driver_wait(driver, NS_PER_S);
    ck_assert_int_eq(driver_code(driver, call), STATUS_DEADLINE_EXCEEDED);
    ck_assert_str_eq(call->result.status.message, "the home's path was not resolved within 1000 ms");
    ck_assert(!engine_call_unparked(driver->engine, call, call->id));
    driver_destroy(driver);
}
END_TEST

START_TEST(a_call_is_not_parked_past_its_deadline)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = driver_prepare(driver, (struct ask){.patience_ns = NS_PER_S});

    driver->now_ns += NS_PER_S;
    driver_park(driver, call);
    ck_assert_int_eq(driver_code(driver, call), STATUS_DEADLINE_EXCEEDED);
    driver_destroy(driver);
}
END_TEST

/* ---- departures ---- */

START_TEST(a_client_that_leaves_takes_a_parked_call_with_it)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = driver_prepare(driver, (struct ask){0});

    driver_park(driver, call);
    driver_leave(driver, call);
    ck_assert_int_eq(driver_code(driver, call), STATUS_CANCELLED);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_DEPARTED), 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_departure_for_the_memorys_earlier_user_is_none)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = driver_ask(driver, (struct ask){0});
    struct actions actions = ACTIONS_EMPTY;

    engine_call_left(driver->engine, driver->now_ns, call, call->id + 1, &actions);
    ck_assert_ptr_null(actions.answered);
    ck_assert_int_eq(call->place, ENGINE_CALL_ABOARD);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_departure_behind_the_answer_is_none)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = driver_ask(driver, (struct ask){0});

    driver_up(driver, 1);
    driver_answer(driver, 1);
    driver_leave(driver, call);
    ck_assert_int_eq(driver_code(driver, call), STATUS_OK);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_DEPARTED), 0);
    driver_destroy(driver);
}
END_TEST

START_TEST(twenty_calls_that_leave_at_once_are_one_start)
{
    struct driver *driver = driver_create(&driver_settings);

    for (int i = 0; i < 20; i++)
        driver_leave(driver, driver_ask(driver, (struct ask){0}));
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_STARTS), 1);
    driver_destroy(driver);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("engine_call");
    TCase *deadlines = tcase_create("deadlines"), *parked = tcase_create("parked"), *left = tcase_create("left");

    tcase_add_test(deadlines, a_call_that_arrives_past_its_deadline_starts_nothing);
    tcase_add_test(deadlines, an_invalidation_past_its_deadline_does_nothing);
    tcase_add_test(deadlines, a_deadline_without_a_lease_says_who_stood_before);
    tcase_add_test(deadlines, a_long_queue_ahead_is_not_counted_to_its_end);
    tcase_add_test(deadlines, a_deadline_in_the_air_says_so_and_the_probe_goes_on);
    tcase_add_test(deadlines, no_worker_is_leased_to_a_caller_whose_time_is_up);
    tcase_add_test(deadlines, calls_that_end_in_one_step_come_back_in_order_of_arrival);
    tcase_add_test(parked, a_parked_call_can_be_taken_back_once);
    tcase_add_test(parked, a_parked_call_may_be_handed_in_as_it_is);
    tcase_add_test(parked, a_parked_call_is_kept_to_its_deadline);
    tcase_add_test(parked, a_call_is_not_parked_past_its_deadline);
    tcase_add_test(left, a_client_that_leaves_takes_a_parked_call_with_it);
    tcase_add_test(left, a_departure_for_the_memorys_earlier_user_is_none);
    tcase_add_test(left, a_departure_behind_the_answer_is_none);
    tcase_add_test(left, twenty_calls_that_leave_at_once_are_one_start);
    suite_add_tcase(suite, deadlines);
    suite_add_tcase(suite, parked);
    suite_add_tcase(suite, left);
    return suite;
}

int main(void)
{
    return check_main(make_suite());
}
