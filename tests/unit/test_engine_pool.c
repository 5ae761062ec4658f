/* The pool: who gets which worker, how many there are, who waits and who is refused.  proto/README.md 2 and 3. */
#include "tests/support/check_main.h"
#include "tests/support/engine_driver.h"

#include <stdio.h>

/* ---- leases ---- */

START_TEST(an_idle_worker_is_leased_in_the_step_that_asks)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call;

    driver_warm(driver, "/h");
    call = driver_ask(driver, (struct ask){0});
    ck_assert_ptr_nonnull(driver->workers[1].lease);
    driver_answer(driver, 1);
    ck_assert_int_eq(call->result.origin, ORIGIN_WARM);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_WAITED), 1); /* only the one that warmed it */
    driver_destroy(driver);
}
END_TEST

START_TEST(a_returning_worker_is_leased_in_the_same_step_to_whoever_waited_longest)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;
    struct engine_call *calls[3];
    char keys[3][2] = {"1", "2", "3"};

    settings.workers_per_home = 1;
    driver = driver_create(&settings);
    for (int i = 0; i < 3; i++)
        calls[i] = driver_ask(driver, (struct ask){.key = keys[i]});
    driver_up(driver, 1);
    for (int i = 0; i < 3; i++) {
        ck_assert_ptr_eq(driver->workers[1].lease->api_key, calls[i]->probe.api_key);
        driver_answer(driver, 1);
        ck_assert_int_eq(driver_code(driver, calls[i]), STATUS_OK);
    }
    ck_assert_uint_eq(driver->workers[1].lease_count, 3);
    ck_assert_uint_eq(driver->idled_id, 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(the_most_recently_used_worker_is_leased_first)
{
    struct driver *driver = driver_create(&driver_settings);

    driver_ask(driver, (struct ask){.key = "1"});
    driver_ask(driver, (struct ask){.key = "2"});
    driver_up(driver, 1);
    driver_up(driver, 2);
    driver_answer(driver, 2);
    driver_answer(driver, 1);
    driver_ask(driver, (struct ask){.key = "3"});
    ck_assert_ptr_nonnull(driver->workers[1].lease);
    ck_assert_ptr_null(driver->workers[2].lease);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_worker_that_comes_up_for_nobody_is_idle)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = driver_ask(driver, (struct ask){0});

    ck_assert(driver_pinned(driver, 1));
    driver_leave(driver, call);
    driver_up(driver, 1);
    ck_assert_uint_eq(driver->idled_id, 1);
    call = driver_ask(driver, (struct ask){0});
    driver_answer(driver, 1);
    ck_assert_int_eq(call->result.origin, ORIGIN_WARM); /* it had been waiting */
    driver_destroy(driver);
}
END_TEST

START_TEST(a_start_that_nobody_waits_for_goes_no_further_than_the_door)
{
    struct driver *driver = driver_create(&driver_settings);

    driver_leave(driver, driver_ask(driver, (struct ask){0}));
    ck_assert(!driver_pinned(driver, 1));
    ck_assert(!driver->workers[1].launch);
    ck_assert_uint_eq(driver_view(driver).workers[WORKER_STARTING], 0);
    ck_assert(!driver_pinned(driver, 1)); /* and is not known any more */
    driver_destroy(driver);
}
END_TEST

/* ---- how many ---- */

