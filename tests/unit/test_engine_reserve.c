/* Workers beyond the plain need: reserve for those who have waited, starts ahead of those who will ask, replacements
 * for the worn out.  proto/README.md 2, section pool. */
#include "tests/support/check_main.h"
#include "tests/support/engine_driver.h"

#include <stdio.h>

#define RESERVE_WAIT_NS (250 * NS_PER_MS)

/* ---- reserve ---- */

static struct engine_settings reserving(void)
{
    struct engine_settings settings = driver_settings;

    settings.workers_per_home = 1;
    settings.reserve_per_home = 1;
    settings.reserve_wait_ns = RESERVE_WAIT_NS;
    return settings;
}

static struct driver *create_reserving(void)
{
    struct engine_settings settings = reserving();

    return driver_create(&settings);
}

/* Probes under keys of their own. */
static void ask_often(struct driver *driver, int count)
{
    char key[16];

    for (int i = 0; i < count; i++) {
        snprintf(key, sizeof key, "%zu", driver->call_count);
        driver_ask(driver, (struct ask){.key = key});
    }
}

START_TEST(a_reserve_worker_is_started_once_a_call_has_waited_for_long)
{
    struct driver *driver = create_reserving();

    ask_often(driver, 1);
    driver_up(driver, 1);
    driver_wait(driver, NS_PER_S); /* at work, but nobody waits */
    ask_often(driver, 1);
    driver_wait(driver, RESERVE_WAIT_NS - 1);
    ck_assert_uint_eq(driver->pinned_count, 1);
    driver_wait(driver, 1); /* by time alone */
    ck_assert_uint_eq(driver->pinned_count, 2);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_STARTS_RESERVE), 1);
    driver_up(driver, 2);
    ck_assert_ptr_eq(driver->workers[2].lease->api_key, driver->calls[1].probe.api_key);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_retry_that_has_waited_for_long_has_a_reserve_worker_started)
{
    struct engine_settings settings = reserving();
    struct driver *driver;

    settings.workers_per_home = 2;
    driver = driver_create(&settings);
    ask_often(driver, 3);
    driver_up(driver, 1);
    driver_up(driver, 2);
    driver_wait(driver, RESERVE_WAIT_NS);
    driver_up(driver, 3);
    ask_often(driver, 1); /* has only begun to wait */
    driver_return(driver, 1, LEASE_DIED);
    ck_assert_uint_eq(driver->pinned_count, 4);
    driver_answer(driver, 2);
    ck_assert_ptr_eq(driver->workers[2].lease->api_key, driver->calls[3].probe.api_key);
    driver_up(driver, 4);
    ck_assert_ptr_eq(driver->workers[4].lease->api_key, driver->calls[0].probe.api_key);
    driver_destroy(driver);
}
END_TEST

START_TEST(no_reserve_is_started_where_nobody_waited_for_so_long)
{
    struct driver *driver = create_reserving();

    ask_often(driver, 2);
    driver_up(driver, 1);
    driver_wait(driver, RESERVE_WAIT_NS - 1);
    driver_answer(driver, 1);
    driver_wait(driver, NS_PER_S);
    driver_answer(driver, 1);
    driver_wait(driver, NS_PER_S);
    ck_assert_uint_eq(driver->pinned_count, 1);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_STARTS_RESERVE), 0);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_home_has_no_more_than_its_reserve_however_many_wait)
{
    struct engine_settings settings = reserving();
    struct driver *driver;

    settings.reserve_per_home = 3;
    driver = driver_create(&settings);
    ask_often(driver, 20);
    driver_up(driver, 1);
    driver_wait(driver, 10 * RESERVE_WAIT_NS);
    ck_assert_uint_eq(driver->pinned_count, 4);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_STARTS_RESERVE), 3);
    driver_destroy(driver);
}
END_TEST

START_TEST(no_more_reserve_is_started_than_calls_wait)
{
    struct engine_settings settings = reserving();
    struct driver *driver;

    settings.reserve_per_home = 3;
    driver = driver_create(&settings);
    ask_often(driver, 3);
    driver_up(driver, 1);
    driver_wait(driver, RESERVE_WAIT_NS);
    ck_assert_uint_eq(driver->pinned_count, 3);
    driver_destroy(driver);
}
END_TEST

