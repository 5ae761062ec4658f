/* Holds: how long a provider is left alone, whoever insists.  proto/README.md 3, "Account states". */
#include "tests/support/check_main.h"
#include "tests/support/engine_driver.h"

#define MINUTE_NS (60 * NS_PER_S)
#define HOUR_NS   (60 * MINUTE_NS)

static const struct reply refused = {.account = ACCOUNT_INVALID_KEY};
static const struct reply fine = {.account = ACCOUNT_OK, .figures = true};

static struct reply limited_for(uint64_t retry_ns)
{
    return (struct reply){.account = ACCOUNT_RATE_LIMITED, .retry_ns = retry_ns};
}

/* Workers without age, so that hours pass without any coming and going. */
static struct driver *create(uint64_t cache_ttl_ns)
{
    struct engine_settings settings = driver_settings;

    settings.idle_ns_max = settings.lifetime_ns = UINT64_MAX;
    settings.cache_ttl_ns = cache_ttl_ns;
    return driver_create(&settings);
}

static struct driver *create_plain(void)
{
    return create(driver_settings.cache_ttl_ns);
}

/* Answered without asking the provider. */
static struct engine_call *check_held(struct driver *driver, struct ask ask)
{
    struct engine_call *call = driver_ask(driver, ask);

    ck_assert_int_eq(driver_code(driver, call), STATUS_OK);
    ck_assert_int_eq(call->result.origin, ORIGIN_CACHED);
    return call;
}

static void check_held_against_all(struct driver *driver)
{
    check_held(driver, (struct ask){0});
    check_held(driver, (struct ask){.refresh = true});
    check_held(driver, (struct ask){.age_ns_max = 1});
    check_held(driver, (struct ask){.at_least = {DRIVER_EPOCH, 1}});
}

/* ---- RATE_LIMITED ---- */

START_TEST(a_rate_limited_provider_is_left_alone_until_it_said)
{
    struct driver *driver = create_plain();
    struct engine_call *call = driver_ask_and_reply(driver, (struct ask){0}, limited_for(2 * MINUTE_NS));

    ck_assert_uint_eq(call->result.fresh_ns, 2 * MINUTE_NS);
    driver_wait(driver, 2 * MINUTE_NS - 1); /* well beyond the TTL */
    check_held_against_all(driver);
    ck_assert_uint_eq(check_held(driver, (struct ask){0})->result.fresh_ns, 1);
    driver_wait(driver, 1);
    driver_ask_and_reply(driver, (struct ask){0}, fine);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_rate_limited_provider_is_left_alone_for_an_hour_at_most)
{
    struct driver *driver = create_plain();
    struct engine_call *call = driver_ask_and_reply(driver, (struct ask){0}, limited_for(UINT64_MAX));

    ck_assert_uint_eq(call->result.fresh_ns, HOUR_NS);
    driver_wait(driver, HOUR_NS - 1);
    check_held_against_all(driver);
    driver_wait(driver, 1);
    driver_ask_and_reply(driver, (struct ask){0}, fine);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_rate_limited_provider_may_be_asked_again_before_the_ttl_is_over)
{
    struct driver *driver = create_plain();

    driver_ask_and_reply(driver, (struct ask){0}, limited_for(5 * NS_PER_S));
    driver_wait(driver, 5 * NS_PER_S - 1);
    check_held_against_all(driver);
    driver_wait(driver, 1);
    driver_ask_and_reply(driver, (struct ask){0}, fine);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_rate_limited_answer_that_says_no_time_is_cached_like_any_other)
{
    struct driver *driver = create_plain();
    struct engine_call *call = driver_ask_and_reply(driver, (struct ask){0}, limited_for(0));

    ck_assert_uint_eq(call->result.fresh_ns, driver_settings.cache_ttl_ns);
    check_held(driver, (struct ask){0});
    driver_ask_and_reply(driver, (struct ask){.refresh = true}, limited_for(0));
    driver_destroy(driver);
}
END_TEST