START_TEST(a_home_starts_no_more_than_workers_per_home)
{
    struct driver *driver = driver_create(&driver_settings);
    char key[16];

    for (int i = 0; i < 10; i++) {
        snprintf(key, sizeof key, "%d", i);
        driver_ask(driver, (struct ask){.key = key});
    }
    ck_assert_uint_eq(driver->pinned_count, 2);
    ck_assert_uint_eq(driver_view(driver).workers[WORKER_STARTING], 2);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_home_starts_no_more_than_probes_wait)
{
    struct driver *driver = driver_create(&driver_settings);

    driver_ask(driver, (struct ask){.key = "1"});
    driver_ask(driver, (struct ask){.key = "1"}); /* joined: no reason for another */
    ck_assert_uint_eq(driver->pinned_count, 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_start_is_checked_for_the_uid_that_wants_it)
{
    struct driver *driver = driver_create(&driver_settings);

    driver_ask(driver, (struct ask){.key = "1", .uid = 1001});
    driver_ask(driver, (struct ask){.key = "2", .uid = 1002});
    ck_assert_uint_eq(driver->workers[1].uid, 1001);
    ck_assert_uint_eq(driver->workers[2].uid, 1002);
    ck_assert_str_eq(driver->workers[2].home, "/h");
    driver_destroy(driver);
}
END_TEST

static struct engine_settings few_workers(uint64_t workers_max)
{
    struct engine_settings settings = driver_settings;

    settings.workers_max = workers_max;
    return settings;
}

START_TEST(the_daemon_starts_no_more_than_workers_max)
{
    struct engine_settings settings = few_workers(3);
    struct driver *driver = driver_create(&settings);
    char home[16];

    for (int i = 0; i < 5; i++) {
        snprintf(home, sizeof home, "/h/%d", i);
        driver_ask(driver, (struct ask){.home = home});
    }
    ck_assert_uint_eq(driver->pinned_count, 3);
    driver_destroy(driver);
}
END_TEST

START_TEST(homes_that_wait_for_room_take_turns)
{
    struct engine_settings settings = few_workers(1);
    struct driver *driver = driver_create(&settings);

    driver_ask(driver, (struct ask){.home = "/h/1"});
    driver_up(driver, 1);
    driver_ask(driver, (struct ask){.home = "/h/2", .key = "1"});
    driver_ask(driver, (struct ask){.home = "/h/2", .key = "2"});
    driver_ask(driver, (struct ask){.home = "/h/3"});
    driver_return(driver, 1, LEASE_BREACHED);
    driver_gone(driver, 1);
    ck_assert_str_eq(driver->workers[2].home, "/h/2");
    driver_gone(driver, 2);
    ck_assert_str_eq(driver->workers[3].home, "/h/3"); /* not the rest of 2 */
    driver_gone(driver, 3);
    ck_assert_str_eq(driver->workers[4].home, "/h/2");
    driver_destroy(driver);
}
END_TEST

START_TEST(the_worker_idle_longest_is_ended_to_make_room)
{
    struct engine_settings settings = few_workers(2);
    struct driver *driver = driver_create(&settings);

    driver_warm(driver, "/h/1");
    driver_wait(driver, NS_PER_MS);
    driver_warm(driver, "/h/2");
    driver_ask(driver, (struct ask){.home = "/h/3"});
    ck_assert_uint_eq(driver->workers[1].end_count, 1);
    ck_assert_uint_eq(driver->workers[2].end_count, 0);
    ck_assert_uint_eq(driver->pinned_count, 2); /* not before it is gone */
    driver_gone(driver, 1);
    ck_assert_str_eq(driver->workers[3].home, "/h/3");
    driver_destroy(driver);
}
END_TEST

START_TEST(no_more_workers_are_ended_than_make_the_room)
{
    struct engine_settings settings = few_workers(2);
    struct driver *driver = driver_create(&settings);
    struct engine_call *call;

    driver_warm(driver, "/h/1");
    driver_warm(driver, "/h/2");
    call = driver_ask(driver, (struct ask){.home = "/h/3"});
    driver_ask(driver, (struct ask){.home = "/h/3"});
    ck_assert_uint_eq(driver_view(driver).workers[WORKER_ENDING], 1);
    driver_leave(driver, call);
    ck_assert_uint_eq(driver_view(driver).workers[WORKER_IDLE], 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(no_worker_of_a_home_with_callers_is_ended_to_make_room)
{
    struct engine_settings settings = few_workers(2);
    struct driver *driver = driver_create(&settings);

    driver_ask(driver, (struct ask){.home = "/h/1", .key = "1"});
    driver_ask(driver, (struct ask){.home = "/h/1", .key = "2"});
    driver_up(driver, 1);
    driver_up(driver, 2);
    driver_return(driver, 1, LEASE_DIED); /* waits for a fresh worker, for which there is room when 1 is gone */
    driver_answer(driver, 2);             /* idle meanwhile */
    ck_assert_uint_eq(driver_view(driver).workers[WORKER_IDLE], 1);
    driver_ask(driver, (struct ask){.home = "/h/2"}); /* it has none, so the room will be its own */
    ck_assert_ptr_nonnull(
        driver->workers[2].lease); /* no fresh one comes: the other probe takes what there is, at once */
    driver_gone(driver, 1);
    ck_assert_str_eq(driver->workers[3].home, "/h/2");
    driver_destroy(driver);
}
END_TEST

START_TEST(a_draining_worker_counts_against_workers_max_only)
{
    struct engine_settings settings = few_workers(2);
    struct driver *driver;

    settings.workers_per_home = 1;
    driver = driver_create(&settings);
    driver_ask(driver, (struct ask){0});
    driver_up(driver, 1);
    driver_invalidate(driver, (struct void_order){.home = "/h"});
    ck_assert(driver->workers[2].pin); /* the home's only place is free again */
    driver_ask(driver, (struct ask){.home = "/other"});
    ck_assert_uint_eq(driver->pinned_count, 2); /* but there is no room in all */
    driver_answer(driver, 1);
    driver_gone(driver, 1);
    ck_assert_uint_eq(driver->pinned_count, 3);
    driver_destroy(driver);
}
END_TEST

/* ---- the queue ---- */

START_TEST(a_full_queue_of_a_home_refuses_at_once_with_the_numbers)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;
    struct engine_call *call;

    settings.workers_per_home = 1;
    settings.queue_per_home = 2;
    driver = driver_create(&settings);
    driver_ask(driver, (struct ask){.key = "0"}); /* has a start of its own */
    driver_ask(driver, (struct ask){.key = "1"});
    driver_ask(driver, (struct ask){.key = "2"});
    call = driver_ask(driver, (struct ask){.key = "3"});
    ck_assert_int_eq(driver_code(driver, call), STATUS_RESOURCE_EXHAUSTED);
    ck_assert_ptr_nonnull(strstr(call->result.status.message, "pool.queue_per_home: 2 of at most 2"));
    ck_assert_uint_gt(call->result.status.retry_after_ms, 0);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_REFUSED_QUEUE_PER_HOME), 1);
    ck_assert(!driver_is_back(driver, driver_ask(driver, (struct ask){.key = "2"}))); /* joined: no place needed */
    ck_assert(!driver_is_back(driver, driver_ask(driver, (struct ask){.home = "/other"})));
    driver_destroy(driver);
}
END_TEST