START_TEST(whoever_comes_while_another_has_waited_for_long_may_use_the_reserve_too)
{
    struct engine_settings settings = reserving();
    struct driver *driver;

    settings.reserve_per_home = 2;
    driver = driver_create(&settings);
    ask_often(driver, 2);
    driver_up(driver, 1);
    driver_wait(driver, RESERVE_WAIT_NS);
    ask_often(driver, 1);
    ck_assert_uint_eq(driver->pinned_count, 3); /* the first of the queue still waits for the reserve to come up */
    driver_destroy(driver);
}
END_TEST

START_TEST(a_reserve_worker_ends_when_it_is_idle_with_nobody_waiting)
{
    struct driver *driver = create_reserving();

    ask_often(driver, 4);
    driver_up(driver, 1);
    driver_wait(driver, RESERVE_WAIT_NS);
    driver_up(driver, 2);
    driver_answer(driver, 2); /* two still wait */
    driver_answer(driver, 2);
    ck_assert_ptr_nonnull(driver->workers[2].lease);
    driver_answer(driver, 2);
    ck_assert_uint_eq(driver->workers[2].end_count, 1);
    ck_assert_uint_eq(driver->idled_id, 0);
    driver_answer(driver, 1); /* within workers_per_home */
    ck_assert_uint_eq(driver->idled_id, 1);
    ck_assert_uint_eq(driver->workers[1].end_count, 0);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_reserve_worker_that_comes_up_for_nobody_ends)
{
    struct driver *driver = create_reserving();

    ask_often(driver, 2);
    driver_up(driver, 1);
    driver_wait(driver, RESERVE_WAIT_NS);
    ck_assert(driver_pinned(driver, 2));
    driver_leave(driver, &driver->calls[1]);
    driver_up(driver, 2);
    ck_assert_uint_eq(driver->workers[2].end_count, 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(the_reserve_stays_below_workers_max)
{
    struct engine_settings settings = reserving();
    struct driver *driver;

    settings.workers_max = 2;
    driver = driver_create(&settings);
    driver_ask(driver, (struct ask){.home = "/other"});
    driver_up(driver, 1);
    ask_often(driver, 2);
    driver_up(driver, 2);
    driver_wait(driver, RESERVE_WAIT_NS);
    ck_assert_uint_eq(driver->pinned_count, 2);
    driver_answer(driver, 1); /* idle, and with nobody waiting there: it makes the room */
    ck_assert_uint_eq(driver->workers[1].end_count, 1);
    driver_gone(driver, 1);
    ck_assert_str_eq(driver->workers[3].home, "/h");
    driver_destroy(driver);
}
END_TEST

START_TEST(a_retry_may_use_the_reserve)
{
    struct driver *driver = create_reserving();

    ask_often(driver, 2);
    driver_up(driver, 1);
    driver_wait(driver, RESERVE_WAIT_NS);
    driver_up(driver, 2);
    driver_return(driver, 1, LEASE_DIED); /* its probe has been waiting for long */
    ck_assert_uint_eq(driver->pinned_count, 3);
    driver_destroy(driver);
}
END_TEST

START_TEST(without_a_reserve_those_who_wait_go_on_waiting)
{
    struct engine_settings settings = reserving();
    struct driver *driver;

    settings.reserve_per_home = 0;
    driver = driver_create(&settings);
    ask_often(driver, 2);
    driver_up(driver, 1);
    driver_wait(driver, 10 * NS_PER_S);
    ck_assert_uint_eq(driver->pinned_count, 1);
    driver_destroy(driver);
}
END_TEST

/* ---- ahead ---- */

static struct engine_settings prewarming(uint64_t workers_max)
{
    struct engine_settings settings = driver_settings;

    settings.workers_max = workers_max;
    settings.prewarm = true;
    return settings;
}

static struct driver *create_prewarming(uint64_t workers_max)
{
    struct engine_settings settings = prewarming(workers_max);

    return driver_create(&settings);
}

START_TEST(after_an_invalidation_one_worker_is_started_ahead)
{
    struct driver *driver = create_prewarming(16);
    struct engine_call *call;

    ask_often(driver, 2);
    driver_up(driver, 1);
    driver_up(driver, 2);
    driver_answer(driver, 1);
    driver_answer(driver, 2);
    driver_invalidate(driver, (struct void_order){.home = "/h", .provider = "anthropic"});
    ck_assert_uint_eq(driver->pinned_count, 3); /* one, though it had two */
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_STARTS_AHEAD), 1);
    driver_up(driver, 3);
    ck_assert_uint_eq(driver->idled_id, 3);
    call = driver_ask(driver, (struct ask){0});
    ck_assert_uint_eq(driver->workers[3].lease->fence.generation, 2);
    driver_answer(driver, 3);
    ck_assert_int_eq(call->result.origin, ORIGIN_WARM);
    driver_destroy(driver);
}
END_TEST

