/* Invalidations: what they void wherever it is, and when they are answered.  proto/README.md 3, "Invalidate". */
#include "tests/support/check_main.h"
#include "tests/support/engine_driver.h"

/* ---- cached answers ---- */

static void fill(struct driver *driver, const char *provider)
{
    size_t leases_before = driver->lease_count;
    struct engine_call *call = driver_ask(driver, (struct ask){.provider = provider});

    if (driver->lease_count == leases_before)
        driver_up(driver, driver->pinned_count);
    driver_answer(driver, driver->leases[leases_before]->worker_id);
    ck_assert_int_eq(driver_code(driver, call), STATUS_OK);
}

static bool is_cached(struct driver *driver, const char *provider)
{
    struct engine_call *call = driver_ask(driver, (struct ask){.provider = provider});
    bool cached = driver_is_back(driver, call) && call->result.origin == ORIGIN_CACHED;

    if (!driver_is_back(driver, call))
        driver_leave(driver, call);
    return cached;
}

START_TEST(a_fence_drops_the_answers_of_its_provider_only)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call;

    fill(driver, "openrouter");
    fill(driver, "anthropic");
    call = driver_invalidate(driver, (struct void_order){.home = "/h", .provider = "anthropic"});
    ck_assert_uint_eq(call->result.cache_dropped, 1);
    ck_assert_uint_eq(call->result.workers_retired, 1);
    ck_assert(is_cached(driver, "openrouter"));
    ck_assert(!is_cached(driver, "anthropic"));
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_FENCED), 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_fence_of_the_home_drops_all_its_answers_and_no_others)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call;

    fill(driver, "openrouter");
    fill(driver, "anthropic");
    driver_warm(driver, "/other");
    call = driver_invalidate(driver, (struct void_order){.home = "/h"});
    ck_assert_uint_eq(call->result.cache_dropped, 2);
    ck_assert(!is_cached(driver, "openrouter"));
    ck_assert(!is_cached(driver, "anthropic"));
    ck_assert_int_eq(driver_ask(driver, (struct ask){.home = "/other", .key = "warming"})->result.origin,
                     ORIGIN_CACHED);
    driver_destroy(driver);
}
END_TEST

START_TEST(answers_past_the_ttl_are_not_counted_as_dropped)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call;

    fill(driver, "openrouter");
    driver->now_ns += driver_settings.cache_ttl_ns;
    call = driver_invalidate(driver, (struct void_order){.home = "/h"});
    ck_assert_uint_eq(call->result.cache_dropped, 0);
    ck_assert_uint_eq(driver_view(driver).cache_entries, 0);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_fence_forgets_the_failures_it_covers)
{
    struct driver *driver = driver_create(&driver_settings);

    driver_ask(driver, (struct ask){0});
    driver_up(driver, 1);
    driver_return(driver, 1, LEASE_BREACHED);
    driver_invalidate(driver, (struct void_order){.home = "/h", .provider = "anthropic"});
    ck_assert_int_eq(driver_code(driver, driver_ask(driver, (struct ask){0})), STATUS_INTERNAL);
    driver_invalidate(driver, (struct void_order){.home = "/h", .provider = "openrouter"});
    ck_assert(!driver_is_back(driver, driver_ask(driver, (struct ask){0})));
    driver_destroy(driver);
}
END_TEST

/* ---- probes, wherever they are ---- */

START_TEST(a_waiting_probe_goes_on_with_a_worker_of_the_new_generation)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = driver_ask(driver, (struct ask){0});

    driver_invalidate(driver, (struct void_order){.home = "/h"}); /* while its home is being opened */
    ck_assert(!driver_pinned(driver, 1));
    ck_assert(driver_pinned(driver, 2));
    driver_invalidate(driver, (struct void_order){.home = "/h"}); /* while its worker is being started */
    ck_assert_uint_eq(driver->workers[2].end_count, 1);
    ck_assert_int_eq(driver->workers[2].closed.request_fd, -1);
    driver_up(driver, 3);
    ck_assert_uint_eq(driver->workers[3].lease->fence.generation, 3);
    driver_answer(driver, 3);
    ck_assert_int_eq(driver_code(driver, call), STATUS_OK);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_OVERTAKEN), 0); /* it was not in the air */
    driver_destroy(driver);
}
END_TEST

