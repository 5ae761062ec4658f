/* Workers are few: who gets one, who waits, who is refused, and when a worker ends. */
#include "server/base/clock.h"
#include "tests/support/process.h"
#include "tests/support/story.h"

#include <signal.h>
#include <stdio.h>

enum { KEY_SIZE = 16 };

static const char *key_of(size_t number)
{
    static char key[KEY_SIZE];

    snprintf(key, sizeof key, "key %zu", number);
    return key;
}

/* Has two workers idle. */
static void warm_two(void)
{
    struct call *first = begin("gate", key_of(1001)), *second = begin("gate", key_of(1002));

    home_wait(home, "ask", 2);
    home_open_gate(home, 2);
    probe_response(first);
    probe_response(second);
    call_end(first);
    call_end(second);
    daemon_wait(server, "idle", 2);
}

/* ---- two workers, sixty-four keys ---- */

STORY_SETUP(two_workers, "--pool-workers-per-home", "2", "--pool-reserve-per-home", "0")

static bool ask_sixty_four_keys(size_t number)
{
    enum { COUNT = 64, WORKER_MS = 50 };
    struct call *calls[COUNT];
    uint64_t first_ns, last_ns = 0;

    for (size_t i = 0; i < COUNT; i++)
        calls[i] = begin("slow-50", key_of(number * COUNT + i));
    first_ns = calls[0]->sent_ns;
    for (size_t i = 0; i < COUNT; i++) {
        ck_assert_int_eq((int)probe_response(calls[i])->origin, PROBED__V1__ORIGIN__ORIGIN_WARM);
        last_ns = calls[i]->answered_ns > last_ns ? calls[i]->answered_ns : last_ns;
        call_end(calls[i]);
    }
    ck_assert_uint_eq(home_count(home, "start"), 2);
    ck_assert_uint_ge(last_ns - first_ns, COUNT / 2 * WORKER_MS * NS_PER_MS);
    return last_ns - first_ns <= COUNT / 2 * WORKER_MS * NS_PER_MS * 110 / 100;
}

START_TEST(sixty_four_keys_share_two_workers)
{
    warm_two();
    expect_in_time(ask_sixty_four_keys);
}
END_TEST

START_TEST(the_worker_used_last_is_used_next)
{
    struct call *call;
    uint64_t worker_id;

    warm_two();
    call = begin("openrouter", key_of(1));
    worker_id = probe_response(call)->receipt->worker_id;
    call_end(call);
    for (size_t i = 2; i < 10; i++) {
        call = begin("openrouter", key_of(i));
        ck_assert_uint_eq(probe_response(call)->receipt->worker_id, worker_id);
        call_end(call);
    }
}
END_TEST

START_TEST(a_worker_that_died_idle_costs_nobody_anything)
{
    pid_t pids[HOME_PROCESS_COUNT_MAX];

    expect_origin(begin("openrouter", key_of(1)), PROBED__V1__ORIGIN__ORIGIN_COLD);
    daemon_wait(server, "idle", 1);
    ck_assert_uint_eq(home_processes(home, pids), 1);
    ck_assert_int_eq(kill(pids[0], SIGKILL), 0);
    daemon_wait(server, "idle", 0); /* idle workers are watched */
    expect_origin(begin("openrouter", key_of(2)), PROBED__V1__ORIGIN__ORIGIN_COLD);
    ck_assert_uint_eq(daemon_number(server, "probed_failures_total"), 0);
}
END_TEST

/* Killed and asked at once: whoever is first, the call does not notice. */
START_TEST(a_worker_that_dies_as_it_is_leased_is_replaced)
{
    size_t count = patience_count(400);

    for (size_t i = 0; i < count; i++) {
        struct call *call = begin_refresh("openrouter");

        ck_assert_int_eq(kill(worker_pid(probe_response(call)), SIGKILL), 0);
        call_end(call);
    }
    ck_assert_uint_eq(daemon_number(server, "probed_failures_total"), 0);
}
END_TEST

/* ---- one worker, and a queue ---- */

STORY_SETUP(one_worker, "--pool-workers-per-home", "1", "--pool-reserve-per-home", "0", "--pool-queue-per-home", "5")

