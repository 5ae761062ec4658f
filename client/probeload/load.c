/* Slots, each with one call in flight; targets, each one question; connections that share the slots. */
#include "client/probeload/load.h"

#include "proto/wire.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    UNPACKED_SIZE_MAX = 16 << 20,
    CONNECT_MS_MAX = 5000,
};

static const char probe_method[] = "/probed.v1.ProbeService/Probe";

/* How far the answers to one question have come. */
struct progress {
    uint64_t epoch, generation;
    uint64_t epoch_before; /* the one that ended; 0: none has */
};

/* One question, packed once. */
struct target {
    void *request; /* owned */
    size_t request_size;
    pthread_mutex_t lock;
    struct progress progress; /* guarded by lock */
};

struct connection {
    struct load *load;
    struct probed_channel *channel;

    /* Guarded by lock. */
    pthread_mutex_t lock;
    struct histogram latency;
    uint64_t by_code[LOAD_CODE_COUNT];
    uint64_t by_origin[LOAD_ORIGIN_COUNT];
};

/* One call at a time; its own while it is in flight. */
struct slot {
    struct connection *connection;
    struct target *target;
    uint64_t begun_ns;
    struct progress floor; /* what was known when it began */
};

struct load {
    const struct load_plan *plan;
    struct target *targets; /* owned, as the next two */
    struct connection *connections;
    struct slot *slots;
    size_t target_count;
    uint64_t end_ns; /* UINT64_MAX: no end */
    atomic_uint_fast64_t begun_count;
    atomic_uint_fast64_t turn; /* whose question is next */
    atomic_bool stopped;

    pthread_mutex_t lock;
    pthread_cond_t idle;
    size_t active_count;        /* guarded by lock: slots with a call in flight */
    struct load_result *result; /* guarded by lock until none is active: failure, unreachable, evidence */
};

static atomic_bool stop_wanted; /* lock-free: a signal handler sets it */

