/* What peers send: any bytes are refused, or are a message whose strings are UTF-8 without NUL. */
#include "proto/wire.h"

#include "gen/grpc/health/v1/health.pb-c.h"
#include "gen/probed/v1/admin.pb-c.h"
#include "gen/probed/v1/probe.pb-c.h"
#include "proto/envelope.h"
#include "proto/utf8.h"
#include "tests/fuzz/input.h"

enum { ARENA_SIZE_MAX = 1024 * 1024 };

static void check(bool condition)
{
    if (!condition)
        abort();
}

/* Packs again what was unpacked: every pointer and every size of it is used. */
static void check_repack(const ProtobufCMessage *message)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *packed = malloc(size + 1);

    check(packed != NULL);
    check(protobuf_c_message_pack(message, packed) == size);
    free(packed);
}

static void unpack(const ProtobufCMessageDescriptor *descriptor, const uint8_t *data, size_t size)
{
    unsigned char first[256];
    struct arena arena;
    ProtobufCMessage *message;
    struct status status;

    arena_init(&arena, first, sizeof first, ARENA_SIZE_MAX);
    status = wire_unpack(descriptor, data, size, &arena, &message);
    if (status_is_ok(&status))
        check_repack(message);
    else
        check(status.code == STATUS_INVALID_ARGUMENT || status.code == STATUS_RESOURCE_EXHAUSTED);
    arena_fini(&arena);
}

static void open_envelope(const uint8_t *data, size_t size)
{
    struct arena arena;
    Probed__V1__RpcRequest *request;
    struct status status;

    arena_init(&arena, NULL, 0, ARENA_SIZE_MAX);
    status = envelope_open_request(data, size, &arena, &request);
    if (status_is_ok(&status)) {
        check(utf8_valid(request->method, strlen(request->method)));
        (void)envelope_metadata(request, "request-id");
        unpack(&probed__v1__probe_request__descriptor, request->payload.data, request->payload.len);
    }
    arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    open_envelope(data, size);
    unpack(&probed__v1__rpc_request__descriptor, data, size);
    unpack(&probed__v1__probe_request__descriptor, data, size);
    unpack(&probed__v1__invalidate_request__descriptor, data, size);
    unpack(&probed__v1__sync_request__descriptor, data, size);
    unpack(&probed__v1__list_homes_request__descriptor, data, size);
    unpack(&grpc__health__v1__health_check_request__descriptor, data, size);
    return 0;
}
