/* usage: tables of lines and what must come out, and every snapshot of the provider fixtures, field by field. */
#include "server/work/usage.h"

#include "gen/probed/v1/probe.pb-c.h"
#include "proto/arena.h"
#include "proto/utf8.h"
#include "proto/wire.h"
#include "server/base/clock.h"
#include "server/base/display.h"
#include "server/base/moment.h"
#include "server/base/text.h"
#include "server/work/provider_env.h"
#include "server/work/request.h"
#include "server/work/shape.h"
#include "tests/support/check_main.h"

#include <glob.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WALL_MS INT64_C(1772366400000) /* 2026-03-01T12:00:00Z */

static struct engine_lease lease;
static struct arena arena;
static struct answer *answer;
static struct status status;
static Probed__V1__ProbeResponse *response; /* of the last line taken */
static Probed__V1__AccountUsage *usage;

static void setup(void)
{
    ck_assert_int_eq(secret_setup(), 0);
    lease = (struct engine_lease){.id = 7,
                                  .worker_id = 3,
                                  .fence = {.epoch = 0x1122334455667788, .generation = 5},
                                  .provider = "openai-codex",
                                  .queue_ns = 2000000,
                                  .spawn_ns = 3000999};
    arena_init(&arena, NULL, 0, 64 * 1024 * 1024);
}

static void teardown(void)
{
    answer_release(answer);
    arena_fini(&arena);
}

static enum lease_end take_bytes(const char *line, size_t size)
{
    struct usage_receipt receipt = {.probe_ns = 4000000, .wall_ms = WALL_MS};
    ProtobufCMessage *message;
    enum lease_end end;

    answer_release(answer);
    answer = NULL;
    response = NULL;
    end = usage_from_line(&lease, line, size, &receipt, &answer, &status);
    if (end != LEASE_ANSWERED)
        return end;
    /* wire_unpack checks, beside the form, that all text is UTF-8. */
    status = wire_unpack(&probed__v1__probe_response__descriptor, answer->bytes, answer->size, &arena, &message);
    ck_assert_msg(status_is_ok(&status), "%s", status.message);
    response = (Probed__V1__ProbeResponse *)message;
    usage = response->usage;
    ck_assert_int_eq((int)usage->status, (int)answer->account);
    return end;
}

static void take(const char *line)
{
    ck_assert_msg(take_bytes(line, strlen(line)) == LEASE_ANSWERED, "%s: %s", line, status.message);
}

static void expect_breach(const char *line, const char *message)
{
    ck_assert_msg(take_bytes(line, strlen(line)) == LEASE_BREACHED, "%s", line);
    ck_assert_int_eq(status.code, STATUS_INTERNAL);
    ck_assert_msg(strstr(status.message, message) != NULL, "%s: %s", line, status.message);
}

/* ---- the frame ---- */

START_TEST(the_receipt_and_the_fence_are_the_leases)
{
    take("{\"id\":7,\"provider\":\"openai-codex\",\"available\":true}");
    ck_assert_uint_eq(response->fence->epoch, 0x1122334455667788);
    ck_assert_uint_eq(response->fence->generation, 5);
    ck_assert_uint_eq(response->receipt->lease_id, 7);
    ck_assert_uint_eq(response->receipt->worker_id, 3);
    ck_assert_uint_eq(response->receipt->queue_us, 2000);
    ck_assert_uint_eq(response->receipt->spawn_us, 3000);
    ck_assert_uint_eq(response->receipt->probe_us, 4000);
    ck_assert_int_eq((int)response->origin, 0);
    ck_assert_str_eq(usage->provider, "openai-codex");
    ck_assert_int_eq(usage->fetched_at_ms, WALL_MS);
}
END_TEST

START_TEST(null_is_an_account_without_an_answer)
{
    take(" null\r");
    ck_assert_int_eq(answer->account, ACCOUNT_UNAVAILABLE);
    ck_assert_str_eq(usage->unavailable_reason, "The worker had no answer.");
    ck_assert(!usage->available);
    ck_assert_int_eq(usage->fetched_at_ms, WALL_MS);
}
END_TEST

static const char *const no_json[] = {
    "",
    " ",
    "garbage",
    "{",
    "{}}",
    "{\"id\":7,}",
    "{\"a\":NaN}",
    "{\"a\":Infinity}",
    "{\"a\":-Infinity}",
    "{\"id\":07}",
    "{} {}",
    "{'id':7}",
    "{\"a\":\"\t\"}",
    "{\"a\":\"\\ud800\"}",
    "{\"a\":\"\xff\"}",
    "\xef\xbb\xbf{}",
    "{\"a\":\"\xc0\xaf\"}",
    "nul",
    "{\"a\":+1}",
    "{\"a\":.5}",
    "// x\n{}",
    "{\"a\":1e400}",
};

START_TEST(what_is_no_json_is_a_breach)
{
    expect_breach(no_json[_i], "is no JSON (at byte");
}
END_TEST

