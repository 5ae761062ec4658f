/* The yardsticks: nng REP servers that do nothing but answer.
 *
 *     bench-server echo|pack|publish URL NNG-CPU       NNG-CPU: a CPU to keep nng's threads on, or "any"
 *
 * echo: the same bytes to everyone, of the size of an answer: what is left is the transport.  pack: the request is
 * unpacked and the answer that probed would give is packed: the transport and protobuf-c.  No peers, no limits, no
 * cache, no engine in either.  publish: a PUB socket that sends something of an event's size every 10 ms, and prints
 * at its end how long that took, as JSON in microseconds.
 *
 * It serves until SIGTERM. */
#include "gen/probed/v1/probe.pb-c.h"
#include "gen/probed/v1/rpc.pb-c.h"
#include "tests/bench/common.h"

#include <nng/protocol/pubsub0/pub.h>
#include <nng/protocol/reqrep0/rep.h>
#include <signal.h>
#include <stdbool.h>
#include <unistd.h>

enum { CONTEXT_COUNT = 512, EVENT_SIZE = 128, PUBLISH_EVERY_MS = 10 };

struct slot {
    nng_ctx context;
    nng_aio *aio;
    bool sending;
};

static bool packs, on_one_cpu;
static nng_msg *fixed_reply; /* of echo */

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
    char *details[] = {(char *)(uintptr_t) "probeload pid=12345 number=42 started=12345678901234 "
                                           "answered=12345678901234 key=0123456789abcdef sign=0123456789abcdef"};
    unsigned char payload[1024];
    nng_msg *message;

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
    usage.details = details;
    usage.n_details = 1;
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
    must(nng_msg_alloc(&message, probed__v1__rpc_response__get_packed_size(&envelope)), "no memory for a reply");
    probed__v1__rpc_response__pack(&envelope, nng_msg_body(message));
    return message;
}

static nng_msg *unpack_and_reply(nng_msg *message)
{
    Probed__V1__RpcRequest *envelope =
        probed__v1__rpc_request__unpack(NULL, nng_msg_len(message), nng_msg_body(message));
    Probed__V1__ProbeRequest *request;
    nng_msg *reply;

    must(envelope == NULL ? NNG_EPROTO : 0, "no RpcRequest");
    request = probed__v1__probe_request__unpack(NULL, envelope->payload.len, envelope->payload.data);
    must(request == NULL ? NNG_EPROTO : 0, "no ProbeRequest");
    reply = reply_to(request);
    probed__v1__probe_request__free_unpacked(request, NULL);
    probed__v1__rpc_request__free_unpacked(envelope, NULL);
    return reply;
}

static void answer(struct slot *slot)
{
    nng_msg *message = nng_aio_get_msg(slot->aio), *reply;

    if (packs)
        reply = unpack_and_reply(message);
    else
        must(nng_msg_dup(&reply, fixed_reply), "no memory for a reply");
    nng_msg_free(message);
    slot->sending = true;
    nng_aio_set_msg(slot->aio, reply);
    nng_ctx_send(slot->context, slot->aio);
}

static void step(void *argument)
{
    struct slot *slot = argument;
    int error = nng_aio_result(slot->aio);

    if (on_one_cpu)
        become_batch();
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

static void publish(const char *url, const char *cpu, const sigset_t *ends)
{
    static struct histogram taken;
    static const char event[EVENT_SIZE] = "beat\n";
    struct timespec pause = timespec_of(PUBLISH_EVERY_MS * NS_PER_MS);
    nng_socket socket;

    must(open_on_cpu(nng_pub0_open, &socket, cpu), "open");
    must(nng_listen(socket, url, NULL, 0), url);
    while (sigtimedwait(ends, NULL, &pause) < 0) {
        nng_msg *message;
        uint64_t begun_ns;

        must(nng_msg_alloc(&message, 0), "event");
        must(nng_msg_append(message, event, sizeof event), "event");
        begun_ns = now_ns();
        must(nng_sendmsg(socket, message, 0), "publish");
        histogram_add(&taken, now_ns() - begun_ns);
    }
    putchar('{');
    print_latency(stdout, &taken);
    puts("}");
    fflush(stdout);
    _exit(0); /* closing thousands of connections shows nothing */
}

static void serve(const char *url, const char *cpu, const sigset_t *ends)
{
    static struct slot slots[CONTEXT_COUNT];
    Probed__V1__ProbeRequest request = PROBED__V1__PROBE_REQUEST__INIT;
    nng_socket socket;
    int signal_number;

    must(open_on_cpu(nng_rep0_open, &socket, cpu), "open");
    request.provider = (char *)(uintptr_t) "openrouter";
    fixed_reply = reply_to(&request);
    for (size_t i = 0; i < CONTEXT_COUNT; i++) {
        must(nng_ctx_open(&slots[i].context, socket), "context");
        must(nng_aio_alloc(&slots[i].aio, step, &slots[i]), "aio");
        nng_ctx_recv(slots[i].context, slots[i].aio);
    }
    must(nng_listen(socket, url, NULL, 0), url);
    sigwait(ends, &signal_number);
    nng_close(socket);
    for (size_t i = 0; i < CONTEXT_COUNT; i++)
        nng_aio_free(slots[i].aio);
    nng_msg_free(fixed_reply);
    nng_fini();
}

int main(int argc, char **argv)
{
    sigset_t ends;

    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, NULL); /* every thread inherits it */
    packs = argc == 4 && strcmp(argv[1], "pack") == 0;
    on_one_cpu = argc == 4 && strcmp(argv[3], "any") != 0 && getenv("BENCH_PROCESSORS") == NULL;
    if (argc == 4 && (packs || strcmp(argv[1], "echo") == 0)) {
        serve(argv[2], argv[3], &ends);
    } else if (argc == 4 && strcmp(argv[1], "publish") == 0) {
        publish(argv[2], argv[3], &ends);
    } else {
        fprintf(stderr, "usage: bench-server echo|pack|publish URL NNG-CPU\n");
        return 2;
    }
    return 0;
}
