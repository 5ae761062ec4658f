/* probed-reader: reads the credentials of one home, the working directory, and tells their fingerprints; then it ends.
 *
 * The custodian starts it with the rights of the home's owner whenever something in the home may have changed, and
 * compares what it says with what it said before (README.md has its lines).  It holds secrets for a few milliseconds:
 * no core file, no network, nothing written, and no byte of a secret on any descriptor.
 *
 * Its exit status is 0 behind "end" alone, 75 when a file was half written at every look, so that it should be started
 * again; without that line nothing that it said counts. */
#include "server/base/secret.h"
#include "server/base/text.h"
#include "server/reader/holdings.h"
#include "server/reader/places.h"
#include "server/worker/files.h"
#include "server/worker/memory.h"

#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, OPTION_FOREIGN = 256 };

static const char program_version[] = "probed-reader " PROBED_VERSION;

static const char description[] =
    "Reads the key of the fingerprints, 32 bytes, from standard input, looks at every file of the working directory "
    "that holds credentials, and prints their keyed fingerprints.  For probed-custodian.";

static const struct argp_option option_table[] = {
    {"foreign-credentials", OPTION_FOREIGN, "yes|no", 0, "Look at other tools' sign-ins below $HOME, too (default: no)",
     0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static error_t options_take(int key, char *argument, struct argp_state *state)
{
    bool *foreign = state->input;

    switch (key) {
    case OPTION_FOREIGN:
        if (strcmp(argument, "yes") != 0 && strcmp(argument, "no") != 0)
            argp_error(state, "--foreign-credentials %s: neither yes nor no", argument);
        *foreign = strcmp(argument, "yes") == 0;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "%s: takes no arguments", argument);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Gives the status back. */
static int complain(const char *what, int status)
{
    fprintf(stderr, "probed-reader: %s\n", what);
    return status;
}

/* The key, and nothing behind it. */
static bool key_read(struct fingerprint_key *key)
{
    unsigned char bytes[sizeof key->bytes + 1];
    size_t size = 0;
    ssize_t more;

    do {
        more = read(STDIN_FILENO, bytes + size, sizeof bytes - size);
        size += more > 0 ? (size_t)more : 0;
    } while ((more > 0 && size < sizeof bytes) || (more < 0 && errno == EINTR));
    memcpy(key->bytes, bytes, sizeof key->bytes);
    secret_wipe(bytes, sizeof bytes);
    return more == 0 && size == sizeof key->bytes;
}

static bool lines_send(const struct text *lines)
{
    size_t sent = 0;

    while (sent < lines->size) {
        ssize_t size = write(STDOUT_FILENO, lines->bytes + sent, lines->size - sent);

        if (size < 0 && errno != EINTR)
            return false;
        sent += size > 0 ? (size_t)size : 0;
    }
    return true;
}

static int lines_finish(const struct places *places, const struct text *fingerprints)
{
    struct text lines = TEXT_EMPTY;
    bool sent;

    places_write(places, &lines);
    text_add(&lines, text_string(fingerprints), fingerprints->size);
    text_add_string(&lines, "end\n");
    sent = !lines.failed && lines_send(&lines);
    text_fini(&lines);
    return sent ? EXIT_SUCCESS : complain("the lines could not be written", EXIT_FAILURE);
}

static int tell(const struct holdings *holdings)
{
    struct text fingerprints = TEXT_EMPTY;
    struct places places;
    int status = EXIT_FAILURE;

    switch (holdings_read(holdings, &places, &fingerprints)) {
    case HOLDINGS_READ:
        status = lines_finish(&places, &fingerprints);
        break;
    case HOLDINGS_RESTLESS:
        status = complain("a file is being written all the time", EX_TEMPFAIL);
        break;
    case HOLDINGS_NO_MEMORY:
        status = complain("out of memory", EXIT_FAILURE);
        break;
    }
    text_fini(&fingerprints);
    return status;
}

int main(int argc, char **argv)
{
    static const struct argp parser = {option_table, options_take, NULL, description, NULL, NULL, NULL};
    struct holdings holdings = {.user_home_fd = -1, .still_ms = HOLDINGS_STILL_MS, .torn_ms = HOLDINGS_TORN_MS};
    const char *user_home = getenv("HOME");
    bool foreign = false;
    int status;

    prctl(PR_SET_DUMPABLE, 0); /* no core file, no tracer */
    signal(SIGPIPE, SIG_IGN);  /* a reader that leaves is noticed by write */
    argp_program_version = program_version;
    argp_err_exit_status = EXIT_USAGE;
    argp_parse(&parser, argc, argv, 0, NULL, &foreign);
    memory_setup();
    if (secret_setup() != 0 || !key_read(&holdings.key))
        return complain("no key of 32 bytes, or more than that, on standard input", EXIT_FAILURE);
    holdings.home_fd = files_open_directory(".");
    if (holdings.home_fd < 0)
        return complain(strerror(errno), EXIT_FAILURE);
    if (foreign && user_home != NULL && user_home[0] == '/')
        holdings.user_home_fd = files_open_directory(user_home); /* none there: no sign-ins */
    status = tell(&holdings);
    secret_wipe(&holdings.key, sizeof holdings.key);
    return status;
}
