/* probeload: loads a daemon with probes, and checks what it answers.  load.c is the engine, here are the options. */
#include "client/probeload/report.h"
#include "proto/nng_shim.h"

#include <argp.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum load_exit {
    LOAD_OK = 0,
    LOAD_USAGE = 2,
    LOAD_VIOLATION = 3,
    LOAD_UNREACHABLE = 69,
    LOAD_FAILED = 70 /* a call failed */
};

enum {
    HOME_COUNT_MAX = 1024,
    IN_FLIGHT_MAX = 65536,
    CONNECTION_COUNT_MAX = 4096,
    KEY_COUNT_MAX = 1000000,
    DURATION_S_DEFAULT = 5,
};

struct options {
    struct load_plan plan;
    const char *homes[HOME_COUNT_MAX];
    bool json;
};

enum {
    KEY_CONNECT = 0x100,
    KEY_IN_FLIGHT,
    KEY_CONNECTIONS,
    KEY_DURATION,
    KEY_COUNT,
    KEY_HOME,
    KEY_PROVIDER,
    KEY_API_KEY_COUNT,
    KEY_TIMEOUT,
    KEY_JSON,
};

static const struct argp_option option_table[] = {
    {"connect", KEY_CONNECT, "URL", 0, "where probed answers calls (PROBED_CONNECT)", 0},
    {"in-flight", KEY_IN_FLIGHT, "N", 0, "calls at once (16)", 0},
    {"connections", KEY_CONNECTIONS, "N", 0, "connections that share them (1)", 0},
    {"duration", KEY_DURATION, "SECONDS", 0, "how long (5, unless --count)", 0},
    {"count", KEY_COUNT, "N", 0, "how many calls", 0},
    {"home", KEY_HOME, "DIR", 0, "a home to ask for; may be repeated, and is taken in turn ($HERMES_HOME)", 0},
    {"provider", KEY_PROVIDER, "ID", 0, "which provider to ask for (openrouter)", 0},
    {"api-key-count", KEY_API_KEY_COUNT, "N", 0, "ask with N different made-up keys, in turn", 0},
    {"timeout", KEY_TIMEOUT, "SECONDS", 0, "how long a call may take (35)", 0},
    {"json", KEY_JSON, NULL, 0, "print one JSON document", 0},
    {0},
};

static uint64_t parse_count(struct argp_state *state, const char *option, const char *text, uint64_t max)
{
    char *end;
    unsigned long long value;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (text[0] == '-' || end == text || *end != '\0' || errno != 0 || value == 0 || value > max)
        argp_error(state, "%s takes a number from 1 to %llu, not \"%s\"", option, (unsigned long long)max, text);
    return value;
}

static double parse_seconds(struct argp_state *state, const char *option, const char *text)
{
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end != '\0' || !(value > 0) || value > 86400)
        argp_error(state, "%s takes a number of seconds, not \"%s\"", option, text);
    return value;
}

static void add_home(struct options *options, const char *home, struct argp_state *state)
{
    if (options->plan.home_count == HOME_COUNT_MAX)
        argp_error(state, "at most %d homes", HOME_COUNT_MAX);
    options->homes[options->plan.home_count++] = home;
}

static void finish_plan(struct options *options, struct argp_state *state)
{
    struct load_plan *plan = &options->plan;

    if (plan->home_count == 0 && getenv("HERMES_HOME") != NULL)
        add_home(options, getenv("HERMES_HOME"), state);
    if (plan->home_count == 0)
        argp_error(state, "which home? --home, or HERMES_HOME");
    if (plan->duration_ns == 0 && plan->call_count == 0)
        plan->duration_ns = DURATION_S_DEFAULT * UINT64_C(1000000000);
    if (plan->connection_count > plan->in_flight)
        argp_error(state, "%zu connections for %zu calls in flight", plan->connection_count, plan->in_flight);
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct options *options = state->input;
    struct load_plan *plan = &options->plan;

    switch (key) {
    case KEY_CONNECT:
        plan->url = argument;
        break;
    case KEY_IN_FLIGHT:
        plan->in_flight = (size_t)parse_count(state, "--in-flight", argument, IN_FLIGHT_MAX);
        break;
    case KEY_CONNECTIONS:
        plan->connection_count = (size_t)parse_count(state, "--connections", argument, CONNECTION_COUNT_MAX);
        break;
    case KEY_DURATION:
        plan->duration_ns = (uint64_t)(parse_seconds(state, "--duration", argument) * 1e9);
        break;
    case KEY_COUNT:
        plan->call_count = parse_count(state, "--count", argument, INT64_MAX);
        break;
    case KEY_HOME:
        add_home(options, argument, state);
        break;
    case KEY_PROVIDER:
        plan->provider = argument;
        break;
    case KEY_API_KEY_COUNT:
        plan->key_count = (size_t)parse_count(state, "--api-key-count", argument, KEY_COUNT_MAX);
        break;
    case KEY_TIMEOUT:
        plan->timeout_ms = (uint32_t)ceil(parse_seconds(state, "--timeout", argument) * 1000);
        break;
    case KEY_JSON:
        options->json = true;
        break;
    case ARGP_KEY_ARG:
        argp_error(state, "takes no arguments");
        break;
    case ARGP_KEY_END:
        finish_plan(options, state);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp argp = {
    .options = option_table,
    .parser = parse,
    .doc =
        "Keeps a number of probes in flight, measures them, and checks every answer.\vExit status: 0: every call was "
        "answered well; 2: wrong usage; 3: an answer broke a promise, which is told; 69: the daemon can't be reached; "
        "70: a call failed.",
};

static void handle_signal(int signal_number)
{
    (void)signal_number;
    load_stop();
}

/* The first stops the run, the second the program. */
static void handle_signals(void)
{
    struct sigaction action = {.sa_handler = handle_signal, .sa_flags = (int)SA_RESETHAND};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static enum load_exit conclude(const struct options *options, const struct load_result *result)
{
    if (options->json)
        report_print_json(stdout, &options->plan, result);
    else
        report_print(stdout, &options->plan, result);
    if (result->evidence[0] != '\0')
        fprintf(stderr, "%s: a broken promise: %s\n", program_invocation_short_name, result->evidence);
    if (result->failure.code != PROBED_OK)
        fprintf(stderr, "%s: the first failure: %s (%s)\n", program_invocation_short_name, result->failure.message,
                probed_code_name(result->failure.code));
    if (fflush(stdout) != 0 || ferror(stdout))
        return LOAD_FAILED;
    return result->evidence[0] != '\0'         ? LOAD_VIOLATION
           : result->unreachable               ? LOAD_UNREACHABLE
           : result->failure.code != PROBED_OK ? LOAD_FAILED
                                               : LOAD_OK;
}

int main(int argc, char **argv)
{
    static struct options options = {.plan = {.in_flight = 16, .connection_count = 1, .provider = "openrouter"}};
    static struct load_result result;
    struct probed_status status;

    argp_program_version = "probeload " PROBED_VERSION;
    argp_err_exit_status = LOAD_USAGE;
    options.plan.homes = options.homes;
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    if (!nng_shim_active()) {
        fprintf(stderr, "%s: libnng does not reach its cure; it was not linked as it should be\n",
                program_invocation_short_name);
        return LOAD_FAILED;
    }
    handle_signals();
    status = load_run(&options.plan, &result);
    if (status.code != PROBED_OK) {
        fprintf(stderr, "%s: %s\n", program_invocation_short_name, status.message);
        return status.unreachable ? LOAD_UNREACHABLE : LOAD_FAILED;
    }
    return (int)conclude(&options, &result);
}
