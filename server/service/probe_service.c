/* probed.v1.ProbeService: checks every bound, resolves the home, hands an engine_call to the shell, and turns what
 * comes back into the reply.
 *
 * A call whose home cannot be resolved without blocking is parked in the engine, which keeps its deadline, until a
 * resolver thread has the answer. */
#include "server/service/internal.h"

#include "proto/utf8.h"
#include "server/base/clock.h"
#include "server/base/invariant.h"
#include "server/homes/path.h"

#include <string.h>

/* Blanks of the contract: space, tab, CR, LF. */
#define BLANKS " \t\r\n"

/* Trims, lowers and checks `given`; empty (not: blank) is legal only where it means all. */
static struct status take_provider(struct engine_call *call, const char *given, bool may_be_all)
{
    const char *begin = given + strspn(given, BLANKS);
    size_t size = strlen(begin);

    while (size > 0 && strchr(BLANKS, begin[size - 1]) != NULL)
        size--;
    if (size == 0 && !(may_be_all && given[0] == '\0'))
        return status_make(STATUS_INVALID_ARGUMENT, "provider is %s", given[0] == '\0' ? "empty" : "only blanks");
    if (size > LIMIT_PROVIDER_SIZE_MAX)
        return status_make(STATUS_INVALID_ARGUMENT, "provider has %zu bytes, more than %d", size,
                           LIMIT_PROVIDER_SIZE_MAX);
    for (size_t i = 0; i < size; i++) {
        char c = begin[i];

        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-'))
            return status_make(STATUS_INVALID_ARGUMENT, "provider may only have bytes of [a-z0-9._-]");
        call->provider[i] = c;
    }
    call->provider[size] = '\0';
    return status_ok();
}

static void take_call(const struct rpc_call *call, struct engine_call *engine, enum engine_call_kind kind)
{
    engine->id = call->id;
    engine->kind = kind;
    engine->uid = call->uid;
    engine->arrived_ns = call->arrived_ns;
    engine->deadline_ns = call->deadline_ns;
}

static struct status take_probe(const struct service *service, struct rpc_call *call,
                                const Probed__V1__ProbeRequest *request)
{
    struct engine_call *engine = &call->engine;
    size_t key_size = strlen(request->api_key);
    struct status status;

    take_call(call, engine, ENGINE_CALL_PROBE);
    status = take_provider(engine, request->provider, false);
    if (!status_is_ok(&status))
        return status;
    if (key_size > LIMIT_API_KEY_SIZE_MAX)
        return status_make(STATUS_INVALID_ARGUMENT, "api_key has %zu bytes, more than %d", key_size,
                           LIMIT_API_KEY_SIZE_MAX);
    if (key_size > 0) {
        engine->probe.api_key = secret_create(request->api_key, key_size);
        if (engine->probe.api_key == NULL)
            return status_make(STATUS_RESOURCE_EXHAUSTED, "no memory for an api_key of %zu bytes", key_size);
    }
    secret_fingerprint(&service->settings.fingerprint_key, request->api_key, key_size, &engine->probe.fingerprint);
    engine->probe.refresh = request->refresh;
    engine->probe.accept_stale = request->accept_stale;
    engine->probe.age_ns_max = request->max_age_ms * NS_PER_MS;
    if (request->at_least != NULL) {
        if (request->at_least->epoch == 0 || request->at_least->generation == 0)
            return status_make(STATUS_INVALID_ARGUMENT, "at_least has epoch or generation 0");
        engine->probe.at_least = (struct fence){request->at_least->epoch, request->at_least->generation};
    }
    return status_ok();
}

static struct status take_invalidate(struct rpc_call *call, const Probed__V1__InvalidateRequest *request)
{
    struct engine_call *engine = &call->engine;
    size_t reason_size = strlen(request->reason);
    struct status status;

    take_call(call, engine, ENGINE_CALL_INVALIDATE);
    status = take_provider(engine, request->provider, true);
    if (!status_is_ok(&status))
        return status;
    if (request->barrier < PROBED__V1__BARRIER__BARRIER_UNSPECIFIED ||
        request->barrier > PROBED__V1__BARRIER__BARRIER_QUIESCED)
        return status_make(STATUS_INVALID_ARGUMENT, "barrier %d is none of this version's", (int)request->barrier);
    if (reason_size > LIMIT_REASON_SIZE_MAX)
        return status_make(STATUS_INVALID_ARGUMENT, "reason has %zu bytes, more than %d", reason_size,
                           LIMIT_REASON_SIZE_MAX);
    if (utf8_has_control(request->reason, reason_size))
        return status_make(STATUS_INVALID_ARGUMENT, "reason has a control character");
    engine->invalidate.quiesced = request->barrier == PROBED__V1__BARRIER__BARRIER_QUIESCED;
    memcpy(engine->invalidate.reason, request->reason, reason_size + 1);
    return status_ok();
}

static void note_time(struct service *service, const struct rpc_call *call, enum timing_origin origin,
                      enum status_code code)
{
    timing_note(&service->timing, origin, code, clock_now_ns() - call->arrived_ns);
}