static const char *const no_object[] = {"[]", "[{}]", "\"text\"", "7", "true", "false"};

START_TEST(json_that_is_neither_object_nor_null_is_a_breach)
{
    expect_breach(no_object[_i], "neither an object nor null");
}
END_TEST

START_TEST(a_nul_byte_is_a_breach)
{
    static const char line[] = "{\"id\":7}\0{\"id\":7}";

    ck_assert_int_eq(take_bytes(line, sizeof line - 1), LEASE_BREACHED);
    ck_assert_int_eq(take_bytes("\0", 1), LEASE_BREACHED);
}
END_TEST

START_TEST(a_breach_is_told_without_a_byte_of_the_worker)
{
    expect_breach("{\"plan\":sk-secret}", "no JSON");
    ck_assert_ptr_null(strstr(status.message, "sk-"));
    expect_breach("{\"provider\":\"sk-secret\"}", "another provider");
    ck_assert_ptr_null(strstr(status.message, "sk-"));
}
END_TEST

static char *nested(size_t depth, const char *open, const char *close)
{
    struct text line = TEXT_EMPTY;

    text_add_string(&line, "{\"id\":7,\"deep\":");
    for (size_t i = 0; i < depth; i++)
        text_add_string(&line, open);
    text_add_string(&line, "1");
    for (size_t i = 0; i < depth; i++)
        text_add_string(&line, close);
    text_add_string(&line, "}");
    ck_assert(!line.failed);
    return line.bytes;
}

START_TEST(a_hundred_thousand_nested_arrays_are_a_breach)
{
    char *line = nested(100000, "[", "]");

    expect_breach(line, "nested deeper than 64 levels");
    free(line);
}
END_TEST

START_TEST(nested_objects_are_bounded_alike)
{
    char *line = nested(SHAPE_DEPTH_MAX - 1, "{\"a\":", "}");

    take(line);
    free(line);
    line = nested(SHAPE_DEPTH_MAX, "{\"a\":", "}");
    expect_breach(line, "nested deeper than 64 levels");
    free(line);
}
END_TEST

START_TEST(brackets_in_strings_are_no_nesting)
{
    take("{\"id\":7,\"title\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[\"}");
    ck_assert_uint_eq(strspn(usage->title, "["), 61);
}
END_TEST

START_TEST(more_values_than_any_answer_has_are_a_breach)
{
    struct text line = TEXT_EMPTY;

    text_add_string(&line, "{\"many\":[1");
    for (size_t i = 0; i < SHAPE_VALUE_COUNT_MAX; i++)
        text_add_string(&line, ",1");
    text_add_string(&line, "]}");
    expect_breach(text_string(&line), "more than 131072 values");
    text_fini(&line);
}
END_TEST

/* ---- who is answered ---- */

static const char *const wrong_ids[] = {
    "{\"id\":8}",  "{\"id\":\"7\"}", "{\"id\":null}", "{\"id\":7.5}",
    "{\"id\":-7}", "{\"id\":[7]}",   "{\"id\":true}", "{\"id\":70000000000000000000000000}",
};

START_TEST(an_id_that_is_not_the_requests_is_a_breach)
{
    expect_breach(wrong_ids[_i], "another id");
}
END_TEST

START_TEST(an_id_may_be_left_out)
{
    take("{\"provider\":\"openai-codex\"}");
    take("{\"id\":7}");
    take("{\"id\":7.0}");
    take("{\"id\":8,\"id\":7}"); /* of two, the last counts */
}
END_TEST

static const char *const wrong_providers[] = {
    "{\"provider\":\"openrouter\"}",   "{\"provider\":\"\"}",
    "{\"provider\":\"OpenAI-Codex\"}", "{\"provider\":\" openai-codex\"}",
    "{\"provider\":\"openai-code\"}",  "{\"provider\":\"openai-codex\\u0000\"}",
};

START_TEST(another_provider_is_a_breach)
{
    expect_breach(wrong_providers[_i], "another provider");
}
END_TEST

START_TEST(a_provider_of_a_wrong_type_is_absent)
{
    take("{\"provider\":null}");
    ck_assert_str_eq(usage->provider, "openai-codex");
    take("{\"provider\":12}");
}
END_TEST

/* ---- status ---- */

