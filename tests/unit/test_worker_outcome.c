/* Status mapping and Retry-After: server/worker/outcome.h. */
#include "server/worker/outcome.h"

#include "server/worker/stamp.h"
#include "tests/support/check_main.h"

#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

#define NOW_S INT64_C(1772366400) /* 2026-03-01T12:00:00Z, a Sunday */

START_TEST(every_http_status_has_its_sentence)
{
    static const struct {
        int http_status;
        enum credential_kind kind;
        const char *status, *reason;
    } table[] = {
        {401, CREDENTIAL_API_KEY, "invalid_key", "The provider rejected the credential (HTTP 401)."},
        {403, CREDENTIAL_API_KEY, "invalid_key", "The provider rejected the credential (HTTP 403)."},
        {401, CREDENTIAL_SIGN_IN, "invalid_key",
         "The provider rejected the stored sign-in (HTTP 401); sign in again with the owning tool."},
        {403, CREDENTIAL_SIGN_IN, "invalid_key",
         "The provider rejected the stored sign-in (HTTP 403); sign in again with the owning tool."},
        {402, CREDENTIAL_SIGN_IN, "exhausted", "The provider reports that no credit is left (HTTP 402)."},
        {404, CREDENTIAL_API_KEY, "unsupported", "The usage endpoint is not available for this credential (HTTP 404)."},
        {405, CREDENTIAL_API_KEY, "unsupported", "The usage endpoint is not available for this credential (HTTP 405)."},
        {410, CREDENTIAL_API_KEY, "unsupported", "The usage endpoint is not available for this credential (HTTP 410)."},
        {429, CREDENTIAL_API_KEY, "rate_limited", "The usage endpoint is rate limited (HTTP 429)."},
        {500, CREDENTIAL_API_KEY, "unavailable", "The provider is temporarily unavailable (HTTP 500)."},
        {529, CREDENTIAL_API_KEY, "unavailable", "The provider is temporarily unavailable (HTTP 529)."},
        {302, CREDENTIAL_API_KEY, "unavailable",
         "The usage endpoint answered with a redirect (HTTP 302), which is not followed."},
        {304, CREDENTIAL_API_KEY, "unavailable",
         "The usage endpoint answered with a redirect (HTTP 304), which is not followed."},
        {204, CREDENTIAL_API_KEY, "unavailable", "The usage endpoint gave an unexpected answer (HTTP 204)."},
        {400, CREDENTIAL_API_KEY, "unavailable", "The usage endpoint gave an unexpected answer (HTTP 400)."},
        {451, CREDENTIAL_API_KEY, "unavailable", "The usage endpoint gave an unexpected answer (HTTP 451)."},
        {700, CREDENTIAL_API_KEY, "unavailable", "The usage endpoint gave an unexpected answer (HTTP 700)."},
    };

    for (size_t i = 0; i < COUNT(table); i++) {
        struct outcome outcome = outcome_http(table[i].http_status, table[i].kind, "", NOW_S);

        ck_assert_str_eq(account_status_name(outcome.status), table[i].status);
        ck_assert_str_eq(outcome.reason, table[i].reason);
        ck_assert_int_eq(outcome.http_status, table[i].http_status);
    }
}
END_TEST

START_TEST(retry_after_is_whole_seconds_or_a_date_to_come)
{
    static const struct {
        const char *value;
        int64_t wait_s;
    } table[] = {
        {"17", 17},
        {"240", 240},
        {"86400", 86400},
        {"86401", 86400},
        {"99999999999999999999999999", 86400},
        {"0", 0},
        {"", 0},
        {"-5", 0},
        {"+5", 0},
        {"1.5", 0},
        {"1e3", 0},
        {"0x10", 0},
        {"17 s", 0},
        {"soon; drop table", 0},
        {"Sun, 01 Mar 2026 12:02:00 GMT", 120},
        {"Sunday, 01-Mar-26 12:02:00 GMT", 120},
        {"Sun, 01 Mar 2026 12:00:00 GMT", 0},
        {"Sun, 01 Mar 2026 11:59:00 GMT", 0},
        {"Tue, 01 Mar 2095 12:00:00 GMT", 86400},
    };

    for (size_t i = 0; i < COUNT(table); i++)
        ck_assert_msg(outcome_retry_after(table[i].value, NOW_S) == table[i].wait_s, "\"%s\" gives %lld",
                      table[i].value, (long long)outcome_retry_after(table[i].value, NOW_S));
}
END_TEST

START_TEST(only_429_and_5xx_say_when_to_come_again)
{
    static const struct {
        int http_status;
        int64_t wait_s;
    } table[] = {{429, 17}, {500, 17}, {503, 17}, {599, 17}, {401, 0}, {402, 0}, {404, 0}, {302, 0}, {418, 0}};

    for (size_t i = 0; i < COUNT(table); i++)
        ck_assert_int_eq(outcome_http(table[i].http_status, CREDENTIAL_API_KEY, "17", NOW_S).retry_after_s,
                         table[i].wait_s);
}
END_TEST

START_TEST(a_reason_stands_exactly_where_there_is_nothing_to_show)
{
    ck_assert_str_eq(outcome_usable(false).reason, "");
    ck_assert_str_eq(account_status_name(outcome_usable(false).status), "ok");
    ck_assert_str_eq(account_status_name(outcome_usable(true).status), "exhausted");
    for (enum failure failure = 0; failure < FAILURE_COUNT; failure++) {
        struct outcome outcome = outcome_failure(failure, 0);

        ck_assert_str_ne(outcome.reason, "");
        ck_assert_str_eq(outcome.reason, outcome_reason(failure)); /* it was not cut */
        ck_assert_int_eq(outcome.http_status, 0);
    }
}
END_TEST

START_TEST(a_body_can_say_that_it_is_an_error)
{
    static const struct {
        enum body_error error;
        const char *code, *status, *reason;
    } table[] = {
        {BODY_ERROR, "", "unavailable", "The provider reported an error."},
        {BODY_ERROR, "500", "unavailable", "The provider reported an error (code 500)."},
        {BODY_REJECTS_KEY, "1004", "invalid_key", "The provider rejected the credential (code 1004)."},
        {BODY_REJECTS_KEY, "", "invalid_key", "The provider rejected the credential."},
    };

    for (size_t i = 0; i < COUNT(table); i++) {
        struct outcome outcome = outcome_body(table[i].error, table[i].code);

        ck_assert_str_eq(account_status_name(outcome.status), table[i].status);
        ck_assert_str_eq(outcome.reason, table[i].reason);
        ck_assert_int_eq(outcome.http_status, 200);
    }
}
END_TEST

START_TEST(another_status_can_mean_rate_limited)
{
    struct outcome outcome = outcome_limited(422, "17", NOW_S);

    ck_assert_str_eq(account_status_name(outcome.status), "rate_limited");
    ck_assert_str_eq(outcome.reason, "The usage endpoint is rate limited (HTTP 422).");
    ck_assert_int_eq(outcome.retry_after_s, 17);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("worker_outcome");
    TCase *tcase = tcase_create("outcome");

    tcase_add_test(tcase, every_http_status_has_its_sentence);
    tcase_add_test(tcase, retry_after_is_whole_seconds_or_a_date_to_come);
    tcase_add_test(tcase, only_429_and_5xx_say_when_to_come_again);
    tcase_add_test(tcase, a_reason_stands_exactly_where_there_is_nothing_to_show);
    tcase_add_test(tcase, a_body_can_say_that_it_is_an_error);
    tcase_add_test(tcase, another_status_can_mean_rate_limited);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