START_TEST(a_covered_probe_in_the_air_is_run_again_and_its_worker_drains)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = driver_ask(driver, (struct ask){0}), *fence;

    driver_up(driver, 1);
    fence = driver_invalidate(driver, (struct void_order){.home = "/h", .provider = "openrouter"});
    ck_assert_uint_eq(fence->result.workers_draining, 1);
    ck_assert_uint_eq(driver_view(driver).workers[WORKER_DRAINING], 1);
    ck_assert(driver->workers[2].pin);
    driver_up(driver, 2);
    driver_answer(driver, 1); /* too late: nobody hears it */
    ck_assert(!driver_is_back(driver, call));
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_STORED), 0);
    ck_assert_uint_eq(driver->workers[1].end_count, 1);
    driver_answer(driver, 2);
    ck_assert_int_eq(driver_code(driver, call), STATUS_OK);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_OVERTAKEN), 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(the_late_end_of_an_overtaken_lease_is_ignored_whatever_it_is)
{
    for (enum lease_end end = LEASE_STRAY; end < LEASE_END_COUNT; end++) {
        struct driver *driver = driver_create(&driver_settings);
        struct engine_call *call = driver_ask(driver, (struct ask){0});

        driver_up(driver, 1);
        driver_invalidate(driver, (struct void_order){.home = "/h"});
        driver_return(driver, 1, end);
        ck_assert(!driver_is_back(driver, call));
        driver_up(driver, 2);
        driver_answer(driver, 2);
        ck_assert_int_eq(driver_code(driver, call), STATUS_OK);
        driver_destroy(driver);
    }
}
END_TEST

START_TEST(another_providers_probe_in_the_air_goes_on_under_its_generation)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = driver_ask(driver, (struct ask){0}), *joiner;

    driver_up(driver, 1);
    driver_invalidate(driver, (struct void_order){.home = "/h", .provider = "anthropic"});
    ck_assert_uint_eq(driver_view(driver).workers[WORKER_DRAINING], 1);
    joiner = driver_ask(driver, (struct ask){0});
    driver_answer(driver, 1);
    ck_assert_int_eq(driver_code(driver, call), STATUS_OK);
    ck_assert_int_eq(joiner->result.origin, ORIGIN_JOINED);
    ck_assert_uint_eq(driver->workers[1].end_count, 1); /* its worker held the older credentials of all */
    ck_assert(is_cached(driver, "openrouter"));
    driver_destroy(driver);
}
END_TEST

START_TEST(a_probe_on_a_draining_worker_is_overtaken_by_the_fence_that_covers_it)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = driver_ask(driver, (struct ask){0}), *fence;

    driver_up(driver, 1);
    driver_invalidate(driver, (struct void_order){.home = "/h", .provider = "anthropic"});
    fence = driver_invalidate(driver, (struct void_order){.home = "/h", .provider = "openrouter"});
    ck_assert_uint_eq(fence->result.workers_draining, 0); /* it had been draining */
    driver_answer(driver, 1);
    ck_assert(!driver_is_back(driver, call));
    driver_up(driver, 2);
    driver_answer(driver, 2);
    ck_assert_int_eq(driver_code(driver, call), STATUS_OK);
    driver_destroy(driver);
}
END_TEST