static const struct {
    const char *line;
    enum account_status status;
    bool available;
    const char *reason;
} states[] = {
    {"{\"status\":\"ok\",\"available\":true}", ACCOUNT_OK, true, ""},
    {"{\"status\":\"exhausted\",\"available\":true}", ACCOUNT_EXHAUSTED, true, ""},
    {"{\"status\":\"no_data\",\"unavailable_reason\":\"None.\"}", ACCOUNT_NO_DATA, false, "None."},
    {"{\"status\":\"no_key\"}", ACCOUNT_NO_KEY, false, ""},
    {"{\"status\":\"invalid_key\"}", ACCOUNT_INVALID_KEY, false, ""},
    {"{\"status\":\"expired\"}", ACCOUNT_EXPIRED, false, ""},
    {"{\"status\":\"rate_limited\"}", ACCOUNT_RATE_LIMITED, false, ""},
    {"{\"status\":\"unavailable\"}", ACCOUNT_UNAVAILABLE, false, ""},
    {"{\"status\":\"unsupported\"}", ACCOUNT_UNSUPPORTED, false, ""},
    {"{\"status\":\"OK\",\"available\":true}", ACCOUNT_UNAVAILABLE, true, ""},
    {"{\"status\":\"unspecified\"}", ACCOUNT_UNAVAILABLE, false, ""},
    {"{\"status\":\"ok\\u0000\"}", ACCOUNT_UNAVAILABLE, false, ""},
    {"{\"status\":\"\",\"available\":true}", ACCOUNT_UNAVAILABLE, true, ""},
    {"{\"available\":true}", ACCOUNT_OK, true, ""},
    {"{\"available\":false,\"unavailable_reason\":\"Down.\"}", ACCOUNT_UNAVAILABLE, false, "Down."},
    {"{\"status\":1,\"available\":true}", ACCOUNT_OK, true, ""},
    {"{\"status\":null,\"available\":\"yes\"}", ACCOUNT_UNAVAILABLE, false, ""},
    {"{}", ACCOUNT_UNAVAILABLE, false, ""},
    {"{\"details\":[\"One fact.\"]}", ACCOUNT_OK, true, ""},
    {"{\"details\":[\"One fact.\"],\"unavailable_reason\":\"Still.\"}", ACCOUNT_UNAVAILABLE, false, "Still."},
    {"{\"available\":true,\"unavailable_reason\":\"Odd.\"}", ACCOUNT_OK, true, ""},
};

START_TEST(a_status_is_its_name_or_what_available_says)
{
    take(states[_i].line);
    ck_assert_int_eq(answer->account, states[_i].status);
    ck_assert_int_eq(usage->available, states[_i].available);
    ck_assert_str_eq(usage->unavailable_reason, states[_i].reason);
}
END_TEST

/* ---- numbers ---- */

static const struct {
    const char *fields;
    double used, remaining; /* NAN: absent */
} percents[] = {
    {"\"used_percent\":12.5,\"remaining_percent\":87.5", 12.5, 87.5},
    {"\"used_percent\":12.5", 12.5, 87.5},
    {"\"used_percent\":0", 0, 100},
    {"\"used_percent\":-3", 0, 100},
    {"\"used_percent\":340", 100, 0},
    {"\"used_percent\":1e300", 100, 0},
    {"\"used_percent\":123456789012345678901234567890", 100, 0},
    {"\"used_percent\":12.5,\"remaining_percent\":-1", 12.5, 0},
    {"\"used_percent\":12.5,\"remaining_percent\":101", 12.5, 100},
    {"\"used_percent\":12.5,\"remaining_percent\":null", 12.5, 87.5},
    {"\"remaining_percent\":40", NAN, 40},
    {"\"used_percent\":null", NAN, NAN},
    {"\"used_percent\":\"12\"", NAN, NAN},
    {"\"used_percent\":true", NAN, NAN},
    {"\"used_percent\":[1]", NAN, NAN},
    {"\"used_percent\":{}", NAN, NAN},
};

START_TEST(percentages_are_clamped_and_absent_is_never_0)
{
    char line[256];
    const Probed__V1__UsageWindow *window;

    snprintf(line, sizeof line, "{\"windows\":[{\"label\":\"Session\",%s}]}", percents[_i].fields);
    take(line);
    ck_assert_uint_eq(usage->n_windows, 1);
    window = usage->windows[0];
    ck_assert_int_eq(window->used_case == PROBED__V1__USAGE_WINDOW__USED_USED_PERCENT, !isnan(percents[_i].used));
    ck_assert_int_eq(window->remaining_case == PROBED__V1__USAGE_WINDOW__REMAINING_REMAINING_PERCENT,
                     !isnan(percents[_i].remaining));
    if (!isnan(percents[_i].used))
        ck_assert_double_eq_tol(window->used_percent, percents[_i].used, 1e-9);
    if (!isnan(percents[_i].remaining))
        ck_assert_double_eq_tol(window->remaining_percent, percents[_i].remaining, 1e-9);
}
END_TEST

START_TEST(wrong_types_are_absent)
{
    take(
        "{\"source\":1,\"title\":[],\"plan\":{},\"windows\":{},\"details\":\"x\",\"balances\":7,\"pool\":[],"
        "\"http_status\":\"200\",\"retry_after_s\":true,\"fetched_at\":{},\"min_interval_s\":\"60\",\"available\":true,"
        "\"unavailable_reason\":3}");
    ck_assert_str_eq(usage->source, "");
    ck_assert_str_eq(usage->title, "");
    ck_assert_str_eq(usage->plan, "");
    ck_assert_uint_eq(usage->n_windows + usage->n_details + usage->n_balances, 0);
    ck_assert_ptr_null(usage->pool);
    ck_assert_uint_eq(usage->http_status, 0);
    ck_assert_int_eq(usage->retry_at_ms, 0);
    ck_assert_int_eq(usage->fetched_at_ms, WALL_MS);
    ck_assert_uint_eq(usage->min_interval_s, 0);
    ck_assert_uint_eq(answer->retry_ns, 0);
    ck_assert_uint_eq(answer->interval_ns_min, 0);
}
END_TEST