START_TEST(a_time_to_come_again_is_heeded_of_rate_limited_answers_only)
{
    struct driver *driver = create_plain();

    driver_ask_and_reply(driver, (struct ask){0}, (struct reply){.account = ACCOUNT_OK, .retry_ns = HOUR_NS});
    driver_ask_and_reply(driver, (struct ask){.refresh = true}, fine);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_hold_counts_without_a_ttl)
{
    struct driver *driver = create(0);

    driver_ask_and_reply(driver, (struct ask){0}, limited_for(MINUTE_NS));
    driver_wait(driver, MINUTE_NS - 1);
    check_held_against_all(driver);
    driver_wait(driver, 1);
    driver_ask_and_reply(driver, (struct ask){0}, refused);
    check_held_against_all(driver);
    driver_destroy(driver);
}
END_TEST

START_TEST(another_key_another_provider_and_another_home_are_not_held)
{
    struct driver *driver = create_plain();

    driver_ask_and_reply(driver, (struct ask){.key = "one"}, limited_for(HOUR_NS));
    driver_ask_and_reply(driver, (struct ask){.key = "other"}, fine);
    driver_ask_and_reply(driver, (struct ask){0}, fine);
    driver_ask_and_reply(driver, (struct ask){.key = "one", .provider = "anthropic"}, fine);
    driver_ask_and_reply(driver, (struct ask){.key = "one", .home = "/other"}, fine);
    driver_destroy(driver);
}
END_TEST

/* ---- INVALID_KEY ---- */

START_TEST(a_refused_secret_is_not_presented_by_plain_probes_for_15_minutes)
{
    struct driver *driver = create_plain();
    struct engine_call *call = driver_ask_and_reply(driver, (struct ask){0}, refused);

    ck_assert_uint_eq(call->result.fresh_ns, 15 * MINUTE_NS);
    driver_wait(driver, 15 * MINUTE_NS - 1);
    call = check_held(driver, (struct ask){0});
    ck_assert_int_eq(call->result.answer->account, ACCOUNT_INVALID_KEY);
    ck_assert_uint_eq(call->result.fresh_ns, 1);
    check_held(driver, (struct ask){.age_ns_max = 1});
    driver_wait(driver, 1);
    driver_ask_and_reply(driver, (struct ask){0}, fine);
    driver_destroy(driver);
}
END_TEST

START_TEST(refresh_presents_a_refused_secret_again_60_s_after_it_was_last_asked)
{
    struct driver *driver = create_plain();

    driver_ask_and_reply(driver, (struct ask){0}, refused);
    for (int i = 0; i < 3; i++) {
        driver_wait(driver, MINUTE_NS - 1);
        check_held(driver, (struct ask){.refresh = true});
        driver_wait(driver, 1);
        driver_ask_and_reply(driver, (struct ask){.refresh = true}, refused);
    }
    driver_destroy(driver);
}
END_TEST

START_TEST(each_pause_that_is_waited_out_doubles_the_next_up_to_6_hours)
{
    static const uint64_t minutes[] = {15, 30, 60, 120, 240, 360, 360};
    struct driver *driver = create_plain();

    for (size_t i = 0; i < sizeof minutes / sizeof minutes[0]; i++) {
        struct engine_call *call = driver_ask_and_reply(driver, (struct ask){0}, refused);

        ck_assert_uint_eq(call->result.fresh_ns, minutes[i] * MINUTE_NS);
        driver_wait(driver, minutes[i] * MINUTE_NS - 1);
        check_held(driver, (struct ask){0});
        driver_wait(driver, 1);
    }
    driver_destroy(driver);
}
END_TEST

START_TEST(a_refusal_within_the_pause_begins_it_again_and_doubles_nothing)
{
    struct driver *driver = create_plain();
    struct engine_call *call;

    driver_ask_and_reply(driver, (struct ask){0}, refused);
    driver_wait(driver, 10 * MINUTE_NS);
    call = driver_ask_and_reply(driver, (struct ask){.refresh = true}, refused);
    ck_assert_uint_eq(call->result.fresh_ns, 15 * MINUTE_NS);
    driver_wait(driver, 15 * MINUTE_NS - 1);
    check_held(driver, (struct ask){0});
    driver_destroy(driver);
}
END_TEST

