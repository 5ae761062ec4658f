/* The table of providers: server/worker/provider.h. */
#include "server/worker/provider.h"

#include "server/work/provider_env.h"
#include "tests/support/check_main.h"

#include <string.h>

START_TEST(rows_are_in_order_and_no_name_is_given_twice)
{
    for (size_t i = 0; providers[i] != NULL; i++) {
        if (i > 0)
            ck_assert_str_lt(providers[i - 1]->id, providers[i]->id);
        ck_assert_ptr_eq(provider_find(providers[i]->id), providers[i]);
        ck_assert_str_eq(provider_id(providers[i]->id), providers[i]->id);
    }
    ck_assert_ptr_null(provider_find("groq"));
    ck_assert_ptr_null(provider_find(""));
}
END_TEST

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), end_size = strlen(end);

    return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

START_TEST(every_row_says_all_that_is_needed)
{
    for (const struct provider *const *at = providers; *at != NULL; at++) {
        const struct provider *row = *at;
        struct base_url base;

        ck_assert_msg(row->source != NULL && row->title != NULL && row->read != NULL, "%s", row->id);
        ck_assert_msg(row->min_interval_s >= 1 && row->min_interval_s <= 600, "%s", row->id);
        ck_assert_msg(row->timeout_ms >= 1000 && row->timeout_ms <= 15000, "%s", row->id);
        ck_assert_msg((row->path == NULL) != (row->address == NULL), "%s: path, or address", row->id);
        ck_assert_msg(row->path == NULL || row->path[0] == '/', "%s", row->id);
        ck_assert_msg(row->variables[0] != NULL || row->sign_ins[0].token != NULL, "%s: no credential", row->id);
        ck_assert_msg(ends_with(row->authorization, " "), "%s", row->id);
        ck_assert_msg(row->base_url != NULL || row->base_url_variable != NULL, "%s", row->id);
        if (row->base_url != NULL) {
            ck_assert_msg(base_url_parse(row->base_url, &base), "%s", row->id);
            ck_assert_msg(strcmp(base.text, row->base_url) == 0 && !base_url_is_plain(base.text), "%s", row->id);
        }
        ck_assert_msg(row->http_1_only == (strncmp(row->authorization, "Authorization: ", 15) != 0), "%s", row->id);
        ck_assert_msg((row->pool_source == NULL) == (row->pool_reason == NULL), "%s", row->id);
    }
}
END_TEST

START_TEST(a_vendor_may_go_by_another_name)
{
    ck_assert_str_eq(provider_id("x-ai"), "xai");
    ck_assert_str_eq(provider_id("mistralai"), "mistral");
    ck_assert_str_eq(provider_id("groq"), "groq");
}
END_TEST

START_TEST(a_row_tells_every_variable_that_it_names)
{
    const char *names[PROVIDER_NAME_COUNT_MAX];

    ck_assert_uint_eq(provider_names(provider_find("anthropic"), names), 4);
    ck_assert_str_eq(names[0], "ANTHROPIC_TOKEN");
    ck_assert_str_eq(names[3], "CLAUDE_CONFIG_DIR");
    ck_assert_uint_eq(provider_names(provider_find("xai"), names), 3);
    ck_assert_str_eq(names[1], "XAI_API_KEY");
    ck_assert_str_eq(names[2], "XAI_TEAM_ID");
    ck_assert_uint_eq(provider_names(provider_find("openai-codex"), names), 3);
    ck_assert_str_eq(names[0], "OPENAI_API_KEY"); /* others read it */
    ck_assert_uint_eq(provider_names(provider_find("litellm"), names), 2);
    ck_assert_str_eq(names[1], "LITELLM_BASE_URL");
}
END_TEST

/* A foreign sign-in is sent to an override only within own domains: a row with both has some. */
START_TEST(no_sign_in_can_be_led_astray)
{
    for (const struct provider *const *at = providers; *at != NULL; at++) {
        const struct provider *row = *at;
        bool is_foreign = false, has_override = row->base_url_variable != NULL || row->base_url_member != NULL;

        for (size_t i = 0; i < PROVIDER_SIGN_IN_COUNT_MAX && row->sign_ins[i].token != NULL; i++)
            is_foreign = is_foreign || row->sign_ins[i].foreign;
        ck_assert_msg(!is_foreign || !has_override || row->own_domains[0] != NULL, "%s", row->id);
        ck_assert_msg(row->base_url_member == NULL || row->own_domains_only, "%s", row->id);
    }
}
END_TEST

/* What the daemon tells other people's workers (`env_var`) is what this one looks at first, or the row says so. */
START_TEST(the_daemon_names_the_same_variable)
{
    for (const struct provider *const *at = providers; *at != NULL; at++) {
        const char *named = provider_env_name((*at)->id);
        const char *own = (*at)->told_variable != NULL ? (*at)->told_variable : (*at)->variables[0];

        ck_assert_msg((named == NULL) == (own == NULL), "%s", (*at)->id);
        if (named != NULL)
            ck_assert_str_eq(named, own);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("worker_providers");
    TCase *tcase = tcase_create("table");

    tcase_add_test(tcase, rows_are_in_order_and_no_name_is_given_twice);
    tcase_add_test(tcase, a_vendor_may_go_by_another_name);
    tcase_add_test(tcase, every_row_says_all_that_is_needed);
    tcase_add_test(tcase, no_sign_in_can_be_led_astray);
    tcase_add_test(tcase, the_daemon_names_the_same_variable);
    tcase_add_test(tcase, a_row_tells_every_variable_that_it_names);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
