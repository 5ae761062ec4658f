/* unit.probeload: what it counts, and that it notices an answer that breaks a promise. */
#include "tests/support/check_main.h"
#include "tests/support/child.h"
#include "tests/support/patience.h"
#include "tests/support/scratch.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 2, EXIT_VIOLATION = 3, EXIT_UNREACHABLE = 69, EXIT_FAILED = 70 };

/* ---- the program ---- */

static struct scratch scratch;
static char url[96], connect_setting[128];
static pid_t daemon_pid;

static void open_stage(void)
{
    scratch_open(&scratch);
    snprintf(url, sizeof url, "ipc://%s/rpc.sock", scratch.path);
    snprintf(connect_setting, sizeof connect_setting, "PROBED_CONNECT=%s", url);
    daemon_pid = child_start_ready((const char *const[]){"fake_daemon", "--listen", url, NULL});
}

static void close_stage(void)
{
    if (daemon_pid > 0)
        child_end(daemon_pid, SIGKILL);
    scratch_close(&scratch);
}

static struct child_result run_with(const char *const *words)
{
    const char *argv[32] = {"probeload"};

    for (size_t i = 0; i < 30 && words[i] != NULL; i++)
        argv[i + 1] = words[i];
    return child_run(argv, (const char *const[]){connect_setting, "HERMES_HOME=/h", NULL}, NULL, 0);
}

#define run(...) run_with((const char *const[]){__VA_ARGS__, NULL})

static void expect(struct child_result result, int exit_status, const char *out_part, const char *err_part)
{
    ck_assert_msg(result.exit_status == exit_status, "exit %d instead of %d\n%s%s", result.exit_status, exit_status,
                  result.out, result.err);
    ck_assert_msg(strstr(result.out, out_part) != NULL, "output:\n%s", result.out);
    ck_assert_msg(strstr(result.err, err_part) != NULL, "errors:\n%s", result.err);
    child_result_fini(&result);
}

START_TEST(so_many_calls_are_made_and_counted)
{
    expect(run("--count", "1000", "--in-flight", "64", "--json"), 0,
           "\"by_status\":{\"OK\":1000},\"by_origin\":{\"warm\":1000},\"violation\":false}\n", "");
    expect(run("--count", "100", "--connections", "4"), 0, "  calls    100, ", "");
}
END_TEST

START_TEST(homes_and_keys_are_taken_in_turn)
{
    expect(run("--count", "60", "--home", "/a", "--home", "/b", "--api-key-count", "3", "--json"), 0,
           "\"homes\":2,\"api_keys\":3,", "");
}
END_TEST

START_TEST(a_run_ends_with_its_duration)
{
    expect(run("--duration", "0.2", "--provider", "slow-10"), 0, "  status   OK ", "");
}
END_TEST

START_TEST(an_answer_that_cannot_be_read_is_a_broken_promise)
{
    expect(run("--count", "10", "--provider", "nul"), EXIT_VIOLATION, "", "a broken promise: AccountUsage.provider");
    expect(run("--count", "10", "--provider", "badpayload", "--json"), EXIT_VIOLATION, "\"violation\":true}", "");
}
END_TEST

START_TEST(an_answer_for_another_provider_is_a_broken_promise)
{
    expect(run("--count", "10", "--provider", "liar"), EXIT_VIOLATION, "", "asked for liar, answered with other");
}
END_TEST

START_TEST(a_generation_that_falls_is_a_broken_promise)
{
    expect(run("--count", "100", "--in-flight", "1", "--provider", "backwards"), EXIT_VIOLATION, "",
           "a call begun after an answer of");
}
END_TEST

START_TEST(calls_that_fail_are_counted_by_code)
{
    expect(run("--count", "10", "--provider", "code-8"), EXIT_FAILED, "  status   RESOURCE_EXHAUSTED 10\n",
           "the first failure: as was asked (RESOURCE_EXHAUSTED)");
    expect(run("--count", "2", "--provider", "hang", "--timeout", "0.1"), EXIT_FAILED, "DEADLINE_EXCEEDED 2", "");
}
END_TEST

START_TEST(a_daemon_that_dies_ends_the_run)
{
    expect(run("--provider", "die"), EXIT_UNREACHABLE, "UNAVAILABLE", "the first failure: ");
    child_end(daemon_pid, 0);
    daemon_pid = 0;
    expect(run("--count", "1"), EXIT_UNREACHABLE, "", "cannot reach probed at ");
}
END_TEST

static const char *const wrong_usages[][6] = {
    {"--in-flight", "0"},
    {"--in-flight", "x"},
    {"--count", "-1"},
    {"--duration", "0"},
    {"--duration", "inf"},
    {"--connections", "0"},
    {"--api-key-count", "0"},
    {"--in-flight", "1", "--connections", "2"},
    {"what"},
    {"--nothing"},
    {"--timeout", "0"},
};

START_TEST(wrong_usage_exits_2)
{
    expect(run_with(wrong_usages[_i]), EXIT_USAGE, "", "probeload: ");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("probeload");
    TCase *runs = tcase_create("runs");

    tcase_add_checked_fixture(runs, open_stage, close_stage);
    tcase_set_timeout(runs, patience_test_s());
    tcase_add_test(runs, so_many_calls_are_made_and_counted);
    tcase_add_test(runs, homes_and_keys_are_taken_in_turn);
    tcase_add_test(runs, a_run_ends_with_its_duration);
    tcase_add_test(runs, an_answer_that_cannot_be_read_is_a_broken_promise);
    tcase_add_test(runs, an_answer_for_another_provider_is_a_broken_promise);
    tcase_add_test(runs, a_generation_that_falls_is_a_broken_promise);
    tcase_add_test(runs, calls_that_fail_are_counted_by_code);
    tcase_add_test(runs, a_daemon_that_dies_ends_the_run);
    tcase_add_loop_test(runs, wrong_usage_exits_2, 0, sizeof wrong_usages / sizeof wrong_usages[0]);
    suite_add_tcase(suite, runs);
    return check_main(suite);
}
