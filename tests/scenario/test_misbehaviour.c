/* What workers do wrong: the code and the cause a caller gets, how often it is tried, and that the next call is well.
 */
#include "server/base/clock.h"
#include "tests/support/process.h"
#include "tests/support/story.h"

#include <sys/stat.h>

#define STRAY_FAULTS "probed_worker_faults_total{cause=\"stray\"}"

/* ---- in answer to a request ---- */

static const struct {
    const char *provider;
    enum status_code code;
    const char *message;
    size_t ask_count; /* a death is tried once more, a breach is not */
} faults[] = {
    {"garbage", STATUS_INTERNAL, "is no JSON", 1},
    {"nan", STATUS_INTERNAL, "is no JSON", 1},
    {"array", STATUS_INTERNAL, "neither an object nor null", 1},
    {"deep", STATUS_INTERNAL, "nested deeper than 64 levels", 1},
    {"two", STATUS_INTERNAL, "more than one line", 1},
    {"flood", STATUS_INTERNAL, "longer than worker.reply_bytes_max (1048576 bytes)", 1},
    {"wrong-id", STATUS_INTERNAL, "another id", 1},
    {"wrong-provider", STATUS_INTERNAL, "another provider", 1},
    {"half", STATUS_UNAVAILABLE, "in the middle of its answer", 2},
    {"die", STATUS_UNAVAILABLE, "without an answer", 2},
    {"close", STATUS_UNAVAILABLE, "without an answer", 2},
};

START_TEST(a_fault_is_told_by_code_and_cause)
{
    pid_t pids[HOME_PROCESS_COUNT_MAX];
    size_t process_count;
    struct call *call = begin(faults[_i].provider, NULL);

    call_expect(call, faults[_i].code, faults[_i].message);
    call_end(call);
    ck_assert_uint_eq(home_count(home, "ask"), faults[_i].ask_count);
    end_pause(home->path);
    expect_origin(begin("openrouter", NULL), PROBED__V1__ORIGIN__ORIGIN_COLD); /* the home is well */
    daemon_wait(server, "ending", 0);
    process_count = home_processes(home, pids);
    ck_assert_uint_eq(process_count, faults[_i].ask_count + 1);
    for (size_t i = 0; i + 1 < process_count; i++)
        ck_assert(!process_runs(pids[i])); /* whoever failed is ended */
}
END_TEST

START_TEST(a_fault_is_answered_to_all_who_joined)
{
    enum { COUNT = 10 };
    struct call *calls[COUNT];

    for (size_t i = 0; i < COUNT; i++)
        calls[i] = begin("wrong-id", NULL);
    for (size_t i = 0; i < COUNT; i++)
        expect_failure(calls[i], STATUS_INTERNAL, "another id");
    ck_assert_uint_eq(home_count(home, "ask"), 1);
}
END_TEST

START_TEST(a_fault_is_remembered_for_its_key)
{
    struct call *call;

    expect_failure(begin("garbage", NULL), STATUS_INTERNAL, "is no JSON");
    call = begin("garbage", NULL);
    call_expect(call, STATUS_INTERNAL, "is no JSON");
    ck_assert_uint_gt(call->response->retry_after_ms, 0);
    ck_assert_uint_le(call->response->retry_after_ms, 60000);
    call_end(call);
    ck_assert_uint_eq(home_count(home, "ask"), 1);
    expect_failure(begin("garbage", "another key"), STATUS_INTERNAL, NULL);
    ck_assert_uint_eq(home_count(home, "ask"), 2);
    expect_failure(begin_refresh("garbage"), STATUS_INTERNAL, NULL);
    ck_assert_uint_eq(home_count(home, "ask"), 3);
}
END_TEST

START_TEST(one_death_is_made_up_for)
{
    expect_origin(begin("die-first", NULL), PROBED__V1__ORIGIN__ORIGIN_COLD);
    ck_assert_uint_eq(home_count(home, "ask"), 2);
    ck_assert_uint_eq(home_count(home, "start"), 2);
    ck_assert_uint_eq(daemon_number(server, "probed_failures_total"), 0);
}
END_TEST