START_TEST(no_idle_worker_of_an_older_generation_is_leased_for_any_provider)
{
    struct driver *driver = driver_create(&driver_settings);

    driver_warm(driver, "/h");
    driver_invalidate(driver, (struct void_order){.home = "/h", .provider = "anthropic"});
    ck_assert_uint_eq(driver->workers[1].end_count, 1);
    driver_ask(driver, (struct ask){.provider = "openrouter"});
    ck_assert_ptr_null(driver->workers[1].lease);
    driver_up(driver, 2);
    ck_assert_uint_eq(driver->workers[2].lease->fence.generation, 2);
    driver_destroy(driver);
}
END_TEST

START_TEST(an_overtaken_probe_goes_ahead_of_its_homes_queue)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;
    struct engine_call *calls[4];
    char keys[4][2] = {"0", "1", "2", "3"};

    settings.workers_per_home = 2;
    driver = driver_create(&settings);
    for (int i = 0; i < 4; i++)
        calls[i] = driver_ask(driver, (struct ask){.key = keys[i]});
    driver_up(driver, 1);
    driver_up(driver, 2); /* 0 and 1 are in the air, 2 and 3 wait */
    driver_invalidate(driver, (struct void_order){.home = "/h"});
    driver_up(driver, 3);
    driver_up(driver, 4);
    ck_assert_ptr_eq(driver->workers[3].lease->api_key, calls[0]->probe.api_key);
    ck_assert_ptr_eq(driver->workers[4].lease->api_key, calls[1]->probe.api_key);
    driver_answer(driver, 3);
    ck_assert_ptr_eq(driver->workers[3].lease->api_key, calls[2]->probe.api_key);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_probe_is_run_again_at_most_twice_then_aborted)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = driver_ask(driver, (struct ask){0}), *joiner = driver_ask(driver, (struct ask){0});

    for (uint64_t id = 1; id <= 3; id++) {
        ck_assert(!driver_is_back(driver, call));
        driver_up(driver, id);
        driver_invalidate(driver, (struct void_order){.home = "/h"});
    }
    ck_assert_int_eq(driver_code(driver, call), STATUS_ABORTED);
    ck_assert_int_eq(driver_code(driver, joiner), STATUS_ABORTED);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_ABORTED), 2);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_OVERTAKEN), 2);
    ck_assert(!driver_is_back(driver, driver_ask(driver, (struct ask){0}))); /* that is no failure of the key */
    driver_destroy(driver);
}
END_TEST

START_TEST(an_overtaken_probe_without_callers_is_not_run_again)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = driver_ask(driver, (struct ask){0});

    driver_up(driver, 1);
    driver_leave(driver, call);
    driver_invalidate(driver, (struct void_order){.home = "/h"});
    ck_assert_uint_eq(driver_view(driver).flights, 0);
    ck_assert(!driver->workers[2].pin);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_lease_keeps_its_api_key_though_its_probe_has_ended)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = driver_ask(driver, (struct ask){.key = "secret"});
    const struct engine_lease *lease;

    driver_up(driver, 1);
    lease = driver->workers[1].lease;
    driver_leave(driver, call);
    driver_invalidate(driver, (struct void_order){.home = "/h"});
    ck_assert_uint_eq(driver_view(driver).flights, 0);
    ck_assert_uint_eq(secret_size(lease->api_key), 6);
    ck_assert_mem_eq(secret_bytes(lease->api_key), "secret", 6);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_fence_says_what_it_did)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call;

    fill(driver, "openrouter");
    driver_ask(driver, (struct ask){.key = "1"}); /* in the air with 1 */
    driver_ask(driver, (struct ask){.key = "2"}); /* being started: 2 */
    call = driver_invalidate(driver, (struct void_order){.home = "/h"});
    ck_assert_int_eq(driver_code(driver, call), STATUS_OK);
    ck_assert_uint_eq(call->result.fence.generation, 2);
    ck_assert_uint_eq(call->result.cache_dropped, 1);
    ck_assert_uint_eq(call->result.workers_retired, 1);
    ck_assert_uint_eq(call->result.workers_draining, 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(other_homes_see_no_change)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call;

    driver_warm(driver, "/other");
    call = driver_ask(driver, (struct ask){.home = "/other"});
    driver_invalidate(driver, (struct void_order){.home = "/h"});
    driver_answer(driver, 1);
    ck_assert_int_eq(driver_code(driver, call), STATUS_OK);
    ck_assert_uint_eq(driver->idled_id, 1);
    ck_assert_uint_eq(driver_sync(driver, "/other").generation, 1);
    driver_destroy(driver);
}
END_TEST