START_TEST(whoever_comes_meanwhile_is_served_by_the_worker_started_ahead)
{
    struct driver *driver = create_prewarming(16);

    driver_warm(driver, "/h");
    driver_invalidate(driver, (struct void_order){.home = "/h"});
    driver_ask(driver, (struct ask){0});
    ck_assert_uint_eq(driver->pinned_count, 2);
    driver_up(driver, 2);
    ck_assert_ptr_nonnull(driver->workers[2].lease);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_start_ahead_goes_through_the_door_though_nobody_waits)
{
    struct driver *driver = create_prewarming(16);
    struct engine_call *call;

    driver_warm(driver, "/h");
    driver_invalidate(driver, (struct void_order){.home = "/h"});
    call = driver_ask(driver, (struct ask){.key = "1"});
    driver_ask(driver, (struct ask){.key = "2"});
    driver_leave(driver, call);
    ck_assert(driver_pinned(driver, 2)); /* the one ahead */
    ck_assert(driver_pinned(driver, 3)); /* the one for whoever still waits */
    driver_destroy(driver);
}
END_TEST

START_TEST(of_starts_that_nobody_waits_for_the_one_ahead_goes_through_the_door)
{
    struct driver *driver = create_prewarming(16);

    driver_warm(driver, "/h");
    driver_invalidate(driver, (struct void_order){.home = "/h"});
    ask_often(driver, 2);
    ck_assert_uint_eq(driver->pinned_count, 3);
    driver_leave(driver, &driver->calls[2]);
    driver_leave(driver, &driver->calls[3]);
    ck_assert(driver_pinned(driver, 2));
    ck_assert(!driver_pinned(driver, 3));
    driver_destroy(driver);
}
END_TEST

START_TEST(after_a_new_epoch_each_home_that_had_a_worker_has_one_started_ahead)
{
    struct driver *driver = create_prewarming(16);

    driver_warm(driver, "/1");
    driver_warm(driver, "/2");
    driver_ask(driver, (struct ask){.home = "/3"});
    driver_up(driver, 3);
    driver_invalidate(driver, (struct void_order){.new_epoch = 7});
    ck_assert_uint_eq(driver->pinned_count, 6); /* the one of /3 is for its probe, which is run again */
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_STARTS_AHEAD), 2);
    driver_destroy(driver);
}
END_TEST

