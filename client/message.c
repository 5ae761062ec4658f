/* RpcRequest out, RpcResponse in. */
#include "client/message.h"

#include "gen/probed/v1/rpc.pb-c.h"
#include "proto/limits.h"
#include "proto/wire.h"

#include <stdlib.h>
#include <string.h>

/* ---- requests ---- */

enum { PAYLOAD_FIELD = 3, PAYLOAD_TAG = PAYLOAD_FIELD << 3 | 2, PAYLOAD_HEAD_SIZE_MAX = 1 + 10 };

static bool metadata_valid(const struct probed_metadata *entry)
{
    size_t key_size = strlen(entry->key);

    return key_size >= 1 && key_size <= LIMIT_METADATA_KEY_SIZE_MAX &&
           strspn(entry->key, "0123456789abcdefghijklmnopqrstuvwxyz_.-") == key_size &&
           strlen(entry->value) <= LIMIT_METADATA_VALUE_SIZE_MAX;
}

static struct probed_status check_envelope(const struct request *request)
{
    if (request->method[0] == '\0' || strlen(request->method) > LIMIT_METHOD_SIZE_MAX)
        return outcome_make(PROBED_INVALID_ARGUMENT, "the method's name has %zu bytes, not 1 to %d",
                            strlen(request->method), LIMIT_METHOD_SIZE_MAX);
    if (request->metadata_count > LIMIT_METADATA_COUNT_MAX)
        return outcome_make(PROBED_INVALID_ARGUMENT, "%zu entries of metadata, more than %d", request->metadata_count,
                            LIMIT_METADATA_COUNT_MAX);
    for (size_t i = 0; i < request->metadata_count; i++) {
        if (!metadata_valid(&request->metadata[i]))
            return outcome_make(PROBED_INVALID_ARGUMENT,
                                "metadata %zu: a key has 1 to %d bytes of [0-9a-z_.-], a value at most %d", i,
                                LIMIT_METADATA_KEY_SIZE_MAX, LIMIT_METADATA_VALUE_SIZE_MAX);
    }
    return outcome_ok();
}

/* Everything but the payload, lent by the request and the caller's arrays. */
static void head_of(const struct request *request, uint32_t timeout_ms, Probed__V1__RpcRequest *head,
                    Probed__V1__Metadata *entries, Probed__V1__Metadata **pointers)
{
    probed__v1__rpc_request__init(head);
    head->method = (char *)(uintptr_t)request->method;
    head->timeout_ms = timeout_ms;
    head->n_metadata = request->metadata_count;
    head->metadata = pointers;
    for (size_t i = 0; i < request->metadata_count; i++) {
        probed__v1__metadata__init(&entries[i]);
        entries[i].key = (char *)(uintptr_t)request->metadata[i].key;
        entries[i].value = (char *)(uintptr_t)request->metadata[i].value;
        pointers[i] = &entries[i];
    }
}

static size_t payload_size_of(const struct request *request)
{
    return request->message != NULL ? protobuf_c_message_get_packed_size(request->message) : request->bytes_size;
}

/* The payload's tag and size; how many bytes that took. */
static size_t write_payload_head(unsigned char out[PAYLOAD_HEAD_SIZE_MAX], size_t payload_size)
{
    size_t size = 0;

    out[size++] = PAYLOAD_TAG;
    while (payload_size >= 0x80) {
        out[size++] = (unsigned char)(payload_size | 0x80);
        payload_size >>= 7;
    }
    out[size++] = (unsigned char)payload_size;
    return size;
}

struct probed_status request_pack(const struct request *request, uint32_t timeout_ms, nng_msg **message_out)
{
    struct probed_status status = check_envelope(request);
    Probed__V1__Metadata entries[LIMIT_METADATA_COUNT_MAX], *pointers[LIMIT_METADATA_COUNT_MAX];
    Probed__V1__RpcRequest head;
    unsigned char payload_head[PAYLOAD_HEAD_SIZE_MAX], *out;
    size_t head_size, payload_size, payload_head_size, size;
    nng_msg *message;

