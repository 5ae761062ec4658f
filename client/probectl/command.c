/* What probectl's commands have in common. */
#include "client/probectl/command.h"

#include "client/probectl/json.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- options ---- */

enum {
    KEY_CONNECT = 0x100,
    KEY_EVENTS,
    KEY_TIMEOUT,
    KEY_JSON,
    KEY_TLS_CA,
    KEY_TLS_CERTIFICATE,
    KEY_TLS_KEY,
    KEY_TLS_SERVER_NAME
};

static const struct argp_option common_options[] = {
    {.doc = "Options of all commands:", .group = 10},
    {"connect", KEY_CONNECT, "URL", 0, "where probed answers calls (PROBED_CONNECT)", 10},
    {"events", KEY_EVENTS, "URL", 0, "where probed publishes events (PROBED_EVENTS)", 10},
    {"timeout", KEY_TIMEOUT, "SECONDS", 0, "how long a call may take (35)", 10},
    {"json", KEY_JSON, NULL, 0, "print JSON, one document a line", 10},
    {"tls-ca", KEY_TLS_CA, "FILE", 0, "for tls+tcp:// URLs: who vouches for probed (PROBED_TLS_CA)", 10},
    {"tls-certificate", KEY_TLS_CERTIFICATE, "FILE", 0, "your certificate (PROBED_TLS_CERTIFICATE)", 10},
    {"tls-key", KEY_TLS_KEY, "FILE", 0, "its private key (PROBED_TLS_KEY)", 10},
    {"tls-server-name", KEY_TLS_SERVER_NAME, "NAME", 0,
     "what probed's certificate says, if not the host of the URL (PROBED_TLS_SERVER_NAME)", 10},
    {0},
};

uint32_t command_parse_seconds(struct argp_state *state, const char *option, const char *text)
{
    char *end;
    double seconds = strtod(text, &end);

    if (end == text || *end != '\0' || !(seconds >= 0) || seconds > 3600 * 24)
        argp_error(state, "%s takes a number of seconds, not \"%s\"", option, text);
    return (uint32_t)ceil(seconds * 1000);
}