START_TEST(nothing_is_started_ahead_where_no_worker_was_or_none_is_wanted)
{
    struct driver *driver = create_prewarming(16);
    struct engine_settings settings = driver->settings;

    driver_invalidate(driver, (struct void_order){.home = "/unknown"});
    driver_ask_and_reply(driver, (struct ask){0}, (struct reply){.account = ACCOUNT_OK});
    driver_gone(driver, 1);
    driver_invalidate(driver, (struct void_order){.home = "/h"});
    settings.prewarm = false;
    driver_settings_changed(driver, &settings);
    driver_warm(driver, "/h");
    driver_invalidate(driver, (struct void_order){.home = "/h"});
    ck_assert_uint_eq(driver->pinned_count, 2);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_STARTS_AHEAD), 0);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_start_ahead_waits_for_room_that_no_caller_wants)
{
    struct driver *driver = create_prewarming(1);

    driver_warm(driver, "/h");
    driver_invalidate(driver, (struct void_order){.home = "/h"});
    ck_assert_uint_eq(driver->pinned_count, 1); /* the one before has yet to leave */
    driver_ask(driver, (struct ask){.home = "/other"});
    driver_gone(driver, 1);
    ck_assert_str_eq(driver->workers[2].home, "/other");
    driver_up(driver, 2);
    driver_answer(driver, 2);
    ck_assert_uint_eq(driver->idled_id, 2); /* nobody is ended for it */
    driver_spoke(driver, 2);
    driver_gone(driver, 2);
    ck_assert_str_eq(driver->workers[3].home, "/h");
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_STARTS_AHEAD), 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(any_start_of_the_home_takes_the_place_of_the_one_ahead)
{
    struct driver *driver = create_prewarming(1);
    struct engine_call *call;

    driver_warm(driver, "/h");
    driver_invalidate(driver, (struct void_order){.home = "/h"});
    call = driver_ask(driver, (struct ask){0});
    driver_gone(driver, 1);
    ck_assert(driver->workers[2].pin);
    driver_up(driver, 2);
    driver_answer(driver, 2);
    ck_assert_int_eq(call->result.origin, ORIGIN_COLD);
    driver_spoke(driver, 2);
    driver_gone(driver, 2);
    ck_assert_uint_eq(driver->pinned_count, 2);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_STARTS_AHEAD), 0);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_start_ahead_that_fails_is_not_repeated)
{
    struct driver *driver = create_prewarming(16);

    driver_warm(driver, "/h");
    driver_invalidate(driver, (struct void_order){.home = "/h"});
    driver_gone(driver, 2);
    driver_wait(driver, 120 * NS_PER_S);
    ck_assert_uint_eq(driver->pinned_count, 2);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_drain_ends_what_was_started_ahead_and_starts_nothing)
{
    struct driver *driver = create_prewarming(2);

    driver_warm(driver, "/1");
    driver_warm(driver, "/2");
    driver_invalidate(driver, (struct void_order){.home = "/1"}); /* waits for the room of the one before */
    driver_drain(driver);
    driver_gone(driver, 1);
    driver_gone(driver, 2);
    ck_assert_uint_eq(driver->pinned_count, 2);
    ck_assert(engine_is_empty(driver->engine));
    driver_destroy(driver);
    driver = create_prewarming(16);
    driver_warm(driver, "/1");
    driver_invalidate(driver, (struct void_order){.home = "/1"});
    ck_assert(driver_pinned(driver, 2));
    driver_drain(driver);
    driver_up(driver, 2);
    ck_assert_uint_eq(driver->workers[2].end_count, 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_wish_that_found_no_room_before_a_drain_comes_to_nothing)
{
    struct driver *driver = create_prewarming(1);

    driver_warm(driver, "/h");
    driver_invalidate(driver, (struct void_order){.home = "/h"});
    driver_ask(driver, (struct ask){.home = "/other"});
    driver_gone(driver, 1);
    driver_up(driver, 2);
    driver_drain(driver);
    driver_answer(driver, 2);
    driver_gone(driver, 2);
    ck_assert_uint_eq(driver->pinned_count, 2);
    ck_assert(engine_is_empty(driver->engine));
    driver_destroy(driver);
}
END_TEST

START_TEST(a_second_invalidation_starts_nothing_more_for_workers_that_are_ending)
{
    struct driver *driver = create_prewarming(16);

    driver_warm(driver, "/h");
    driver_invalidate(driver, (struct void_order){.home = "/h"});
    driver_gone(driver, 2); /* the one ahead has failed */
    driver_invalidate(driver, (struct void_order){.home = "/h"});
    ck_assert_uint_eq(driver->pinned_count, 2); /* the first one has yet to leave, but it is of no use any more */
    driver_destroy(driver);
}
END_TEST

START_TEST(a_home_that_is_all_gone_is_kept_for_its_start_ahead_and_no_longer)
{
    struct driver *driver = create_prewarming(1);

    driver_warm(driver, "/h");
    driver_invalidate(driver, (struct void_order){.home = "/h"});
    driver_ask(driver, (struct ask){.home = "/other"});
    driver_gone(driver, 1);
    driver_up(driver, 2); /* of /h there is but the wish */
    driver_invalidate(driver, (struct void_order){.home = "/h"});
    driver_gone(driver, 2);
    driver_answer(driver, 2);
    ck_assert_str_eq(driver->workers[3].home, "/h");
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_STARTS_AHEAD), 1);
    driver_destroy(driver);
}
END_TEST