    if (!outcome_is_ok(&status))
        return status;
    head_of(request, timeout_ms, &head, entries, pointers);
    head_size = probed__v1__rpc_request__get_packed_size(&head);
    payload_size = payload_size_of(request);
    payload_head_size = write_payload_head(payload_head, payload_size);
    size = head_size + payload_head_size + payload_size;
    if (size > request->size_max)
        return outcome_make(PROBED_RESOURCE_EXHAUSTED,
                            "the request has %zu bytes, more than %zu (request_size_max here, "
                            "server.request_bytes_max there)",
                            size, request->size_max);
    if (nng_msg_alloc(&message, size) != 0)
        return outcome_make(PROBED_RESOURCE_EXHAUSTED, "no memory for a request of %zu bytes", size);
    out = nng_msg_body(message);
    out += probed__v1__rpc_request__pack(&head, out);
    memcpy(out, payload_head, payload_head_size);
    out += payload_head_size;
    if (request->message != NULL)
        protobuf_c_message_pack(request->message, out);
    else if (payload_size > 0)
        memcpy(out, request->bytes, payload_size);
    *message_out = message;
    return outcome_ok();
}

/* ---- replies ---- */

/* What a message may take once it is unpacked: more than any that says something, less than one made of nothing but
 * empty parts, which would grow 32-fold. */
enum { UNPACKED_FACTOR = 16, UNPACKED_SIZE_MIN = 65536 };

static size_t unpacked_size_max(size_t packed_size)
{
    return UNPACKED_SIZE_MIN + UNPACKED_FACTOR * packed_size;
}

struct probed_status reply_open(struct reply *reply, const nng_msg *message, const char *url)
{
    const void *body = nng_msg_body((nng_msg *)(uintptr_t)message);
    size_t size = nng_msg_len(message);
    ProtobufCMessage *opened;
    Probed__V1__RpcResponse *response;
    struct status status;
    struct probed_status outcome;

    arena_init(&reply->arena, reply->first, sizeof reply->first, unpacked_size_max(size));
    reply->payload = reply->first;
    reply->payload_size = 0;
    status = wire_unpack(&probed__v1__rpc_response__descriptor, body, size, &reply->arena, &opened);
    if (!status_is_ok(&status))
        return outcome_make(PROBED_INTERNAL, "what %s answered is no answer: %s", url, status.message);
    response = (Probed__V1__RpcResponse *)opened;
    if (response->code == PROBED__V1__STATUS_CODE__OK) {
        if (response->payload.len > 0)
            reply->payload = response->payload.data;
        reply->payload_size = response->payload.len;
        return outcome_ok();
    }
    outcome =
        outcome_make((unsigned)response->code < STATUS_CODE_COUNT ? (enum probed_code)response->code : PROBED_UNKNOWN,
                     "%s", response->message);
    outcome.retry_after_ms = response->retry_after_ms;
    return outcome;
}

void reply_fini(struct reply *reply)
{
    arena_fini(&reply->arena);
}

/* malloc and free with a bound on what is taken altogether. */
struct budget {
    size_t left;
    bool exceeded;
};

static void *take_from_budget(void *context, size_t size)
{
    struct budget *budget = context;
    void *memory = size <= budget->left ? malloc(size) : NULL;

    if (memory == NULL)
        budget->exceeded = true;
    else
        budget->left -= size;
    return memory;
}

static void give_back(void *context, void *memory)
{
    (void)context;
    free(memory);
}

struct probed_status reply_unpack(const ProtobufCMessageDescriptor *descriptor, const void *payload,
                                  size_t payload_size, ProtobufCMessage **message_out)
{
    struct budget budget = {.left = unpacked_size_max(payload_size)};
    ProtobufCAllocator allocator = {.alloc = take_from_budget, .free = give_back, .allocator_data = &budget};
    struct status status = wire_check(descriptor, payload, payload_size);
    ProtobufCMessage *message;

    if (!status_is_ok(&status))
        return outcome_make(PROBED_INTERNAL, "the answer cannot be read: %s", status.message);
    message = protobuf_c_message_unpack(descriptor, &allocator, payload_size, payload);
    if (message == NULL && budget.exceeded)
        return outcome_make(PROBED_INTERNAL, "the answer's %zu bytes take more than %zu when unpacked", payload_size,
                            unpacked_size_max(payload_size));
    if (message == NULL)
        return outcome_make(PROBED_INTERNAL, "the answer cannot be read: the bytes are no %s", descriptor->name);
    *message_out = message;
    return outcome_ok();
}