START_TEST(unknown_keys_are_ignored)
{
    take("{\"later\":{\"deep\":[1,2,{\"a\":null}]},\"available\":true,\"\":0}");
    ck_assert_int_eq(answer->account, ACCOUNT_OK);
}
END_TEST

static const struct {
    const char *value;
    uint64_t retry_s, interval_s;
} waits[] = {
    {"30", 30, 30}, {"600", 600, 600}, {"601", 601, 600}, {"86401", 86400, 600}, {"1e11", 86400, 600}, {"0", 0, 0},
    {"-5", 0, 0},   {"1.5", 0, 0},     {"null", 0, 0},    {"1e12", 0, 0},        {"60.0", 60, 60},
};

START_TEST(waits_are_whole_seconds_within_their_bounds)
{
    char line[256];

    snprintf(line, sizeof line, "{\"status\":\"rate_limited\",\"retry_after_s\":%s,\"min_interval_s\":%s}",
             waits[_i].value, waits[_i].value);
    take(line);
    ck_assert_uint_eq(answer->retry_ns, waits[_i].retry_s * NS_PER_S);
    ck_assert_int_eq(usage->retry_at_ms, waits[_i].retry_s == 0 ? 0 : WALL_MS + (int64_t)waits[_i].retry_s * 1000);
    ck_assert_uint_eq(answer->interval_ns_min, waits[_i].interval_s * NS_PER_S);
    ck_assert_uint_eq(usage->min_interval_s, waits[_i].interval_s);
}
END_TEST

START_TEST(a_balance_needs_an_amount)
{
    take("{\"balances\":[{\"label\":\"Credits\",\"amount\":-4.2,\"currency\":\"USD\"},{\"label\":\"None\"},"
         "{\"amount\":1e12},{\"amount\":\"3\"},{\"amount\":0},null,7]}");
    ck_assert_uint_eq(usage->n_balances, 2);
    ck_assert_str_eq(usage->balances[0]->label, "Credits");
    ck_assert_str_eq(usage->balances[0]->currency, "USD");
    ck_assert_double_eq_tol(usage->balances[0]->amount, -4.2, 1e-9);
    ck_assert_double_eq_tol(usage->balances[1]->amount, 0, 1e-9);
}
END_TEST

START_TEST(a_window_needs_a_label)
{
    take("{\"windows\":[{\"label\":\"A\"},{\"used_percent\":1},{\"label\":\"\"},{\"label\":\" "
         "\\n\"},{\"label\":7},[],null,"
         "{\"label\":\"B\",\"scope\":\"model\",\"window_seconds\":18000,\"reset_at\":\"2026-11-24T10:00:00Z\","
         "\"detail\":\"d\"}]}");
    ck_assert_uint_eq(usage->n_windows, 2);
    ck_assert_str_eq(usage->windows[1]->label, "B");
    ck_assert_str_eq(usage->windows[1]->detail, "d");
    ck_assert_uint_eq(usage->windows[1]->window_seconds, 18000);
    ck_assert_int_eq(usage->windows[1]->reset_at_ms, INT64_C(1795514400000));
    ck_assert_int_eq((int)usage->windows[1]->scope, PROBED__V1__WINDOW_SCOPE__WINDOW_SCOPE_MODEL);
    ck_assert_int_eq((int)usage->windows[0]->scope, PROBED__V1__WINDOW_SCOPE__WINDOW_SCOPE_UNSPECIFIED);
}
END_TEST

static void add_many(struct text *line, const char *key, const char *element, size_t count)
{
    text_format(line, ",\"%s\":[", key);
    for (size_t i = 0; i < count; i++)
        text_format(line, "%s%s", i == 0 ? "" : ",", element);
    text_add_string(line, "]");
}

