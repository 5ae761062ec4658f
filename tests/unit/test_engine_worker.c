/* Workers: from the order that opens their home to the one that ends them, and the outbox the orders are in. */
#include "tests/support/check_main.h"
#include "tests/support/engine_driver.h"

START_TEST(a_worker_is_pinned_launched_and_up_in_this_order)
{
    struct driver *driver = driver_create(&driver_settings);

    driver_ask(driver, (struct ask){0});
    ck_assert(driver->workers[1].pin && !driver->workers[1].launch);
    ck_assert_uint_eq(driver_view(driver).workers[WORKER_STARTING], 1);
    ck_assert(driver_pinned(driver, 1));
    ck_assert(driver->workers[1].launch);
    ck_assert_int_eq(driver->workers[1].home_fd, 1001);
    ck_assert_uint_eq(driver_view(driver).workers[WORKER_STARTING], 1);
    driver_up(driver, 1);
    ck_assert_uint_eq(driver_view(driver).workers[WORKER_LEASED], 1);
    ck_assert_int_eq(driver->workers[1].lease->channel.answer_fd, 2003);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_worker_that_took_no_time_to_start_is_cold_all_the_same)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = driver_ask(driver, (struct ask){0});
    struct actions actions = ACTIONS_EMPTY;

    ck_assert(driver_pinned(driver, 1));
    engine_worker_up(driver->engine, driver->now_ns, 1, 1, (struct worker_channel){1, 2}, 0, &actions);
    ck_assert_ptr_nonnull(actions.leased);
    ck_assert_uint_gt(actions.leased->spawn_ns, 0);
    driver->workers[1].lease = actions.leased;
    driver->leases[driver->lease_count++] = actions.leased;
    driver_answer(driver, 1);
    ck_assert_int_eq(call->result.origin, ORIGIN_COLD);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_worker_that_becomes_idle_is_named_for_the_watch)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = driver_ask(driver, (struct ask){0});
    struct actions actions = ACTIONS_EMPTY;
    struct answer *answer = answer_create(10);
    struct engine_lease *lease;

    driver_up(driver, 1);
    lease = driver->workers[1].lease;
    driver->workers[1].lease = NULL;
    engine_lease_returned(driver->engine, driver->now_ns, lease,
                          &(struct lease_outcome){.end = LEASE_ANSWERED, .answer = answer}, &actions);
    ck_assert_uint_eq(actions.idled.worker_id, 1);
    ck_assert_int_eq(actions.idled.answer_fd, 2003);
    ck_assert_ptr_eq(actions.answered, call);
    driver->back[0] = true;
    driver_destroy(driver);
}
END_TEST

START_TEST(an_idle_worker_that_speaks_is_ended)
{
    struct driver *driver = driver_create(&driver_settings);

    driver_warm(driver, "/h");
    driver_spoke(driver, 1);
    ck_assert_uint_eq(driver->workers[1].end_count, 1);
    ck_assert_int_eq(driver->workers[1].closed.answer_fd, 2003);
    ck_assert(!driver->workers[1].end_gone);
    driver_spoke(driver, 1);
    ck_assert_uint_eq(driver->workers[1].end_count, 1);
    driver_ask(driver, (struct ask){0});
    ck_assert_ptr_null(driver->workers[1].lease);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_report_about_an_idle_worker_that_is_leased_by_now_is_nothing)
{
    struct driver *driver = driver_create(&driver_settings);

    driver_warm(driver, "/h");
    driver_ask(driver, (struct ask){0});
    driver_spoke(driver, 1);
    ck_assert_uint_eq(driver->workers[1].end_count, 0);
    driver_spoke(driver, 77); /* nor about one that never was */
    driver_destroy(driver);
}
END_TEST

START_TEST(a_report_about_an_earlier_idle_time_is_nothing)
{
    struct driver *driver = driver_create(&driver_settings);
    uint64_t earlier;

    driver_warm(driver, "/h");
    earlier = driver->workers[1].watch_turn;
    driver_ask(driver, (struct ask){.provider = "another"});
    driver_answer(driver, 1);
    ck_assert_uint_eq(driver->idled_id, 1);
    ck_assert_uint_ne(driver->workers[1].watch_turn, earlier);
    driver->workers[1].watch_turn = earlier;
    driver_spoke(driver, 1);
    ck_assert_uint_eq(driver->workers[1].end_count, 0);
    driver_destroy(driver);
}
END_TEST

