/* Short memory: a call that needs some is refused and leaves everything as it was; what ends things needs none. */
#include "tests/sim/memory.h"
#include "tests/support/check_main.h"
#include "tests/support/engine_driver.h"

/* The driver and Check need memory themselves, so only the engine's steps are watched. */
static struct {
    uint64_t fail_at; /* in the next step: this allocation, and all behind it; 0: none */
    bool failed;      /* in the last step */
    uint64_t asked_count;
} memory;

static void watch(bool begins)
{
    struct memory_watched watched;

    if (begins) {
        memory_watch(memory.fail_at);
        return;
    }
    watched = memory_unwatch();
    memory.failed = watched.failed;
    memory.asked_count += watched.asked_count;
}

static struct driver *create_watched(const struct engine_settings *settings)
{
    struct driver *driver = driver_create(settings);

    driver->around_step = watch;
    return driver;
}

/* Every allocation fails from now on, and none should be asked for; until stop_failing says how many were. */
static void fail_everything(void)
{
    memory.fail_at = 1;
    memory.asked_count = 0;
}

static uint64_t stop_failing(void)
{
    memory.fail_at = 0;
    return memory.asked_count;
}

static struct engine_call *ask_short_of_memory(struct driver *driver, struct ask ask, uint64_t fail_at)
{
    struct engine_call *call;

    memory.fail_at = fail_at;
    call = driver_ask(driver, ask);
    memory.fail_at = 0;
    return call;
}

static void check_unchanged(const struct engine_view *before, struct driver *driver, bool home_too)
{
    struct engine_view after = driver_view(driver);

    ck_assert_uint_eq(after.flights, before->flights);
    ck_assert_uint_eq(after.aboard, before->aboard);
    ck_assert_uint_eq(after.waiting, before->waiting);
    ck_assert_uint_eq(after.cache_entries, before->cache_entries);
    ck_assert_mem_eq(after.workers, before->workers, sizeof after.workers);
    if (home_too)
        ck_assert_uint_eq(after.homes, before->homes);
}

/* Fails the first, the second, the third … allocation of this question, until there is none left to fail. */
static int refuse_until_enough(struct driver *driver, struct ask ask)
{
    for (uint64_t fail_at = 1;; fail_at++) {
        struct engine_view before = driver_view(driver);
        struct engine_call *call = ask_short_of_memory(driver, ask, fail_at);

        if (!memory.failed) {
            ck_assert(!driver_is_back(driver, call));
            return (int)fail_at - 1;
        }
        ck_assert_int_eq(driver_code(driver, call), STATUS_RESOURCE_EXHAUSTED);
        ck_assert_ptr_nonnull(strstr(call->result.status.message, "memory"));
        check_unchanged(&before, driver, true);
    }
}