START_TEST(a_full_queue_of_the_daemon_refuses_at_once_with_the_numbers)
{
    struct engine_settings settings = few_workers(1);
    struct driver *driver;
    struct engine_call *call;

    settings.queue_max = 2;
    driver = driver_create(&settings);
    driver_ask(driver, (struct ask){.home = "/h/0"});
    driver_up(driver, 1);
    driver_ask(driver, (struct ask){.home = "/h/1"});
    driver_ask(driver, (struct ask){.home = "/h/2"});
    call = driver_ask(driver, (struct ask){.home = "/h/3"});
    ck_assert_int_eq(driver_code(driver, call), STATUS_RESOURCE_EXHAUSTED);
    ck_assert_ptr_nonnull(strstr(call->result.status.message, "pool.queue_max: 2 of at most 2"));
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_REFUSED_QUEUE_MAX), 1);
    ck_assert_uint_eq(driver_view(driver).homes, 3); /* nothing is remembered of the one refused */
    driver_destroy(driver);
}
END_TEST

START_TEST(without_a_queue_whoever_needs_none_is_served)
{
    struct engine_settings settings = few_workers(2);
    struct driver *driver;

    settings.queue_per_home = settings.queue_max = 0;
    driver = driver_create(&settings);
    driver_warm(driver, "/h/1"); /* a start is no wait in the queue */
    driver_ask(driver, (struct ask){.home = "/h/1"});
    ck_assert_ptr_nonnull(driver->workers[1].lease); /* nor is an idle worker */
    driver_warm(driver, "/h/2");
    ck_assert(!driver_is_back(driver, driver_ask(driver, (struct ask){.home = "/h/3"}))); /* nor is 2's, to be ended */
    ck_assert_int_eq(driver_code(driver, driver_ask(driver, (struct ask){.home = "/h/4"})), STATUS_RESOURCE_EXHAUSTED);
    driver_destroy(driver);
}
END_TEST

