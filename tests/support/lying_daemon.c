/* A daemon that keeps every promise but one: what probeload's checks are tried against.
 *
 *     lying_daemon --listen URL [--publish URL] [--lie NAME]
 *
 * It answers Probe and Invalidate with an account that is signed as probeload-worker signs, one request after the
 * other, and publishes events and heartbeats.  The lies are the table below; without one it is honest.  It prints
 * "ready" once it listens.
 *
 * Threads: main answers, another one beats; one lock over the homes and the publishing. */
#include "client/probeload/clock.h"
#include "client/probeload/statement.h"
#include "gen/probed/v1/probe.pb-c.h"
#include "proto/envelope.h"
#include "proto/nng_shim.h"
#include "proto/topic.h"

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

enum {
    HOME_COUNT_MAX = 16,
    BEAT_MS = 50,
    MESSAGE_SIZE_MAX = 65536,
    STALL_MS = 400,
    STALL_CALL = 100,
    TOLD_AGE_MS = 60000
};

enum lie {
    HONEST,
    UNSIGNED,         /* no statement at all */
    FORGED,           /* a statement with a wrong signature */
    OTHER_HOME,       /* the statement of another home's worker */
    OTHER_KEY,        /* the answer that was given to another api_key */
    OLD_WORKER,       /* the new generation, answered by the worker from before */
    OLD_GENERATION,   /* answers go on under the generation from before an Invalidate */
    FUTURE,           /* answered after it came */
    KEPT,             /* said to be warm, and made before the call began */
    CACHED,           /* refresh answered from the cache */
    AGED,             /* older than it can be */
    STANDSTILL,       /* Invalidate does not move the generation */
    EVENT_GENERATION, /* the event says another generation */
    EVENT_PROVIDER,   /* the event is of another provider */
    EVENT_LOST,       /* no event, and no heartbeat that tells */
    STALL,            /* no lie: once, nothing is answered for a while */
    LIE_COUNT
};

static const char *const lie_names[LIE_COUNT] = {
    "honest", "unsigned", "forged", "other-home", "other-key",        "old-worker",     "old-generation", "future",
    "kept",   "cached",   "aged",   "standstill", "event-generation", "event-provider", "event-lost",     "stall"};

struct home {
    char path[256];
    uint64_t generation;
    uint64_t worker_started_ns, worker_number;
    uint64_t first_answered_ns; /* by that worker */
};

static struct {
    enum lie lie;
    nng_socket calls, events;
    bool publishes;
    struct statement_secret secret;
    unsigned probe_count; /* main's own */

    pthread_mutex_t lock; /* guards the rest */
    struct home homes[HOME_COUNT_MAX];
    size_t home_count;
    uint64_t beat;
} liar = {.lock = PTHREAD_MUTEX_INITIALIZER};

static const uint64_t EPOCH = 0xe90c4;

static void must(int error, const char *what)
{
    if (error != 0) {
        fprintf(stderr, "lying_daemon: %s: %s\n", what, nng_strerror(error));
        exit(1);
    }
}

static char *text(const char *constant)
{
    return (char *)(uintptr_t)constant;
}

static struct home *find_home(const char *path)
{
    struct home *home;

    for (size_t i = 0; i < liar.home_count; i++) {
        if (strcmp(liar.homes[i].path, path) == 0)
            return &liar.homes[i];
    }
    if (liar.home_count == HOME_COUNT_MAX)
        exit(1);
    home = &liar.homes[liar.home_count++];
    snprintf(home->path, sizeof home->path, "%s", path);
    home->generation = 1;
    home->worker_started_ns = now_ns();
    return home;
}

/* ---- probes ---- */

