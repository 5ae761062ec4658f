#include "server/worker/options.h"

#include "server/worker/request.h"

#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char program_version[] = "probe-worker " PROBED_VERSION;
static const char user_agent_default[] = "probed-worker/" PROBED_VERSION;

static const char description[] =
    "Asks AI providers over HTTPS how much of an account is used up: reads one JSON object a line from standard "
    "input, writes one a line to standard output, and ends at end of file.  With --provider it asks once and prints "
    "what came of it: the exit status is 0 when there was something to show, else 1.\v"
    "A request needs a provider: {\"provider\":\"openrouter\"}.  Credentials come from the request's api_key, the "
    "home's .env, the environment and the home's auth.json, in this order; no file is ever written.  SSL_CERT_FILE, "
    "SSL_CERT_DIR, HTTPS_PROXY and NO_PROXY are honoured.";

enum option_key {
    OPTION_CONNECT_TO = 256,
    OPTION_CACERT,
    OPTION_HOME,
    OPTION_USER_HOME,
    OPTION_FOREIGN,
    OPTION_USER_AGENT,
    OPTION_NOW,
    OPTION_PROVIDER,
    OPTION_JSON,
    OPTION_LIST
};

static const struct argp_option option_table[] = {
    {"home", OPTION_HOME, "DIR", 0,
     "The home whose credentials count (default: $HERMES_HOME, else the working directory)", 0},
    {"user-home", OPTION_USER_HOME, "DIR", 0, "Where other tools keep their sign-ins (default: $HOME)", 0},
    {"foreign-credentials", OPTION_FOREIGN, "yes|no", 0, "Read other tools' sign-ins (default: no)", 0},
    {"user-agent", OPTION_USER_AGENT, "TEXT", 0, "What to call ourselves (default: probed-worker/" PROBED_VERSION ")",
     0},
    {NULL, 0, NULL, 0, "Without a daemon:", 1},
    {"provider", OPTION_PROVIDER, "ID", 0, "Ask this one, once, and print the answer", 1},
    {"json", OPTION_JSON, NULL, 0, "Print it as the answer line", 1},
    {"list", OPTION_LIST, NULL, 0, "Print the providers, and what each needs", 1},
    {NULL, 0, NULL, 0, "To try it against a stand-in provider:", 2},
    {"connect-to", OPTION_CONNECT_TO, "HOST:PORT:ADDR:PORT", 0,
     "Connect there instead, as curl does; empty HOST or PORT: any; may be repeated", 2},
    {"cacert", OPTION_CACERT, "FILE", 0, "The certificate authorities to trust instead of the system's", 2},
    {"now", OPTION_NOW, "RFC3339", 0, "A fixed clock", 2},
    {NULL, 0, NULL, 0, NULL, 0},
};

/* HOST:PORT:ADDR:PORT; a colon within brackets is an address's. */
static bool options_is_connect_to(const char *text)
{
    int colon_count = 0;
    bool in_brackets = false;

    for (; *text != '\0'; text++) {
        if (*text == '[' || *text == ']')
            in_brackets = *text == '[';
        else if (*text == ':' && !in_brackets)
            colon_count++;
    }
    return colon_count == 3;
}

static bool options_is_printable(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text < 0x20 || *text > 0x7e)
            return false;
    }
    return true;
}

static void options_add_connect_to(struct options *options, const char *text, struct argp_state *state)
{
    size_t count = 0;
    const char **longer;

    if (!options_is_connect_to(text))
        argp_error(state, "--connect-to %s: not HOST:PORT:ADDR:PORT", text);
    while (options->connect_to != NULL && options->connect_to[count] != NULL)
        count++;
    longer = realloc(options->connect_to, (count + 2) * sizeof *longer);
    if (longer == NULL)
        argp_failure(state, EXIT_FAILURE, ENOMEM, "--connect-to");
    longer[count] = text;
    longer[count + 1] = NULL;
    options->connect_to = longer;
}

static error_t options_take(int key, char *argument, struct argp_state *state)
{
    struct options *options = state->input;

    switch (key) {
    case OPTION_CONNECT_TO:
        options_add_connect_to(options, argument, state);
        return 0;
    case OPTION_CACERT:
        if (access(argument, R_OK) != 0)
            argp_error(state, "--cacert %s: %s", argument, strerror(errno));
        options->ca_file = argument;
        return 0;
    case OPTION_HOME:
        options->home = argument;
        return 0;
    case OPTION_USER_HOME:
        options->user_home = argument;
        return 0;
    case OPTION_FOREIGN:
        if (strcmp(argument, "yes") != 0 && strcmp(argument, "no") != 0)
            argp_error(state, "--foreign-credentials %s: neither yes nor no", argument);
        options->foreign = strcmp(argument, "yes") == 0;
        return 0;
    case OPTION_USER_AGENT:
        if (!options_is_printable(argument) || argument[0] == '\0')
            argp_error(state, "--user-agent: empty, or not printable ASCII");
        options->user_agent = argument;
        return 0;
    case OPTION_NOW:
        options->now = stamp_read_iso(argument, strlen(argument));
        if (!options->now.known)
            argp_error(state, "--now %s: no moment such as 2026-03-01T12:00:00Z", argument);
        return 0;
    case OPTION_PROVIDER:
        if (!probe_request_is_provider(argument, strlen(argument)))
            argp_error(state, "--provider %s: no name of a provider; --list prints them", argument);
        options->task = TASK_ASK;
        options->provider = argument;
        return 0;
    case OPTION_JSON:
        options->json = true;
        return 0;
    case OPTION_LIST:
        options->task = TASK_LIST;
        return 0;
    case ARGP_KEY_END:
        if (options->json && options->task != TASK_ASK)
            argp_error(state, "--json: only with --provider");
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "%s: takes no arguments, requests come from standard input", argument);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* A variable that is not set counts like an empty one. */
static const char *options_environment(const char *name, const char *otherwise)
{
    const char *value = getenv(name);

    return value == NULL || value[0] == '\0' ? otherwise : value;
}

void options_parse(struct options *options, int argc, char **argv)
{
    static const struct argp parser = {option_table, options_take, NULL, description, NULL, NULL, NULL};

    *options = (struct options){.home = options_environment("HERMES_HOME", "."),
                                .user_home = options_environment("HOME", NULL),
                                .user_agent = user_agent_default};
    argp_program_version = program_version;
    argp_err_exit_status = EXIT_USAGE;
    argp_parse(&parser, argc, argv, 0, NULL, options);
}

void options_fini(struct options *options)
{
    free(options->connect_to);
}