/* Element counts one above each bound; every text as long as it can be. */
START_TEST(lists_and_texts_end_at_their_bounds)
{
    struct text window = TEXT_EMPTY, credential = TEXT_EMPTY, line = TEXT_EMPTY;
    char label[4 * 300 + 1] = "", element[4 * 300 + 8];

    for (size_t i = 0; i < 300; i++)
        memcpy(label + 4 * i, "\xf0\x9f\x92\xa1", 4);
    snprintf(element, sizeof element, "\"%s\"", label);
    text_format(&window, "{\"label\":\"%s\",\"detail\":\"%s\",\"used_percent\":1}", label, label);
    text_format(&credential, "{\"label\":\"%s\",\"plan\":\"%s\"", label, label);
    add_many(&credential, "windows", text_string(&window), 33);
    add_many(&credential, "details", element, 33);
    text_add_string(&credential, "}");
    text_format(&line, "{\"plan\":\"%s\"", label);
    add_many(&line, "windows", text_string(&window), 33);
    add_many(&line, "details", element, 33);
    add_many(&line, "balances", "{\"amount\":1}", 33);
    text_add_string(&line, ",\"pool\":{\"total_credentials\":65");
    add_many(&line, "credentials", text_string(&credential), 65);
    add_many(&line, "best_remaining_by_window", text_string(&window), 33);
    add_many(&line, "plans", element, 65);
    text_add_string(&line, "}}");
    ck_assert(!line.failed);

    take(text_string(&line));
    ck_assert_uint_eq(usage->n_windows, 32);
    ck_assert_uint_eq(usage->n_details, 32);
    ck_assert_uint_eq(usage->n_balances, 32);
    ck_assert_uint_eq(usage->pool->n_credentials, 64);
    ck_assert_uint_eq(usage->pool->n_best, 32);
    ck_assert_uint_eq(usage->pool->n_plans, 64);
    ck_assert_uint_eq(usage->pool->credentials[63]->n_windows, 32);
    ck_assert_uint_eq(usage->pool->credentials[63]->n_details, 32);
    ck_assert_uint_eq(strlen(usage->plan), 61 * 4 + 3);
    ck_assert_uint_eq(strlen(usage->windows[0]->label), 61 * 4 + 3);
    ck_assert_uint_eq(strlen(usage->details[31]), 177 * 4 + 3);
    text_fini(&window);
    text_fini(&credential);
    text_fini(&line);
}
END_TEST

/* ---- text ---- */

static const struct {
    const char *given, *shown;
} texts[] = {
    {"Plus", "Plus"},
    {"  Plus\\t\\n  Max ", "Plus Max"},
    {"plus\\u0000\\u001b[31m\\nteam", "plus [31m team"},
    {"a\\u0080\\u009fb\\u007fc", "a b c"},
    {"\\u00a0x", "\xc2\xa0x"},
    {"\\ud83d\\udca1", "\xf0\x9f\x92\xa1"},
    {"\\u0000", ""},
    {"0123456789012345678901234567890123456789012345678901234567890123",
     "0123456789012345678901234567890123456789012345678901234567890123"},
    {"01234567890123456789012345678901234567890123456789012345678901234",
     "0123456789012345678901234567890123456789012345678901234567890..."},
    {"012345678901234567890123456789012345678901234567890123456789 1234567",
     "012345678901234567890123456789012345678901234567890123456789..."},
    {"0123456789012345678901234567890123456789012345678901234567890123 ",
     "0123456789012345678901234567890123456789012345678901234567890123"},
    {"012345678901234567890123456789012345678901234567890123456789012 4",
     "0123456789012345678901234567890123456789012345678901234567890..."},
};

START_TEST(text_is_cleaned_and_cut)
{
    char line[256];

    snprintf(line, sizeof line, "{\"plan\":\"%s\"}", texts[_i].given);
    take(line);
    ck_assert_str_eq(usage->plan, texts[_i].shown);
}
END_TEST

/* ---- stamps ---- */

static const struct {
    const char *text;
    int64_t stamp;
} stamps[] = {
    {"1970-01-02", 86400000},
    {"2026-11-24", INT64_C(1795478400000)},
    {"2026-11-24T10:00:00Z", INT64_C(1795514400000)},
    {"2026-11-24T10:00:00", INT64_C(1795514400000)},
    {"2026-11-24T10:00:00.5Z", INT64_C(1795514400500)},
    {"2026-11-24T10:00:00.123456789Z", INT64_C(1795514400123)},
    {"2026-11-24T10:00:00.412345+00:00", INT64_C(1795514400412)},
    {"2026-11-24T12:00:00+02:00", INT64_C(1795514400000)},
    {"2026-11-24T04:30:00-0530", INT64_C(1795514400000)},
    {"2024-02-29", INT64_C(1709164800000)},
    {"2000-02-29T00:00:00Z", INT64_C(951782400000)},
    {"9999-12-31T23:59:59Z", INT64_C(253402300799000)},
    {"9999-12-31T23:59:59-01:00", 0},
    {"2023-02-29", 0},
    {"2100-02-29", 0},
    {"2026-13-01", 0},
    {"2026-00-10", 0},
    {"2026-04-31", 0},
    {"2026-11-24T24:00:00Z", 0},
    {"2026-11-24T10:60:00Z", 0},
    {"2026-11-24T10:00:60Z", 0},
    {"2026-11-24T10:00:00.Z", 0},
    {"2026-11-24T10:00:00.1234567890Z", 0},
    {"2026-11-24T10:00:00+2:00", 0},
    {"2026-11-24T10:00:00+24:00", 0},
    {"2026-11-24T10:00:00Zx", 0},
    {"2026-11-24T10:00:00 Z", 0},
    {"2026-11-24 10:00:00Z", 0},
    {"2026-11-24T10:00", 0},
    {"2026-11-2", 0},
    {"26-11-24", 0},
    {"1970-01-01", 0},
    {"1969-12-31T23:59:59Z", 0},
    {"0000-01-01", 0},
    {"", 0},
    {"tomorrow", 0},
};

