/* Homes and generations: proto/README.md 3, "Generations belong to the canonical path and outlive idle homes". */
#include "tests/support/check_main.h"
#include "tests/support/engine_driver.h"

#include <stdio.h>

START_TEST(an_untouched_home_is_at_generation_1)
{
    struct driver *driver = driver_create(&driver_settings);
    struct fence fence = driver_sync(driver, "/never/probed");

    ck_assert_uint_eq(fence.epoch, DRIVER_EPOCH);
    ck_assert_uint_eq(fence.generation, 1);
    ck_assert_uint_eq(driver_view(driver).homes, 0); /* and asking does not make it known */
    driver_destroy(driver);
}
END_TEST

START_TEST(each_change_adds_exactly_one_generation)
{
    struct driver *driver = driver_create(&driver_settings);

    for (uint64_t generation = 2; generation < 12; generation++) {
        struct engine_call *call = driver_invalidate(driver, (struct void_order){.home = "/h"});

        ck_assert_int_eq(driver_code(driver, call), STATUS_OK);
        ck_assert_uint_eq(call->result.fence.generation, generation);
        ck_assert_uint_eq(driver_sync(driver, "/h").generation, generation);
    }
    ck_assert_uint_eq(driver_sync(driver, "/other").generation, 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_generation_outlives_everything_else_of_its_home)
{
    struct driver *driver = driver_create(&driver_settings);

    driver_invalidate(driver, (struct void_order){.home = "/h"});
    driver_warm(driver, "/h");
    driver_wait(driver, driver_settings.idle_ns_max);
    driver_gone(driver, 1);
    ck_assert_uint_eq(driver_view(driver).cache_entries, 0);
    ck_assert_uint_eq(driver_view(driver).homes, 1);
    ck_assert_uint_eq(driver_sync(driver, "/h").generation, 2);
    driver_destroy(driver);
}
END_TEST

START_TEST(invalidating_a_home_never_probed_succeeds_and_moves_its_generation)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = driver_invalidate(driver, (struct void_order){.home = "/h"});

    ck_assert_int_eq(driver_code(driver, call), STATUS_OK);
    ck_assert_uint_eq(call->result.fence.generation, 2);
    ck_assert_uint_eq(call->result.cache_dropped + call->result.workers_retired + call->result.workers_draining, 0);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_home_whose_directory_is_gone_is_invalidated_only_if_known)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = driver_invalidate(driver, (struct void_order){.home = "/h", .known_only = true});

    ck_assert_int_eq(driver_code(driver, call), STATUS_NOT_FOUND);
    ck_assert_uint_eq(driver_sync(driver, "/h").generation, 1);
    ck_assert_uint_eq(driver->news_count, 0);
    driver_warm(driver, "/h");
    call = driver_invalidate(driver, (struct void_order){.home = "/h", .known_only = true});
    ck_assert_int_eq(driver_code(driver, call), STATUS_OK);
    ck_assert_uint_eq(call->result.fence.generation, 2);
    driver_destroy(driver);
}
END_TEST

