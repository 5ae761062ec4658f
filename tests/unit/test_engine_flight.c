/* Flights: one question in the air for everybody who asks it, and what becomes of it.  proto/README.md 3. */
#include "tests/support/check_main.h"
#include "tests/support/engine_driver.h"

enum { EQUAL_COUNT = 64, STRAYS_MAX = 16 };

START_TEST(equal_probes_at_once_are_one_lease)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *calls[EQUAL_COUNT];

    for (int i = 0; i < EQUAL_COUNT; i++)
        calls[i] = driver_ask(driver, (struct ask){0});
    driver_up(driver, 1);
    ck_assert_uint_eq(driver_view(driver).aboard, EQUAL_COUNT);
    driver_answer(driver, 1);
    for (int i = 0; i < EQUAL_COUNT; i++) {
        ck_assert_int_eq(driver_code(driver, calls[i]), STATUS_OK);
        ck_assert_int_eq(calls[i]->result.origin, i == 0 ? ORIGIN_COLD : ORIGIN_JOINED);
        ck_assert_ptr_eq(driver->answered[i], calls[i]); /* in order of arrival */
    }
    ck_assert_uint_eq(driver->lease_count, 1);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_JOINED), EQUAL_COUNT - 1);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_STARTS), 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(the_lease_says_who_asks_what_and_since_when)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = driver_ask(driver, (struct ask){.provider = "anthropic", .key = "secret"});
    const struct engine_lease *lease;

    driver_wait(driver, 5 * NS_PER_MS);
    driver_up(driver, 1);
    lease = driver->workers[1].lease;
    ck_assert_uint_eq(lease->worker_id, 1);
    ck_assert_str_eq(lease->provider, "anthropic");
    ck_assert_ptr_eq(lease->api_key, call->probe.api_key);
    ck_assert_uint_eq(lease->fence.epoch, DRIVER_EPOCH);
    ck_assert_uint_eq(lease->fence.generation, 1);
    ck_assert_uint_eq(lease->granted_ns, driver->now_ns);
    ck_assert_uint_eq(lease->run_deadline_ns, driver->now_ns + driver_settings.run_ns_max);
    ck_assert_uint_eq(lease->queue_ns, 5 * NS_PER_MS);
    ck_assert_uint_eq(lease->spawn_ns, NS_PER_MS);
    driver_answer(driver, 1);
    driver_ask(driver, (struct ask){0});
    ck_assert_uint_eq(driver->workers[1].lease->spawn_ns, 0); /* warm */
    ck_assert_ptr_null(driver->workers[1].lease->api_key);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_joiner_outlives_a_caller_that_left)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *first = driver_ask(driver, (struct ask){0}), *joiner = driver_ask(driver, (struct ask){0});

    driver_leave(driver, first);
    ck_assert_int_eq(driver_code(driver, first), STATUS_CANCELLED);
    driver_up(driver, 1);
    driver_answer(driver, 1);
    ck_assert_int_eq(driver_code(driver, joiner), STATUS_OK);
    ck_assert_int_eq(joiner->result.origin, ORIGIN_JOINED);
    driver_destroy(driver);
}
END_TEST

START_TEST(the_memory_of_the_first_caller_may_come_again_as_a_joiner)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *first = driver_ask(driver, (struct ask){0}), *joiner = driver_ask(driver, (struct ask){0});

    driver_leave(driver, first);
    driver->back[0] = false;
    first->id = 1000;
    driver_hand_in(driver, first, NULL);
    driver_up(driver, 1);
    driver_answer(driver, 1);
    ck_assert_int_eq(first->result.origin, ORIGIN_JOINED);
    ck_assert_int_eq(joiner->result.origin, ORIGIN_JOINED);
    driver_destroy(driver);
}
END_TEST

