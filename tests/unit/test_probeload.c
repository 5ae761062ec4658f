/* unit.probeload: what it counts, what it writes, and that it notices each promise that is broken. */
#include "tests/support/check_main.h"
#include "tests/support/child.h"
#include "tests/support/patience.h"
#include "tests/support/scratch.h"

#include <fcntl.h>
#include <jansson.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, EXIT_VIOLATION = 3, EXIT_UNREACHABLE = 69, EXIT_FAILED = 70 };

static struct scratch scratch;
static char url[96], events_url[96], connect_setting[128], events_setting[128];
static pid_t daemon_pid;

static void open_stage(void)
{
    scratch_open(&scratch);
    snprintf(url, sizeof url, "ipc://%s/rpc.sock", scratch.path);
    snprintf(events_url, sizeof events_url, "ipc://%s/events.sock", scratch.path);
    snprintf(connect_setting, sizeof connect_setting, "PROBED_CONNECT=%s", url);
    snprintf(events_setting, sizeof events_setting, "PROBED_EVENTS=%s", events_url);
}

static void open_fake_stage(void)
{
    open_stage();
    daemon_pid = child_start_ready((const char *const[]){"fake_daemon", "--listen", url, NULL});
}

static void start_liar(const char *lie)
{
    daemon_pid = child_start_ready(
        (const char *const[]){"lying_daemon", "--listen", url, "--publish", events_url, "--lie", lie, NULL});
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
    return child_run(argv, (const char *const[]){connect_setting, events_setting, "HERMES_HOME=/h", NULL}, NULL, 0);
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

/* The JSON that it prints; its errors must be empty. */
static json_t *report_of(struct child_result result, int exit_status)
{
    json_t *report = json_loads(result.out, 0, NULL);

    ck_assert_msg(result.exit_status == exit_status, "exit %d\n%s%s", result.exit_status, result.out, result.err);
    ck_assert_msg(report != NULL, "no JSON:\n%s", result.out);
    child_result_fini(&result);
    return report;
}

/* A number in it: "latency_ms.p99" is not cut at p99.9's point, so paths end in their last key. */
static double number_of(const json_t *report, const char *group, const char *key)
{
    const json_t *object = group == NULL ? report : json_object_get(report, group);
    const json_t *value = json_object_get(object, key);

    ck_assert_msg(json_is_number(value), "no %s %s", group == NULL ? "" : group, key);
    return json_number_value(value);
}

START_TEST(so_many_calls_are_made_and_counted)
{
    json_t *report = report_of(run("--count", "1000", "--in-flight", "64", "--json"), 0);

    ck_assert(number_of(report, NULL, "calls") == 1000);
    ck_assert(number_of(report, "by_status", "OK") == 1000);
    ck_assert(number_of(report, "by_origin", "warm") == 1000);
    ck_assert(number_of(report, "latency_ms", "count") == 1000);
    ck_assert(number_of(report, "checked", "answers") == 1000);
    ck_assert(json_is_false(json_object_get(report, "violation")));
    json_decref(report);
    expect(run("--count", "100", "--connections", "4"), 0, "status OK 100\n", "");
    expect(run("--count", "100", "--threads", "4"), 0, "status OK 100\n", "");
    expect(run("--count", "100", "--rate", "1000", "--threads", "2"), 0, "status OK 100\n", "");
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
    expect(run("--duration", "0.2", "--provider", "slow-10"), 0, "  status OK ", "");
}
END_TEST

START_TEST(an_answer_that_cannot_be_read_is_a_broken_promise)
{
    expect(run("--count", "10", "--provider", "nul"), EXIT_VIOLATION, "",
           "a broken promise: an answer that cannot be read: AccountUsage.provider");
    expect(run("--count", "10", "--provider", "badpayload", "--json"), EXIT_VIOLATION, "\"violation\":true,", "");
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
           "was known when it began");
}
END_TEST