START_TEST(homes_beyond_homes_max_are_refused_with_the_limit_in_the_message)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;
    struct engine_call *call;

    settings.homes_max = 2;
    driver = driver_create(&settings);
    driver_warm(driver, "/h/1");
    driver_warm(driver, "/h/2");
    call = driver_ask(driver, (struct ask){.home = "/h/3"});
    ck_assert_int_eq(driver_code(driver, call), STATUS_RESOURCE_EXHAUSTED);
    ck_assert_ptr_nonnull(strstr(call->result.status.message, "server.homes_max: 2"));
    call = driver_invalidate(driver, (struct void_order){.home = "/h/3"});
    ck_assert_int_eq(driver_code(driver, call), STATUS_RESOURCE_EXHAUSTED);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_REFUSED_HOMES_MAX), 2);
    ck_assert_int_eq(driver_code(driver, driver_ask(driver, (struct ask){.home = "/h/1", .key = "warming"})),
                     STATUS_OK);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_home_of_which_nothing_is_known_but_generation_1_makes_place_for_another)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;

    settings.homes_max = 1;
    driver = driver_create(&settings);
    driver_warm(driver, "/h/1");
    driver_wait(driver, driver_settings.idle_ns_max);
    driver_gone(driver, 1);
    driver_warm(driver, "/h/2");
    ck_assert_uint_eq(driver_view(driver).homes, 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_home_that_was_changed_is_not_forgotten_for_another)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;
    struct engine_call *call;

    settings.homes_max = 1;
    driver = driver_create(&settings);
    driver_invalidate(driver, (struct void_order){.home = "/h/1"});
    call = driver_ask(driver, (struct ask){.home = "/h/2"});
    ck_assert_int_eq(driver_code(driver, call), STATUS_RESOURCE_EXHAUSTED);
    ck_assert_uint_eq(driver_sync(driver, "/h/1").generation, 2);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_new_epoch_lets_homes_be_forgotten_that_were_changed_before_it)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;

    settings.homes_max = 2;
    driver = driver_create(&settings);
    driver_invalidate(driver, (struct void_order){.home = "/h/1"});
    driver_warm(driver, "/h/2");
    driver_invalidate(driver, (struct void_order){.home = "/h/2"});
    driver_invalidate(driver, (struct void_order){.new_epoch = 7});
    driver_warm(driver, "/h/3");
    ck_assert_uint_eq(driver_view(driver).homes, 2);
    ck_assert_uint_eq(driver_sync(driver, "/h/2").generation, 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_new_epoch_lets_any_number_of_homes_be_forgotten)
{
    enum { HOME_COUNT = 100 };
    struct engine_settings settings = driver_settings;
    struct driver *driver;
    char home[16];

    settings.homes_max = HOME_COUNT;
    driver = driver_create(&settings);
    for (int i = 0; i < 2 * HOME_COUNT; i++) {
        if (i == HOME_COUNT)
            driver_invalidate(driver, (struct void_order){.new_epoch = 7});
        snprintf(home, sizeof home, "/%d", i);
        ck_assert_int_eq(driver_code(driver, driver_invalidate(driver, (struct void_order){.home = home})), STATUS_OK);
    }
    ck_assert_uint_eq(driver_view(driver).homes, HOME_COUNT);
    ck_assert_int_eq(driver_code(driver, driver_invalidate(driver, (struct void_order){.home = "/more"})),
                     STATUS_RESOURCE_EXHAUSTED);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_home_in_use_is_not_forgotten_by_a_new_epoch)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;
    struct engine_call *call;

    settings.homes_max = 1;
    driver = driver_create(&settings);
    driver_invalidate(driver, (struct void_order){.home = "/h/1"});
    driver_warm(driver, "/h/1");
    driver_invalidate(driver, (struct void_order){.new_epoch = 7});
    call = driver_ask(driver, (struct ask){.home = "/h/2"});
    ck_assert_int_eq(driver_code(driver, call), STATUS_RESOURCE_EXHAUSTED);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_home_named_by_an_event_still_to_come_out_is_not_forgotten)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;
    struct engine_call *call;

    settings.homes_max = 1;
    driver = driver_create(&settings);
    driver->slow_news = true;
    driver_invalidate(driver, (struct void_order){.home = "/h/1"});
    driver_invalidate(driver, (struct void_order){.new_epoch = 7});
    call = driver_ask(driver, (struct ask){.home = "/h/2"});
    ck_assert_int_eq(driver_code(driver, call), STATUS_RESOURCE_EXHAUSTED);
    ck_assert(driver_take_news(driver));
    ck_assert_str_eq(driver->news[0].home, "/h/1");
    ck_assert_uint_eq(driver->news[0].fence.epoch, DRIVER_EPOCH);
    call = driver_ask(driver, (struct ask){.home = "/h/2"});
    ck_assert(!driver_is_back(driver, call));
    driver_destroy(driver);
}
END_TEST

START_TEST(at_least_of_the_future_or_of_another_epoch_is_a_failed_precondition)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call;

    driver_invalidate(driver, (struct void_order){.home = "/h"});
    call = driver_ask(driver, (struct ask){.at_least = {DRIVER_EPOCH, 3}});
    ck_assert_int_eq(driver_code(driver, call), STATUS_FAILED_PRECONDITION);
    ck_assert_ptr_nonnull(strstr(call->result.status.message, "the home is at generation 2 of epoch 00000000000000e1"));
    call = driver_ask(driver, (struct ask){.at_least = {DRIVER_EPOCH + 1, 1}});
    ck_assert_int_eq(driver_code(driver, call), STATUS_FAILED_PRECONDITION);
    call = driver_ask(driver, (struct ask){.home = "/unknown", .at_least = {DRIVER_EPOCH, 2}});
    ck_assert_int_eq(driver_code(driver, call), STATUS_FAILED_PRECONDITION);
    call = driver_ask(driver, (struct ask){.at_least = {DRIVER_EPOCH, 2}});
    ck_assert(!driver_is_back(driver, call));
    driver_destroy(driver);
}
END_TEST