static error_t parse_common(int key, char *argument, struct argp_state *state)
{
    struct command_options *options = state->input;

    switch (key) {
    case KEY_CONNECT:
        options->connect = argument;
        break;
    case KEY_EVENTS:
        options->events = argument;
        break;
    case KEY_TIMEOUT:
        options->timeout_ms = command_parse_seconds(state, "--timeout", argument);
        if (options->timeout_ms == 0)
            argp_error(state, "--timeout takes more than 0 seconds");
        break;
    case KEY_JSON:
        options->json = true;
        break;
    case KEY_TLS_CA:
        options->tls.ca_file = argument;
        break;
    case KEY_TLS_CERTIFICATE:
        options->tls.certificate_file = argument;
        break;
    case KEY_TLS_KEY:
        options->tls.key_file = argument;
        break;
    case KEY_TLS_SERVER_NAME:
        options->tls.server_name = argument;
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

const struct argp command_argp = {.options = common_options, .parser = parse_common};

const struct argp_child command_children[] = {{.argp = &command_argp}, {0}};

error_t command_parse_common(int key, struct argp_state *state, struct command_options *common,
                             const char *no_arguments)
{
    if (key == ARGP_KEY_INIT)
        state->child_inputs[0] = common;
    else if (key == ARGP_KEY_ARG && no_arguments != NULL)
        argp_error(state, "takes no arguments%s", no_arguments);
    else
        return ARGP_ERR_UNKNOWN;
    return 0;
}

static error_t parse_none(int key, char *argument, struct argp_state *state)
{
    (void)argument;
    return command_parse_common(key, state, state->input, "");
}

void command_parse_none(int argc, char **argv, struct command_options *options, const char *doc)
{
    struct argp argp = {.parser = parse_none, .doc = doc, .children = command_children};

    argp_parse(&argp, argc, argv, 0, NULL, options);
}

enum command_exit command_worse(enum command_exit one, enum command_exit other)
{
    static const enum command_exit order[] = {COMMAND_UNREACHABLE, COMMAND_FAILED, COMMAND_USAGE, COMMAND_NOTHING};

    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        if (one == order[i] || other == order[i])
            return order[i];
    }
    return COMMAND_OK;
}

/* ---- homes ---- */

/* The user's own directory; NULL: unknown. */
static const char *user_directory(void)
{
    const char *directory = getenv("HOME");
    const struct passwd *user;

    if (directory != NULL && directory[0] == '/')
        return directory;
    user = getpwuid(geteuid());
    return user != NULL ? user->pw_dir : NULL;
}

/* The daemon takes absolute paths only; one that is not is seen from here. */
static bool make_absolute(const char *path, char out[COMMAND_HOME_SIZE])
{
    char resolved[PATH_MAX], here[PATH_MAX];
    int size;

    if (path[0] == '/')
        size = snprintf(out, COMMAND_HOME_SIZE, "%s", path);
    else if (realpath(path, resolved) != NULL)
        size = snprintf(out, COMMAND_HOME_SIZE, "%s", resolved);
    else if (getcwd(here, sizeof here) != NULL)
        size = snprintf(out, COMMAND_HOME_SIZE, "%s/%s", here, path);
    else
        size = COMMAND_HOME_SIZE;
    if (size < COMMAND_HOME_SIZE)
        return true;
    fprintf(stderr, "%s: the home's path is longer than %d bytes\n", program_invocation_short_name, PATH_MAX - 1);
    return false;
}

bool command_home(const char *given, char out[COMMAND_HOME_SIZE])
{
    const char *directory;

    if (given == NULL || given[0] == '\0')
        given = getenv("HERMES_HOME");
    if (given != NULL && given[0] != '\0')
        return make_absolute(given, out);
    directory = user_directory();
    if (directory != NULL && snprintf(out, COMMAND_HOME_SIZE, "%s/.hermes", directory) < COMMAND_HOME_SIZE)
        return true;
    fprintf(stderr, "%s: no home: neither --home, nor HERMES_HOME, nor HOME is set\n", program_invocation_short_name);
    return false;
}

/* ---- calls ---- */

enum command_exit command_open(const struct command_options *options, struct probed_channel **channel_out)
{
    struct probed_channel_options channel = {
        .url = options->connect, .timeout_ms = options->timeout_ms, .tls = &options->tls};
    struct probed_status status = probed_channel_open(&channel, channel_out);

    if (status.code == PROBED_OK)
        return COMMAND_OK;
    fprintf(stderr, "%s: %s (--connect, PROBED_CONNECT)\n", program_invocation_short_name, status.message);
    return status.code == PROBED_INVALID_ARGUMENT ? COMMAND_USAGE : COMMAND_FAILED;
}

enum command_exit command_fail(const struct probed_status *status, const char *what)
{
    const char *program = program_invocation_short_name;

    if (status->unreachable) {
        fprintf(stderr, "%s: %s (--connect, PROBED_CONNECT)\n", program, status->message);
        return COMMAND_UNREACHABLE;
    }
    fprintf(stderr, "%s: %s: %s (%s", program, what, status->message[0] != '\0' ? status->message : "failed",
            probed_code_name(status->code));
    if (status->retry_after_ms > 0)
        fprintf(stderr, ", try again in %.3g s", status->retry_after_ms / 1000.0);
    fputs(")\n", stderr);
    return COMMAND_FAILED;
}

enum command_exit command_flush(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return COMMAND_OK;
    fprintf(stderr, "%s: cannot write the output: %s\n", program_invocation_short_name, strerror(errno));
    return COMMAND_FAILED;
}

enum command_exit command_print_json(const ProtobufCMessage *message)
{
    json_print(stdout, message);
    putchar('\n');
    return command_flush();
}