/* The call is over without an answer. */
static void fail(struct service *service, struct rpc_call *call, const struct status *status)
{
    if (call->engine.kind == ENGINE_CALL_PROBE) {
        note_time(service, call, TIMING_NONE, status->code);
        secret_release(call->engine.probe.api_key);
        call->engine.probe.api_key = NULL;
    }
    rpc_call_fail(call, status);
}

/* ---- peers that are confined to some homes ---- */

static struct status out_of_scope(void)
{
    return status_make(STATUS_PERMISSION_DENIED, "home is none of those that this role may use: tls.homes names them");
}

/* Before anybody looks: a refusal tells nothing of what is there.  A path that is malformed is refused as any other. */
static bool may_ask_for(const struct rpc_call *call, const char *home)
{
    struct status status;

    if (call->scope == NULL || homes_scope_admits_given(call->scope, home))
        return true;
    status = home_path_check(home);
    return !status_is_ok(&status);
}

/* Where the path led to. */
static bool leads_out(const struct rpc_call *call, const struct status *resolved, const struct home_place *place)
{
    bool named = resolved->code == STATUS_OK || (resolved->code == STATUS_NOT_FOUND && place->missing);

    return call->scope != NULL && named && !homes_scope_admits(call->scope, place->canonical);
}

/* ---- homes ---- */

/* The engine's step for a call whose home was looked up. */
static void decide(struct service *service, struct rpc_call *call, const struct status *resolved,
                   const struct home_place *place)
{
    struct engine_call *engine = &call->engine;

    if (leads_out(call, resolved, place)) {
        struct status refused = out_of_scope();

        fail(service, call, &refused);
        return;
    }
    rpc_note_home(call, place->canonical);
    /* A known home may be invalidated though its directory is gone. */
    if (engine->kind == ENGINE_CALL_INVALIDATE && resolved->code == STATUS_NOT_FOUND && place->missing) {
        engine->invalidate.known_only = true;
    } else if (!status_is_ok(resolved)) {
        fail(service, call, resolved);
        return;
    }
    switch (engine->kind) {
    case ENGINE_CALL_PROBE:
        shell_probe(service->shell, engine, place);
        break;
    case ENGINE_CALL_INVALIDATE:
        shell_invalidate(service->shell, engine, place->canonical);
        break;
    case ENGINE_CALL_SYNC:
        shell_sync(service->shell, engine, place);
        break;
    }
}

/* On a resolver thread, perhaps long after the call ended: the engine knows. */
static void resolved_later(void *context, struct homes_ticket ticket, const struct status *status,
                           const struct home_place *place)
{
    struct service *service = context;
    struct rpc_call *call = ticket.object;

    if (shell_call_unparked(service->shell, &call->engine, ticket.id))
        decide(service, call, status, place);
}

static void resolve(struct service *service, struct rpc_call *call, const char *home)
{
    struct home_place place;
    struct status status;
    uint32_t uid = call->uid;
    struct homes_ticket ticket = {.object = call, .id = call->id};

    if (!may_ask_for(call, home)) {
        status = out_of_scope();
        fail(service, call, &status);
        return;
    }
    rpc_note_home(call, home);
    if (homes_resolve_now(service->homes, home, uid, call->arrived_ns, &place, &status)) {
        decide(service, call, &status, &place);
        return;
    }
    shell_call_parked(service->shell, &call->engine); /* from here on the call may end at any time */
    status = homes_resolve_later(service->homes, home, uid, resolved_later, service, ticket);
    if (!status_is_ok(&status) && shell_call_unparked(service->shell, &call->engine, ticket.id))
        fail(service, call, &status);
}

static void probe_service_probe(Probed__V1__ProbeService_Service *table, const Probed__V1__ProbeRequest *request,
                                Probed__V1__ProbeResponse_Closure closure, void *closure_data)
{
    struct service *service = SERVICE_OF(table, probe);
    struct rpc_call *call = closure_data;
    struct status status = take_probe(service, call, request);

    (void)closure;
    if (status_is_ok(&status))
        resolve(service, call, request->home);
    else
        fail(service, call, &status);
}

static void probe_service_invalidate(Probed__V1__ProbeService_Service *table,
                                     const Probed__V1__InvalidateRequest *request,
                                     Probed__V1__InvalidateResponse_Closure closure, void *closure_data)
{
    struct service *service = SERVICE_OF(table, probe);
    struct rpc_call *call = closure_data;
    struct status status = take_invalidate(call, request);

    (void)closure;
    if (status_is_ok(&status) && request->home[0] == '\0' && !call->admin)
        status = status_make(STATUS_PERMISSION_DENIED, "only administrators may invalidate every home; name one");
    if (!status_is_ok(&status))
        fail(service, call, &status);
    else if (request->home[0] == '\0')
        shell_invalidate(service->shell, &call->engine, NULL);
    else
        resolve(service, call, request->home);
}

static void probe_service_sync(Probed__V1__ProbeService_Service *table, const Probed__V1__SyncRequest *request,
                               Probed__V1__SyncResponse_Closure closure, void *closure_data)
{
    struct service *service = SERVICE_OF(table, probe);
    struct rpc_call *call = closure_data;

    (void)closure;
    take_call(call, &call->engine, ENGINE_CALL_SYNC);
    resolve(service, call, request->home);
}