/* ---- replacement ---- */

START_TEST(a_worker_past_its_lifetime_is_replaced_whatever_prewarm_says)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;

    settings.lifetime_ns = 100 * NS_PER_S;
    driver = driver_create(&settings);
    driver_warm(driver, "/h");
    driver_wait(driver, 110 * NS_PER_S);
    ck_assert_uint_eq(driver->workers[1].end_count, 1);
    ck_assert_uint_eq(driver->pinned_count, 2);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_STARTS_AHEAD), 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_worker_that_has_served_its_leases_is_replaced)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;

    settings.requests_max = 2;
    driver = driver_create(&settings);
    driver_warm(driver, "/h");
    driver_ask(driver, (struct ask){0});
    driver_answer(driver, 1);
    ck_assert_uint_eq(driver->workers[1].end_count, 1);
    ck_assert_uint_eq(driver->pinned_count, 2);
    driver_up(driver, 2);
    ck_assert_uint_eq(driver->idled_id, 2);
    driver_destroy(driver);
}
END_TEST

START_TEST(nothing_is_replaced_while_draining)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;

    settings.requests_max = 1;
    driver = driver_create(&settings);
    driver_ask(driver, (struct ask){0});
    driver_up(driver, 1);
    driver_drain(driver);
    driver_answer(driver, 1);
    driver_gone(driver, 1);
    ck_assert_uint_eq(driver->pinned_count, 1);
    ck_assert(engine_is_empty(driver->engine));
    driver_destroy(driver);
}
END_TEST

START_TEST(a_worker_that_was_idle_for_too_long_is_not_replaced)
{
    struct driver *driver = driver_create(&driver_settings);

    driver_warm(driver, "/h");
    driver_wait(driver, driver_settings.idle_ns_max);
    ck_assert_uint_eq(driver->workers[1].end_count, 1);
    driver_gone(driver, 1);
    ck_assert_uint_eq(driver->pinned_count, 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_worker_is_not_replaced_where_others_of_its_home_are_enough)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;

    settings.requests_max = 1;
    settings.workers_max = 2;
    driver = driver_create(&settings);
    ask_often(driver, 2);
    driver_up(driver, 1);
    driver_up(driver, 2);
    driver_answer(driver, 1); /* no room for a replacement before it is gone */
    settings.workers_per_home = 1;
    driver_settings_changed(driver, &settings);
    driver_gone(driver, 1);
    ck_assert_uint_eq(driver->pinned_count, 2);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_STARTS_AHEAD), 0);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_worker_that_was_never_asked_is_not_replaced)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;

    settings.lifetime_ns = 100 * NS_PER_S;
    driver = driver_create(&settings);
    driver_warm(driver, "/h");
    for (uint64_t id = 1; id <= 2; id++) { /* the second one has replaced the first */
        driver_wait(driver, 110 * NS_PER_S);
        ck_assert_uint_eq(driver->workers[id].end_count, 1);
        driver_gone(driver, id);
        ck_assert_uint_eq(driver->pinned_count, 2);
        if (id == 1)
            driver_up(driver, 2);
    }
    ck_assert_uint_eq(engine_next_ns(driver->engine), UINT64_MAX);
    driver_destroy(driver);
}
END_TEST

START_TEST(nothing_is_replaced_in_a_home_that_pauses)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;

    settings.workers_per_home = 3;
    settings.lifetime_ns = 10 * NS_PER_MS;
    driver = driver_create(&settings);
    ask_often(driver, 3);
    ck_assert(driver_pinned(driver, 2));
    ck_assert(driver_pinned(driver, 3));
    driver_up(driver, 1);
    for (int i = 0; i < 3; i++)
        driver_answer(driver, 1); /* it serves them all */
    driver_gone(driver, 2);
    driver_gone(driver, 3);
    ck_assert_uint_gt(driver_view_home(driver, "/h")->pause_ns, 0);
    driver_wait(driver, 11 * NS_PER_MS);
    ck_assert_uint_eq(driver->workers[1].end_count, 1);
    driver_gone(driver, 1);
    driver_wait(driver, NS_PER_S);
    ck_assert_uint_eq(driver->pinned_count, 3);
    driver_destroy(driver);
}
END_TEST

