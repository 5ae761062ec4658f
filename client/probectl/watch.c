/* probectl watch: a line for each change of credentials, as it happens, until it is interrupted.
 *
 * One thread: the subscriber is processed in its poll mode, and a command (--exec) is waited for. */
#include "client/probectl/command.h"
#include "client/probectl/json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { HOME_COUNT_MAX = 256, TIMEOUT_MS_DEFAULT = 35000 };

struct watch_options {
    struct command_options *common;
    const char *homes[HOME_COUNT_MAX];
    size_t home_count;
    bool all, until_current;
    const char *command;
};

enum { KEY_HOME = 0x200, KEY_ALL, KEY_EXEC, KEY_UNTIL_CURRENT };

static const struct argp_option option_table[] = {
    {"home", KEY_HOME, "DIR", 0, "a home to hear of; may be repeated ($HERMES_HOME, else ~/.hermes)", 1},
    {"all", KEY_ALL, NULL, 0, "every home there is (administrators)", 1},
    {"exec", KEY_EXEC, "COMMAND", 0, "run it by sh at every change, and wherever changes may have been missed", 1},
    {"until-current", KEY_UNTIL_CURRENT, NULL, 0, "end once nothing is missing any more", 1},
    {0},
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct watch_options *options = state->input;

    switch (key) {
    case KEY_HOME:
        if (options->home_count == HOME_COUNT_MAX)
            argp_error(state, "at most %d homes; --all hears of every one", HOME_COUNT_MAX);
        options->homes[options->home_count++] = argument;
        break;
    case KEY_ALL:
        options->all = true;
        break;
    case KEY_EXEC:
        options->command = argument;
        break;
    case KEY_UNTIL_CURRENT:
        options->until_current = true;
        break;
    case ARGP_KEY_END:
        if (options->all && options->home_count > 0)
            argp_error(state, "either --home or --all");
        break;
    default:
        return command_parse_common(key, state, options->common, ": which homes is said with --home");
    }
    return 0;
}

static const struct argp argp = {
    .options = option_table,
    .parser = parse,
    .doc =
        "Prints a line for each change of credentials, as it happens, until it is interrupted.  It says when it is "
        "current (every change was told) and when it is no more.\vWith --json a line is a CredentialEvent, or "
        "{\"gap\":{\"home\":\"...\",\"reason\":\"...\"}} where changes may have been missed: of that home, or (home "
        "left out) of any; or {\"state\":{\"current\":true}}, or with \"current\":false and a \"reason\".\n\n"
        "A command finds in its environment PROBED_EVENT (change or gap), PROBED_HOME (of a gap of any home: empty), "
        "PROBED_REASON, and of a change PROBED_PROVIDER (empty: all), PROBED_GENERATION, PROBED_EPOCH and PROBED_CAUSE "
        "(requested or observed).  One runs at a time, in the order of the changes; that it fails is said and changes "
        "nothing.\n\nExit status: 0: current, with --until-current; 2: wrong usage; 69: there is no daemon; 70: it "
        "lets nothing be heard, was not current within --timeout at the beginning, or the output could not be "
        "written.",
    .children = command_children,
};

struct watch {
    struct view view;
    bool json;
    const char *command; /* NULL: none */
    enum command_exit result;
};

/* ---- the command ---- */

extern char **environ;

/* The environment is ours to change: there is one thread that looks at it. */
static void describe_event(const Probed__V1__CredentialEvent *event, const char *cause)
{
    char generation[24], epoch[24];

    snprintf(generation, sizeof generation, "%" PRIu64, event->fence->generation);
    snprintf(epoch, sizeof epoch, "%016" PRIx64, event->fence->epoch);
    setenv("PROBED_EVENT", "change", 1);
    setenv("PROBED_HOME", event->home, 1);
    setenv("PROBED_PROVIDER", event->provider, 1);
    setenv("PROBED_REASON", event->reason, 1);
    setenv("PROBED_CAUSE", cause, 1);
    setenv("PROBED_GENERATION", generation, 1);
    setenv("PROBED_EPOCH", epoch, 1);
}

