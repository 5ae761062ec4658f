/* A daemon that does as it is told: the far end for tests of the client.
 *
 *     fake_daemon --listen URL [--publish URL] [--heartbeat MS]
 *
 * It prints "ready" once it listens.  What it answers is in the request, so that a test reads from top to bottom:
 *
 *   Probe, by provider     slow-MS  after MS          code-N[-MS]  status N, retry_after_ms MS     hang  never
 *                          die      exits             garbage, truncated, badpayload, nul, bloat   broken answers
 *                          flaky-N  UNAVAILABLE N times, then an account (refusals: retry_after_ms tells how many)
 *                          kept     may be kept for a minute
 *                          nothing  available false   echo  tells what it was asked                else an account
 *                          liar  another provider     backwards  ever earlier generations
 *   Invalidate, by reason  skip-N   N generations go unheard of      again  the event comes twice  lost  no event
 *                          epoch    a new one         beats-N  N heartbeats are lost
 *                          hush, speak                no more heartbeats, and again        junk  an event unreadable
 *                          late-MS  heartbeats say that they were sent so long ago, -1: do not say
 *                          truncate-N, deny-N         so many heartbeats name too few, so many Syncs are refused
 *   Check, by service      draining, unknown
 *
 * Threads: nng's; one lock over everything. */
#include "gen/grpc/health/v1/health.pb-c.h"
#include "gen/probed/v1/admin.pb-c.h"
#include "gen/probed/v1/probe.pb-c.h"
#include "proto/envelope.h"
#include "proto/nng_shim.h"
#include "proto/topic.h"
#include "proto/wire.h"

#include <nng/nng.h>
#include <nng/protocol/pubsub0/pub.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/supplemental/util/platform.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { LANE_COUNT = 256, HOME_COUNT_MAX = 16, REPLY_SIZE_MAX = 4 << 20 };

struct lane {
    nng_ctx context;
    nng_aio *receive, *reply, *pause;
};

static struct {
    pthread_mutex_t lock;
    nng_socket calls, events;
    bool publishes, hushed;
    uint64_t epoch, beat;
    uint64_t backwards; /* the generation that the next answer of "backwards" has */
    int heartbeat_ms;
    long late_ms;                    /* how long ago heartbeats say that they were sent; below 0: they do not say */
    long flaky_count;                /* probes in a row that were refused */
    long truncate_count, deny_count; /* heartbeats and Syncs to come that it goes wrong with */
    char homes[HOME_COUNT_MAX][256];
    uint64_t generations[HOME_COUNT_MAX];
    size_t home_count;
    unsigned char packed[REPLY_SIZE_MAX];
} fake = {.lock = PTHREAD_MUTEX_INITIALIZER, .heartbeat_ms = 20, .backwards = 1000000};

static void must(int error, const char *what)
{
    if (error != 0) {
        fprintf(stderr, "fake_daemon: %s: %s\n", what, nng_strerror(error));
        exit(1);
    }
}

/* The number behind `prefix` in `text`, or -1. */
static long number_behind(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0 ? strtol(text + strlen(prefix), NULL, 10) : -1;
}

/* ---- replies ---- */

static nng_msg *make_reply(const struct status *status, const void *payload, size_t size)
{
    struct envelope_reply reply = {.status = status, .payload = {{payload, size}}};
    nng_msg *message;

    must(nng_msg_alloc(&message, envelope_reply_size(&reply)), "reply");
    envelope_reply_write(&reply, nng_msg_body(message));
    return message;
}

static nng_msg *refuse(enum status_code code, uint64_t retry_after_ms, const char *text)
{
    struct status status = status_make_retry(code, retry_after_ms, "%s", text);

    return make_reply(&status, NULL, 0);
}

static nng_msg *answer_bytes(const void *payload, size_t size)
{
    struct status status = status_ok();

    return make_reply(&status, payload, size);
}

static nng_msg *answer(const ProtobufCMessage *message)
{
    size_t size = protobuf_c_message_get_packed_size(message);

    if (size > sizeof fake.packed)
        exit(1);
    protobuf_c_message_pack(message, fake.packed);
    return answer_bytes(fake.packed, size);
}

/* ---- homes and news ---- */

