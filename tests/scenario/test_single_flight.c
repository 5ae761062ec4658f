/* One question upstream, however many ask: joining, caching, and who may leave when. */
#include "server/base/clock.h"
#include "tests/support/raw.h"
#include "tests/support/story.h"

#include <stdlib.h>
#include <unistd.h>

/* A cold home each time. */
static bool ask_sixty_four_equal(size_t number)
{
    enum { COUNT = 64 };
    struct home cold;
    struct call *calls[COUNT];
    size_t joined_count = 0, cold_count = 0;
    uint64_t first_ns, last_ns = 0;
    char name[16];

    snprintf(name, sizeof name, "cold%zu", number);
    home_create(&cold, &stage.scratch, name);
    for (size_t i = 0; i < COUNT; i++)
        calls[i] = probe_begin(caller, cold.path, "slow-50", NULL, 0);
    first_ns = calls[0]->sent_ns;
    for (size_t i = 0; i < COUNT; i++) {
        const Probed__V1__ProbeResponse *response = probe_response(calls[i]);

        ck_assert_str_eq(response->usage->plan, "one");
        joined_count += response->origin == PROBED__V1__ORIGIN__ORIGIN_JOINED;
        cold_count += response->origin == PROBED__V1__ORIGIN__ORIGIN_COLD;
        last_ns = calls[i]->answered_ns > last_ns ? calls[i]->answered_ns : last_ns;
        call_end(calls[i]);
    }
    ck_assert_uint_eq(home_count(&cold, "ask"), 1);
    ck_assert_uint_eq(home_count(&cold, "start"), 1);
    ck_assert_uint_eq(cold_count, 1);
    ck_assert_uint_eq(joined_count, COUNT - 1);
    return last_ns - first_ns <= 150 * NS_PER_MS;
}

START_TEST(sixty_four_equal_probes_are_one_request)
{
    expect_in_time(ask_sixty_four_equal);
}
END_TEST

START_TEST(an_answer_is_kept)
{
    struct call *first = begin("openrouter", NULL), *second;

    ck_assert_int_eq((int)probe_response(first)->origin, PROBED__V1__ORIGIN__ORIGIN_COLD);
    ck_assert_uint_gt(probe_response(first)->receipt->spawn_us, 0);
    second = begin("openrouter", NULL);
    ck_assert_int_eq((int)probe_response(second)->origin, PROBED__V1__ORIGIN__ORIGIN_CACHED);
    ck_assert_uint_eq(probe_response(second)->receipt->lease_id, probe_response(first)->receipt->lease_id);
    ck_assert_uint_eq(probe_response(second)->fence->epoch, probe_response(first)->fence->epoch);
    ck_assert_uint_eq(home_count(home, "ask"), 1);
    call_end(first);
    call_end(second);
}
END_TEST

START_TEST(each_key_is_asked_for_by_itself)
{
    static const char *const keys[] = {NULL, "key a", "key b", "key a", NULL};

    for (size_t i = 0; i < ROW_COUNT(keys); i++)
        expect_origin(probe_begin(caller, home->path, "openrouter", keys[i], 0),
                      i == 0   ? PROBED__V1__ORIGIN__ORIGIN_COLD
                      : i <= 2 ? PROBED__V1__ORIGIN__ORIGIN_WARM
                               : PROBED__V1__ORIGIN__ORIGIN_CACHED);
    ck_assert_uint_eq(home_count(home, "ask"), 3);
    ck_assert_uint_eq(home_count(home, "start"), 1);
}
END_TEST

START_TEST(refresh_asks_again)
{
    expect_origin(begin("openrouter", NULL), PROBED__V1__ORIGIN__ORIGIN_COLD);
    expect_origin(begin_refresh("openrouter"), PROBED__V1__ORIGIN__ORIGIN_WARM);
    ck_assert_uint_eq(home_count(home, "ask"), 2);
}
END_TEST

START_TEST(an_answer_older_than_max_age_is_asked_for_again)
{
    Probed__V1__ProbeRequest request = PROBED__V1__PROBE_REQUEST__INIT;
    uint32_t age_ms = 0;

    expect_origin(begin("openrouter", NULL), PROBED__V1__ORIGIN__ORIGIN_COLD);
    while (age_ms < 2) { /* time has to pass, and the answer says that it did */
        struct call *call = begin("openrouter", NULL);

        age_ms = probe_response(call)->age_ms;
        expect_origin(call, PROBED__V1__ORIGIN__ORIGIN_CACHED);
    }
    request.home = home->path;
    request.provider = (char *)(uintptr_t) "openrouter";
    request.max_age_ms = 1;
    expect_origin(call_begin(caller, METHOD_PROBE, 0, &request.base), PROBED__V1__ORIGIN__ORIGIN_WARM);
    request.max_age_ms = 3600000;
    expect_origin(call_begin(caller, METHOD_PROBE, 0, &request.base), PROBED__V1__ORIGIN__ORIGIN_CACHED);
}
END_TEST

/* ---- who leaves, and when ---- */

START_TEST(a_joiner_outlives_the_caller_that_began)
{
    struct caller first;
    struct call *began, *joined;

    caller_open(&first, server->url);
    began = probe_begin(&first, home->path, "gate", NULL, 0);
    home_wait(home, "ask", 1);
    joined = begin("gate", NULL);
    daemon_wait(server, "probed_joins_total", 1);
    caller_close(&first);
    daemon_wait(server, "probed_departures_total", 1);
    home_open_gate(home, 1);
    expect_origin(joined, PROBED__V1__ORIGIN__ORIGIN_JOINED);
    ck_assert_uint_eq(home_count(home, "ask"), 1);
    call_end(began);
}
END_TEST