START_TEST(a_stamp_is_iso_text)
{
    ck_assert_int_eq(moment_from_text(stamps[_i].text, strlen(stamps[_i].text)), stamps[_i].stamp);
}
END_TEST

static const struct {
    double number;
    int64_t stamp;
} epochs[] = {
    {1795514400, INT64_C(1795514400000)},
    {1795514400.25, INT64_C(1795514400250)},
    {1795514400000, INT64_C(1795514400000)},
    {1, 1000},
    {253402300799, INT64_C(253402300799000)},
    {253402300799000, INT64_C(253402300799000)},
    {253402300800, 0},
    {253402300800000, 0},
    {1e300, 0},
    {0, 0},
    {-1, 0},
};

START_TEST(a_stamp_is_a_number_of_seconds_or_milliseconds)
{
    ck_assert_int_eq(moment_from_number(epochs[_i].number), epochs[_i].stamp);
}
END_TEST

START_TEST(a_number_that_is_none_is_no_stamp)
{
    ck_assert_int_eq(moment_from_number((double)NAN), 0);
    ck_assert_int_eq(moment_from_number((double)INFINITY), 0);
    ck_assert_int_eq(moment_from_number(-(double)INFINITY), 0);
}
END_TEST

/* ---- the request ---- */

START_TEST(a_request_is_one_line_of_json_whatever_the_key)
{
    static const char key[] = "sk-\"\\\n\t\x01\x7f \xc3\xa9\xf0\x9f\x92\xa1/";
    struct text line = TEXT_EMPTY;
    json_error_t error;
    json_t *json;

    lease.api_key = secret_create(key, sizeof key - 1);
    request_write(&lease, 30000, &line);
    ck_assert(!line.failed);
    ck_assert_ptr_eq(strchr(text_string(&line), '\n'), line.bytes + line.size - 1);
    json = json_loadb(line.bytes, line.size, 0, &error);
    ck_assert_ptr_nonnull(json);
    ck_assert_uint_eq(json_object_size(json), 5);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "id")), 7);
    ck_assert_str_eq(json_string_value(json_object_get(json, "provider")), "openai-codex");
    ck_assert_str_eq(json_string_value(json_object_get(json, "api_key")), key);
    ck_assert_str_eq(json_string_value(json_object_get(json, "env_var")), "OPENAI_API_KEY");
    ck_assert_int_eq(json_integer_value(json_object_get(json, "timeout_ms")), 30000);
    json_decref(json);
    text_wipe(&line);
    secret_release(lease.api_key);
}
END_TEST

START_TEST(a_request_without_a_key_or_a_known_provider)
{
    struct text line = TEXT_EMPTY;

    memcpy(lease.provider, "groq", 5);
    request_write(&lease, 1, &line);
    ck_assert_str_eq(text_string(&line),
                     "{\"id\":7,\"provider\":\"groq\",\"api_key\":\"\",\"env_var\":null,\"timeout_ms\":1}\n");
    text_wipe(&line);
}
END_TEST

START_TEST(a_provider_has_its_first_variable)
{
    ck_assert_str_eq(provider_env_name("anthropic"), "ANTHROPIC_TOKEN");
    ck_assert_str_eq(provider_env_name("ai-gateway"), "AI_GATEWAY_API_KEY");
    ck_assert_str_eq(provider_env_name("kimi-coding-cn"), "KIMI_CN_API_KEY");
    ck_assert_str_eq(provider_env_name("zenmux"), "ZENMUX_MANAGEMENT_API_KEY");
    ck_assert_ptr_null(provider_env_name("nobody"));
    ck_assert_ptr_null(provider_env_name(""));
}
END_TEST

/* ---- every snapshot of the fixtures, as a worker's line ---- */

static glob_t snapshots;

static void find_snapshots(void)
{
    const char *source = getenv("PROBED_SOURCE");
    char pattern[4096];

    snprintf(pattern, sizeof pattern, "%s/tests/fixtures/providers/*/*.expected.json", source == NULL ? "." : source);
    if (glob(pattern, 0, NULL, &snapshots) != 0)
        snapshots.gl_pathc = 0;
}

static const char *text_at(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));

    return text == NULL ? "" : text;
}

static double number_at(const json_t *json, const char *key)
{
    return json_number_value(json_object_get(json, key)); /* 0 when absent */
}

static int64_t stamp_at(const json_t *json, const char *key)
{
    const char *text = text_at(json, key);

    return moment_from_text(text, strlen(text));
}

static void same_texts(const json_t *list, size_t count, char **given)
{
    ck_assert_uint_eq(json_array_size(list), count);
    for (size_t i = 0; i < count; i++)
        ck_assert_str_eq(json_string_value(json_array_get(list, i)), given[i]);
}