START_TEST(the_queue_is_first_come_first_served)
{
    enum { COUNT = 5 };
    struct call *holder = begin_leased("gate", NULL), *calls[COUNT];
    uint64_t lease_id = 0;

    for (size_t i = 0; i < COUNT; i++) {
        calls[i] = begin("openrouter", key_of(i));
        daemon_wait(server, "waiting", i + 1);
    }
    home_open_gate(home, 1);
    for (size_t i = 0; i < COUNT; i++) {
        const Probed__V1__ProbeResponse *response = probe_response(calls[i]);

        ck_assert_uint_gt(response->receipt->lease_id, lease_id);
        ck_assert_uint_gt(response->receipt->queue_us, 0);
        lease_id = response->receipt->lease_id;
        call_end(calls[i]);
    }
    ck_assert_uint_eq(home_count(home, "start"), 1);
    call_end(holder);
}
END_TEST

START_TEST(a_full_queue_refuses_at_once_and_says_which)
{
    enum { COUNT = 5 };
    struct call *holder = begin_leased("gate", NULL), *calls[COUNT], *refused;

    for (size_t i = 0; i < COUNT; i++)
        calls[i] = begin("openrouter", key_of(i));
    daemon_wait(server, "waiting", COUNT);
    refused = begin("openrouter", key_of(COUNT));
    call_expect(refused, STATUS_RESOURCE_EXHAUSTED, "pool.queue_per_home");
    ck_assert_ptr_nonnull(strstr(refused->response->message, "5"));
    ck_assert_uint_gt(refused->response->retry_after_ms, 0);
    expect_failure(refused, STATUS_RESOURCE_EXHAUSTED, NULL);
    home_open_gate(home, 1);
    for (size_t i = 0; i < COUNT; i++)
        expect_origin(calls[i], PROBED__V1__ORIGIN__ORIGIN_WARM);
    expect_origin(holder, PROBED__V1__ORIGIN__ORIGIN_COLD);
}
END_TEST

START_TEST(joining_needs_no_place_in_the_queue)
{
    enum { COUNT = 5 };
    struct call *holder = begin_leased("gate", NULL), *calls[COUNT], *joined;

    for (size_t i = 0; i < COUNT; i++)
        calls[i] = begin("openrouter", key_of(i));
    daemon_wait(server, "waiting", COUNT);
    joined = begin("openrouter", key_of(0));
    daemon_wait(server, "probed_joins_total", 1);
    home_open_gate(home, 1);
    expect_origin(joined, PROBED__V1__ORIGIN__ORIGIN_JOINED);
    for (size_t i = 0; i < COUNT; i++)
        expect_origin(calls[i], PROBED__V1__ORIGIN__ORIGIN_WARM);
    call_end(holder);
}
END_TEST

START_TEST(who_leaves_frees_the_place)
{
    enum { COUNT = 5 };
    struct call *holder = begin_leased("gate", NULL), *calls[COUNT], *next;
    struct caller leaver;

    caller_open(&leaver, server->url);
    for (size_t i = 0; i < COUNT; i++)
        calls[i] = probe_begin(&leaver, home->path, "openrouter", key_of(i), 0);
    daemon_wait(server, "waiting", COUNT);
    caller_close(&leaver);
    daemon_wait(server, "waiting", 0);
    next = begin("openrouter", key_of(COUNT));
    daemon_wait(server, "waiting", 1);
    home_open_gate(home, 1);
    expect_origin(next, PROBED__V1__ORIGIN__ORIGIN_WARM);
    ck_assert_uint_eq(home_count(home, "ask"), 2); /* nothing was started for those who had gone */
    for (size_t i = 0; i < COUNT; i++)
        call_end(calls[i]);
    call_end(holder);
}
END_TEST

static bool wait_in_queue(size_t number)
{
    enum { TIMEOUT_MS = 100 };
    struct call *waiter = probe_begin(caller, home->path, "openrouter", key_of(number), TIMEOUT_MS);
    uint64_t waited_ns;

    call_expect(waiter, STATUS_DEADLINE_EXCEEDED, NULL);
    waited_ns = taken_ns(waiter);
    ck_assert_uint_ge(waited_ns, TIMEOUT_MS * NS_PER_MS);
    call_end(waiter);
    daemon_wait(server, "waiting", 0);
    return waited_ns <= (TIMEOUT_MS + 50) * NS_PER_MS;
}