START_TEST(an_idle_worker_that_is_gone_has_only_its_channel_to_close)
{
    struct driver *driver = driver_create(&driver_settings);

    driver_warm(driver, "/h");
    driver_gone(driver, 1);
    ck_assert_uint_eq(driver->workers[1].end_count, 1);
    ck_assert(driver->workers[1].end_gone);
    ck_assert_int_eq(driver->workers[1].closed.request_fd, 2002);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_ENDS), 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_leased_worker_that_is_gone_keeps_its_channel_until_its_lease_is_back)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = driver_ask(driver, (struct ask){0});

    driver_up(driver, 1);
    driver_gone(driver, 1);
    ck_assert_uint_eq(driver->workers[1].end_count, 0);
    ck_assert_uint_eq(driver_view(driver).workers[WORKER_DRAINING], 1);
    ck_assert(!driver_is_back(driver, call)); /* its answer may have been whole before */
    driver_answer(driver, 1);
    ck_assert_int_eq(driver_code(driver, call), STATUS_OK);
    ck_assert_uint_eq(driver->workers[1].end_count, 1);
    ck_assert(driver->workers[1].end_gone);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_draining_worker_that_is_gone_leaves_with_its_lease)
{
    struct driver *driver = driver_create(&driver_settings);

    driver_ask(driver, (struct ask){0});
    driver_up(driver, 1);
    driver_invalidate(driver, (struct void_order){.home = "/h"});
    driver_gone(driver, 1);
    ck_assert_uint_eq(driver_view(driver).workers[WORKER_DRAINING], 1);
    driver_return(driver, 1, LEASE_DIED);
    ck_assert_uint_eq(driver_view(driver).workers[WORKER_DRAINING], 0);
    ck_assert(driver->workers[1].end_gone);
    driver_destroy(driver);
}
END_TEST

START_TEST(an_end_ordered_is_one_end_though_the_worker_goes_by_itself)
{
    struct driver *driver = driver_create(&driver_settings);

    driver_warm(driver, "/h");
    driver_spoke(driver, 1);
    driver_gone(driver, 1);
    ck_assert_uint_eq(driver->workers[1].end_count, 1);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_ENDS), 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(an_end_still_in_the_outbox_says_that_the_worker_is_gone_meanwhile)
{
    struct driver *driver = driver_create(&driver_settings);

    driver_warm(driver, "/h");
    driver->slow_orders = true;
    driver_spoke(driver, 1);
    driver_gone(driver, 1);
    ck_assert(driver_take_order(driver));
    ck_assert(driver->workers[1].end_gone);
    ck_assert(!driver_take_order(driver));
    driver_destroy(driver);
}
END_TEST

START_TEST(a_failed_launch_is_ended_so_that_its_channel_is_let_go)
{
    struct driver *driver = driver_create(&driver_settings);

    driver_ask(driver, (struct ask){0});
    ck_assert(driver_pinned(driver, 1));
    driver_gone(driver, 1);
    ck_assert_uint_eq(driver->workers[1].end_count, 1);
    ck_assert(driver->workers[1].end_gone);
    ck_assert_int_eq(driver->workers[1].closed.request_fd, -1);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_worker_that_comes_up_after_it_was_ended_is_ended_with_its_channel)
{
    struct driver *driver = driver_create(&driver_settings);

    driver_ask(driver, (struct ask){0});
    ck_assert(driver_pinned(driver, 1));
    driver_invalidate(driver, (struct void_order){.home = "/h"});
    ck_assert_uint_eq(driver->workers[1].end_count, 1);
    ck_assert_int_eq(driver->workers[1].closed.request_fd, -1);
    driver_up(driver, 1);
    ck_assert_uint_eq(driver->workers[1].end_count, 2);
    ck_assert_int_eq(driver->workers[1].closed.request_fd, 2002);
    ck_assert_ptr_null(driver->workers[1].lease);
    ck_assert_uint_eq(driver->idled_id, 0);
    driver_destroy(driver);
}
END_TEST

