/* probectl invalidate: from here on, nothing that was learned with older credentials. */
#include "client/probectl/command.h"

#include <inttypes.h>

struct invalidate_options {
    struct command_options *common;
    const char *home, *provider, *reason;
    bool all, quiesce;
};

enum { KEY_HOME = 0x200, KEY_ALL, KEY_PROVIDER, KEY_QUIESCE, KEY_REASON };

static const struct argp_option option_table[] = {
    {"home", KEY_HOME, "DIR", 0, "the home whose credentials have changed", 1},
    {"all", KEY_ALL, NULL, 0, "every home there is (administrators)", 1},
    {"provider", KEY_PROVIDER, "ID", 0, "one provider's credentials only", 1},
    {"quiesce", KEY_QUIESCE, NULL, 0, "wait until every older worker is gone, too", 1},
    {"reason", KEY_REASON, "TEXT", 0, "for logs and events; never a secret", 1},
    {0},
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct invalidate_options *options = state->input;

    switch (key) {
    case KEY_HOME:
        options->home = argument;
        break;
    case KEY_ALL:
        options->all = true;
        break;
    case KEY_PROVIDER:
        options->provider = argument;
        break;
    case KEY_QUIESCE:
        options->quiesce = true;
        break;
    case KEY_REASON:
        options->reason = argument;
        break;
    case ARGP_KEY_END:
        if (options->all == (options->home != NULL))
            argp_error(state, "either --home or --all");
        break;
    default:
        return command_parse_common(key, state, options->common, ": which home is said with --home");
    }
    return 0;
}

static const struct argp argp = {
    .options = option_table,
    .parser = parse,
    .doc = "Forgets what was answered with older credentials.  Once it has returned, no probe is given anything older.",
    .children = command_children,
};

static void print(const Probed__V1__InvalidateResponse *response)
{
    if (response->fence != NULL)
        printf("generation %" PRIu64 " of epoch %016" PRIx64 ": ", response->fence->generation, response->fence->epoch);
    printf("%u cached answer%s dropped, %u worker%s ended, %u draining\n", response->cache_dropped,
           response->cache_dropped == 1 ? "" : "s", response->workers_retired,
           response->workers_retired == 1 ? "" : "s", response->workers_draining);
}

static enum command_exit invalidate(const struct invalidate_options *options, struct probed_channel *channel,
                                    const char *home)
{
    Probed__V1__InvalidateRequest request = PROBED__V1__INVALIDATE_REQUEST__INIT;
    Probed__V1__InvalidateResponse *response;
    struct probed_status status;
    enum command_exit result;

    request.home = (char *)(uintptr_t)home;
    if (options->provider != NULL)
        request.provider = (char *)(uintptr_t)options->provider;
    if (options->reason != NULL)
        request.reason = (char *)(uintptr_t)options->reason;
    request.barrier = options->quiesce ? PROBED__V1__BARRIER__BARRIER_QUIESCED : PROBED__V1__BARRIER__BARRIER_FENCED;
    status = probed_invalidate(channel, &request, NULL, &response);
    if (status.code != PROBED_OK)
        return command_fail(&status, "invalidate");
    if (options->common->json) {
        result = command_print_json(&response->base);
    } else {
        print(response);
        result = command_flush();
    }
    probed__v1__invalidate_response__free_unpacked(response, NULL);
    return result;
}

enum command_exit command_invalidate(int argc, char **argv, struct command_options *common)
{
    struct invalidate_options options = {.common = common};
    struct probed_channel *channel;
    char home[COMMAND_HOME_SIZE] = "";
    enum command_exit result;

    argp_parse(&argp, argc, argv, 0, NULL, &options);
    if (!options.all && !command_home(options.home, home))
        return COMMAND_USAGE;
    result = command_open(common, &channel);
    if (result != COMMAND_OK)
        return result;
    result = invalidate(&options, channel, home);
    probed_channel_close(channel);
    return result;
}
