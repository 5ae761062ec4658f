/* RpcRequest in, RpcResponse out. */
#include "proto/envelope.h"

#include "proto/limits.h"
#include "proto/utf8.h"
#include "proto/wire.h"

#include <string.h>

_Static_assert((int)STATUS_UNAUTHENTICATED == (int)PROBED__V1__STATUS_CODE__UNAUTHENTICATED &&
                   (int)STATUS_ABORTED == (int)PROBED__V1__STATUS_CODE__ABORTED,
               "struct status and the wire number the codes alike");

static bool metadata_key_valid(const char *key)
{
    size_t size = strlen(key);

    return size >= 1 && size <= LIMIT_METADATA_KEY_SIZE_MAX &&
           strspn(key, "0123456789abcdefghijklmnopqrstuvwxyz_.-") == size;
}

static struct status check_metadata(const Probed__V1__RpcRequest *request)
{
    if (request->n_metadata > LIMIT_METADATA_COUNT_MAX)
        return status_make(STATUS_INVALID_ARGUMENT, "metadata has %zu entries, more than %d", request->n_metadata,
                           LIMIT_METADATA_COUNT_MAX);
    for (size_t i = 0; i < request->n_metadata; i++) {
        const Probed__V1__Metadata *entry = request->metadata[i];

        if (!metadata_key_valid(entry->key))
            return status_make(STATUS_INVALID_ARGUMENT, "metadata key %zu is not 1 to %d bytes of [0-9a-z_.-]", i,
                               LIMIT_METADATA_KEY_SIZE_MAX);
        if (strlen(entry->value) > LIMIT_METADATA_VALUE_SIZE_MAX)
            return status_make(STATUS_INVALID_ARGUMENT, "metadata value of \"%s\" has %zu bytes, more than %d",
                               entry->key, strlen(entry->value), LIMIT_METADATA_VALUE_SIZE_MAX);
    }
    return status_ok();
}

struct status envelope_open_request(const void *data, size_t size, struct arena *arena,
                                    Probed__V1__RpcRequest **request_out)
{
    ProtobufCMessage *message;
    Probed__V1__RpcRequest *request;
    struct status status = wire_unpack(&probed__v1__rpc_request__descriptor, data, size, arena, &message);

    if (!status_is_ok(&status))
        return status;
    request = (Probed__V1__RpcRequest *)message;
    if (request->method[0] == '\0')
        return status_make(STATUS_INVALID_ARGUMENT, "RpcRequest.method is empty");
    if (strlen(request->method) > LIMIT_METHOD_SIZE_MAX)
        return status_make(STATUS_INVALID_ARGUMENT, "RpcRequest.method has %zu bytes, more than %d",
                           strlen(request->method), LIMIT_METHOD_SIZE_MAX);
    status = check_metadata(request);
    if (status_is_ok(&status))
        *request_out = request;
    return status;
}

const char *envelope_metadata(const Probed__V1__RpcRequest *request, const char *key)
{
    for (size_t i = 0; i < request->n_metadata; i++) {
        if (strcmp(request->metadata[i]->key, key) == 0)
            return request->metadata[i]->value;
    }
    return NULL;
}

enum { PAYLOAD_FIELD = 3, PAYLOAD_TAG = PAYLOAD_FIELD << 3 | 2 };

static size_t varint_size(size_t value)
{
    size_t size = 1;

    while (value >= 0x80) {
        value >>= 7;
        size++;
    }
    return size;
}

static unsigned char *write_varint(unsigned char *out, size_t value)
{
    while (value >= 0x80) {
        *out++ = (unsigned char)(value | 0x80);
        value >>= 7;
    }
    *out++ = (unsigned char)value;
    return out;
}

static size_t payload_size(const struct envelope_reply *reply)
{
    size_t size = 0;

    for (size_t i = 0; status_is_ok(reply->status) && i < ENVELOPE_PIECE_COUNT_MAX; i++)
        size += reply->payload[i].size;
    return size;
}

/* Everything of the reply but its payload, lent by `reply` and the two caller's variables. */
static void head_of(const struct envelope_reply *reply, Probed__V1__RpcResponse *head, Probed__V1__Metadata *entry,
                    Probed__V1__Metadata **entries)
{
    probed__v1__rpc_response__init(head);
    head->code = (Probed__V1__StatusCode)reply->status->code;
    head->message = (char *)(uintptr_t)reply->status->message;
    head->retry_after_ms = reply->status->retry_after_ms;
    if (reply->request_id != NULL && reply->request_id[0] != '\0') {
        probed__v1__metadata__init(entry);
        entry->key = (char *)(uintptr_t) "request-id";
        entry->value = (char *)(uintptr_t)reply->request_id;
        *entries = entry;
        head->metadata = entries;
        head->n_metadata = 1;
    }
}

size_t envelope_reply_size(const struct envelope_reply *reply)
{
    Probed__V1__RpcResponse head;
    Probed__V1__Metadata entry, *entries;
    size_t payload = payload_size(reply);

    head_of(reply, &head, &entry, &entries);
    return probed__v1__rpc_response__get_packed_size(&head) + (payload == 0 ? 0 : 1 + varint_size(payload) + payload);
}

void envelope_reply_write(const struct envelope_reply *reply, unsigned char *out)
{
    Probed__V1__RpcResponse head;
    Probed__V1__Metadata entry, *entries;
    size_t payload = payload_size(reply);

    head_of(reply, &head, &entry, &entries);
    out += probed__v1__rpc_response__pack(&head, out);
    if (payload == 0)
        return;
    *out++ = PAYLOAD_TAG;
    out = write_varint(out, payload);
    for (size_t i = 0; i < ENVELOPE_PIECE_COUNT_MAX; i++) {
        if (reply->payload[i].size > 0)
            memcpy(out, reply->payload[i].data, reply->payload[i].size);
        out += reply->payload[i].size;
    }
}
