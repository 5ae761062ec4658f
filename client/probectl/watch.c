/* probectl watch: a line for each change of credentials, as it happens, until it is interrupted. */
#include "client/probectl/command.h"
#include "client/probectl/json.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { HOME_COUNT_MAX = 256, TIMEOUT_MS_DEFAULT = 35000 };

struct watch_options {
    struct command_options *common;
    const char *homes[HOME_COUNT_MAX];
    size_t home_count;
    bool all;
};

enum { KEY_HOME = 0x200, KEY_ALL };

static const struct argp_option option_table[] = {
    {"home", KEY_HOME, "DIR", 0, "a home to hear of; may be repeated ($HERMES_HOME, else ~/.hermes)", 1},
    {"all", KEY_ALL, NULL, 0, "every home there is (administrators)", 1},
    {0},
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct watch_options *options = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = options->common;
        break;
    case KEY_HOME:
        if (options->home_count == HOME_COUNT_MAX)
            argp_error(state, "at most %d homes; --all hears of every one", HOME_COUNT_MAX);
        options->homes[options->home_count++] = argument;
        break;
    case KEY_ALL:
        options->all = true;
        break;
    case ARGP_KEY_ARG:
        argp_error(state, "takes no arguments: which homes is said with --home");
        break;
    case ARGP_KEY_END:
        if (options->all && options->home_count > 0)
            argp_error(state, "either --home or --all");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp_child children[] = {{.argp = &command_argp}, {0}};

static const struct argp argp = {
    .options = option_table,
    .parser = parse,
    .doc =
        "Prints a line for each change of credentials, as it happens, until it is interrupted.\vWith --json a line is "
        "a CredentialEvent, or {\"gap\":{\"home\":\"...\",\"reason\":\"...\"}} where changes may have been missed: of "
        "that home, or (home left out) of any.",
    .children = children,
};

/* ---- lines ---- */

/* The listener's thread prints, the main thread waits for it to fail. */
struct watch {
    struct view view;
    bool json;
    pthread_mutex_t lock;
    pthread_cond_t over;
    enum command_exit result; /* guarded by lock */
};

static void end_line(struct watch *watch)
{
    enum command_exit result;

    putchar('\n');
    result = command_flush();
    if (result == COMMAND_OK)
        return;
    pthread_mutex_lock(&watch->lock);
    watch->result = result;
    pthread_cond_signal(&watch->over);
    pthread_mutex_unlock(&watch->lock);
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

static const char *cause_words(Probed__V1__Cause cause)
{
    return cause == PROBED__V1__CAUSE__CAUSE_OBSERVED    ? "observed"
           : cause == PROBED__V1__CAUSE__CAUSE_REQUESTED ? "requested"
                                                         : "of unknown cause";
}

static void print_event(void *context, const Probed__V1__CredentialEvent *event)
{
    struct watch *watch = context;

    if (watch->json) {
        json_print(stdout, &event->base);
        end_line(watch);
        return;
    }
    print_time(&watch->view, event->at_ms);
    view_text(&watch->view, VIEW_BOLD, event->home);
    view_format(&watch->view, VIEW_PLAIN, "  %s changed, generation %" PRIu64 ", %s",
                event->provider[0] != '\0' ? event->provider : "everything", event->fence->generation,
                cause_words(event->cause));
    if (event->reason[0] != '\0')
        view_format(&watch->view, VIEW_PLAIN, ": %s", event->reason);
    end_line(watch);
}

static void print_gap(void *context, const char *home, const char *reason)
{
    struct watch *watch = context;
    struct timespec now;

    if (watch->json) {
        fputs("{\"gap\":{", stdout);
        if (home != NULL) {
            fputs("\"home\":", stdout);
            json_print_string(stdout, home);
            putchar(',');
        }
        fputs("\"reason\":", stdout);
        json_print_string(stdout, reason);
        fputs("}}", stdout);
        end_line(watch);
        return;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    print_time(&watch->view, (int64_t)now.tv_sec * 1000);
    view_text(&watch->view, VIEW_BOLD, home != NULL ? home : "any home");
    view_format(&watch->view, VIEW_WARN, "  may have changed unheard: %s", reason);
    end_line(watch);
}

/* ---- life ---- */

static enum command_exit watch_until_over(const struct watch_options *options, const char *const *homes,
                                          struct watch *watch)
{
    struct probed_subscriber_options subscription = {
        .url = options->common->events,
        .homes = homes,
        .home_count = options->all ? 0 : options->home_count,
        .all_homes = options->all,
        .on_event = print_event,
        .on_gap = print_gap,
        .context = watch,
    };
    uint32_t timeout_ms = options->common->timeout_ms != 0 ? options->common->timeout_ms : TIMEOUT_MS_DEFAULT;
    struct probed_subscriber *subscriber;
    struct probed_status status = probed_subscriber_open(&subscription, &subscriber);
    enum command_exit result = COMMAND_OK;

    if (status.code != PROBED_OK) {
        fprintf(stderr, "%s: %s (--events, PROBED_EVENTS)\n", program_invocation_short_name, status.message);
        return COMMAND_USAGE;
    }
    status = probed_subscriber_connect(subscriber, timeout_ms);
    if (status.unreachable) {
        fprintf(stderr, "%s: %s (--events, PROBED_EVENTS)\n", program_invocation_short_name, status.message);
        result = COMMAND_UNREACHABLE;
    } else if (status.code != PROBED_OK) {
        result = command_fail(&status, "watch");
    } else {
        pthread_mutex_lock(&watch->lock);
        while (watch->result == COMMAND_OK)
            pthread_cond_wait(&watch->over, &watch->lock);
        result = watch->result;
        pthread_mutex_unlock(&watch->lock);
    }
    probed_subscriber_close(subscriber);
    return result;
}

enum command_exit command_watch(int argc, char **argv, struct command_options *common)
{
    static char paths[HOME_COUNT_MAX][COMMAND_HOME_SIZE];
    const char *homes[HOME_COUNT_MAX];
    struct watch_options options = {.common = common};
    struct watch watch = {.lock = PTHREAD_MUTEX_INITIALIZER, .over = PTHREAD_COND_INITIALIZER};

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
    return watch_until_over(&options, homes, &watch);
}
