/* probectl probe: how much of an account is used up.  Several providers are asked at once and shown in order. */
#include "client/probectl/account_view.h"
#include "client/probectl/command.h"

#include "proto/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PROVIDER_COUNT_MAX = 64 };

struct probe_options {
    struct command_options *common;
    const char *home;
    const char *api_key_file;
    bool refresh, accept_stale;
    uint32_t max_age_ms;
    const char *providers[PROVIDER_COUNT_MAX];
    size_t provider_count;
};

enum { KEY_HOME = 0x200, KEY_API_KEY_FILE, KEY_REFRESH, KEY_MAX_AGE, KEY_ACCEPT_STALE };

static const struct argp_option option_table[] = {
    {"home", KEY_HOME, "DIR", 0, "the home that holds the credentials ($HERMES_HOME, else ~/.hermes)", 1},
    {"api-key-file", KEY_API_KEY_FILE, "FILE", 0, "ask with the key in FILE (-: standard input) instead", 1},
    {"refresh", KEY_REFRESH, NULL, 0, "ask the provider, whatever is cached", 1},
    {"max-age", KEY_MAX_AGE, "SECONDS", 0, "take no cached answer that is older", 1},
    {"accept-stale", KEY_ACCEPT_STALE, NULL, 0, "rather the last good answer than an error", 1},
    {0},
};

static void add_provider(struct probe_options *options, char *provider, struct argp_state *state)
{
    if (options->provider_count == PROVIDER_COUNT_MAX)
        argp_error(state, "at most %d providers at once", PROVIDER_COUNT_MAX);
    options->providers[options->provider_count++] = provider;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct probe_options *options = state->input;

    switch (key) {
    case KEY_HOME:
        options->home = argument;
        break;
    case KEY_API_KEY_FILE:
        options->api_key_file = argument;
        break;
    case KEY_REFRESH:
        options->refresh = true;
        break;
    case KEY_MAX_AGE:
        /* On the wire 0 means the default: "none at all" is the next best. */
        options->max_age_ms = command_parse_seconds(state, "--max-age", argument);
        options->max_age_ms = options->max_age_ms == 0 ? 1 : options->max_age_ms;
        break;
    case KEY_ACCEPT_STALE:
        options->accept_stale = true;
        break;
    case ARGP_KEY_ARG:
        add_provider(options, argument, state);
        break;
    case ARGP_KEY_END:
        if (options->provider_count == 0)
            argp_error(state, "which provider? For example: probectl probe openrouter");
        if (options->api_key_file != NULL && options->provider_count > 1)
            argp_error(state, "--api-key-file goes with one provider: a key belongs to one");
        break;
    default:
        return command_parse_common(key, state, options->common, NULL);
    }
    return 0;
}

static const struct argp argp = {
    .options = option_table,
    .parser = parse,
    .args_doc = "PROVIDER...",
    .doc = "Asks how much of an account is used up.\vExit status: 0: there is something to show for each; 1: for one "
           "there is nothing; 2: wrong usage; 69: no daemon; 70: a call failed.  Of several the worst counts: 69, "
           "then 70, then 1.",
    .children = command_children,
};

/* ---- the key ---- */

/* One byte more than a key may have, so that a longer one is noticed, and a terminator. */
struct api_key {
    char bytes[LIMIT_API_KEY_SIZE_MAX + 4];
};

static ssize_t read_all(int fd, char *out, size_t size_max)
{
    size_t size = 0;

    while (size < size_max) {
        ssize_t got = read(fd, out + size, size_max - size);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        size += (size_t)got;
    }
    return (ssize_t)size;
}

/* A file of one line ends in a line end, which is no part of the key. */
static size_t without_line_end(const char *bytes, size_t size)
{
    if (size > 0 && bytes[size - 1] == '\n')
        size--;
    if (size > 0 && bytes[size - 1] == '\r')
        size--;
    return size;
}

