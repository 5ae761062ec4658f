#include "client/probeload/options.h"

#include "client/probeload/clock.h"

#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    IN_FLIGHT_MAX = 65536,
    IN_FLIGHT_DEFAULT = 16,
    IN_FLIGHT_OPEN_DEFAULT = 4096, /* as the daemon's server.calls_per_uid */
    CONNECTION_COUNT_MAX = 4096,
    KEY_COUNT_MAX = 1000000,
    THREAD_COUNT_MAX = 1024,
    SUBSCRIBER_COUNT_MAX = 4096,
    QUESTION_COUNT_MAX = 16777216, /* homes by providers by keys */
    DURATION_S_DEFAULT = 5,
    SELF_HOME_COUNT_DEFAULT = 4,
    RATE_FIRST_DEFAULT = 1000,
};

static const double RATE_MAX = 10e6;
static const double TRIAL_S_DEFAULT = 2, TRIAL_WARM_UP_S_DEFAULT = 0.5;

enum {
    KEY_CONNECT = 0x100,
    KEY_EVENTS,
    KEY_TLS_CA,
    KEY_TLS_CERTIFICATE,
    KEY_TLS_KEY,
    KEY_TLS_SERVER_NAME,
    KEY_SELF_CONTAINED,
    KEY_HOMES,
    KEY_WORKER_DELAY,
    KEY_HOME,
    KEY_PROVIDER,
    KEY_API_KEYS,
    KEY_SPREAD,
    KEY_REFRESH,
    KEY_INVALIDATE,
    KEY_SUBSCRIBERS,
    KEY_SIGNED,
    KEY_TIMEOUT,
    KEY_IN_FLIGHT,
    KEY_CONNECTIONS,
    KEY_THREADS,
    KEY_RATE,
    KEY_ARRIVALS,
    KEY_WARM_UP,
    KEY_DURATION,
    KEY_COUNT,
    KEY_FIND_LIMIT,
    KEY_SEED,
    KEY_JSON,
    KEY_HGRM,
    KEY_SVG,
    KEY_TITLE,
    KEY_QUIET,
};

