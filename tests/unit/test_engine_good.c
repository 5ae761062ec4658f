/* The last good answer: beside one that says nothing, or in the place of an error.  proto/README.md 3, "Last good". */
#include "tests/support/check_main.h"
#include "tests/support/engine_driver.h"

#define KEEP_GOOD_NS (24 * 3600 * NS_PER_S)

static const struct reply good = {.account = ACCOUNT_OK, .figures = true};
static const struct reply unavailable = {.account = ACCOUNT_UNAVAILABLE};
static const struct reply limited = {.account = ACCOUNT_RATE_LIMITED, .retry_ns = 10 * NS_PER_S};

/* Workers without age, so that days pass without any coming and going. */
static struct engine_settings keeping(void)
{
    struct engine_settings settings = driver_settings;

    settings.idle_ns_max = settings.lifetime_ns = UINT64_MAX;
    settings.keep_good_ns = KEEP_GOOD_NS;
    return settings;
}

static struct driver *create(void)
{
    struct engine_settings settings = keeping();

    return driver_create(&settings);
}

/* One worker, with a good answer 100 s ago, which is fresh no more. */
static struct driver *create_with_good(void)
{
    struct driver *driver = create();

    driver_ask_and_reply(driver, (struct ask){0}, good);
    driver_wait(driver, 100 * NS_PER_S);
    return driver;
}

static const struct answer *first_answer(const struct driver *driver)
{
    return driver->calls[0].result.answer;
}

/* ---- beside ---- */

START_TEST(an_answer_that_says_nothing_comes_with_the_last_good_one_and_its_age)
{
    static const enum account_status excuses[] = {ACCOUNT_RATE_LIMITED, ACCOUNT_UNAVAILABLE};

    for (int i = 0; i < 2; i++) {
        struct driver *driver = create_with_good();
        struct reply reply = {.account = excuses[i], .interval_ns_min = 60 * NS_PER_S};
        struct engine_call *call = driver_ask_and_reply(driver, (struct ask){0}, reply);

        ck_assert_int_eq(call->result.answer->account, excuses[i]);
        ck_assert(!call->result.stale);
        ck_assert_ptr_eq(call->result.last_good, first_answer(driver));
        ck_assert_uint_eq(call->result.last_good_age_ns, 100 * NS_PER_S);
        driver_wait(driver, 20 * NS_PER_S);
        call = driver_ask(driver, (struct ask){0});
        ck_assert_int_eq(call->result.origin, ORIGIN_CACHED);
        ck_assert_int_eq(call->result.answer->account, excuses[i]);
        ck_assert_ptr_eq(call->result.last_good, first_answer(driver));
        ck_assert_uint_eq(call->result.last_good_age_ns, 120 * NS_PER_S);
        ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_LAST_GOOD), 2);
        driver_destroy(driver);
    }
}
END_TEST

START_TEST(whoever_joined_is_given_the_last_good_one_too)
{
    struct driver *driver = create_with_good();
    struct engine_call *joiners[2];

    driver_ask(driver, (struct ask){0});
    joiners[0] = driver_ask(driver, (struct ask){0});
    joiners[1] = driver_ask(driver, (struct ask){.refresh = true, .accept_stale = true});
    driver_reply(driver, 1, unavailable);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(joiners[i]->result.origin, ORIGIN_JOINED);
        ck_assert_ptr_eq(joiners[i]->result.last_good, first_answer(driver));
    }
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_LAST_GOOD), 3);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_ANSWERED_STALE), 0); /* no call has failed */
    driver_destroy(driver);
}
END_TEST

START_TEST(an_answer_that_says_something_comes_alone)
{
    static const enum account_status accounts[] = {ACCOUNT_UNSPECIFIED, ACCOUNT_OK,         ACCOUNT_EXHAUSTED,
                                                   ACCOUNT_NO_DATA,     ACCOUNT_NO_KEY,     ACCOUNT_INVALID_KEY,
                                                   ACCOUNT_EXPIRED,     ACCOUNT_UNSUPPORTED};

    for (size_t i = 0; i < sizeof accounts / sizeof accounts[0]; i++) {
        struct driver *driver = create_with_good();
        struct reply reply = {.account = accounts[i]};

        ck_assert_ptr_null(driver_ask_and_reply(driver, (struct ask){0}, reply)->result.last_good);
        driver_destroy(driver);
    }
}
END_TEST

