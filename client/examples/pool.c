/* A pool of calls: many accounts at once, from one thread, on one connection.
 *
 *     pool HOME PROVIDER...
 *
 * Calls are started, and told of when they have ended, on a thread of nng's that must not block: what is told is put
 * down under a lock, and the main thread waits for the last.  At most IN_FLIGHT_MAX are in the air.
 *
 * C11 and C++; cc pool.c $(pkg-config --cflags --libs libprobed) -lpthread */
#include <probed/client.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { IN_FLIGHT_MAX = 32 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned in_flight; /* guarded by lock, as what the calls say */

struct call {
    const char *provider;
    struct probed_status status;
    double used_percent;
};

static void note(struct call *call, const void *response, size_t response_size)
{
    Probed__V1__ProbeResponse *answer =
        probed__v1__probe_response__unpack(NULL, response_size, (const uint8_t *)response);

    if (answer == NULL)
        return;
    if (answer->usage != NULL && answer->usage->n_windows > 0)
        call->used_percent = answer->usage->windows[0]->used_percent;
    probed__v1__probe_response__free_unpacked(answer, NULL);
}

static void done(void *context, const struct probed_status *status, const void *response, size_t response_size)
{
    struct call *call = (struct call *)context;

    pthread_mutex_lock(&lock);
    call->status = *status;
    if (status->code == PROBED_OK)
        note(call, response, response_size);
    in_flight--;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

static void wait_for_room(unsigned room)
{
    pthread_mutex_lock(&lock);
    while (in_flight > IN_FLIGHT_MAX - room)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static void start(struct probed_channel *channel, char *home, struct call *call)
{
    Probed__V1__ProbeRequest request = PROBED__V1__PROBE_REQUEST__INIT;
    unsigned char packed[8192]; /* a home has at most 4095 bytes, a provider 64 */
    struct probed_status status;
    size_t size;

    request.home = home;
    request.provider = (char *)(uintptr_t)call->provider;
    size = probed__v1__probe_request__get_packed_size(&request);
    if (size > sizeof packed)
        exit(2);
    probed__v1__probe_request__pack(&request, packed);
    wait_for_room(1);
    pthread_mutex_lock(&lock);
    in_flight++;
    pthread_mutex_unlock(&lock);
    status = probed_call_start(channel, "/probed.v1.ProbeService/Probe", packed, size, NULL, done, call);
    if (status.code != PROBED_OK) /* it was not started, and `done` will not be called */
        done(call, &status, NULL, 0);
}

int main(int argc, char **argv)
{
    struct probed_channel *channel;
    struct probed_status status;
    struct call *calls;
    int failed_count = 0;

    if (argc < 3) {
        fprintf(stderr, "usage: pool HOME PROVIDER...\n");
        return 2;
    }
    calls = (struct call *)calloc((size_t)argc, sizeof *calls);
    status = probed_channel_open(NULL, &channel);
    if (status.code == PROBED_OK)
        status = probed_channel_connect(channel, 10000); /* else each call says so */
    if (calls == NULL || status.code != PROBED_OK) {
        fprintf(stderr, "pool: %s\n", status.message);
        return 2;
    }
    for (int i = 2; i < argc; i++) {
        calls[i].provider = argv[i];
        start(channel, argv[1], &calls[i]);
    }
    wait_for_room(IN_FLIGHT_MAX);
    for (int i = 2; i < argc; i++) {
        if (calls[i].status.code == PROBED_OK)
            printf("%s: %.0f%% used\n", calls[i].provider, calls[i].used_percent);
        else
            fprintf(stderr, "pool: %s: %s\n", calls[i].provider, calls[i].status.message);
        failed_count += calls[i].status.code != PROBED_OK;
    }
    probed_channel_close(channel);
    free(calls);
    return failed_count == 0 ? 0 : 1;
}