static void same_window(const json_t *json, const Probed__V1__UsageWindow *window)
{
    const char *scope = text_at(json, "scope");

    ck_assert_str_eq(window->label, text_at(json, "label"));
    ck_assert_str_eq(window->detail, text_at(json, "detail"));
    ck_assert_int_eq(window->reset_at_ms, stamp_at(json, "reset_at"));
    ck_assert_int_eq(window->used_case == PROBED__V1__USAGE_WINDOW__USED_USED_PERCENT,
                     json_is_number(json_object_get(json, "used_percent")));
    ck_assert_double_eq_tol(window->used_percent, number_at(json, "used_percent"), 1e-9);
    ck_assert_double_eq_tol(window->remaining_percent, number_at(json, "remaining_percent"), 1e-9);
    ck_assert_double_eq_tol((double)window->window_seconds, number_at(json, "window_seconds"), 1e-9);
    ck_assert_int_eq((int)window->scope, strcmp(scope, "account") == 0 ? 1 : strcmp(scope, "model") == 0 ? 2 : 0);
}

static void same_windows(const json_t *list, size_t count, Probed__V1__UsageWindow **windows)
{
    ck_assert_uint_eq(json_array_size(list), count);
    for (size_t i = 0; i < count; i++)
        same_window(json_array_get(list, i), windows[i]);
}

static void same_credential(const json_t *json, const Probed__V1__PooledCredential *credential)
{
    static const char *const names[] = {"", "available", "exhausted", "unavailable", "dead"};

    ck_assert_str_eq(credential->label, text_at(json, "label"));
    ck_assert_str_eq(names[credential->status], text_at(json, "status"));
    ck_assert_str_eq(credential->plan, text_at(json, "plan"));
    same_windows(json_object_get(json, "windows"), credential->n_windows, credential->windows);
    same_texts(json_object_get(json, "details"), credential->n_details, credential->details);
    ck_assert_str_eq(credential->unavailable_reason, text_at(json, "unavailable_reason"));
    ck_assert_int_eq(credential->retry_at_ms, stamp_at(json, "retry_after"));
    ck_assert_int_eq(credential->fetched_at_ms, stamp_at(json, "fetched_at"));
}

static void same_pool(const json_t *json, const Probed__V1__CredentialPool *pool)
{
    const json_t *best = json_object_get(json, "best_remaining_by_window");
    const json_t *credentials = json_object_get(json, "credentials");

    ck_assert_int_eq(pool != NULL, json_is_object(json));
    if (pool == NULL)
        return;
    ck_assert_double_eq_tol(pool->total, number_at(json, "total_credentials"), 1e-9);
    ck_assert_double_eq_tol(pool->queried, number_at(json, "queried_credentials"), 1e-9);
    ck_assert_double_eq_tol(pool->available, number_at(json, "available_credentials"), 1e-9);
    ck_assert_double_eq_tol(pool->exhausted, number_at(json, "exhausted_credentials"), 1e-9);
    ck_assert_double_eq_tol(pool->failed, number_at(json, "failed_credentials"), 1e-9);
    ck_assert_double_eq_tol(pool->dead, number_at(json, "dead_credentials"), 1e-9);
    same_texts(json_object_get(json, "plans"), pool->n_plans, pool->plans);
    ck_assert_int_eq(pool->next_reset_at_ms, stamp_at(json, "next_reset_at"));
    ck_assert_uint_eq(json_array_size(best), pool->n_best);
    for (size_t i = 0; i < pool->n_best; i++) {
        same_window(json_array_get(best, i), pool->best[i]->window);
        ck_assert_str_eq(pool->best[i]->credential_label, text_at(json_array_get(best, i), "credential_label"));
    }
    ck_assert_uint_eq(json_array_size(credentials), pool->n_credentials);
    for (size_t i = 0; i < pool->n_credentials; i++)
        same_credential(json_array_get(credentials, i), pool->credentials[i]);
}

static void same_account(const json_t *json)
{
    static const char *const names[] = {"",        "ok",           "exhausted",   "no_data",    "no_key", "invalid_key",
                                        "expired", "rate_limited", "unavailable", "unsupported"};
    const json_t *balances = json_object_get(json, "balances");

    ck_assert_str_eq(usage->provider, text_at(json, "provider"));
    ck_assert_str_eq(names[usage->status], text_at(json, "status"));
    ck_assert_str_eq(usage->source, text_at(json, "source"));
    ck_assert_str_eq(usage->title, text_at(json, "title"));
    ck_assert_str_eq(usage->plan, text_at(json, "plan"));
    same_windows(json_object_get(json, "windows"), usage->n_windows, usage->windows);
    same_texts(json_object_get(json, "details"), usage->n_details, usage->details);
    ck_assert_uint_eq(json_array_size(balances), usage->n_balances);
    for (size_t i = 0; i < usage->n_balances; i++) {
        const json_t *balance = json_array_get(balances, i);

        ck_assert_str_eq(usage->balances[i]->label, text_at(balance, "label"));
        ck_assert_str_eq(usage->balances[i]->currency, text_at(balance, "currency"));
        ck_assert_double_eq_tol(usage->balances[i]->amount, number_at(balance, "amount"), 1e-9);
    }
    ck_assert_int_eq(usage->available, json_is_true(json_object_get(json, "available")));
    ck_assert_str_eq(usage->unavailable_reason, text_at(json, "unavailable_reason"));
    ck_assert_double_eq_tol(usage->http_status, number_at(json, "http_status"), 1e-9);
    ck_assert_int_eq(usage->fetched_at_ms, stamp_at(json, "fetched_at"));
    ck_assert_double_eq_tol((double)(answer->retry_ns / NS_PER_S), number_at(json, "retry_after_s"), 1e-9);
    same_pool(json_object_get(json, "pool"), usage->pool);
}