START_TEST(good_is_ok_or_exhausted_with_something_to_show)
{
    static const struct {
        struct reply reply;
        bool good;
    } replies[] = {
        {{.account = ACCOUNT_OK, .figures = true}, true},
        {{.account = ACCOUNT_EXHAUSTED, .figures = true}, true},
        {{.account = ACCOUNT_OK}, false},
        {{.account = ACCOUNT_EXHAUSTED}, false},
        {{.account = ACCOUNT_NO_DATA, .figures = true}, false},
        {{.account = ACCOUNT_EXPIRED, .figures = true}, false},
        {{.account = ACCOUNT_INVALID_KEY, .figures = true}, false},
        {{.account = ACCOUNT_UNAVAILABLE, .figures = true}, false},
        {{.account = ACCOUNT_RATE_LIMITED, .figures = true}, false},
    };

    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        struct driver *driver = create();
        struct engine_call *call;

        driver_ask_and_reply(driver, (struct ask){0}, replies[i].reply);
        driver_wait(driver, 60 * NS_PER_S);
        call = driver_ask_and_reply(driver, (struct ask){.refresh = true}, limited);
        ck_assert_msg((call->result.last_good != NULL) == replies[i].good, "reply %zu", i);
        driver_destroy(driver);
    }
}
END_TEST

START_TEST(the_newest_good_one_is_given_though_others_came_since)
{
    struct driver *driver = create_with_good();
    struct engine_call *newest = driver_ask_and_reply(driver, (struct ask){0}, good), *call;

    driver_wait(driver, 50 * NS_PER_S);
    driver_ask_and_reply(driver, (struct ask){0}, (struct reply){.account = ACCOUNT_NO_DATA});
    driver_wait(driver, 50 * NS_PER_S);
    driver_ask_and_reply(driver, (struct ask){0}, unavailable);
    driver_wait(driver, 50 * NS_PER_S);
    call = driver_ask_and_reply(driver, (struct ask){0}, limited);
    ck_assert_ptr_eq(call->result.last_good, newest->result.answer);
    ck_assert_uint_eq(call->result.last_good_age_ns, 150 * NS_PER_S);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_good_one_takes_the_place_of_the_good_one_before_it)
{
    struct driver *driver = create_with_good();
    uint64_t bytes = driver_view(driver).cache_bytes;

    driver_ask_and_reply(driver, (struct ask){0}, limited);
    ck_assert_uint_gt(driver_view(driver).cache_bytes, bytes + 100); /* both count */
    driver_wait(driver, 10 * NS_PER_S);
    driver_ask_and_reply(driver, (struct ask){0}, good);
    ck_assert_uint_eq(driver_view(driver).cache_bytes, bytes);
    ck_assert_uint_eq(driver_view(driver).cache_entries, 1);
    driver_destroy(driver);
}
END_TEST

/* ---- for how long ---- */

START_TEST(a_good_one_is_kept_for_keep_good_ms_and_no_longer)
{
    struct driver *driver = create_with_good();
    struct reply reply = {.account = ACCOUNT_UNAVAILABLE, .interval_ns_min = 600 * NS_PER_S};

    driver_wait(driver, KEEP_GOOD_NS - 101 * NS_PER_S);
    ck_assert_ptr_nonnull(driver_ask_and_reply(driver, (struct ask){0}, reply)->result.last_good);
    driver_wait(driver, NS_PER_S - 1);
    ck_assert_ptr_nonnull(driver_ask(driver, (struct ask){0})->result.last_good);
    driver_wait(driver, 1);
    ck_assert_ptr_null(driver_ask(driver, (struct ask){0})->result.last_good);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_good_one_alone_is_let_go_by_time_alone)
{
    struct driver *driver = create_with_good();

    driver_ask_and_reply(driver, (struct ask){0}, unavailable);
    driver_wait(driver, KEEP_GOOD_NS - 100 * NS_PER_S - 1);
    ck_assert_uint_eq(driver_view(driver).cache_entries, 1);
    driver_wait(driver, 1);
    ck_assert_uint_eq(driver_view(driver).cache_entries, 0);
    ck_assert_uint_eq(driver_view(driver).cache_bytes, 0);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_good_one_is_kept_but_not_served_where_nothing_is_cached)
{
    struct engine_settings settings = keeping();
    struct driver *driver;
    struct engine_call *call;

    settings.cache_ttl_ns = 0;
    driver = driver_create(&settings);
    driver_ask_and_reply(driver, (struct ask){0}, good);
    call = driver_ask_and_reply(driver, (struct ask){0}, (struct reply){.account = ACCOUNT_RATE_LIMITED});
    ck_assert_ptr_eq(call->result.last_good, first_answer(driver));
    driver_destroy(driver);
}
END_TEST

START_TEST(without_keep_good_there_is_nothing_beside)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call;

    driver_ask_and_reply(driver, (struct ask){0}, good);
    call = driver_ask_and_reply(driver, (struct ask){.refresh = true}, limited);
    ck_assert_ptr_null(call->result.last_good);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_LAST_GOOD), 0);
    driver_destroy(driver);
}
END_TEST

