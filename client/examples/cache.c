/* The local cache: the same question a million times, and what it cost.
 *
 *     cache HOME PROVIDER
 *
 * C11 and C++; cc cache.c $(pkg-config --cflags --libs libprobed) */
#include <inttypes.h>
#include <probed/client.h>
#include <stdio.h>
#include <string.h>

enum { QUESTION_COUNT = 1000000, CONNECT_MS = 10000 };

int main(int argc, char **argv)
{
    Probed__V1__ProbeRequest request = PROBED__V1__PROBE_REQUEST__INIT;
    struct probed_cache_options options;
    struct probed_cache_counts counts;
    struct probed_channel *channel;
    struct probed_cache *cache;
    struct probed_status status;
    const char *homes[1];

    if (argc != 3) {
        fprintf(stderr, "usage: cache HOME PROVIDER\n");
        return 2;
    }
    status = probed_channel_open(NULL, &channel);
    memset(&options, 0, sizeof options);
    homes[0] = argv[1];
    options.channel = channel;
    options.homes = homes;
    options.home_count = 1;
    if (status.code == PROBED_OK)
        status = probed_cache_open(&options, &cache);
    if (status.code != PROBED_OK) {
        fprintf(stderr, "cache: %s\n", status.message);
        return 2;
    }
    /* It works without as well, and asks each time until the subscriber is current. */
    status = probed_subscriber_connect(probed_cache_subscriber(cache), CONNECT_MS);
    request.home = argv[1];
    request.provider = argv[2];
    for (int i = 0; i < QUESTION_COUNT && status.code == PROBED_OK; i++) {
        Probed__V1__ProbeResponse *response;

        status = probed_cache_probe(cache, &request, NULL, &response);
        if (status.code == PROBED_OK)
            probed__v1__probe_response__free_unpacked(response, NULL);
    }
    probed_cache_look(cache, &counts);
    if (status.code == PROBED_OK)
        printf("%" PRIu64 " answers from memory, %" PRIu64 " asked for\n", counts.hits, counts.misses);
    else
        fprintf(stderr, "cache: %s\n", status.message);
    probed_cache_close(cache);
    probed_channel_close(channel);
    return status.code == PROBED_OK ? 0 : 1;
}
