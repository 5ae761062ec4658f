/* probeload-worker: the worker that probeload brings along.  It speaks the worker protocol (proto/README.md 5), answers
 * every request at once or after a delay, always alike, and signs what it says (statement.h).
 *
 *     probeload-worker [--delay MS]
 *
 * Its home is its working directory, as with every worker; the secret comes with the home's .env. */
#include "client/probeload/clock.h"
#include "client/probeload/statement.h"

#include <argp.h>
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORKER_FAILED = 70, WORKER_USAGE = 2, DELAY_MS_MAX = 3600000 };

struct worker {
    char home[PATH_MAX];
    struct statement_secret secret;
    struct statement statement;
    uint64_t delay_ns;
};

static void wait_ns(uint64_t ns)
{
    struct timespec left = timespec_of(ns);

    while (ns > 0 && nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
}

static void answer(struct worker *worker, json_int_t id, const char *provider)
{
    char line[STATEMENT_SIZE];

    worker->statement.number++;
    worker->statement.answered_ns = now_ns();
    statement_sign(&worker->statement, &worker->secret, worker->home, provider);
    statement_write(&worker->statement, line);
    /* A provider was checked by the daemon and needs no escaping; neither does a statement. */
    printf("{\"id\":%lld,\"provider\":\"%s\",\"status\":\"ok\",\"source\":\"" STATEMENT_SOURCE
           "\",\"title\":\"Account limits\",\"plan\":\"Plus\",\"windows\":["
           "{\"label\":\"Session\",\"used_percent\":12.5,\"window_seconds\":18000},"
           "{\"label\":\"Weekly\",\"used_percent\":40,\"window_seconds\":604800}],"
           "\"details\":[\"%s\"],\"available\":true,\"http_status\":200}\n",
           (long long)id, provider, line);
    if (fflush(stdout) != 0)
        exit(WORKER_FAILED);
}

static void serve(struct worker *worker, const char *line, size_t size)
{
    json_t *request = json_loadb(line, size, 0, NULL);
    const char *provider, *api_key;
    size_t api_key_size;
    json_int_t id;

    if (json_unpack(request, "{s:I, s:s, s:s%}", "id", &id, "provider", &provider, "api_key", &api_key,
                    &api_key_size) != 0) {
        fprintf(stderr, "%s: a line that is no request\n", program_invocation_short_name);
        exit(WORKER_FAILED);
    }
    worker->statement.key_digest = statement_digest(&worker->secret, api_key, api_key_size);
    wait_ns(worker->delay_ns);
    answer(worker, id, provider);
    json_decref(request);
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct worker *worker = state->input;
    char *end;

    if (key != 'd')
        return ARGP_ERR_UNKNOWN;
    errno = 0;
    worker->delay_ns = strtoull(argument, &end, 10) * NS_PER_MS;
    if (errno != 0 || end == argument || *end != '\0' || argument[0] == '-' ||
        worker->delay_ns > DELAY_MS_MAX * NS_PER_MS)
        argp_error(state, "--delay takes a number of milliseconds, not \"%s\"", argument);
    return 0;
}

static const struct argp argp = {
    .options = (const struct argp_option[]){{"delay", 'd', "MS", 0, "how long an answer takes (0)", 0}, {0}},
    .parser = parse,
    .doc = "Answers probes for probeload, and signs each answer; started by probed, as its worker.command.",
};

int main(int argc, char **argv)
{
    static struct worker worker;
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;

    worker.statement.started_ns = now_ns();
    worker.statement.pid = getpid();
    argp_program_version = "probeload-worker " PROBED_VERSION;
    argp_err_exit_status = WORKER_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &worker);
    if (sodium_init() < 0 || getcwd(worker.home, sizeof worker.home) == NULL) {
        fprintf(stderr, "%s: cannot begin: %s\n", program_invocation_short_name, strerror(errno));
        return WORKER_FAILED;
    }
    worker.secret = statement_secret_of(getenv(STATEMENT_SECRET_ENV));
    while ((size = getline(&line, &capacity, stdin)) > 0)
        serve(&worker, line, (size_t)size);
    free(line);
    return 0;
}
