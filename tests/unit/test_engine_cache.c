/* The cache: what is served, for how long, and what goes first.  proto/README.md 2 and 3. */
#include "tests/support/check_main.h"
#include "tests/support/engine_driver.h"

#include <stdio.h>

enum { SHARES = 16 };

/* Asks for this key, of an idle worker or a new one, which answers with so many bytes. */
static struct engine_call *fill(struct driver *driver, const char *home, const char *key, size_t size)
{
    size_t leases_before = driver->lease_count;
    struct engine_call *call = driver_ask(driver, (struct ask){.home = home, .key = key});

    if (driver->lease_count == leases_before)
        driver_up(driver, driver->pinned_count);
    driver_answer_as(driver, driver->leases[leases_before]->worker_id, ACCOUNT_OK, size);
    ck_assert_int_eq(driver_code(driver, call), STATUS_OK);
    return call;
}

/* Whether this key is served from the cache; looking counts as a use. */
static bool is_cached(struct driver *driver, const char *home, const char *key)
{
    struct engine_call *call = driver_ask(driver, (struct ask){.home = home, .key = key});
    bool cached = driver_is_back(driver, call) && call->result.origin == ORIGIN_CACHED;

    if (!driver_is_back(driver, call))
        driver_leave(driver, call);
    return cached;
}

START_TEST(an_answer_is_served_again_with_its_age)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *first = fill(driver, "/h", NULL, 100), *second;

    ck_assert_uint_eq(first->result.age_ns, 0);
    ck_assert_uint_eq(first->result.fresh_ns, driver_settings.cache_ttl_ns);
    driver_wait(driver, 3 * NS_PER_S);
    second = driver_ask(driver, (struct ask){0});
    ck_assert_int_eq(driver_code(driver, second), STATUS_OK);
    ck_assert_int_eq(second->result.origin, ORIGIN_CACHED);
    ck_assert_ptr_eq(second->result.answer, first->result.answer);
    ck_assert_uint_eq(second->result.age_ns, 3 * NS_PER_S);
    ck_assert_uint_eq(second->result.fresh_ns, driver_settings.cache_ttl_ns - 3 * NS_PER_S);
    ck_assert_uint_eq(driver->lease_count, 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(an_answer_as_old_as_the_ttl_is_not_served)
{
    struct driver *driver = driver_create(&driver_settings);

    fill(driver, "/h", NULL, 100);
    driver->now_ns += driver_settings.cache_ttl_ns - 1;
    ck_assert(is_cached(driver, "/h", NULL));
    driver->now_ns += 1;
    ck_assert(!is_cached(driver, "/h", NULL));
    driver_destroy(driver);
}
END_TEST

START_TEST(what_is_past_the_ttl_is_let_go_by_time_alone)
{
    struct driver *driver = driver_create(&driver_settings);

    fill(driver, "/h", NULL, 100);
    ck_assert_uint_eq(driver_view(driver).cache_entries, 1);
    ck_assert_uint_gt(driver_view(driver).cache_bytes, 100);
    driver_wait(driver, driver_settings.cache_ttl_ns);
    ck_assert_uint_eq(driver_view(driver).cache_entries, 0);
    ck_assert_uint_eq(driver_view(driver).cache_bytes, 0);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_EVICTED), 0);
    driver_destroy(driver);
}
END_TEST

START_TEST(what_is_past_the_ttl_is_let_go_in_pieces)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;
    char key[16];

    settings.cache_entries_max = 65536;
    settings.idle_ns_max = 3600 * NS_PER_S;
    driver = driver_create(&settings);
    driver_warm(driver, "/h");
    for (int i = 0; i < 1500; i++) {
        snprintf(key, sizeof key, "%d", i);
        fill(driver, "/h", key, 10);
    }
    ck_assert_uint_eq(driver_view(driver).cache_entries, 1501);
    driver->now_ns += settings.cache_ttl_ns;
    ck_assert_uint_le(engine_next_ns(driver->engine), driver->now_ns);
    driver_wait(driver, 0);
    ck_assert_uint_eq(driver_view(driver).cache_entries, 1501 - 1024);
    driver_wait(driver, NS_PER_MS);
    ck_assert_uint_eq(driver_view(driver).cache_entries, 0);
    driver_destroy(driver);
}
END_TEST

