#include "tests/support/raw.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FRAME_HEAD_SIZE = 9, ID_SIZE = 4, REPLY_SIZE_MAX = 1 << 20 };

int raw_connect(const char *url)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strncpy(address.sun_path, url + strlen("ipc://"), sizeof address.sun_path - 1);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        int error = errno;

        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static bool send_all(int fd, const void *bytes, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t count = send(fd, (const char *)bytes + at, size - at, MSG_NOSIGNAL);

        if (count < 0 && errno != EINTR)
            return false;
        at += count < 0 ? 0 : (size_t)count;
    }
    return true;
}

static bool receive_all(int fd, void *bytes, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t count = read(fd, (char *)bytes + at, size - at);

        if (count == 0 || (count < 0 && errno != EINTR))
            return false;
        at += count < 0 ? 0 : (size_t)count;
    }
    return true;
}

void raw_greeting(enum raw_protocol protocol, unsigned char greeting[RAW_GREETING_SIZE])
{
    memcpy(greeting, "\0SP\0\0\0\0", RAW_GREETING_SIZE);
    greeting[5] = (unsigned char)protocol;
}

bool raw_greet(int fd, enum raw_protocol protocol)
{
    unsigned char greeting[RAW_GREETING_SIZE];

    raw_greeting(protocol, greeting);
    return send_all(fd, greeting, sizeof greeting) && receive_all(fd, greeting, sizeof greeting);
}

bool raw_send(int fd, uint32_t id, const void *message, size_t size)
{
    return raw_send_part(fd, id, message, size, size);
}

bool raw_send_part(int fd, uint32_t id, const void *message, size_t size, size_t part_size)
{
    uint64_t body_size = size + ID_SIZE;
    unsigned char head[FRAME_HEAD_SIZE + ID_SIZE] = {1};

    for (int i = 0; i < 8; i++)
        head[1 + i] = (unsigned char)(body_size >> (56 - 8 * i));
    id |= UINT32_C(0x80000000);
    for (int i = 0; i < ID_SIZE; i++)
        head[FRAME_HEAD_SIZE + i] = (unsigned char)(id >> (24 - 8 * i));
    return send_all(fd, head, sizeof head) && send_all(fd, message, part_size);
}

Probed__V1__RpcResponse *raw_receive(int fd)
{
    unsigned char head[FRAME_HEAD_SIZE + ID_SIZE], *body;
    Probed__V1__RpcResponse *response = NULL;
    uint64_t size = 0;

    if (!receive_all(fd, head, sizeof head))
        return NULL;
    for (int i = 0; i < 8; i++)
        size = size << 8 | head[1 + i];
    if (size < ID_SIZE || size > REPLY_SIZE_MAX)
        return NULL;
    size -= ID_SIZE;
    body = malloc((size_t)size + 1);
    if (body != NULL && receive_all(fd, body, (size_t)size))
        response = probed__v1__rpc_response__unpack(NULL, (size_t)size, body);
    free(body);
    return response;
}

unsigned char *raw_pack(const char *method, uint32_t timeout_ms, const ProtobufCMessage *request, size_t *size_out)
{
    Probed__V1__RpcRequest envelope = PROBED__V1__RPC_REQUEST__INIT;
    unsigned char *message;

    envelope.method = (char *)(uintptr_t)method;
    envelope.timeout_ms = timeout_ms;
    envelope.payload.len = protobuf_c_message_get_packed_size(request);
    envelope.payload.data = malloc(envelope.payload.len + 1);
    ck_assert_ptr_nonnull(envelope.payload.data);
    protobuf_c_message_pack(request, envelope.payload.data);
    *size_out = probed__v1__rpc_request__get_packed_size(&envelope);
    message = malloc(*size_out + 1);
    ck_assert_ptr_nonnull(message);
    probed__v1__rpc_request__pack(&envelope, message);
    free(envelope.payload.data);
    return message;
}

int raw_call(const char *url, const void *message, size_t size)
{
    Probed__V1__RpcResponse *response = NULL;
    int code = -1, fd = raw_connect(url);

    if (fd >= 0 && raw_greet(fd, RAW_REQ) && raw_send(fd, 1, message, size))
        response = raw_receive(fd);
    if (response != NULL) {
        code = (int)response->code;
        probed__v1__rpc_response__free_unpacked(response, NULL);
    }
    if (fd >= 0)
        close(fd);
    return code;
}
