/* probectl top in a real terminal: a tmux server of its own, typed into, looked at and resized.
 *
 * What is waited for is what the pane shows.  The server lies in the scratch directory and dies with the test. */
#include "tests/support/child.h"
#include "tests/support/process.h"
#include "tests/support/story.h"

#include "server/base/clock.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TICK_NS = 10000000 };

/* ---- a terminal ---- */

static char tmux_setting[160], connect_setting[160], rc_setting[160], program_setting[512];
static const char *environment[12];
static pid_t tmux_pid;

static struct child_result try_tmux(const char *const *words)
{
    const char *argv[24] = {"tmux", "-N", "-L", "top"}; /* -N: it starts no server of its own */

    for (size_t i = 0; i < 18 && words[i] != NULL; i++)
        argv[i + 4] = words[i];
    return child_run(argv, environment, NULL, 0);
}

/* Runs a command of tmux; its output, to be freed. */
static char *tmux_with(const char *const *words)
{
    struct child_result result = try_tmux(words);

    ck_assert_msg(result.exit_status == 0, "tmux %s: %s", words[0], result.err);
    free(result.err);
    return result.out;
}

#define ask_tmux(...) tmux_with((const char *const[]){__VA_ARGS__, NULL})
#define tmux(...)     free(ask_tmux(__VA_ARGS__))

static void wait_tick(uint64_t due_ns, const char *what, const char *seen)
{
    ck_assert_msg(clock_now_ns() < due_ns, "%s is not to be seen:\n%s", what, seen);
    nanosleep(&(struct timespec){.tv_nsec = TICK_NS}, NULL);
}

static bool shows(const char *text, bool wanted, uint64_t due_ns)
{
    char *pane = ask_tmux("capture-pane", "-p", "-J");
    bool right = (strstr(pane, text) != NULL) == wanted;

    if (!right)
        wait_tick(due_ns, text, pane);
    free(pane);
    return right;
}

static void see_whether(const char *text, bool wanted)
{
    uint64_t due_ns = clock_now_ns() + PATIENCE_MS * NS_PER_MS;

    while (!shows(text, wanted, due_ns))
        continue;
}

/* Waits until the pane has this text, or has it no more. */
static void see(const char *text)
{
    see_whether(text, true);
}

static void see_no(const char *text)
{
    see_whether(text, false);
}

/* Waits until tmux itself says this of the pane. */
static void see_that(const char *format, const char *wanted)
{
    uint64_t due_ns = clock_now_ns() + PATIENCE_MS * NS_PER_MS;

    for (;;) {
        char *said = ask_tmux("display-message", "-p", format);
        bool right = strcmp(said, wanted) == 0;

        if (!right)
            wait_tick(due_ns, wanted, said);
        free(said);
        if (right)
            return;
    }
}

#define press(...) tmux("send-keys", __VA_ARGS__)

static void type_line(const char *line)
{
    press("-l", line);
    press("Enter");
}

static void resize(const char *columns, const char *rows)
{
    tmux("resize-window", "-x", columns, "-y", rows);
}

/* A shell in a window of 80 by 24, on a server that nobody else has. */
static void open_terminal(void)
{
    static const char *const server_argv[] = {"setpriv", "--pdeathsig", "TERM", "tmux",      "-D",
                                              "-L",      "top",         "-f",   "/dev/null", NULL};
    static const char *const session[] = {"new-session", "-d", "-x", "80", "-y", "24", "exec sh -i", NULL};
    uint64_t due_ns = clock_now_ns() + PATIENCE_MS * NS_PER_MS;
    int out, exit_status = -1;

    tmux_pid = child_start(server_argv, environment, &out);
    close(out);
    while (exit_status != 0) { /* until there is a server */
        struct child_result result = try_tmux(session);

        exit_status = result.exit_status;
        if (exit_status != 0)
            wait_tick(due_ns, "tmux", result.err);
        child_result_fini(&result);
    }
    see("ready>");
}

/* What an interactive sh reads; what it is called in the environment is not for root. */
static void write_prompt(void)
{
    char path[SCRATCH_PATH_SIZE + 8];
    FILE *file;

    snprintf(path, sizeof path, "%s/rc", stage.scratch.path);
    snprintf(rc_setting, sizeof rc_setting, "ENV=%s", path);
    file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_gt(fprintf(file, "PS1='ready> '\n"), 0);
    ck_assert_int_eq(fclose(file), 0);
}