START_TEST(whoever_has_the_shorter_deadline_leaves_alone)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *longer = driver_ask(driver, (struct ask){0});
    struct engine_call *shorter = driver_ask(driver, (struct ask){.patience_ns = NS_PER_S});

    driver_up(driver, 1);
    driver_wait(driver, NS_PER_S);
    ck_assert_int_eq(driver_code(driver, shorter), STATUS_DEADLINE_EXCEEDED);
    ck_assert(!driver_is_back(driver, longer));
    driver_answer(driver, 1);
    ck_assert_int_eq(driver_code(driver, longer), STATUS_OK);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_leased_probe_whose_callers_have_left_is_cached)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = driver_ask(driver, (struct ask){0});

    driver_up(driver, 1);
    driver_leave(driver, call);
    ck_assert_uint_eq(driver_view(driver).flights, 1);
    driver_answer(driver, 1);
    ck_assert_uint_eq(driver_view(driver).flights, 0);
    ck_assert_int_eq(driver_ask(driver, (struct ask){0})->result.origin, ORIGIN_CACHED);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_leased_probe_whose_callers_have_left_may_be_joined)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = driver_ask(driver, (struct ask){0});

    driver_up(driver, 1);
    driver_leave(driver, call);
    call = driver_ask(driver, (struct ask){0});
    driver_answer(driver, 1);
    ck_assert_int_eq(call->result.origin, ORIGIN_JOINED);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_waiting_probe_ends_with_its_last_caller)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *one = driver_ask(driver, (struct ask){0}), *other = driver_ask(driver, (struct ask){0});

    driver_leave(driver, one);
    ck_assert_uint_eq(driver_view(driver).flights, 1);
    driver_leave(driver, other);
    ck_assert_uint_eq(driver_view(driver).flights, 0);
    ck_assert_uint_eq(driver_view(driver).waiting, 0);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_probe_in_the_air_older_than_at_least_is_not_joined)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *older = driver_ask(driver, (struct ask){0}), *newer;

    driver_up(driver, 1);
    driver_invalidate(driver, (struct void_order){.home = "/h", .provider = "anthropic"});
    newer = driver_ask(driver, (struct ask){.at_least = {DRIVER_EPOCH, 2}});
    ck_assert_uint_eq(driver_view(driver).flights, 2);
    driver_up(driver, 2);
    ck_assert_uint_eq(driver->workers[2].lease->fence.generation, 2);
    driver_answer(driver, 1);
    ck_assert_int_eq(driver_code(driver, older), STATUS_OK);
    ck_assert(!driver_is_back(driver, newer));
    driver_answer(driver, 2);
    ck_assert_int_eq(driver_code(driver, newer), STATUS_OK);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_waiting_probe_is_joined_whatever_at_least_says)
{
    struct driver *driver = driver_create(&driver_settings);

    driver_ask(driver, (struct ask){0});
    driver_invalidate(driver, (struct void_order){.home = "/h"});
    driver_ask(driver, (struct ask){.at_least = {DRIVER_EPOCH, 2}});
    ck_assert_uint_eq(driver_view(driver).flights, 1);
    driver_destroy(driver);
}
END_TEST

/* ---- each way a lease can end ---- */

static struct engine_call *fly(struct driver *driver)
{
    struct engine_call *call = driver_ask(driver, (struct ask){.refresh = true});

    if (driver->workers[driver->pinned_count].lease == NULL)
        driver_up(driver, driver->pinned_count);
    return call;
}

