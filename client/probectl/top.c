/* probectl top: the daemon live, in a terminal, until the user has had enough.
 *
 * One thread waits for keys, signals and samples.  top/model knows what was seen and what is wanted, top/layout draws it,
 * top/screen shows it, top/sampler asks; here they are brought together. */
#include "client/probectl/command.h"
#include "client/probectl/top/layout.h"
#include "client/probectl/top/sampler.h"
#include "client/probectl/top/screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    INTERVAL_MS_DEFAULT = 2000,
    INTERVAL_MS_MIN = 100,
    ROUND_TIMEOUT_MS = 5000,    /* of one look; a daemon that takes longer does not answer */
    CONNECT_TIMEOUT_MS = 10000, /* of the first */
};

struct top_options {
    struct command_options *common;
    uint32_t interval_ms;
    enum panel panel;
};

enum { KEY_INTERVAL = 0x200, KEY_LIST };

static const struct argp_option option_table[] = {
    {"interval", KEY_INTERVAL, "SECONDS", 0, "look so often (2)", 1},
    {"list", KEY_LIST, "homes|workers|changes|answers", 0, "the list to begin with (homes)", 1},
    {0},
};

static enum panel parse_list(struct argp_state *state, const char *text)
{
    for (int panel = 0; panel < PANEL_COUNT; panel++) {
        if (strcasecmp(text, listing_panel((enum panel)panel)->name) == 0)
            return (enum panel)panel;
    }
    argp_error(state, "--list takes homes, workers, changes or answers, not \"%s\"", text);
    return PANEL_HOMES;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct top_options *options = state->input;

    switch (key) {
    case KEY_INTERVAL:
        options->interval_ms = command_parse_seconds(state, "--interval", argument);
        if (options->interval_ms < INTERVAL_MS_MIN)
            argp_error(state, "--interval takes at least %g seconds", INTERVAL_MS_MIN / 1000.0);
        break;
    case KEY_LIST:
        options->panel = parse_list(state, argument);
        break;
    default:
        return command_parse_common(key, state, options->common, ": which homes are shown is said with the key /");
    }
    return 0;
}

static const struct argp argp = {
    .options = option_table,
    .parser = parse,
    .doc = "Shows the daemon live in a terminal: answers by origin with their rate and how long they took, workers by "
           "state, and lists of homes, workers, changes of credentials, and answers by their code.\vKeys: q quits, h "
           "tells the others.  A daemon that goes is waited for; one that takes longer than 5 s (or --timeout) does "
           "not answer.  For administrators, as status is.\n\nExit status: 0: "
           "the user quit; 2: wrong usage, or no terminal that can be drawn on; 69: there was no daemon at the "
           "beginning; 70: it did not answer, or not to this user.",
    .children = command_children,
};

struct top {
    struct model model;
    struct canvas canvas;
    struct sampler *sampler;
    uint64_t due_ms;    /* of the next look, of CLOCK_MONOTONIC */
    int ended_by;       /* a signal; 0: none */
    bool terminal_gone; /* it can't be read any more */
};

/* ---- time ---- */

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int64_t wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- one turn ---- */

static void draw(struct top *top)
{
    unsigned row_count, column_count;

    screen_size(&row_count, &column_count);
    if (!canvas_begin(&top->canvas, row_count, column_count))
        return; /* the old picture stays */
    layout_draw(&top->canvas, &top->model);
    screen_show(&top->canvas);
}

static void ask(struct top *top)
{
    top->due_ms = now_ms() + top->model.interval_ms;
    sampler_ask(top->sampler);
}

static void take_sample(struct top *top)
{
    struct sample sample;

    if (!sampler_take(top->sampler, &sample))
        return;
    model_take(&top->model, &sample, wall_ms());
    sample_fini(&sample);
}

static void read_keys(struct top *top)
{
    int key;

    while (!top->model.over && screen_read_key(&key)) {
        if (model_press(&top->model, key))
            ask(top);
    }
}

/* Ctrl-C is how one leaves; who sends another signal is told that it was what ended this. */
static void read_signals(struct top *top)
{
    int number;

    while ((number = screen_read_signal()) != 0) {
        if (number == SIGTSTP)
            screen_suspend();
        else if (number == SIGWINCH || number == SIGCONT)
            screen_renew();
        else
            top->model.over = true;
        if (number == SIGTERM || number == SIGHUP)
            top->ended_by = number;
    }
}

