/* What libprobed's local cache is worth: the same probe, answered by the daemon's cache and by the client's.
 *
 *     bench-cache CALLS-URL EVENTS-URL HOME SECONDS
 *
 * Prints one line of JSON: probes a second, one at a time, each way. */
#include "proto/nng_shim.h"

#include <inttypes.h>
#include <probed/client.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { CONNECT_MS = 10000 };

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void expect_ok(const struct probed_status *status, const char *what)
{
    if (status->code == PROBED_OK)
        return;
    fprintf(stderr, "bench-cache: %s: %s\n", what, status->message);
    exit(1);
}

/* Probes a second; with a cache of NULL on the channel. */
static double measure(struct probed_channel *channel, struct probed_cache *cache,
                      const Probed__V1__ProbeRequest *request, double seconds)
{
    double began_s = now_s(), taken_s = 0;
    uint64_t count = 0;

    while (taken_s < seconds) {
        for (int i = 0; i < 100; i++, count++) {
            Probed__V1__ProbeResponse *response;
            struct probed_status status = cache != NULL ? probed_cache_probe(cache, request, NULL, &response)
                                                        : probed_probe(channel, request, NULL, &response);

            expect_ok(&status, "probe");
            probed__v1__probe_response__free_unpacked(response, NULL);
        }
        taken_s = now_s() - began_s;
    }
    return (double)count / taken_s;
}

int main(int argc, char **argv)
{
    Probed__V1__ProbeRequest request = PROBED__V1__PROBE_REQUEST__INIT;
    struct probed_channel *channel;
    struct probed_cache *cache;
    struct probed_cache_counts counts;
    struct probed_status status;
    double asked, kept;

    if (argc != 5 || !nng_shim_active()) {
        fprintf(stderr, "usage: bench-cache CALLS-URL EVENTS-URL HOME SECONDS\n");
        return 2;
    }
    status = probed_channel_open(&(struct probed_channel_options){.url = argv[1]}, &channel);
    expect_ok(&status, "open");
    status = probed_cache_open(
        &(struct probed_cache_options){
            .channel = channel, .events_url = argv[2], .homes = (const char *const[]){argv[3]}, .home_count = 1},
        &cache);
    expect_ok(&status, "open a cache");
    status = probed_subscriber_connect(probed_cache_subscriber(cache), CONNECT_MS);
    expect_ok(&status, "listen");
    request.home = argv[3];
    request.provider = (char *)(uintptr_t) "echo";
    asked = measure(channel, NULL, &request, strtod(argv[4], NULL));
    kept = measure(channel, cache, &request, strtod(argv[4], NULL));
    probed_cache_look(cache, &counts);
    printf("{\"asked_per_second\":%.0f,\"kept_per_second\":%.0f,\"hits\":%" PRIu64 ",\"misses\":%" PRIu64 "}\n", asked,
           kept, counts.hits, counts.misses);
    probed_cache_close(cache);
    probed_channel_close(channel);
    return 0;
}
