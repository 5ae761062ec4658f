/* However the daemon, its custodian or a worker ends: nothing is left, and whoever waits is told. */
#include "gen/grpc/health/v1/health.pb-c.h"
#include "server/base/clock.h"
#include "tests/support/process.h"
#include "tests/support/story.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ALONE_MS = 1000 * PATIENCE_SCALE }; /* no worker outlives the daemon by more than a second */

/* One worker of each kind that is hard to end, and one that is not. */
static void start_workers(void)
{
    static const char *const providers[] = {"openrouter", "deaf", "brood"};
    struct home others[ROW_COUNT(providers)];

    for (size_t i = 0; i < ROW_COUNT(providers); i++) {
        home_create(&others[i], &stage.scratch, providers[i]);
        expect_plan(probe_begin(caller, others[i].path, providers[i], NULL, 0), "one");
    }
}

/* ---- kill -9 ---- */

START_TEST(a_killed_daemon_leaves_no_worker_behind)
{
    struct call *hung, *deaf;

    start_workers();
    hung = begin_leased("stall", NULL);
    deaf = begin_leased("stall-deaf", NULL);
    daemon_kill(server);
    daemon_wait_alone(server, ALONE_MS);
    call_wait(hung);
    ck_assert_int_ne(hung->error, 0);
    call_end(hung);
    call_end(deaf);
}
END_TEST

START_TEST(a_daemon_killed_while_it_starts_workers_leaves_none)
{
    enum { COUNT = 8 };
    struct home others[COUNT];
    struct call *calls[COUNT];
    char name[16];

    for (size_t i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "other%zu", i);
        home_create(&others[i], &stage.scratch, name);
    }
    for (size_t i = 0; i < COUNT; i++)
        calls[i] = probe_begin(caller, others[i].path, "stall-deaf", NULL, 0);
    home_wait(&others[0], "start", 1);
    daemon_kill(server);
    daemon_wait_alone(server, ALONE_MS);
    for (size_t i = 0; i < COUNT; i++)
        call_end(calls[i]);
}
END_TEST

START_TEST(a_new_daemon_takes_over_what_a_killed_one_left)
{
    Probed__V1__Fence before, after;
    struct call *call = sync_begin(caller, home->path);

    before = *sync_response(call)->fence;
    call_end(call);
    daemon_kill(server);
    daemon_wait_alone(server, ALONE_MS);
    daemon_start(server, &stage.scratch, NULL); /* the socket files are still there */
    call = sync_begin(caller, home->path);
    after = *sync_response(call)->fence;
    call_end(call);
    ck_assert_uint_ne(after.epoch, before.epoch);
    expect_plan(begin("openrouter", NULL), "one");
}
END_TEST

START_TEST(a_killed_custodian_is_replaced_and_its_workers_are_gone)
{
    pid_t pids[HOME_PROCESS_COUNT_MAX], custodian = process_child_named(server->pid, "probed-custodian");
    struct call *in_the_air;
    size_t count;

    ck_assert_int_gt(custodian, 0);
    expect_plan(begin("openrouter", NULL), "one");
    daemon_wait(server, "idle", 1);
    in_the_air = begin_leased("stall-deaf", "another key");
    ck_assert_int_eq(kill(custodian, SIGKILL), 0);
    /* Its probe died with its worker, and is tried once more on a new one. */
    home_wait(home, "ask", 3);
    count = home_processes(home, pids);
    for (size_t i = 0; i + 1 < count; i++)
        ck_assert(!process_runs(pids[i]));
    expect_plan(begin("openrouter", "a third key"), "one");
    ck_assert_int_ne(process_child_named(server->pid, "probed-custodian"), custodian);
    call_end(in_the_air);
}
END_TEST

/* ---- SIGTERM ---- */

START_TEST(a_stop_leaves_nothing)
{
    start_workers();
    daemon_stop(server);
}
END_TEST

STORY_SETUP(patient, "--server-drain-ms", "60000")

