/* unit.probectl: the command line as a user sees it: what it prints, where, and how it exits. */
#include "tests/support/check_main.h"
#include "tests/support/child.h"
#include "tests/support/patience.h"
#include "tests/support/scratch.h"

#include <errno.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_NOTHING = 1, EXIT_USAGE = 2, EXIT_UNREACHABLE = 69, EXIT_FAILED = 70 };

/* ---- the stage ---- */

static struct scratch scratch;
static char url[96], events_url[96], home[96];
static char home_setting[128], connect_setting[128], events_setting[128];
static const char *environment[8];
static pid_t daemon_pid;

static void open_stage(void)
{
    scratch_open(&scratch);
    snprintf(url, sizeof url, "ipc://%s/rpc.sock", scratch.path);
    snprintf(events_url, sizeof events_url, "ipc://%s/events.sock", scratch.path);
    snprintf(home, sizeof home, "%s/home", scratch.path);
    ck_assert_int_eq(mkdir(home, 0700), 0);
    snprintf(home_setting, sizeof home_setting, "HERMES_HOME=%s", home);
    snprintf(connect_setting, sizeof connect_setting, "PROBED_CONNECT=%s", url);
    snprintf(events_setting, sizeof events_setting, "PROBED_EVENTS=%s", events_url);
    memcpy(environment, (const char *[]){home_setting, connect_setting, events_setting, "LC_ALL=C", "TZ=UTC", NULL},
           6 * sizeof *environment);
    daemon_pid = child_start_ready(
        (const char *const[]){"fake_daemon", "--heartbeat", "20", "--listen", url, "--publish", events_url, NULL});
}

static void close_stage(void)
{
    if (daemon_pid > 0)
        child_end(daemon_pid, SIGKILL);
    scratch_close(&scratch);
}

static void kill_daemon(void)
{
    child_end(daemon_pid, SIGKILL);
    daemon_pid = 0;
}

static struct child_result run_with(const char *const *words, const void *input, size_t input_size)
{
    const char *argv[32] = {"probectl"};

    for (size_t i = 0; i < 30 && words[i] != NULL; i++)
        argv[i + 1] = words[i];
    return child_run(argv, environment, input, input_size);
}

#define run(...) run_with((const char *const[]){__VA_ARGS__, NULL}, NULL, 0)

/* Asserts how it ended and what it printed; NULL: anything, "": nothing. */
static void expect(struct child_result result, int exit_status, const char *out_part, const char *err_part)
{
    ck_assert_msg(result.exit_status == exit_status, "exit %d instead of %d\n%s%s", result.exit_status, exit_status,
                  result.out, result.err);
    if (out_part != NULL)
        ck_assert_msg(out_part[0] == '\0' ? result.out[0] == '\0' : strstr(result.out, out_part) != NULL, "output:\n%s",
                      result.out);
    if (err_part != NULL)
        ck_assert_msg(err_part[0] == '\0' ? result.err[0] == '\0' : strstr(result.err, err_part) != NULL, "errors:\n%s",
                      result.err);
    child_result_fini(&result);
}

static size_t line_count(const char *text)
{
    size_t count = 0;

    while ((text = strchr(text, '\n')) != NULL) {
        count++;
        text++;
    }
    return count;
}

/* ---- probe ---- */

START_TEST(probe_shows_an_account)
{
    expect(run("probe", "openrouter"), 0,
           "openrouter  Account limits - Plus\n"
           "  Session  ############--------  58% used\n"
           "  Credits balance: 4.20\n"
           "  usage_api, asked just now by a warm worker in 350 ms\n",
           "");
}
END_TEST

START_TEST(an_account_with_nothing_to_show_exits_1)
{
    expect(run("probe", "nothing"), EXIT_NOTHING, "No key: No credential is configured for this provider.", "");
}
END_TEST

START_TEST(several_providers_are_asked_at_once_and_shown_in_order)
{
    struct child_result result = run("--json", "probe", "slow-400", "slow-401", "slow-402", "slow-403", "first");
    const char *first = strstr(result.out, "slow-400"), *last = strstr(result.out, "\"first\"");

    ck_assert_int_eq(result.exit_status, 0);
    ck_assert_uint_eq(line_count(result.out), 5);
    ck_assert(first != NULL && last != NULL && first < last);
    child_result_fini(&result);
}
END_TEST