START_TEST(silence_past_run_ms_is_deadline_exceeded)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = fly(driver);

    driver_return(driver, 1, LEASE_TIMED_OUT);
    ck_assert_int_eq(driver_code(driver, call), STATUS_DEADLINE_EXCEEDED);
    ck_assert_str_eq(call->result.status.message, "end 4");
    ck_assert_uint_eq(driver->workers[1].end_count, 1);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_FAULTS_TIMED_OUT), 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_breach_of_the_protocol_is_what_the_handler_says)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = fly(driver);

    driver_return(driver, 1, LEASE_BREACHED);
    ck_assert_int_eq(driver_code(driver, call), STATUS_INTERNAL);
    ck_assert_uint_eq(driver->workers[1].end_count, 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_breach_without_a_word_is_internal)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = fly(driver);
    struct actions actions = ACTIONS_EMPTY;

    engine_lease_returned(driver->engine, driver->now_ns, driver->workers[1].lease,
                          &(struct lease_outcome){.end = LEASE_BREACHED}, &actions);
    driver->workers[1].lease = NULL;
    ck_assert_ptr_eq(actions.answered, call);
    ck_assert_int_eq(call->result.status.code, STATUS_INTERNAL);
    driver->back[0] = true;
    driver_destroy(driver);
}
END_TEST

START_TEST(a_death_is_retried_once_on_a_fresh_worker_at_once)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = fly(driver);

    driver_return(driver, 1, LEASE_DIED);
    ck_assert(!driver_is_back(driver, call));
    ck_assert(driver->workers[2].pin); /* in the same step */
    driver_up(driver, 2);
    driver_answer(driver, 2);
    ck_assert_int_eq(driver_code(driver, call), STATUS_OK);
    ck_assert_int_eq(call->result.origin, ORIGIN_COLD);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_RETRIED), 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_second_death_is_unavailable)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = fly(driver);

    driver_return(driver, 1, LEASE_DIED);
    driver_up(driver, 2);
    driver_return(driver, 2, LEASE_DIED);
    ck_assert_int_eq(driver_code(driver, call), STATUS_UNAVAILABLE);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_RETRIED), 1);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_FAULTS_DIED), 2);
    ck_assert(!driver->workers[3].pin);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_retry_waits_for_a_fresh_worker_beside_an_idle_one)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *one = driver_ask(driver, (struct ask){.key = "1"});
    struct engine_call *other = driver_ask(driver, (struct ask){.key = "2"}), *third;

    driver_up(driver, 1);
    driver_up(driver, 2);
    driver_return(driver, 1, LEASE_DIED);
    driver_answer(driver, 2);
    ck_assert_int_eq(driver_code(driver, other), STATUS_OK);
    ck_assert_uint_eq(driver->idled_id, 2); /* not for the retry */
    third = driver_ask(driver, (struct ask){.key = "3"});
    ck_assert_ptr_nonnull(driver->workers[2].lease); /* but for whoever takes any */
    driver_up(driver, 3);
    driver_answer(driver, 3);
    ck_assert_int_eq(driver_code(driver, one), STATUS_OK);
    ck_assert(!driver_is_back(driver, third));
    driver_destroy(driver);
}
END_TEST

START_TEST(a_retry_takes_any_worker_where_no_fresh_one_can_come)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver = driver_create(&settings);
    struct engine_call *call = driver_ask(driver, (struct ask){.key = "1"});

    driver_up(driver, 1);
    driver_ask(driver, (struct ask){.key = "2"});
    driver_up(driver, 2);
    driver_ask(driver, (struct ask){.key = "3"});
    settings.workers_per_home = 1;
    driver_settings_changed(driver, &settings);
    driver_return(driver, 1, LEASE_DIED); /* the other one is all that the home may have now */
    driver_answer(driver, 2);
    ck_assert_ptr_eq(driver->workers[2].lease->api_key, call->probe.api_key); /* before 3, admitted later */
    driver_answer(driver, 2);
    ck_assert_int_eq(driver_code(driver, call), STATUS_OK);
    ck_assert_int_eq(call->result.origin, ORIGIN_WARM);
    driver_destroy(driver);
}
END_TEST

