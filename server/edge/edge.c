/* What becomes of a message: judged, opened, dispatched, replied to. */
#include "server/edge/edge.h"

#include "proto/arena.h"
#include "proto/envelope.h"
#include "server/base/clock.h"
#include "server/base/invariant.h"
#include "server/base/log.h"
#include "server/base/secret.h"
#include "server/edge/dispatch.h"
#include "server/edge/inside.h"
#include "server/edge/nng_start.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    ARENA_FIRST_SIZE = 16384, /* on the callback's stack: nearly every request fits */
    ARENA_BESIDE_SIZE = 65536,
    RETRY_AFTER_DRAIN_MS = 1000,
};

/* What unpacking a request may take.  The envelope and then the payload are each copied once; beside the copies there
 * are structs and pointers, few in any request that keeps its bounds.  A request made of nothing but empty metadata
 * would take thirty times its size: it is refused instead. */
static size_t arena_size_max(size_t message_size)
{
    return 2 * message_size + ARENA_BESIDE_SIZE;
}

/* ---- replying ---- */

/* The fields of a line; what is not there is not said. */
struct call_line {
    struct log_field fields[24];
    size_t count;
};

static void say_number(struct call_line *line, const char *key, uint64_t number)
{
    line->fields[line->count++] = log_number(key, (int64_t)number);
}

static void say_text(struct call_line *line, const char *key, const char *text)
{
    if (text != NULL && text[0] != '\0')
        line->fields[line->count++] = log_text(key, text);
}

static void say_who(struct call_line *line, const struct exchange *exchange)
{
    say_number(line, "call", exchange->call.id);
    say_number(line, "uid", exchange->call.uid);
    say_text(line, "service", exchange->service == NULL ? NULL : exchange->service->name);
    say_text(line, "method", exchange->method == NULL ? NULL : exchange->method->name);
    say_text(line, "request_id", exchange->request_id);
    say_text(line, "trace_id", exchange->trace.trace_id);
    say_text(line, "parent_id", exchange->trace.parent_id);
}

static void say_what(struct call_line *line, const struct rpc_call *call)
{
    static const char *const origins[] = {[ORIGIN_UNSPECIFIED] = NULL,
                                          [ORIGIN_WARM] = "warm",
                                          [ORIGIN_COLD] = "cold",
                                          [ORIGIN_JOINED] = "joined",
                                          [ORIGIN_CACHED] = "cached"};
    const struct rpc_note *note = &call->note;

    say_text(line, "home", note->home);
    say_text(line, "provider", call->engine.provider);
    say_text(line, "origin", note->stale ? "stale" : origins[note->origin]);
    if (note->origin != ORIGIN_UNSPECIFIED)
        say_number(line, "age_ms", note->age_ns / NS_PER_MS);
    if (note->lease_id == 0)
        return;
    say_number(line, "lease", note->lease_id);
    say_number(line, "worker", note->worker_id);
    say_number(line, "queue_us", note->queue_us);
    say_number(line, "spawn_us", note->spawn_us);
    say_number(line, "probe_us", note->probe_us);
}

static void write_call(const struct exchange *exchange, const struct status *status, uint64_t now_ns)
{
    struct call_line line = {.count = 0};

    say_who(&line, exchange);
    say_what(&line, &exchange->call);
    say_text(&line, "code", status_code_name(status->code));
    say_text(&line, "message", status->message);
    say_number(&line, "us", (now_ns - exchange->call.arrived_ns) / 1000);
    log_write(LOG_DEBUG, "call", line.fields, line.count);
}

static void log_call(struct exchange *exchange, const struct status *status, uint64_t now_ns)
{
    if (log_enabled(LOG_DEBUG))
        write_call(exchange, status, now_ns);
    free(exchange->call.note.home);
    exchange->call.note = (struct rpc_note){.home = NULL};
}

static struct exchange *exchange_of(struct rpc_call *call)
{
    return (struct exchange *)(void *)((char *)call - offsetof(struct exchange, call));
}