START_TEST(a_probe_of_an_unknown_home_is_refused_or_taken_in_whole)
{
    struct driver *driver = create_watched(&driver_settings);
    /* home, its table (2), household, entry, its table (2), room for the deadline, flight, failure */
    int count = refuse_until_enough(driver, (struct ask){0});

    ck_assert_int_ge(count, 8);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_REFUSED_MEMORY), (uint64_t)count);
    driver_up(driver, 1);
    driver_answer(driver, 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_probe_of_a_known_home_is_refused_or_taken_in_whole)
{
    struct driver *driver = create_watched(&driver_settings);

    driver_warm(driver, "/h");
    ck_assert_int_ge(refuse_until_enough(driver, (struct ask){.key = "1"}), 3);
    ck_assert_uint_eq(driver_sync(driver, "/h").generation, 1);
    driver_answer(driver, 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_home_known_before_is_known_after_a_refusal)
{
    struct driver *driver = create_watched(&driver_settings);

    driver_warm(driver, "/h");
    driver_wait(driver, driver_settings.idle_ns_max);
    driver_gone(driver, 1);
    ck_assert_uint_eq(driver_view(driver).homes, 1); /* nothing is left but the home */
    refuse_until_enough(driver, (struct ask){0});
    ck_assert_uint_eq(driver_view(driver).homes, 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_probe_that_has_to_wait_is_refused_or_taken_in_whole)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;

    settings.workers_per_home = 1;
    driver = create_watched(&settings);
    driver_ask(driver, (struct ask){.key = "1"});
    ck_assert_int_ge(refuse_until_enough(driver, (struct ask){.key = "2", .uid = 1001}), 4); /* its uid is new, too */
    ck_assert_uint_eq(driver_view(driver).waiting, 2);
    driver_destroy(driver);
}
END_TEST

START_TEST(the_last_good_answer_stands_in_for_a_refusal_and_needs_no_memory)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;
    struct engine_call *good, *call;

    settings.keep_good_ns = 3600 * NS_PER_S;
    driver = create_watched(&settings);
    good = driver_ask_and_reply(driver, (struct ask){0}, (struct reply){.account = ACCOUNT_OK, .figures = true});
    call = ask_short_of_memory(driver, (struct ask){.refresh = true, .accept_stale = true}, 1);
    ck_assert(memory.failed);
    ck_assert_int_eq(driver_code(driver, call), STATUS_RESOURCE_EXHAUSTED);
    ck_assert(call->result.stale);
    ck_assert_ptr_eq(call->result.answer, good->result.answer);
    driver_destroy(driver);
}
END_TEST

/* Fills the heap of deadlines, so that the next one needs memory. */
static void fill_deadlines(struct driver *driver)
{
    struct engine_call *call;

    do {
        call = ask_short_of_memory(driver, (struct ask){0}, 1);
        ck_assert(memory.failed == driver_is_back(driver, call));
    } while (!memory.failed);
}

START_TEST(a_joiner_is_refused_alone)
{
    struct driver *driver = create_watched(&driver_settings);
    struct engine_call *first = driver_ask(driver, (struct ask){0});

    fill_deadlines(driver);
    driver_up(driver, 1);
    driver_answer(driver, 1);
    ck_assert_int_eq(driver_code(driver, first), STATUS_OK);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_call_to_be_parked_is_refused)
{
    struct driver *driver = create_watched(&driver_settings);
    struct engine_call *call = driver_prepare(driver, (struct ask){0});

    fail_everything();
    driver_park(driver, call);
    ck_assert_uint_gt(stop_failing(), 0);
    ck_assert_int_eq(driver_code(driver, call), STATUS_RESOURCE_EXHAUSTED);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_PROBES), 0);
    driver_destroy(driver);
}
END_TEST

START_TEST(an_invalidation_of_an_unknown_home_is_refused_and_moves_nothing)
{
    struct driver *driver = create_watched(&driver_settings);

    for (uint64_t fail_at = 1; fail_at <= 3; fail_at++) {
        struct engine_call *call;

        memory.fail_at = fail_at;
        call = driver_invalidate(driver, (struct void_order){.home = "/h"});
        memory.fail_at = 0;
        ck_assert(memory.failed);
        ck_assert_int_eq(driver_code(driver, call), STATUS_RESOURCE_EXHAUSTED);
        ck_assert_uint_eq(driver_sync(driver, "/h").generation, 1);
        ck_assert_uint_eq(driver->news_count, 0);
    }
    driver_destroy(driver);
}
END_TEST

START_TEST(a_fence_of_a_known_home_needs_no_memory)
{
    struct driver *driver = create_watched(&driver_settings);
    struct engine_call *fenced, *quiesced;

    driver_warm(driver, "/h");
    driver_ask(driver, (struct ask){.key = "1"});
    driver_ask(driver, (struct ask){.key = "2"});
    fill_deadlines(driver);
    fail_everything();
    quiesced = driver_invalidate(driver, (struct void_order){.home = "/h", .quiesced = true});
    fenced = driver_invalidate(driver, (struct void_order){.home = "/h"});
    ck_assert_uint_eq(stop_failing(), 0);
    ck_assert_int_eq(driver_code(driver, fenced), STATUS_OK);
    ck_assert_int_eq(quiesced->place, ENGINE_CALL_QUIESCING);
    driver_destroy(driver);
}
END_TEST

