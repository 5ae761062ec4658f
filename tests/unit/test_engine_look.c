/* Looking at the engine: what administrators and heartbeats are shown. */
#include "tests/support/check_main.h"
#include "tests/support/engine_driver.h"

#include <stdio.h>

enum { VIEW_COUNT = 16 };

static struct engine_home_view homes[VIEW_COUNT];
static struct engine_worker_view workers[VIEW_COUNT];

START_TEST(homes_are_shown_by_path_page_by_page)
{
    struct driver *driver = driver_create(&driver_settings);
    const char *order[] = {"/h/7", "/h/10", "/h/3", "/h/1", "/h/9", "/h/2", "/a", "/h/8", "/h/5", "/h/6", "/h/4"};
    const char *sorted[] = {"/a", "/h/1", "/h/10", "/h/2", "/h/3", "/h/4", "/h/5", "/h/6", "/h/7", "/h/8", "/h/9"};
    char after[64] = "";
    size_t shown = 0;
    bool more = true;

    for (size_t i = 0; i < 11; i++)
        driver_invalidate(driver, (struct void_order){.home = order[i]});
    while (more) {
        size_t count = engine_look_homes(driver->engine, driver->now_ns, after, homes, 4, &more);

        ck_assert_uint_eq(count, shown == 8 ? 3 : 4);
        for (size_t i = 0; i < count; i++)
            ck_assert_str_eq(homes[i].home, sorted[shown++]);
        snprintf(after, sizeof after, "%.63s", homes[count - 1].home);
    }
    ck_assert_uint_eq(shown, 11);
    ck_assert_uint_eq(engine_look_homes(driver->engine, driver->now_ns, "/h/55", homes, VIEW_COUNT, &more), 4);
    ck_assert_uint_eq(engine_look_homes(driver->engine, driver->now_ns, "", homes, 0, &more), 0);
    ck_assert(more);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_home_shows_workers_waiters_and_answers)
{
    struct driver *driver = driver_create(&driver_settings);
    bool more;

    driver_warm(driver, "/h");
    driver_invalidate(driver, (struct void_order){.home = "/unused"});
    driver_ask(driver, (struct ask){.key = "1"}); /* leased */
    driver_ask(driver, (struct ask){.key = "2"}); /* a start */
    driver_wait(driver, NS_PER_S);
    driver_ask(driver, (struct ask){.key = "2"});
    driver_wait(driver, NS_PER_S);
    ck_assert_uint_eq(engine_look_homes(driver->engine, driver->now_ns, "", homes, VIEW_COUNT, &more), 2);
    ck_assert(!more);
    ck_assert_str_eq(homes[0].home, "/h");
    ck_assert_uint_eq(homes[0].generation, 1);
    ck_assert_uint_eq(homes[0].workers[WORKER_LEASED], 1);
    ck_assert_uint_eq(homes[0].workers[WORKER_STARTING], 1);
    ck_assert_uint_eq(homes[0].waiting, 2);
    ck_assert_uint_eq(homes[0].oldest_wait_ns, 2 * NS_PER_S);
    ck_assert_uint_eq(homes[0].cache_entries, 1);
    ck_assert_uint_eq(homes[1].generation, 2);
    ck_assert_uint_eq(homes[1].waiting, 0);
    driver_return(driver, 1, LEASE_DIED); /* waits for a fresh one: waits all the same */
    engine_look_homes(driver->engine, driver->now_ns, "", homes, VIEW_COUNT, &more);
    ck_assert_uint_eq(homes[0].waiting, 3);
    driver_destroy(driver);
}
END_TEST