static void open_stage(void)
{
    char program[SCRATCH_PATH_SIZE * 4];

    scratch_open(&stage.scratch);
    home_create(home, &stage.scratch, "home");
    daemon_program("probectl", program);
    snprintf(tmux_setting, sizeof tmux_setting, "TMUX_TMPDIR=%s", stage.scratch.path);
    snprintf(connect_setting, sizeof connect_setting, "PROBED_CONNECT=ipc://%s/rpc.sock", stage.scratch.path);
    snprintf(program_setting, sizeof program_setting, "PROBECTL=%s", program);
    memcpy(environment,
           (const char *[]){tmux_setting, connect_setting, program_setting, "LC_ALL=C.UTF-8", rc_setting, "TMUX",
                            "NO_COLOR", NULL},
           8 * sizeof *environment);
    write_prompt();
    open_terminal(); /* before the daemon: what is a child of ours after that is the daemon's */
    daemon_start(server, &stage.scratch, NULL);
}

static void close_stage(void)
{
    daemon_stop(server);
    child_end(tmux_pid, SIGTERM);
    nng_fini();
    scratch_close(&stage.scratch);
}

static void begin_top(const char *options)
{
    char line[256];

    snprintf(line, sizeof line, "clear; \"$PROBECTL\" top --interval 0.1 %s; echo status=$?", options);
    type_line(line);
    see("serving");
}

static pid_t shell_pid(void)
{
    char *said = ask_tmux("display-message", "-p", "#{pane_pid}");
    pid_t pid = (pid_t)atoi(said);

    free(said);
    return pid;
}

/* The shell has its terminal back as it was: its screen, its cursor, its keypad, and what it types is seen. */
static void see_shell(const char *status)
{
    see(status);
    see("ready>");
    see_that("#{alternate_on} #{cursor_flag} #{keypad_flag} #{keypad_cursor_flag}", "0 1 0 0\n");
    type_line("clear; test \"$(stty -g)\" = \"$BEFORE\" && echo as-it-\"was\"");
    see("as-it-was");
}

/* ---- stories ---- */

START_TEST(it_shows_what_the_daemon_does_and_lists_as_its_user_likes)
{
    Probed__V1__InvalidateRequest request = PROBED__V1__INVALIDATE_REQUEST__INIT;
    struct home other;
    struct call *call, *flying;

    home_create(&other, &stage.scratch, "other");
    request.home = other.path;
    request.reason = (char *)(uintptr_t) "rotated";
    expect_plan(probe_begin(caller, other.path, "openrouter", NULL, 0), "one");
    expect_plan(probe_begin(caller, other.path, "openrouter", NULL, 0), "one");
    call = call_begin(caller, METHOD_INVALIDATE, 0, &request.base);
    invalidate_response(call);
    call_end(call);
    flying = begin_leased("gate", NULL);

    begin_top("");
    see("1 leased");
    see("1 probe under way");
    see("cached");
    see("1-4 lists");
    press("2");
    see("gate");
    press("3");
    see("rotated");
    press("4");
    see("ORIGIN");
    press("1");
    see("WAITING\xe2\x96\xbc");
    press("<", "<", "<", "<");
    see("HOME\xe2\x96\xb2");
    press("r");
    see("HOME\xe2\x96\xbc");
    press("/");
    see("Enter keep");
    press("-l", "no such");
    see("no row has");
    press("Escape");
    see_no("no row has");
    press("h");
    see("sort by another column");
    press("q");
    see_no("sort by another column");
    press("Space");
    see("paused");
    home_open_gate(home, 1);
    probe_response(flying);
    call_end(flying);
    see("1 probe under way");
    press("Space");
    see("0 probes under way");
    press("q");
    see("status=0");
}
END_TEST

START_TEST(it_follows_its_window_and_its_daemon)
{
    begin_top("--list workers");
    see("no workers");
    resize("39", "24");
    see("too small: 40 by 8 or more");
    resize("4", "1");
    see("too");
    resize("40", "8");
    see("STATE");
    see_no("too small");
    resize("200", "60");
    see("99 OF 100");
    expect_plan(begin("openrouter", NULL), "one");
    see("1 idle");

    daemon_kill(server);
    see("no answer");
    see("trying again");
    press("4");
    see("ORIGIN");
    daemon_wait_alone(server, PATIENCE_MS);
    daemon_start(server, &stage.scratch, NULL);
    see("serving");
    see("no calls so far");
    see_no("trying again");
    press("q");
    see("status=0");
}
END_TEST

