/* The daemon with a worker of the older protocol (tests/support/older_worker), which has no `id` and no `status`, and
 * which nobody has changed. */
#include "tests/support/story.h"

#include <stdlib.h>
#include <string.h>

static void older(void)
{
    static char command[512];
    const char *source = getenv("PROBED_SOURCE");
    const char *settings[] = {"--worker-command", command, NULL};

    snprintf(command, sizeof command, "/usr/bin/env python3 %s/tests/support/older_worker",
             source == NULL ? "." : source);
    stage_open(&stage, settings);
}

START_TEST(an_older_workers_answer_is_an_answer)
{
    struct call *call = begin("openrouter", "sk-older-key");
    const Probed__V1__AccountUsage *usage = probe_response(call)->usage;

    ck_assert_int_eq(usage->status, PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_OK);
    ck_assert_str_eq(usage->provider, "openrouter");
    ck_assert_str_eq(usage->plan, "Plus");
    ck_assert_uint_eq(usage->n_windows, 1);
    ck_assert_double_eq(usage->windows[0]->used_percent, 40);
    ck_assert(usage->available);
    call_end(call);
}
END_TEST

START_TEST(what_an_older_worker_could_not_tell_has_its_reason)
{
    struct call *call = begin("openrouter", NULL);
    const Probed__V1__AccountUsage *usage = probe_response(call)->usage;

    ck_assert_int_eq(usage->status, PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_UNAVAILABLE);
    ck_assert(!usage->available);
    ck_assert_str_eq(usage->unavailable_reason, "No key for this provider");
    call_end(call);
}
END_TEST

START_TEST(an_older_workers_null_is_no_answer)
{
    struct call *call = begin("unheard-of", NULL);
    const Probed__V1__AccountUsage *usage = probe_response(call)->usage;

    ck_assert_int_eq(usage->status, PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_UNAVAILABLE);
    ck_assert_str_eq(usage->unavailable_reason, "The worker had no answer.");
    call_end(call);
}
END_TEST

/* `env_var` is named, so that the worker finds the home's own key; providers without such a name have null there. */
START_TEST(an_older_worker_finds_the_homes_key_by_the_name_it_is_told)
{
    struct call *call;

    home_write(home, ".env", "DEEPSEEK_API_KEY=sk-of-the-home\n");
    call = begin("deepseek", NULL);
    ck_assert_int_eq(probe_response(call)->usage->status, PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_OK);
    call_end(call);
    call = begin("nous", NULL);
    ck_assert_int_eq(probe_response(call)->usage->status, PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_UNAVAILABLE);
    call_end(call);
}
END_TEST

START_TEST(an_older_worker_is_kept_for_the_next_question)
{
    for (int i = 0; i < 5; i++) {
        char provider[16];

        snprintf(provider, sizeof provider, "acme-%d", i);
        expect_plan(begin(provider, "sk-older-key"), "Plus");
    }
    daemon_wait(server, "idle", 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("worker_older");
    TCase *tcase = story_case(suite, "older", older);

    tcase_add_test(tcase, an_older_workers_answer_is_an_answer);
    tcase_add_test(tcase, what_an_older_worker_could_not_tell_has_its_reason);
    tcase_add_test(tcase, an_older_workers_null_is_no_answer);
    tcase_add_test(tcase, an_older_worker_finds_the_homes_key_by_the_name_it_is_told);
    tcase_add_test(tcase, an_older_worker_is_kept_for_the_next_question);
    return check_main(suite);
}