START_TEST(a_deadline_passes_in_the_queue_as_well)
{
    struct call *holder = begin_leased("gate", NULL);

    expect_in_time(wait_in_queue);
    home_open_gate(home, 1);
    probe_response(holder);
    call_end(holder);
    daemon_wait(server, "idle", 1);
    ck_assert_uint_eq(home_count(home, "ask"), 1); /* nothing is started for a caller whose deadline has passed */
}
END_TEST

/* ---- many homes, few workers ---- */

STORY_SETUP(one_worker_in_all, "--pool-workers-max", "1", "--pool-workers-per-home", "1", "--pool-queue-max", "1")

START_TEST(an_idle_worker_makes_room_for_another_home)
{
    struct home other;

    home_create(&other, &stage.scratch, "other");
    for (size_t i = 0; i < 3; i++) {
        expect_origin(begin("openrouter", key_of(i)), PROBED__V1__ORIGIN__ORIGIN_COLD);
        expect_origin(probe_begin(caller, other.path, "openrouter", key_of(i), 0), PROBED__V1__ORIGIN__ORIGIN_COLD);
    }
    ck_assert_uint_eq(home_count(home, "start"), 3);
    ck_assert_uint_eq(home_count(&other, "start"), 3);
}
END_TEST

START_TEST(a_leased_worker_is_waited_for)
{
    struct home other;
    struct call *holder = begin_leased("gate", NULL), *waiter;

    home_create(&other, &stage.scratch, "other");
    waiter = probe_begin(caller, other.path, "openrouter", NULL, 0);
    daemon_wait(server, "waiting", 1);
    expect_failure(probe_begin(caller, other.path, "openrouter", "another key", 0), STATUS_RESOURCE_EXHAUSTED,
                   "pool.queue_max");
    home_open_gate(home, 1);
    expect_origin(holder, PROBED__V1__ORIGIN__ORIGIN_COLD);
    expect_origin(waiter, PROBED__V1__ORIGIN__ORIGIN_COLD);
}
END_TEST

/* ---- the end of a worker ---- */

STORY_SETUP(short_idle, "--pool-idle-ms", "20")

START_TEST(an_idle_worker_ends_by_time_alone)
{
    pid_t pids[HOME_PROCESS_COUNT_MAX];

    expect_origin(begin("openrouter", NULL), PROBED__V1__ORIGIN__ORIGIN_COLD);
    ck_assert_uint_eq(home_processes(home, pids), 1);
    daemon_wait(server, "probed_worker_ends_total", 1);
    daemon_wait(server, "ending", 0);
    ck_assert(!process_runs(pids[0]));
}
END_TEST

STORY_SETUP(short_life, "--pool-lifetime-ms", "100", "--pool-workers-per-home", "1")

START_TEST(a_worker_is_replaced_after_its_lifetime_but_not_in_a_lease)
{
    struct call *call = begin_leased("slow-300", NULL); /* three lifetimes */
    pid_t before = worker_pid(probe_response(call));

    call_end(call);
    daemon_wait_at_least(server, "probed_worker_ends_total", 1);
    call = begin("openrouter", NULL);
    ck_assert_int_ne(worker_pid(probe_response(call)), before);
    call_end(call);
    ck_assert_uint_ge(daemon_number(server, "probed_worker_starts_ahead_total"),
                      1); /* nobody's call had to wait for it */
}
END_TEST

STORY_SETUP(one_request, "--pool-requests-max", "1", "--pool-workers-per-home", "1")

START_TEST(a_worker_is_replaced_after_so_many_leases)
{
    pid_t before = 0;

    for (size_t i = 0; i < 5; i++) {
        struct call *call = begin("openrouter", key_of(i));
        pid_t pid = worker_pid(probe_response(call));

        ck_assert_int_ne(pid, before);
        before = pid;
        call_end(call);
    }
    ck_assert_uint_ge(home_count(home, "start"), 5);
}
END_TEST

STORY_SETUP(prewarming, "--pool-prewarm", "yes")

