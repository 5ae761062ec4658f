/* probectl call, probectl health: any method with packed messages, and the standard health check. */
#include "client/probectl/command.h"

#include "gen/grpc/health/v1/health.pb-c.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- call ---- */

enum { INPUT_SIZE_MAX = 64 << 20 }; /* the most that any daemon can be configured to take */

struct call_options {
    struct command_options *common;
    const char *method;
};

static error_t parse_call(int key, char *argument, struct argp_state *state)
{
    struct call_options *options = state->input;

    switch (key) {
    case ARGP_KEY_ARG:
        if (options->method != NULL)
            argp_error(state, "one method only");
        options->method = argument;
        break;
    case ARGP_KEY_END:
        if (options->method == NULL)
            argp_error(state, "which method? For example: probectl call /probed.v1.ProbeService/Sync");
        break;
    default:
        return command_parse_common(key, state, options->common, NULL);
    }
    return 0;
}

static const struct argp call_argp = {
    .parser = parse_call,
    .args_doc = "METHOD",
    .doc =
        "Calls any method: the packed request is read from standard input, the packed response is written to standard "
        "output.\vFor example:\n"
        "  printf 'home: \"/home/me/.hermes\"' |\n"
        "  protoc --encode=probed.v1.SyncRequest probed/v1/probe.proto |\n"
        "  probectl call /probed.v1.ProbeService/Sync |\n"
        "  protoc --decode=probed.v1.SyncResponse probed/v1/probe.proto",
    .children = command_children,
};

/* All of standard input; NULL, and why is said, when it can't be read or is more than any daemon takes. */
static char *read_input(size_t *size_out)
{
    char *bytes = NULL;
    size_t size = 0, capacity = 0;
    ssize_t got;

    do {
        if (size == capacity) {
            char *grown = realloc(bytes, capacity = capacity == 0 ? 65536 : 2 * capacity);

            if (grown == NULL || capacity > 2 * (size_t)INPUT_SIZE_MAX) {
                free(grown != NULL ? grown : bytes);
                fprintf(stderr, "%s: the request is too large\n", program_invocation_short_name);
                return NULL;
            }
            bytes = grown;
        }
        got = read(STDIN_FILENO, bytes + size, capacity - size);
        if (got > 0)
            size += (size_t)got;
    } while (got > 0 || (got < 0 && errno == EINTR));
    if (got < 0) {
        fprintf(stderr, "%s: cannot read the request: %s\n", program_invocation_short_name, strerror(errno));
        free(bytes);
        return NULL;
    }
    *size_out = size;
    return bytes;
}

static enum command_exit call_raw(const struct call_options *options, struct probed_channel *channel, const char *input,
                                  size_t input_size)
{
    void *response;
    size_t size;
    struct probed_status status = probed_call_raw(channel, options->method, input, input_size, NULL, &response, &size);

    if (status.code != PROBED_OK)
        return command_fail(&status, options->method);
    fwrite(response, 1, size, stdout);
    free(response);
    return command_flush();
}

enum command_exit command_call(int argc, char **argv, struct command_options *common)
{
    struct call_options options = {.common = common};
    struct probed_channel *channel;
    enum command_exit result;
    size_t input_size = 0;
    char *input;

    argp_parse(&call_argp, argc, argv, 0, NULL, &options);
    input = read_input(&input_size);
    if (input == NULL)
        return COMMAND_FAILED;
    result = command_open(common, &channel);
    if (result == COMMAND_OK) {
        result = call_raw(&options, channel, input, input_size);
        probed_channel_close(channel);
    }
    explicit_bzero(input, input_size); /* there may be a key in it */
    free(input);
    return result;
}

/* ---- health ---- */

static enum command_exit show_health(const struct command_options *options, struct probed_channel *channel)
{
    Grpc__Health__V1__HealthCheckResponse response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    bool serving;
    struct probed_status status = probed_health(channel, NULL, NULL, &serving);
    enum command_exit result;

    if (status.code != PROBED_OK)
        return command_fail(&status, "health");
    response.status = serving ? GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
                              : GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING;
    if (options->json) {
        result = command_print_json(&response.base);
    } else {
        puts(serving ? "serving" : "not serving: it is draining");
        result = command_flush();
    }
    return command_worse(result, serving ? COMMAND_OK : COMMAND_FAILED);
}

enum command_exit command_health(int argc, char **argv, struct command_options *options)
{
    struct probed_channel *channel;
    enum command_exit result;

    command_parse_none(
        argc, argv, options,
        "Tells whether the daemon serves calls.\vExit status: 0: it does; 69: there is none; 70: it drains.");
    result = command_open(options, &channel);
    if (result != COMMAND_OK)
        return result;
    result = show_health(options, channel);
    probed_channel_close(channel);
    return result;
}