START_TEST(what_is_neither_cached_nor_kept_is_not_stored)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;

    settings.cache_ttl_ns = 0;
    driver = driver_create(&settings);
    driver_ask_and_reply(driver, (struct ask){0}, good);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_STORED), 0);
    ck_assert_uint_eq(driver_view(driver).cache_entries, 0);
    driver_destroy(driver);
}
END_TEST

START_TEST(how_long_a_good_one_is_kept_may_be_changed)
{
    struct driver *driver = create_with_good();
    struct engine_settings settings = driver->settings;

    driver_ask_and_reply(driver, (struct ask){0}, limited);
    settings.keep_good_ns = 50 * NS_PER_S;
    driver_settings_changed(driver, &settings);
    ck_assert_ptr_null(driver_ask(driver, (struct ask){0})->result.last_good);
    settings.keep_good_ns = 2 * KEEP_GOOD_NS;
    driver_settings_changed(driver, &settings);
    driver_wait(driver, 2 * KEEP_GOOD_NS - 101 * NS_PER_S);
    ck_assert_ptr_nonnull(driver_ask_and_reply(driver, (struct ask){0}, limited)->result.last_good);
    driver_wait(driver, NS_PER_S);
    ck_assert_ptr_null(driver_ask(driver, (struct ask){0})->result.last_good);
    driver_destroy(driver);
}
END_TEST

/* ---- fences ---- */

START_TEST(an_invalidation_takes_the_good_one_of_its_scope_along)
{
    struct driver *driver = create_with_good();

    driver_ask_and_reply(driver, (struct ask){0}, limited);
    driver_invalidate(driver, (struct void_order){.home = "/h", .provider = "anthropic"});
    ck_assert_ptr_nonnull(driver_ask(driver, (struct ask){0})->result.last_good); /* no word of this one */
    driver_invalidate(driver, (struct void_order){.home = "/h", .provider = "openrouter"});
    ck_assert_ptr_null(driver_ask_and_reply(driver, (struct ask){0}, limited)->result.last_good);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_good_one_that_is_the_latest_goes_with_its_fence_though_it_is_fresh_no_more)
{
    struct driver *driver = create_with_good();
    struct engine_call *call = driver_invalidate(driver, (struct void_order){.home = "/h"});

    ck_assert_uint_eq(call->result.cache_dropped, 0); /* nobody would have been given it */
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_FENCED), 0);
    ck_assert_uint_eq(driver_view(driver).cache_entries, 0);
    ck_assert_ptr_null(driver_ask_and_reply(driver, (struct ask){0}, limited)->result.last_good);
    driver_destroy(driver);
}
END_TEST

START_TEST(an_invalidation_counts_the_answers_that_were_fresh)
{
    struct driver *driver = create();

    driver_ask_and_reply(driver, (struct ask){.key = "1"}, good);
    driver_wait(driver, driver_settings.cache_ttl_ns);
    driver_ask_and_reply(driver, (struct ask){.key = "2"}, good);
    driver_ask_and_reply(driver, (struct ask){.key = "3"}, limited);
    ck_assert_uint_eq(driver_view(driver).cache_entries, 3);
    ck_assert_uint_eq(driver_invalidate(driver, (struct void_order){.home = "/h"})->result.cache_dropped, 2);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_FENCED), 2);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_new_epoch_takes_every_good_one_along_and_counts_the_fresh)
{
    struct driver *driver = create_with_good();
    struct engine_call *call;

    driver_ask_and_reply(driver, (struct ask){.home = "/i"}, good);
    call = driver_invalidate(driver, (struct void_order){.new_epoch = 7});
    ck_assert_uint_eq(call->result.cache_dropped, 1);
    ck_assert_ptr_null(driver_ask_and_reply(driver, (struct ask){0}, unavailable)->result.last_good);
    ck_assert_ptr_null(driver_ask_and_reply(driver, (struct ask){.home = "/i"}, limited)->result.last_good);
    call = driver_invalidate(driver, (struct void_order){.new_epoch = 8});
    ck_assert_uint_eq(call->result.cache_dropped, 2); /* those of before are counted no more */
    driver_destroy(driver);
}
END_TEST