static uint64_t *generation_of(const char *home)
{
    for (size_t i = 0; i < fake.home_count; i++) {
        if (strcmp(fake.homes[i], home) == 0)
            return &fake.generations[i];
    }
    if (fake.home_count == HOME_COUNT_MAX)
        exit(1);
    snprintf(fake.homes[fake.home_count], sizeof fake.homes[0], "%s", home);
    fake.generations[fake.home_count] = 1;
    return &fake.generations[fake.home_count++];
}

static Probed__V1__Fence fence_of(const char *home)
{
    Probed__V1__Fence fence = PROBED__V1__FENCE__INIT;

    fence.epoch = fake.epoch;
    fence.generation = *generation_of(home);
    return fence;
}

static void publish(const char *topic, size_t topic_size, const void *data, size_t size)
{
    nng_msg *message;

    if (!fake.publishes)
        return;
    must(nng_msg_alloc(&message, topic_size + size), "event");
    memcpy(nng_msg_body(message), topic, topic_size);
    memcpy((char *)nng_msg_body(message) + topic_size, data, size);
    must(nng_sendmsg(fake.events, message, NNG_FLAG_NONBLOCK), "publish");
}

static void publish_message(const char *topic, size_t topic_size, const ProtobufCMessage *message)
{
    unsigned char packed[8192];

    if (protobuf_c_message_get_packed_size(message) > sizeof packed)
        exit(1);
    publish(topic, topic_size, packed, protobuf_c_message_pack(message, packed));
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void publish_beat(void)
{
    Probed__V1__Heartbeat beat = PROBED__V1__HEARTBEAT__INIT;
    Probed__V1__HomeHead heads[HOME_COUNT_MAX], *pointers[HOME_COUNT_MAX];

    beat.epoch = fake.epoch;
    beat.beat = ++fake.beat;
    beat.interval_ms = (uint32_t)fake.heartbeat_ms;
    beat.recent = pointers;
    beat.sent_ns = fake.late_ms < 0 ? 0 : now_ns() - (uint64_t)fake.late_ms * 1000000;
    beat.truncated = fake.truncate_count > 0;
    fake.truncate_count -= fake.truncate_count > 0;
    for (size_t i = 0; i < fake.home_count; i++) {
        if (fake.generations[i] == 1)
            continue;
        probed__v1__home_head__init(&heads[i]);
        heads[i].home = fake.homes[i];
        heads[i].generation = fake.generations[i];
        pointers[beat.n_recent++] = &heads[i];
    }
    publish_message(TOPIC_BEAT, sizeof TOPIC_BEAT - 1, &beat.base);
}

static void publish_event(Probed__V1__InvalidateRequest *request, int times)
{
    Probed__V1__CredentialEvent event = PROBED__V1__CREDENTIAL_EVENT__INIT;
    Probed__V1__Fence fence = fence_of(request->home);
    char topic[TOPIC_SIZE_MAX];
    size_t topic_size = topic_write(request->home, topic);

    event.fence = &fence;
    event.home = request->home;
    event.provider = request->provider;
    event.cause = PROBED__V1__CAUSE__CAUSE_REQUESTED;
    event.reason = request->reason;
    event.at_ms = 1764000000000;
    for (int i = 0; i < times; i++)
        publish_message(topic, topic_size, &event.base);
    if (strcmp(request->reason, "junk") == 0)
        publish(topic, topic_size, "\x0f\xff", 2);
}

/* ---- methods ---- */

static void fill_account(Probed__V1__AccountUsage *usage, Probed__V1__UsageWindow *window,
                         Probed__V1__UsageWindow **windows, char **details)
{
    usage->status = PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_OK;
    usage->source = (char *)(uintptr_t) "usage_api";
    usage->title = (char *)(uintptr_t) "Account limits";
    usage->plan = (char *)(uintptr_t) "Plus";
    usage->available = true;
    usage->fetched_at_ms = 1764000000000;
    window->label = (char *)(uintptr_t) "Session";
    window->used_case = PROBED__V1__USAGE_WINDOW__USED_USED_PERCENT;
    window->used_percent = 58;
    window->window_seconds = 18000;
    windows[0] = window;
    usage->windows = windows;
    usage->n_windows = 1;
    usage->details = details;
    usage->n_details = 1;
}

static void fill_nothing(Probed__V1__AccountUsage *usage)
{
    usage->available = false;
    usage->status = PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_NO_KEY;
    usage->unavailable_reason = (char *)(uintptr_t) "No credential is configured for this provider.";
    usage->n_windows = 0;
    usage->n_details = 0;
}

static nng_msg *answer_account(const Probed__V1__ProbeRequest *request, const Probed__V1__RpcRequest *envelope)
{
    Probed__V1__ProbeResponse response = PROBED__V1__PROBE_RESPONSE__INIT;
    Probed__V1__AccountUsage usage = PROBED__V1__ACCOUNT_USAGE__INIT;
    Probed__V1__UsageWindow window = PROBED__V1__USAGE_WINDOW__INIT, *windows[1];
    Probed__V1__Receipt receipt = PROBED__V1__RECEIPT__INIT;
    Probed__V1__Fence fence = fence_of(request->home);
    const char *request_id = envelope_metadata(envelope, "request-id");
    char detail[512], *details[1] = {detail};

    snprintf(detail, sizeof detail, "home %s, key %zu, refresh %d, max_age %u, stale %d, timeout %u, id %s",
             request->home, strlen(request->api_key), request->refresh, request->max_age_ms, request->accept_stale,
             envelope->timeout_ms, request_id != NULL ? request_id : "");
    if (strcmp(request->provider, "echo") != 0)
        snprintf(detail, sizeof detail, "Credits balance: 4.20");
    usage.provider = strcmp(request->provider, "liar") == 0 ? (char *)(uintptr_t) "other" : request->provider;
    if (strcmp(request->provider, "backwards") == 0)
        fence.generation = fake.backwards--;
    fill_account(&usage, &window, windows, details);
    if (strcmp(request->provider, "nothing") == 0)
        fill_nothing(&usage);
    response.usage = &usage;
    response.fence = &fence;
    response.origin = PROBED__V1__ORIGIN__ORIGIN_WARM;
    response.fresh_ms = strcmp(request->provider, "kept") == 0 ? 60000 : 0;
    response.receipt = &receipt;
    receipt.lease_id = 1;
    receipt.probe_us = 350000;
    return answer(&response.base);
}

static nng_msg *answer_broken(const char *how)
{
    nng_msg *message;

    if (strcmp(how, "badpayload") == 0)
        return answer_bytes("\x0a\x05junk", 6);
    if (strcmp(how, "nul") == 0)
        return answer_bytes("\x0a\x05\x0a\x03\x61\x00\x62", 7); /* usage.provider = "a\0b" */
    if (strcmp(how, "bloat") == 0) {
        static unsigned char windows[1 << 20]; /* usage: 350 KiB of empty windows, two bytes each */
        size_t size = 4;

        memcpy(windows, "\x0a\xff\xff\x15", 4);
        for (; size < 4 + 0x57fff; size += 2)
            memcpy(windows + size, "\x32\x00", 2);
        windows[1] = 0xfe; /* an even number of bytes: 0x57ffe */
        return answer_bytes(windows, 4 + 0x57ffe);
    }
    message = refuse(STATUS_NOT_FOUND, 0, "this text will be cut");
    if (strcmp(how, "truncated") == 0)
        nng_msg_chop(message, 5);
    else
        memset(nng_msg_body(message), 0xff, nng_msg_len(message));
    return message;
}

/* NULL: no answer, now or ever. */
static nng_msg *probe(const Probed__V1__ProbeRequest *request, const Probed__V1__RpcRequest *envelope,
                      nng_duration *pause_ms)
{
    static const char *const broken[] = {"garbage", "truncated", "badpayload", "nul", "bloat"};
    long code = number_behind(request->provider, "code-"), slow_ms = number_behind(request->provider, "slow-"),
         flaky = number_behind(request->provider, "flaky-");

    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        if (strcmp(request->provider, broken[i]) == 0)
            return answer_broken(broken[i]);
    }
    if (strcmp(request->provider, "die") == 0)
        _exit(3);
    if (strcmp(request->provider, "refusals") == 0)
        return refuse(STATUS_OUT_OF_RANGE, (uint32_t)fake.flaky_count, "so many");
    if (flaky >= 0 && fake.flaky_count < flaky) {
        fake.flaky_count++;
        return refuse(STATUS_UNAVAILABLE, 0, "not this time");
    }
    if (flaky >= 0)
        fake.flaky_count = 0;
    if (strcmp(request->provider, "hang") == 0)
        return NULL;
    if (code >= 0) {
        const char *retry = strchr(request->provider + strlen("code-"), '-');

        return refuse((enum status_code)code, retry != NULL ? strtoul(retry + 1, NULL, 10) : 0, "as was asked");
    }
    if (slow_ms >= 0)
        *pause_ms = (nng_duration)slow_ms;
    return answer_account(request, envelope);
}