/* How long to wait for something else; -1: for ever. */
static int wait_ms(const struct top *top)
{
    uint64_t now = now_ms();

    if (top->model.paused)
        return -1;
    return top->due_ms > now ? (int)(top->due_ms - now) : 0;
}

static void take_turn(struct top *top)
{
    struct pollfd polled[] = {{.fd = screen_key_fd(), .events = POLLIN},
                              {.fd = screen_signal_fd(), .events = POLLIN},
                              {.fd = sampler_fd(top->sampler), .events = POLLIN}};
    int count = poll(polled, sizeof polled / sizeof polled[0], wait_ms(top));

    if (count > 0 && (polled[0].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0)
        top->model.over = top->terminal_gone = true;
    read_signals(top);
    read_keys(top);
    take_sample(top);
    if (!top->model.paused && now_ms() >= top->due_ms)
        ask(top);
    draw(top);
}

/* ---- life ---- */

/* The first sample, waited for: what is wrong from the beginning is said where it can be read later. */
static enum command_exit take_first(struct top *top, struct probed_channel *channel, uint32_t timeout_ms)
{
    struct probed_status status = probed_channel_connect(channel, timeout_ms);
    struct pollfd polled = {.fd = sampler_fd(top->sampler), .events = POLLIN};
    struct sample sample;

    if (status.code != PROBED_OK)
        return command_fail(&status, "top");
    ask(top);
    while (!sampler_take(top->sampler, &sample))
        poll(&polled, 1, -1);
    status = sample.outcomes[SAMPLE_STATUS];
    model_take(&top->model, &sample, wall_ms());
    sample_fini(&sample);
    return status.code == PROBED_OK ? COMMAND_OK : command_fail(&status, "top");
}

static enum command_exit show(struct top *top, const struct view *view)
{
    if (!screen_open(view->colours))
        return COMMAND_USAGE;
    draw(top);
    while (!top->model.over)
        take_turn(top);
    screen_close();
    return top->terminal_gone ? COMMAND_FAILED : COMMAND_OK;
}

static enum command_exit run(const struct top_options *options, struct probed_channel *channel, struct top *top)
{
    uint32_t timeout_ms = options->common->timeout_ms;
    enum command_exit result;
    struct view view;

    view_init(&view, stdout);
    top->canvas.utf8 = view.utf8;
    model_init(&top->model, options->panel, view.utf8, options->interval_ms);
    top->sampler = sampler_create(channel, timeout_ms != 0 ? timeout_ms : ROUND_TIMEOUT_MS);
    if (top->sampler == NULL) {
        fprintf(stderr, "%s: cannot begin: %s\n", program_invocation_short_name, strerror(errno));
        return COMMAND_FAILED;
    }
    result = take_first(top, channel, timeout_ms != 0 ? timeout_ms : CONNECT_TIMEOUT_MS);
    return result == COMMAND_OK ? show(top, &view) : result;
}

/* Nobody reads a screen of JSON, and no program a screen. */
static bool has_terminal(const struct command_options *common)
{
    if (!common->json && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
        return true;
    fprintf(stderr,
            "%s: top draws on a terminal, and %s; \"probectl status\", \"probectl homes\" and \"probectl workers\" "
            "print the same figures once\n",
            program_invocation_short_name,
            common->json             ? "not as JSON"
            : !isatty(STDOUT_FILENO) ? "its output goes elsewhere"
                                     : "its input comes from elsewhere");
    return false;
}

enum command_exit command_top(int argc, char **argv, struct command_options *common)
{
    struct top_options options = {.common = common, .interval_ms = INTERVAL_MS_DEFAULT};
    struct top top = {.ended_by = 0};
    struct probed_channel *channel;
    enum command_exit result;

    argp_parse(&argp, argc, argv, 0, NULL, &options);
    if (!has_terminal(common))
        return COMMAND_USAGE;
    result = command_open(common, &channel);
    if (result != COMMAND_OK)
        return result;
    result = run(&options, channel, &top);
    probed_channel_close(channel); /* ends the look that is under way */
    sampler_destroy(top.sampler);
    model_fini(&top.model);
    canvas_fini(&top.canvas);
    if (top.ended_by != 0)
        raise(top.ended_by);
    return result;
}
