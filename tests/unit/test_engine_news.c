/* News: dense, in order, out before the answer to what caused them.  proto/README.md 3 and 4. */
#include "tests/support/check_main.h"
#include "tests/support/engine_driver.h"

START_TEST(an_event_says_what_was_asked_and_carries_its_call)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = driver_invalidate(driver, (struct void_order){.home = "/h", .provider = "anthropic"});

    ck_assert_uint_eq(driver->news_count, 1);
    ck_assert_int_eq(driver->news[0].kind, ENGINE_NEWS_EVENT);
    ck_assert_str_eq(driver->news[0].home, "/h");
    ck_assert_str_eq(driver->news[0].provider, "anthropic");
    ck_assert_str_eq(driver->news[0].reason, "reason 1");
    ck_assert_int_eq(driver->news[0].cause, CAUSE_REQUESTED);
    ck_assert_uint_eq(driver->news[0].fence.epoch, DRIVER_EPOCH);
    ck_assert_uint_eq(driver->news[0].fence.generation, 2);
    ck_assert_ptr_eq(driver->news[0].call, call);
    driver_destroy(driver);
}
END_TEST

START_TEST(events_have_the_generation_of_their_decision_however_late_they_come_out)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *calls[5];

    driver->slow_news = true;
    for (int i = 0; i < 5; i++)
        calls[i] = driver_invalidate(driver, (struct void_order){.home = "/h"});
    ck_assert_uint_eq(driver_sync(driver, "/h").generation, 6);
    for (size_t i = 0; i < 5; i++) {
        ck_assert(!driver_is_back(driver, calls[i])); /* not before its event */
        ck_assert(driver_take_news(driver));
        ck_assert_uint_eq(driver->news[i].fence.generation, i + 2);
        ck_assert_ptr_eq(driver->news[i].call, calls[i]);
    }
    ck_assert(!driver_take_news(driver));
    driver_destroy(driver);
}
END_TEST

START_TEST(a_global_invalidation_is_one_beat_and_no_events)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call;

    driver_warm(driver, "/h/1");
    driver_warm(driver, "/h/2");
    call = driver_invalidate(driver, (struct void_order){.new_epoch = 7});
    ck_assert_uint_eq(driver->news_count, 1);
    ck_assert_int_eq(driver->news[0].kind, ENGINE_NEWS_BEAT);
    ck_assert_uint_eq(driver->news[0].fence.epoch, 7);
    ck_assert_str_eq(driver->news[0].home, "");
    ck_assert_ptr_eq(driver->news[0].call, call);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_decided_call_is_neither_late_nor_left)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call;

    driver->slow_news = true;
    call = driver_invalidate(driver, (struct void_order){.home = "/h", .patience_ns = NS_PER_S});
    driver_wait(driver, NS_PER_S);
    driver_leave(driver, call);
    ck_assert(!driver_is_back(driver, call));
    ck_assert(driver_take_news(driver));
    ck_assert_int_eq(driver_code(driver, call), STATUS_OK);
    driver_destroy(driver);
}
END_TEST

/* A quiesced call of a home with one worker, whose event is still in the outbox. */
static struct engine_call *quiesce_slowly(struct driver *driver)
{
    struct engine_call *call;

    driver_warm(driver, "/h");
    driver->slow_news = true;
    call = driver_invalidate(driver, (struct void_order){.home = "/h", .quiesced = true, .patience_ns = NS_PER_S});
    ck_assert_int_eq(call->place, ENGINE_CALL_QUIESCING);
    return call;
}

/* Its event comes out all the same, and then its answer. */
static void expect_event_then(struct driver *driver, struct engine_call *call, enum status_code code)
{
    ck_assert(!driver_is_back(driver, call));
    ck_assert(driver_take_news(driver));
    ck_assert_int_eq(driver->news[0].kind, ENGINE_NEWS_EVENT);
    ck_assert_uint_eq(driver->news[0].fence.generation, 2);
    ck_assert_ptr_null(driver->news[0].call);
    ck_assert(driver_take_news(driver));
    ck_assert_int_eq(driver->news[1].kind, ENGINE_NEWS_ANSWER);
    ck_assert_int_eq(driver_code(driver, call), code);
    ck_assert(!driver_take_news(driver));
}

START_TEST(the_event_of_a_quiesced_call_comes_out_though_the_workers_are_gone_before)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = quiesce_slowly(driver);

    driver_gone(driver, 1);
    expect_event_then(driver, call, STATUS_OK);
    driver_destroy(driver);
}
END_TEST

START_TEST(the_event_of_a_quiesced_call_comes_out_though_its_time_is_up_before)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = quiesce_slowly(driver);

    driver_wait(driver, NS_PER_S);
    expect_event_then(driver, call, STATUS_DEADLINE_EXCEEDED);
    driver_destroy(driver);
}
END_TEST

START_TEST(the_event_of_a_quiesced_call_comes_out_though_its_client_left_before)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = quiesce_slowly(driver);

    driver_leave(driver, call);
    driver_leave(driver, call); /* it is decided now */
    expect_event_then(driver, call, STATUS_CANCELLED);
    driver_destroy(driver);
}
END_TEST

START_TEST(the_event_of_a_quiesced_call_comes_out_though_the_daemon_stops_before)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = quiesce_slowly(driver);

    driver_stop(driver);
    expect_event_then(driver, call, STATUS_UNAVAILABLE);
    driver_destroy(driver);
}
END_TEST

START_TEST(others_news_may_stand_between_an_event_and_its_answer)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *quiesced = quiesce_slowly(driver), *other;

    other = driver_invalidate(driver, (struct void_order){.home = "/other"});
    driver_gone(driver, 1);
    ck_assert(driver_take_news(driver));
    ck_assert_ptr_null(driver->news[0].call);
    ck_assert(driver_take_news(driver));
    ck_assert_ptr_eq(driver->news[1].call, other);
    ck_assert(driver_take_news(driver));
    ck_assert_ptr_eq(driver->news[2].call, quiesced);
    driver_destroy(driver);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("engine_news");
    TCase *tests = tcase_create("news");

    tcase_add_test(tests, an_event_says_what_was_asked_and_carries_its_call);
    tcase_add_test(tests, events_have_the_generation_of_their_decision_however_late_they_come_out);
    tcase_add_test(tests, a_global_invalidation_is_one_beat_and_no_events);
    tcase_add_test(tests, a_decided_call_is_neither_late_nor_left);
    tcase_add_test(tests, the_event_of_a_quiesced_call_comes_out_though_the_workers_are_gone_before);
    tcase_add_test(tests, the_event_of_a_quiesced_call_comes_out_though_its_time_is_up_before);
    tcase_add_test(tests, the_event_of_a_quiesced_call_comes_out_though_its_client_left_before);
    tcase_add_test(tests, the_event_of_a_quiesced_call_comes_out_though_the_daemon_stops_before);
    tcase_add_test(tests, others_news_may_stand_between_an_event_and_its_answer);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return check_main(make_suite());
}
