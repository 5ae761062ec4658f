/* One call: how much of an account is used up.
 *
 *     call HOME PROVIDER
 *
 * C11 and C++; cc call.c $(pkg-config --cflags --libs libprobed) */
#include <probed/client.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    Probed__V1__ProbeRequest request = PROBED__V1__PROBE_REQUEST__INIT;
    Probed__V1__ProbeResponse *response;
    struct probed_channel_options channel_options;
    struct probed_call_options call_options;
    struct probed_channel *channel;
    struct probed_status status;

    if (argc != 3) {
        fprintf(stderr, "usage: call HOME PROVIDER\n");
        return 2;
    }
    memset(&channel_options, 0, sizeof channel_options); /* what is 0 has its default */
    channel_options.retries_max = 3;                     /* within the deadline below */
    status = probed_channel_open(&channel_options, &channel);
    if (status.code != PROBED_OK) {
        fprintf(stderr, "call: %s\n", status.message);
        return 2;
    }
    memset(&call_options, 0, sizeof call_options);
    call_options.timeout_ms = 10000;
    request.home = argv[1];
    request.provider = argv[2];
    status = probed_probe(channel, &request, &call_options, &response);
    if (status.code == PROBED_OK) {
        for (size_t i = 0; i < response->usage->n_windows; i++)
            printf("%s: %.0f%% used\n", response->usage->windows[i]->label, response->usage->windows[i]->used_percent);
        probed__v1__probe_response__free_unpacked(response, NULL);
    } else {
        fprintf(stderr, "call: %s: %s\n", probed_code_name(status.code), status.message);
    }
    probed_channel_close(channel);
    return status.code == PROBED_OK ? 0 : 1;
}