START_TEST(nothing_of_before_a_new_epoch_stands_beside_what_came_under_it)
{
    struct driver *driver = create_with_good();

    driver_ask_and_reply(driver, (struct ask){0}, limited);
    driver_invalidate(driver, (struct void_order){.new_epoch = 7});
    ck_assert_ptr_null(driver_ask_and_reply(driver, (struct ask){0}, limited)->result.last_good);
    ck_assert_ptr_null(driver_ask(driver, (struct ask){0})->result.last_good);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_good_one_older_than_at_least_is_not_given)
{
    struct driver *driver = create_with_good();
    struct engine_call *call;

    driver_invalidate(driver, (struct void_order){.home = "/h", .provider = "anthropic"});
    call = driver_ask_and_reply(driver, (struct ask){.at_least = {DRIVER_EPOCH, 2}}, limited);
    ck_assert_ptr_null(call->result.last_good);
    call = driver_ask(driver, (struct ask){.at_least = {DRIVER_EPOCH, 2}});
    ck_assert_int_eq(call->result.origin, ORIGIN_CACHED);
    ck_assert_ptr_null(call->result.last_good);
    call = driver_ask(driver, (struct ask){.at_least = {DRIVER_EPOCH, 1}});
    ck_assert_ptr_eq(call->result.last_good, first_answer(driver));
    driver_destroy(driver);
}
END_TEST

/* A probe that at_least kept from joining an older one lands first, and is good; the older one says nothing. */
START_TEST(an_older_answer_without_figures_comes_with_the_newer_one_that_has_them)
{
    struct driver *driver = create();
    struct engine_call *older = driver_ask(driver, (struct ask){0}), *newer;

    driver_up(driver, 1);
    driver_invalidate(driver, (struct void_order){.home = "/h", .provider = "anthropic"});
    newer = driver_ask(driver, (struct ask){.at_least = {DRIVER_EPOCH, 2}});
    driver_up(driver, 2);
    driver_reply(driver, 2, good);
    driver_reply(driver, 1, limited);
    ck_assert_ptr_eq(older->result.last_good, newer->result.answer);
    ck_assert_ptr_eq(driver_ask(driver, (struct ask){0})->result.answer, newer->result.answer);
    driver_destroy(driver);
}
END_TEST

/* Two that wait for the same under a new epoch, since at_least kept the second from joining the first before. */
static struct engine_call *wait_into_a_new_epoch(struct driver *driver, bool accept_stale)
{
    struct engine_call *call;

    driver_ask(driver, (struct ask){0});
    driver_up(driver, 1);
    driver_invalidate(driver, (struct void_order){.home = "/h", .provider = "anthropic"});
    call = driver_ask(driver, (struct ask){.at_least = {DRIVER_EPOCH, 2}, .accept_stale = accept_stale});
    driver_invalidate(driver, (struct void_order){.new_epoch = DRIVER_EPOCH + 1});
    driver_up(driver, driver->pinned_count - 1);
    driver_reply(driver, driver->pinned_count - 1, good);
    return call;
}

START_TEST(to_whoever_asked_for_a_generation_of_an_epoch_that_is_over_nothing_is_too_old)
{
    struct driver *driver = create();
    struct engine_call *call = wait_into_a_new_epoch(driver, false);

    driver_reply(driver,
                 driver->workers[driver->pinned_count].lease != NULL ? driver->pinned_count : driver->pinned_count - 1,
                 limited);
    ck_assert_int_eq(driver_code(driver, call), STATUS_OK);
    ck_assert_ptr_eq(call->result.last_good, first_answer(driver));
    driver_destroy(driver);
}
END_TEST

START_TEST(it_is_answered_with_the_last_good_one_of_the_new_epoch)
{
    struct driver *driver = create();
    struct engine_call *call = wait_into_a_new_epoch(driver, true);

    driver_wait(driver, 35 * NS_PER_S);
    ck_assert_int_eq(driver_code(driver, call), STATUS_DEADLINE_EXCEEDED);
    ck_assert(call->result.stale);
    ck_assert_ptr_eq(call->result.answer, first_answer(driver));
    driver_destroy(driver);
}
END_TEST

/* ---- in the place of an error ---- */

/* Given the good answer of 100 s ago (and however much since) instead of this error. */
static void check_stale(const struct driver *driver, const struct engine_call *call, enum status_code code,
                        uint64_t age_ns)
{
    ck_assert_int_eq(driver_code(driver, call), code);
    ck_assert(call->result.stale);
    ck_assert_ptr_eq(call->result.answer, first_answer(driver));
    ck_assert_int_eq(call->result.origin, ORIGIN_CACHED);
    ck_assert_uint_eq(call->result.age_ns, age_ns);
    ck_assert_uint_eq(call->result.fresh_ns, 0);
    ck_assert_ptr_null(call->result.last_good);
}

static void check_failed(const struct driver *driver, const struct engine_call *call, enum status_code code)
{
    ck_assert_int_eq(driver_code(driver, call), code);
    ck_assert(!call->result.stale);
    ck_assert_ptr_null(call->result.answer);
    ck_assert_ptr_null(call->result.last_good);
}

