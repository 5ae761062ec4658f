/* probed-standin: a stand-in provider for people, so that the whole path can be seen without an account.
 *
 * It serves the exchanges of fixture cases over HTTPS on 127.0.0.1, prints the words that send a probe-worker to it,
 * and goes on until it is ended. */
#include "tests/support/fixture.h"
#include "tests/support/standin.h"

#include <argp.h>
#include <errno.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CASE_COUNT_MAX = 64, EXIT_USAGE = 2, PORT_MAX = 65535 };

struct arguments {
    const char *cases[CASE_COUNT_MAX];
    size_t case_count;
    char *directory; /* owned */
    const char *sample_home;
    unsigned port;
};

enum option_key { OPTION_CASE = 256, OPTION_DIRECTORY, OPTION_PORT, OPTION_SAMPLE_HOME };

static const struct argp_option option_table[] = {
    {"case", OPTION_CASE, "CASE", 0, "A case's meta.json, or a directory of them; more may follow", 0},
    {"directory", OPTION_DIRECTORY, "DIR", 0, "Where to write ca.pem", 0},
    {"sample-home", OPTION_SAMPLE_HOME, "DIR", 0, "Write the cases' home files there", 0},
    {"port", OPTION_PORT, "N", 0, "The port (default: one that is free)", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static void add_case(struct arguments *arguments, const char *path, struct argp_state *state)
{
    if (arguments->case_count == CASE_COUNT_MAX)
        argp_error(state, "%s: more than %d cases", path, CASE_COUNT_MAX);
    arguments->cases[arguments->case_count++] = path;
}

static error_t take(int key, char *argument, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    char *end;

    switch (key) {
    case OPTION_CASE:
    case ARGP_KEY_ARG:
        add_case(arguments, argument, state);
        return 0;
    case OPTION_DIRECTORY:
        arguments->directory = realpath(argument, NULL); /* a worker runs elsewhere, and reads ca.pem */
        if (arguments->directory == NULL)
            argp_error(state, "--directory %s: %s", argument, strerror(errno));
        return 0;
    case OPTION_SAMPLE_HOME:
        arguments->sample_home = argument;
        return 0;
    case OPTION_PORT:
        arguments->port = (unsigned)strtoul(argument, &end, 10);
        if (*end != '\0' || end == argument || arguments->port > PORT_MAX)
            argp_error(state, "--port %s: not 0 to %d", argument, PORT_MAX);
        return 0;
    case ARGP_KEY_END:
        if (arguments->case_count == 0 || arguments->directory == NULL)
            argp_error(state, "--case and --directory are needed");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* One case of many: taught, and its home files written. */
static struct fixture *teach(struct standin *standin, const struct arguments *arguments, const char *path)
{
    struct fixture *fixture = fixture_load(path);

    standin_teach_fixture(standin, fixture);
    if (arguments->sample_home != NULL)
        fixture_write_home(fixture, "home_files", arguments->sample_home);
    return fixture;
}

/* A case, or all that lie in a directory. */
static void teach_all(struct standin *standin, const struct arguments *arguments, const char *path)
{
    struct stat facts;
    char pattern[FIXTURE_PATH_SIZE];
    glob_t found = {.gl_pathc = 0};

    if (stat(path, &facts) != 0 || !S_ISDIR(facts.st_mode)) {
        fixture_free(teach(standin, arguments, path));
        return;
    }
    snprintf(pattern, sizeof pattern, "%s/*.meta.json", path);
    if (glob(pattern, 0, NULL, &found) != 0) {
        fprintf(stderr, "probed-standin: %s: no cases in it\n", path);
        exit(EXIT_FAILURE);
    }
    for (size_t i = 0; i < found.gl_pathc; i++)
        fixture_free(teach(standin, arguments, found.gl_pathv[i]));
    globfree(&found);
}

int main(int argc, char **argv)
{
    static const struct argp parser = {option_table,
                                       take,
                                       "[CASE...]",
                                       "Stands in for providers on 127.0.0.1, with invented answers.  Prints one line, "
                                       "the words for a probe-worker, and serves until it is ended.",
                                       NULL,
                                       NULL,
                                       NULL};
    struct arguments arguments = {.case_count = 0};
    struct text words = TEXT_EMPTY;
    struct standin *standin;
    sigset_t ends;
    int received;

    argp_program_version = "probed-standin " PROBED_VERSION;
    argp_err_exit_status = EXIT_USAGE;
    argp_parse(&parser, argc, argv, 0, NULL, &arguments);
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, NULL); /* before the first thread */
    signal(SIGPIPE, SIG_IGN);
    standin = standin_create(arguments.directory);
    standin_set_tireless(standin);
    for (size_t i = 0; i < arguments.case_count; i++)
        teach_all(standin, &arguments, arguments.cases[i]);
    standin_start(standin, arguments.port);
    standin_words(standin, &words);
    printf("%s\n", text_string(&words));
    fflush(stdout);
    sigwait(&ends, &received);
    text_fini(&words);
    standin_destroy(standin);
    free(arguments.directory);
    return EXIT_SUCCESS;
}