void load_stop(void)
{
    atomic_store(&stop_wanted, true);
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- checking ---- */

static void break_promise(struct load *load, const char *evidence)
{
    pthread_mutex_lock(&load->lock);
    if (load->result->evidence[0] == '\0')
        snprintf(load->result->evidence, sizeof load->result->evidence, "%s", evidence);
    pthread_mutex_unlock(&load->lock);
    atomic_store(&load->stopped, true);
}

static bool is_earlier(const Probed__V1__Fence *fence, const struct progress *floor)
{
    if (fence->epoch == floor->epoch)
        return fence->generation < floor->generation;
    return fence->epoch == floor->epoch_before;
}

static void advance(struct target *target, const Probed__V1__Fence *fence)
{
    struct progress *progress = &target->progress;

    pthread_mutex_lock(&target->lock);
    if (fence->epoch == progress->epoch) {
        if (fence->generation > progress->generation)
            progress->generation = fence->generation;
    } else if (fence->epoch != progress->epoch_before) {
        progress->epoch_before = progress->epoch;
        progress->epoch = fence->epoch;
        progress->generation = fence->generation;
    }
    pthread_mutex_unlock(&target->lock);
}

/* Whether the answer keeps what was promised; why not is in `evidence`. */
static bool check(const struct slot *slot, const Probed__V1__ProbeResponse *response, char evidence[LOAD_EVIDENCE_SIZE])
{
    const char *provider = slot->connection->load->plan->provider;

    if (response->usage == NULL || response->fence == NULL) {
        snprintf(evidence, LOAD_EVIDENCE_SIZE, "an answer without %s", response->usage == NULL ? "usage" : "fence");
    } else if (strcasecmp(response->usage->provider, provider) != 0) {
        snprintf(evidence, LOAD_EVIDENCE_SIZE, "asked for %.64s, answered with %.64s", provider,
                 response->usage->provider);
    } else if (response->fence->epoch == 0 || response->fence->generation == 0) {
        snprintf(evidence, LOAD_EVIDENCE_SIZE, "an answer of epoch %" PRIu64 ", generation %" PRIu64,
                 response->fence->epoch, response->fence->generation);
    } else if (response->origin == PROBED__V1__ORIGIN__ORIGIN_UNSPECIFIED ||
               (unsigned)response->origin >= LOAD_ORIGIN_COUNT) {
        snprintf(evidence, LOAD_EVIDENCE_SIZE, "an answer of origin %d", (int)response->origin);
    } else if (is_earlier(response->fence, &slot->floor)) {
        snprintf(evidence, LOAD_EVIDENCE_SIZE,
                 "a call begun after an answer of epoch %" PRIx64 ", generation %" PRIu64 " got one of epoch %" PRIx64
                 ", generation %" PRIu64,
                 slot->floor.epoch, slot->floor.generation, response->fence->epoch, response->fence->generation);
    } else {
        return true;
    }
    return false;
}

/* Reads and checks an answer; its origin. */
static unsigned take_answer(struct slot *slot, const void *payload, size_t size)
{
    unsigned char first[8192];
    char evidence[LOAD_EVIDENCE_SIZE];
    ProtobufCMessage *message;
    struct arena arena;
    struct status status;
    unsigned origin = 0;

    arena_init(&arena, first, sizeof first, UNPACKED_SIZE_MAX);
    status = wire_unpack(&probed__v1__probe_response__descriptor, payload, size, &arena, &message);
    if (!status_is_ok(&status)) {
        break_promise(slot->connection->load, status.message);
    } else {
        const Probed__V1__ProbeResponse *response = (const Probed__V1__ProbeResponse *)message;

        if (check(slot, response, evidence)) {
            advance(slot->target, response->fence);
            origin = response->origin;
        } else {
            break_promise(slot->connection->load, evidence);
        }
    }
    arena_fini(&arena);
    return origin;
}

/* ---- the loop ---- */

static void answered(void *context, const struct probed_status *status, const void *response, size_t response_size);

static bool may_begin(struct load *load)
{
    if (atomic_load(&load->stopped) || atomic_load(&stop_wanted) || now_ns() >= load->end_ns)
        return false;
    return load->plan->call_count == 0 || atomic_fetch_add(&load->begun_count, 1) < load->plan->call_count;
}

static void note_failure(struct load *load, const struct probed_status *status)
{
    pthread_mutex_lock(&load->lock);
    if (load->result->failure.code == PROBED_OK)
        load->result->failure = *status;
    load->result->unreachable = load->result->unreachable || status->unreachable;
    pthread_mutex_unlock(&load->lock);
}

/* The slot has nothing more to do. */
static void retire(struct load *load)
{
    pthread_mutex_lock(&load->lock);
    load->active_count--;
    if (load->active_count == 0)
        pthread_cond_signal(&load->idle);
    pthread_mutex_unlock(&load->lock);
}

/* Begins the slot's next call, or retires it. */
static void begin_next(struct slot *slot)
{
    struct load *load = slot->connection->load;
    struct probed_call_options options = {.timeout_ms = load->plan->timeout_ms};
    struct probed_status status;

    if (!may_begin(load)) {
        retire(load);
        return;
    }
    slot->target = &load->targets[atomic_fetch_add_explicit(&load->turn, 1, memory_order_relaxed) % load->target_count];
    pthread_mutex_lock(&slot->target->lock);
    slot->floor = slot->target->progress;
    pthread_mutex_unlock(&slot->target->lock);
    slot->begun_ns = now_ns();
    status = probed_call_start(slot->connection->channel, probe_method, slot->target->request,
                               slot->target->request_size, &options, answered, slot);
    if (status.code != PROBED_OK) {
        note_failure(load, &status);
        retire(load);
    }
}

static void answered(void *context, const struct probed_status *status, const void *response, size_t response_size)
{
    struct slot *slot = context;
    struct connection *connection = slot->connection;
    uint64_t latency_ns = now_ns() - slot->begun_ns;
    unsigned origin = 0;

    if (status->code == PROBED_OK)
        origin = take_answer(slot, response, response_size);
    else
        note_failure(connection->load, status);
    pthread_mutex_lock(&connection->lock);
    histogram_add(&connection->latency, latency_ns);
    connection->by_code[(unsigned)status->code < LOAD_CODE_COUNT ? status->code : PROBED_UNKNOWN]++;
    if (status->code == PROBED_OK)
        connection->by_origin[origin]++;
    pthread_mutex_unlock(&connection->lock);
    begin_next(slot);
}

/* ---- setting up and taking down ---- */

static bool make_target(struct target *target, const struct load_plan *plan, size_t index)
{
    Probed__V1__ProbeRequest request = PROBED__V1__PROBE_REQUEST__INIT;
    char key[32];

    snprintf(key, sizeof key, "probeload-%06zu", plan->key_count == 0 ? 0 : index % plan->key_count);
    request.home = (char *)(uintptr_t)plan->homes[index / (plan->key_count == 0 ? 1 : plan->key_count)];
    request.provider = (char *)(uintptr_t)plan->provider;
    if (plan->key_count > 0)
        request.api_key = key;
    pthread_mutex_init(&target->lock, NULL);
    target->request_size = probed__v1__probe_request__get_packed_size(&request);
    target->request = malloc(target->request_size + 1);
    if (target->request != NULL)
        probed__v1__probe_request__pack(&request, target->request);
    return target->request != NULL;
}

static struct probed_status no_memory(void)
{
    return (struct probed_status){.code = PROBED_RESOURCE_EXHAUSTED, .message = "no memory for the load"};
}

static struct probed_status make_targets(struct load *load)
{
    const struct load_plan *plan = load->plan;

    load->target_count = plan->home_count * (plan->key_count == 0 ? 1 : plan->key_count);
    load->targets = calloc(load->target_count, sizeof *load->targets);
    for (size_t i = 0; load->targets != NULL && i < load->target_count; i++) {
        if (!make_target(&load->targets[i], plan, i))
            return no_memory();
    }
    return load->targets != NULL ? (struct probed_status){.code = PROBED_OK} : no_memory();
}

static struct probed_status connect_all(struct load *load)
{
    struct probed_channel_options options = {.url = load->plan->url};
    struct probed_status status = {.code = PROBED_OK};

    load->connections = calloc(load->plan->connection_count, sizeof *load->connections);
    if (load->connections == NULL)
        return no_memory();
    options.calls_max = (uint32_t)load->plan->in_flight;
    for (size_t i = 0; status.code == PROBED_OK && i < load->plan->connection_count; i++) {
        load->connections[i].load = load;
        pthread_mutex_init(&load->connections[i].lock, NULL);
        status = probed_channel_open(&options, &load->connections[i].channel);
    }
    for (size_t i = 0; status.code == PROBED_OK && i < load->plan->connection_count; i++)
        status = probed_channel_connect(load->connections[i].channel, CONNECT_MS_MAX);
    return status;
}

static struct probed_status begin_all(struct load *load)
{
    load->slots = calloc(load->plan->in_flight, sizeof *load->slots);
    if (load->slots == NULL)
        return no_memory();
    load->active_count = load->plan->in_flight;
    for (size_t i = 0; i < load->plan->in_flight; i++) {
        load->slots[i].connection = &load->connections[i % load->plan->connection_count];
        begin_next(&load->slots[i]);
    }
    return (struct probed_status){.code = PROBED_OK};
}

static void wait_until_idle(struct load *load)
{
    pthread_mutex_lock(&load->lock);
    while (load->active_count > 0)
        pthread_cond_wait(&load->idle, &load->lock);
    pthread_mutex_unlock(&load->lock);
}

static void add_up(const struct load *load, struct load_result *result)
{
    for (size_t i = 0; i < load->plan->connection_count; i++) {
        const struct connection *connection = &load->connections[i];

        histogram_merge(&result->latency, &connection->latency);
        for (size_t code = 0; code < LOAD_CODE_COUNT; code++)
            result->by_code[code] += connection->by_code[code];
        for (size_t origin = 0; origin < LOAD_ORIGIN_COUNT; origin++)
            result->by_origin[origin] += connection->by_origin[origin];
    }
}

static void take_down(struct load *load)
{
    for (size_t i = 0; load->connections != NULL && i < load->plan->connection_count; i++)
        probed_channel_close(load->connections[i].channel);
    for (size_t i = 0; load->targets != NULL && i < load->target_count; i++)
        free(load->targets[i].request);
    free(load->slots);
    free(load->connections);
    free(load->targets);
}

struct probed_status load_run(const struct load_plan *plan, struct load_result *result_out)
{
    struct load load = {
        .plan = plan, .lock = PTHREAD_MUTEX_INITIALIZER, .idle = PTHREAD_COND_INITIALIZER, .result = result_out};
    struct probed_status status;
    uint64_t begin_ns;

    memset(result_out, 0, sizeof *result_out);
    status = make_targets(&load);
    if (status.code == PROBED_OK)
        status = connect_all(&load);
    begin_ns = now_ns();
    load.end_ns = plan->duration_ns == 0 ? UINT64_MAX : begin_ns + plan->duration_ns;
    if (status.code == PROBED_OK)
        status = begin_all(&load);
    if (status.code == PROBED_OK) {
        wait_until_idle(&load);
        result_out->elapsed_ns = now_ns() - begin_ns;
        add_up(&load, result_out);
    }
    take_down(&load);
    return status;
}
