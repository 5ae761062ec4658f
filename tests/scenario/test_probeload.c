/* scenario.probeload: one command, its own daemon and workers, every promise checked, and nothing left behind. */
#include "tests/support/check_main.h"
#include "tests/support/child.h"
#include "tests/support/patience.h"
#include "tests/support/process.h"
#include "tests/support/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct scratch scratch;
static char folder_setting[SCRATCH_PATH_SIZE + 16];

static void open_stage(void)
{
    scratch_open(&scratch);
    snprintf(folder_setting, sizeof folder_setting, "TMPDIR=%s", scratch.path);
}

static void close_stage(void)
{
    scratch_close(&scratch);
}

/* What is in the folder for the runs' own. */
static size_t count_left(void)
{
    DIR *directory = opendir(scratch.path);
    size_t count = 0;

    ck_assert_ptr_nonnull(directory);
    for (const struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory))
        count += strncmp(entry->d_name, "probeload-", 10) == 0;
    closedir(directory);
    return count;
}

static struct child_result run_with(const char *const *words)
{
    return child_run(words, (const char *const[]){folder_setting, NULL}, NULL, 0);
}

#define run(...) run_with((const char *const[]){"probeload", "--self-contained", __VA_ARGS__, NULL})

static json_int_t number_of(const json_t *report, const char *group, const char *key)
{
    return json_integer_value(json_object_get(json_object_get(report, group), key));
}

START_TEST(a_mixed_load_finds_every_promise_kept)
{
    struct child_result result =
        run("--homes", "3", "--provider", "openrouter", "--provider", " AnthroPic\n", "--api-key-count", "3",
            "--spread", "zipf", "--in-flight", "32", "--connections", "2", "--refresh", "0.01", "--invalidate", "0.002",
            "--subscribers", "2", "--count", "20000", "--json");
    json_t *report = json_loads(result.out, 0, NULL);

    ck_assert_msg(result.exit_status == 0, "exit %d\n%s%s", result.exit_status, result.out, result.err);
    ck_assert_ptr_nonnull(report);
    ck_assert_int_gt(number_of(report, "by_origin", "cached"), 0);
    ck_assert_int_gt(number_of(report, "by_origin", "cold"), 0);
    ck_assert_int_gt(number_of(report, "checked", "invalidations"), 0);
    ck_assert_int_ge(number_of(report, "checked", "events"), number_of(report, "checked", "invalidations"));
    ck_assert_int_eq(number_of(report, "checked", "signed"), number_of(report, "checked", "answers"));
    ck_assert_uint_eq(count_left(), 0);
    json_decref(report);
    child_result_fini(&result);
}
END_TEST

START_TEST(an_open_loop_at_a_modest_rate_sends_every_call)
{
    struct child_result result = run("--rate", "500", "--count", "250", "--worker-delay", "5", "--json");
    json_t *report = json_loads(result.out, 0, NULL);

    ck_assert_msg(result.exit_status == 0, "exit %d\n%s%s", result.exit_status, result.out, result.err);
    ck_assert_int_eq(json_integer_value(json_object_get(report, "unsent")), 0);
    ck_assert_int_eq(number_of(report, "by_status", "OK"), 250);
    json_decref(report);
    child_result_fini(&result);
}
END_TEST

START_TEST(words_behind_two_dashes_are_the_daemons)
{
    struct child_result result = run("--count", "1", "--", "--no-such-setting", "1");

    ck_assert_int_eq(result.exit_status, 69);
    ck_assert_ptr_nonnull(strstr(result.err, "no-such-setting"));
    ck_assert_ptr_nonnull(strstr(result.err, "probed ended before it served"));
    child_result_fini(&result);
}
END_TEST

/* The daemon of a probeload that serves already; waits for it. */
static pid_t await_daemon(pid_t probeload)
{
    pid_t daemon = -1;

    while (daemon < 0 || process_child_named(daemon, "probed-custodian") < 0) {
        daemon = process_child_named(probeload, "probed");
        ck_assert(process_runs(probeload));
        poll(NULL, 0, 1);
    }
    return daemon;
}

START_TEST(a_probeload_that_is_killed_takes_its_daemon_along)
{
    int out, handle;
    pid_t probeload = child_start((const char *const[]){"probeload", "--self-contained", "--duration", "60", NULL},
                                  (const char *const[]){folder_setting, NULL}, &out);
    struct pollfd end = {.events = POLLIN};

    handle = (int)syscall(SYS_pidfd_open, await_daemon(probeload), 0);
    ck_assert_msg(handle >= 0, "%s", strerror(errno));
    child_end(probeload, SIGKILL);
    end.fd = handle;
    ck_assert_int_eq(poll(&end, 1, PATIENCE_MS), 1);
    close(handle);
    close(out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("probeload");
    TCase *tcase = tcase_create("self-contained");

    tcase_add_checked_fixture(tcase, open_stage, close_stage);
    tcase_set_timeout(tcase, patience_test_s());
    tcase_add_test(tcase, a_mixed_load_finds_every_promise_kept);
    tcase_add_test(tcase, an_open_loop_at_a_modest_rate_sends_every_call);
    tcase_add_test(tcase, words_behind_two_dashes_are_the_daemons);
    tcase_add_test(tcase, a_probeload_that_is_killed_takes_its_daemon_along);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