START_TEST(any_other_answer_ends_a_refusal)
{
    static const enum account_status others[] = {ACCOUNT_OK,     ACCOUNT_EXHAUSTED, ACCOUNT_NO_DATA,
                                                 ACCOUNT_NO_KEY, ACCOUNT_EXPIRED,   ACCOUNT_UNSUPPORTED};
    struct driver *driver = create_plain();

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct engine_call *call = driver_ask_and_reply(driver, (struct ask){.refresh = true}, refused);

        ck_assert_uint_eq(call->result.fresh_ns, 15 * MINUTE_NS); /* the first of its kind each time */
        driver_wait(driver, MINUTE_NS);
        driver_ask_and_reply(driver, (struct ask){.refresh = true}, (struct reply){.account = others[i]});
        ck_assert_int_eq(check_held(driver, (struct ask){0})->result.answer->account, others[i]);
    }
    driver_destroy(driver);
}
END_TEST

START_TEST(a_refusal_outlives_an_answer_that_says_nothing_of_the_secret)
{
    struct driver *driver = create_plain();
    struct engine_call *call;

    driver_ask_and_reply(driver, (struct ask){0}, refused);
    driver_wait(driver, MINUTE_NS);
    call = driver_ask_and_reply(driver, (struct ask){.refresh = true}, (struct reply){.account = ACCOUNT_UNAVAILABLE});
    ck_assert_int_eq(call->result.answer->account, ACCOUNT_UNAVAILABLE); /* whoever asked is told what came */
    ck_assert_uint_eq(call->result.fresh_ns, 0);
    call = check_held(driver, (struct ask){.refresh = true});
    ck_assert_int_eq(call->result.answer->account, ACCOUNT_INVALID_KEY);
    ck_assert_uint_eq(call->result.age_ns, MINUTE_NS);
    ck_assert_uint_eq(call->result.fresh_ns, 15 * MINUTE_NS); /* since it was last asked */
    driver_wait(driver, MINUTE_NS);
    driver_ask_and_reply(driver, (struct ask){.refresh = true}, refused);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_refused_secret_is_left_alone_for_longer_where_the_provider_says_so)
{
    struct driver *driver = create_plain();

    driver_ask_and_reply(driver, (struct ask){0}, refused);
    driver_wait(driver, MINUTE_NS);
    driver_ask_and_reply(driver, (struct ask){.refresh = true}, limited_for(20 * MINUTE_NS));
    driver_wait(driver, 20 * MINUTE_NS - 1);
    ck_assert_int_eq(check_held(driver, (struct ask){.refresh = true})->result.answer->account, ACCOUNT_INVALID_KEY);
    check_held(driver, (struct ask){0});
    driver_wait(driver, 1);
    driver_ask_and_reply(driver, (struct ask){0}, refused);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_refusal_outlives_a_probe_that_fails)
{
    struct driver *driver = create_plain();
    struct engine_call *call;

    driver_ask_and_reply(driver, (struct ask){0}, refused);
    driver_wait(driver, MINUTE_NS);
    call = driver_ask(driver, (struct ask){.refresh = true});
    driver_return(driver, 1, LEASE_TIMED_OUT);
    ck_assert_int_eq(driver_code(driver, call), STATUS_DEADLINE_EXCEEDED);
    ck_assert_int_eq(check_held(driver, (struct ask){0})->result.answer->account, ACCOUNT_INVALID_KEY);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_refusal_nobody_asks_about_is_forgotten_6_hours_after_its_pause)
{
    struct driver *driver = create_plain();
    struct engine_call *call;

    driver_ask_and_reply(driver, (struct ask){0}, refused);
    driver_wait(driver, 15 * MINUTE_NS + 6 * HOUR_NS - 1);
    ck_assert_uint_eq(driver_view(driver).cache_entries, 1);
    driver_wait(driver, 1);
    ck_assert_uint_eq(driver_view(driver).cache_entries, 0);
    call = driver_ask_and_reply(driver, (struct ask){0}, refused);
    ck_assert_uint_eq(call->result.fresh_ns, 15 * MINUTE_NS);
    driver_destroy(driver);
}
END_TEST