START_TEST(max_age_asks_for_less_than_the_ttl)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call;

    fill(driver, "/h", NULL, 100);
    driver_wait(driver, NS_PER_S);
    call = driver_ask(driver, (struct ask){.age_ns_max = NS_PER_S + 1});
    ck_assert_int_eq(call->result.origin, ORIGIN_CACHED);
    call = driver_ask(driver, (struct ask){.age_ns_max = NS_PER_S});
    ck_assert(!driver_is_back(driver, call));
    driver_destroy(driver);
}
END_TEST

START_TEST(refresh_is_not_served_from_the_cache_but_joins)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *one, *other;

    fill(driver, "/h", NULL, 100);
    one = driver_ask(driver, (struct ask){.refresh = true});
    other = driver_ask(driver, (struct ask){.refresh = true});
    ck_assert_uint_eq(driver->lease_count, 2);
    driver_answer(driver, 1);
    ck_assert_int_eq(one->result.origin, ORIGIN_WARM);
    ck_assert_int_eq(other->result.origin, ORIGIN_JOINED);
    driver_destroy(driver);
}
END_TEST

START_TEST(home_provider_and_key_are_all_part_of_the_key)
{
    struct driver *driver = driver_create(&driver_settings);

    fill(driver, "/h", "one", 100);
    ck_assert(is_cached(driver, "/h", "one"));
    ck_assert(!is_cached(driver, "/h", "other"));
    ck_assert(!is_cached(driver, "/h", NULL));
    ck_assert(!is_cached(driver, "/i", "one"));
    ck_assert(!driver_is_back(driver, driver_ask(driver, (struct ask){.provider = "anthropic", .key = "one"})));
    driver_destroy(driver);
}
END_TEST

START_TEST(an_unavailable_account_is_kept_for_the_failure_ttl_only)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call = driver_ask(driver, (struct ask){0});

    driver_up(driver, 1);
    driver_answer_as(driver, 1, ACCOUNT_UNAVAILABLE, 100);
    ck_assert_int_eq(driver_code(driver, call), STATUS_OK); /* an answer, not an error */
    ck_assert_uint_eq(call->result.fresh_ns, driver_settings.failure_ttl_ns);
    driver->now_ns += driver_settings.failure_ttl_ns - 1;
    ck_assert(is_cached(driver, "/h", NULL));
    driver->now_ns += 1;
    ck_assert(!is_cached(driver, "/h", NULL));
    driver_wait(driver, 0);
    ck_assert_uint_eq(driver_view(driver).cache_entries, 0);
    driver_destroy(driver);
}
END_TEST

START_TEST(without_a_ttl_nothing_is_stored)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;

    settings.cache_ttl_ns = 0;
    driver = driver_create(&settings);
    ck_assert_uint_eq(fill(driver, "/h", NULL, 100)->result.fresh_ns, 0);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_STORED), 0);
    ck_assert(!is_cached(driver, "/h", NULL));
    driver_destroy(driver);
}
END_TEST

START_TEST(the_least_recently_used_goes_first)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;

    settings.cache_entries_max = 3;
    driver = driver_create(&settings);
    fill(driver, "/h/1", NULL, 100);
    fill(driver, "/h/2", NULL, 100);
    fill(driver, "/h/3", NULL, 100);
    ck_assert(is_cached(driver, "/h/1", NULL)); /* used: now 2 is the oldest */
    fill(driver, "/h/4", NULL, 100);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_EVICTED), 1);
    ck_assert(is_cached(driver, "/h/1", NULL));
    ck_assert(!is_cached(driver, "/h/2", NULL));
    ck_assert(is_cached(driver, "/h/3", NULL));
    ck_assert(is_cached(driver, "/h/4", NULL));
    driver_destroy(driver);
}
END_TEST

START_TEST(a_home_with_more_than_a_sixteenth_of_the_entries_evicts_its_own)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;

    settings.cache_entries_max = 2 * SHARES;
    driver = driver_create(&settings);
    fill(driver, "/other", NULL, 100); /* the least recently used of all */
    fill(driver, "/h", "1", 100);
    fill(driver, "/h", "2", 100);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_EVICTED), 0);
    ck_assert(is_cached(driver, "/h", "1")); /* used: now 2 is the home's oldest */
    fill(driver, "/h", "3", 100);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_EVICTED), 1);
    ck_assert(is_cached(driver, "/h", "1"));
    ck_assert(!is_cached(driver, "/h", "2"));
    ck_assert(is_cached(driver, "/h", "3"));
    ck_assert(is_cached(driver, "/other", NULL));
    driver_destroy(driver);
}
END_TEST