/* By a worker that has answered before, so that the home is in no pause for workers that never do. */
START_TEST(part_of_an_answer_is_none_wherever_its_worker_is_killed)
{
    enum { LINE_SIZE = 600, STEP = SANITIZED ? 7 : 1 };
    char provider[16];

    for (unsigned count = 0; count < LINE_SIZE; count += STEP) {
        snprintf(provider, sizeof provider, "cut-%u", count);
        expect_plan(begin_refresh("openrouter"), "one");
        expect_failure(begin(provider, NULL), STATUS_UNAVAILABLE,
                       count == 0 ? "without an answer" : "in the middle of its answer");
    }
    ck_assert_uint_eq(daemon_number(server, "probed_failures_total"), (LINE_SIZE + STEP - 1) / STEP);
}
END_TEST

/* Nobody waits for run_ms, which is longer than a test's patience. */
START_TEST(a_death_is_noticed_though_a_child_that_left_the_group_holds_the_pipes)
{
    expect_origin(begin("orphan", NULL), PROBED__V1__ORIGIN__ORIGIN_COLD);
    ck_assert_uint_eq(home_count(home, "ask"), 2);
    ck_assert_uint_eq(daemon_number(server, "probed_failures_total"), 0);
}
END_TEST

START_TEST(null_is_an_answer)
{
    struct call *call = begin("null", NULL);

    ck_assert_int_eq((int)probe_response(call)->usage->status, PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_UNAVAILABLE);
    ck_assert_str_eq(probe_response(call)->usage->unavailable_reason, "The worker had no answer.");
    call_end(call);
    expect_origin(begin("openrouter", NULL), PROBED__V1__ORIGIN__ORIGIN_WARM); /* and the worker is none the worse */
}
END_TEST

/* An end of file that comes with the answer voids it; one that comes later ends an idle worker.  Two that are void in a
 * row are a failing home's, which pauses. */
START_TEST(answering_and_leaving_hurts_nobody_else)
{
    size_t count = patience_count(200);

    for (size_t i = 0; i < count; i++) {
        struct call *call = begin_refresh("answer-and-exit");

        call_wait(call);
        ck_assert(call->response->code == PROBED__V1__STATUS_CODE__OK ||
                  call->response->code == PROBED__V1__STATUS_CODE__UNAVAILABLE);
        if (call->response->code == PROBED__V1__STATUS_CODE__UNAVAILABLE)
            end_pause(home->path);
        call_end(call);
        call = begin_refresh("openrouter");
        expect_plan(call, "one");
    }
}
END_TEST

/* ---- strays ---- */

/* The answer is the one asked for, or void: where the stray came before the answer was looked at. */
static void expect_answer_or_breach(struct call *call)
{
    call_wait(call);
    ck_assert_int_eq(call->error, 0);
    if (call->response->code == PROBED__V1__STATUS_CODE__OK)
        ck_assert_str_eq(probe_response(call)->usage->plan, "one");
    else
        call_expect(call, STATUS_INTERNAL, NULL);
    call_end(call);
}

/* It says "stray" 1 ms after its answer. */
START_TEST(a_stray_line_is_never_an_answer)
{
    size_t count = patience_count(400);

    for (size_t i = 0; i < count; i++) {
        expect_answer_or_breach(begin_refresh("stray-1"));
        daemon_wait(server, "idle", 0); /* the worker is found out while it is idle */
        expect_plan(begin_refresh("openrouter"), "one");
    }
    ck_assert_uint_ge(daemon_number(server, "probed_answers_total{origin=\"cold\"}"), count);
}
END_TEST

/* The next request is written before the stray comes: it bears another id, so it is told from the answer. */
START_TEST(a_stray_line_during_the_next_lease_is_a_breach_at_worst)
{
    size_t count = patience_count(400);

    for (size_t i = 0; i < count; i++) {
        expect_answer_or_breach(begin_refresh("stray-1"));
        expect_answer_or_breach(begin_refresh("openrouter"));
    }
}
END_TEST

START_TEST(a_stray_line_at_once_voids_the_answer)
{
    expect_answer_or_breach(begin("stray-0", NULL));
    daemon_wait(server, "idle", 0);
    expect_origin(begin("openrouter", NULL), PROBED__V1__ORIGIN__ORIGIN_COLD);
}
END_TEST

/* ---- before any request ---- */

static const struct {
    const char *start; /* what the worker does when it starts */
    const char *name;
} bad_starts[] = {{"exit", "exits at once"}, {"close", "closes its output"}, {"greet", "speaks unasked"}};