static const struct argp_option option_table[] = {
    {0, 0, 0, 0, "Whom to load:", 1},
    {"connect", KEY_CONNECT, "URL", 0, "where probed answers calls (PROBED_CONNECT)", 1},
    {"events", KEY_EVENTS, "URL", 0, "where it publishes events (PROBED_EVENTS)", 1},
    {"tls-ca", KEY_TLS_CA, "FILE", 0, "for tls+tcp:// URLs: who vouches for probed (PROBED_TLS_CA)", 1},
    {"tls-certificate", KEY_TLS_CERTIFICATE, "FILE", 0, "your certificate (PROBED_TLS_CERTIFICATE)", 1},
    {"tls-key", KEY_TLS_KEY, "FILE", 0, "its private key (PROBED_TLS_KEY)", 1},
    {"tls-server-name", KEY_TLS_SERVER_NAME, "NAME", 0,
     "what probed's certificate says, if not the host of the URL (PROBED_TLS_SERVER_NAME)", 1},
    {"self-contained", KEY_SELF_CONTAINED, NULL, 0,
     "a daemon and workers of its own, for this run; what stands behind -- is for probed", 1},
    {"homes", KEY_HOMES, "N", 0, "with --self-contained: how many homes it makes (4)", 1},
    {"worker-delay", KEY_WORKER_DELAY, "MS", 0, "with --self-contained: how long a worker takes (0)", 1},

    {0, 0, 0, 0, "What is asked:", 2},
    {"home", KEY_HOME, "DIR", 0, "a home to ask for; may be repeated ($HERMES_HOME)", 2},
    {"provider", KEY_PROVIDER, "ID", 0, "a provider to ask for; may be repeated (openrouter)", 2},
    {"api-key-count", KEY_API_KEYS, "N", 0, "ask with N different made-up keys", 2},
    {"spread", KEY_SPREAD, "KIND", 0, "how homes are chosen: turn, uniform, zipf or zipf:EXPONENT (turn)", 2},
    {"refresh", KEY_REFRESH, "SHARE", 0, "of the probes ask for a fresh answer: 0 to 1 (0)", 2},
    {"invalidate", KEY_INVALIDATE, "SHARE", 0, "of the calls are Invalidate: 0 to 1 (0)", 2},
    {"subscribers", KEY_SUBSCRIBERS, "N", 0, "listen to the events of the homes (0)", 2},
    {"signed", KEY_SIGNED, NULL, 0, "every answer must be signed by probeload-worker (with --self-contained it must)",
     2},
    {"timeout", KEY_TIMEOUT, "SECONDS", 0, "how long a call may take (35)", 2},

    {0, 0, 0, 0, "How much:", 3},
    {"in-flight", KEY_IN_FLIGHT, "N", 0, "calls at once (16); with --rate the most there may be (4096)", 3},
    {"rate", KEY_RATE, "N", 0, "send N calls a second, whatever comes back: an open loop", 3},
    {"arrivals", KEY_ARRIVALS, "KIND", 0, "with --rate: poisson or constant (poisson)", 3},
    {"find-limit", KEY_FIND_LIMIT, "MS", 0,
     "the highest rate whose p99 stays within MS, searched from --rate (1000) on", 3},
    {"connections", KEY_CONNECTIONS, "N", 0, "connections that share the calls (1)", 3},
    {"threads", KEY_THREADS, "N", 0,
     "threads that make one call at a time (none: calls are started); with --rate they share it (1)", 3},
    {"warm-up", KEY_WARM_UP, "SECONDS", 0, "before anything counts (0)", 3},
    {"duration", KEY_DURATION, "SECONDS", 0, "how long (5, unless --count)", 3},
    {"count", KEY_COUNT, "N", 0, "how many calls", 3},
    {"seed", KEY_SEED, "N", 0, "of what is drawn (1)", 3},

    {0, 0, 0, 0, "What is shown:", 4},
    {"json", KEY_JSON, NULL, 0, "print one JSON document", 4},
    {"hgrm", KEY_HGRM, "FILE", 0, "write the latencies as HdrHistogram's text, in ms", 4},
    {"svg", KEY_SVG, "FILE", 0, "draw the latencies, by percentile and over time", 4},
    {"title", KEY_TITLE, "TEXT", 0, "of the drawing", 4},
    {"quiet", KEY_QUIET, NULL, 0, "no line of progress on a terminal", 4},
    {0},
};

/* ---- values ---- */

static uint64_t parse_count(struct argp_state *state, const char *option, const char *text, uint64_t min, uint64_t max)
{
    char *end;
    unsigned long long value;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (text[0] == '-' || end == text || *end != '\0' || errno != 0 || value < min || value > max)
        argp_error(state, "%s takes a number from %llu to %llu, not \"%s\"", option, (unsigned long long)min,
                   (unsigned long long)max, text);
    return value;
}

static double parse_number(struct argp_state *state, const char *option, const char *what, const char *text, double min,
                           double max)
{
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end != '\0' || !(value >= min) || value > max)
        argp_error(state, "%s takes %s from %g to %g, not \"%s\"", option, what, min, max, text);
    return value;
}

static double parse_share(struct argp_state *state, const char *option, const char *text)
{
    return parse_number(state, option, "a share", text, 0, 1);
}

static uint64_t parse_seconds(struct argp_state *state, const char *option, const char *text)
{
    return (uint64_t)(parse_number(state, option, "seconds", text, 1e-3, 86400) * 1e9);
}