START_TEST(every_snapshot_of_the_fixtures_comes_through_whole)
{
    json_error_t error;
    json_t *json = json_load_file(snapshots.gl_pathv[_i], 0, &error);
    char *line;

    ck_assert_msg(json != NULL, "%s: %s", snapshots.gl_pathv[_i], error.text);
    json_object_set_new(json, "id", json_integer(7));
    snprintf(lease.provider, sizeof lease.provider, "%s", text_at(json, "provider"));
    line = json_dumps(json, JSON_COMPACT);
    ck_assert_ptr_nonnull(line);
    take(line);
    same_account(json);
    free(line);
    json_decref(json);
}
END_TEST

START_TEST(the_fixtures_were_found)
{
    ck_assert_uint_ge(snapshots.gl_pathc, 200);
}
END_TEST

#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))

int main(void)
{
    Suite *suite = suite_create("usage");
    TCase *tcase = tcase_create("usage");
    int result;

    tcase_set_timeout(tcase, 60); /* a sanitized build on a busy machine */
    find_snapshots();
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, the_receipt_and_the_fence_are_the_leases);
    tcase_add_test(tcase, null_is_an_account_without_an_answer);
    tcase_add_loop_test(tcase, what_is_no_json_is_a_breach, 0, ROWS(no_json));
    tcase_add_loop_test(tcase, json_that_is_neither_object_nor_null_is_a_breach, 0, ROWS(no_object));
    tcase_add_test(tcase, a_nul_byte_is_a_breach);
    tcase_add_test(tcase, a_breach_is_told_without_a_byte_of_the_worker);
    tcase_add_test(tcase, a_hundred_thousand_nested_arrays_are_a_breach);
    tcase_add_test(tcase, nested_objects_are_bounded_alike);
    tcase_add_test(tcase, brackets_in_strings_are_no_nesting);
    tcase_add_test(tcase, more_values_than_any_answer_has_are_a_breach);
    tcase_add_loop_test(tcase, an_id_that_is_not_the_requests_is_a_breach, 0, ROWS(wrong_ids));
    tcase_add_test(tcase, an_id_may_be_left_out);
    tcase_add_loop_test(tcase, another_provider_is_a_breach, 0, ROWS(wrong_providers));
    tcase_add_test(tcase, a_provider_of_a_wrong_type_is_absent);
    tcase_add_loop_test(tcase, a_status_is_its_name_or_what_available_says, 0, ROWS(states));
    tcase_add_loop_test(tcase, percentages_are_clamped_and_absent_is_never_0, 0, ROWS(percents));
    tcase_add_test(tcase, wrong_types_are_absent);
    tcase_add_test(tcase, unknown_keys_are_ignored);
    tcase_add_loop_test(tcase, waits_are_whole_seconds_within_their_bounds, 0, ROWS(waits));
    tcase_add_test(tcase, a_balance_needs_an_amount);
    tcase_add_test(tcase, a_window_needs_a_label);
    tcase_add_test(tcase, lists_and_texts_end_at_their_bounds);
    tcase_add_loop_test(tcase, text_is_cleaned_and_cut, 0, ROWS(texts));
    tcase_add_loop_test(tcase, a_stamp_is_iso_text, 0, ROWS(stamps));
    tcase_add_loop_test(tcase, a_stamp_is_a_number_of_seconds_or_milliseconds, 0, ROWS(epochs));
    tcase_add_test(tcase, a_number_that_is_none_is_no_stamp);
    tcase_add_test(tcase, a_request_is_one_line_of_json_whatever_the_key);
    tcase_add_test(tcase, a_request_without_a_key_or_a_known_provider);
    tcase_add_test(tcase, a_provider_has_its_first_variable);
    tcase_add_test(tcase, the_fixtures_were_found);
    tcase_add_loop_test(tcase, every_snapshot_of_the_fixtures_comes_through_whole, 0, (int)snapshots.gl_pathc);
    suite_add_tcase(suite, tcase);
    result = check_main(suite);
    globfree(&snapshots);
    return result;
}