static void write_statement(struct home *home, const Probed__V1__ProbeRequest *request, char out[STATEMENT_SIZE])
{
    const char *key = liar.lie == OTHER_KEY ? "somebody else's" : request->api_key;
    struct statement statement = {.pid = 17,
                                  .number = ++home->worker_number,
                                  .started_ns = home->worker_started_ns,
                                  .answered_ns = now_ns(),
                                  .key_digest = statement_digest(&liar.secret, key, strlen(key))};

    if (home->first_answered_ns == 0)
        home->first_answered_ns = statement.answered_ns;
    if (liar.lie == FUTURE)
        statement.answered_ns += 3600 * NS_PER_S;
    if (liar.lie == KEPT)
        statement.answered_ns = home->first_answered_ns;
    statement_sign(&statement, &liar.secret, liar.lie == OTHER_HOME ? "/somewhere/else" : home->path,
                   request->provider);
    if (liar.lie == FORGED)
        statement.signature++;
    statement_write(&statement, out);
}

static size_t answer_probe(const Probed__V1__ProbeRequest *request, unsigned char *out)
{
    Probed__V1__AccountUsage usage = PROBED__V1__ACCOUNT_USAGE__INIT;
    Probed__V1__Fence fence = PROBED__V1__FENCE__INIT;
    Probed__V1__ProbeResponse response = PROBED__V1__PROBE_RESPONSE__INIT;
    struct home *home = find_home(request->home);
    char statement[STATEMENT_SIZE] = "nothing to say", *details[] = {statement};

    if (liar.lie == STALL && ++liar.probe_count == STALL_CALL)
        nng_msleep(STALL_MS);
    if (liar.lie != UNSIGNED)
        write_statement(home, request, statement);
    usage.provider = request->provider;
    usage.status = PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_OK;
    usage.source = text(STATEMENT_SOURCE);
    usage.details = details;
    usage.n_details = 1;
    fence.epoch = EPOCH;
    fence.generation = liar.lie == OLD_GENERATION ? 1 : home->generation;
    response.usage = &usage;
    response.fence = &fence;
    response.origin =
        liar.lie == CACHED || liar.lie == AGED ? PROBED__V1__ORIGIN__ORIGIN_CACHED : PROBED__V1__ORIGIN__ORIGIN_WARM;
    response.age_ms = liar.lie == AGED ? TOLD_AGE_MS : 0;
    return probed__v1__probe_response__pack(&response, out);
}

/* ---- news ---- */

static void publish(const char *topic, size_t topic_size, const ProtobufCMessage *message)
{
    unsigned char packed[MESSAGE_SIZE_MAX];
    nng_msg *out;

    if (!liar.publishes)
        return;
    must(nng_msg_alloc(&out, 0), "event");
    must(nng_msg_append(out, topic, topic_size), "event");
    must(nng_msg_append(out, packed, protobuf_c_message_pack(message, packed)), "event");
    must(nng_sendmsg(liar.events, out, NNG_FLAG_NONBLOCK), "publish");
}

static void publish_event(const struct home *home, const Probed__V1__InvalidateRequest *request)
{
    Probed__V1__CredentialEvent event = PROBED__V1__CREDENTIAL_EVENT__INIT;
    Probed__V1__Fence fence = PROBED__V1__FENCE__INIT;
    char topic[TOPIC_SIZE_MAX];

    if (liar.lie == EVENT_LOST)
        return;
    fence.epoch = EPOCH;
    fence.generation = home->generation + (liar.lie == EVENT_GENERATION);
    event.fence = &fence;
    event.home = request->home;
    event.provider = liar.lie == EVENT_PROVIDER ? text("another") : request->provider;
    event.cause = PROBED__V1__CAUSE__CAUSE_REQUESTED;
    event.reason = request->reason;
    publish(topic, topic_write(request->home, topic), &event.base);
}

static void *run_beats(void *argument)
{
    for (;;) {
        Probed__V1__Heartbeat beat = PROBED__V1__HEARTBEAT__INIT;

        pthread_mutex_lock(&liar.lock);
        beat.epoch = EPOCH;
        beat.beat = ++liar.beat;
        beat.interval_ms = BEAT_MS;
        publish(TOPIC_BEAT, sizeof TOPIC_BEAT - 1, &beat.base);
        pthread_mutex_unlock(&liar.lock);
        nng_msleep(BEAT_MS);
    }
    return argument;
}