/* The one is never answered, and the other ends the daemon: whoever waits for the one first waits in vain. */
START_TEST(the_last_of_several_providers_does_not_wait_for_the_others)
{
    struct child_result result = run("--timeout", "10", "probe", "hang", "die");

    ck_assert_int_eq(result.exit_status, EXIT_UNREACHABLE);
    ck_assert_ptr_null(strstr(result.err, "DEADLINE_EXCEEDED"));
    child_result_fini(&result);
}
END_TEST

START_TEST(of_several_providers_the_worst_counts)
{
    expect(run("probe", "one", "nothing"), EXIT_NOTHING, "one", "");
    expect(run("probe", "nothing", "code-5", "two"), EXIT_FAILED, "two",
           "probectl: probe of code-5: as was asked (NOT_FOUND)\n");
}
END_TEST

START_TEST(every_option_of_probe_reaches_the_daemon)
{
    char expected[256];

    snprintf(expected, sizeof expected, "home %s, key 0, refresh 1, max_age 1500, stale 1, timeout", home);
    expect(run("probe", "--refresh", "--max-age", "1.5", "--accept-stale", "echo"), 0, expected, "");
    expect(run("probe", "--max-age", "0", "echo"), 0, "max_age 1,", "");
    expect(run("--timeout", "29.9", "probe", "echo"), 0, "timeout 29", "");
    expect(run("probe", "echo", "--home", "/elsewhere", "--timeout=9"), 0, "home /elsewhere,", "");
}
END_TEST

START_TEST(a_relative_home_is_seen_from_here)
{
    char path[4096], expected[4200];

    ck_assert_ptr_nonnull(getcwd(path, sizeof path));
    snprintf(expected, sizeof expected, "home %s/not/there,", path);
    expect(run("probe", "--home", "not/there", "echo"), 0, expected, "");
    snprintf(expected, sizeof expected, "home %s,", path);
    expect(run("probe", "--home", ".", "echo"), 0, expected, "");
}
END_TEST

START_TEST(the_home_is_hermes_home_else_dot_hermes)
{
    environment[0] = "HERMES_HOME";
    environment[5] = "HOME=/users/x";
    expect(run("probe", "echo"), 0, "home /users/x/.hermes,", "");
}
END_TEST

START_TEST(an_answer_that_never_comes_is_a_failed_call)
{
    expect(run("--timeout", "0.1", "probe", "hang"), EXIT_FAILED, "", "within 100 ms (DEADLINE_EXCEEDED)\n");
}
END_TEST

START_TEST(a_refusal_says_when_to_try_again)
{
    expect(run("probe", "code-8-2500"), EXIT_FAILED, "",
           "probectl: probe of code-8-2500: as was asked (RESOURCE_EXHAUSTED, try again in 2.5 s)\n");
}
END_TEST

/* ---- keys ---- */

static const char *key_file(const char *bytes, size_t size)
{
    static char path[128];
    FILE *file;

    snprintf(path, sizeof path, "%s/key", scratch.path);
    file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    fclose(file);
    return path;
}

START_TEST(a_key_comes_from_a_file_without_its_line_end)
{
    expect(run("probe", "--api-key-file", key_file("sk-123\r\n", 8), "echo"), 0, "key 6,", "");
    expect(run("probe", "--api-key-file", key_file("sk\n123\n\n", 8), "echo"), 0, "key 7,", "");
}
END_TEST

START_TEST(a_key_comes_from_standard_input)
{
    expect(run_with((const char *const[]){"probe", "--api-key-file", "-", "echo", NULL}, "sk-123", 6), 0, "key 6,", "");
}
END_TEST

START_TEST(a_key_of_200_kilobytes_is_a_key_and_one_of_300_is_not)
{
    char *bytes = malloc(300000);

    ck_assert_ptr_nonnull(bytes);
    memset(bytes, 'k', 300000);
    bytes[1000] = '\n';
    expect(run("probe", "--api-key-file", key_file(bytes, 200000), "echo"), 0, "key 200000,", "");
    expect(run("probe", "--api-key-file", key_file(bytes, 262144), "echo"), 0, "key 262144,", "");
    expect(run("probe", "--api-key-file", key_file(bytes, 262145), "echo"), EXIT_USAGE, "", "262144");
    expect(run("probe", "--api-key-file", key_file(bytes, 300000), "echo"), EXIT_USAGE, "", "262144");
    free(bytes);
}
END_TEST