/* NULL when memory is short. */
static nng_msg *pack_reply(const struct exchange *exchange, const struct status *status,
                           const struct envelope_piece payload[ENVELOPE_PIECE_COUNT_MAX])
{
    struct envelope_reply reply = {.status = status, .request_id = exchange->request_id};
    nng_msg *message;

    memcpy(reply.payload, payload, sizeof reply.payload);
    if (nng_msg_alloc(&message, envelope_reply_size(&reply)) != 0)
        return NULL;
    envelope_reply_write(&reply, nng_msg_body(message));
    return message;
}

/* One holder less; with the last the exchange is spare again. */
static void let_go_held(struct edge *edge, struct exchange *exchange) REQUIRES(edge->lock)
{
    INVARIANT(exchange->hold_count > 0);
    exchange->hold_count--;
    if (exchange->hold_count > 0)
        return;
    peers_exchange_over_held(edge, exchange);
    exchange_move_held(edge, exchange, EXCHANGE_SPARE);
    if (edge->draining)
        edge->last_sent_ns = clock_now_ns();
    if (edge->stopping)
        condition_broadcast(&edge->rest);
}

/* For threads that listener_close does not wait for: no other exchange receives in this one's place. */
static void let_go(struct exchange *exchange)
{
    struct edge *edge = exchange->edge;

    lock_acquire(&edge->lock);
    let_go_held(edge, exchange);
    lock_release(&edge->lock);
}

/* The transport's part of a call.  It holds the exchange until nng has let go of this thread: an operation on a context
 * that is still returning when the socket is closed looks into freed memory (nng 1.5.2). */
static void reply(struct rpc_call *call, const struct status *status,
                  const struct envelope_piece payload[ENVELOPE_PIECE_COUNT_MAX])
{
    struct exchange *exchange = exchange_of(call);
    struct edge *edge = exchange->edge;
    nng_msg *message = pack_reply(exchange, status, payload);
    uint64_t now_ns = clock_now_ns();

    log_call(exchange, status, now_ns);
    lock_acquire(&edge->lock);
    exchange_move_held(edge, exchange, EXCHANGE_SENDING);
    exchange->replied_ns = now_ns;
    exchange->hold_count++;
    peers_call_replied_held(edge, exchange);
    lock_release(&edge->lock);
    if (message != NULL) {
        nng_aio_set_msg(exchange->send, message);
        nng_ctx_send(exchange->context, exchange->send);
    } else {
        nng_pipe_close(exchange->pipe); /* its client learns that no answer will come */
        let_go(exchange);               /* in place of exchange_sent */
    }
    let_go(exchange);
}

static void departed(struct rpc_call *call)
{
    let_go(exchange_of(call));
}

static const struct rpc_transport transport = {.reply = reply, .departed = departed};
static const struct envelope_piece no_payload[ENVELOPE_PIECE_COUNT_MAX];

void exchange_sent(void *context)
{
    struct exchange *exchange = context, *next;
    struct edge *edge = exchange->edge;

    nng_start_callback();
    if (nng_aio_result(exchange->send) != 0) { /* memory was short: its client learns that no answer will come */
        nng_msg_free(nng_aio_get_msg(exchange->send));
        nng_aio_set_msg(exchange->send, NULL);
        nng_pipe_close(exchange->pipe);
    }
    lock_acquire(&edge->lock);
    let_go_held(edge, exchange);
    next = listener_pick_held(edge); /* this one, or one that was let go elsewhere */
    lock_release(&edge->lock);
    if (next != NULL)
        exchange_receive(next);
}

/* ---- serving ---- */

static struct status refusal(const struct edge_limits *limits, enum verdict verdict, uint32_t uid)
{
    switch (verdict) {
    case VERDICT_UNAUTHENTICATED:
        return status_make(STATUS_UNAUTHENTICATED,
                           "tcp peers have no uid: call on ipc or by tls+tcp, or set server.tcp_trust");
    case VERDICT_NOT_ADMITTED:
        return status_make(STATUS_PERMISSION_DENIED, "uid %" PRIu32 " is not admitted: server.allow_uids names who is",
                           uid);
    case VERDICT_DRAINING:
        return status_make_retry(STATUS_UNAVAILABLE, RETRY_AFTER_DRAIN_MS, "the daemon is ending");
    case VERDICT_CALLS_MAX:
        return status_make(STATUS_RESOURCE_EXHAUSTED, "server.calls_max: %zu calls are in progress", limits->calls_max);
    case VERDICT_CALLS_PER_UID:
        return status_make(STATUS_RESOURCE_EXHAUSTED, "server.calls_per_uid: uid %" PRIu32 " has %zu calls in progress",
                           uid, limits->calls_per_uid);
    default:
        return status_ok();
    }
}