START_TEST(without_a_queue_no_worker_of_a_home_with_callers_is_counted_on)
{
    struct engine_settings settings = few_workers(2);
    struct driver *driver;

    settings.queue_per_home = 0;
    driver = driver_create(&settings);
    driver_ask(driver, (struct ask){.home = "/h/1", .key = "1"});
    driver_ask(driver, (struct ask){.home = "/h/1", .key = "2"});
    driver_up(driver, 1);
    driver_up(driver, 2);
    driver_return(driver, 1, LEASE_DIED);
    driver_answer(driver, 2); /* idle, while the other probe of its home waits for a fresh one */
    ck_assert_int_eq(driver_code(driver, driver_ask(driver, (struct ask){.home = "/h/2"})), STATUS_RESOURCE_EXHAUSTED);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_higher_limit_serves_those_who_wait_before_those_who_come)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;

    settings.workers_per_home = settings.queue_per_home = 1;
    driver = driver_create(&settings);
    driver_ask(driver, (struct ask){.key = "1"});
    driver_ask(driver, (struct ask){.key = "2"});
    settings.workers_per_home = 2;
    driver_settings_changed(driver, &settings);
    ck_assert_int_eq(driver_code(driver, driver_ask(driver, (struct ask){.key = "3"})), STATUS_RESOURCE_EXHAUSTED);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_home_that_hangs_while_it_is_opened_is_not_waited_for_to_make_room)
{
    struct engine_settings settings = few_workers(2);
    struct driver *driver = driver_create(&settings);

    driver_warm(driver, "/h/1");
    driver_leave(driver, driver_ask(driver, (struct ask){.home = "/hung"}));
    driver_invalidate(driver, (struct void_order){.home = "/hung"});
    driver_ask(driver, (struct ask){.home = "/h/2"});
    ck_assert_uint_eq(driver->workers[1].end_count, 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_start_that_lost_its_caller_serves_the_next_one_without_a_queue)
{
    struct engine_settings settings = few_workers(1);
    struct driver *driver;

    settings.queue_per_home = settings.queue_max = 0;
    driver = driver_create(&settings);
    driver_leave(driver, driver_ask(driver, (struct ask){.key = "1"}));
    ck_assert(!driver_is_back(driver, driver_ask(driver, (struct ask){.key = "2"})));
    ck_assert_uint_eq(driver->pinned_count, 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_departure_frees_its_place_in_the_queue)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;
    struct engine_call *call;

    settings.workers_per_home = 1;
    settings.queue_per_home = 1;
    driver = driver_create(&settings);
    driver_ask(driver, (struct ask){.key = "0"});
    driver_up(driver, 1);
    call = driver_ask(driver, (struct ask){.key = "1"});
    ck_assert_int_eq(driver_code(driver, driver_ask(driver, (struct ask){.key = "2"})), STATUS_RESOURCE_EXHAUSTED);
    driver_leave(driver, call);
    ck_assert(!driver_is_back(driver, driver_ask(driver, (struct ask){.key = "2"})));
    driver_destroy(driver);
}
END_TEST

/* ---- age ---- */

START_TEST(an_idle_worker_is_ended_by_time_alone)
{
    struct driver *driver = driver_create(&driver_settings);

    driver_warm(driver, "/h");
    driver_wait(driver, driver_settings.idle_ns_max - 1);
    ck_assert_uint_eq(driver->workers[1].end_count, 0);
    driver_wait(driver, 1);
    ck_assert_uint_eq(driver->workers[1].end_count, 1);
    ck_assert(!driver->workers[1].end_gone);
    ck_assert_uint_eq(driver_view(driver).workers[WORKER_ENDING], 1);
    driver_gone(driver, 1);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_ENDS), 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_worker_is_ended_after_its_lifetime_but_never_during_a_lease)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;
    struct engine_call *call;

    settings.lifetime_ns = 10 * NS_PER_S;
    driver = driver_create(&settings);
    driver_warm(driver, "/h");
    driver_wait(driver, 9 * NS_PER_S);
    call = driver_ask(driver, (struct ask){0});
    driver_wait(driver, 2 * NS_PER_S);
    ck_assert_uint_eq(driver->workers[1].end_count, 0);
    driver_answer(driver, 1);
    ck_assert_int_eq(driver_code(driver, call), STATUS_OK);
    ck_assert_uint_eq(driver->workers[1].end_count, 1);
    ck_assert_uint_eq(driver->idled_id, 0);
    driver_warm(driver, "/h");
    driver_wait(driver, 10 * NS_PER_S);
    ck_assert_uint_eq(driver->workers[2].end_count, 1); /* while idle */
    driver_destroy(driver);
}
END_TEST

