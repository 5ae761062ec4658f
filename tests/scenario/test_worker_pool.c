/* The real probe-worker and a pool whose every entry is asked about: so many at once, so long each, in pool order, and
 * over connections that are kept. */
#include "server/base/clock.h"
#include "tests/support/worker_story.h"

#include <stdlib.h>

enum { ENTRY_COUNT_MAX = 70, AT_ONCE = 6, ROW_TIMEOUT_MS = 4000, SHORT_MS = 1000 };

static const char usage_path[] = "/backend-api/wham/usage";

/* Entries 0 to count - 1, with the tokens "opaque-<generation>-<number>". */
static void put_pool(size_t count, const char *generation)
{
    struct text text = TEXT_EMPTY;

    text_add_string(&text, "{\"credential_pool\":{\"openai-codex\":[");
    for (size_t i = 0; i < count; i++)
        text_format(&text, "%s{\"id\":\"id-%zu\",\"access_token\":\"opaque-%s-%zu\"}", i == 0 ? "" : ",", i, generation,
                    i);
    text_add_string(&text, "]}}");
    put(home, "auth.json", text_string(&text));
    text_fini(&text);
}

/* What is said to the holder of that token; its number is in the answer. */
static void teach_entry(const char *generation, size_t number, int status, enum standin_delivery delivery)
{
    char token[64], body[128];
    json_t *headers;

    snprintf(token, sizeof token, "opaque-%s-%zu", generation, number);
    snprintf(body, sizeof body, "{\"plan_type\":\"plus\",\"rate_limit\":{\"primary_window\":{\"used_percent\":%zu}}}",
             number);
    headers = bearer(token);
    standin_teach(standin, &(struct standin_exchange){.host = "chatgpt.com",
                                                      .path = usage_path,
                                                      .request_headers = headers,
                                                      .status = status,
                                                      .body = body,
                                                      .body_size = strlen(body),
                                                      .delivery = delivery});
    json_decref(headers);
}

static json_t *row_of(const json_t *answer, size_t number)
{
    return json_array_get(json_object_get(json_object_get(answer, "pool"), "credentials"), number);
}

/* The row tells what its own token was told. */
static void expect_row(const json_t *answer, size_t number)
{
    const json_t *row = row_of(answer, number), *window = json_array_get(json_object_get(row, "windows"), 0);

    ck_assert_str_eq(text_of(row, "status"), "available");
    ck_assert_uint_eq((size_t)json_number_value(json_object_get(window, "used_percent")), number);
}

static void expect_row_reason(const json_t *answer, size_t number, const char *reason)
{
    ck_assert_str_eq(text_of(row_of(answer, number), "status"), "unavailable");
    ck_assert_str_eq(text_of(row_of(answer, number), "unavailable_reason"), reason);
}

static json_int_t count_of(const json_t *answer, const char *name)
{
    return json_integer_value(json_object_get(json_object_get(answer, "pool"), name));
}

START_TEST(six_are_asked_at_once_and_no_more)
{
    enum { COUNT = 8 };
    json_t *answer;

    put_pool(COUNT, "a");
    standin_set_any_order(standin);
    for (size_t i = 0; i < COUNT; i++)
        teach_entry("a", i, 200, STANDIN_HELD);
    start();
    write_request("openai-codex", LONG_MS);
    standin_wait_requests(standin, AT_ONCE);
    ck_assert_uint_eq(standin_connection_count(standin), AT_ONCE); /* the others have not even one */
    standin_release(standin);
    standin_wait_requests(standin, COUNT);
    standin_release(standin);
    answer = read_answer();
    expect(answer, "ok", "");
    for (size_t i = 0; i < COUNT; i++)
        expect_row(answer, i);
    ck_assert_int_eq(count_of(answer, "queried_credentials"), COUNT);
    json_decref(answer);
    finish();
}
END_TEST

/* As many as there are at once: fewer where one was answered before another was asked. */
START_TEST(the_connections_of_a_pool_are_kept_for_its_next_probes)
{
    enum { ROUND_COUNT = 4 };

    put_pool(AT_ONCE, "a");
    standin_set_tireless(standin);
    for (size_t i = 0; i < AT_ONCE; i++)
        teach_entry("a", i, 200, STANDIN_WHOLE);
    start();
    for (size_t round = 1; round <= ROUND_COUNT; round++) {
        json_t *answer = probe("openai-codex", LONG_MS);

        expect(answer, "ok", "");
        json_decref(answer);
        ck_assert_uint_eq(standin_request_count(standin), round * AT_ONCE);
        ck_assert_uint_le(standin_connection_count(standin), AT_ONCE);
    }
    finish();
}
END_TEST