Probed__V1__ProbeService_Service probe_service_table(void)
{
    return (Probed__V1__ProbeService_Service)PROBED__V1__PROBE_SERVICE__INIT(probe_service_);
}

/* ---- replies ---- */

_Static_assert((int)TIMING_WARM == (int)ORIGIN_WARM && (int)TIMING_CACHED == (int)ORIGIN_CACHED,
               "timing numbers the origins as the engine does");

static uint32_t milliseconds(uint64_t ns)
{
    return service_clip(ns / NS_PER_MS);
}

enum { USAGE_TAG = 1 << 3 | 2, LAST_GOOD_TAG = 7 << 3 | 2 }; /* of ProbeResponse, length-delimited both */

/* The usage of an answer as it was packed, which is the first of its fields: its length as it stands there, and behind
 * that its bytes. */
static struct envelope_piece packed_usage(const struct answer *answer)
{
    size_t size = 0, at = 1;
    unsigned shift = 0;

    INVARIANT(answer->size > 1 && answer->bytes[0] == USAGE_TAG);
    do {
        INVARIANT(at < answer->size && shift < 64);
        size |= (size_t)(answer->bytes[at] & 0x7f) << shift;
        shift += 7;
    } while (answer->bytes[at++] & 0x80);
    INVARIANT(size <= answer->size - at);
    return (struct envelope_piece){.data = answer->bytes + 1, .size = at - 1 + size};
}

/* The shared answer as it is kept, the last good one if there is one to tell of, and behind them what is this caller's
 * own. */
static void reply_probe(struct rpc_call *call, const struct engine_result *result)
{
    static const unsigned char last_good_tag = LAST_GOOD_TAG;
    const struct answer *last_good = result->stale ? result->answer : result->last_good;
    Probed__V1__ProbeResponse own = PROBED__V1__PROBE_RESPONSE__INIT;
    unsigned char packed[4 * (1 + 10) + 1 + 2 + STATUS_MESSAGE_SIZE]; /* four varints, a message, and their tags */
    struct envelope_piece payload[ENVELOPE_PIECE_COUNT_MAX] = {
        {.data = result->answer->bytes, .size = result->answer->size},
    };
    struct status status = status_ok();

    own.origin = (Probed__V1__Origin)result->origin;
    own.age_ms = milliseconds(result->age_ns);
    own.fresh_ms = milliseconds(result->fresh_ns);
    if (last_good != NULL) {
        own.last_good_age_ms = (result->stale ? result->age_ns : result->last_good_age_ns) / NS_PER_MS;
        payload[1] = (struct envelope_piece){.data = &last_good_tag, .size = sizeof last_good_tag};
        payload[2] = packed_usage(last_good);
    }
    if (result->stale)
        own.stale_reason = (char *)(uintptr_t)result->status.message;
    payload[3] = (struct envelope_piece){.data = packed, .size = probed__v1__probe_response__pack(&own, packed)};
    call->transport->reply(call, &status, payload);
}

static void reply_fence(struct rpc_call *call, const struct engine_result *result)
{
    Probed__V1__Fence fence = PROBED__V1__FENCE__INIT;

    fence.epoch = result->fence.epoch;
    fence.generation = result->fence.generation;
    if (call->engine.kind == ENGINE_CALL_SYNC) {
        Probed__V1__SyncResponse response = PROBED__V1__SYNC_RESPONSE__INIT;

        response.fence = &fence;
        rpc_call_reply(call, &response.base);
    } else {
        Probed__V1__InvalidateResponse response = PROBED__V1__INVALIDATE_RESPONSE__INIT;

        response.fence = &fence;
        response.cache_dropped = service_clip(result->cache_dropped);
        response.workers_retired = service_clip(result->workers_retired);
        response.workers_draining = service_clip(result->workers_draining);
        rpc_call_reply(call, &response.base);
    }
}

static enum timing_origin origin_of(const struct engine_result *result)
{
    return result->stale ? TIMING_STALE : (enum timing_origin)result->origin;
}

void service_answered(void *context, struct engine_call *engine)
{
    struct rpc_call *call = (struct rpc_call *)(void *)((char *)engine - offsetof(struct rpc_call, engine));
    struct service *service = context;
    struct answer *answer = engine->result.answer, *last_good = engine->result.last_good;

    if (!status_is_ok(&engine->result.status) && !engine->result.stale) {
        fail(service, call, &engine->result.status);
        return;
    }
    if (engine->kind == ENGINE_CALL_PROBE) {
        INVARIANT(answer != NULL);
        secret_release(engine->probe.api_key);
        engine->probe.api_key = NULL;
        rpc_note_result(call, &engine->result);
        note_time(service, call, origin_of(&engine->result), STATUS_OK);
        reply_probe(call, &engine->result); /* the call's memory is the transport's again */
        answer_release(answer);
        answer_release(last_good);
    } else {
        reply_fence(call, &engine->result);
    }
}