START_TEST(a_worker_is_ended_after_requests_max_leases)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;

    settings.requests_max = 2;
    driver = driver_create(&settings);
    driver_warm(driver, "/h");
    driver_ask(driver, (struct ask){0});
    driver_answer(driver, 1);
    ck_assert_uint_eq(driver->workers[1].end_count, 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(spans_without_end_never_come_due)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;

    settings.idle_ns_max = settings.lifetime_ns = settings.cache_ttl_ns = UINT64_MAX;
    driver = driver_create(&settings);
    driver_warm(driver, "/h");
    ck_assert_uint_eq(engine_next_ns(driver->engine), UINT64_MAX);
    driver_destroy(driver);
}
END_TEST

/* ---- settings that change ---- */

START_TEST(higher_limits_serve_whoever_waits_at_once)
{
    struct engine_settings settings = few_workers(1);
    struct driver *driver;

    settings.workers_per_home = 1;
    driver = driver_create(&settings);
    driver_ask(driver, (struct ask){.key = "1"});
    driver_ask(driver, (struct ask){.key = "2"});
    settings.workers_per_home = 2;
    settings.workers_max = 3; /* further seats are made when the next probe is admitted */
    driver_settings_changed(driver, &settings);
    driver_wait(driver, 0);
    ck_assert_uint_eq(driver->pinned_count, 2);
    driver_ask(driver, (struct ask){.home = "/other"});
    ck_assert_uint_eq(driver->pinned_count, 3);
    driver_destroy(driver);
}
END_TEST

START_TEST(lower_limits_end_nothing_that_runs)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver = driver_create(&settings);

    driver_warm(driver, "/h/1");
    driver_ask(driver, (struct ask){.home = "/h/2"});
    driver_up(driver, 2);
    settings.workers_max = settings.workers_per_home = 1;
    driver_settings_changed(driver, &settings);
    driver_wait(driver, NS_PER_S);
    ck_assert_uint_eq(driver_view(driver).workers[WORKER_IDLE], 1);
    ck_assert_uint_eq(driver_view(driver).workers[WORKER_LEASED], 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(above_a_lowered_limit_the_workers_idle_longest_end_when_their_home_is_used)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;

    settings.workers_per_home = 3;
    driver = driver_create(&settings);
    driver_ask(driver, (struct ask){.key = "1"});
    driver_ask(driver, (struct ask){.key = "2"});
    driver_ask(driver, (struct ask){.key = "3"});
    for (uint64_t id = 1; id <= 3; id++)
        driver_up(driver, id);
    for (uint64_t id = 1; id <= 3; id++)
        driver_answer(driver, id);
    settings.workers_per_home = 2;
    driver_settings_changed(driver, &settings);
    driver_ask(driver, (struct ask){.key = "4"}); /* of the third */
    ck_assert_uint_eq(driver->workers[1].end_count, 1);
    ck_assert_uint_eq(driver->workers[2].end_count, 0);
    driver_destroy(driver);
}
END_TEST

START_TEST(below_lowered_limits_as_much_is_ended_as_makes_room)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver = driver_create(&settings);

    driver_warm(driver, "/h/1");
    driver_warm(driver, "/h/2");
    driver_warm(driver, "/h/3");
    settings.workers_max = 2;
    driver_settings_changed(driver, &settings);
    driver_ask(driver, (struct ask){.home = "/h/4"});
    ck_assert_uint_eq(driver_view(driver).workers[WORKER_ENDING], 2);
    driver_gone(driver, 1);
    ck_assert_uint_eq(driver->pinned_count, 3);
    driver_gone(driver, 2);
    ck_assert_uint_eq(driver->pinned_count, 4);
    driver_destroy(driver);
}
END_TEST