static uint64_t deadline_ns(const struct exchange *exchange, uint32_t timeout_ms)
{
    uint64_t timeout_ns = timeout_ms * NS_PER_MS, timeout_ns_max = exchange->limits.timeout_ns_max;

    return exchange->call.arrived_ns + (timeout_ms == 0 || timeout_ns > timeout_ns_max ? timeout_ns_max : timeout_ns);
}

static void keep_metadata(struct exchange *exchange, const Probed__V1__RpcRequest *request)
{
    const char *request_id = envelope_metadata(request, "request-id");

    if (log_enabled(LOG_DEBUG))
        exchange->trace = trace_of(envelope_metadata(request, "traceparent"));
    if (request_id != NULL)
        memcpy(exchange->request_id, request_id, strlen(request_id) + 1); /* envelope_open_request checked its size */
}

/* Opens the envelope and invokes the handler; an error is the caller's to reply. */
static struct status serve(struct exchange *exchange, nng_msg *message)
{
    struct edge *edge = exchange->edge;
    Probed__V1__RpcRequest *request;
    struct dispatch_route route;
    unsigned char first[ARENA_FIRST_SIZE];
    struct arena arena;
    struct status status;

    arena_init(&arena, first, sizeof first, arena_size_max(nng_msg_len(message)));
    status = envelope_open_request(nng_msg_body(message), nng_msg_len(message), &arena, &request);
    if (status_is_ok(&status)) {
        exchange->call.deadline_ns = deadline_ns(exchange, request->timeout_ms);
        keep_metadata(exchange, request);
        status = dispatch_find(edge->service, request->method, &route);
    }
    if (status_is_ok(&status)) {
        exchange->service = route.table->descriptor;
        exchange->method = route.method;
        status = dispatch_invoke(&route, &exchange->call, &request->payload, &arena);
    }
    arena_fini(&arena);
    return status;
}

/* The handler has returned, the services know the call: a departure that came meanwhile is reported now. */
static void dispatched(struct exchange *exchange)
{
    struct edge *edge = exchange->edge;
    struct exchange *next = NULL;
    bool report;

    lock_acquire(&edge->lock);
    exchange->dispatching = false;
    report = exchange->left && exchange->state == EXCHANGE_SERVING;
    if (!report) {
        let_go_held(edge, exchange);
        next = listener_pick_held(edge);
    }
    lock_release(&edge->lock);
    if (report)
        service_call_left(edge->service, &exchange->call, exchange->call.id); /* whose hold is the departure's now */
    if (next != NULL)
        exchange_receive(next);
}

/* What a call starts with; the rest of it is peers_judge_held's. */
static void begin_held(struct edge *edge, struct exchange *exchange, uint64_t arrived_ns) REQUIRES(edge->lock)
{
    exchange->call.transport = &transport;
    exchange->call.id = ++edge->last_call_id;
    exchange->call.arrived_ns = arrived_ns;
    exchange->call.deadline_ns = arrived_ns;
    exchange->limits = edge->limits;
    exchange->hold_count = 2; /* until the reply is sent; until it is dispatched */
    exchange->dispatching = true;
}