START_TEST(a_probe_that_fails_is_answered_with_the_last_good_one_where_that_is_accepted)
{
    static const struct {
        enum lease_end end;
        enum status_code code;
    } ends[] = {{LEASE_BREACHED, STATUS_INTERNAL}, {LEASE_TIMED_OUT, STATUS_DEADLINE_EXCEEDED}};

    for (int i = 0; i < 2; i++) {
        struct driver *driver = create_with_good();
        struct engine_call *plain = driver_ask(driver, (struct ask){0});
        struct engine_call *stale = driver_ask(driver, (struct ask){.accept_stale = true, .age_ns_max = 1});

        driver_return(driver, 1, ends[i].end);
        check_failed(driver, plain, ends[i].code);
        check_stale(driver, stale, ends[i].code, 100 * NS_PER_S); /* though it is older than max_age */
        ck_assert_str_eq(stale->result.status.message, plain->result.status.message);
        ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_FAILED), 1);
        ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_ANSWERED_STALE), 1);
        ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_ANSWERED_CACHED), 0);
        ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_LAST_GOOD), 0);
        driver_destroy(driver);
    }
}
END_TEST

START_TEST(a_failure_that_is_remembered_is_answered_with_the_last_good_one)
{
    struct driver *driver = create_with_good();

    driver_ask(driver, (struct ask){0});
    driver_return(driver, 1, LEASE_BREACHED);
    driver_wait(driver, 400 * NS_PER_MS);
    check_stale(driver, driver_ask(driver, (struct ask){.accept_stale = true}), STATUS_INTERNAL,
                100 * NS_PER_S + 400 * NS_PER_MS);
    check_failed(driver, driver_ask(driver, (struct ask){0}), STATUS_INTERNAL);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_fresh_answer_stands_in_for_a_refresh_that_fails)
{
    struct driver *driver = create();
    struct engine_call *call;

    driver_ask_and_reply(driver, (struct ask){0}, good);
    driver_wait(driver, NS_PER_S);
    call = driver_ask(driver, (struct ask){.refresh = true, .accept_stale = true});
    driver_return(driver, 1, LEASE_BREACHED);
    check_stale(driver, call, STATUS_INTERNAL, NS_PER_S);
    driver_destroy(driver);
}
END_TEST