static void wait_draining(void)
{
    Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;

    for (;;) {
        struct call *call = call_begin(caller, METHOD_HEALTH, 0, &request.base);
        const Grpc__Health__V1__HealthCheckResponse *response =
            (const Grpc__Health__V1__HealthCheckResponse *)call_payload(
                call, &grpc__health__v1__health_check_response__descriptor);
        bool serving = response->status == GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;

        call_end(call);
        if (!serving)
            return;
    }
}

START_TEST(calls_in_progress_are_answered_and_new_ones_refused)
{
    struct call *leased = begin_leased("gate", NULL), *joined = begin("gate", NULL);

    daemon_wait(server, "probed_joins_total", 1);
    ck_assert_int_eq(kill(server->pid, SIGTERM), 0);
    wait_draining();
    expect_failure(begin("openrouter", NULL), STATUS_UNAVAILABLE, NULL);
    home_open_gate(home, 1);
    expect_origin(leased, PROBED__V1__ORIGIN__ORIGIN_COLD);
    expect_origin(joined, PROBED__V1__ORIGIN__ORIGIN_JOINED);
    daemon_wait_stopped(server);
}
END_TEST

START_TEST(the_second_signal_ends_at_once)
{
    struct call *hung = begin_leased("stall", NULL);

    ck_assert_int_eq(kill(server->pid, SIGTERM), 0);
    wait_draining();
    ck_assert_int_eq(kill(server->pid, SIGINT), 0);
    call_wait(hung);
    if (hung->error == 0)
        call_expect(hung, STATUS_UNAVAILABLE, NULL);
    call_end(hung);
    daemon_wait_stopped(server);
}
END_TEST

STORY_SETUP(impatient, "--pool-workers-per-home", "1")

START_TEST(calls_that_outlast_the_drain_are_told)
{
    struct home other;
    struct call *calls[4];

    home_create(&other, &stage.scratch, "other");
    calls[0] = begin_leased("stall-deaf", NULL);
    calls[1] = begin("openrouter", NULL);
    daemon_wait(server, "waiting", 1);
    calls[2] = probe_begin(caller, other.path, "stall-deaf", NULL, 0);
    home_wait(&other, "ask", 1);
    calls[3] = invalidate_begin(caller, other.path, "nobody", PROBED__V1__BARRIER__BARRIER_QUIESCED);
    daemon_wait(server, "draining", 1);
    ck_assert_int_eq(kill(server->pid, SIGTERM), 0);
    for (size_t i = 0; i < ROW_COUNT(calls); i++)
        expect_failure(calls[i], STATUS_UNAVAILABLE, NULL);
    daemon_wait_stopped(server);
}
END_TEST

START_TEST(stopping_again_and_again_is_clean)
{
    size_t count = patience_count(100);

    for (size_t i = 0; i < count; i++) {
        struct call *calls[64];

        expect_plan(begin("openrouter", NULL), "one");
        for (size_t j = 0; j < ROW_COUNT(calls); j++)
            calls[j] = begin(j % 2 == 0 ? "slow-1" : "stall", NULL);
        daemon_wait_at_least(server, "probed_joins_total", 1);
        daemon_stop(server);
        for (size_t j = 0; j < ROW_COUNT(calls); j++)
            call_end(calls[j]);
        daemon_start(server, &stage.scratch, NULL);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("endings");
    TCase *tcase = story_case(suite, "killed", story_setup);

    tcase_add_test(tcase, a_killed_daemon_leaves_no_worker_behind);
    tcase_add_test(tcase, a_daemon_killed_while_it_starts_workers_leaves_none);
    tcase_add_test(tcase, a_new_daemon_takes_over_what_a_killed_one_left);
    tcase_add_test(tcase, a_killed_custodian_is_replaced_and_its_workers_are_gone);
    tcase_add_test(tcase, a_stop_leaves_nothing);
    tcase = story_case(suite, "patient", patient);
    tcase_add_test(tcase, calls_in_progress_are_answered_and_new_ones_refused);
    tcase_add_test(tcase, the_second_signal_ends_at_once);
    tcase = story_case(suite, "impatient", impatient);
    tcase_add_test(tcase, calls_that_outlast_the_drain_are_told);
    tcase_add_test(tcase, stopping_again_and_again_is_clean);
    return check_main(suite);
}