/* What goes wrong from now on, and how much; false: none of that. */
static bool follow_number(const char *reason)
{
    static const struct {
        const char *prefix;
        long *number;
    } rows[] = {{"late-", &fake.late_ms}, {"truncate-", &fake.truncate_count}, {"deny-", &fake.deny_count}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strncmp(reason, rows[i].prefix, strlen(rows[i].prefix)) == 0) {
            *rows[i].number = strtol(reason + strlen(rows[i].prefix), NULL, 10);
            return true;
        }
    }
    return false;
}

static nng_msg *invalidate(Probed__V1__InvalidateRequest *request)
{
    Probed__V1__InvalidateResponse response = PROBED__V1__INVALIDATE_RESPONSE__INIT;
    Probed__V1__Fence fence;
    long skipped = number_behind(request->reason, "skip-"), lost = number_behind(request->reason, "beats-");
    bool epoch = strcmp(request->reason, "epoch") == 0 || request->home[0] == '\0';

    if (epoch) {
        fake.epoch++;
        fake.beat = 0;
        fake.home_count = 0;
    } else if (lost >= 0) {
        fake.beat += (uint64_t)lost;
    } else if (strcmp(request->reason, "hush") == 0) {
        fake.hushed = true;
    } else if (strcmp(request->reason, "speak") == 0) {
        fake.hushed = false;
    } else if (!follow_number(request->reason)) {
        *generation_of(request->home) += 1 + (uint64_t)(skipped > 0 ? skipped : 0);
        if (strcmp(request->reason, "lost") != 0)
            publish_event(request, strcmp(request->reason, "again") == 0 ? 2 : 1);
    }
    if (epoch)
        publish_beat();
    fence = fence_of(request->home);
    response.fence = &fence;
    response.cache_dropped = 3;
    response.workers_retired = 1;
    return answer(&response.base);
}