START_TEST(calls_that_fail_are_counted_by_code)
{
    expect(run("--count", "10", "--provider", "code-8"), EXIT_FAILED, "  status RESOURCE_EXHAUSTED 10\n",
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

/* ---- promises ---- */

static const struct {
    const char *lie, *evidence;
} lies[] = {
    {"unsigned", "did not sign"},
    {"forged", "signed for another home or provider"},
    {"other-home", "signed for another home or provider"},
    {"other-key", "gave to another api_key"},
    {"old-worker", "and the answer's worker, pid 17, was started at"},
    {"old-generation", "was known when it began, and it got an answer of"},
    {"future", "an answer from the future"},
    {"kept", "said to be warm, and its worker answered at"},
    {"cached", "answered from the cache"},
    {"aged", "said to be 60000 ms old"},
    {"standstill", "was known when it began, and it was answered with generation 1"},
    {"event-generation", "and its event said"},
    {"event-provider", "its event is of /h, provider \"another\""},
    {"event-lost", "and no gap was told"},
};

static struct child_result run_all(const char *count)
{
    return run("--count", count, "--in-flight", "4", "--refresh", "0.2", "--invalidate", "0.1", "--subscribers", "2",
               "--api-key-count", "2", "--signed");
}

START_TEST(who_keeps_every_promise_is_found_to)
{
    start_liar("honest");
    expect(run_all("2000"), 0, "every promise kept", "");
}
END_TEST

START_TEST(each_broken_promise_is_noticed_and_told)
{
    start_liar(lies[_i].lie);
    expect(run_all("2000"), EXIT_VIOLATION, "A PROMISE WAS BROKEN", lies[_i].evidence);
}
END_TEST

/* ---- stalls ---- */

/* 400 ms without an answer, in a second of calls at equal distances: the open loop's latencies have it, since two in
 * five calls were due meanwhile, whether they could be sent (many in flight) or had to wait for it (one). */
static const char *const in_flights[] = {"4096", "1"};

START_TEST(a_stall_is_in_every_latency_that_it_delayed)
{
    json_t *report;

    start_liar("stall");
    report = report_of(
        run("--rate", "500", "--arrivals", "constant", "--duration", "1", "--in-flight", in_flights[_i], "--json"), 0);
    ck_assert(number_of(report, NULL, "calls") == 500);
    ck_assert(number_of(report, "latency_ms", "max") >= 390);
    ck_assert(number_of(report, "latency_ms", "p90") >= 290);
    json_decref(report);
}
END_TEST

START_TEST(a_closed_loop_hides_it)
{
    json_t *report;

    start_liar("stall");
    report = report_of(run("--in-flight", "1", "--count", "1000", "--json"), 0);
    ck_assert(number_of(report, "latency_ms", "max") >= 390);
    ck_assert(number_of(report, "latency_ms", "p99") < 290);
    json_decref(report);
}
END_TEST

START_TEST(what_was_due_and_could_not_be_sent_is_told)
{
    daemon_pid = child_start_ready((const char *const[]){"fake_daemon", "--listen", url, NULL});
    expect(
        run("--rate", "1000", "--in-flight", "1", "--duration", "0.05", "--provider", "slow-20000", "--timeout", "1"),
        EXIT_FAILED, "calls were due and could not be sent: latencies are a lower bound", "DEADLINE_EXCEEDED");
}
END_TEST

/* ---- what is written ---- */

static void read_file(const char *name, char *out, size_t size)
{
    char path[SCRATCH_PATH_SIZE + 32];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", scratch.path, name);
    file = fopen(path, "re");
    ck_assert_msg(file != NULL, "no %s", path);
    out[fread(out, 1, size - 1, file)] = '\0';
    fclose(file);
}

START_TEST(hgrm_is_as_hdrhistogram_writes_it)
{
    static char text[1 << 20];
    char path[SCRATCH_PATH_SIZE + 32], *line;
    double value, part, last_value = 0, last_part = -1;
    long count, last_count = 0;

    snprintf(path, sizeof path, "%s/run.hgrm", scratch.path);
    expect(run("--count", "1000", "--hgrm", path), 0, "", "");
    read_file("run.hgrm", text, sizeof text);
    ck_assert_int_eq(strncmp(text, "       Value     Percentile TotalCount 1/(1-Percentile)\n\n", 57), 0);
    for (line = text + 57; sscanf(line, "%lf %lf %ld", &value, &part, &count) == 3; line = strchr(line, '\n') + 1) {
        ck_assert(value >= last_value && part > last_part && count >= last_count);
        ck_assert((double)count + 1 >= part * 1000);
        last_value = value;
        last_part = part;
        last_count = count;
    }
    ck_assert(last_part == 1 && last_count == 1000);
    ck_assert_ptr_nonnull(strstr(line, "#[Mean    = "));
    ck_assert_ptr_nonnull(strstr(line, "Total count    =         1000]\n#[Buckets ="));
}
END_TEST

START_TEST(the_drawing_is_whole_and_has_the_figures)
{
    static char text[1 << 20];
    char path[SCRATCH_PATH_SIZE + 32];

    snprintf(path, sizeof path, "%s/run.svg", scratch.path);
    expect(run("--count", "1000", "--svg", path, "--title", "a < b & c"), 0, "", "");
    read_file("run.svg", text, sizeof text);
    ck_assert_int_eq(strncmp(text, "<svg xmlns=", 11), 0);
    ck_assert_ptr_nonnull(strstr(text, "a &#60; b &#38; c"));
    ck_assert_ptr_nonnull(strstr(text, "Latency by percentile"));
    ck_assert_ptr_nonnull(strstr(text, "Latency over time"));
    ck_assert_str_eq(text + strlen(text) - 7, "</svg>\n");
    ck_assert_ptr_null(strstr(text, "nan"));
    ck_assert_ptr_null(strstr(text, "inf"));
}
END_TEST

START_TEST(a_pipe_gets_no_line_of_progress)
{
    struct child_result result = run("--duration", "0.5", "--warm-up", "0.1");

    ck_assert_str_eq(result.err, "");
    ck_assert_ptr_null(strchr(result.out, '\r'));
    child_result_fini(&result);
}
END_TEST

/* All that it writes to a terminal, its output and its errors. */
static void run_on_terminal(const char *const *words, char *out, size_t size)
{
    char program[256];
    size_t used = 0;
    int terminal;
    pid_t pid = forkpty(&terminal, NULL, NULL, NULL);

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        snprintf(program, sizeof program, "%s/probeload", child_bin_directory());
        putenv(connect_setting);
        execv(program, (char *const *)(uintptr_t)words);
        _exit(127);
    }
    for (ssize_t got = 1; got > 0; used += (size_t)(got > 0 ? got : 0))
        got = read(terminal, out + used, size - 1 - used);
    out[used] = '\0';
    close(terminal);
    ck_assert_int_eq(child_end(pid, 0), 0);
}

START_TEST(a_terminal_gets_one_line_redrawn)
{
    static char out[1 << 16];
    const char *line;

    run_on_terminal((const char *const[]){"probeload", "--home", "/h", "--duration", "0.6", "--warm-up", "0.6", NULL},
                    out, sizeof out);
    ck_assert_ptr_nonnull(strstr(out, "\r  warming up, "));
    line = strstr(out, "/s  p50 ");
    ck_assert_msg(line != NULL, "%s", out);
    line = strstr(line, "\033[K\r");
    ck_assert_msg(line != NULL, "%s", out);
    ck_assert_msg(strstr(line, "\r\033[K16 in flight") != NULL, "%s", out); /* it is taken away for the report */
}
END_TEST

START_TEST(what_cannot_be_written_is_a_failure)
{
    expect(run("--count", "10", "--svg", "/nowhere/run.svg"), EXIT_FAILED, "", "/nowhere/run.svg: No such file");
}
END_TEST

START_TEST(warming_up_does_not_count)
{
    json_t *report = report_of(
        run("--rate", "1000", "--arrivals", "constant", "--warm-up", "0.3", "--duration", "0.2", "--json"), 0);

    ck_assert(number_of(report, NULL, "calls") == 200);
    ck_assert(number_of(report, "checked", "answers") == 500);
    json_decref(report);
}
END_TEST

START_TEST(a_limit_is_found_and_its_steps_are_told)
{
    json_t *report = report_of(run("--find-limit", "50", "--rate", "100", "--duration", "0.1", "--warm-up", "0.01",
                                   "--in-flight", "1", "--provider", "slow-4", "--json"),
                               0);

    ck_assert(number_of(report, "limit", "calls_per_second") >= 1);
    ck_assert_uint_gt(json_array_size(json_object_get(json_object_get(report, "limit"), "steps")), 2);
    json_decref(report);
}
END_TEST

/* ---- usage ---- */

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
    {"--rate", "0"},
    {"--rate", "1e9"},
    {"--arrivals", "constant"},
    {"--rate", "1", "--arrivals", "never"},
    {"--spread", "wide"},
    {"--spread", "zipf:0"},
    {"--refresh", "1.5"},
    {"--invalidate", "-0.1"},
    {"--threads", "2", "--in-flight", "3"},
    {"--find-limit", "1", "--count", "5"},
    {"--self-contained", "--home", "/h"},
    {"--homes", "2"},
    {"--", "--pool-workers-per-home", "3"},
    {"--seed", "x"},
};