/* None of them may set off an endless row of starts. */
START_TEST(a_worker_that_fails_at_its_start_is_a_failure_soon)
{
    struct call *call;

    home_write(home, "start", bad_starts[_i].start);
    call = begin("openrouter", NULL);
    call_wait(call);
    ck_assert_int_eq(call->error, 0);
    ck_assert_msg(call->response->code == PROBED__V1__STATUS_CODE__UNAVAILABLE ||
                      call->response->code == PROBED__V1__STATUS_CODE__INTERNAL,
                  "a worker that %s: %s", bad_starts[_i].name,
                  status_code_name((enum status_code)call->response->code));
    ck_assert_uint_gt(strlen(call->response->message), 0);
    call_end(call);
    ck_assert_uint_le(home_count(home, "start"), 20);
    home_write(home, "start", "");
    end_pause(home->path);
    expect_plan(begin_refresh("openrouter"), "one");
}
END_TEST

START_TEST(a_home_whose_workers_fail_pauses_and_says_so)
{
    struct call *call;

    home_write(home, "start", "exit");
    expect_failure(begin("openrouter", NULL), STATUS_UNAVAILABLE, "");
    daemon_wait(server, "ending", 0);
    expect_failure(begin_refresh("openrouter"), STATUS_UNAVAILABLE, "");
    daemon_wait_at_least(server, "probed_pauses_total", 1);
    call = begin("anthropic", NULL); /* whatever is asked: no worker is started */
    call_expect(call, STATUS_UNAVAILABLE, "the worker exited with status 1");
    ck_assert_uint_gt(call->response->retry_after_ms, 0);
    call_end(call);
    home_write(home, "start", "");
    end_pause(home->path);
    expect_origin(begin("anthropic", NULL), PROBED__V1__ORIGIN__ORIGIN_COLD);
}
END_TEST

STORY_SETUP(no_program, "--worker-command", "/nonexistent/worker")

START_TEST(a_worker_that_is_missing_is_a_failure_with_the_cause)
{
    expect_failure(begin("openrouter", NULL), STATUS_UNAVAILABLE, "No such file");
    expect_failure(begin_refresh("openrouter"), STATUS_UNAVAILABLE, "No such file");
    ck_assert_uint_eq(daemon_number(server, "leased"), 0);
    ck_assert_uint_eq(daemon_number(server, "starting"), 0);
}
END_TEST

static void not_executable(void)
{
    static char path[HOME_PATH_SIZE + 16];
    static const char *const settings[] = {"--worker-command", path, NULL};
    struct home folder;

    scratch_open(&stage.scratch);
    home_create(home, &stage.scratch, "home");
    home_create(&folder, &stage.scratch, "bin");
    home_write(&folder, "worker", "#!/bin/sh\nexit 0\n");
    snprintf(path, sizeof path, "%s/worker", folder.path);
    ck_assert_int_eq(chmod(path, 0644), 0);
    daemon_start(server, &stage.scratch, settings);
}

START_TEST(a_worker_that_is_not_executable_is_a_failure_with_the_cause)
{
    expect_failure(begin("openrouter", NULL), STATUS_UNAVAILABLE, "Permission denied");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("misbehaviour");
    TCase *tcase = story_case(suite, "answers", story_setup);

    tcase_add_loop_test(tcase, a_fault_is_told_by_code_and_cause, 0, (int)ROW_COUNT(faults));
    tcase_add_test(tcase, a_fault_is_answered_to_all_who_joined);
    tcase_add_test(tcase, a_fault_is_remembered_for_its_key);
    tcase_add_test(tcase, one_death_is_made_up_for);
    tcase_add_test(tcase, part_of_an_answer_is_none_wherever_its_worker_is_killed);
    tcase_add_test(tcase, a_death_is_noticed_though_a_child_that_left_the_group_holds_the_pipes);
    tcase_add_test(tcase, null_is_an_answer);
    tcase_add_test(tcase, answering_and_leaving_hurts_nobody_else);
    tcase_add_test(tcase, a_stray_line_is_never_an_answer);
    tcase_add_test(tcase, a_stray_line_during_the_next_lease_is_a_breach_at_worst);
    tcase_add_test(tcase, a_stray_line_at_once_voids_the_answer);
    tcase_add_loop_test(tcase, a_worker_that_fails_at_its_start_is_a_failure_soon, 0, (int)ROW_COUNT(bad_starts));
    tcase_add_test(tcase, a_home_whose_workers_fail_pauses_and_says_so);
    tcase = story_case(suite, "no program", no_program);
    tcase_add_test(tcase, a_worker_that_is_missing_is_a_failure_with_the_cause);
    tcase = story_case(suite, "not executable", not_executable);
    tcase_add_test(tcase, a_worker_that_is_not_executable_is_a_failure_with_the_cause);
    return check_main(suite);
}
