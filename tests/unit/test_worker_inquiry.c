/* Where a credential may go, and what an answer means: server/worker/inquiry.h. */
#include "server/worker/inquiry.h"

#include "tests/support/check_main.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))
#define NOW_S        INT64_C(1772366400) /* 2026-03-01T12:00:00Z */

static void nothing(const struct bodies *bodies, struct reading *reading)
{
    (void)bodies;
    (void)reading;
}

static void teams(const struct target *target, struct text *url)
{
    text_format(url, "%s/teams/%s", target->base, target->part);
}

#define ROW .id = "acme", .authorization = "Authorization: Bearer ", .read = nothing

/* Of every kind there is, as far as addresses go. */
static const struct provider fixed = {ROW, .base_url = "https://api.acme.test/v1", .path = "/usage"},
                             open = {ROW, .base_url = "https://api.acme.test/v1", .base_url_variable = "ACME_BASE",
                                     .own_domains = {"acme.test"}, .path = "/usage"},
                             origin = {ROW, .base_url = "https://api.acme.test", .base_url_variable = "ACME_BASE",
                                       .base_path_dropped = true, .path = "/usage"},
                             hosted = {ROW, .base_url_variable = "ACME_BASE", .path = "/usage"},
                             portal = {ROW,
                                       .base_url = "https://portal.acme.test",
                                       .base_url_member = "portal",
                                       .own_domains = {"acme.test"},
                                       .own_domains_only = true,
                                       .path = "/usage"},
                             team = {ROW, .base_url = "https://api.acme.test", .part_variable = "ACME_TEAM",
                                     .address = teams};