START_TEST(wrong_usage_exits_2)
{
    expect(run_with(wrong_usages[_i]), EXIT_USAGE, "", "probeload: ");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("probeload");
    TCase *runs = tcase_create("runs"), *promises = tcase_create("promises");

    tcase_add_checked_fixture(runs, open_fake_stage, close_stage);
    tcase_add_checked_fixture(promises, open_stage, close_stage);
    tcase_set_timeout(runs, patience_test_s());
    tcase_set_timeout(promises, patience_test_s());
    tcase_add_test(runs, so_many_calls_are_made_and_counted);
    tcase_add_test(runs, homes_and_keys_are_taken_in_turn);
    tcase_add_test(runs, a_run_ends_with_its_duration);
    tcase_add_test(runs, an_answer_that_cannot_be_read_is_a_broken_promise);
    tcase_add_test(runs, an_answer_for_another_provider_is_a_broken_promise);
    tcase_add_test(runs, a_generation_that_falls_is_a_broken_promise);
    tcase_add_test(runs, calls_that_fail_are_counted_by_code);
    tcase_add_test(runs, a_daemon_that_dies_ends_the_run);
    tcase_add_test(runs, hgrm_is_as_hdrhistogram_writes_it);
    tcase_add_test(runs, the_drawing_is_whole_and_has_the_figures);
    tcase_add_test(runs, a_pipe_gets_no_line_of_progress);
    tcase_add_test(runs, a_terminal_gets_one_line_redrawn);
    tcase_add_test(runs, what_cannot_be_written_is_a_failure);
    tcase_add_test(runs, warming_up_does_not_count);
    tcase_add_test(runs, a_limit_is_found_and_its_steps_are_told);
    tcase_add_loop_test(runs, wrong_usage_exits_2, 0, sizeof wrong_usages / sizeof wrong_usages[0]);
    tcase_add_test(promises, who_keeps_every_promise_is_found_to);
    tcase_add_loop_test(promises, each_broken_promise_is_noticed_and_told, 0, sizeof lies / sizeof lies[0]);
    tcase_add_loop_test(promises, a_stall_is_in_every_latency_that_it_delayed, 0, 2);
    tcase_add_test(promises, a_closed_loop_hides_it);
    tcase_add_test(promises, what_was_due_and_could_not_be_sent_is_told);
    suite_add_tcase(suite, runs);
    suite_add_tcase(suite, promises);
    return check_main(suite);
}
