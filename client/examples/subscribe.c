/* A subscriber in an event loop: an account's usage, printed again whenever its credentials have changed.
 *
 *     subscribe HOME PROVIDER
 *
 * The loop is poll() here; any will do: there is one descriptor, and one function to call when it is readable.  Nothing
 * is asked while the subscriber is not current: what came back might be void already, and nobody would say so.
 *
 * C11 and C++; cc subscribe.c $(pkg-config --cflags --libs libprobed) */
#include <poll.h>
#include <probed/client.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct account {
    char *home, *provider;
    struct probed_channel *channel;
    bool changed; /* since it was asked for */
};

static void on_event(void *context, const Probed__V1__CredentialEvent *event)
{
    struct account *account = (struct account *)context;

    if (event->provider[0] == '\0' || strcmp(event->provider, account->provider) == 0)
        account->changed = true;
}

static void on_gap(void *context, const char *home, const char *reason)
{
    struct account *account = (struct account *)context;

    (void)home;
    (void)reason;
    account->changed = true; /* for all that is known */
}

static void show(struct account *account)
{
    Probed__V1__ProbeRequest request = PROBED__V1__PROBE_REQUEST__INIT;
    Probed__V1__ProbeResponse *response;
    struct probed_status status;

    request.home = account->home;
    request.provider = account->provider;
    account->changed = false;
    status = probed_probe(account->channel, &request, NULL, &response);
    if (status.code != PROBED_OK) {
        printf("%s: %s\n", probed_code_name(status.code), status.message);
    } else {
        for (size_t i = 0; i < response->usage->n_windows; i++)
            printf("%s: %.0f%% used\n", response->usage->windows[i]->label, response->usage->windows[i]->used_percent);
        probed__v1__probe_response__free_unpacked(response, NULL);
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct probed_subscriber_options options;
    struct probed_subscriber_state state;
    struct probed_subscriber *subscriber;
    struct probed_status status;
    struct account account;
    struct pollfd due;
    const char *homes[1];

    if (argc != 3) {
        fprintf(stderr, "usage: subscribe HOME PROVIDER\n");
        return 2;
    }
    memset(&account, 0, sizeof account);
    account.home = argv[1];
    account.provider = argv[2];
    status = probed_channel_open(NULL, &account.channel);
    memset(&options, 0, sizeof options);
    homes[0] = argv[1];
    options.homes = homes;
    options.home_count = 1;
    options.channel = account.channel;
    options.on_event = on_event;
    options.on_gap = on_gap;
    options.context = &account;
    options.poll = true;
    if (status.code == PROBED_OK)
        status = probed_subscriber_open(&options, &subscriber);
    if (status.code != PROBED_OK) {
        fprintf(stderr, "subscribe: %s\n", status.message);
        return 2;
    }
    due.fd = probed_subscriber_fd(subscriber);
    due.events = POLLIN;
    while (status.code == PROBED_OK) {
        if (poll(&due, 1, -1) > 0)
            status = probed_subscriber_process(subscriber);
        probed_subscriber_state(subscriber, &state);
        if (account.changed && state.current)
            show(&account);
    }
    probed_subscriber_close(subscriber);
    probed_channel_close(account.channel);
    return 1;
}