static nng_msg *sync_home(const Probed__V1__SyncRequest *request)
{
    Probed__V1__SyncResponse response = PROBED__V1__SYNC_RESPONSE__INIT;
    Probed__V1__Fence fence = fence_of(request->home);

    if (fake.deny_count > 0) {
        fake.deny_count--;
        return refuse(STATUS_PERMISSION_DENIED, 0, "not yours");
    }
    response.fence = &fence;
    return answer(&response.base);
}

static nng_msg *check_health(const Grpc__Health__V1__HealthCheckRequest *request)
{
    Grpc__Health__V1__HealthCheckResponse response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;

    if (strcmp(request->service, "unknown") == 0)
        return refuse(STATUS_NOT_FOUND, 0, "no such service");
    response.status = strcmp(request->service, "draining") == 0
                          ? GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING
                          : GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
    return answer(&response.base);
}

static nng_msg *get_status(void)
{
    Probed__V1__GetStatusResponse response = PROBED__V1__GET_STATUS_RESPONSE__INIT;
    Probed__V1__WorkerCounts workers = PROBED__V1__WORKER_COUNTS__INIT;
    Probed__V1__Counter counter = PROBED__V1__COUNTER__INIT, *counters[] = {&counter};

    workers.idle = 2;
    workers.leased = 1;
    counter.name = (char *)(uintptr_t) "probed_leases_total{origin=\"warm\"}";
    counter.value = 12345678901;
    response.version = (char *)(uintptr_t) "0.0.fake";
    response.epoch = fake.epoch;
    response.uptime_ms = 7830000;
    response.homes = 2;
    response.cache_entries = 7;
    response.workers = &workers;
    response.counters = counters;
    response.n_counters = 1;
    return answer(&response.base);
}

