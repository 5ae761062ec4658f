/* probectl sync: where a home stands now. */
#include "client/probectl/command.h"

#include <inttypes.h>

struct sync_options {
    struct command_options *common;
    const char *home;
};

enum { KEY_HOME = 0x200 };

static const struct argp_option option_table[] = {
    {"home", KEY_HOME, "DIR", 0, "the home ($HERMES_HOME, else ~/.hermes)", 1},
    {0},
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct sync_options *options = state->input;

    switch (key) {
    case KEY_HOME:
        options->home = argument;
        break;
    default:
        return command_parse_common(key, state, options->common, ": which home is said with --home");
    }
    return 0;
}

static const struct argp argp = {
    .options = option_table,
    .parser = parse,
    .doc = "Tells how often the credentials of a home have changed: its generation.",
    .children = command_children,
};

static enum command_exit sync_home(const struct sync_options *options, struct probed_channel *channel, char *home)
{
    Probed__V1__SyncRequest request = PROBED__V1__SYNC_REQUEST__INIT;
    Probed__V1__SyncResponse *response;
    struct probed_status status;
    enum command_exit result;

    request.home = home;
    status = probed_sync(channel, &request, NULL, &response);
    if (status.code != PROBED_OK)
        return command_fail(&status, "sync");
    if (options->common->json) {
        result = command_print_json(&response->base);
    } else {
        if (response->fence != NULL)
            printf("generation %" PRIu64 " of epoch %016" PRIx64 "\n", response->fence->generation,
                   response->fence->epoch);
        result = command_flush();
    }
    probed__v1__sync_response__free_unpacked(response, NULL);
    return result;
}

enum command_exit command_sync(int argc, char **argv, struct command_options *common)
{
    struct sync_options options = {.common = common};
    struct probed_channel *channel;
    char home[COMMAND_HOME_SIZE];
    enum command_exit result;

    argp_parse(&argp, argc, argv, 0, NULL, &options);
    if (!command_home(options.home, home))
        return COMMAND_USAGE;
    result = command_open(common, &channel);
    if (result != COMMAND_OK)
        return result;
    result = sync_home(&options, channel, home);
    probed_channel_close(channel);
    return result;
}