/* ---- lifetimes ---- */

enum { HERD_COUNT = 64 };

/* When each worker of a herd that came up together ended, as its age. */
static void record_ends(struct driver *driver, uint64_t age_ns[HERD_COUNT])
{
    uint64_t start_ns = driver->now_ns;

    for (int i = 0; i < HERD_COUNT; i++) {
        char home[16];

        snprintf(home, sizeof home, "/%d", i);
        driver_warm(driver, home);
        age_ns[i] = 0;
    }
    while (driver->now_ns - start_ns <= 1100 * NS_PER_S) {
        driver_wait(driver, NS_PER_S);
        for (uint64_t id = 1; id <= HERD_COUNT; id++)
            if (driver->workers[id].end_count > 0 && age_ns[id - 1] == 0)
                age_ns[id - 1] = driver->now_ns - start_ns;
    }
}

START_TEST(lifetimes_differ_by_a_tenth_so_that_no_herd_is_replaced_together)
{
    struct engine_settings settings = driver_settings;
    uint64_t age_ns[HERD_COUNT], in_fifth[5] = {0};
    struct driver *driver;

    settings.lifetime_ns = 1000 * NS_PER_S;
    settings.idle_ns_max = UINT64_MAX;
    settings.workers_max = 2 * HERD_COUNT;
    driver = driver_create(&settings);
    record_ends(driver, age_ns);
    for (int i = 0; i < HERD_COUNT; i++) {
        ck_assert_uint_ge(age_ns[i], 900 * NS_PER_S);
        ck_assert_uint_le(age_ns[i], 1100 * NS_PER_S);
        in_fifth[(age_ns[i] - 900 * NS_PER_S) / (40 * NS_PER_S + 1)]++;
    }
    for (int i = 0; i < 5; i++) { /* of 64, 12.8 are due in each fifth of the span */
        ck_assert_uint_ge(in_fifth[i], 10);
        ck_assert_uint_le(in_fifth[i], 16);
    }
    driver_destroy(driver);
}
END_TEST

START_TEST(a_worker_keeps_its_lifetime_however_often_it_is_used)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver, *used;

    settings.lifetime_ns = 1000 * NS_PER_S;
    settings.idle_ns_max = UINT64_MAX;
    driver = driver_create(&settings);
    used = driver_create(&settings);
    driver_warm(driver, "/h");
    driver_warm(used, "/h");
    while (driver->workers[1].end_count == 0) {
        driver_ask_and_reply(used, (struct ask){.refresh = true}, (struct reply){.account = ACCOUNT_OK});
        driver_wait(driver, NS_PER_S);
        driver_wait(used, NS_PER_S);
        ck_assert_uint_eq(used->workers[1].end_count, driver->workers[1].end_count);
    }
    driver_destroy(driver);
    driver_destroy(used);
}
END_TEST

START_TEST(settings_that_change_reach_workers_that_are_idle_already)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver = driver_create(&settings);

    driver_warm(driver, "/1");
    driver_warm(driver, "/2");
    settings.idle_ns_max = 10 * NS_PER_S;
    driver_settings_changed(driver, &settings);
    driver_wait(driver, 5 * NS_PER_S);
    driver_ask(driver, (struct ask){.home = "/2"});
    driver_answer(driver, 2);
    driver_wait(driver, 5 * NS_PER_S - 1);
    ck_assert_uint_eq(driver->workers[1].end_count, 0);
    driver_wait(driver, 1);
    ck_assert_uint_eq(driver->workers[1].end_count, 1);
    settings.idle_ns_max = 100 * NS_PER_S;
    driver_settings_changed(driver, &settings);
    driver_wait(driver, 95 * NS_PER_S - 1);
    ck_assert_uint_eq(driver->workers[2].end_count, 0);
    settings.lifetime_ns = 10 * NS_PER_S;
    driver_settings_changed(driver, &settings);
    driver_wait(driver, 0);
    ck_assert_uint_eq(driver->workers[2].end_count, 1);
    driver_destroy(driver);
}
END_TEST