START_TEST(a_key_file_that_holds_no_key_is_wrong_usage)
{
    expect(run("probe", "--api-key-file", "/nonexistent", "echo"), EXIT_USAGE, "", strerror(ENOENT));
    expect(run("probe", "--api-key-file", key_file("\n", 1), "echo"), EXIT_USAGE, "", "no key in it");
    expect(run("probe", "--api-key-file", key_file("a\0b", 3), "echo"), EXIT_USAGE, "", "NUL");
    expect(run("probe", "--api-key-file", key_file("a", 1), "echo", "other"), EXIT_USAGE, "", "one provider");
}
END_TEST

/* ---- other commands ---- */

START_TEST(invalidate_says_what_it_dropped)
{
    expect(run("invalidate", "--home", home, "--provider", "openrouter", "--quiesce", "--reason", "rotated"), 0,
           ": 3 cached answers dropped, 1 worker ended, 0 draining\n", "");
    expect(run("sync"), 0, "generation 2 of epoch ", "");
    expect(run("invalidate", "--all"), 0, "generation 1 of epoch ", "");
}
END_TEST

START_TEST(health_is_said_in_a_word)
{
    expect(run("health"), 0, "serving\n", "");
    expect(run("health", "--json"), 0, "{\"status\":\"SERVING\"}\n", "");
}
END_TEST

START_TEST(homes_are_listed_to_the_last_page)
{
    expect(run("homes"), 0,
           "HOME  GENERATION  IDLE  LEASED  OTHER  WAITING  LONGEST  CACHED  PAUSE  LAST FAILURE\n"
           "/h/a           1     1       0      0        0        -       0      -\n"
           "/h/b           2     1       0      0        1        -       0      -\n"
           "/h/c           3     1       0      0        2        -       0      -\n"
           "/h/d           4     1       0      0        3        -       0      -\n"
           "/h/e           5     1       0      0        4        -       0   30 s  the worker exited with status 1\n",
           "");
    expect(run("--json", "homes"), 0, "{\"home\":\"/h/e\",\"generation\":\"5\"", "");
}
END_TEST

START_TEST(workers_are_listed)
{
    expect(
        run("workers", "--home", "/h/a"), 0,
        "WORKER   PID  STATE   FOR  PROVIDER    CALLERS  LEASES    AGE  GENERATION  SANDBOX                      HOME\n"
        "    17  4711  leased  1 s  openrouter        3      40  1 min           2  landlock 6, seccomp, limits  "
        "/h/a\n",
        "");
}
END_TEST

START_TEST(status_shows_every_counter)
{
    expect(run("status"), 0, "probed 0.0.fake, up 2 h 10 min, epoch ", "");
    expect(run("status"), 0, "  workers  0 starting, 2 idle, 1 leased, 0 draining, 0 ending\n", "");
    expect(run("status"), 0, "  probed_leases_total{origin=\"warm\"} 12345678901\n", "");
    expect(run("status", "--json"), 0, "\"uptime_ms\":\"7830000\"", "");
}
END_TEST

START_TEST(call_takes_and_gives_packed_messages)
{
    struct child_result result =
        run_with((const char *const[]){"call", "/probed.v1.ProbeService/Sync", NULL}, "\x0a\x02/h", 4);

    ck_assert_int_eq(result.exit_status, 0);
    ck_assert_uint_eq(result.out_size, 2 + 9 + 2); /* a fence: fixed64 and a generation below 128 */
    ck_assert_int_eq(result.out[0], 0x0a);
    child_result_fini(&result);
    expect(run("call", "/probed.v1.ProbeService/Nothing"), EXIT_FAILED, "", "no such method (UNIMPLEMENTED)");
}
END_TEST

START_TEST(json_is_one_document_a_line)
{
    struct child_result result = run("--json", "probe", "openrouter");

    ck_assert_int_eq(result.exit_status, 0);
    ck_assert_uint_eq(line_count(result.out), 1);
    ck_assert_int_eq(
        strncmp(result.out, "{\"usage\":{\"provider\":\"openrouter\",\"status\":\"ACCOUNT_STATUS_OK\",", 60), 0);
    ck_assert_ptr_nonnull(
        strstr(result.out, "\"windows\":[{\"label\":\"Session\",\"used_percent\":58,\"window_seconds\":\"18000\"}]"));
    child_result_fini(&result);
}
END_TEST

/* ---- watch ---- */

