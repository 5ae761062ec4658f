/* What users ask for most: figures with their age rather than an error; and providers that are left alone. */
#include "tests/support/story.h"

/* An account whose state the file `account` of the home says. */
#define PROVIDER "account"

static struct call *ask(bool refresh, bool accept_stale)
{
    Probed__V1__ProbeRequest request = PROBED__V1__PROBE_REQUEST__INIT;

    request.home = home->path;
    request.provider = (char *)(uintptr_t)PROVIDER;
    request.refresh = refresh;
    request.accept_stale = accept_stale;
    return call_begin(caller, METHOD_PROBE, 0, &request.base);
}

static void expect_figures(const Probed__V1__AccountUsage *usage)
{
    ck_assert_ptr_nonnull(usage);
    ck_assert_int_eq((int)usage->status, PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_OK);
    ck_assert_uint_eq(usage->n_windows, 1);
    ck_assert_str_eq(usage->plan, "one");
}

static void account_becomes(const char *state)
{
    home_write(home, "account", state);
}

static void invalidate(void)
{
    struct call *call = invalidate_begin(caller, home->path, PROVIDER, PROBED__V1__BARRIER__BARRIER_FENCED);

    invalidate_response(call);
    call_end(call);
}

START_TEST(a_rate_limited_answer_comes_with_the_last_good_one_and_holds)
{
    const Probed__V1__ProbeResponse *response;
    struct call *call;

    expect_origin(ask(false, false), PROBED__V1__ORIGIN__ORIGIN_COLD);
    account_becomes("rate_limited 600");
    call = ask(true, false);
    response = probe_response(call);
    ck_assert_int_eq((int)response->usage->status, PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_RATE_LIMITED);
    expect_figures(response->last_good);
    ck_assert_str_eq(response->stale_reason, "");
    call_end(call);
    account_becomes("ok");
    call = ask(true, false); /* the provider asked to wait: nobody is asked, refresh or not */
    response = probe_response(call);
    ck_assert_int_eq((int)response->usage->status, PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_RATE_LIMITED);
    ck_assert_int_eq((int)response->origin, PROBED__V1__ORIGIN__ORIGIN_CACHED);
    expect_figures(response->last_good);
    ck_assert_uint_gt(response->fresh_ms, 590000);
    call_end(call);
    ck_assert_uint_eq(home_count(home, "ask"), 2);
    ck_assert_uint_eq(daemon_number(server, "probed_holds_total"), 1);
}
END_TEST

START_TEST(an_invalidation_lifts_a_hold_and_covers_what_was_good)
{
    const Probed__V1__ProbeResponse *response;
    struct call *call;

    expect_origin(ask(false, false), PROBED__V1__ORIGIN__ORIGIN_COLD);
    account_becomes("invalid_key");
    expect_origin(ask(true, false), PROBED__V1__ORIGIN__ORIGIN_WARM);
    expect_origin(ask(true, false), PROBED__V1__ORIGIN__ORIGIN_CACHED); /* a refused secret is not presented again */
    account_becomes("rate_limited 600");
    invalidate();
    call = ask(false, false);
    response = probe_response(call);
    ck_assert_int_eq((int)response->usage->status, PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_RATE_LIMITED);
    ck_assert_ptr_null(response->last_good);
    call_end(call);
    ck_assert_uint_eq(home_count(home, "ask"), 3);
}
END_TEST

START_TEST(who_accepts_it_gets_the_last_good_answer_instead_of_an_error)
{
    const Probed__V1__ProbeResponse *response;
    struct call *call;

    expect_origin(ask(false, false), PROBED__V1__ORIGIN__ORIGIN_COLD);
    account_becomes("die");
    call = ask(true, true);
    response = probe_response(call);
    expect_figures(response->usage);
    expect_figures(response->last_good);
    ck_assert_uint_eq(response->last_good_age_ms, response->age_ms);
    ck_assert_ptr_nonnull(strstr(response->stale_reason, "without an answer"));
    ck_assert_int_eq((int)response->origin, PROBED__V1__ORIGIN__ORIGIN_CACHED);
    ck_assert_uint_eq(response->fresh_ms, 0);
    call_end(call);
    expect_failure(ask(true, false), STATUS_UNAVAILABLE, "");
    ck_assert_uint_eq(daemon_number(server, "probed_answers_total{origin=\"stale\"}"), 1);
}
END_TEST

START_TEST(manners_of_a_provider_are_kept)
{
    expect_origin(ask(false, false), PROBED__V1__ORIGIN__ORIGIN_COLD);
    account_becomes("no_data 0 60");
    invalidate();
    expect_origin(ask(false, false), PROBED__V1__ORIGIN__ORIGIN_COLD);
    expect_origin(ask(true, false), PROBED__V1__ORIGIN__ORIGIN_CACHED);
    ck_assert_uint_eq(home_count(home, "ask"), 2);
}
END_TEST

STORY_SETUP(no_prewarm, "--pool-prewarm", "no")

int main(void)
{
    Suite *suite = suite_create("last_good");
    TCase *tcase = story_case(suite, "answers", no_prewarm);

    tcase_add_test(tcase, a_rate_limited_answer_comes_with_the_last_good_one_and_holds);
    tcase_add_test(tcase, an_invalidation_lifts_a_hold_and_covers_what_was_good);
    tcase_add_test(tcase, who_accepts_it_gets_the_last_good_answer_instead_of_an_error);
    tcase_add_test(tcase, manners_of_a_provider_are_kept);
    return check_main(suite);
}
