/* The yardstick: a bare nng REP server that unpacks the same requests and packs the same replies as probed, and does
 * nothing else.  No peers, no limits, no cache, no engine: what is left is the transport and protobuf-c.
 *
 *     bench-baseline URL NNG-CPU       NNG-CPU: a CPU to keep nng's threads on, or "any"
 *
 * It serves until SIGTERM. */
#include "gen/probed/v1/probe.pb-c.h"
#include "gen/probed/v1/rpc.pb-c.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONTEXT_COUNT = 128 };

struct slot {
    nng_ctx context;
    nng_aio *aio;
    bool sending;
};

static void die(const char *what, int error)
{
    fprintf(stderr, "bench-baseline: %s: %s\n", what, nng_strerror(error));
    exit(1);
}

/* The reply that probed would give: one account with two windows. */
static nng_msg *reply_to(const Probed__V1__ProbeRequest *request)
{
    Probed__V1__UsageWindow windows[2] = {PROBED__V1__USAGE_WINDOW__INIT, PROBED__V1__USAGE_WINDOW__INIT};
    Probed__V1__UsageWindow *window_pointers[2] = {&windows[0], &windows[1]};
    Probed__V1__AccountUsage usage = PROBED__V1__ACCOUNT_USAGE__INIT;
    Probed__V1__Fence fence = PROBED__V1__FENCE__INIT;
    Probed__V1__Receipt receipt = PROBED__V1__RECEIPT__INIT;
    Probed__V1__ProbeResponse response = PROBED__V1__PROBE_RESPONSE__INIT;
    Probed__V1__RpcResponse envelope = PROBED__V1__RPC_RESPONSE__INIT;
    unsigned char payload[1024];
    nng_msg *message;
    int error;

    for (size_t i = 0; i < 2; i++) {
        windows[i].label = (char *)(uintptr_t)(i == 0 ? "Session" : "Weekly");
        windows[i].used_case = PROBED__V1__USAGE_WINDOW__USED_USED_PERCENT;
        windows[i].used_percent = 12.5;
        windows[i].remaining_case = PROBED__V1__USAGE_WINDOW__REMAINING_REMAINING_PERCENT;
        windows[i].remaining_percent = 87.5;
        windows[i].reset_at_ms = INT64_C(1790000000000);
        windows[i].window_seconds = 18000;
    }
    usage.provider = request->provider;
    usage.status = PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_OK;
    usage.source = (char *)(uintptr_t) "usage_api";
    usage.title = (char *)(uintptr_t) "Account limits";
    usage.plan = (char *)(uintptr_t) "Plus";
    usage.windows = window_pointers;
    usage.n_windows = 2;
    usage.fetched_at_ms = INT64_C(1790000000000);
    usage.available = 1;
    usage.http_status = 200;
    fence.epoch = 1;
    fence.generation = 1;
    receipt.lease_id = 1;
    receipt.worker_id = 1;
    response.usage = &usage;
    response.fence = &fence;
    response.receipt = &receipt;
    response.origin = PROBED__V1__ORIGIN__ORIGIN_CACHED;
    envelope.payload.data = payload;
    envelope.payload.len = probed__v1__probe_response__pack(&response, payload);
    error = nng_msg_alloc(&message, probed__v1__rpc_response__get_packed_size(&envelope));
    if (error != 0)
        die("no memory for a reply", error);
    probed__v1__rpc_response__pack(&envelope, nng_msg_body(message));
    return message;
}

static void answer(struct slot *slot)
{
    nng_msg *message = nng_aio_get_msg(slot->aio), *reply;
    Probed__V1__RpcRequest *envelope =
        probed__v1__rpc_request__unpack(NULL, nng_msg_len(message), nng_msg_body(message));
    Probed__V1__ProbeRequest *request;

    if (envelope == NULL)
        die("no RpcRequest", NNG_EPROTO);
    request = probed__v1__probe_request__unpack(NULL, envelope->payload.len, envelope->payload.data);
    if (request == NULL)
        die("no ProbeRequest", NNG_EPROTO);
    reply = reply_to(request);
    probed__v1__probe_request__free_unpacked(request, NULL);
    probed__v1__rpc_request__free_unpacked(envelope, NULL);
    nng_msg_free(message);
    slot->sending = true;
    nng_aio_set_msg(slot->aio, reply);
    nng_ctx_send(slot->context, slot->aio);
}

static void step(void *argument)
{
    struct slot *slot = argument;
    int error = nng_aio_result(slot->aio);

    if (error == NNG_ECLOSED || error == NNG_ECANCELED)
        return;
    if (error != 0 && slot->sending)
        nng_msg_free(nng_aio_get_msg(slot->aio));
    if (error == 0 && !slot->sending) {
        answer(slot);
    } else {
        slot->sending = false;
        nng_ctx_recv(slot->context, slot->aio);
    }
}

/* nng's threads inherit the mask of whoever makes its first call. */
static void open_socket(nng_socket *socket, const char *cpu)
{
    cpu_set_t before, one;
    int error;

    sched_getaffinity(0, sizeof before, &before);
    if (strcmp(cpu, "any") != 0) {
        CPU_ZERO(&one);
        CPU_SET((size_t)atoi(cpu), &one);
        sched_setaffinity(0, sizeof one, &one);
    }
    error = nng_rep0_open(socket);
    if (error != 0)
        die("open", error);
    sched_setaffinity(0, sizeof before, &before);
}

int main(int argc, char **argv)
{
    static struct slot slots[CONTEXT_COUNT];
    nng_socket socket;
    sigset_t ends;
    int error, signal_number;

    if (argc != 3) {
        fprintf(stderr, "usage: bench-baseline URL NNG-CPU\n");
        return 2;
    }
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    open_socket(&socket, argv[2]);
    for (size_t i = 0; i < CONTEXT_COUNT; i++) {
        if ((error = nng_ctx_open(&slots[i].context, socket)) != 0 ||
            (error = nng_aio_alloc(&slots[i].aio, step, &slots[i])) != 0)
            die("context", error);
        nng_ctx_recv(slots[i].context, slots[i].aio);
    }
    if ((error = nng_listen(socket, argv[1], NULL, 0)) != 0)
        die(argv[1], error);
    sigwait(&ends, &signal_number);
    nng_close(socket);
    for (size_t i = 0; i < CONTEXT_COUNT; i++)
        nng_aio_free(slots[i].aio);
    nng_fini();
    return 0;
}
