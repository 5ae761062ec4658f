/* Drain and stop: proto/README.md 2, "SIGTERM and SIGINT drain". */
#include "tests/support/check_main.h"
#include "tests/support/engine_driver.h"

START_TEST(while_draining_every_call_is_refused)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = driver_prepare(driver, (struct ask){0});
    struct actions actions = ACTIONS_EMPTY;

    driver_warm(driver, "/h");
    driver_drain(driver);
    ck_assert_int_eq(driver_code(driver, driver_ask(driver, (struct ask){0})), STATUS_UNAVAILABLE);
    ck_assert_int_eq(driver_code(driver, driver_invalidate(driver, (struct void_order){.home = "/h"})),
                     STATUS_UNAVAILABLE);
    driver_park(driver, call);
    ck_assert_int_eq(driver_code(driver, call), STATUS_UNAVAILABLE);
    call = &driver->calls[driver->call_count++];
    *call = (struct engine_call){.id = 99, .kind = ENGINE_CALL_SYNC, .deadline_ns = UINT64_MAX};
    engine_sync_arrived(driver->engine, driver->now_ns, call, "/h", &actions);
    ck_assert_int_eq(call->result.status.code, STATUS_UNAVAILABLE);
    driver->back[driver->call_count - 1] = true;
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_REFUSED_DRAINING), 4);
    ck_assert(driver_view(driver).draining);
    driver_destroy(driver);
}
END_TEST

START_TEST(draining_ends_idle_workers_and_finishes_calls)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *in_the_air, *waiting;

    driver_warm(driver, "/other");
    in_the_air = driver_ask(driver, (struct ask){.key = "1"});
    driver_up(driver, 2);
    waiting = driver_ask(driver, (struct ask){.key = "2"});
    driver_drain(driver);
    ck_assert_uint_eq(driver->workers[1].end_count, 1);
    driver_gone(driver, 1);
    ck_assert(!engine_is_empty(driver->engine));
    driver_answer(driver, 2); /* and is lent to the one that waits */
    ck_assert_int_eq(driver_code(driver, in_the_air), STATUS_OK);
    driver_answer(driver, 2);
    ck_assert_int_eq(driver_code(driver, waiting), STATUS_OK);
    ck_assert_uint_eq(driver->workers[2].end_count, 1);
    ck_assert_uint_eq(driver->idled_id, 0);
    driver_gone(driver, 2);
    ck_assert(!driver_pinned(driver, 3)); /* it was to be the second worker */
    ck_assert(engine_is_empty(driver->engine));
    driver_destroy(driver);
}
END_TEST

START_TEST(a_worker_that_comes_up_while_draining_is_ended_unless_it_is_waited_for)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = driver_ask(driver, (struct ask){.key = "1"}), *other;

    other = driver_ask(driver, (struct ask){.key = "2"});
    ck_assert(driver_pinned(driver, 1));
    ck_assert(driver_pinned(driver, 2));
    driver_leave(driver, other);
    driver_drain(driver);
    driver_up(driver, 1);
    driver_up(driver, 2);
    ck_assert_uint_eq(driver->workers[2].end_count, 1);
    driver_answer(driver, 1);
    ck_assert_int_eq(driver_code(driver, call), STATUS_OK);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_probe_is_still_run_again_while_draining)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = driver_ask(driver, (struct ask){0});

    driver_up(driver, 1);
    driver_drain(driver);
    driver_return(driver, 1, LEASE_DIED);
    driver_up(driver, 2);
    driver_answer(driver, 2);
    ck_assert_int_eq(driver_code(driver, call), STATUS_OK);
    driver_destroy(driver);
}
END_TEST

START_TEST(stopping_gives_every_call_back)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *parked = driver_prepare(driver, (struct ask){0}), *in_the_air, *waiting, *quiescing;

    driver_park(driver, parked);
    driver_warm(driver, "/other");
    quiescing = driver_invalidate(driver, (struct void_order){.home = "/other", .quiesced = true});
    in_the_air = driver_ask(driver, (struct ask){.key = "1"});
    driver_up(driver, 2);
    waiting = driver_ask(driver, (struct ask){.key = "2"});
    driver_stop(driver);
    ck_assert_int_eq(driver_code(driver, parked), STATUS_UNAVAILABLE);
    ck_assert_int_eq(driver_code(driver, quiescing), STATUS_UNAVAILABLE);
    ck_assert_int_eq(driver_code(driver, in_the_air), STATUS_UNAVAILABLE);
    ck_assert_int_eq(driver_code(driver, waiting), STATUS_UNAVAILABLE);
    driver_destroy(driver);
}
END_TEST