START_TEST(a_row_that_is_not_answered_costs_four_seconds_and_the_others_nothing)
{
    uint64_t asked_ns, taken_ms;
    json_t *answer;

    put_pool(3, "a");
    standin_set_any_order(standin);
    teach_entry("a", 0, 200, STANDIN_WHOLE);
    teach_entry("a", 1, 200, STANDIN_HELD);
    teach_entry("a", 2, 200, STANDIN_WHOLE);
    start();
    asked_ns = clock_now_ns();
    answer = probe("openai-codex", LONG_MS);
    taken_ms = (clock_now_ns() - asked_ns) / NS_PER_MS;
    ck_assert_uint_ge(taken_ms, ROW_TIMEOUT_MS);
    if (patience_time_counts())
        ck_assert_uint_lt(taken_ms, 2 * ROW_TIMEOUT_MS);
    expect(answer, "ok", "");
    expect_row(answer, 0);
    expect_row_reason(answer, 1, "The usage request timed out.");
    expect_row(answer, 2);
    json_decref(answer);
    finish();
}
END_TEST

START_TEST(what_the_deadline_did_not_reach_says_so)
{
    enum { COUNT = 8 };
    uint64_t asked_ns;
    json_t *answer;

    put_pool(COUNT, "a");
    standin_set_any_order(standin);
    for (size_t i = 0; i < COUNT; i++)
        teach_entry("a", i, 200, STANDIN_HELD);
    start();
    json_decref(probe("groq", SHORT_MS)); /* it runs */
    asked_ns = clock_now_ns();
    answer = probe("openai-codex", SHORT_MS);
    if (patience_time_counts())
        ck_assert_uint_le((clock_now_ns() - asked_ns) / NS_PER_MS, SHORT_MS);
    expect(answer, "unavailable", "No Codex pool credentials returned available account limits.");
    for (size_t i = 0; i < COUNT; i++)
        expect_row_reason(answer, i, "The usage request timed out.");
    ck_assert_int_eq(count_of(answer, "queried_credentials"), AT_ONCE);
    ck_assert_int_eq(count_of(answer, "failed_credentials"), COUNT);
    ck_assert(json_is_null(json_object_get(row_of(answer, COUNT - 1), "fetched_at")));
    json_decref(answer);
    finish();
}
END_TEST

/* Requests wait for one another's connection: they must not wait for one that will never be. */
START_TEST(a_provider_that_cannot_be_reached_is_told_at_once)
{
    static const enum standin_fault faults[] = {STANDIN_REFUSING, STANDIN_UNTRUSTED, STANDIN_MISNAMED};
    enum { COUNT = 8 };
    uint64_t asked_ns, taken_ms;
    json_t *answer;

    put_pool(COUNT, "a");
    for (size_t i = 0; i < COUNT; i++)
        teach_entry("a", i, 200, STANDIN_WHOLE);
    standin_set_fault(standin, faults[_i]);
    start();
    asked_ns = clock_now_ns();
    answer = probe("openai-codex", LONG_MS);
    taken_ms = (clock_now_ns() - asked_ns) / NS_PER_MS;
    if (patience_time_counts())
        ck_assert_uint_lt(taken_ms, ROW_TIMEOUT_MS);
    expect(answer, "unavailable", "No Codex pool credentials returned available account limits.");
    for (size_t i = 0; i < COUNT; i++)
        expect_row_reason(answer, i, "The provider could not be reached.");
    ck_assert(json_is_null(json_object_get(answer, "min_interval_s"))); /* it was not heard */
    ck_assert_uint_eq(standin_request_count(standin), 0);
    json_decref(answer);
    finish();
}
END_TEST

START_TEST(tokens_replaced_meanwhile_are_tried_once)
{
    json_t *answer;

    put_pool(3, "old");
    standin_set_any_order(standin);
    teach_entry("old", 0, 401, STANDIN_HELD);
    teach_entry("old", 1, 200, STANDIN_WHOLE);
    teach_entry("old", 2, 401, STANDIN_HELD);
    teach_entry("new", 0, 200, STANDIN_WHOLE);
    teach_entry("new", 2, 401, STANDIN_WHOLE);
    start();
    write_request("openai-codex", LONG_MS);
    standin_wait_requests(standin, 3);
    put_pool(3, "new");
    standin_release(standin);
    answer = read_answer();
    expect(answer, "ok", "");
    expect_row(answer, 0);
    expect_row(answer, 1);
    expect_row_reason(answer, 2,
                      "The provider rejected the stored sign-in (HTTP 401); sign in again with the owning tool.");
    ck_assert_uint_eq(standin_request_count(standin), 5);
    ck_assert_str_eq(standin_unexpected(standin), "");
    json_decref(answer);
    finish();
}
END_TEST