/* The worker that a retry waits for fails to start, and its room goes to the same home at once. */
START_TEST(a_retry_waits_on_while_the_turn_for_a_start_is_its_homes)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;
    struct engine_call *call;

    settings.workers_max = 4;
    driver = driver_create(&settings);
    call = driver_ask(driver, (struct ask){.key = "1", .uid = 1});
    driver_ask(driver, (struct ask){.key = "2", .uid = 1});
    driver_ask(driver, (struct ask){.home = "/g", .uid = 2});
    for (uint64_t worker = 1; worker <= 3; worker++)
        driver_up(driver, worker);
    driver_return(driver, 1, LEASE_DIED);
    driver_gone_for(driver, 1, ENGINE_BLAME_CUSTODIAN, "lost");
    ck_assert(driver_pinned(driver, 4));
    driver_ask(driver, (struct ask){.home = "/g", .key = "3", .uid = 2}); /* would have the next */
    driver_ask(driver, (struct ask){.home = "/g2", .uid = 2});            /* waits for room */
    driver_gone_for(driver, 4, ENGINE_BLAME_CUSTODIAN, "lost");
    driver_answer(driver, 2);
    ck_assert_ptr_null(driver->workers[2].lease);
    driver_up(driver, driver->pinned_count);
    ck_assert_ptr_eq(driver->workers[driver->pinned_count].lease->api_key, call->probe.api_key);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_retry_keeps_its_place_before_those_admitted_later)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;
    struct engine_call *one, *two;

    settings.workers_per_home = 1;
    driver = driver_create(&settings);
    one = driver_ask(driver, (struct ask){.key = "1"});
    driver_up(driver, 1);
    two = driver_ask(driver, (struct ask){.key = "2"});
    driver_return(driver, 1, LEASE_DIED);
    driver_up(driver, 2);
    driver_answer(driver, 2);
    ck_assert_int_eq(driver_code(driver, one), STATUS_OK);
    ck_assert(!driver_is_back(driver, two));
    driver_destroy(driver);
}
END_TEST

START_TEST(a_stray_word_before_the_request_takes_another_worker_and_no_retry)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call;

    driver_warm(driver, "/h");
    call = driver_ask(driver, (struct ask){0});
    driver_return(driver, 1, LEASE_STRAY);
    ck_assert(!driver_is_back(driver, call));
    ck_assert_uint_eq(driver->workers[1].end_count, 1);
    driver_up(driver, 2);
    driver_return(driver, 2, LEASE_DIED);
    ck_assert(!driver_is_back(driver, call)); /* the retry was still to be had */
    driver_up(driver, 3);
    driver_answer(driver, 3);
    ck_assert_int_eq(driver_code(driver, call), STATUS_OK);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_FAULTS_STALE), 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_stray_probe_takes_the_idle_worker_beside_it)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call;

    driver_ask(driver, (struct ask){.key = "1"});
    driver_ask(driver, (struct ask){.key = "2"});
    driver_up(driver, 1);
    driver_up(driver, 2);
    driver_answer(driver, 1);
    driver_answer(driver, 2);
    call = driver_ask(driver, (struct ask){.key = "3"});
    driver_return(driver, 2, LEASE_STRAY);
    ck_assert_ptr_nonnull(driver->workers[1].lease);
    driver_answer(driver, 1);
    ck_assert_int_eq(driver_code(driver, call), STATUS_OK);
    driver_destroy(driver);
}
END_TEST

/* The home does not pause, as its workers are not to blame: a custodian that keeps ending takes them along. */
START_TEST(new_workers_that_always_end_before_they_are_asked_are_not_started_for_ever)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = driver_ask(driver, (struct ask){0});
    uint64_t worker_id = 0;

    while (!driver_is_back(driver, call)) {
        driver_up(driver, ++worker_id);
        driver_return(driver, worker_id, LEASE_STRAY);
        driver_gone_for(driver, worker_id, ENGINE_BLAME_CUSTODIAN, "the custodian has ended");
    }
    ck_assert_uint_eq(worker_id, STRAYS_MAX + 1);
    ck_assert_int_eq(driver_code(driver, call), STATUS_UNAVAILABLE);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_home_whose_new_workers_all_speak_unasked_pauses)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = driver_ask(driver, (struct ask){0});

    for (uint64_t id = 1; id <= 2; id++) {
        driver_up(driver, id);
        driver_return(driver, id, LEASE_STRAY);
        driver_gone(driver, id);
    }
    driver_gone(driver, 3); /* it was started before the second was known to be gone */
    ck_assert_int_eq(driver_code(driver, call), STATUS_UNAVAILABLE);
    ck_assert_uint_gt(driver_counter(driver, ENGINE_COUNTER_PAUSES), 0);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_failure_is_answered_to_all_who_joined)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *one = fly(driver), *other = driver_ask(driver, (struct ask){0});

    driver_return(driver, 1, LEASE_TIMED_OUT);
    ck_assert_int_eq(driver_code(driver, one), STATUS_DEADLINE_EXCEEDED);
    ck_assert_int_eq(driver_code(driver, other), STATUS_DEADLINE_EXCEEDED);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_FAILED), 2);
    driver_destroy(driver);
}
END_TEST