START_TEST(stopping_ends_every_worker_and_kills_those_that_are_leased)
{
    struct driver *driver = driver_create(&driver_settings);

    driver_warm(driver, "/h/idle"); /* 1 */
    driver_ask(driver, (struct ask){.home = "/h/draining"});
    driver_up(driver, 2);
    driver_invalidate(driver, (struct void_order){.home = "/h/draining"}); /* 2 drains, 3 is opened */
    driver_ask(driver, (struct ask){.home = "/h/launching"});
    ck_assert(driver_pinned(driver, 4));
    driver_ask(driver, (struct ask){.home = "/h/leased"});
    driver_up(driver, 5);
    driver_ask(driver, (struct ask){.home = "/h/gone"});
    driver_up(driver, 6);
    driver_gone(driver, 6);
    driver_spoke(driver, 1); /* is ending already */
    driver_stop(driver);
    ck_assert_uint_eq(driver->workers[1].end_count, 1);
    ck_assert(driver->workers[2].kill && driver->workers[2].end_count == 0);
    ck_assert(!driver_pinned(driver, 3));
    ck_assert_uint_eq(driver->workers[4].end_count, 1);
    ck_assert(driver->workers[5].kill && driver->workers[5].end_count == 0);
    ck_assert(!driver->workers[6].kill); /* there is nothing to kill */
    driver_return(driver, 5, LEASE_DIED);
    ck_assert_uint_eq(driver->workers[5].end_count, 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_kill_is_not_ordered_for_a_process_that_is_gone_meanwhile)
{
    struct driver *driver = driver_create(&driver_settings);

    driver_ask(driver, (struct ask){0});
    driver_up(driver, 1);
    driver->slow_orders = true;
    driver_stop(driver);
    driver_gone(driver, 1);
    ck_assert(!driver_take_order(driver));
    driver_return(driver, 1, LEASE_DIED);
    ck_assert(driver_take_order(driver));
    ck_assert(driver->workers[1].end_gone && !driver->workers[1].kill);
    driver_destroy(driver);
}
END_TEST

START_TEST(an_answer_after_the_stop_is_let_go)
{
    struct driver *driver = driver_create(&driver_settings);

    driver_ask(driver, (struct ask){0});
    driver_up(driver, 1);
    driver_stop(driver);
    driver_answer(driver, 1);
    ck_assert_uint_eq(driver_view(driver).cache_entries, 0);
    driver_destroy(driver);
}
END_TEST

START_TEST(an_engine_in_use_is_not_empty)
{
    struct driver *driver = driver_create(&driver_settings);

    ck_assert(!engine_is_empty(driver->engine)); /* it may be called at any time */
    driver_drain(driver);
    ck_assert(engine_is_empty(driver->engine));
    driver_destroy(driver);
    engine_destroy(NULL);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("engine_end");
    TCase *tests = tcase_create("end");

    tcase_add_test(tests, while_draining_every_call_is_refused);
    tcase_add_test(tests, draining_ends_idle_workers_and_finishes_calls);
    tcase_add_test(tests, a_worker_that_comes_up_while_draining_is_ended_unless_it_is_waited_for);
    tcase_add_test(tests, a_probe_is_still_run_again_while_draining);
    tcase_add_test(tests, stopping_gives_every_call_back);
    tcase_add_test(tests, stopping_ends_every_worker_and_kills_those_that_are_leased);
    tcase_add_test(tests, a_kill_is_not_ordered_for_a_process_that_is_gone_meanwhile);
    tcase_add_test(tests, an_answer_after_the_stop_is_let_go);
    tcase_add_test(tests, an_engine_in_use_is_not_empty);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return check_main(make_suite());
}