static void describe_gap(const char *home, const char *reason)
{
    static const char *const of_changes[] = {"PROBED_PROVIDER", "PROBED_CAUSE", "PROBED_GENERATION", "PROBED_EPOCH"};

    for (size_t i = 0; i < sizeof of_changes / sizeof of_changes[0]; i++)
        unsetenv(of_changes[i]);
    setenv("PROBED_EVENT", "gap", 1);
    setenv("PROBED_HOME", home != NULL ? home : "", 1);
    setenv("PROBED_REASON", reason, 1);
}

/* Runs it to its end.  What it reads is nothing: standard input is the terminal's, or whoever's. */
static void run_command(const struct watch *watch)
{
    const char *const argv[] = {"sh", "-c", watch->command, NULL};
    posix_spawn_file_actions_t actions;
    int error, wait_status = 0;
    pid_t pid;

    if (watch->command == NULL)
        return;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    error = posix_spawn(&pid, "/bin/sh", &actions, NULL, (char **)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) {
        fprintf(stderr, "%s: cannot run /bin/sh: %s\n", program_invocation_short_name, strerror(error));
        return;
    }
    while (waitpid(pid, &wait_status, 0) < 0 && errno == EINTR)
        continue;
    if (WIFSIGNALED(wait_status))
        fprintf(stderr, "%s: the command was ended by signal %d\n", program_invocation_short_name,
                WTERMSIG(wait_status));
    else if (wait_status != 0)
        fprintf(stderr, "%s: the command exited with status %d\n", program_invocation_short_name,
                WEXITSTATUS(wait_status));
}

/* ---- lines ---- */

static void end_line(struct watch *watch)
{
    putchar('\n');
    watch->result = command_worse(watch->result, command_flush());
}

static void print_time(const struct view *view, int64_t at_ms)
{
    time_t at = (time_t)(at_ms / 1000);
    struct tm parts;
    char text[32];

    if (localtime_r(&at, &parts) == NULL || strftime(text, sizeof text, "%H:%M:%S", &parts) == 0)
        return;
    view_text(view, VIEW_DIM, text);
    fputs("  ", view->out);
}

static void print_now(const struct view *view)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    print_time(view, (int64_t)now.tv_sec * 1000);
}

static const char *cause_words(Probed__V1__Cause cause)
{
    return cause == PROBED__V1__CAUSE__CAUSE_OBSERVED    ? "observed"
           : cause == PROBED__V1__CAUSE__CAUSE_REQUESTED ? "requested"
                                                         : "of unknown cause";
}

static void on_event(void *context, const Probed__V1__CredentialEvent *event)
{
    struct watch *watch = context;

    if (watch->json) {
        json_print(stdout, &event->base);
    } else {
        print_time(&watch->view, event->at_ms);
        view_text(&watch->view, VIEW_BOLD, event->home);
        view_format(&watch->view, VIEW_PLAIN, "  %s changed, generation %" PRIu64 ", %s",
                    event->provider[0] != '\0' ? event->provider : "everything", event->fence->generation,
                    cause_words(event->cause));
        if (event->reason[0] != '\0')
            view_format(&watch->view, VIEW_PLAIN, ": %s", event->reason);
    }
    end_line(watch);
    describe_event(event, cause_words(event->cause));
    run_command(watch);
}

static void print_gap_json(const char *home, const char *reason)
{
    fputs("{\"gap\":{", stdout);
    if (home != NULL) {
        fputs("\"home\":", stdout);
        json_print_string(stdout, home);
        putchar(',');
    }
    fputs("\"reason\":", stdout);
    json_print_string(stdout, reason);
    fputs("}}", stdout);
}