START_TEST(what_ends_things_needs_no_memory_even_where_it_starts_others)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;
    struct engine_call *call;

    settings.workers_max = 2;
    driver = create_watched(&settings);
    call = driver_ask(driver, (struct ask){.home = "/h/1"});
    driver_ask(driver, (struct ask){.home = "/h/2"});
    driver_ask(driver, (struct ask){.home = "/h/3"}); /* waits for room */
    driver_up(driver, 1);
    driver_up(driver, 2);
    fail_everything();
    driver_return(driver, 1, LEASE_DIED); /* run again: waits for room, too */
    driver_gone(driver, 1);               /* room */
    driver_return(driver, 2, LEASE_TIMED_OUT);
    driver_gone(driver, 2);
    driver_invalidate(driver, (struct void_order){.home = "/h/3"}); /* what was started for it is started again */
    driver_leave(driver, call);
    driver_wait(driver, 40 * NS_PER_S);
    ck_assert_uint_eq(stop_failing(), 0);
    ck_assert_uint_eq(driver->pinned_count, 4);
    driver_destroy(driver);
}
END_TEST

START_TEST(starts_ahead_yields_and_reserve_workers_need_no_memory)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;

    settings.workers_max = 3;
    settings.prewarm = true;
    settings.reserve_per_home = 1;
    settings.requests_max = 2;
    driver = create_watched(&settings);
    driver_ask(driver, (struct ask){.key = "1", .uid = 1001});
    driver_ask(driver, (struct ask){.key = "2", .uid = 1001});
    driver_ask(driver, (struct ask){.key = "3", .uid = 1001});
    driver_up(driver, 1);
    driver_up(driver, 2);
    fail_everything();
    driver_wait(driver, NS_PER_S); /* a reserve worker */
    ck_assert_uint_eq(driver->pinned_count, 3);
    stop_failing();
    driver_ask(driver, (struct ask){.key = "4", .uid = 1001});
    driver_ask(driver, (struct ask){.home = "/other", .uid = 1002});
    fail_everything();
    driver_answer(driver, 1);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_YIELDED), 1);
    driver_gone(driver, 1);
    driver_answer(driver, 2); /* lent once more */
    driver_up(driver, 3);
    driver_answer(driver, 2); /* worn out */
    driver_answer(driver, 3);
    driver_gone(driver, 2);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_STARTS_AHEAD), 1);
    driver_invalidate(driver, (struct void_order){.home = "/h"});
    driver_gone(driver, 3);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_STARTS_AHEAD), 2);
    ck_assert_uint_eq(stop_failing(), 0);
    driver_destroy(driver);
}
END_TEST

START_TEST(faults_and_pauses_need_no_memory)
{
    struct driver *driver = create_watched(&driver_settings);

    for (uint64_t id = 1; id <= 2; id++) {
        driver_ask(driver, (struct ask){.refresh = true});
        driver_up(driver, id);
        driver_leave(driver, &driver->calls[id - 1]);
        fail_everything();
        driver_return(driver, id, LEASE_DIED);
        driver_gone(driver, id);
        ck_assert_uint_eq(stop_failing(), 0);
    }
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_PAUSES), 1);
    fail_everything();
    ck_assert_int_eq(driver_code(driver, driver_ask(driver, (struct ask){.refresh = true})), STATUS_UNAVAILABLE);
    ck_assert_uint_eq(stop_failing(), 0);
    driver_destroy(driver);
}
END_TEST