static void add_reserve(TCase *reserve)
{
    tcase_add_test(reserve, a_reserve_worker_is_started_once_a_call_has_waited_for_long);
    tcase_add_test(reserve, a_retry_that_has_waited_for_long_has_a_reserve_worker_started);
    tcase_add_test(reserve, no_reserve_is_started_where_nobody_waited_for_so_long);
    tcase_add_test(reserve, a_home_has_no_more_than_its_reserve_however_many_wait);
    tcase_add_test(reserve, no_more_reserve_is_started_than_calls_wait);
    tcase_add_test(reserve, whoever_comes_while_another_has_waited_for_long_may_use_the_reserve_too);
    tcase_add_test(reserve, a_reserve_worker_ends_when_it_is_idle_with_nobody_waiting);
    tcase_add_test(reserve, a_reserve_worker_that_comes_up_for_nobody_ends);
    tcase_add_test(reserve, the_reserve_stays_below_workers_max);
    tcase_add_test(reserve, a_retry_may_use_the_reserve);
    tcase_add_test(reserve, without_a_reserve_those_who_wait_go_on_waiting);
}

static void add_ahead(TCase *ahead)
{
    tcase_add_test(ahead, after_an_invalidation_one_worker_is_started_ahead);
    tcase_add_test(ahead, whoever_comes_meanwhile_is_served_by_the_worker_started_ahead);
    tcase_add_test(ahead, a_start_ahead_goes_through_the_door_though_nobody_waits);
    tcase_add_test(ahead, of_starts_that_nobody_waits_for_the_one_ahead_goes_through_the_door);
    tcase_add_test(ahead, after_a_new_epoch_each_home_that_had_a_worker_has_one_started_ahead);
    tcase_add_test(ahead, nothing_is_started_ahead_where_no_worker_was_or_none_is_wanted);
    tcase_add_test(ahead, a_start_ahead_waits_for_room_that_no_caller_wants);
    tcase_add_test(ahead, any_start_of_the_home_takes_the_place_of_the_one_ahead);
    tcase_add_test(ahead, a_start_ahead_that_fails_is_not_repeated);
    tcase_add_test(ahead, a_drain_ends_what_was_started_ahead_and_starts_nothing);
    tcase_add_test(ahead, a_wish_that_found_no_room_before_a_drain_comes_to_nothing);
    tcase_add_test(ahead, a_second_invalidation_starts_nothing_more_for_workers_that_are_ending);
    tcase_add_test(ahead, a_home_that_is_all_gone_is_kept_for_its_start_ahead_and_no_longer);
}

static void add_replacement(TCase *replacement)
{
    tcase_add_test(replacement, a_worker_past_its_lifetime_is_replaced_whatever_prewarm_says);
    tcase_add_test(replacement, a_worker_that_has_served_its_leases_is_replaced);
    tcase_add_test(replacement, nothing_is_replaced_while_draining);
    tcase_add_test(replacement, a_worker_that_was_idle_for_too_long_is_not_replaced);
    tcase_add_test(replacement, a_worker_is_not_replaced_where_others_of_its_home_are_enough);
    tcase_add_test(replacement, a_worker_that_was_never_asked_is_not_replaced);
    tcase_add_test(replacement, nothing_is_replaced_in_a_home_that_pauses);
}

static void add_lifetimes(TCase *lifetimes)
{
    tcase_add_test(lifetimes, lifetimes_differ_by_a_tenth_so_that_no_herd_is_replaced_together);
    tcase_add_test(lifetimes, a_worker_keeps_its_lifetime_however_often_it_is_used);
    tcase_add_test(lifetimes, settings_that_change_reach_workers_that_are_idle_already);
}

static Suite *make_suite(void)
{
    static const struct {
        const char *name;
        void (*add)(TCase *);
    } cases[] = {
        {"reserve", add_reserve}, {"ahead", add_ahead}, {"replacement", add_replacement}, {"lifetimes", add_lifetimes}};
    Suite *suite = suite_create("engine_reserve");

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        TCase *tests = tcase_create(cases[i].name);

        cases[i].add(tests);
        suite_add_tcase(suite, tests);
    }
    return suite;
}

int main(void)
{
    return check_main(make_suite());
}