START_TEST(a_home_with_more_than_a_sixteenth_of_the_bytes_evicts_its_own)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;

    settings.cache_bytes_max = SHARES * 4096;
    driver = driver_create(&settings);
    fill(driver, "/other", NULL, 3000);
    fill(driver, "/h", "1", 1500);
    fill(driver, "/h", "2", 1500);
    fill(driver, "/h", "3", 1500);
    ck_assert(!is_cached(driver, "/h", "1"));
    ck_assert(is_cached(driver, "/h", "2"));
    ck_assert(is_cached(driver, "/h", "3"));
    ck_assert(is_cached(driver, "/other", NULL));
    driver_destroy(driver);
}
END_TEST

START_TEST(a_home_may_always_have_one_answer_that_fits)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;

    settings.cache_entries_max = 4; /* a sixteenth of it is none */
    settings.cache_bytes_max = 65536;
    driver = driver_create(&settings);
    fill(driver, "/h", "1", 100);
    fill(driver, "/h", "2", 20000); /* more than a sixteenth of 65536 */
    ck_assert(!is_cached(driver, "/h", "1"));
    ck_assert(is_cached(driver, "/h", "2"));
    driver_destroy(driver);
}
END_TEST

START_TEST(the_bytes_are_bounded_over_all_homes)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;

    settings.cache_bytes_max = 65536;
    driver = driver_create(&settings);
    fill(driver, "/h/1", NULL, 30000);
    fill(driver, "/h/2", NULL, 30000);
    fill(driver, "/h/3", NULL, 30000);
    ck_assert_uint_le(driver_view(driver).cache_bytes, 65536);
    ck_assert(!is_cached(driver, "/h/1", NULL));
    ck_assert(is_cached(driver, "/h/2", NULL));
    fill(driver, "/h/4", NULL, 65536); /* fits nowhere: evicts nobody */
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_EVICTED), 1);
    ck_assert(is_cached(driver, "/h/3", NULL));
    driver_destroy(driver);
}
END_TEST

START_TEST(a_newer_answer_replaces_the_one_before)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call;
    uint64_t bytes;

    fill(driver, "/h", NULL, 100);
    bytes = driver_view(driver).cache_bytes;
    call = driver_ask(driver, (struct ask){.refresh = true});
    driver_answer_as(driver, 1, ACCOUNT_EXHAUSTED, 200);
    ck_assert_uint_eq(driver_view(driver).cache_entries, 1);
    ck_assert_uint_eq(driver_view(driver).cache_bytes, bytes + 100);
    ck_assert_ptr_eq(driver_ask(driver, (struct ask){0})->result.answer, call->result.answer);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_cached_answer_older_than_at_least_is_not_used)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call;

    fill(driver, "/h", NULL, 100);
    driver_invalidate(driver, (struct void_order){.home = "/h", .provider = "anthropic"});
    ck_assert(is_cached(driver, "/h", NULL)); /* the other provider's change does not concern it */
    call = driver_ask(driver, (struct ask){.at_least = {DRIVER_EPOCH, 2}});
    ck_assert(!driver_is_back(driver, call));
    driver_up(driver, 2);
    driver_answer(driver, 2);
    ck_assert_int_eq(driver_code(driver, call), STATUS_OK);
    call = driver_ask(driver, (struct ask){.at_least = {DRIVER_EPOCH, 2}});
    ck_assert_int_eq(call->result.origin, ORIGIN_CACHED);
    driver_destroy(driver);
}
END_TEST

/* A probe that at_least did not let join an older one is answered first; the older one lands later. */
START_TEST(an_older_answer_that_lands_later_replaces_no_newer_one)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *older = driver_ask(driver, (struct ask){0}), *newer;

    driver_up(driver, 1);
    driver_invalidate(driver, (struct void_order){.home = "/h", .provider = "anthropic"});
    newer = driver_ask(driver, (struct ask){.at_least = {DRIVER_EPOCH, 2}});
    driver_up(driver, 2);
    driver_answer(driver, 2);
    driver_answer(driver, 1);
    ck_assert_int_eq(driver_code(driver, older), STATUS_OK);
    ck_assert_ptr_ne(older->result.answer, newer->result.answer);
    ck_assert_ptr_eq(driver_ask(driver, (struct ask){0})->result.answer, newer->result.answer);
    driver_destroy(driver);
}
END_TEST