START_TEST(after_an_invalidation_a_worker_is_there_before_anybody_asks)
{
    struct call *call;

    expect_origin(begin("openrouter", NULL), PROBED__V1__ORIGIN__ORIGIN_COLD);
    call = invalidate_begin(caller, home->path, "", PROBED__V1__BARRIER__BARRIER_QUIESCED);
    invalidate_response(call);
    call_end(call);
    daemon_wait(server, "idle", 1);
    expect_origin(begin("openrouter", NULL), PROBED__V1__ORIGIN__ORIGIN_WARM);
}
END_TEST

/* ---- calls in progress ---- */

STORY_SETUP(few_calls, "--server-calls-per-uid", "8")

/* A further call is refused, or is let in while there is a place. */
static bool is_refused(void)
{
    struct call *call = sync_begin(caller, home->path);
    bool refused;

    call_wait(call);
    ck_assert_int_eq(call->error, 0);
    refused = call->response->code != PROBED__V1__STATUS_CODE__OK;
    if (refused)
        call_expect(call, STATUS_RESOURCE_EXHAUSTED, "server.calls_per_uid");
    call_end(call);
    return refused;
}

/* Takes the last place; whoever asks whether it is taken may be in it first. */
static struct call *take_last_place(void)
{
    for (;;) {
        struct call *last = begin("gate", NULL);

        while (!is_refused() && !call_is_settled(last))
            continue;
        if (!call_is_settled(last))
            return last;
        expect_failure(last, STATUS_RESOURCE_EXHAUSTED, "server.calls_per_uid");
    }
}

START_TEST(a_uid_has_its_share_of_calls)
{
    enum { COUNT = 8 };
    struct call *calls[COUNT], *refused;
    bool full = true;

    for (size_t i = 0; i < COUNT - 1; i++)
        calls[i] = begin("gate", NULL);
    daemon_wait(server, "probed_joins_total", COUNT - 2);
    calls[COUNT - 1] = take_last_place();
    home_wait(home, "ask", 1);
    home_open_gate(home, 1);
    for (size_t i = 0; i < COUNT; i++) {
        probe_response(calls[i]);
        call_end(calls[i]);
    }
    while (full) { /* a call is in progress until its reply has left, which its client may be ahead of */
        refused = sync_begin(caller, home->path);
        call_wait(refused);
        ck_assert_int_eq(refused->error, 0);
        full = refused->response->code == PROBED__V1__STATUS_CODE__RESOURCE_EXHAUSTED;
        if (!full)
            ck_assert_uint_eq(sync_response(refused)->fence->generation, 1);
        call_end(refused);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("leases");
    TCase *tcase = story_case(suite, "two workers", two_workers);

    tcase_add_test(tcase, sixty_four_keys_share_two_workers);
    tcase_add_test(tcase, the_worker_used_last_is_used_next);
    tcase_add_test(tcase, a_worker_that_died_idle_costs_nobody_anything);
    tcase_add_test(tcase, a_worker_that_dies_as_it_is_leased_is_replaced);
    tcase = story_case(suite, "one worker", one_worker);
    tcase_add_test(tcase, the_queue_is_first_come_first_served);
    tcase_add_test(tcase, a_full_queue_refuses_at_once_and_says_which);
    tcase_add_test(tcase, joining_needs_no_place_in_the_queue);
    tcase_add_test(tcase, who_leaves_frees_the_place);
    tcase_add_test(tcase, a_deadline_passes_in_the_queue_as_well);
    tcase = story_case(suite, "one worker in all", one_worker_in_all);
    tcase_add_test(tcase, an_idle_worker_makes_room_for_another_home);
    tcase_add_test(tcase, a_leased_worker_is_waited_for);
    tcase = story_case(suite, "short idle", short_idle);
    tcase_add_test(tcase, an_idle_worker_ends_by_time_alone);
    tcase = story_case(suite, "short life", short_life);
    tcase_add_test(tcase, a_worker_is_replaced_after_its_lifetime_but_not_in_a_lease);
    tcase = story_case(suite, "one request", one_request);
    tcase_add_test(tcase, a_worker_is_replaced_after_so_many_leases);
    tcase = story_case(suite, "prewarming", prewarming);
    tcase_add_test(tcase, after_an_invalidation_a_worker_is_there_before_anybody_asks);
    tcase = story_case(suite, "few calls", few_calls);
    tcase_add_test(tcase, a_uid_has_its_share_of_calls);
    return check_main(suite);
}