/* Five homes, two a page. */
static nng_msg *list_homes(const Probed__V1__ListHomesRequest *request)
{
    static const char *const paths[] = {"/h/a", "/h/b", "/h/c", "/h/d", "/h/e"};
    Probed__V1__ListHomesResponse response = PROBED__V1__LIST_HOMES_RESPONSE__INIT;
    Probed__V1__HomeInfo infos[2], *pointers[2];
    Probed__V1__WorkerCounts workers = PROBED__V1__WORKER_COUNTS__INIT;

    workers.idle = 1;
    response.homes = pointers;
    for (size_t i = 0; i < 5; i++) {
        Probed__V1__HomeInfo *info;

        if (strcmp(paths[i], request->after) <= 0)
            continue;
        response.more = response.n_homes == 2;
        if (response.more)
            break;
        info = pointers[response.n_homes] = &infos[response.n_homes];
        response.n_homes++;
        probed__v1__home_info__init(info);
        info->home = (char *)(uintptr_t)paths[i];
        info->generation = i + 1;
        info->workers = &workers;
        info->waiting = (uint32_t)i;
        info->pause_ms = i == 4 ? 30000 : 0;
        info->last_failure = (char *)(uintptr_t)(i == 4 ? "the worker exited with status 1" : "");
    }
    return answer(&response.base);
}

static nng_msg *list_workers(const Probed__V1__ListWorkersRequest *request)
{
    Probed__V1__ListWorkersResponse response = PROBED__V1__LIST_WORKERS_RESPONSE__INIT;
    Probed__V1__WorkerInfo info = PROBED__V1__WORKER_INFO__INIT, *infos[] = {&info};

    info.worker_id = 17;
    info.pid = 4711;
    info.home = request->home[0] != '\0' ? request->home : (char *)(uintptr_t) "/h/a";
    info.generation = 2;
    info.state = PROBED__V1__WORKER_STATE__WORKER_STATE_LEASED;
    info.sandbox = (char *)(uintptr_t) "landlock 6, seccomp, limits";
    info.state_ms = 1200;
    info.provider = (char *)(uintptr_t) "openrouter";
    info.callers = 3;
    info.leases = 40;
    info.age_ms = 61000;
    response.workers = infos;
    response.n_workers = 1;
    return answer(&response.base);
}

static nng_msg *list_events(void)
{
    Probed__V1__ListEventsResponse response = PROBED__V1__LIST_EVENTS_RESPONSE__INIT;
    Probed__V1__EventInfo info = PROBED__V1__EVENT_INFO__INIT, *infos[] = {&info};

    info.at_ms = 1795526400000;
    info.home = (char *)(uintptr_t) "/h/a";
    info.generation = 2;
    info.cause = PROBED__V1__CAUSE__CAUSE_REQUESTED;
    info.reason = (char *)(uintptr_t) "rotated";
    response.events = infos;
    response.n_events = 1;
    return answer(&response.base);
}

/* ---- calls ---- */

static nng_msg *dispatch(const Probed__V1__RpcRequest *envelope, const ProtobufCServiceDescriptor *service,
                         const ProtobufCMethodDescriptor *method, struct arena *arena, nng_duration *pause_ms)
{
    ProtobufCMessage *input;
    struct status status = wire_unpack(method->input, envelope->payload.data, envelope->payload.len, arena, &input);

    if (!status_is_ok(&status))
        return make_reply(&status, NULL, 0);
    if (service == &grpc__health__v1__health__descriptor)
        return check_health((Grpc__Health__V1__HealthCheckRequest *)input);
    if (strcmp(method->name, "Probe") == 0)
        return probe((Probed__V1__ProbeRequest *)input, envelope, pause_ms);
    if (strcmp(method->name, "Invalidate") == 0)
        return invalidate((Probed__V1__InvalidateRequest *)input);
    if (strcmp(method->name, "Sync") == 0)
        return sync_home((Probed__V1__SyncRequest *)input);
    if (strcmp(method->name, "GetStatus") == 0)
        return get_status();
    if (strcmp(method->name, "ListHomes") == 0)
        return list_homes((Probed__V1__ListHomesRequest *)input);
    if (strcmp(method->name, "ListEvents") == 0)
        return list_events();
    return list_workers((Probed__V1__ListWorkersRequest *)input);
}