/* ---- failures ---- */

static void let_fail(struct driver *driver, const char *key)
{
    struct engine_call *call = driver_ask(driver, (struct ask){.key = key, .refresh = true});

    if (driver->workers[driver->pinned_count].lease == NULL)
        driver_up(driver, driver->pinned_count);
    driver_return(driver, driver->pinned_count, LEASE_BREACHED);
    driver_gone(driver, driver->pinned_count);
    ck_assert_int_eq(driver_code(driver, call), STATUS_INTERNAL);
}

START_TEST(a_failure_is_remembered_with_code_message_and_what_is_left)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call;

    let_fail(driver, NULL);
    driver->now_ns += 300 * NS_PER_MS + 1;
    call = driver_ask(driver, (struct ask){0});
    ck_assert_int_eq(driver_code(driver, call), STATUS_INTERNAL);
    ck_assert_str_eq(call->result.status.message, "end 3");
    ck_assert_uint_eq(call->result.status.retry_after_ms, 700);
    ck_assert_uint_eq(driver->lease_count, 1);
    driver->now_ns += 700 * NS_PER_MS - 1;
    ck_assert(!driver_is_back(driver, driver_ask(driver, (struct ask){0})));
    driver_destroy(driver);
}
END_TEST

START_TEST(refresh_asks_again_in_spite_of_a_remembered_failure)
{
    struct driver *driver = driver_create(&driver_settings);
    struct engine_call *call;

    let_fail(driver, NULL);
    call = driver_ask(driver, (struct ask){.refresh = true});
    ck_assert(!driver_is_back(driver, call));
    driver_up(driver, 2);
    driver_answer(driver, 2);
    ck_assert_int_eq(driver_ask(driver, (struct ask){0})->result.origin, ORIGIN_CACHED);
    driver_wait(driver, NS_PER_MS); /* and one answer ends the memory, for who wants a newer one, too */
    ck_assert(!driver_is_back(driver, driver_ask(driver, (struct ask){.age_ns_max = 1})));
    driver_destroy(driver);
}
END_TEST

START_TEST(a_failure_replaces_no_cached_answer)
{
    struct driver *driver = driver_create(&driver_settings);

    fill(driver, "/h", NULL, 100);
    driver_ask(driver, (struct ask){.refresh = true});
    driver_return(driver, 1, LEASE_TIMED_OUT);
    ck_assert_int_eq(driver_ask(driver, (struct ask){0})->result.origin, ORIGIN_CACHED);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_failure_concerns_its_key_alone_and_goes_by_time)
{
    struct driver *driver = driver_create(&driver_settings);

    let_fail(driver, "one");
    ck_assert(!driver_is_back(driver, driver_ask(driver, (struct ask){.key = "other"})));
    driver_wait(driver, driver_settings.failure_ttl_ns);
    ck_assert(!driver_is_back(driver, driver_ask(driver, (struct ask){.key = "one"})));
    driver_destroy(driver);
}
END_TEST

START_TEST(a_failure_older_than_at_least_or_the_epoch_is_not_repeated)
{
    struct driver *driver = driver_create(&driver_settings);

    let_fail(driver, NULL);
    driver_invalidate(driver, (struct void_order){.home = "/h", .provider = "anthropic"});
    ck_assert_int_eq(driver_code(driver, driver_ask(driver, (struct ask){0})), STATUS_INTERNAL);
    ck_assert(!driver_is_back(driver, driver_ask(driver, (struct ask){.at_least = {DRIVER_EPOCH, 2}})));
    driver_invalidate(driver, (struct void_order){.new_epoch = 7});
    ck_assert(!driver_is_back(driver, driver_ask(driver, (struct ask){0})));
    driver_destroy(driver);
}
END_TEST

START_TEST(a_failure_of_before_a_new_epoch_is_not_repeated)
{
    struct driver *driver = driver_create(&driver_settings);

    let_fail(driver, NULL);
    driver_invalidate(driver, (struct void_order){.new_epoch = 7});
    ck_assert(!driver_is_back(driver, driver_ask(driver, (struct ask){0})));
    driver_destroy(driver);
}
END_TEST