START_TEST(a_token_replaced_by_what_cannot_be_sent_says_so)
{
    json_t *answer;

    put_pool(1, "old");
    teach_entry("old", 0, 401, STANDIN_HELD);
    start();
    write_request("openai-codex", LONG_MS);
    standin_wait_requests(standin, 1);
    put(home, "auth.json",
        "{\"credential_pool\":{\"openai-codex\":[{\"id\":\"id-0\",\"access_token\":\"two words\"}]}}");
    standin_release(standin);
    answer = read_answer();
    expect_row_reason(answer, 0, "The credential holds characters that no key can have; it was not sent.");
    json_decref(answer);
    ck_assert_uint_eq(standin_request_count(standin), 1);
    finish();
}
END_TEST

START_TEST(a_refused_token_that_is_still_the_same_is_asked_about_once)
{
    json_t *answer;

    put_pool(2, "a");
    standin_set_any_order(standin);
    teach_entry("a", 0, 401, STANDIN_WHOLE);
    teach_entry("a", 1, 429, STANDIN_WHOLE);
    start();
    answer = probe("openai-codex", LONG_MS);
    expect(answer, "unavailable", "No Codex pool credentials returned available account limits.");
    expect_row_reason(answer, 1, "The usage endpoint is rate limited (HTTP 429).");
    ck_assert_uint_eq(standin_request_count(standin), 2);
    ck_assert_int_eq(json_integer_value(json_object_get(answer, "min_interval_s")), 60);
    json_decref(answer);
    finish();
}
END_TEST

START_TEST(a_key_in_the_request_leaves_the_pool_alone)
{
    json_t *answer;

    put_pool(3, "a");
    teach_entry("mine", 7, 200, STANDIN_WHOLE);
    start();
    asker_write(&asker, "{\"id\":1,\"provider\":\"openai-codex\",\"api_key\":\"opaque-mine-7\"}");
    answer = read_answer();
    expect(answer, "ok", "");
    ck_assert(json_is_null(json_object_get(answer, "pool")));
    json_decref(answer);
    finish();
}
END_TEST

START_TEST(a_worker_whose_answer_nobody_reads_gives_a_pool_up)
{
    put_pool(3, "a");
    standin_set_any_order(standin);
    for (size_t i = 0; i < 3; i++)
        teach_entry("a", i, 200, STANDIN_HELD);
    start();
    write_request("openai-codex", LONG_MS);
    standin_wait_requests(standin, 3);
    asker_turn_away(&asker);
    finish();
}
END_TEST

START_TEST(a_pool_beyond_64_is_shown_and_asked_about_as_far_as_64)
{
    json_t *answer;

    put_pool(ENTRY_COUNT_MAX, "a");
    standin_set_any_order(standin);
    for (size_t i = 0; i < 64; i++)
        teach_entry("a", i, 200, STANDIN_WHOLE);
    start();
    answer = probe("openai-codex", LONG_MS);
    expect(answer, "ok", "");
    for (size_t i = 0; i < 64; i++)
        expect_row(answer, i);
    ck_assert_ptr_null(row_of(answer, 64));
    ck_assert_int_eq(count_of(answer, "total_credentials"), ENTRY_COUNT_MAX);
    ck_assert_int_eq(count_of(answer, "queried_credentials"), 64);
    ck_assert_int_eq(count_of(answer, "failed_credentials"), ENTRY_COUNT_MAX - 64);
    json_decref(answer);
    finish();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("worker_pool");
    TCase *pool = add_case(suite, "pool");

    tcase_add_test(pool, six_are_asked_at_once_and_no_more);
    tcase_add_test(pool, the_connections_of_a_pool_are_kept_for_its_next_probes);
    tcase_add_test(pool, a_row_that_is_not_answered_costs_four_seconds_and_the_others_nothing);
    tcase_add_test(pool, what_the_deadline_did_not_reach_says_so);
    tcase_add_loop_test(pool, a_provider_that_cannot_be_reached_is_told_at_once, 0, 3);
    tcase_add_test(pool, tokens_replaced_meanwhile_are_tried_once);
    tcase_add_test(pool, a_token_replaced_by_what_cannot_be_sent_says_so);
    tcase_add_test(pool, a_refused_token_that_is_still_the_same_is_asked_about_once);
    tcase_add_test(pool, a_key_in_the_request_leaves_the_pool_alone);
    tcase_add_test(pool, a_worker_whose_answer_nobody_reads_gives_a_pool_up);
    tcase_add_test(pool, a_pool_beyond_64_is_shown_and_asked_about_as_far_as_64);
    return check_main(suite);
}