/* ---- every home ---- */

START_TEST(a_global_invalidation_begins_an_epoch_with_all_homes_at_1)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call;

    driver_invalidate(driver, (struct void_order){.home = "/h"});
    fill(driver, "openrouter");
    driver_warm(driver, "/other");
    call = driver_invalidate(driver, (struct void_order){.new_epoch = 7});
    ck_assert_int_eq(driver_code(driver, call), STATUS_OK);
    ck_assert_uint_eq(call->result.fence.epoch, 7);
    ck_assert_uint_eq(call->result.fence.generation, 1);
    ck_assert_uint_eq(call->result.cache_dropped, 2);
    ck_assert_uint_eq(call->result.workers_retired, 2);
    ck_assert_uint_eq(engine_epoch(driver->engine), 7);
    ck_assert_uint_eq(driver_sync(driver, "/h").generation, 1);
    ck_assert(!is_cached(driver, "openrouter"));
    driver_destroy(driver);
}
END_TEST

START_TEST(a_global_invalidation_overtakes_probes_in_the_air_everywhere)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *one = driver_ask(driver, (struct ask){.home = "/h/1"});
    struct engine_call *other = driver_ask(driver, (struct ask){.home = "/h/2"}), *fence;

    driver_up(driver, 1);
    driver_up(driver, 2);
    fence = driver_invalidate(driver, (struct void_order){.new_epoch = 7});
    ck_assert_uint_eq(fence->result.workers_draining, 2);
    driver_answer(driver, 1);
    driver_answer(driver, 2);
    driver_up(driver, 3);
    ck_assert_uint_eq(driver->workers[3].lease->fence.epoch, 7);
    driver_up(driver, 4);
    driver_answer(driver, 3);
    driver_answer(driver, 4);
    ck_assert_int_eq(driver_code(driver, one), STATUS_OK);
    ck_assert_int_eq(driver_code(driver, other), STATUS_OK);
    driver_destroy(driver);
}
END_TEST

START_TEST(answers_of_an_older_epoch_are_counted_once_and_go_as_they_age)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call;

    fill(driver, "openrouter");
    driver_invalidate(driver, (struct void_order){.new_epoch = 7});
    ck_assert_uint_eq(driver_view(driver).cache_entries, 1); /* not visited */
    call = driver_invalidate(driver, (struct void_order){.new_epoch = 8});
    ck_assert_uint_eq(call->result.cache_dropped, 0);
    call = driver_invalidate(driver, (struct void_order){.home = "/h"});
    ck_assert_uint_eq(call->result.cache_dropped, 0);
    ck_assert_uint_eq(driver_view(driver).cache_entries, 0);
    driver_destroy(driver);
}
END_TEST

START_TEST(an_answer_of_an_older_epoch_is_replaced_by_a_new_one)
{
    struct driver *driver = driver_create(&driver_settings);

    driver_invalidate(driver, (struct void_order){.home = "/h"});
    fill(driver, "openrouter"); /* generation 2 of the first epoch */
    driver_invalidate(driver, (struct void_order){.new_epoch = 7});
    fill(driver, "openrouter"); /* generation 1 of the second */
    ck_assert(is_cached(driver, "openrouter"));
    driver_warm(driver, "/other");
    ck_assert_uint_eq(driver_invalidate(driver, (struct void_order){.new_epoch = 8})->result.cache_dropped, 2);
    driver_wait(driver, driver_settings.cache_ttl_ns);
    ck_assert_uint_eq(driver_view(driver).cache_entries, 0);
    driver_warm(driver, "/other");
    ck_assert_uint_eq(driver_invalidate(driver, (struct void_order){.new_epoch = 9})->result.cache_dropped, 1);
    driver_warm(driver, "/other");
    driver_wait(driver, driver_settings.cache_ttl_ns);
    ck_assert_uint_eq(driver_invalidate(driver, (struct void_order){.new_epoch = 10})->result.cache_dropped, 0);
    driver_destroy(driver);
}
END_TEST