START_TEST(an_end_in_the_outbox_takes_the_channel_that_came_meanwhile)
{
    struct driver *driver = driver_create(&driver_settings);

    driver_ask(driver, (struct ask){0});
    ck_assert(driver_pinned(driver, 1));
    driver->slow_orders = true;
    driver_invalidate(driver, (struct void_order){.home = "/h"});
    driver_up(driver, 1);
    while (driver_take_order(driver))
        ;
    ck_assert_uint_eq(driver->workers[1].end_count, 1);
    ck_assert_int_eq(driver->workers[1].closed.request_fd, 2002);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_start_nobody_has_heard_of_is_taken_back)
{
    struct driver *driver = driver_create(&driver_settings);

    driver->slow_orders = true;
    driver_ask(driver, (struct ask){0});
    driver_invalidate(driver, (struct void_order){.home = "/h"});
    while (driver_take_order(driver))
        ;
    ck_assert(!driver->workers[1].pin);
    ck_assert(driver->workers[2].pin);
    ck_assert_uint_eq(driver_view(driver).workers[WORKER_STARTING], 1);
    ck_assert_uint_eq(driver_view(driver).workers[WORKER_ENDING], 0);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_launch_that_was_ordered_comes_out_before_its_end)
{
    struct driver *driver = driver_create(&driver_settings);

    driver_ask(driver, (struct ask){0});
    driver->slow_orders = true;
    ck_assert(driver_pinned(driver, 1));
    driver_invalidate(driver, (struct void_order){.home = "/h"});
    ck_assert(driver_take_order(driver)); /* it has the descriptor of the home */
    ck_assert(driver->workers[1].launch && driver->workers[1].end_count == 0);
    ck_assert(driver_take_order(driver));
    ck_assert_uint_eq(driver->workers[1].end_count, 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(an_unwanted_start_counts_until_the_answer_to_its_pin)
{
    struct driver *driver = driver_create(&driver_settings);

    driver_ask(driver, (struct ask){0});
    driver_invalidate(driver, (struct void_order){.home = "/h"});
    ck_assert_uint_eq(driver_view(driver).workers[WORKER_ENDING], 1);
    ck_assert_uint_eq(driver->workers[1].end_count, 0);
    driver_gone(driver, 1); /* the home could not be opened: it hits nobody */
    ck_assert_uint_eq(driver_view(driver).workers[WORKER_ENDING], 0);
    ck_assert_uint_eq(driver_view(driver).flights, 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(what_is_said_of_workers_that_are_no_more_is_nothing)
{
    struct driver *driver = driver_create(&driver_settings);
    struct actions actions = ACTIONS_EMPTY;

    driver_gone(driver, 5);
    engine_worker_up(driver->engine, driver->now_ns, 5, 5, (struct worker_channel){1, 2}, 1, &actions);
    ck_assert(!engine_worker_pinned(driver->engine, driver->now_ns, 5, 3, &actions));
    ck_assert(!actions.orders && actions.answered == NULL && actions.leased == NULL);
    driver_destroy(driver);
}
END_TEST

START_TEST(orders_come_out_in_the_order_they_were_given)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_order order;

    driver->slow_orders = true;
    driver_ask(driver, (struct ask){.home = "/h/1"});
    driver_ask(driver, (struct ask){.home = "/h/2"});
    driver_ask(driver, (struct ask){.home = "/h/3"});
    for (uint64_t id = 1; id <= 3; id++) {
        ck_assert(engine_order_next(driver->engine, &order));
        ck_assert_int_eq(order.kind, ENGINE_ORDER_PIN);
        ck_assert_uint_eq(order.worker_id, id);
    }
    ck_assert(!engine_order_next(driver->engine, &order));
    driver_destroy(driver);
}
END_TEST

/* What ended a worker that has answered, under these settings, once that has been done. */
static enum engine_end_reason reason_after(const struct engine_settings *settings, void (*what)(struct driver *driver))
{
    struct driver *driver = driver_create(settings);
    enum engine_end_reason reason;

    driver_ask(driver, (struct ask){0});
    driver_up(driver, 1);
    driver_answer(driver, 1);
    what(driver);
    reason = driver->workers[1].why;
    driver_destroy(driver);
    return reason;
}

static void wait_long(struct driver *driver)
{
    driver_wait(driver, 400 * NS_PER_S);
}

static void speak(struct driver *driver)
{
    driver_spoke(driver, 1);
}

static void go(struct driver *driver)
{
    driver_gone(driver, 1);
}

static void fence(struct driver *driver)
{
    driver_invalidate(driver, (struct void_order){.home = "/h"});
}

static void ask_elsewhere(struct driver *driver)
{
    driver_ask(driver, (struct ask){.home = "/other"});
}

static void do_nothing(struct driver *driver)
{
    (void)driver;
}

START_TEST(the_end_of_an_idle_worker_says_why)
{
    struct engine_settings short_lived = driver_settings, of_one_lease = driver_settings,
                           of_one_worker = driver_settings;

    short_lived.lifetime_ns = 100 * NS_PER_S;
    of_one_lease.requests_max = 1;
    of_one_worker.workers_max = 1;
    ck_assert_int_eq(reason_after(&driver_settings, do_nothing), ENGINE_END_NONE);
    ck_assert_int_eq(reason_after(&driver_settings, wait_long), ENGINE_END_IDLE);
    ck_assert_int_eq(reason_after(&short_lived, wait_long), ENGINE_END_LIFETIME);
    ck_assert_int_eq(reason_after(&of_one_lease, do_nothing), ENGINE_END_REQUESTS);
    ck_assert_int_eq(reason_after(&of_one_worker, ask_elsewhere), ENGINE_END_ROOM);
    ck_assert_int_eq(reason_after(&driver_settings, fence), ENGINE_END_FENCE);
    ck_assert_int_eq(reason_after(&driver_settings, speak), ENGINE_END_SPOKE);
    ck_assert_int_eq(reason_after(&driver_settings, go), ENGINE_END_GONE);
    ck_assert_int_eq(reason_after(&driver_settings, driver_drain), ENGINE_END_STOP);
    ck_assert_int_eq(reason_after(&driver_settings, driver_stop), ENGINE_END_STOP);
}
END_TEST

START_TEST(a_worker_that_is_above_a_lower_limit_ends_for_that)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_settings fewer = driver_settings;

    driver_ask(driver, (struct ask){.provider = "one"});
    driver_ask(driver, (struct ask){.provider = "another"});
    driver_up(driver, 1);
    driver_up(driver, 2);
    driver_answer(driver, 1);
    fewer.workers_per_home = 1;
    driver_settings_changed(driver, &fewer);
    driver_answer(driver, 2);
    ck_assert_int_eq(driver->workers[1].why, ENGINE_END_SURPLUS);
    ck_assert_int_eq(driver->workers[2].why, ENGINE_END_NONE);
    driver_destroy(driver);
}
END_TEST

START_TEST(the_end_of_a_leased_worker_has_its_first_cause)
{
    struct driver *driver = driver_create(&driver_settings);

    for (uint64_t id = 1; id <= 3; id++) {
        driver_ask(driver, (struct ask){.home = id == 1 ? "/h/1" : id == 2 ? "/h/2" : "/h/3"});
        driver_up(driver, id);
    }
    driver_return(driver, 1, LEASE_BREACHED);
    ck_assert_int_eq(driver->workers[1].why, ENGINE_END_FAULT);
    driver_invalidate(driver, (struct void_order){.home = "/h/2"});
    driver_return(driver, 2, LEASE_DIED); /* it was to end anyway */
    ck_assert_int_eq(driver->workers[2].why, ENGINE_END_FENCE);
    driver_stop(driver);
    ck_assert(driver->workers[3].kill);
    ck_assert_int_eq(driver->workers[3].why, ENGINE_END_STOP);
    driver_gone(driver, 3);
    driver_return(driver, 3, LEASE_DIED);
    ck_assert_int_eq(driver->workers[3].why, ENGINE_END_STOP);
    driver_destroy(driver);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("engine_worker");
    TCase *tests = tcase_create("workers");

    tcase_add_test(tests, a_worker_is_pinned_launched_and_up_in_this_order);
    tcase_add_test(tests, a_worker_that_took_no_time_to_start_is_cold_all_the_same);
    tcase_add_test(tests, a_worker_that_becomes_idle_is_named_for_the_watch);
    tcase_add_test(tests, an_idle_worker_that_speaks_is_ended);
    tcase_add_test(tests, a_report_about_an_idle_worker_that_is_leased_by_now_is_nothing);
    tcase_add_test(tests, a_report_about_an_earlier_idle_time_is_nothing);
    tcase_add_test(tests, an_idle_worker_that_is_gone_has_only_its_channel_to_close);
    tcase_add_test(tests, a_leased_worker_that_is_gone_keeps_its_channel_until_its_lease_is_back);
    tcase_add_test(tests, a_draining_worker_that_is_gone_leaves_with_its_lease);
    tcase_add_test(tests, an_end_ordered_is_one_end_though_the_worker_goes_by_itself);
    tcase_add_test(tests, the_end_of_an_idle_worker_says_why);
    tcase_add_test(tests, a_worker_that_is_above_a_lower_limit_ends_for_that);
    tcase_add_test(tests, the_end_of_a_leased_worker_has_its_first_cause);
    tcase_add_test(tests, an_end_still_in_the_outbox_says_that_the_worker_is_gone_meanwhile);
    tcase_add_test(tests, a_failed_launch_is_ended_so_that_its_channel_is_let_go);
    tcase_add_test(tests, a_worker_that_comes_up_after_it_was_ended_is_ended_with_its_channel);
    tcase_add_test(tests, an_end_in_the_outbox_takes_the_channel_that_came_meanwhile);
    tcase_add_test(tests, a_start_nobody_has_heard_of_is_taken_back);
    tcase_add_test(tests, a_launch_that_was_ordered_comes_out_before_its_end);
    tcase_add_test(tests, an_unwanted_start_counts_until_the_answer_to_its_pin);
    tcase_add_test(tests, what_is_said_of_workers_that_are_no_more_is_nothing);
    tcase_add_test(tests, orders_come_out_in_the_order_they_were_given);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return check_main(make_suite());
}