START_TEST(the_terminal_is_as_it_was_however_it_ends)
{
    pid_t pid;

    type_line("BEFORE=$(stty -g)");
    begin_top("");
    press("q");
    see_shell("status=0");
    begin_top("");
    press("C-c");
    see_shell("status=0");

    begin_top("");
    press("C-z");
    see("Stopped");
    see_that("#{alternate_on} #{cursor_flag}", "0 1\n");
    resize("100", "30");
    type_line("clear; fg; echo status=$?");
    see("serving");
    see("99 OF 100");
    pid = process_child_named(shell_pid(), "probectl");
    ck_assert_int_gt(pid, 0);
    ck_assert_int_eq(kill(pid, SIGTERM), 0);
    see_shell("status=143");
}
END_TEST

START_TEST(nothing_is_left_of_it_when_its_terminal_goes)
{
    uint64_t due_ns = clock_now_ns() + PATIENCE_MS * NS_PER_MS;
    pid_t pid, shell;

    begin_top("");
    shell = shell_pid();
    pid = process_child_named(shell, "probectl");
    ck_assert_int_gt(pid, 0);
    tmux("new-window", "-d", "exec sleep 1000"); /* the server goes on */
    tmux("kill-pane");
    while (process_runs(pid) || process_runs(shell))
        wait_tick(due_ns, "its end", "");
    while (waitpid(pid, NULL, WNOHANG) == 0) /* whose shell went first is ours; its threads may take longer */
        wait_tick(due_ns, "its end", "");
}
END_TEST

/* What capture-pane -e has of a picture without colours: no colour, and nothing but ASCII. */
static void see_plain(void)
{
    char *pane = ask_tmux("capture-pane", "-p", "-e");

    for (int colour = 0; colour < 8; colour++) {
        char code[] = {'3', (char)('0' + colour), 'm', '\0'};

        ck_assert_msg(strstr(pane, code) == NULL, "a colour:\n%s", pane);
    }
    for (const char *at = pane; *at != '\0'; at++)
        ck_assert_msg((unsigned char)*at < 0x80, "not ASCII:\n%s", pane);
    free(pane);
}

START_TEST(without_colours_and_utf8_it_has_neither)
{
    expect_plan(begin("openrouter", NULL), "one");
    type_line("export NO_COLOR=1 LC_ALL=C");
    begin_top("");
    see("WAITINGv");
    see("of the last");
    see_plain();
    press("q");
    see("status=0");
    type_line("unset NO_COLOR; export LC_ALL=C TERM=vt100");
    begin_top("");
    see_plain();
    press("q");
    see("status=0");
}
END_TEST

START_TEST(what_cannot_be_drawn_on_is_refused_with_what_helps)
{
    const char *const argv[] = {"probectl", "top", NULL};
    struct child_result result = child_run(argv, environment, NULL, 0);

    ck_assert_int_eq(result.exit_status, 2);
    ck_assert_msg(strstr(result.err, "\"probectl status\"") != NULL, "%s", result.err);
    child_result_fini(&result);
    type_line("TERM=dumb \"$PROBECTL\" top; echo status=$?");
    see("no cursor that can be moved");
    see("status=2");
    type_line("clear; TERM=unheard-of \"$PROBECTL\" top; echo status=$?");
    see("its kind is unknown");
    see("status=2");
    type_line("clear; \"$PROBECTL\" --connect ipc:///nowhere/sock top; echo status=$?");
    see("cannot reach probed at ipc:///nowhere/sock");
    see("status=69");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("top");
    TCase *tcase = tcase_create("top");

    tcase_add_checked_fixture(tcase, open_stage, close_stage);
    tcase_set_timeout(tcase, patience_test_s());
    tcase_add_test(tcase, it_shows_what_the_daemon_does_and_lists_as_its_user_likes);
    tcase_add_test(tcase, it_follows_its_window_and_its_daemon);
    tcase_add_test(tcase, the_terminal_is_as_it_was_however_it_ends);
    tcase_add_test(tcase, nothing_is_left_of_it_when_its_terminal_goes);
    tcase_add_test(tcase, without_colours_and_utf8_it_has_neither);
    tcase_add_test(tcase, what_cannot_be_drawn_on_is_refused_with_what_helps);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