static bool read_api_key(const char *path, struct api_key *key)
{
    bool is_stdin = strcmp(path, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read_all(fd, key->bytes, sizeof key->bytes - 1);
    int error = errno;
    const char *fault = NULL;
    size_t size = got < 0 ? 0 : without_line_end(key->bytes, (size_t)got);

    if (fd >= 0 && !is_stdin)
        close(fd);
    key->bytes[size] = '\0';
    if (got < 0)
        fault = strerror(error);
    else if (size == 0)
        fault = "there is no key in it";
    else if (size > LIMIT_API_KEY_SIZE_MAX)
        fault = "longer than a key may be, 262144 bytes";
    else if (memchr(key->bytes, '\0', size) != NULL)
        fault = "it contains a NUL byte";
    if (fault != NULL)
        fprintf(stderr, "%s: --api-key-file %s: %s\n", program_invocation_short_name, path, fault);
    return fault == NULL;
}

/* ---- the questions ---- */

struct question {
    struct probed_channel *channel;
    Probed__V1__ProbeRequest request;
    pthread_t thread;
    bool has_thread;
    struct probed_status status;
    Probed__V1__ProbeResponse *response;
};

static void *ask(void *context)
{
    struct question *question = context;

    question->status = probed_probe(question->channel, &question->request, NULL, &question->response);
    return NULL;
}

/* A thread each, where there are several; whoever gets none is asked when its turn comes to be shown. */
static void ask_all(struct question *questions, size_t count)
{
    for (size_t i = 0; count > 1 && i < count; i++)
        questions[i].has_thread = pthread_create(&questions[i].thread, NULL, ask, &questions[i]) == 0;
}

static enum command_exit show(struct question *question, const struct view *view, bool json)
{
    const Probed__V1__ProbeResponse *response = question->response;
    enum command_exit written;

    if (json) {
        written = command_print_json(&response->base);
    } else {
        account_view_print(view, response);
        written = command_flush();
    }
    return command_worse(written, response->usage != NULL && response->usage->available ? COMMAND_OK : COMMAND_NOTHING);
}

/* Waits for the answer and shows it.  That there is no daemon is said once. */
static enum command_exit conclude(struct question *question, const struct view *view, bool json,
                                  enum command_exit so_far)
{
    enum command_exit result;
    char what[128];

    if (question->has_thread)
        pthread_join(question->thread, NULL);
    else
        ask(question);
    snprintf(what, sizeof what, "probe of %.80s", question->request.provider);
    if (question->status.code != PROBED_OK) {
        if (question->status.unreachable && so_far == COMMAND_UNREACHABLE)
            return so_far;
        return command_worse(so_far, command_fail(&question->status, what));
    }
    result = show(question, view, json);
    probed__v1__probe_response__free_unpacked(question->response, NULL);
    return command_worse(so_far, result);
}

static enum command_exit probe_all(const struct probe_options *options, const char *home, const char *api_key)
{
    struct question *questions = calloc(options->provider_count, sizeof *questions);
    struct probed_channel *channel;
    enum command_exit result = command_open(options->common, &channel);
    struct view view;

    if (result != COMMAND_OK || questions == NULL) {
        free(questions);
        return result != COMMAND_OK ? result : COMMAND_FAILED;
    }
    for (size_t i = 0; i < options->provider_count; i++) {
        probed__v1__probe_request__init(&questions[i].request);
        questions[i].channel = channel;
        questions[i].request.home = (char *)(uintptr_t)home;
        questions[i].request.provider = (char *)(uintptr_t)options->providers[i];
        questions[i].request.api_key = (char *)(uintptr_t)api_key;
        questions[i].request.refresh = options->refresh;
        questions[i].request.max_age_ms = options->max_age_ms;
        questions[i].request.accept_stale = options->accept_stale;
    }
    view_init(&view, stdout);
    ask_all(questions, options->provider_count);
    for (size_t i = 0; i < options->provider_count; i++)
        result = conclude(&questions[i], &view, options->common->json, result);
    probed_channel_close(channel);
    free(questions);
    return result;
}

enum command_exit command_probe(int argc, char **argv, struct command_options *common)
{
    struct probe_options options = {.common = common};
    static struct api_key key;
    char home[COMMAND_HOME_SIZE];
    enum command_exit result = COMMAND_USAGE;

    argp_parse(&argp, argc, argv, 0, NULL, &options);
    if (command_home(options.home, home) && (options.api_key_file == NULL || read_api_key(options.api_key_file, &key)))
        result = probe_all(&options, home, key.bytes);
    explicit_bzero(&key, sizeof key);
    return result;
}