static void parse_spread(struct load_plan *plan, const char *text, struct argp_state *state)
{
    plan->zipf_exponent = 1;
    if (strcmp(text, "turn") == 0) {
        plan->spread = LOAD_IN_TURN;
    } else if (strcmp(text, "uniform") == 0) {
        plan->spread = LOAD_UNIFORM;
    } else if (strcmp(text, "zipf") == 0 || strncmp(text, "zipf:", 5) == 0) {
        plan->spread = LOAD_ZIPF;
        if (text[4] == ':')
            plan->zipf_exponent = parse_number(state, "--spread zipf:", "an exponent", text + 5, 0.01, 10);
    } else {
        argp_error(state, "--spread is turn, uniform, zipf or zipf:EXPONENT, not \"%s\"", text);
    }
}

static void parse_arrivals(struct load_plan *plan, const char *text, struct argp_state *state)
{
    plan->constant = strcmp(text, "constant") == 0;
    if (!plan->constant && strcmp(text, "poisson") != 0)
        argp_error(state, "--arrivals is poisson or constant, not \"%s\"", text);
}

static void add_home(struct options *options, const char *home, struct argp_state *state)
{
    if (options->plan.home_count == OPTIONS_HOME_COUNT_MAX)
        argp_error(state, "at most %d homes", OPTIONS_HOME_COUNT_MAX);
    options->homes[options->plan.home_count++] = home;
}

/* As the daemon reads it, and as a worker is asked for it: without blanks around it, in lower case. */
static const char *normalise_provider(char *provider)
{
    char *end;

    provider += strspn(provider, " \t\r\n");
    for (end = provider + strlen(provider); end > provider && strchr(" \t\r\n", end[-1]) != NULL; end--)
        continue;
    *end = '\0';
    for (char *at = provider; *at != '\0'; at++) {
        if (*at >= 'A' && *at <= 'Z')
            *at = (char)(*at - 'A' + 'a');
    }
    return provider;
}

static void add_provider(struct options *options, const char *provider, struct argp_state *state)
{
    if (options->plan.provider_count == OPTIONS_PROVIDER_COUNT_MAX)
        argp_error(state, "at most %d providers", OPTIONS_PROVIDER_COUNT_MAX);
    options->providers[options->plan.provider_count++] = provider;
}

/* ---- what they come to together ---- */

static void finish_whom(struct options *options, struct argp_state *state)
{
    struct load_plan *plan = &options->plan;

    if (options->self_contained) {
        if (plan->home_count > 0 || plan->url != NULL || plan->events_url != NULL)
            argp_error(state, "--self-contained brings its own daemon and homes");
        if (options->host.home_count == 0)
            options->host.home_count = SELF_HOME_COUNT_DEFAULT;
        plan->home_count = options->host.home_count;
        plan->signed_only = true;
        return;
    }
    if (options->host.home_count > 0 || options->host.worker_delay_ms > 0 || options->host.words != NULL)
        argp_error(state, "--homes, --worker-delay and words for probed go with --self-contained");
    if (plan->home_count == 0 && getenv("HERMES_HOME") != NULL)
        add_home(options, getenv("HERMES_HOME"), state);
    if (plan->home_count == 0)
        argp_error(state, "which home? --home, or HERMES_HOME, or --self-contained");
    plan->secret = getenv("PROBELOAD_SECRET");
}