START_TEST(every_worker_seat_is_used_again)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;

    settings.workers_max = 2;
    settings.requests_max = 1;
    driver = create_watched(&settings);
    driver_ask(driver, (struct ask){0});
    for (uint64_t id = 1; id < 50; id++) {
        driver_up(driver, id);
        fail_everything();
        driver_invalidate(driver, (struct void_order){.home = "/h"});
        if (id % 2 == 0)
            driver_gone(driver, id); /* before its lease is back */
        driver_return(driver, id, LEASE_STRAY);
        driver_gone(driver, id);
        ck_assert_uint_eq(stop_failing(), 0);
        driver_ask(driver, (struct ask){0});
    }
    driver_destroy(driver);
}
END_TEST

START_TEST(an_engine_is_created_whole_or_not_at_all)
{
    struct map_seed seed = {{1}};
    struct engine *engine = NULL;
    int64_t blocks_before = memory_block_count();
    uint64_t fail_at = 0;
    bool leaked = false;

    while (engine == NULL) {
        memory_watch(++fail_at);
        engine = engine_create(&driver_settings, &seed, DRIVER_EPOCH);
        (void)memory_unwatch();
        leaked |= engine == NULL && memory_block_count() != blocks_before;
    }
    ck_assert(!leaked);
    ck_assert_uint_gt(fail_at, 2);
    blocks_before = memory_block_count();
    engine_destroy(engine);
    ck_assert_int_lt(memory_block_count(), blocks_before);
}
END_TEST

START_TEST(seats_that_a_higher_limit_asks_for_may_be_refused)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;

    settings.workers_max = 1;
    driver = create_watched(&settings);
    driver_warm(driver, "/h");
    settings.workers_max = 64;
    driver_settings_changed(driver, &settings);
    ck_assert_int_gt(refuse_until_enough(driver, (struct ask){.key = "1"}),
                     10);     /* those made stay, so it comes to an end */
    driver_answer(driver, 1); /* its worker is found where it is now */
    driver_destroy(driver);
}
END_TEST

START_TEST(homes_are_not_shown_when_memory_is_short)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_home_view view;
    bool more = false;
    size_t count;

    driver_warm(driver, "/h");
    memory_watch(1);
    count = engine_look_homes(driver->engine, driver->now_ns, "", &view, 1, &more);
    (void)memory_unwatch();
    ck_assert_uint_eq(count, 0);
    ck_assert(more);
    driver_destroy(driver);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("engine_memory");
    TCase *tests = tcase_create("memory");

    tcase_add_test(tests, a_probe_of_an_unknown_home_is_refused_or_taken_in_whole);
    tcase_add_test(tests, a_probe_of_a_known_home_is_refused_or_taken_in_whole);
    tcase_add_test(tests, a_home_known_before_is_known_after_a_refusal);
    tcase_add_test(tests, a_probe_that_has_to_wait_is_refused_or_taken_in_whole);
    tcase_add_test(tests, the_last_good_answer_stands_in_for_a_refusal_and_needs_no_memory);
    tcase_add_test(tests, a_joiner_is_refused_alone);
    tcase_add_test(tests, a_call_to_be_parked_is_refused);
    tcase_add_test(tests, an_invalidation_of_an_unknown_home_is_refused_and_moves_nothing);
    tcase_add_test(tests, a_fence_of_a_known_home_needs_no_memory);
    tcase_add_test(tests, what_ends_things_needs_no_memory_even_where_it_starts_others);
    tcase_add_test(tests, starts_ahead_yields_and_reserve_workers_need_no_memory);
    tcase_add_test(tests, faults_and_pauses_need_no_memory);
    tcase_add_test(tests, every_worker_seat_is_used_again);
    tcase_add_test(tests, an_engine_is_created_whole_or_not_at_all);
    tcase_add_test(tests, seats_that_a_higher_limit_asks_for_may_be_refused);
    tcase_add_test(tests, homes_are_not_shown_when_memory_is_short);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return check_main(make_suite());
}
