// The public header from C++: it compiles without a warning, and calls link and run.
#include <probed/client.h>

#include <string.h>

namespace {

struct Told {
    unsigned count = 0;
};

void on_gap(void *context, const char *, const char *)
{
    static_cast<Told *>(context)->count++;
}

} // namespace

int main()
{
    probed_channel *channel = nullptr;
    probed_channel_options options = {};
    options.timeout_ms = 10000;
    if (probed_channel_open(&options, &channel).code != PROBED_OK)
        return 1;

    Probed__V1__ProbeRequest request = PROBED__V1__PROBE_REQUEST__INIT;
    char home[] = "/h", provider[] = "openrouter";
    request.home = home;
    request.provider = provider;
    Probed__V1__ProbeResponse *response = nullptr;
    probed_status status = probed_probe(channel, &request, nullptr, &response);
    bool well = status.code == PROBED_OK && strcmp(response->usage->provider, provider) == 0;
    if (status.code == PROBED_OK)
        probed__v1__probe_response__free_unpacked(response, nullptr);

    probed_stub stub;
    Probed__V1__SyncRequest sync = PROBED__V1__SYNC_REQUEST__INIT;
    sync.home = home;
    probed_stub_init(&stub, channel, &probed__v1__probe_service__descriptor, nullptr);
    probed__v1__probe_service__sync(&stub.base, &sync, nullptr, nullptr);
    well = well && stub.status.code == PROBED_OK && stub.response != nullptr;
    if (stub.response != nullptr)
        protobuf_c_message_free_unpacked(stub.response, nullptr);

    Told told;
    probed_subscriber_options subscription = {};
    probed_subscriber *subscriber = nullptr;
    subscription.url = "ipc:///nonexistent";
    subscription.all_homes = true;
    subscription.on_gap = on_gap;
    subscription.context = &told;
    well = well && probed_subscriber_open(&subscription, &subscriber).code == PROBED_OK;
    probed_subscriber_close(subscriber);
    probed_channel_close(channel);
    return well ? 0 : 1;
}