/* Reads until `part` was printed; what else came before it stays in `text`. */
static void read_until(int fd, const char *part, char *text, size_t size)
{
    size_t used = strlen(text);

    while (strstr(text, part) == NULL) {
        ssize_t got = read(fd, text + used, size - used - 1);

        ck_assert_msg(got > 0, "it ended with:\n%s", text);
        used += (size_t)got;
        text[used] = '\0';
    }
}

START_TEST(watch_prints_a_line_for_each_change_as_it_happens)
{
    char text[4096] = "", expected[256];
    int fd;
    pid_t pid = child_start((const char *const[]){"probectl", "watch", NULL}, environment, &fd);

    read_until(fd, "any home  may have changed unheard: listening begins here\n", text, sizeof text);
    expect(run("invalidate", "--home", home, "--provider", "openrouter", "--reason", "rotated"), 0, NULL, "");
    snprintf(expected, sizeof expected, "  %s  openrouter changed, generation 2, requested: rotated\n", home);
    read_until(fd, expected, text, sizeof text);
    expect(run("invalidate", "--home", home, "--reason", "skip-3"), 0, NULL, "");
    snprintf(expected, sizeof expected, "  %s  may have changed unheard: generation 5 was reached", home);
    read_until(fd, expected, text, sizeof text);
    read_until(fd, "everything changed, generation 6, requested: skip-3\n", text, sizeof text);
    close(fd);
    ck_assert_int_eq(child_end(pid, SIGINT), 128 + SIGINT);
}
END_TEST

START_TEST(watch_prints_json_lines_for_programs)
{
    char text[4096] = "";
    int fd;
    pid_t pid = child_start((const char *const[]){"probectl", "--json", "watch", "--all", NULL}, environment, &fd);

    read_until(fd, "{\"gap\":{\"reason\":\"listening begins here\"}}\n", text, sizeof text);
    expect(run("invalidate", "--home", "/x", "--reason", "one"), 0, NULL, "");
    read_until(fd, "\"generation\":\"2\"},\"home\":\"/x\",\"cause\":\"CAUSE_REQUESTED\",\"reason\":\"one\",", text,
               sizeof text);
    expect(run("invalidate", "--home", "/x", "--reason", "lost"), 0, NULL, "");
    read_until(fd, "{\"gap\":{\"home\":\"/x\",\"reason\":\"generation 3 ", text, sizeof text);
    close(fd);
    child_end(pid, SIGTERM);
}
END_TEST

START_TEST(watch_tells_whether_it_is_current)
{
    char text[4096] = "";
    int fd, json_fd;
    pid_t pid = child_start((const char *const[]){"probectl", "watch", NULL}, environment, &fd);
    pid_t json_pid = child_start((const char *const[]){"probectl", "--json", "watch", NULL}, environment, &json_fd);

    read_until(fd, "  current\n", text, sizeof text);
    text[0] = '\0';
    read_until(json_fd, "{\"state\":{\"current\":true}}\n", text, sizeof text);
    expect(run("invalidate", "--home", home, "--reason", "hush"), 0, NULL, "");
    text[0] = '\0';
    read_until(fd, "  not current: no heartbeat for ", text, sizeof text);
    text[0] = '\0';
    read_until(json_fd, "{\"state\":{\"current\":false,\"reason\":\"no heartbeat for ", text, sizeof text);
    close(fd);
    close(json_fd);
    child_end(pid, SIGTERM);
    child_end(json_pid, SIGTERM);
}
END_TEST

START_TEST(watch_until_current_ends_when_it_is)
{
    expect(run("watch", "--home", home, "--until-current"), 0, NULL, "");
    expect(run("invalidate", "--home", home, "--reason", "deny-1000"), 0, NULL, "");
    expect(run("--timeout", "0.2", "watch", "--home", home, "--until-current"), EXIT_FAILED, NULL,
           "are not complete within 200 ms: not yours (DEADLINE_EXCEEDED)\n");
}
END_TEST