START_TEST(the_last_good_one_beside_a_bad_one_stands_in_as_well)
{
    struct driver *driver = create_with_good();
    struct engine_call *call;

    driver_ask_and_reply(driver, (struct ask){0}, limited);
    driver_wait(driver, 10 * NS_PER_S);
    call = driver_ask(driver, (struct ask){.accept_stale = true});
    driver_return(driver, 1, LEASE_BREACHED);
    check_stale(driver, call, STATUS_INTERNAL, 110 * NS_PER_S);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_deadline_that_passes_aboard_is_answered_with_the_last_good_one)
{
    struct driver *driver = create_with_good();
    struct engine_call *leased = driver_ask(driver, (struct ask){.accept_stale = true, .patience_ns = NS_PER_S});
    struct engine_call *plain = driver_ask(driver, (struct ask){.patience_ns = NS_PER_S});

    driver_wait(driver, NS_PER_S);
    check_stale(driver, leased, STATUS_DEADLINE_EXCEEDED, 101 * NS_PER_S);
    check_failed(driver, plain, STATUS_DEADLINE_EXCEEDED);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_deadline_that_has_passed_on_arrival_is_answered_with_the_last_good_one)
{
    struct driver *driver = create_with_good();
    struct engine_call *call = driver_prepare(driver, (struct ask){.accept_stale = true, .patience_ns = NS_PER_S});

    driver_wait(driver, NS_PER_S);
    driver_hand_in(driver, call, NULL);
    check_stale(driver, call, STATUS_DEADLINE_EXCEEDED, 101 * NS_PER_S);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_full_queue_is_answered_with_the_last_good_one)
{
    struct engine_settings settings = keeping();
    struct driver *driver;

    settings.workers_per_home = 1;
    settings.queue_per_home = 0;
    driver = driver_create(&settings);
    driver_ask_and_reply(driver, (struct ask){0}, good);
    driver_wait(driver, 100 * NS_PER_S);
    driver_ask(driver, (struct ask){.key = "leased"});
    check_stale(driver, driver_ask(driver, (struct ask){.accept_stale = true}), STATUS_RESOURCE_EXHAUSTED,
                100 * NS_PER_S);
    check_failed(driver, driver_ask(driver, (struct ask){0}), STATUS_RESOURCE_EXHAUSTED);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_start_that_fails_and_a_pause_are_answered_with_the_last_good_one)
{
    struct driver *driver = create_with_good();
    struct engine_call *call;

    driver_gone(driver, 1);
    for (uint64_t id = 2; id <= 3; id++) {
        call = driver_ask(driver, (struct ask){.accept_stale = true, .refresh = true});
        driver_gone(driver, id);
        check_stale(driver, call, STATUS_UNAVAILABLE, 100 * NS_PER_S);
    }
    call = driver_ask(driver, (struct ask){.accept_stale = true, .refresh = true});
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_REFUSED_PAUSE), 1);
    check_stale(driver, call, STATUS_UNAVAILABLE, 100 * NS_PER_S);
    ck_assert_uint_gt(call->result.status.retry_after_ms, 0);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_drain_and_the_end_are_answered_with_the_last_good_one)
{
    struct driver *driver = create_with_good();
    struct engine_call *aboard = driver_ask(driver, (struct ask){.accept_stale = true, .refresh = true});

    driver_drain(driver);
    check_stale(driver, driver_ask(driver, (struct ask){.accept_stale = true}), STATUS_UNAVAILABLE, 100 * NS_PER_S);
    driver_stop(driver);
    check_stale(driver, aboard, STATUS_UNAVAILABLE, 100 * NS_PER_S);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_call_that_is_parked_just_fails)
{
    struct driver *driver = create_with_good();
    struct engine_call *call = driver_prepare(driver, (struct ask){.accept_stale = true, .patience_ns = NS_PER_S});

    driver_park(driver, call);
    driver_wait(driver, NS_PER_S);
    check_failed(driver, call, STATUS_DEADLINE_EXCEEDED);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_client_that_has_gone_and_an_impossible_at_least_are_given_nothing)
{
    struct driver *driver = create_with_good();
    struct engine_call *call = driver_ask(driver, (struct ask){.accept_stale = true});

    driver_leave(driver, call);
    check_failed(driver, call, STATUS_CANCELLED);
    call = driver_ask(driver, (struct ask){.accept_stale = true, .at_least = {DRIVER_EPOCH, 2}});
    check_failed(driver, call, STATUS_FAILED_PRECONDITION);
    call = driver_ask(driver, (struct ask){.accept_stale = true, .at_least = {DRIVER_EPOCH + 1, 1}});
    check_failed(driver, call, STATUS_FAILED_PRECONDITION);
    driver_destroy(driver);
}
END_TEST

START_TEST(nothing_older_than_at_least_stands_in)
{
    struct driver *driver = create_with_good();
    struct engine_call *newer, *older;

    driver_invalidate(driver, (struct void_order){.home = "/h", .provider = "anthropic"});
    newer = driver_ask(driver, (struct ask){.accept_stale = true, .at_least = {DRIVER_EPOCH, 2}});
    older = driver_ask(driver, (struct ask){.accept_stale = true, .at_least = {DRIVER_EPOCH, 1}});
    driver_up(driver, 2);
    driver_return(driver, 2, LEASE_BREACHED);
    check_failed(driver, newer, STATUS_INTERNAL);
    check_stale(driver, older, STATUS_INTERNAL, 100 * NS_PER_S);
    driver_destroy(driver);
}
END_TEST

START_TEST(nothing_stands_in_where_nothing_good_is_kept)
{
    struct driver *driver = create();
    struct engine_call *call;

    check_failed(driver,
                 driver_ask(driver, (struct ask){.accept_stale = true, .at_least = {DRIVER_EPOCH, 2}, .home = "/new"}),
                 STATUS_FAILED_PRECONDITION);
    driver_ask_and_reply(driver, (struct ask){0}, (struct reply){.account = ACCOUNT_OK});
    call = driver_ask(driver, (struct ask){.accept_stale = true, .refresh = true});
    driver_return(driver, 1, LEASE_BREACHED);
    check_failed(driver, call, STATUS_INTERNAL);
    call = driver_ask_and_reply(driver, (struct ask){.key = "2"}, good);
    driver_wait(driver, KEEP_GOOD_NS);
    call = driver_ask(driver, (struct ask){.key = "2", .accept_stale = true});
    driver_return(driver, 2, LEASE_BREACHED);
    check_failed(driver, call, STATUS_INTERNAL);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_call_that_was_overtaken_too_often_has_nothing_that_could_stand_in)
{
    struct driver *driver = create_with_good();
    struct engine_call *call = driver_ask(driver, (struct ask){.accept_stale = true});

    for (uint64_t id = 2; id <= 4; id++) {
        driver_invalidate(driver, (struct void_order){.home = "/h"});
        if (id <= 3)
            driver_up(driver, id);
    }
    check_failed(driver, call, STATUS_ABORTED);
    driver_destroy(driver);
}
END_TEST

