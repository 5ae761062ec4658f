/* The real probe-worker asked by a person: one question on the command line, one answer to read; and the table. */
#include "server/worker/provider.h"
#include "tests/support/fixture.h"
#include "tests/support/tree.h"
#include "tests/support/worker_story.h"

#include <stdlib.h>

enum { WORD_COUNT_MAX = 24 };

/* Asks about a case of the fixtures, in its homes, with these further words; the exit status. */
static int ask(const char *name, const char *const *further)
{
    char path[FIXTURE_PATH_SIZE], catch_all[64];
    const char *source = getenv("PROBED_SOURCE"), *environment[] = {NULL};
    struct fixture *fixture;
    const char *words[WORD_COUNT_MAX] = {"--home", home, "--user-home", user_home, "--connect-to", catch_all};
    struct text before = TEXT_EMPTY, after = TEXT_EMPTY;
    size_t count = 6;
    int status;

    snprintf(path, sizeof path, "%s/tests/fixtures/providers/%s", source == NULL ? "." : source, name);
    fixture = fixture_load(path);
    fixture_write_home(fixture, "home_files", home);
    fixture_write_home(fixture, "user_home_files", user_home);
    standin_teach_fixture(standin, fixture);
    standin_start(standin, 0);
    snprintf(catch_all, sizeof catch_all, "::127.0.0.1:%u", standin_port(standin));
    words[count++] = "--cacert";
    words[count++] = standin_ca_file(standin);
    words[count++] = "--now";
    words[count++] = fixture_text(fixture, "now");
    words[count++] = "--provider";
    words[count++] = json_string_value(json_object_get(json_object_get(fixture->meta, "request"), "provider"));
    for (; *further != NULL; further++)
        words[count++] = *further;
    tree_describe(home, &before);
    asker_start(&asker, scratch.path, words, environment);
    status = asker_finish(&asker);
    tree_describe(home, &after);
    ck_assert_str_eq(text_string(&before), text_string(&after)); /* nothing is written */
    text_fini(&before);
    text_fini(&after);
    fixture_free(fixture);
    return status;
}

static bool says(const struct text *output, const char *text)
{
    return strstr(text_string(output), text) != NULL;
}

START_TEST(a_person_is_told_what_there_is_to_know)
{
    ck_assert_int_eq(ask("openai-codex/pool_two_ok", (const char *const[]){NULL}), 0);
    ck_assert_msg(says(&asker.out, "openai-codex  Account limits: ok, Plus\n"), "%s", text_string(&asker.out));
    ck_assert_msg(says(&asker.out, "  Session   35.0% used, Best of 2 available credentials, resets in 3 h 0 min "
                                   "(2026-03-01T15:00:00Z)\n"),
                  "%s", text_string(&asker.out));
    ck_assert(says(&asker.out, "  2/2 credentials available\n"));
    ck_assert(says(&asker.out, "  1. work: available, Plus, Session 70.0% used, Weekly 20.0% used\n"));
    ck_assert(!says(&asker.out, "eyJ"));
    ck_assert_str_eq(text_string(&asker.err), "");
}
END_TEST

START_TEST(a_program_is_told_the_answer_line)
{
    json_t *answer;

    ck_assert_int_eq(ask("deepseek/zero_balance", (const char *const[]){"--json", NULL}), 0);
    answer = json_loads(text_string(&asker.out), 0, NULL);
    ck_assert_str_eq(json_string_value(json_object_get(answer, "status")), "exhausted");
    ck_assert_ptr_null(json_object_get(answer, "id"));
    json_decref(answer);
}
END_TEST

START_TEST(an_account_that_tells_nothing_is_a_failure_with_a_reason)
{
    ck_assert_int_eq(ask("zai/success_false_other", (const char *const[]){NULL}), 1);
    ck_assert(says(&asker.out, "zai  Account limits: unavailable\n  The provider reported an error (code 500).\n"));
    ck_assert(says(&asker.out, "(quota_api with GLM_API_KEY, 2026-03-01T12:00:00Z)\n"));
}
END_TEST

START_TEST(a_sign_in_that_was_not_looked_at_is_hinted_at)
{
    ck_assert_int_eq(ask("gemini-cli/ok", (const char *const[]){NULL}), 1);
    ck_assert(says(&asker.out, "No credential is configured for this provider."));
    ck_assert(says(&asker.err, "--foreign-credentials yes"));
    ck_assert_uint_eq(standin_connection_count(standin), 0);
}
END_TEST

START_TEST(another_tools_sign_in_is_used_when_that_is_allowed)
{
    ck_assert_int_eq(ask("gemini-cli/ok", (const char *const[]){"--foreign-credentials", "yes", NULL}), 0);
    ck_assert(says(&asker.out, "fixture-pro"));
    ck_assert(says(&asker.out, "(quota_api with oauth_creds.json, "));
}
END_TEST

/* The output of `probe-worker WORD…`, which asks nobody; the exit status. */
static int run(const char *const *words)
{
    asker_start(&asker, scratch.path, words, (const char *const[]){NULL});
    return asker_finish(&asker);
}

START_TEST(the_table_names_every_provider_and_what_it_needs)
{
    ck_assert_int_eq(run((const char *const[]){"--list", NULL}), 0);
    for (const struct provider *const *row = providers; *row != NULL; row++) {
        char line[64];

        snprintf(line, sizeof line, "\n%s ", (*row)->id);
        ck_assert_msg(says(&asker.out, line), "%s", (*row)->id);
        for (const char *const *name = (*row)->variables; *name != NULL; name++)
            ck_assert_msg(says(&asker.out, *name), "%s", *name);
    }
    ck_assert(says(&asker.out, "XAI_MANAGEMENT_API_KEY, and XAI_TEAM_ID\n"));
    ck_assert(says(&asker.out, "LITELLM_API_KEY, and LITELLM_BASE_URL\n"));
    ck_assert(says(&asker.out, "auth.json or ~/.codex/auth.json*\n"));
}
END_TEST

START_TEST(what_makes_no_sense_is_refused)
{
    static const char *const wrong[][4] = {
        {"--provider", "Open Router"}, {"--json"}, {"--provider", ""}, {"--list", "--json"}};

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert_int_eq(run(wrong[i]), 2);
        ck_assert(says(&asker.err, "probe-worker: "));
        asker_fini(&asker);
    }
    asker = (struct asker){.in_fd = -1};
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("worker_alone");
    TCase *tcase = add_case(suite, "alone");

    tcase_add_test(tcase, a_person_is_told_what_there_is_to_know);
    tcase_add_test(tcase, a_program_is_told_the_answer_line);
    tcase_add_test(tcase, an_account_that_tells_nothing_is_a_failure_with_a_reason);
    tcase_add_test(tcase, a_sign_in_that_was_not_looked_at_is_hinted_at);
    tcase_add_test(tcase, another_tools_sign_in_is_used_when_that_is_allowed);
    tcase_add_test(tcase, the_table_names_every_provider_and_what_it_needs);
    tcase_add_test(tcase, what_makes_no_sense_is_refused);
    return check_main(suite);
}