START_TEST(watch_runs_a_command_for_each_change_and_gap)
{
    char text[4096] = "", expected[256];
    int fd;
    pid_t pid = child_start((const char *const[]){"probectl", "watch", "--exec",
                                                  "echo $PROBED_EVENT,$PROBED_HOME,$PROBED_PROVIDER,$PROBED_GENERATION,"
                                                  "$PROBED_CAUSE,${#PROBED_EPOCH},$PROBED_REASON; exit 3",
                                                  NULL},
                            environment, &fd);

    read_until(fd, "gap,,,,,0,listening begins here\n", text, sizeof text);
    read_until(fd, "  current\n", text, sizeof text);
    expect(run("invalidate", "--home", home, "--provider", "openrouter", "--reason", "one"), 0, NULL, "");
    snprintf(expected, sizeof expected, "\nchange,%s,openrouter,2,requested,16,one\n", home);
    read_until(fd, expected, text, sizeof text);
    expect(run("invalidate", "--home", home, "--reason", "lost"), 0, NULL, "");
    snprintf(expected, sizeof expected, "\ngap,%s,,,,0,generation 3 was reached", home);
    read_until(fd, expected, text, sizeof text);
    close(fd);
    child_end(pid, SIGTERM);
}
END_TEST

START_TEST(watch_hears_of_every_home_that_it_was_told)
{
    char text[4096] = "";
    int fd;
    pid_t pid =
        child_start((const char *const[]){"probectl", "watch", "--home", "/x", "--home", "/y", NULL}, environment, &fd);

    read_until(fd, "  current\n", text, sizeof text);
    expect(run("invalidate", "--home", "/z", "--reason", "not asked for"), 0, NULL, "");
    expect(run("invalidate", "--home", "/x", "--reason", "one"), 0, NULL, "");
    read_until(fd, "  /x  everything changed, generation 2, requested: one\n", text, sizeof text);
    expect(run("invalidate", "--home", "/y", "--reason", "two"), 0, NULL, "");
    read_until(fd, "  /y  everything changed, generation 2, requested: two\n", text, sizeof text);
    ck_assert_ptr_null(strstr(text, "/z"));
    close(fd);
    child_end(pid, SIGTERM);
}
END_TEST

START_TEST(watch_without_a_daemon_exits_69)
{
    kill_daemon();
    expect(run("watch"), EXIT_UNREACHABLE, "", "is it running? (--events, PROBED_EVENTS)\n");
}
END_TEST

/* ---- terminals ---- */

/* What is printed on a terminal of so many columns. */
static char *run_on_terminal(unsigned short columns, const char *const *words, const char *const *settings)
{
    struct winsize size = {.ws_col = columns, .ws_row = 24};
    char *text = calloc(1, 65536);
    size_t used = 0;
    int master;
    pid_t pid = forkpty(&master, NULL, NULL, &size);

    if (pid == 0) {
        char program[8192];

        for (size_t i = 0; environment[i] != NULL; i++)
            putenv((char *)(uintptr_t)environment[i]);
        unsetenv("COLUMNS");
        unsetenv("NO_COLOR");
        for (size_t i = 0; settings[i] != NULL; i++)
            putenv((char *)(uintptr_t)settings[i]);
        snprintf(program, sizeof program, "%s/probectl", child_bin_directory());
        execv(program, (char *const *)(uintptr_t)words);
        _exit(127);
    }
    for (;;) {
        ssize_t got = read(master, text + used, 65535 - used);

        if (got <= 0) /* a terminal whose other side is closed reads as EIO */
            break;
        used += (size_t)got;
    }
    close(master);
    ck_assert_int_eq(child_end(pid, 0), 0);
    return text;
}

static const char *const probe_words[] = {"probectl", "probe", "openrouter", NULL};

START_TEST(a_terminal_has_colours_and_its_width)
{
    char *text = run_on_terminal(66, probe_words, (const char *const[]){"TERM=xterm", "LC_ALL=C.UTF-8", NULL});

    ck_assert_ptr_nonnull(strstr(text, "\033[1mopenrouter\033[0m  Account limits \u00b7 Plus\r\n"));
    ck_assert_ptr_nonnull(strstr(text,
                                 "  Session  \033[32m\u2588\u2588\u2588\u2588\u2588\u2588\033[0m\033[2m\u2591\u2591"
                                 "\u2591\u2591\u2591\033[0m  58% used\r\n"));
    free(text);
}
END_TEST

START_TEST(no_color_and_dumb_terminals_are_respected)
{
    char *text = run_on_terminal(80, probe_words, (const char *const[]){"TERM=xterm", "NO_COLOR=1", NULL});

    ck_assert_ptr_null(strchr(text, '\033'));
    free(text);
    text = run_on_terminal(80, probe_words, (const char *const[]){"TERM=dumb", NULL});
    ck_assert_ptr_null(strchr(text, '\033'));
    free(text);
}
END_TEST