START_TEST(nothing_is_retried_for_callers_that_have_left)
{
    struct driver *driver = driver_create(&driver_settings);

    driver_leave(driver, fly(driver));
    driver_return(driver, 1, LEASE_DIED);
    ck_assert_uint_eq(driver_view(driver).flights, 0);
    ck_assert(!driver->workers[2].pin);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_failure_is_remembered_though_nobody_was_there_to_hear_it)
{
    struct driver *driver = driver_create(&driver_settings);

    driver_leave(driver, fly(driver));
    driver_return(driver, 1, LEASE_BREACHED);
    ck_assert_int_eq(driver_code(driver, driver_ask(driver, (struct ask){0})), STATUS_INTERNAL);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_start_that_fails_is_unavailable_with_the_cause)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = driver_ask(driver, (struct ask){0});

    ck_assert(driver_pinned(driver, 1));
    driver_gone(driver, 1);
    ck_assert_int_eq(driver_code(driver, call), STATUS_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(call->result.status.message, "exit status 1"));
    ck_assert(!driver->workers[2].pin);
    ck_assert_int_eq(driver_code(driver, driver_ask(driver, (struct ask){0})), STATUS_UNAVAILABLE); /* remembered */
    driver_destroy(driver);
}
END_TEST

START_TEST(a_home_that_cannot_be_opened_is_unavailable_with_the_cause)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = driver_ask(driver, (struct ask){0});

    driver_gone(driver, 1); /* the answer to the PIN */
    ck_assert_int_eq(driver_code(driver, call), STATUS_UNAVAILABLE);
    ck_assert_uint_eq(driver->workers[1].end_count, 0); /* there never was a process */
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_FAULTS_START), 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(each_failed_start_costs_one_probe_and_so_comes_to_an_end)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;
    struct engine_call *calls[4];
    char keys[4][2] = {"0", "1", "2", "3"};

    settings.workers_per_home = 1;
    driver = driver_create(&settings);
    for (int i = 0; i < 4; i++)
        calls[i] = driver_ask(driver, (struct ask){.key = keys[i]});
    for (uint64_t id = 1; id <= 4; id++) {
        ck_assert(driver->workers[id].pin);
        driver_gone_for(driver, id, ENGINE_BLAME_CUSTODIAN, "busy"); /* so that the home does not pause */
        ck_assert_uint_eq(driver->answered_count, id);
        ck_assert_int_eq(driver_code(driver, calls[4 - id]), STATUS_UNAVAILABLE); /* the last admitted first */
    }
    ck_assert(!driver->workers[5].pin);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_failed_start_that_nobody_waited_for_fails_nobody)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = driver_ask(driver, (struct ask){.key = "1"});

    driver_leave(driver, driver_ask(driver, (struct ask){.key = "2"}));
    driver_gone(driver, 2);
    ck_assert(!driver_is_back(driver, call));
    ck_assert_uint_eq(driver_view(driver).workers[WORKER_STARTING], 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_retry_whose_start_fails_waits_for_those_that_live)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *retried = driver_ask(driver, (struct ask){.key = "1"}), *other;

    driver_ask(driver, (struct ask){.key = "2"});
    driver_up(driver, 1);
    driver_up(driver, 2);
    other = driver_ask(driver, (struct ask){.key = "3"});
    driver_return(driver, 1, LEASE_DIED);
    driver_gone(driver, 3);
    ck_assert(!driver_is_back(driver, retried) && !driver_is_back(driver, other));
    driver_gone(driver, 4); /* the second in a row: no fresh one comes for now */
    driver_answer(driver, 2);
    ck_assert_ptr_eq(driver->workers[2].lease->api_key, retried->probe.api_key);
    driver_answer(driver, 2);
    ck_assert_int_eq(driver_code(driver, retried), STATUS_OK);
    driver_destroy(driver);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("engine_flight");
    TCase *callers = tcase_create("callers"), *ends = tcase_create("ends");

    tcase_add_test(callers, equal_probes_at_once_are_one_lease);
    tcase_add_test(callers, the_lease_says_who_asks_what_and_since_when);
    tcase_add_test(callers, a_joiner_outlives_a_caller_that_left);
    tcase_add_test(callers, the_memory_of_the_first_caller_may_come_again_as_a_joiner);
    tcase_add_test(callers, whoever_has_the_shorter_deadline_leaves_alone);
    tcase_add_test(callers, a_leased_probe_whose_callers_have_left_is_cached);
    tcase_add_test(callers, a_leased_probe_whose_callers_have_left_may_be_joined);
    tcase_add_test(callers, a_waiting_probe_ends_with_its_last_caller);
    tcase_add_test(callers, a_probe_in_the_air_older_than_at_least_is_not_joined);
    tcase_add_test(callers, a_waiting_probe_is_joined_whatever_at_least_says);
    tcase_add_test(ends, silence_past_run_ms_is_deadline_exceeded);
    tcase_add_test(ends, a_breach_of_the_protocol_is_what_the_handler_says);
    tcase_add_test(ends, a_breach_without_a_word_is_internal);
    tcase_add_test(ends, a_death_is_retried_once_on_a_fresh_worker_at_once);
    tcase_add_test(ends, a_second_death_is_unavailable);
    tcase_add_test(ends, a_retry_waits_for_a_fresh_worker_beside_an_idle_one);
    tcase_add_test(ends, a_retry_takes_any_worker_where_no_fresh_one_can_come);
    tcase_add_test(ends, a_retry_waits_on_while_the_turn_for_a_start_is_its_homes);
    tcase_add_test(ends, a_retry_keeps_its_place_before_those_admitted_later);
    tcase_add_test(ends, a_stray_word_before_the_request_takes_another_worker_and_no_retry);
    tcase_add_test(ends, a_stray_probe_takes_the_idle_worker_beside_it);
    tcase_add_test(ends, new_workers_that_always_end_before_they_are_asked_are_not_started_for_ever);
    tcase_add_test(ends, a_home_whose_new_workers_all_speak_unasked_pauses);
    tcase_add_test(ends, a_failure_is_answered_to_all_who_joined);
    tcase_add_test(ends, nothing_is_retried_for_callers_that_have_left);
    tcase_add_test(ends, a_failure_is_remembered_though_nobody_was_there_to_hear_it);
    tcase_add_test(ends, a_start_that_fails_is_unavailable_with_the_cause);
    tcase_add_test(ends, a_home_that_cannot_be_opened_is_unavailable_with_the_cause);
    tcase_add_test(ends, each_failed_start_costs_one_probe_and_so_comes_to_an_end);
    tcase_add_test(ends, a_failed_start_that_nobody_waited_for_fails_nobody);
    tcase_add_test(ends, a_retry_whose_start_fails_waits_for_those_that_live);
    suite_add_tcase(suite, callers);
    suite_add_tcase(suite, ends);
    return suite;
}

int main(void)
{
    return check_main(make_suite());
}