static void on_gap(void *context, const char *home, const char *reason)
{
    struct watch *watch = context;

    if (watch->json) {
        print_gap_json(home, reason);
    } else {
        print_now(&watch->view);
        view_text(&watch->view, VIEW_BOLD, home != NULL ? home : "any home");
        view_format(&watch->view, VIEW_WARN, "  may have changed unheard: %s", reason);
    }
    end_line(watch);
    describe_gap(home, reason);
    run_command(watch);
}

static void on_state(void *context, const struct probed_subscriber_state *state)
{
    struct watch *watch = context;

    if (watch->json) {
        printf("{\"state\":{\"current\":%s", state->current ? "true" : "false");
        if (!state->current) {
            fputs(",\"reason\":", stdout);
            json_print_string(stdout, state->reason);
        }
        fputs("}}", stdout);
    } else {
        print_now(&watch->view);
        if (state->current)
            view_text(&watch->view, VIEW_DIM, "current");
        else
            view_format(&watch->view, VIEW_WARN, "not current: %s", state->reason);
    }
    end_line(watch);
}

/* ---- life ---- */

static enum command_exit explain(const struct probed_status *status)
{
    if (!status->unreachable)
        return command_fail(status, "watch");
    fprintf(stderr, "%s: %s (--events, PROBED_EVENTS)\n", program_invocation_short_name, status->message);
    return COMMAND_UNREACHABLE;
}

static enum command_exit process_for_ever(struct probed_subscriber *subscriber, struct watch *watch)
{
    struct pollfd due = {.fd = probed_subscriber_fd(subscriber), .events = POLLIN};
    struct probed_status status = {.code = PROBED_OK};

    while (watch->result == COMMAND_OK && status.code == PROBED_OK) {
        if (poll(&due, 1, -1) > 0)
            status = probed_subscriber_process(subscriber);
    }
    return status.code == PROBED_OK ? watch->result : command_fail(&status, "watch");
}

static enum command_exit watch_until_over(const struct watch_options *options, const char *const *homes,
                                          struct watch *watch)
{
    struct probed_subscriber_options subscription = {
        .url = options->common->events,
        .calls_url = options->common->connect,
        .homes = homes,
        .home_count = options->all ? 0 : options->home_count,
        .all_homes = options->all,
        .on_event = on_event,
        .on_gap = on_gap,
        .on_state = on_state,
        .context = watch,
        .poll = true,
        .tls = &options->common->tls,
    };
    uint32_t timeout_ms = options->common->timeout_ms != 0 ? options->common->timeout_ms : TIMEOUT_MS_DEFAULT;
    struct probed_subscriber *subscriber;
    struct probed_status status = probed_subscriber_open(&subscription, &subscriber);
    enum command_exit result;

    if (status.code != PROBED_OK) {
        fprintf(stderr, "%s: %s (--events, PROBED_EVENTS)\n", program_invocation_short_name, status.message);
        return status.code == PROBED_INVALID_ARGUMENT ? COMMAND_USAGE : COMMAND_FAILED;
    }
    status = probed_subscriber_connect(subscriber, timeout_ms);
    if (status.code != PROBED_OK)
        result = explain(&status);
    else
        result = options->until_current ? watch->result : process_for_ever(subscriber, watch);
    probed_subscriber_close(subscriber);
    return result;
}

enum command_exit command_watch(int argc, char **argv, struct command_options *common)
{
    static char paths[HOME_COUNT_MAX][COMMAND_HOME_SIZE];
    const char *homes[HOME_COUNT_MAX];
    struct watch_options options = {.common = common};
    struct watch watch = {.result = COMMAND_OK};

    argp_parse(&argp, argc, argv, 0, NULL, &options);
    if (!options.all && options.home_count == 0)
        options.homes[options.home_count++] = NULL; /* the default */
    for (size_t i = 0; i < options.home_count; i++) {
        if (!command_home(options.homes[i], paths[i]))
            return COMMAND_USAGE;
        homes[i] = paths[i];
    }
    view_init(&watch.view, stdout);
    watch.json = common->json;
    watch.command = options.command;
    return watch_until_over(&options, homes, &watch);
}