static void finish_how(struct options *options, struct argp_state *state)
{
    struct load_plan *plan = &options->plan;
    bool bounded = plan->duration_ns != 0 || plan->call_count != 0;

    if (options->limit_p99_ns != 0) {
        if (plan->call_count != 0)
            argp_error(state, "--find-limit takes a --duration, not a --count");
        if (plan->rate == 0)
            plan->rate = RATE_FIRST_DEFAULT;
        if (!bounded)
            plan->duration_ns = (uint64_t)(TRIAL_S_DEFAULT * 1e9);
        if (plan->warm_up_ns == 0)
            plan->warm_up_ns = (uint64_t)(TRIAL_WARM_UP_S_DEFAULT * 1e9);
    } else if (!bounded) {
        plan->duration_ns = DURATION_S_DEFAULT * NS_PER_S;
    }
    if (plan->constant && plan->rate == 0)
        argp_error(state, "--arrivals goes with --rate");
    if (plan->rate == 0 && plan->thread_count > 0) {
        if (plan->in_flight != 0 && plan->in_flight != plan->thread_count)
            argp_error(state, "%zu threads have as many calls in flight, not %zu", plan->thread_count, plan->in_flight);
        plan->in_flight = plan->thread_count;
    }
    if (plan->rate > 0 && plan->thread_count == 0)
        plan->thread_count = 1;
    if (plan->in_flight == 0)
        plan->in_flight = plan->rate > 0 ? IN_FLIGHT_OPEN_DEFAULT : IN_FLIGHT_DEFAULT;
    if (plan->connection_count > plan->in_flight)
        argp_error(state, "%zu connections for %zu calls in flight", plan->connection_count, plan->in_flight);
}

static void finish(struct options *options, struct argp_state *state)
{
    struct load_plan *plan = &options->plan;

    if (plan->provider_count == 0)
        add_provider(options, "openrouter", state);
    finish_whom(options, state);
    finish_how(options, state);
    if (plan->home_count * plan->provider_count * (plan->key_count == 0 ? 1 : plan->key_count) > QUESTION_COUNT_MAX)
        argp_error(state, "homes by providers by keys are more than %d questions", QUESTION_COUNT_MAX);
}

/* ---- one option each ---- */