static size_t answer_invalidate(const Probed__V1__InvalidateRequest *request, unsigned char *out)
{
    Probed__V1__InvalidateResponse response = PROBED__V1__INVALIDATE_RESPONSE__INIT;
    Probed__V1__Fence fence = PROBED__V1__FENCE__INIT;
    struct home *home = find_home(request->home);

    if (liar.lie != STANDSTILL)
        home->generation++;
    if (liar.lie != OLD_WORKER)
        home->worker_started_ns = now_ns();
    publish_event(home, request);
    fence.epoch = EPOCH;
    fence.generation = home->generation;
    response.fence = &fence;
    return probed__v1__invalidate_response__pack(&response, out);
}

/* ---- calls ---- */

static size_t answer(const Probed__V1__RpcRequest *request, unsigned char *out)
{
    size_t size = 0;

    pthread_mutex_lock(&liar.lock);
    if (strcmp(request->method, "/probed.v1.ProbeService/Probe") == 0) {
        Probed__V1__ProbeRequest *probe =
            probed__v1__probe_request__unpack(NULL, request->payload.len, request->payload.data);

        size = answer_probe(probe, out);
        probed__v1__probe_request__free_unpacked(probe, NULL);
    } else {
        Probed__V1__InvalidateRequest *invalidate =
            probed__v1__invalidate_request__unpack(NULL, request->payload.len, request->payload.data);

        size = answer_invalidate(invalidate, out);
        probed__v1__invalidate_request__free_unpacked(invalidate, NULL);
    }
    pthread_mutex_unlock(&liar.lock);
    return size;
}

static void serve(nng_msg *message)
{
    static unsigned char payload[MESSAGE_SIZE_MAX];
    Probed__V1__RpcRequest *request =
        probed__v1__rpc_request__unpack(NULL, nng_msg_len(message), nng_msg_body(message));
    struct status status = status_ok();
    struct envelope_reply reply = {.status = &status};
    nng_msg *out;

    if (request == NULL)
        exit(1);
    reply.payload[0] = (struct envelope_piece){.data = payload, .size = answer(request, payload)};
    must(nng_msg_alloc(&out, envelope_reply_size(&reply)), "reply");
    envelope_reply_write(&reply, nng_msg_body(out));
    probed__v1__rpc_request__free_unpacked(request, NULL);
    nng_msg_free(message);
    must(nng_sendmsg(liar.calls, out, 0), "reply");
}

static void set_lie(const char *name)
{
    for (liar.lie = HONEST; liar.lie < LIE_COUNT; liar.lie++) {
        if (strcmp(lie_names[liar.lie], name) == 0)
            return;
    }
    fprintf(stderr, "lying_daemon: no such lie: %s\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    pthread_t beats;
    nng_msg *message;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    liar.secret = statement_secret_of(getenv(STATEMENT_SECRET_ENV));
    must(nng_rep0_open(&liar.calls), "open");
    must(nng_pub0_open(&liar.events), "open");
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--listen") == 0)
            must(nng_listen(liar.calls, argv[i + 1], NULL, 0), argv[i + 1]);
        else if (strcmp(argv[i], "--publish") == 0)
            must(nng_listen(liar.events, argv[i + 1], NULL, 0), argv[i + 1]);
        else if (strcmp(argv[i], "--lie") == 0)
            set_lie(argv[i + 1]);
        liar.publishes = liar.publishes || strcmp(argv[i], "--publish") == 0;
    }
    puts("ready");
    fflush(stdout);
    must(pthread_create(&beats, NULL, run_beats, NULL), "beats");
    while (nng_recvmsg(liar.calls, &message, 0) == 0)
        serve(message);
    return 1;
}