START_TEST(columns_overrides_the_terminal)
{
    char *text = run_on_terminal(80, probe_words, (const char *const[]){"TERM=dumb", "COLUMNS=30", NULL});

    ck_assert_ptr_nonnull(strstr(text, "asked just now by\r\n  a warm worker"));
    free(text);
}
END_TEST

/* ---- usage ---- */

static const struct {
    const char *words[6], *part;
} wrong_usages[] = {
    {{NULL}, "which command?"},
    {{"nothing"}, "no command \"nothing\""},
    {{"--nothing"}, "--nothing"},
    {{"--timeout"}, "--timeout"},
    {{"--timeout", "soon", "health"}, "not \"soon\""},
    {{"--timeout", "-1", "health"}, "not \"-1\""},
    {{"--timeout", "nan", "health"}, "not \"nan\""},
    {{"--timeout", "0", "health"}, "more than 0"},
    {{"probe"}, "which provider?"},
    {{"probe", "--max-age", "x", "a"}, "not \"x\""},
    {{"probe", "--nothing", "a"}, "--nothing"},
    {{"invalidate"}, "either --home or --all"},
    {{"invalidate", "--home", "/h", "--all"}, "either --home or --all"},
    {{"invalidate", "/h"}, "no arguments"},
    {{"watch", "--home", "/h", "--all"}, "either --home or --all"},
    {{"watch", "/h"}, "no arguments"},
    {{"sync", "/h"}, "no arguments"},
    {{"homes", "/h"}, "no arguments"},
    {{"workers", "/h"}, "no arguments"},
    {{"status", "now"}, "no arguments"},
    {{"health", "now"}, "no arguments"},
    {{"call"}, "which method?"},
    {{"call", "/a", "/b"}, "one method"},
    {{"--connect", "nowhere", "health"}, "cannot dial \"nowhere\""},
    {{"--events", "nowhere", "watch"}, "cannot dial \"nowhere\""},
    {{"--connect", "/run/rpc.sock", "health"}, "; an address is ipc:///absolute/path, tcp://HOST:PORT or"},
};

START_TEST(wrong_usage_exits_2_and_says_what_is_wrong)
{
    expect(run_with(wrong_usages[_i].words, NULL, 0), EXIT_USAGE, "", wrong_usages[_i].part);
}
END_TEST

static const char *const commands[] = {"probe",   "invalidate", "watch",  "sync", "homes",
                                       "workers", "status",     "health", "call"};

START_TEST(help_lists_every_command_and_each_has_its_own)
{
    struct child_result result = run("--help");

    ck_assert_int_eq(result.exit_status, 0);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        char line[32];

        snprintf(line, sizeof line, "\n  %-12s", commands[i]);
        ck_assert_ptr_nonnull(strstr(result.out, line));
        expect(run(commands[i], "--help"), 0, "--connect=URL", "");
    }
    child_result_fini(&result);
    expect(run("--version"), 0, "probectl " PROBED_VERSION "\n", "");
}
END_TEST

static const char *const asking[][4] = {
    {"probe", "a", "b"}, {"invalidate", "--all"}, {"sync"}, {"homes"}, {"workers"}, {"status"},
    {"health"},          {"call", "/x/Y"}};

START_TEST(a_socket_that_is_not_there_is_told_with_the_likely_slip)
{
    expect(run("--connect", "ipc:///no/such.sock", "health"), EXIT_UNREACHABLE, "",
           "No such file or directory; is it ");
    expect(run("--connect", "ipc://no/such.sock", "health"), EXIT_UNREACHABLE, "",
           "; an absolute path has three slashes");
}
END_TEST

START_TEST(without_a_daemon_every_call_exits_69_and_says_so_once)
{
    struct child_result result;

    kill_daemon();
    result = run_with(asking[_i], NULL, 0);
    ck_assert_int_eq(result.exit_status, EXIT_UNREACHABLE);
    ck_assert_uint_eq(line_count(result.err), 1);
    ck_assert_ptr_nonnull(strstr(result.err, "probectl: cannot reach probed at ipc://"));
    ck_assert_ptr_nonnull(strstr(result.err, "Connection refused; is it running? (--connect, PROBED_CONNECT)\n"));
    ck_assert_str_eq(result.out, "");
    child_result_fini(&result);
}
END_TEST