/* ---- min_interval_s ---- */

START_TEST(polling_manners_hold_against_the_ttl_age_and_refresh)
{
    struct driver *driver = create_plain();
    struct reply reply = {.account = ACCOUNT_OK, .interval_ns_min = 5 * MINUTE_NS};
    struct engine_call *call = driver_ask_and_reply(driver, (struct ask){0}, reply);

    ck_assert_uint_eq(call->result.fresh_ns, 5 * MINUTE_NS);
    driver_wait(driver, 5 * MINUTE_NS - 1);
    check_held_against_all(driver);
    driver_wait(driver, 1);
    driver_ask_and_reply(driver, (struct ask){0}, reply);
    driver_destroy(driver);
}
END_TEST

START_TEST(polling_manners_of_less_than_the_ttl_hold_against_refresh_alone)
{
    struct driver *driver = create_plain();
    struct reply reply = {.account = ACCOUNT_OK, .interval_ns_min = 10 * NS_PER_S};
    struct engine_call *call = driver_ask_and_reply(driver, (struct ask){0}, reply);

    ck_assert_uint_eq(call->result.fresh_ns, driver_settings.cache_ttl_ns);
    driver_wait(driver, 10 * NS_PER_S - 1);
    check_held_against_all(driver);
    driver_wait(driver, 1);
    check_held(driver, (struct ask){0});
    driver_ask_and_reply(driver, (struct ask){.refresh = true}, reply);
    driver_destroy(driver);
}
END_TEST

START_TEST(polling_manners_are_heeded_for_600_s_at_most)
{
    struct driver *driver = create_plain();
    struct engine_call *call = driver_ask_and_reply(
        driver, (struct ask){0}, (struct reply){.account = ACCOUNT_OK, .interval_ns_min = UINT64_MAX});

    ck_assert_uint_eq(call->result.fresh_ns, 10 * MINUTE_NS);
    driver_wait(driver, 10 * MINUTE_NS);
    driver_ask_and_reply(driver, (struct ask){0}, fine);
    driver_destroy(driver);
}
END_TEST

START_TEST(polling_manners_count_whatever_the_answer_says)
{
    struct driver *driver = create_plain();
    struct reply unavailable = {.account = ACCOUNT_UNAVAILABLE, .interval_ns_min = MINUTE_NS};
    struct reply limited = {.account = ACCOUNT_RATE_LIMITED, .retry_ns = NS_PER_S, .interval_ns_min = MINUTE_NS};
    struct reply refused_twice = {.account = ACCOUNT_INVALID_KEY, .interval_ns_min = 2 * MINUTE_NS};

    driver_ask_and_reply(driver, (struct ask){.key = "1"}, unavailable);
    driver_ask_and_reply(driver, (struct ask){.key = "2"}, limited);
    driver_ask_and_reply(driver, (struct ask){.key = "3"}, refused_twice);
    driver_wait(driver, MINUTE_NS - 1);
    check_held(driver, (struct ask){.key = "1", .refresh = true});
    check_held(driver, (struct ask){.key = "2", .refresh = true});
    driver_wait(driver, MINUTE_NS);
    check_held(driver, (struct ask){.key = "3", .refresh = true});
    driver_ask_and_reply(driver, (struct ask){.key = "1"}, fine);
    driver_ask_and_reply(driver, (struct ask){.key = "2"}, fine);
    driver_destroy(driver);
}
END_TEST

/* ---- what beats a hold ---- */

/* Of the three kinds, each under a key of its own. */
static void begin_holds(struct driver *driver)
{
    driver_ask_and_reply(driver, (struct ask){.key = "1"}, limited_for(HOUR_NS));
    driver_ask_and_reply(driver, (struct ask){.key = "2"}, refused);
    driver_ask_and_reply(driver, (struct ask){.key = "3"},
                         (struct reply){.account = ACCOUNT_OK, .interval_ns_min = MINUTE_NS});
}