START_TEST(a_shorter_deadline_leaves_alone)
{
    struct call *began = probe_begin(caller, home->path, "gate", NULL, 100);
    struct call *joined;

    home_wait(home, "ask", 1);
    joined = begin("gate", NULL);
    call_expect(began, STATUS_DEADLINE_EXCEEDED, NULL);
    home_open_gate(home, 1);
    expect_origin(joined, PROBED__V1__ORIGIN__ORIGIN_JOINED);
    ck_assert_uint_eq(home_count(home, "ask"), 1);
    call_end(began);
}
END_TEST

START_TEST(twenty_connections_closed_at_once_leave_one_answer_behind)
{
    enum { COUNT = 20 };
    struct caller callers[COUNT];
    struct call *calls[COUNT];

    for (size_t i = 0; i < COUNT; i++) {
        caller_open(&callers[i], server->url);
        calls[i] = probe_begin(&callers[i], home->path, "gate", NULL, 0);
    }
    home_wait(home, "ask", 1);
    daemon_wait(server, "probed_joins_total", COUNT - 1);
    for (size_t i = 0; i < COUNT; i++)
        caller_close(&callers[i]);
    daemon_wait(server, "probed_departures_total", COUNT);
    home_open_gate(home, 1);
    daemon_wait(server, "cache_entries", 1);
    expect_origin(begin("gate", NULL), PROBED__V1__ORIGIN__ORIGIN_CACHED);
    ck_assert_uint_eq(home_count(home, "start"), 1);
    ck_assert_uint_eq(home_count(home, "ask"), 1);
    for (size_t i = 0; i < COUNT; i++)
        call_end(calls[i]);
}
END_TEST

/* The connection is gone before any answer can be; the request has arrived all the same, as a rule: nng drops one that
 * it has not handed over when its connection ends. */
static void send_and_close(const unsigned char *message, size_t size)
{
    int fd = raw_connect(server->url);

    ck_assert_int_ge(fd, 0);
    ck_assert(raw_greet(fd, RAW_REQ));
    ck_assert(raw_send(fd, 1, message, size));
    close(fd);
}

START_TEST(twenty_calls_that_do_not_stay_for_the_answer_start_one_worker)
{
    enum { COUNT = 20 };
    Probed__V1__ProbeRequest request = PROBED__V1__PROBE_REQUEST__INIT;
    unsigned char *message;
    size_t size;
    struct call *call;

    request.home = home->path;
    request.provider = (char *)(uintptr_t) "openrouter";
    message = raw_pack(METHOD_PROBE, 0, &request.base, &size);
    for (size_t i = 0; i < COUNT; i++)
        send_and_close(message, size);
    daemon_wait_at_least(server, "probed_probes_total", 1);
    daemon_wait(server, "flights", 0);
    daemon_wait(server, "starting", 0);
    ck_assert_uint_le(home_count(home, "start"), 1); /* none, where all had gone before it was launched */
    ck_assert_uint_le(home_count(home, "ask"), 1);
    call = begin("openrouter", NULL);
    probe_response(call);
    ck_assert_uint_eq(home_count(home, "start"), 1);
    ck_assert_uint_eq(home_count(home, "ask"), 1);
    call_end(call);
    free(message);
}
END_TEST

/* ---- how long an answer is kept ---- */

STORY_SETUP(short_ttl, "--probe-cache-ttl-ms", "30")

START_TEST(an_answer_is_not_kept_beyond_the_ttl)
{
    size_t count = 0;

    expect_origin(begin("openrouter", NULL), PROBED__V1__ORIGIN__ORIGIN_COLD);
    while (home_count(home, "ask") < 2) {
        struct call *call = begin("openrouter", NULL);
        const Probed__V1__ProbeResponse *response = probe_response(call);

        ck_assert_uint_lt(response->age_ms, 30);
        ck_assert_uint_le(response->fresh_ms, 30);
        call_end(call);
        count++;
    }
    ck_assert_uint_ge(count, 1);
}
END_TEST

STORY_SETUP(no_cache, "--probe-cache-ttl-ms", "0")

START_TEST(without_a_ttl_nothing_is_kept)
{
    expect_origin(begin("openrouter", NULL), PROBED__V1__ORIGIN__ORIGIN_COLD);
    expect_origin(begin("openrouter", NULL), PROBED__V1__ORIGIN__ORIGIN_WARM);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("single_flight");
    TCase *tcase = story_case(suite, "flight", story_setup);

    tcase_add_test(tcase, sixty_four_equal_probes_are_one_request);
    tcase_add_test(tcase, an_answer_is_kept);
    tcase_add_test(tcase, each_key_is_asked_for_by_itself);
    tcase_add_test(tcase, refresh_asks_again);
    tcase_add_test(tcase, an_answer_older_than_max_age_is_asked_for_again);
    tcase_add_test(tcase, a_joiner_outlives_the_caller_that_began);
    tcase_add_test(tcase, a_shorter_deadline_leaves_alone);
    tcase_add_test(tcase, twenty_connections_closed_at_once_leave_one_answer_behind);
    tcase_add_test(tcase, twenty_calls_that_do_not_stay_for_the_answer_start_one_worker);
    tcase = story_case(suite, "short ttl", short_ttl);
    tcase_add_test(tcase, an_answer_is_not_kept_beyond_the_ttl);
    tcase = story_case(suite, "no cache", no_cache);
    tcase_add_test(tcase, without_a_ttl_nothing_is_kept);
    return check_main(suite);
}