/* ---- QUIESCED ---- */

START_TEST(quiesced_without_older_workers_is_answered_with_its_event)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = driver_invalidate(driver, (struct void_order){.home = "/h", .quiesced = true});

    ck_assert_int_eq(driver_code(driver, call), STATUS_OK);
    ck_assert_uint_eq(driver->news_count, 1);
    ck_assert_int_eq(driver->news[0].kind, ENGINE_NEWS_EVENT);
    ck_assert_ptr_eq(driver->news[0].call, call);
    driver_destroy(driver);
}
END_TEST

START_TEST(quiesced_is_answered_when_every_older_worker_is_gone)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call;

    driver_ask(driver, (struct ask){.key = "1"});
    driver_ask(driver, (struct ask){.key = "2"});
    driver_up(driver, 1);
    driver_up(driver, 2);
    driver_answer(driver, 2);
    call = driver_invalidate(driver, (struct void_order){.home = "/h", .quiesced = true});
    ck_assert_uint_eq(driver->news_count, 1); /* its event at once */
    ck_assert_ptr_null(driver->news[0].call);
    ck_assert_uint_eq(driver->news[0].fence.generation, 2);
    driver_up(driver, 3); /* newer: not waited for */
    driver_gone(driver, 2);
    ck_assert(!driver_is_back(driver, call));
    driver_answer(driver, 1); /* its lease is over, its process is not */
    ck_assert(!driver_is_back(driver, call));
    driver_gone(driver, 1);
    ck_assert_int_eq(driver_code(driver, call), STATUS_OK);
    ck_assert_uint_eq(call->result.workers_retired, 1);
    ck_assert_uint_eq(call->result.workers_draining, 1);
    ck_assert_int_eq(driver->news[1].kind, ENGINE_NEWS_ANSWER);
    ck_assert_ptr_eq(driver->news[1].call, call);
    driver_destroy(driver);
}
END_TEST

START_TEST(quiesced_waits_for_workers_that_were_ending_before)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call;

    driver_warm(driver, "/h");
    driver_spoke(driver, 1);
    call = driver_invalidate(driver, (struct void_order){.home = "/h", .quiesced = true});
    ck_assert(!driver_is_back(driver, call));
    driver_gone(driver, 1);
    ck_assert_int_eq(driver_code(driver, call), STATUS_OK);
    driver_destroy(driver);
}
END_TEST

START_TEST(quiesced_does_not_wait_for_a_start_that_has_no_process_yet)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call;

    driver_ask(driver, (struct ask){0}); /* its home may hang while it is opened */
    call = driver_invalidate(driver, (struct void_order){.home = "/h", .quiesced = true});
    ck_assert_int_eq(driver_code(driver, call), STATUS_OK);
    ck_assert(!driver_pinned(driver, 1));
    driver_destroy(driver);
}
END_TEST

START_TEST(quiesced_does_not_wait_for_the_handler_of_a_process_that_is_gone)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call;

    driver_ask(driver, (struct ask){0});
    driver_up(driver, 1);
    call = driver_invalidate(driver, (struct void_order){.home = "/h", .quiesced = true});
    driver_gone(driver, 1);
    ck_assert_ptr_nonnull(driver->workers[1].lease);
    ck_assert_int_eq(driver_code(driver, call), STATUS_OK);
    driver_destroy(driver);
}
END_TEST