/* ---- bounds ---- */

START_TEST(both_answers_of_a_key_are_one_entry_and_are_evicted_together)
{
    struct engine_settings settings = keeping();
    struct driver *driver;
    struct engine_call *call;

    settings.cache_entries_max = 2;
    driver = driver_create(&settings);
    driver_ask_and_reply(driver, (struct ask){.home = "/1"}, good);
    driver_ask_and_reply(driver, (struct ask){.home = "/1", .refresh = true}, limited);
    driver_ask_and_reply(driver, (struct ask){.home = "/2"}, good);
    ck_assert_uint_eq(driver_view(driver).cache_entries, 2);
    driver_ask_and_reply(driver, (struct ask){.home = "/3"}, good);
    ck_assert_uint_eq(driver_view(driver).cache_entries, 2);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_EVICTED), 1);
    call = driver_ask_and_reply(driver, (struct ask){.home = "/1"}, unavailable); /* nor is the hold known */
    ck_assert_ptr_null(call->result.last_good);
    driver_destroy(driver);
}
END_TEST

START_TEST(standing_in_is_a_use)
{
    struct engine_settings settings = keeping();
    struct driver *driver;
    struct engine_call *call;

    settings.cache_entries_max = 2;
    driver = driver_create(&settings);
    driver_ask_and_reply(driver, (struct ask){.home = "/1"}, good);
    driver_ask_and_reply(driver, (struct ask){.home = "/2"}, good);
    call = driver_ask(driver, (struct ask){.home = "/1", .refresh = true, .accept_stale = true});
    driver_return(driver, 1, LEASE_BREACHED);
    check_stale(driver, call, STATUS_INTERNAL, 0);
    driver_ask_and_reply(driver, (struct ask){.home = "/3"}, good);
    ck_assert_int_eq(driver_ask(driver, (struct ask){.home = "/1", .age_ns_max = 1})->result.origin, ORIGIN_CACHED);
    ck_assert(!driver_is_back(driver, driver_ask(driver, (struct ask){.home = "/2"})));
    driver_destroy(driver);
}
END_TEST

START_TEST(what_stands_beside_counts_in_a_homes_share_of_the_bytes)
{
    struct engine_settings settings = keeping();
    struct driver *driver;
    struct reply big_good = {.account = ACCOUNT_OK, .figures = true, .size = 1500};
    struct reply big_limited = {.account = ACCOUNT_RATE_LIMITED, .retry_ns = NS_PER_S, .size = 1500};

    settings.cache_bytes_max = 16 * 4096;
    driver = driver_create(&settings);
    driver_ask_and_reply(driver, (struct ask){.key = "1"}, big_good);
    driver_ask_and_reply(driver, (struct ask){.key = "2"}, big_good);
    ck_assert_uint_eq(driver_view(driver).cache_entries, 2);
    driver_ask_and_reply(driver, (struct ask){.key = "2", .refresh = true}, big_limited);
    ck_assert_uint_eq(driver_view(driver).cache_entries, 1); /* of its three, the one of the other key had to go */
    ck_assert_ptr_nonnull(driver_ask(driver, (struct ask){.key = "2"})->result.last_good);
    driver_destroy(driver);
}
END_TEST

static void add_beside(TCase *beside)
{
    tcase_add_test(beside, an_answer_that_says_nothing_comes_with_the_last_good_one_and_its_age);
    tcase_add_test(beside, whoever_joined_is_given_the_last_good_one_too);
    tcase_add_test(beside, an_answer_that_says_something_comes_alone);
    tcase_add_test(beside, good_is_ok_or_exhausted_with_something_to_show);
    tcase_add_test(beside, the_newest_good_one_is_given_though_others_came_since);
    tcase_add_test(beside, a_good_one_takes_the_place_of_the_good_one_before_it);
    tcase_add_test(beside, a_good_one_is_kept_for_keep_good_ms_and_no_longer);
    tcase_add_test(beside, a_good_one_alone_is_let_go_by_time_alone);
    tcase_add_test(beside, a_good_one_is_kept_but_not_served_where_nothing_is_cached);
    tcase_add_test(beside, without_keep_good_there_is_nothing_beside);
    tcase_add_test(beside, what_is_neither_cached_nor_kept_is_not_stored);
    tcase_add_test(beside, how_long_a_good_one_is_kept_may_be_changed);
}