START_TEST(workers_are_shown_by_id_with_what_they_ask)
{
    struct driver *driver = driver_create(&driver_settings);
    bool more;

    driver_warm(driver, "/h/1");
    driver_ask(driver, (struct ask){.home = "/h/2", .provider = "anthropic"});
    driver_up(driver, 2);
    driver_ask(driver, (struct ask){.home = "/h/2", .provider = "anthropic"});
    driver_wait(driver, NS_PER_S);
    ck_assert_uint_eq(engine_look_workers(driver->engine, driver->now_ns, "", 0, workers, VIEW_COUNT, &more), 2);
    ck_assert(!more);
    ck_assert_uint_eq(workers[0].worker_id, 1);
    ck_assert_int_eq(workers[0].state, WORKER_IDLE);
    ck_assert_uint_eq(workers[0].lease_id, 0);
    ck_assert_str_eq(workers[0].provider, "");
    ck_assert_uint_eq(workers[1].worker_id, 2);
    ck_assert_int_eq(workers[1].pid, 2);
    ck_assert_str_eq(workers[1].home, "/h/2");
    ck_assert_int_eq(workers[1].state, WORKER_LEASED);
    ck_assert_uint_eq(workers[1].state_ns, NS_PER_S);
    ck_assert_uint_eq(workers[1].age_ns, NS_PER_S);
    ck_assert_uint_eq(workers[1].lease_id, 2);
    ck_assert_str_eq(workers[1].provider, "anthropic");
    ck_assert_uint_eq(workers[1].callers, 2);
    ck_assert_uint_eq(workers[1].leases, 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_draining_worker_is_shown_with_the_lease_that_nobody_hears)
{
    struct driver *driver = driver_create(&driver_settings);
    bool more;

    driver_ask(driver, (struct ask){.provider = "anthropic"});
    driver_up(driver, 1);
    driver_invalidate(driver, (struct void_order){.home = "/h"});
    engine_look_workers(driver->engine, driver->now_ns, "", 0, workers, VIEW_COUNT, &more);
    ck_assert_int_eq(workers[0].state, WORKER_DRAINING);
    ck_assert_uint_eq(workers[0].generation, 1);
    ck_assert_uint_eq(workers[0].lease_id, 1);
    ck_assert_str_eq(workers[0].provider, "anthropic");
    ck_assert_uint_eq(workers[0].callers, 0);
    driver_destroy(driver);
}
END_TEST

START_TEST(workers_are_shown_of_one_home_behind_an_id_as_many_as_fit)
{
    struct driver *driver = driver_create(&driver_settings);
    bool more;

    driver_warm(driver, "/h/1");
    driver_warm(driver, "/h/2");
    driver_warm(driver, "/h/3");
    ck_assert_uint_eq(engine_look_workers(driver->engine, driver->now_ns, "/h/2", 0, workers, VIEW_COUNT, &more), 1);
    ck_assert_uint_eq(workers[0].worker_id, 2);
    ck_assert_uint_eq(engine_look_workers(driver->engine, driver->now_ns, "/none", 0, workers, VIEW_COUNT, &more), 0);
    ck_assert_uint_eq(engine_look_workers(driver->engine, driver->now_ns, "", 1, workers, 1, &more), 1);
    ck_assert_uint_eq(workers[0].worker_id, 2);
    ck_assert(more);
    driver_destroy(driver);
}
END_TEST

START_TEST(homes_in_which_something_happens_are_shown_without_the_others)
{
    struct driver *driver = driver_create(&driver_settings);
    bool more;

    for (size_t i = 0; i < 8; i++) { /* known, and at rest */
        char path[8];

        snprintf(path, sizeof path, "/q/%zu", i);
        driver_invalidate(driver, (struct void_order){.home = path});
    }
    driver_warm(driver, "/h/2");
    driver_ask(driver, (struct ask){.home = "/h/1"}); /* waits, and its worker starts: shown once all the same */
    driver_ask(driver, (struct ask){.home = "/h/1", .key = "2"});
    driver_ask(driver, (struct ask){.home = "/h/3"});
    driver_gone(driver, 4); /* its worker could not be started */
    ck_assert_uint_eq(engine_look_busy_homes(driver->engine, driver->now_ns, homes, VIEW_COUNT, &more), 3);
    ck_assert(!more);
    ck_assert_str_eq(homes[0].home, "/h/1");
    ck_assert_uint_eq(homes[0].waiting, 2);
    ck_assert_str_eq(homes[1].home, "/h/2");
    ck_assert_uint_eq(homes[1].workers[WORKER_IDLE], 1);
    ck_assert_str_eq(homes[2].home, "/h/3");
    ck_assert_str_ne(homes[2].last_failure, "");
    ck_assert_uint_eq(engine_look_busy_homes(driver->engine, driver->now_ns, homes, 2, &more), 2);
    ck_assert(more);
    ck_assert_str_eq(homes[1].home, "/h/2");
    driver_destroy(driver);
}
END_TEST

START_TEST(starts_are_waited_for_when_they_keep_others_from_theirs)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;

    settings.workers_max = 1;
    driver = driver_create(&settings);
    driver_ask(driver, (struct ask){.home = "/slow"});
    ck_assert(!engine_waits_for_starts(driver->engine)); /* nobody else wants its place */
    driver_ask(driver, (struct ask){.home = "/other"});
    ck_assert(engine_waits_for_starts(driver->engine));
    driver_up(driver, 1);
    ck_assert(!engine_waits_for_starts(driver->engine)); /* it has come up: a lease is what is waited for */
    driver_destroy(driver);
}
END_TEST

START_TEST(every_counter_has_a_name_of_its_own)
{
    for (int one = 0; one < ENGINE_COUNTER_COUNT; one++) {
        ck_assert_int_eq(strncmp(engine_counter_name((enum engine_counter)one), "probed_", 7), 0);
        for (int other = 0; other < one; other++)
            ck_assert_str_ne(engine_counter_name((enum engine_counter)one),
                             engine_counter_name((enum engine_counter)other));
    }
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("engine_look");
    TCase *tests = tcase_create("look");

    tcase_add_test(tests, homes_are_shown_by_path_page_by_page);
    tcase_add_test(tests, a_home_shows_workers_waiters_and_answers);
    tcase_add_test(tests, workers_are_shown_by_id_with_what_they_ask);
    tcase_add_test(tests, a_draining_worker_is_shown_with_the_lease_that_nobody_hears);
    tcase_add_test(tests, workers_are_shown_of_one_home_behind_an_id_as_many_as_fit);
    tcase_add_test(tests, homes_in_which_something_happens_are_shown_without_the_others);
    tcase_add_test(tests, starts_are_waited_for_when_they_keep_others_from_theirs);
    tcase_add_test(tests, every_counter_has_a_name_of_its_own);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return check_main(make_suite());
}