START_TEST(there_are_never_more_failures_than_there_may_be_answers)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;

    settings.cache_entries_max = 2;
    driver = driver_create(&settings);
    let_fail(driver, "1");
    let_fail(driver, "2");
    let_fail(driver, "3");
    ck_assert(!driver_is_back(driver, driver_ask(driver, (struct ask){.key = "1"})));
    ck_assert_int_eq(driver_code(driver, driver_ask(driver, (struct ask){.key = "2"})), STATUS_INTERNAL);
    ck_assert_int_eq(driver_code(driver, driver_ask(driver, (struct ask){.key = "3"})), STATUS_INTERNAL);
    driver_destroy(driver);
}
END_TEST

START_TEST(without_a_failure_ttl_nothing_is_remembered)
{
    struct engine_settings settings = driver_settings;
    struct driver *driver;

    settings.failure_ttl_ns = 0;
    driver = driver_create(&settings);
    let_fail(driver, NULL);
    ck_assert(!driver_is_back(driver, driver_ask(driver, (struct ask){0})));
    driver_destroy(driver);
}
END_TEST

START_TEST(an_answer_lives_until_its_last_holder_lets_go)
{
    struct answer *answer = answer_create(3);

    ck_assert_uint_eq(answer->size, 3);
    ck_assert_ptr_eq(answer_share(answer), answer);
    answer_release(answer);
    answer->bytes[2] = 'x';
    answer_release(answer);
    answer_release(NULL);
    ck_assert_ptr_null(answer_share(NULL));
    ck_assert_ptr_null(answer_create(SIZE_MAX));
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("engine_cache");
    TCase *answers = tcase_create("answers"), *failures = tcase_create("failures");

    tcase_add_test(answers, an_answer_is_served_again_with_its_age);
    tcase_add_test(answers, an_answer_as_old_as_the_ttl_is_not_served);
    tcase_add_test(answers, what_is_past_the_ttl_is_let_go_by_time_alone);
    tcase_add_test(answers, what_is_past_the_ttl_is_let_go_in_pieces);
    tcase_add_test(answers, max_age_asks_for_less_than_the_ttl);
    tcase_add_test(answers, refresh_is_not_served_from_the_cache_but_joins);
    tcase_add_test(answers, home_provider_and_key_are_all_part_of_the_key);
    tcase_add_test(answers, an_unavailable_account_is_kept_for_the_failure_ttl_only);
    tcase_add_test(answers, without_a_ttl_nothing_is_stored);
    tcase_add_test(answers, the_least_recently_used_goes_first);
    tcase_add_test(answers, a_home_with_more_than_a_sixteenth_of_the_entries_evicts_its_own);
    tcase_add_test(answers, a_home_with_more_than_a_sixteenth_of_the_bytes_evicts_its_own);
    tcase_add_test(answers, a_home_may_always_have_one_answer_that_fits);
    tcase_add_test(answers, the_bytes_are_bounded_over_all_homes);
    tcase_add_test(answers, a_newer_answer_replaces_the_one_before);
    tcase_add_test(answers, a_cached_answer_older_than_at_least_is_not_used);
    tcase_add_test(answers, an_older_answer_that_lands_later_replaces_no_newer_one);
    tcase_add_test(answers, an_answer_lives_until_its_last_holder_lets_go);
    tcase_add_test(failures, a_failure_is_remembered_with_code_message_and_what_is_left);
    tcase_add_test(failures, refresh_asks_again_in_spite_of_a_remembered_failure);
    tcase_add_test(failures, a_failure_replaces_no_cached_answer);
    tcase_add_test(failures, a_failure_concerns_its_key_alone_and_goes_by_time);
    tcase_add_test(failures, a_failure_older_than_at_least_or_the_epoch_is_not_repeated);
    tcase_add_test(failures, a_failure_of_before_a_new_epoch_is_not_repeated);
    tcase_add_test(failures, there_are_never_more_failures_than_there_may_be_answers);
    tcase_add_test(failures, without_a_failure_ttl_nothing_is_remembered);
    suite_add_tcase(suite, answers);
    suite_add_tcase(suite, failures);
    return suite;
}

int main(void)
{
    return check_main(make_suite());
}