static char *const held_keys[] = {"1", "2", "3"};

START_TEST(an_invalidation_lifts_every_hold_it_covers)
{
    struct driver *driver = create_plain();

    begin_holds(driver);
    driver_invalidate(driver, (struct void_order){.home = "/h", .provider = "anthropic"});
    for (int i = 0; i < 3; i++)
        check_held(driver, (struct ask){.key = held_keys[i], .refresh = true}); /* of another provider */
    driver_invalidate(driver, (struct void_order){.home = "/h", .provider = "openrouter"});
    for (int i = 0; i < 3; i++)
        driver_ask_and_reply(driver, (struct ask){.key = held_keys[i]}, fine);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_new_epoch_lifts_every_hold)
{
    struct driver *driver = create_plain();

    begin_holds(driver);
    driver_invalidate(driver, (struct void_order){.new_epoch = 7});
    for (int i = 0; i < 3; i++)
        ck_assert_uint_eq(driver_ask_and_reply(driver, (struct ask){.key = held_keys[i]}, refused)->result.fresh_ns,
                          15 * MINUTE_NS); /* and nothing of the refusal before is known */
    driver_destroy(driver);
}
END_TEST

START_TEST(at_least_above_the_answer_beats_a_hold)
{
    struct driver *driver = create_plain();

    begin_holds(driver);
    driver_invalidate(driver, (struct void_order){.home = "/h", .provider = "anthropic"});
    for (int i = 0; i < 3; i++) {
        check_held(driver, (struct ask){.key = held_keys[i], .at_least = {DRIVER_EPOCH, 1}, .refresh = true});
        driver_ask_and_reply(driver, (struct ask){.key = held_keys[i], .at_least = {DRIVER_EPOCH, 2}}, fine);
    }
    driver_destroy(driver);
}
END_TEST

/* ---- what is counted, and when it is fixed ---- */

START_TEST(what_only_a_hold_explains_is_counted)
{
    struct driver *driver = create_plain();

    driver_ask_and_reply(driver, (struct ask){0}, (struct reply){.account = ACCOUNT_OK, .interval_ns_min = MINUTE_NS});
    driver_wait(driver, NS_PER_S);
    check_held(driver, (struct ask){0});
    check_held(driver, (struct ask){.age_ns_max = 2 * NS_PER_S});
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_HELD), 0);
    check_held(driver, (struct ask){.refresh = true});
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_HELD), 1);
    check_held(driver, (struct ask){.age_ns_max = 1});
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_HELD), 2);
    driver_wait(driver, driver_settings.cache_ttl_ns);
    check_held(driver, (struct ask){0});
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_HELD), 3);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_ANSWERED_CACHED), 5);
    driver_destroy(driver);
}
END_TEST

START_TEST(how_long_an_answer_is_fresh_is_fixed_when_it_lands)
{
    struct driver *driver = create_plain();
    struct engine_settings settings = driver->settings;

    driver_ask_and_reply(driver, (struct ask){0}, fine);
    settings.cache_ttl_ns = NS_PER_S;
    driver_settings_changed(driver, &settings);
    driver_wait(driver, driver_settings.cache_ttl_ns - 1);
    ck_assert_uint_eq(check_held(driver, (struct ask){0})->result.fresh_ns, 1);
    driver_wait(driver, 1);
    ck_assert_uint_eq(driver_ask_and_reply(driver, (struct ask){0}, fine)->result.fresh_ns, NS_PER_S);
    driver_destroy(driver);
}
END_TEST

START_TEST(an_unavailable_account_is_kept_no_longer_than_the_ttl)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;
    struct engine_call *call;

    settings.failure_ttl_ns = MINUTE_NS;
    settings.cache_ttl_ns = 2 * NS_PER_S;
    driver = driver_create(&settings);
    call = driver_ask_and_reply(driver, (struct ask){0}, (struct reply){.account = ACCOUNT_UNAVAILABLE});
    ck_assert_uint_eq(call->result.fresh_ns, 2 * NS_PER_S);
    driver_destroy(driver);
}
END_TEST