static const struct place {
    const struct provider *provider;
    enum credential_origin origin;
    const char *record; /* JSON; NULL: none */
    const char *dotenv;
    const char *url; /* NULL: it is sent nowhere, and `end` is why */
    enum inquiry_end end;
} places[] = {
    {&fixed, CREDENTIAL_FROM_VARIABLE, NULL, "ACME_BASE=https://evil.test", "https://api.acme.test/v1/usage", 0},
    {&open, CREDENTIAL_FROM_VARIABLE, NULL, "", "https://api.acme.test/v1/usage", 0},
    {&open, CREDENTIAL_FROM_VARIABLE, NULL, "ACME_BASE=https://gw.test/x/", "https://gw.test/x/usage", 0},
    {&open, CREDENTIAL_FROM_REQUEST, NULL, "ACME_BASE=http://gw.test", NULL, INQUIRY_NOT_ALLOWED},
    {&open, CREDENTIAL_FROM_HOME, "{}", "ACME_BASE=https://gw.test", "https://gw.test/usage", 0},
    /* another tool's sign-in: to its vendor alone */
    {&open, CREDENTIAL_FROM_FOREIGN, "{}", "ACME_BASE=https://gw.test", NULL, INQUIRY_NOT_ALLOWED},
    {&open, CREDENTIAL_FROM_FOREIGN, "{}", "ACME_BASE=https://eu.acme.test", "https://eu.acme.test/usage", 0},
    {&open, CREDENTIAL_FROM_FOREIGN, "{}", "ACME_BASE=https://notacme.test", NULL, INQUIRY_NOT_ALLOWED},
    /* a pool entry: to its own gateway, or the provider */
    {&open, CREDENTIAL_FROM_POOL, "{}", "ACME_BASE=https://gw.test", "https://api.acme.test/v1/usage", 0},
    {&open, CREDENTIAL_FROM_POOL, "{\"base_url\":\"https://own.test\"}", "", "https://own.test/usage", 0},
    {&open, CREDENTIAL_FROM_POOL, "{\"base_url\":\"http://203.0.113.9\"}", "", NULL, INQUIRY_NOT_ALLOWED},
    {&fixed, CREDENTIAL_FROM_POOL, "{\"base_url\":\"https://own.test\"}", "", NULL, INQUIRY_NOT_ALLOWED},
    {&fixed, CREDENTIAL_FROM_POOL, "{\"base_url\":\"https://API.acme.test/other\"}", "",
     "https://api.acme.test/v1/usage", 0},
    /* what is beside the sign-in */
    {&portal, CREDENTIAL_FROM_HOME, "{}", "", "https://portal.acme.test/usage", 0},
    {&portal, CREDENTIAL_FROM_HOME, "{\"portal\":\"https://eu.acme.test/\"}", "", "https://eu.acme.test/usage", 0},
    {&portal, CREDENTIAL_FROM_HOME, "{\"portal\":\"https://acme.test.evil.test\"}", "", NULL, INQUIRY_NOT_ALLOWED},
    {&portal, CREDENTIAL_FROM_POOL, "{\"base_url\":\"https://inference.test\"}", "", "https://portal.acme.test/usage",
     0},
    /* what is needed beside a key */
    {&origin, CREDENTIAL_FROM_VARIABLE, NULL, "ACME_BASE=https://gw.test:8443/v1/x", "https://gw.test:8443/usage", 0},
    {&hosted, CREDENTIAL_FROM_VARIABLE, NULL, "", NULL, INQUIRY_INCOMPLETE},
    {&hosted, CREDENTIAL_FROM_VARIABLE, NULL, "ACME_BASE=http://localhost:4000", "http://localhost:4000/usage", 0},
    {&team, CREDENTIAL_FROM_VARIABLE, NULL, "", NULL, INQUIRY_INCOMPLETE},
    {&team, CREDENTIAL_FROM_VARIABLE, NULL, "ACME_TEAM=a-team_1", "https://api.acme.test/teams/a-team_1", 0},
    {&team, CREDENTIAL_FROM_VARIABLE, NULL, "ACME_TEAM=../../x", NULL, INQUIRY_INCOMPLETE},
    {&team, CREDENTIAL_FROM_VARIABLE, NULL,
     "ACME_TEAM=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL, INQUIRY_INCOMPLETE},
};

START_TEST(a_credential_goes_where_it_may_and_nowhere_else)
{
    const struct place *place = &places[_i];
    json_t *record = place->record == NULL ? NULL : json_loads(place->record, 0, NULL);
    struct credential credential = {.origin = place->origin, .record = record};
    struct keyring keyring = {.dotenv = TEXT_EMPTY};
    struct text url = TEXT_EMPTY;
    struct inquiry inquiry;
    enum inquiry_end end;

    text_add_string(&credential.secret, "secret");
    text_add_string(&keyring.dotenv, place->dotenv);
    end = inquiry_open(&inquiry, place->provider, &keyring, &credential, NOW_S);
    ck_assert_int_eq(end, place->end);
    if (place->url != NULL) {
        inquiry_address(&inquiry, NULL, &url);
        ck_assert_str_eq(text_string(&url), place->url);
        ck_assert_ptr_nonnull(strstr(text_string(&inquiry.lines), "Authorization: Bearer secret\n"));
    }
    inquiry_fini(&inquiry);
    credential_fini(&credential);
    text_fini(&keyring.dotenv);
    text_fini(&url);
    json_decref(record);
}
END_TEST

START_TEST(an_answer_that_is_no_200_with_an_object_says_why)
{
    static const struct provider limited = {ROW, .limit_status = 422};
    static const struct {
        struct http_answer answer;
        const char *body, *reason;
    } table[] = {
        {{.end = HTTP_ANSWERED, .status = 200}, "{}", NULL},
        {{.end = HTTP_ANSWERED, .status = 200}, "[]", "The provider returned an unreadable response."},
        {{.end = HTTP_ANSWERED, .status = 422}, "{}", "The usage endpoint is rate limited (HTTP 422)."},
        {{.end = HTTP_ANSWERED, .status = 404},
         "{}",
         "The usage endpoint is not available for this credential (HTTP 404)."},
        {{.end = HTTP_OVERSIZED, .status = 200}, "", "The provider returned an oversized response."},
        {{.end = HTTP_UNREADABLE, .status = 200}, "", "The provider returned an unreadable response."},
        {{.end = HTTP_TIMED_OUT}, "", "The usage request timed out."},
        {{.end = HTTP_UNREACHABLE}, "", "The provider could not be reached."},
    };
    const struct credential credential = {.kind = CREDENTIAL_API_KEY};
    const struct inquiry inquiry = {.provider = &limited, .credential = &credential, .now_s = NOW_S};

    for (size_t i = 0; i < COUNT(table); i++) {
        struct http_answer answer = table[i].answer;
        struct outcome outcome = {.reason = ""};
        json_t *body;

        text_add_string(&answer.body, table[i].body);
        body = inquiry_body(&inquiry, &answer, &outcome);
        ck_assert_int_eq(body == NULL, table[i].reason != NULL);
        ck_assert_str_eq(outcome.reason, table[i].reason == NULL ? "" : table[i].reason);
        json_decref(body);
        http_answer_fini(&answer);
    }
}
END_TEST

static void told_plan(const struct bodies *bodies, struct reading *reading)
{
    (void)bodies;
    reading_set_plan(reading, "Plus");
}

static void told_error(const struct bodies *bodies, struct reading *reading)
{
    reading_add_detail(reading, "Half of it");
    reading_set_error(reading, BODY_REJECTS_KEY, json_object_get(bodies->bodies[0], "code"));
}

static void told_secret(const struct bodies *bodies, struct reading *reading)
{
    (void)bodies;
    reading_add_detail(reading, "Hello sk-acme-0123456789-abcdefgh");
}

static void told_exhausted(const struct bodies *bodies, struct reading *reading)
{
    (void)bodies;
    reading_set_exhausted(reading, reading_insufficient);
}

START_TEST(a_reading_is_shown_only_when_it_tells_something_and_no_secret)
{
    static const struct {
        void (*read)(const struct bodies *bodies, struct reading *reading);
        enum account_status status;
        const char *reason, *plan;
        size_t detail_count;
    } table[] = {
        {nothing, ACCOUNT_NO_DATA, "The provider returned no usage data.", "", 0},
        {told_plan, ACCOUNT_NO_DATA, "The provider returned no usage data.", "Plus", 0},
        {told_error, ACCOUNT_INVALID_KEY, "The provider rejected the credential (code 1004).", "", 0},
        {told_secret, ACCOUNT_UNAVAILABLE, "The provider returned an unreadable response.", "", 0},
        {told_exhausted, ACCOUNT_EXHAUSTED, "", "", 1},
    };
    struct credential credential = {.kind = CREDENTIAL_API_KEY};
    json_t *body = json_pack("{s:f}", "code", 1004.0);

    text_add_string(&credential.secret, "sk-acme-0123456789-abcdefgh");
    for (size_t i = 0; i < COUNT(table); i++) {
        const struct provider row = {.read = table[i].read};
        const struct inquiry inquiry = {.provider = &row, .credential = &credential, .now_s = NOW_S};
        const struct bodies bodies = {.bodies = {body}, .count = 1, .credential = &credential, .now_s = NOW_S};
        struct reading *reading = calloc(1, sizeof *reading);
        struct outcome outcome;

        ck_assert_ptr_nonnull(reading);
        outcome = inquiry_read(&inquiry, &bodies, reading);
        ck_assert_int_eq(outcome.status, table[i].status);
        ck_assert_str_eq(outcome.reason, table[i].reason);
        ck_assert_str_eq(reading->plan, table[i].plan);
        ck_assert_uint_eq(reading->detail_count, table[i].detail_count);
        free(reading);
    }
    json_decref(body);
    credential_fini(&credential);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("worker_inquiry");
    TCase *tcase = tcase_create("inquiry");

    tcase_add_loop_test(tcase, a_credential_goes_where_it_may_and_nowhere_else, 0, COUNT(places));
    tcase_add_test(tcase, an_answer_that_is_no_200_with_an_object_says_why);
    tcase_add_test(tcase, a_reading_is_shown_only_when_it_tells_something_and_no_secret);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