static const char *const writing[] = {"probe openrouter", "watch", "--json watch --until-current"};

START_TEST(output_that_cannot_be_written_is_a_failure)
{
    char command[8400];

    for (size_t i = 0; environment[i] != NULL; i++)
        putenv((char *)(uintptr_t)environment[i]);
    snprintf(command, sizeof command, "%s/probectl %s >/dev/full 2>/dev/null", child_bin_directory(), writing[_i]);
    ck_assert_int_eq(WEXITSTATUS(system(command)), EXIT_FAILED);
}
END_TEST

/* ---- suite ---- */

static TCase *add_case(Suite *suite, const char *name)
{
    TCase *tests = tcase_create(name);

    tcase_add_checked_fixture(tests, open_stage, close_stage);
    tcase_set_timeout(tests, patience_test_s());
    suite_add_tcase(suite, tests);
    return tests;
}

static void add_probe(Suite *suite)
{
    TCase *tests = add_case(suite, "probe");

    tcase_add_test(tests, probe_shows_an_account);
    tcase_add_test(tests, an_account_with_nothing_to_show_exits_1);
    tcase_add_test(tests, several_providers_are_asked_at_once_and_shown_in_order);
    tcase_add_test(tests, the_last_of_several_providers_does_not_wait_for_the_others);
    tcase_add_test(tests, of_several_providers_the_worst_counts);
    tcase_add_test(tests, every_option_of_probe_reaches_the_daemon);
    tcase_add_test(tests, a_relative_home_is_seen_from_here);
    tcase_add_test(tests, the_home_is_hermes_home_else_dot_hermes);
    tcase_add_test(tests, an_answer_that_never_comes_is_a_failed_call);
    tcase_add_test(tests, a_refusal_says_when_to_try_again);
    tcase_add_test(tests, a_key_comes_from_a_file_without_its_line_end);
    tcase_add_test(tests, a_key_comes_from_standard_input);
    tcase_add_test(tests, a_key_of_200_kilobytes_is_a_key_and_one_of_300_is_not);
    tcase_add_test(tests, a_key_file_that_holds_no_key_is_wrong_usage);
}

static void add_others(Suite *suite)
{
    TCase *tests = add_case(suite, "others");

    tcase_add_test(tests, invalidate_says_what_it_dropped);
    tcase_add_test(tests, health_is_said_in_a_word);
    tcase_add_test(tests, homes_are_listed_to_the_last_page);
    tcase_add_test(tests, workers_are_listed);
    tcase_add_test(tests, status_shows_every_counter);
    tcase_add_test(tests, call_takes_and_gives_packed_messages);
    tcase_add_test(tests, json_is_one_document_a_line);
    tcase_add_test(tests, watch_prints_a_line_for_each_change_as_it_happens);
    tcase_add_test(tests, watch_prints_json_lines_for_programs);
    tcase_add_test(tests, watch_tells_whether_it_is_current);
    tcase_add_test(tests, watch_until_current_ends_when_it_is);
    tcase_add_test(tests, watch_runs_a_command_for_each_change_and_gap);
    tcase_add_test(tests, watch_hears_of_every_home_that_it_was_told);
    tcase_add_test(tests, watch_without_a_daemon_exits_69);
    tcase_add_test(tests, a_socket_that_is_not_there_is_told_with_the_likely_slip);
}

static void add_manners(Suite *suite)
{
    TCase *tests = add_case(suite, "manners");

    tcase_add_test(tests, a_terminal_has_colours_and_its_width);
    tcase_add_test(tests, no_color_and_dumb_terminals_are_respected);
    tcase_add_test(tests, columns_overrides_the_terminal);
    tcase_add_loop_test(tests, wrong_usage_exits_2_and_says_what_is_wrong, 0,
                        sizeof wrong_usages / sizeof wrong_usages[0]);
    tcase_add_test(tests, help_lists_every_command_and_each_has_its_own);
    tcase_add_loop_test(tests, without_a_daemon_every_call_exits_69_and_says_so_once, 0,
                        sizeof asking / sizeof asking[0]);
    tcase_add_loop_test(tests, output_that_cannot_be_written_is_a_failure, 0,
                        (int)(sizeof writing / sizeof writing[0]));
}

int main(void)
{
    Suite *suite = suite_create("probectl");

    add_probe(suite);
    add_others(suite);
    add_manners(suite);
    return check_main(suite);
}