START_TEST(quiesced_past_its_deadline_says_how_many_are_left_and_the_fence_stands)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call;

    driver_ask(driver, (struct ask){.key = "1"});
    driver_ask(driver, (struct ask){.key = "2"});
    driver_up(driver, 1);
    driver_up(driver, 2);
    call = driver_invalidate(driver, (struct void_order){.home = "/h", .quiesced = true, .patience_ns = NS_PER_S});
    driver_wait(driver, NS_PER_S);
    ck_assert_int_eq(driver_code(driver, call), STATUS_DEADLINE_EXCEEDED);
    ck_assert_str_eq(call->result.status.message, "2 older workers left after 1000 ms; the fence stands");
    ck_assert_uint_eq(call->result.fence.generation, 2);
    ck_assert_uint_eq(driver_sync(driver, "/h").generation, 2);
    driver_gone(driver, 1);
    driver_gone(driver, 2); /* and nobody is told twice */
    ck_assert_uint_eq(driver->news_count, 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(quiesced_calls_are_answered_each_for_the_workers_before_it)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *first, *second;

    driver_ask(driver, (struct ask){0});
    driver_up(driver, 1);
    first = driver_invalidate(driver, (struct void_order){.home = "/h", .quiesced = true, .patience_ns = 9 * NS_PER_S});
    driver_up(driver, 2);
    second = driver_invalidate(driver, (struct void_order){.home = "/h", .quiesced = true, .patience_ns = NS_PER_S});
    driver_gone(driver, 1);
    ck_assert_int_eq(driver_code(driver, first), STATUS_OK);
    ck_assert(!driver_is_back(driver, second));
    driver_wait(driver, NS_PER_S); /* the shorter deadline was not behind the longer one */
    ck_assert_int_eq(driver_code(driver, second), STATUS_DEADLINE_EXCEEDED);
    driver_destroy(driver);
}
END_TEST

START_TEST(quiesced_calls_are_late_each_in_its_time)
{
    struct driver *driver = driver_create(&driver_settings);
    static const uint64_t patience_s[] = {5, 1, 9, 3};
    struct engine_call *calls[4];

    driver_warm(driver, "/h");
    for (int i = 0; i < 4; i++)
        calls[i] = driver_invalidate(
            driver, (struct void_order){.home = "/h", .quiesced = true, .patience_ns = patience_s[i] * NS_PER_S});
    for (uint64_t second = 1; second <= 9; second++) {
        driver_wait(driver, NS_PER_S);
        for (int i = 0; i < 4; i++)
            ck_assert_int_eq(driver_is_back(driver, calls[i]), patience_s[i] <= second);
    }
    driver_destroy(driver);
}
END_TEST

START_TEST(quiesced_is_late_in_its_time_beside_probes_that_have_more)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *probe = driver_ask(driver, (struct ask){0}), *call;

    driver_up(driver, 1);
    call = driver_invalidate(driver, (struct void_order){.home = "/h", .quiesced = true, .patience_ns = NS_PER_S});
    driver_wait(driver, NS_PER_S);
    ck_assert_int_eq(driver_code(driver, call), STATUS_DEADLINE_EXCEEDED);
    ck_assert(!driver_is_back(driver, probe));
    driver_destroy(driver);
}
END_TEST

START_TEST(quiesced_for_every_home_waits_for_every_older_worker)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call;

    driver_warm(driver, "/h/1");
    driver_warm(driver, "/h/2");
    call = driver_invalidate(driver, (struct void_order){.new_epoch = 7, .quiesced = true});
    ck_assert_int_eq(driver->news[0].kind, ENGINE_NEWS_BEAT);
    ck_assert_ptr_null(driver->news[0].call);
    driver_gone(driver, 2);
    ck_assert(!driver_is_back(driver, call));
    driver_gone(driver, 1);
    ck_assert_int_eq(driver_code(driver, call), STATUS_OK);
    ck_assert_int_eq(driver->news[1].kind, ENGINE_NEWS_ANSWER);
    driver_destroy(driver);
}
END_TEST

