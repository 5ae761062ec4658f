#include "tests/support/caller.h"

#include "server/base/clock.h"
#include "tests/support/patience.h"
#include "tests/support/raw.h"

#include <check.h>
#include <nng/protocol/reqrep0/req.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { REPLY_SIZE_MAX = 64 * 1024 * 1024 };

/* One pair for all calls: who waits looks again at its own. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t settled = PTHREAD_COND_INITIALIZER;

static void must(int error)
{
    ck_assert_msg(error == 0, "nng: %s", nng_strerror(error));
}

void caller_init(struct caller *caller)
{
    must(nng_req0_open(&caller->socket));
    must(nng_socket_set_ms(caller->socket, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE));
    must(nng_socket_set_ms(caller->socket, NNG_OPT_RECONNMINT, 5));
    must(nng_socket_set_ms(caller->socket, NNG_OPT_RECONNMAXT, 5));
    must(nng_socket_set_size(caller->socket, NNG_OPT_RECVMAXSZ, REPLY_SIZE_MAX));
}

void caller_open(struct caller *caller, const char *url)
{
    caller_init(caller);
    must(nng_dial(caller->socket, url, NULL, NNG_FLAG_NONBLOCK));
}

void caller_close(struct caller *caller)
{
    nng_close(caller->socket);
}

/* ---- one call ---- */

static void settle(struct call *call, int error)
{
    pthread_mutex_lock(&mutex);
    call->answered_ns = clock_now_ns();
    call->error = error;
    call->settled = true;
    pthread_cond_broadcast(&settled);
    pthread_mutex_unlock(&mutex);
}

/* The aio's callback: first the request is sent, then the reply has come. */
static void step(void *context)
{
    struct call *call = context;
    int error = nng_aio_result(call->aio);

    if (error != 0) {
        if (!call->receiving)
            nng_msg_free(nng_aio_get_msg(call->aio));
        settle(call, error);
    } else if (call->receiving) {
        call->reply = nng_aio_get_msg(call->aio);
        settle(call, 0);
    } else {
        call->receiving = true;
        nng_ctx_recv(call->context, call->aio);
    }
}

static struct call *begin(struct caller *caller, nng_msg *message)
{
    struct call *call = calloc(1, sizeof *call);

    ck_assert_ptr_nonnull(call);
    must(nng_aio_alloc(&call->aio, step, call));
    must(nng_ctx_open(&call->context, caller->socket));
    nng_aio_set_timeout(call->aio, PATIENCE_MS);
    nng_aio_set_msg(call->aio, message);
    call->sent_ns = clock_now_ns();
    nng_ctx_send(call->context, call->aio);
    return call;
}

struct call *call_begin(struct caller *caller, const char *method, uint32_t timeout_ms, const ProtobufCMessage *request)
{
    size_t size;
    unsigned char *message = raw_pack(method, timeout_ms, request, &size);
    struct call *call = call_begin_raw(caller, message, size);

    free(message);
    return call;
}

struct call *call_begin_raw(struct caller *caller, const void *bytes, size_t size)
{
    nng_msg *message;

    must(nng_msg_alloc(&message, 0));
    must(nng_msg_append(message, bytes, size));
    return begin(caller, message);
}

void call_wait(struct call *call)
{
    pthread_mutex_lock(&mutex);
    while (!call->settled)
        pthread_cond_wait(&settled, &mutex); /* the aio has its timeout */
    pthread_mutex_unlock(&mutex);
    if (call->error != 0 || call->response != NULL)
        return;
    call->response = probed__v1__rpc_response__unpack(NULL, nng_msg_len(call->reply), nng_msg_body(call->reply));
    ck_assert_msg(call->response != NULL, "the reply is no RpcResponse");
}

bool call_is_settled(struct call *call)
{
    bool is_settled;

    pthread_mutex_lock(&mutex);
    is_settled = call->settled;
    pthread_mutex_unlock(&mutex);
    return is_settled;
}

void call_end(struct call *call)
{
    nng_ctx_close(call->context);
    nng_aio_free(call->aio); /* waits for the callback */
    if (call->payload != NULL)
        protobuf_c_message_free_unpacked(call->payload, NULL);
    if (call->response != NULL)
        probed__v1__rpc_response__free_unpacked(call->response, NULL);
    nng_msg_free(call->reply);
    free(call);
}

void call_expect(struct call *call, enum status_code code, const char *message)
{
    call_wait(call);
    ck_assert_msg(call->error == 0, "no reply: %s", nng_strerror(call->error));
    ck_assert_msg((int)call->response->code == (int)code, "%s instead of %s: %s",
                  status_code_name((enum status_code)call->response->code), status_code_name(code),
                  call->response->message);
    ck_assert_msg(message == NULL || strstr(call->response->message, message) != NULL, "\"%s\" is not in \"%s\"",
                  message == NULL ? "" : message, call->response->message);
    if (code != STATUS_OK)
        ck_assert_uint_eq(call->response->payload.len, 0);
}

ProtobufCMessage *call_payload(struct call *call, const ProtobufCMessageDescriptor *descriptor)
{
    call_expect(call, STATUS_OK, NULL);
    if (call->payload == NULL)
        call->payload =
            protobuf_c_message_unpack(descriptor, NULL, call->response->payload.len, call->response->payload.data);
    ck_assert_msg(call->payload != NULL, "the payload is no %s", descriptor->name);
    return call->payload;
}

/* ---- the methods, for short ---- */

struct call *probe_begin(struct caller *caller, const char *home, const char *provider, const char *api_key,
                         uint32_t timeout_ms)
{
    Probed__V1__ProbeRequest request = PROBED__V1__PROBE_REQUEST__INIT;

    request.home = (char *)(uintptr_t)home;
    request.provider = (char *)(uintptr_t)provider;
    if (api_key != NULL)
        request.api_key = (char *)(uintptr_t)api_key;
    return call_begin(caller, METHOD_PROBE, timeout_ms, &request.base);
}

const Probed__V1__ProbeResponse *probe_response(struct call *call)
{
    return (const Probed__V1__ProbeResponse *)call_payload(call, &probed__v1__probe_response__descriptor);
}

struct call *invalidate_begin(struct caller *caller, const char *home, const char *provider,
                              Probed__V1__Barrier barrier)
{
    Probed__V1__InvalidateRequest request = PROBED__V1__INVALIDATE_REQUEST__INIT;

    request.home = (char *)(uintptr_t)home;
    request.provider = (char *)(uintptr_t)provider;
    request.barrier = barrier;
    return call_begin(caller, METHOD_INVALIDATE, 0, &request.base);
}

const Probed__V1__InvalidateResponse *invalidate_response(struct call *call)
{
    return (const Probed__V1__InvalidateResponse *)call_payload(call, &probed__v1__invalidate_response__descriptor);
}

struct call *sync_begin(struct caller *caller, const char *home)
{
    Probed__V1__SyncRequest request = PROBED__V1__SYNC_REQUEST__INIT;

    request.home = (char *)(uintptr_t)home;
    return call_begin(caller, METHOD_SYNC, 0, &request.base);
}

const Probed__V1__SyncResponse *sync_response(struct call *call)
{
    return (const Probed__V1__SyncResponse *)call_payload(call, &probed__v1__sync_response__descriptor);
}
