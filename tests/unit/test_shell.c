/* The shell with the real custodian and nothing to do: how it comes to its end. */
#include "server/shell/shell.h"

#include "server/base/clock.h"
#include "tests/support/check_main.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_SIZE = 4096, PATIENCE_MS = 20000 };

static char folder[64], url[96], custodian[PATH_SIZE];
static struct homes *homes;
static struct shell *shell;

static void answered(void *context, struct engine_call *call)
{
    (void)context;
    ck_abort_msg("nobody called (%s)", call->result.status.message);
}

static void open_homes(void)
{
    const struct homes_settings settings = {.daemon_uid = geteuid()};
    struct status status = homes_create(&settings, &homes);

    ck_assert_msg(status_is_ok(&status), "%s", status.message);
}

static void open_shell(void)
{
    static const char *const arguments[] = {"--worker-command", "cat", "--log-level", "error", NULL};
    const char *const urls[] = {url};
    const struct shell_settings settings = {
        .engine = {.homes_max = 16, .workers_per_home = 1, .workers_max = 1, .cache_entries_max = 16},
        .custody = {.program = custodian, .arguments = arguments, .term_grace_ms = PATIENCE_MS},
        .work = {.handler_count_max = 1, .answer_line_size_max = 1024, .run_ms = PATIENCE_MS},
        .news = {.urls = urls, .url_count = 1, .ipc_mode = 0600, .heartbeat_ns = NS_PER_S},
    };
    struct status status = shell_create(&settings, homes, answered, NULL, &shell);

    ck_assert_msg(status_is_ok(&status), "%s", status.message);
}

/* Whether this process has a thread of that name. */
static bool has_thread(const char *name)
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *entry;
    bool found = false;

    ck_assert_ptr_nonnull(tasks);
    while ((entry = readdir(tasks)) != NULL) {
        char path[PATH_SIZE], line[32] = "";
        FILE *file;

        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        file = fopen(path, "re");
        if (file == NULL)
            continue; /* ".", or one that has just ended */
        if (fgets(line, sizeof line, file) != NULL)
            line[strcspn(line, "\n")] = '\0';
        found = found || strcmp(line, name) == 0;
        fclose(file);
    }
    closedir(tasks);
    return found;
}

/* /proc shows one that was joined for a moment longer; the case's own timeout ends the wait. */
static void await_thread(const char *name, bool wanted)
{
    while (has_thread(name) != wanted)
        continue;
}

static void set_up(void)
{
    const char *programs = getenv("PROBED_BIN");

    ck_assert_msg(programs != NULL, "PROBED_BIN names the folder of the programs");
    ck_assert_int_eq(secret_setup(), 0);
    snprintf(custodian, sizeof custodian, "%s/probed-custodian", programs);
    snprintf(folder, sizeof folder, "/tmp/probed-shell-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(url, sizeof url, "ipc://%s/events.sock", folder);
    setenv("XDG_RUNTIME_DIR", folder, 0); /* where the sockets of a daemon that is not root would be */
    open_homes();
    open_shell();
    await_thread("publisher", true); /* it gives itself its name */
}

static void tear_down(void)
{
    homes_destroy(homes, NS_PER_S);
    shell_destroy(shell);
    ck_assert_int_eq(rmdir(folder), 0);
}

/* Homes end before the shell does: whoever asks them must have ended by then. */
START_TEST(a_stopped_shell_asks_homes_nothing_more)
{
    ck_assert(shell_stop(shell));
    await_thread("publisher", false);
}
END_TEST

START_TEST(nor_does_one_that_was_drained_first)
{
    shell_drain(shell);
    ck_assert(shell_wait_drained(shell, clock_now_ns() + PATIENCE_MS * NS_PER_MS));
    ck_assert(shell_stop(shell));
    await_thread("publisher", false);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shell");
    TCase *tcase = tcase_create("end");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, a_stopped_shell_asks_homes_nothing_more);
    tcase_add_test(tcase, nor_does_one_that_was_drained_first);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