START_TEST(quiesced_whose_client_leaves_is_given_back_and_the_fence_stands)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call;

    driver_warm(driver, "/h");
    call = driver_invalidate(driver, (struct void_order){.home = "/h", .quiesced = true});
    driver_leave(driver, call);
    ck_assert_int_eq(driver_code(driver, call), STATUS_CANCELLED);
    ck_assert_uint_eq(driver_sync(driver, "/h").generation, 2);
    driver_destroy(driver);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("engine_fence");
    TCase *answers = tcase_create("answers"), *probes = tcase_create("probes"), *all = tcase_create("every home"),
          *quiesced = tcase_create("quiesced");

    tcase_add_test(answers, a_fence_drops_the_answers_of_its_provider_only);
    tcase_add_test(answers, a_fence_of_the_home_drops_all_its_answers_and_no_others);
    tcase_add_test(answers, answers_past_the_ttl_are_not_counted_as_dropped);
    tcase_add_test(answers, a_fence_forgets_the_failures_it_covers);
    tcase_add_test(probes, a_waiting_probe_goes_on_with_a_worker_of_the_new_generation);
    tcase_add_test(probes, a_covered_probe_in_the_air_is_run_again_and_its_worker_drains);
    tcase_add_test(probes, the_late_end_of_an_overtaken_lease_is_ignored_whatever_it_is);
    tcase_add_test(probes, another_providers_probe_in_the_air_goes_on_under_its_generation);
    tcase_add_test(probes, a_probe_on_a_draining_worker_is_overtaken_by_the_fence_that_covers_it);
    tcase_add_test(probes, no_idle_worker_of_an_older_generation_is_leased_for_any_provider);
    tcase_add_test(probes, an_overtaken_probe_goes_ahead_of_its_homes_queue);
    tcase_add_test(probes, a_probe_is_run_again_at_most_twice_then_aborted);
    tcase_add_test(probes, an_overtaken_probe_without_callers_is_not_run_again);
    tcase_add_test(probes, a_lease_keeps_its_api_key_though_its_probe_has_ended);
    tcase_add_test(probes, a_fence_says_what_it_did);
    tcase_add_test(probes, other_homes_see_no_change);
    tcase_add_test(all, a_global_invalidation_begins_an_epoch_with_all_homes_at_1);
    tcase_add_test(all, a_global_invalidation_overtakes_probes_in_the_air_everywhere);
    tcase_add_test(all, answers_of_an_older_epoch_are_counted_once_and_go_as_they_age);
    tcase_add_test(all, an_answer_of_an_older_epoch_is_replaced_by_a_new_one);
    tcase_add_test(quiesced, quiesced_without_older_workers_is_answered_with_its_event);
    tcase_add_test(quiesced, quiesced_is_answered_when_every_older_worker_is_gone);
    tcase_add_test(quiesced, quiesced_waits_for_workers_that_were_ending_before);
    tcase_add_test(quiesced, quiesced_does_not_wait_for_a_start_that_has_no_process_yet);
    tcase_add_test(quiesced, quiesced_does_not_wait_for_the_handler_of_a_process_that_is_gone);
    tcase_add_test(quiesced, quiesced_past_its_deadline_says_how_many_are_left_and_the_fence_stands);
    tcase_add_test(quiesced, quiesced_calls_are_answered_each_for_the_workers_before_it);
    tcase_add_test(quiesced, quiesced_calls_are_late_each_in_its_time);
    tcase_add_test(quiesced, quiesced_is_late_in_its_time_beside_probes_that_have_more);
    tcase_add_test(quiesced, quiesced_for_every_home_waits_for_every_older_worker);
    tcase_add_test(quiesced, quiesced_whose_client_leaves_is_given_back_and_the_fence_stands);
    suite_add_tcase(suite, answers);
    suite_add_tcase(suite, probes);
    suite_add_tcase(suite, all);
    suite_add_tcase(suite, quiesced);
    return suite;
}

int main(void)
{
    return check_main(make_suite());
}
