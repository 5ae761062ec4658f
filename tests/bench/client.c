/* The client of everything that speaks nng here: as lean as one can be, and the same for all of them.
 *
 *     bench-client --url URL [option value]…
 *
 *       --mode echo|probe|invalidate   echo sends packed bytes and reads nothing; the others pack and unpack (probe)
 *       --in-flight N, --seconds S, --warm-up S, --nng-cpu CPU|any
 *       --home DIR                     may be repeated, taken in turn
 *       --providers N, --keys N        different made-up providers, api_keys, in turn
 *       --refresh 1                    go past the cache
 *       --burst N                      instead of a loop: N calls at once, with --in-flight N; tells the time of all
 *
 * It prints one JSON document: calls, calls a second, latencies in microseconds, origins, leases, its own CPU time.
 *
 * A closed loop: each of N slots has a context and an aio, and asks again in the callback that brought its answer. */
#include "gen/probed/v1/probe.pb-c.h"
#include "gen/probed/v1/rpc.pb-c.h"
#include "tests/bench/common.h"

#include <nng/protocol/reqrep0/req.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/resource.h>

enum { HOME_COUNT_MAX = 1024, SLOT_COUNT_MAX = 1024, ORIGIN_COUNT = 5, TIMEOUT_MS = 30000, REQUEST_SIZE_MAX = 4096 };

enum mode { MODE_ECHO, MODE_PROBE, MODE_INVALIDATE };

struct slot {
    nng_ctx context;
    nng_aio *aio;
    bool receiving;
    uint64_t begun_ns;
};

static struct {
    const char *url, *cpu, *provider;
    const char *homes[HOME_COUNT_MAX];
    size_t home_count, provider_count, key_count, in_flight, burst;
    enum mode mode;
    bool refresh;
    double seconds, warm_up_s;
} plan = {.cpu = "any", .provider = "openrouter", .in_flight = 1, .seconds = 1, .mode = MODE_PROBE};

static struct {
    nng_socket socket;
    struct slot slots[SLOT_COUNT_MAX];
    uint64_t measure_from_ns, end_ns;
    atomic_uint_fast64_t turn, begun_count;

    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t idle;
    size_t active_count;
    struct histogram latency;
    uint64_t by_origin[ORIGIN_COUNT], failed_count;
    uint64_t first_lease, last_lease; /* lease ids seen; 0: none */
    uint64_t last_answer_ns;
    double cpu_begun_s;
} run = {.lock = PTHREAD_MUTEX_INITIALIZER, .idle = PTHREAD_COND_INITIALIZER};