START_TEST(a_home_with_nothing_but_answers_of_an_older_epoch_makes_place)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;
    struct engine_call *call;

    settings.homes_max = 1;
    settings.idle_ns_max = NS_PER_S;
    driver = driver_create(&settings);
    driver_ask(driver, (struct ask){.home = "/h/1"});
    driver_up(driver, 1);
    driver_answer(driver, 1);
    driver_invalidate(driver, (struct void_order){.new_epoch = 7});
    driver_gone(driver, 1);
    call = driver_ask(driver, (struct ask){.home = "/h/2"});
    ck_assert(!driver_is_back(driver, call)); /* taken in */
    ck_assert_uint_eq(driver_view(driver).homes, 1);
    driver_destroy(driver);
}
END_TEST

static const struct engine_directory first = {{1}}, other = {{2}};

START_TEST(a_home_is_other_once_its_path_leads_to_another_directory)
{
    struct driver *driver = driver_create(&driver_settings);

    ck_assert(!engine_home_is_other(driver->engine, "/h", &first)); /* not known */
    driver_invalidate(driver, (struct void_order){.home = "/h"});
    ck_assert(!engine_home_is_other(driver->engine, "/h", &first)); /* known, and nobody said */
    driver_ask(driver, (struct ask){.directory = 1});
    ck_assert(!engine_home_is_other(driver->engine, "/h", &first));
    ck_assert(engine_home_is_other(driver->engine, "/h", &other));
    engine_home_becomes(driver->engine, "/h", &other);
    ck_assert(!engine_home_is_other(driver->engine, "/h", &other));
    ck_assert(engine_home_is_other(driver->engine, "/h", &first));
    engine_home_becomes(driver->engine, "/never", &other); /* nothing is made known */
    ck_assert_uint_eq(driver_view(driver).homes, 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(who_was_let_in_for_one_directory_is_told_of_no_other)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *before = driver_ask(driver, (struct ask){.directory = 1, .accept_stale = true}), *behind;

    driver_up(driver, 1);
    driver_invalidate(driver, (struct void_order){.home = "/h"});
    engine_home_becomes(driver->engine, "/h", &other);
    behind = driver_ask(driver, (struct ask){.directory = 2}); /* joins what is run again */
    driver_up(driver, 2);
    driver_reply(driver, 2, (struct reply){.account = ACCOUNT_OK, .figures = true});
    ck_assert_int_eq(driver_code(driver, before), STATUS_ABORTED);
    ck_assert(!before->result.stale); /* what is good now is the other's */
    ck_assert_int_eq(driver_code(driver, behind), STATUS_OK);
    driver_destroy(driver);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("engine_home");
    TCase *tests = tcase_create("homes");

    tcase_add_test(tests, an_untouched_home_is_at_generation_1);
    tcase_add_test(tests, each_change_adds_exactly_one_generation);
    tcase_add_test(tests, a_generation_outlives_everything_else_of_its_home);
    tcase_add_test(tests, invalidating_a_home_never_probed_succeeds_and_moves_its_generation);
    tcase_add_test(tests, a_home_whose_directory_is_gone_is_invalidated_only_if_known);
    tcase_add_test(tests, homes_beyond_homes_max_are_refused_with_the_limit_in_the_message);
    tcase_add_test(tests, a_home_of_which_nothing_is_known_but_generation_1_makes_place_for_another);
    tcase_add_test(tests, a_home_that_was_changed_is_not_forgotten_for_another);
    tcase_add_test(tests, a_new_epoch_lets_homes_be_forgotten_that_were_changed_before_it);
    tcase_add_test(tests, a_new_epoch_lets_any_number_of_homes_be_forgotten);
    tcase_add_test(tests, a_home_in_use_is_not_forgotten_by_a_new_epoch);
    tcase_add_test(tests, a_home_with_nothing_but_answers_of_an_older_epoch_makes_place);
    tcase_add_test(tests, a_home_named_by_an_event_still_to_come_out_is_not_forgotten);
    tcase_add_test(tests, at_least_of_the_future_or_of_another_epoch_is_a_failed_precondition);
    tcase_add_test(tests, a_home_is_other_once_its_path_leads_to_another_directory);
    tcase_add_test(tests, who_was_let_in_for_one_directory_is_told_of_no_other);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return check_main(make_suite());
}