static void add_fences(TCase *fences)
{
    tcase_add_test(fences, an_invalidation_takes_the_good_one_of_its_scope_along);
    tcase_add_test(fences, a_good_one_that_is_the_latest_goes_with_its_fence_though_it_is_fresh_no_more);
    tcase_add_test(fences, an_invalidation_counts_the_answers_that_were_fresh);
    tcase_add_test(fences, a_new_epoch_takes_every_good_one_along_and_counts_the_fresh);
    tcase_add_test(fences, nothing_of_before_a_new_epoch_stands_beside_what_came_under_it);
    tcase_add_test(fences, a_good_one_older_than_at_least_is_not_given);
    tcase_add_test(fences, an_older_answer_without_figures_comes_with_the_newer_one_that_has_them);
    tcase_add_test(fences, to_whoever_asked_for_a_generation_of_an_epoch_that_is_over_nothing_is_too_old);
    tcase_add_test(fences, it_is_answered_with_the_last_good_one_of_the_new_epoch);
}

static void add_stale(TCase *stale)
{
    tcase_add_test(stale, a_probe_that_fails_is_answered_with_the_last_good_one_where_that_is_accepted);
    tcase_add_test(stale, a_failure_that_is_remembered_is_answered_with_the_last_good_one);
    tcase_add_test(stale, a_fresh_answer_stands_in_for_a_refresh_that_fails);
    tcase_add_test(stale, the_last_good_one_beside_a_bad_one_stands_in_as_well);
    tcase_add_test(stale, a_deadline_that_passes_aboard_is_answered_with_the_last_good_one);
    tcase_add_test(stale, a_deadline_that_has_passed_on_arrival_is_answered_with_the_last_good_one);
    tcase_add_test(stale, a_full_queue_is_answered_with_the_last_good_one);
    tcase_add_test(stale, a_start_that_fails_and_a_pause_are_answered_with_the_last_good_one);
    tcase_add_test(stale, a_drain_and_the_end_are_answered_with_the_last_good_one);
    tcase_add_test(stale, a_call_that_is_parked_just_fails);
    tcase_add_test(stale, a_client_that_has_gone_and_an_impossible_at_least_are_given_nothing);
    tcase_add_test(stale, nothing_older_than_at_least_stands_in);
    tcase_add_test(stale, nothing_stands_in_where_nothing_good_is_kept);
    tcase_add_test(stale, a_call_that_was_overtaken_too_often_has_nothing_that_could_stand_in);
}

static void add_bounds(TCase *bounds)
{
    tcase_add_test(bounds, both_answers_of_a_key_are_one_entry_and_are_evicted_together);
    tcase_add_test(bounds, standing_in_is_a_use);
    tcase_add_test(bounds, what_stands_beside_counts_in_a_homes_share_of_the_bytes);
}

START_TEST(a_good_answer_for_which_there_is_no_room_beside_its_excuse_goes_alone)
{
    struct engine_settings settings = keeping();
    struct driver *driver;
    struct engine_call *call;

    settings.cache_bytes_max = 65536;
    driver = driver_create(&settings);
    driver_ask_and_reply(driver, (struct ask){0},
                         (struct reply){.account = ACCOUNT_OK, .figures = true, .size = 40000});
    driver_ask_and_reply(driver, (struct ask){.refresh = true},
                         (struct reply){.account = ACCOUNT_RATE_LIMITED, .retry_ns = 3600 * NS_PER_S, .size = 40000});
    call = driver_ask(driver, (struct ask){.refresh = true});
    ck_assert_int_eq(driver_code(driver, call), STATUS_OK); /* held */
    ck_assert_ptr_null(call->result.last_good);
    driver_destroy(driver);
}
END_TEST

START_TEST(nothing_stands_in_for_a_call_that_wants_another_epoch)
{
    struct engine_settings settings = keeping();
    struct driver *driver = driver_create(&settings);
    struct engine_call *call;

    driver_ask_and_reply(driver, (struct ask){0}, good);
    driver_drain(driver);
    call = driver_ask(driver, (struct ask){.accept_stale = true, .at_least = {DRIVER_EPOCH + 1, 1}});
    ck_assert(!call->result.stale);
    ck_assert_int_eq(driver_code(driver, call), STATUS_UNAVAILABLE);
    driver_destroy(driver);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("engine_good");
    static const struct {
        const char *name;
        void (*add)(TCase *);
    } cases[] = {{"beside", add_beside}, {"fences", add_fences}, {"stale", add_stale}, {"bounds", add_bounds}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        TCase *tests = tcase_create(cases[i].name);

        cases[i].add(tests);
        tcase_add_test(tests, a_good_answer_for_which_there_is_no_room_beside_its_excuse_goes_alone);
        tcase_add_test(tests, nothing_stands_in_for_a_call_that_wants_another_epoch);
        suite_add_tcase(suite, tests);
    }
    return suite;
}

int main(void)
{
    return check_main(make_suite());
}