static void take(struct exchange *exchange, nng_msg *message, uint64_t arrived_ns)
{
    struct edge *edge = exchange->edge;
    nng_pipe pipe = nng_msg_get_pipe(message);
    struct exchange *next;
    enum verdict verdict;
    struct status status;

    lock_acquire(&edge->lock);
    verdict = peers_judge_held(edge, exchange, pipe);
    edge->call_count++;
    edge->refused_count += verdict != VERDICT_SERVE;
    if (verdict >= VERDICT_SERVE)
        begin_held(edge, exchange, arrived_ns);
    exchange_move_held(edge, exchange, verdict >= VERDICT_SERVE ? EXCHANGE_SERVING : EXCHANGE_SPARE);
    next = listener_pick_held(edge);
    lock_release(&edge->lock);
    if (next != NULL)
        exchange_receive(next);
    else
        listener_grow(edge);
    if (verdict == VERDICT_FLOOD)
        nng_pipe_close(pipe);
    if (verdict < VERDICT_SERVE)
        return;

    exchange->pipe = pipe;
    exchange->service = NULL;
    exchange->method = NULL;
    exchange->request_id[0] = '\0';
    exchange->trace = TRACE_NONE;
    memset(&exchange->call.engine, 0, sizeof exchange->call.engine);
    status =
        verdict == VERDICT_SERVE ? serve(exchange, message) : refusal(&exchange->limits, verdict, exchange->call.uid);
    if (!status_is_ok(&status))
        reply(&exchange->call, &status, no_payload);
    dispatched(exchange);
}

/* The receive was stopped, or the socket closed. */
static void rest(struct exchange *exchange)
{
    struct edge *edge = exchange->edge;

    lock_acquire(&edge->lock);
    exchange_move_held(edge, exchange, EXCHANGE_SPARE);
    lock_release(&edge->lock);
}

void exchange_received(void *context)
{
    struct exchange *exchange = context;
    uint64_t arrived_ns = clock_now_ns();
    nng_msg *message;

    nng_start_callback();
    if (nng_aio_result(exchange->receive) != 0) {
        rest(exchange);
        return;
    }
    message = nng_aio_get_msg(exchange->receive);
    nng_aio_set_msg(exchange->receive, NULL);
    take(exchange, message, arrived_ns);
    secret_wipe(nng_msg_body(message), nng_msg_len(message)); /* an api_key may be in it */
    nng_msg_free(message);
}

/* ---- life ---- */

static struct edge_limits limits_of(const struct edge_settings *settings)
{
    return (struct edge_limits){
        .calls_max = settings->calls_max,
        .calls_per_uid = settings->calls_per_uid,
        .connections_per_uid = settings->connections_per_uid,
        .timeout_ns_max = settings->timeout_ns_max,
    };
}

struct status edge_create(const struct edge_settings *settings, struct service *service, const struct homes *homes,
                          struct edge **edge_out)
{
    struct edge *edge = calloc(1, sizeof *edge);
    struct status status;

    if (edge == NULL)
        return status_make(STATUS_RESOURCE_EXHAUSTED, "no memory for the edge");
    edge->settings = *settings;
    edge->settings.urls = NULL;
    edge->limits = limits_of(settings);
    edge->service = service;
    edge->homes = homes;
    secret_random(&edge->seed, sizeof edge->seed);
    lock_init(&edge->lock, "edge");
    condition_init(&edge->rest);
    status = listener_open(edge, settings->urls, settings->url_count);
    if (!status_is_ok(&status)) {
        edge_destroy(edge);
        return status;
    }
    *edge_out = edge;
    return status_ok();
}

void edge_settings_changed(struct edge *edge, const struct edge_settings *settings)
{
    lock_acquire(&edge->lock);
    edge->limits = limits_of(settings);
    lock_release(&edge->lock);
}

void edge_drain(struct edge *edge)
{
    if (edge == NULL)
        return;
    lock_acquire(&edge->lock);
    listener_drain_held(edge);
    lock_release(&edge->lock);
}

void edge_close(struct edge *edge)
{
    if (edge != NULL)
        listener_close(edge);
}

void edge_destroy(struct edge *edge)
{
    if (edge == NULL)
        return;
    listener_close(edge);
    listener_free(edge);
    peers_free(edge);
    condition_fini(&edge->rest);
    lock_fini(&edge->lock);
    free(edge);
}

void edge_look(struct edge *edge, struct edge_counts *counts_out)
{
    lock_acquire(&edge->lock);
    *counts_out = (struct edge_counts){
        .calls = edge->call_count,
        .refused = edge->refused_count,
        .connections = HASH_CNT(by_pipe, edge->peers),
        .in_progress = exchanges_in_progress_held(edge),
        .contexts = edge->exchange_count,
    };
    lock_release(&edge->lock);
}