START_TEST(who_asks_for_the_present_generation_is_held_off_beside_an_older_refusal)
{
    struct driver *driver = driver_create(&driver_settings);
    struct ask ask = {.at_least = {DRIVER_EPOCH, 2}};
    struct engine_call *call;

    driver_ask_and_reply(driver, (struct ask){0}, (struct reply){.account = ACCOUNT_INVALID_KEY});
    driver_invalidate(driver, (struct void_order){.home = "/h", .provider = "anthropic"});
    driver_ask_and_reply(driver, ask, (struct reply){.account = ACCOUNT_RATE_LIMITED, .retry_ns = 3600 * NS_PER_S});
    call = driver_ask(driver, ask);
    ck_assert_int_eq(driver_code(driver, call), STATUS_OK);
    ck_assert_int_eq(call->result.origin, ORIGIN_CACHED);
    driver_destroy(driver);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("engine_hold");
    TCase *limited = tcase_create("rate_limited"), *refusals = tcase_create("invalid_key"),
          *manners = tcase_create("min_interval"), *lifted = tcase_create("lifted"), *counted = tcase_create("counted");

    tcase_add_test(limited, a_rate_limited_provider_is_left_alone_until_it_said);
    tcase_add_test(limited, a_rate_limited_provider_is_left_alone_for_an_hour_at_most);
    tcase_add_test(limited, a_rate_limited_provider_may_be_asked_again_before_the_ttl_is_over);
    tcase_add_test(limited, a_rate_limited_answer_that_says_no_time_is_cached_like_any_other);
    tcase_add_test(limited, a_time_to_come_again_is_heeded_of_rate_limited_answers_only);
    tcase_add_test(limited, a_hold_counts_without_a_ttl);
    tcase_add_test(limited, another_key_another_provider_and_another_home_are_not_held);
    tcase_add_test(refusals, a_refused_secret_is_not_presented_by_plain_probes_for_15_minutes);
    tcase_add_test(refusals, refresh_presents_a_refused_secret_again_60_s_after_it_was_last_asked);
    tcase_add_test(refusals, each_pause_that_is_waited_out_doubles_the_next_up_to_6_hours);
    tcase_add_test(refusals, a_refusal_within_the_pause_begins_it_again_and_doubles_nothing);
    tcase_add_test(refusals, any_other_answer_ends_a_refusal);
    tcase_add_test(refusals, a_refusal_outlives_an_answer_that_says_nothing_of_the_secret);
    tcase_add_test(refusals, a_refused_secret_is_left_alone_for_longer_where_the_provider_says_so);
    tcase_add_test(refusals, a_refusal_outlives_a_probe_that_fails);
    tcase_add_test(refusals, who_asks_for_the_present_generation_is_held_off_beside_an_older_refusal);
    tcase_add_test(refusals, a_refusal_nobody_asks_about_is_forgotten_6_hours_after_its_pause);
    tcase_add_test(manners, polling_manners_hold_against_the_ttl_age_and_refresh);
    tcase_add_test(manners, polling_manners_of_less_than_the_ttl_hold_against_refresh_alone);
    tcase_add_test(manners, polling_manners_are_heeded_for_600_s_at_most);
    tcase_add_test(manners, polling_manners_count_whatever_the_answer_says);
    tcase_add_test(lifted, an_invalidation_lifts_every_hold_it_covers);
    tcase_add_test(lifted, a_new_epoch_lifts_every_hold);
    tcase_add_test(lifted, at_least_above_the_answer_beats_a_hold);
    tcase_add_test(counted, what_only_a_hold_explains_is_counted);
    tcase_add_test(counted, how_long_an_answer_is_fresh_is_fixed_when_it_lands);
    tcase_add_test(counted, an_unavailable_account_is_kept_no_longer_than_the_ttl);
    suite_add_tcase(suite, limited);
    suite_add_tcase(suite, refusals);
    suite_add_tcase(suite, manners);
    suite_add_tcase(suite, lifted);
    suite_add_tcase(suite, counted);
    return suite;
}

int main(void)
{
    return check_main(make_suite());
}