static double cpu_s(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* ---- requests ---- */

static size_t pack_probe(uint64_t turn, uint8_t *out)
{
    Probed__V1__ProbeRequest request = PROBED__V1__PROBE_REQUEST__INIT;
    char key[32], provider[32];

    if (plan.key_count > 0)
        snprintf(key, sizeof key, "bench-%06" PRIu64, turn % plan.key_count);
    if (plan.provider_count > 0)
        snprintf(provider, sizeof provider, "bench-%06" PRIu64, turn % plan.provider_count);
    request.home = (char *)(uintptr_t)plan.homes[turn % plan.home_count];
    request.provider = plan.provider_count > 0 ? provider : (char *)(uintptr_t)plan.provider;
    if (plan.key_count > 0)
        request.api_key = key;
    request.refresh = plan.refresh;
    return probed__v1__probe_request__pack(&request, out);
}

/* Its reason says when it began, for who hears of it. */
static size_t pack_invalidate(uint64_t turn, uint8_t *out)
{
    Probed__V1__InvalidateRequest request = PROBED__V1__INVALIDATE_REQUEST__INIT;
    char reason[32];

    snprintf(reason, sizeof reason, "t=%" PRIu64, now_ns());
    request.home = (char *)(uintptr_t)plan.homes[turn % plan.home_count];
    request.reason = reason;
    return probed__v1__invalidate_request__pack(&request, out);
}

static nng_msg *make_request(uint64_t turn)
{
    Probed__V1__RpcRequest envelope = PROBED__V1__RPC_REQUEST__INIT;
    uint8_t payload[REQUEST_SIZE_MAX];
    nng_msg *message;

    envelope.method = (char *)(uintptr_t)(plan.mode == MODE_INVALIDATE ? "/probed.v1.ProbeService/Invalidate"
                                                                       : "/probed.v1.ProbeService/Probe");
    envelope.timeout_ms = TIMEOUT_MS;
    envelope.payload.data = payload;
    envelope.payload.len = plan.mode == MODE_INVALIDATE ? pack_invalidate(turn, payload) : pack_probe(turn, payload);
    must(nng_msg_alloc(&message, probed__v1__rpc_request__get_packed_size(&envelope)), "request");
    probed__v1__rpc_request__pack(&envelope, nng_msg_body(message));
    return message;
}

/* ---- answers ---- */

struct outcome {
    bool ok;
    unsigned origin;
    uint64_t lease;
};

static void read_probe(const Probed__V1__RpcResponse *envelope, struct outcome *outcome)
{
    Probed__V1__ProbeResponse *response =
        probed__v1__probe_response__unpack(NULL, envelope->payload.len, envelope->payload.data);

    outcome->ok = response != NULL && response->usage != NULL;
    if (response != NULL && (unsigned)response->origin < ORIGIN_COUNT)
        outcome->origin = response->origin;
    if (response != NULL && response->receipt != NULL)
        outcome->lease = response->receipt->lease_id;
    if (response != NULL)
        probed__v1__probe_response__free_unpacked(response, NULL);
}

static struct outcome read_answer(nng_msg *message)
{
    struct outcome outcome = {.ok = true};
    Probed__V1__RpcResponse *envelope;

    if (plan.mode == MODE_ECHO)
        return outcome;
    envelope = probed__v1__rpc_response__unpack(NULL, nng_msg_len(message), nng_msg_body(message));
    outcome.ok = envelope != NULL && envelope->code == PROBED__V1__STATUS_CODE__OK;
    if (outcome.ok && plan.mode == MODE_PROBE)
        read_probe(envelope, &outcome);
    if (envelope != NULL)
        probed__v1__rpc_response__free_unpacked(envelope, NULL);
    return outcome;
}

static void note(const struct slot *slot, const struct outcome *outcome, uint64_t answered_ns)
{
    pthread_mutex_lock(&run.lock);
    if (slot->begun_ns >= run.measure_from_ns) {
        histogram_add(&run.latency, answered_ns - slot->begun_ns);
        run.by_origin[outcome->origin]++;
        run.failed_count += !outcome->ok;
        if (outcome->lease != 0 && (run.first_lease == 0 || outcome->lease < run.first_lease))
            run.first_lease = outcome->lease;
        if (outcome->lease > run.last_lease)
            run.last_lease = outcome->lease;
        run.last_answer_ns = answered_ns;
    }
    pthread_mutex_unlock(&run.lock);
}

/* ---- the loop ---- */

static void retire(void)
{
    pthread_mutex_lock(&run.lock);
    run.active_count--;
    pthread_cond_signal(&run.idle);
    pthread_mutex_unlock(&run.lock);
}

static void begin(struct slot *slot)
{
    uint64_t now = now_ns();

    if (now >= run.end_ns || (plan.burst > 0 && atomic_fetch_add(&run.begun_count, 1) >= plan.burst)) {
        retire();
        return;
    }
    slot->begun_ns = now;
    slot->receiving = false;
    nng_aio_set_msg(slot->aio, make_request(atomic_fetch_add(&run.turn, 1)));
    nng_ctx_send(slot->context, slot->aio);
}

static void step(void *argument)
{
    struct slot *slot = argument;
    nng_msg *message;
    struct outcome outcome;

    must(nng_aio_result(slot->aio), slot->receiving ? "receive" : "send");
    if (!slot->receiving) {
        slot->receiving = true;
        nng_ctx_recv(slot->context, slot->aio);
        return;
    }
    message = nng_aio_get_msg(slot->aio);
    outcome = read_answer(message);
    note(slot, &outcome, now_ns());
    nng_msg_free(message);
    begin(slot);
}

static void connect_socket(void)
{
    must(open_on_cpu(nng_req0_open, &run.socket, plan.cpu), "open");
    must(nng_socket_set_ms(run.socket, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE), "resend");
    must(nng_dial(run.socket, plan.url, NULL, 0), plan.url);
}

static void make_slots(void)
{
    for (size_t i = 0; i < plan.in_flight; i++) {
        must(nng_ctx_open(&run.slots[i].context, run.socket), "context");
        must(nng_aio_alloc(&run.slots[i].aio, step, &run.slots[i]), "aio");
        nng_aio_set_timeout(run.slots[i].aio, TIMEOUT_MS);
    }
}

static void run_all(void)
{
    run.measure_from_ns = now_ns() + (uint64_t)(plan.warm_up_s * 1e9);
    run.end_ns = plan.burst > 0 ? UINT64_MAX : run.measure_from_ns + (uint64_t)(plan.seconds * 1e9);
    run.active_count = plan.in_flight;
    run.cpu_begun_s = cpu_s();
    for (size_t i = 0; i < plan.in_flight; i++)
        begin(&run.slots[i]);
    pthread_mutex_lock(&run.lock);
    while (run.active_count > 0)
        pthread_cond_wait(&run.idle, &run.lock);
    pthread_mutex_unlock(&run.lock);
}

static void tell(void)
{
    double elapsed_s = (double)(run.last_answer_ns - run.measure_from_ns) / 1e9;

    printf("{\"calls\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"seconds\":%.6f,\"rate\":%.1f,\"client_cpu_s\":%.4f,",
           run.latency.count, run.failed_count, elapsed_s, (double)run.latency.count / elapsed_s,
           cpu_s() - run.cpu_begun_s);
    printf("\"warm\":%" PRIu64 ",\"cold\":%" PRIu64 ",\"joined\":%" PRIu64 ",\"cached\":%" PRIu64 ",", run.by_origin[1],
           run.by_origin[2], run.by_origin[3], run.by_origin[4]);
    printf("\"leases\":%" PRIu64 ",", run.last_lease == 0 ? 0 : run.last_lease - run.first_lease + 1);
    print_latency(stdout, &run.latency);
    puts("}");
}

/* ---- the command line ---- */

static void set_option(const char *name, const char *value)
{
    if (strcmp(name, "--url") == 0)
        plan.url = value;
    else if (strcmp(name, "--nng-cpu") == 0)
        plan.cpu = value;
    else if (strcmp(name, "--mode") == 0)
        plan.mode = strcmp(value, "echo") == 0 ? MODE_ECHO : strcmp(value, "probe") == 0 ? MODE_PROBE : MODE_INVALIDATE;
    else if (strcmp(name, "--home") == 0 && plan.home_count < HOME_COUNT_MAX)
        plan.homes[plan.home_count++] = value;
    else if (strcmp(name, "--providers") == 0)
        plan.provider_count = (size_t)atol(value);
    else if (strcmp(name, "--keys") == 0)
        plan.key_count = (size_t)atol(value);
    else if (strcmp(name, "--refresh") == 0)
        plan.refresh = strcmp(value, "1") == 0;
    else if (strcmp(name, "--in-flight") == 0)
        plan.in_flight = (size_t)atol(value);
    else if (strcmp(name, "--burst") == 0)
        plan.burst = (size_t)atol(value);
    else if (strcmp(name, "--seconds") == 0)
        plan.seconds = atof(value);
    else if (strcmp(name, "--warm-up") == 0)
        plan.warm_up_s = atof(value);
    else {
        fprintf(stderr, "bench-client: %s %s is no option\n", name, value);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i += 2)
        set_option(argv[i], argv[i + 1]);
    if (plan.url == NULL || plan.home_count == 0 || plan.in_flight == 0 || plan.in_flight > SLOT_COUNT_MAX ||
        argc % 2 == 0) {
        fprintf(stderr, "usage: bench-client --url URL --home DIR [option value]…\n");
        return 2;
    }
    connect_socket();
    make_slots();
    run_all();
    tell();
    return run.failed_count == 0 ? 0 : 1;
}