START_TEST(workers_are_found_by_id_however_many_there_were)
{
    struct engine_settings settings = few_workers(2);
    struct driver *driver;
    struct engine_call *held, *last;
    uint64_t id = 2;

    settings.requests_max = 1;
    driver = driver_create(&settings);
    held = driver_ask(driver, (struct ask){.home = "/held"});
    driver_up(driver, 1);
    for (; id < 97; id++) {
        driver_ask(driver, (struct ask){.refresh = true});
        driver_up(driver, id);
        driver_answer(driver, id);
        driver_gone(driver, id);
    }
    last = driver_ask(driver, (struct ask){.refresh = true});
    driver_up(driver, id); /* 97 and 1 differ by a power of two, so they share a bucket */
    driver_answer(driver, 1);
    driver_gone(driver, 1);
    driver_answer(driver, id);
    ck_assert_int_eq(driver_code(driver, held), STATUS_OK);
    ck_assert_int_eq(driver_code(driver, last), STATUS_OK);
    driver_destroy(driver);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("engine_pool");
    TCase *leases = tcase_create("leases"), *bounds = tcase_create("bounds"), *queue = tcase_create("queue"),
          *age = tcase_create("age");

    tcase_add_test(leases, an_idle_worker_is_leased_in_the_step_that_asks);
    tcase_add_test(leases, a_returning_worker_is_leased_in_the_same_step_to_whoever_waited_longest);
    tcase_add_test(leases, the_most_recently_used_worker_is_leased_first);
    tcase_add_test(leases, a_worker_that_comes_up_for_nobody_is_idle);
    tcase_add_test(leases, a_start_that_nobody_waits_for_goes_no_further_than_the_door);
    tcase_add_test(leases, workers_are_found_by_id_however_many_there_were);
    tcase_add_test(bounds, a_home_starts_no_more_than_workers_per_home);
    tcase_add_test(bounds, a_home_starts_no_more_than_probes_wait);
    tcase_add_test(bounds, a_start_is_checked_for_the_uid_that_wants_it);
    tcase_add_test(bounds, the_daemon_starts_no_more_than_workers_max);
    tcase_add_test(bounds, homes_that_wait_for_room_take_turns);
    tcase_add_test(bounds, the_worker_idle_longest_is_ended_to_make_room);
    tcase_add_test(bounds, no_more_workers_are_ended_than_make_the_room);
    tcase_add_test(bounds, no_worker_of_a_home_with_callers_is_ended_to_make_room);
    tcase_add_test(bounds, a_draining_worker_counts_against_workers_max_only);
    tcase_add_test(bounds, higher_limits_serve_whoever_waits_at_once);
    tcase_add_test(bounds, lower_limits_end_nothing_that_runs);
    tcase_add_test(bounds, above_a_lowered_limit_the_workers_idle_longest_end_when_their_home_is_used);
    tcase_add_test(bounds, below_lowered_limits_as_much_is_ended_as_makes_room);
    tcase_add_test(queue, a_full_queue_of_a_home_refuses_at_once_with_the_numbers);
    tcase_add_test(queue, a_full_queue_of_the_daemon_refuses_at_once_with_the_numbers);
    tcase_add_test(queue, without_a_queue_whoever_needs_none_is_served);
    tcase_add_test(queue, without_a_queue_no_worker_of_a_home_with_callers_is_counted_on);
    tcase_add_test(queue, a_higher_limit_serves_those_who_wait_before_those_who_come);
    tcase_add_test(bounds, a_home_that_hangs_while_it_is_opened_is_not_waited_for_to_make_room);
    tcase_add_test(queue, a_start_that_lost_its_caller_serves_the_next_one_without_a_queue);
    tcase_add_test(queue, a_departure_frees_its_place_in_the_queue);
    tcase_add_test(age, an_idle_worker_is_ended_by_time_alone);
    tcase_add_test(age, a_worker_is_ended_after_its_lifetime_but_never_during_a_lease);
    tcase_add_test(age, a_worker_is_ended_after_requests_max_leases);
    tcase_add_test(age, spans_without_end_never_come_due);
    suite_add_tcase(suite, leases);
    suite_add_tcase(suite, bounds);
    suite_add_tcase(suite, queue);
    suite_add_tcase(suite, age);
    return suite;
}

int main(void)
{
    return check_main(make_suite());
}
