#include "server/worker/request.h"

#include "server/base/clock.h"

#include <math.h>
#include <string.h>

/* What proto/README.md 3 lets through, trimmed and lowered by whoever asks. */
bool probe_request_is_provider(const char *name, size_t size)
{
    return size > 0 && size <= LIMIT_PROVIDER_SIZE_MAX &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") == size;
}

static bool probe_request_take_provider(struct probe_request *request, const json_t *provider)
{
    size_t size = json_string_length(provider);

    if (size == 0 || !probe_request_is_provider(json_string_value(provider), size))
        return false;
    memcpy(request->provider, json_string_value(provider), size + 1);
    return true;
}

static uint64_t probe_request_deadline(const json_t *timeout, uint64_t arrived_ns)
{
    double timeout_ms = json_is_number(timeout) ? json_number_value(timeout) : 0;
    uint64_t whole_ms, margin_ms;

    if (!(timeout_ms >= 1))
        timeout_ms = REQUEST_TIMEOUT_MS_DEFAULT;
    whole_ms = (uint64_t)fmin(timeout_ms, REQUEST_TIMEOUT_MS_MAX);
    margin_ms = whole_ms / 10 < REQUEST_MARGIN_MS_MAX ? whole_ms / 10 : REQUEST_MARGIN_MS_MAX;
    return arrived_ns + (whole_ms - margin_ms) * NS_PER_MS;
}

bool probe_request_parse(struct probe_request *request, const char *line, size_t size, uint64_t arrived_ns)
{
    json_t *json = json_loadb(line, size, 0, NULL);
    const json_t *api_key = json_object_get(json, "api_key");

    *request = (struct probe_request){.api_key = TEXT_EMPTY};
    if (!probe_request_take_provider(request, json_object_get(json, "provider"))) {
        json_decref(json);
        return false;
    }
    if (json_is_string(api_key))
        text_add(&request->api_key, json_string_value(api_key), json_string_length(api_key));
    request->id = json_incref(json_object_get(json, "id"));
    request->deadline_ns = probe_request_deadline(json_object_get(json, "timeout_ms"), arrived_ns);
    json_decref(json);
    if (!request->api_key.failed)
        return true;
    probe_request_fini(request); /* without it the home's own key would be asked about */
    return false;
}

void probe_request_fini(struct probe_request *request)
{
    json_decref(request->id);
    text_wipe(&request->api_key);
}