static nng_msg *serve(const Probed__V1__RpcRequest *envelope, struct arena *arena, nng_duration *pause_ms)
{
    static const ProtobufCServiceDescriptor *const services[] = {&probed__v1__probe_service__descriptor,
                                                                 &probed__v1__admin_service__descriptor,
                                                                 &grpc__health__v1__health__descriptor};

    for (size_t i = 0; i < sizeof services / sizeof services[0]; i++) {
        for (unsigned j = 0; j < services[i]->n_methods; j++) {
            char name[128];

            snprintf(name, sizeof name, "/%s/%s", services[i]->name, services[i]->methods[j].name);
            if (strcmp(name, envelope->method) == 0)
                return dispatch(envelope, services[i], &services[i]->methods[j], arena, pause_ms);
        }
    }
    return refuse(STATUS_UNIMPLEMENTED, 0, "no such method");
}

static void receive_next(struct lane *lane)
{
    nng_ctx_recv(lane->context, lane->receive);
}

static void replied(void *context)
{
    struct lane *lane = context;

    if (nng_aio_result(lane->reply) != 0)
        nng_msg_free(nng_aio_get_msg(lane->reply));
    receive_next(lane);
}

static void paused(void *context)
{
    struct lane *lane = context;

    nng_ctx_send(lane->context, lane->reply);
}

static void received(void *context)
{
    struct lane *lane = context;
    Probed__V1__RpcRequest *envelope;
    nng_duration pause_ms = 0;
    nng_msg *request, *reply;
    struct arena arena;
    struct status status;

    if (nng_aio_result(lane->receive) != 0)
        return;
    request = nng_aio_get_msg(lane->receive);
    arena_init(&arena, NULL, 0, 8 << 20);
    status = envelope_open_request(nng_msg_body(request), nng_msg_len(request), &arena, &envelope);
    pthread_mutex_lock(&fake.lock);
    reply = status_is_ok(&status) ? serve(envelope, &arena, &pause_ms) : make_reply(&status, NULL, 0);
    pthread_mutex_unlock(&fake.lock);
    arena_fini(&arena);
    nng_msg_free(request);
    if (reply == NULL)
        return; /* the lane hangs for good, as was asked */
    nng_aio_set_msg(lane->reply, reply);
    if (pause_ms > 0)
        nng_sleep_aio(pause_ms, lane->pause);
    else
        nng_ctx_send(lane->context, lane->reply);
}

/* ---- life ---- */

static void open_lanes(void)
{
    static struct lane lanes[LANE_COUNT];

    for (size_t i = 0; i < LANE_COUNT; i++) {
        must(nng_ctx_open(&lanes[i].context, fake.calls), "context");
        must(nng_aio_alloc(&lanes[i].receive, received, &lanes[i]), "aio");
        must(nng_aio_alloc(&lanes[i].reply, replied, &lanes[i]), "aio");
        must(nng_aio_alloc(&lanes[i].pause, paused, &lanes[i]), "aio");
        receive_next(&lanes[i]);
    }
}

static void listen_at(nng_socket socket, const char *url)
{
    nng_listener listener;

    must(nng_listener_create(&listener, socket, url), url);
    must(nng_listener_set_size(listener, NNG_OPT_RECVMAXSZ, (1 << 20) + 4), url);
    must(nng_listener_start(listener, 0), url);
}

static void beat_for_ever(void)
{
    for (;;) {
        pthread_mutex_lock(&fake.lock);
        if (fake.publishes && !fake.hushed)
            publish_beat();
        pthread_mutex_unlock(&fake.lock);
        nng_msleep(fake.heartbeat_ms);
    }
}

int main(int argc, char **argv)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* gone with the test */
    if (!nng_shim_active() || argc % 2 == 0)
        return 2;
    fake.epoch = 0xe90c0000u + (uint64_t)getpid(); /* another one at each start */
    must(nng_rep0_open(&fake.calls), "rep");
    must(nng_pub0_open(&fake.events), "pub");
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--heartbeat") == 0) {
            fake.heartbeat_ms = atoi(argv[i + 1]);
        } else if (strcmp(argv[i], "--listen") == 0) {
            listen_at(fake.calls, argv[i + 1]);
        } else {
            fake.publishes = true;
            listen_at(fake.events, argv[i + 1]);
        }
    }
    open_lanes();
    puts("ready");
    fflush(stdout);
    beat_for_ever();
}