static error_t parse_tls(int key, char *argument, struct options *options)
{
    struct load_plan *plan = &options->plan;

    switch (key) {
    case KEY_TLS_CA:
        plan->tls.ca_file = argument;
        break;
    case KEY_TLS_CERTIFICATE:
        plan->tls.certificate_file = argument;
        break;
    case KEY_TLS_KEY:
        plan->tls.key_file = argument;
        break;
    case KEY_TLS_SERVER_NAME:
        plan->tls.server_name = argument;
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static error_t parse_what(int key, char *argument, struct options *options, struct argp_state *state)
{
    struct load_plan *plan = &options->plan;

    switch (key) {
    case KEY_CONNECT:
        plan->url = argument;
        break;
    case KEY_EVENTS:
        plan->events_url = argument;
        break;
    case KEY_SELF_CONTAINED:
        options->self_contained = true;
        break;
    case KEY_HOMES:
        options->host.home_count = (size_t)parse_count(state, "--homes", argument, 1, OPTIONS_HOME_COUNT_MAX);
        break;
    case KEY_WORKER_DELAY:
        options->host.worker_delay_ms = (unsigned)parse_count(state, "--worker-delay", argument, 0, 3600000);
        break;
    case KEY_HOME:
        add_home(options, argument, state);
        break;
    case KEY_PROVIDER:
        add_provider(options, normalise_provider(argument), state);
        break;
    case KEY_API_KEYS:
        plan->key_count = (size_t)parse_count(state, "--api-key-count", argument, 1, KEY_COUNT_MAX);
        break;
    case KEY_SPREAD:
        parse_spread(plan, argument, state);
        break;
    case KEY_REFRESH:
        plan->refresh_share = parse_share(state, "--refresh", argument);
        break;
    case KEY_INVALIDATE:
        plan->invalidation_share = parse_share(state, "--invalidate", argument);
        break;
    case KEY_SUBSCRIBERS:
        plan->subscriber_count = (size_t)parse_count(state, "--subscribers", argument, 0, SUBSCRIBER_COUNT_MAX);
        break;
    case KEY_SIGNED:
        plan->signed_only = true;
        break;
    case KEY_TIMEOUT:
        plan->timeout_ms = (uint32_t)(parse_seconds(state, "--timeout", argument) / NS_PER_MS);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static error_t parse_how(int key, char *argument, struct options *options, struct argp_state *state)
{
    struct load_plan *plan = &options->plan;

    switch (key) {
    case KEY_IN_FLIGHT:
        plan->in_flight = (size_t)parse_count(state, "--in-flight", argument, 1, IN_FLIGHT_MAX);
        break;
    case KEY_RATE:
        plan->rate = parse_number(state, "--rate", "calls a second", argument, 0.01, RATE_MAX);
        break;
    case KEY_ARRIVALS:
        parse_arrivals(plan, argument, state);
        break;
    case KEY_FIND_LIMIT:
        options->limit_p99_ns =
            (uint64_t)(parse_number(state, "--find-limit", "milliseconds", argument, 1e-3, 100e3) * 1e6);
        break;
    case KEY_CONNECTIONS:
        plan->connection_count = (size_t)parse_count(state, "--connections", argument, 1, CONNECTION_COUNT_MAX);
        break;
    case KEY_THREADS:
        plan->thread_count = (size_t)parse_count(state, "--threads", argument, 1, THREAD_COUNT_MAX);
        break;
    case KEY_WARM_UP:
        plan->warm_up_ns = parse_seconds(state, "--warm-up", argument);
        break;
    case KEY_DURATION:
        plan->duration_ns = parse_seconds(state, "--duration", argument);
        break;
    case KEY_COUNT:
        plan->call_count = parse_count(state, "--count", argument, 1, INT64_MAX);
        break;
    case KEY_SEED:
        plan->seed = parse_count(state, "--seed", argument, 0, INT64_MAX);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static error_t parse_shown(int key, char *argument, struct options *options)
{
    switch (key) {
    case KEY_JSON:
        options->json = true;
        break;
    case KEY_HGRM:
        options->hgrm_path = argument;
        break;
    case KEY_SVG:
        options->svg_path = argument;
        break;
    case KEY_TITLE:
        options->title = argument;
        break;
    case KEY_QUIET:
        options->quiet = true;
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct options *options = state->input;
    error_t error;

    switch (key) {
    case ARGP_KEY_ARG:
        if (!state->quoted || state->next <= state->quoted)
            argp_error(state, "takes no arguments; words for probed stand behind --");
        options->host.words = (const char *const *)&state->argv[state->next - 1];
        state->next = state->argc;
        return 0;
    case ARGP_KEY_END:
        finish(options, state);
        return 0;
    default:
        error = parse_what(key, argument, options, state);
        if (error == ARGP_ERR_UNKNOWN)
            error = parse_tls(key, argument, options);
        if (error == ARGP_ERR_UNKNOWN)
            error = parse_how(key, argument, options, state);
        return error == ARGP_ERR_UNKNOWN ? parse_shown(key, argument, options) : error;
    }
}

static const struct argp argp = {
    .options = option_table,
    .parser = parse,
    .args_doc = "[-- WORDS FOR PROBED]",
    .doc =
        "Loads probed with probes, measures them, and checks every answer.\v"
        "Latencies of an open loop (--rate) count from when a call was due: a stall is in every latency it delayed.  "
        "Answers of probeload-worker are signed, and are checked for home, provider, key and age; of other workers' "
        "the rest is checked.  A worker takes its secret from PROBELOAD_SECRET in its home's .env, probeload from "
        "the environment.\n\n"
        "Exit status: 0: every call was answered well; 2: wrong usage; 3: an answer broke a promise, which is told; "
        "69: the daemon can't be reached; 70: a call failed, or output could not be written.",
};

void options_parse(struct options *options, int argc, char **argv, int usage_exit)
{
    memset(options, 0, sizeof *options);
    options->plan.connection_count = 1;
    options->plan.seed = 1;
    argp_program_version = "probeload " PROBED_VERSION;
    argp_err_exit_status = usage_exit;
    argp_parse(&argp, argc, argv, 0, NULL, options);
    options->plan.homes = options->homes;
    options->plan.providers = options->providers;
}
