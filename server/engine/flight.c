/* Flights: from the first caller to the last. */
#include "server/engine/flight.h"

#include "server/engine/state.h"

#include <stdlib.h>

static const unsigned flight_may_become[FLIGHT_STATE_COUNT] = {
    [FLIGHT_WAITING] = TO(FLIGHT_LEASED) | TO(FLIGHT_ENDED),
    [FLIGHT_LEASED] = TO(FLIGHT_WAITING) | TO(FLIGHT_ENDED),
};

/* The only writer of flight->state. */
static void flight_move(struct engine *engine, struct flight *flight, enum flight_state next)
{
    INVARIANT(flight_may_become[flight->state] & TO(next));
    if (flight->state == FLIGHT_WAITING) {
        engine->calls.waiting_count -= flight->callers.count;
        flight->tenant->waiting_count--;
    }
    if (next == FLIGHT_WAITING) {
        engine->calls.waiting_count += flight->callers.count;
        flight->tenant->waiting_count++;
    }
    list_remove(&flight->in_queue);
    list_move(&engine->flights_in[next], &flight->node);
    flight->state = next;
    household_touch(engine, flight->entry->household);
}

/* To its place by admission: whoever was admitted later stays behind, so what is run again goes ahead. */
static void enqueue(struct list *queue, struct flight *flight)
{
    struct list_node *before = NULL;

    LIST_EACH (node, queue) {
        if (LIST_OWNER(node, struct flight, in_queue)->ticket > flight->ticket)
            break;
        before = node;
    }
    list_insert_behind(queue, before, &flight->in_queue);
}

static void flight_free(struct engine *engine, struct flight *flight)
{
    tenant_release(engine, flight->tenant);
    secret_release(flight->api_key);
    free(flight->failure);
    free(flight);
}

struct flight *flight_create(struct engine *engine, struct entry *entry, struct engine_call *call)
{
    struct flight *flight = calloc(1, sizeof *flight);

    if (flight == NULL)
        return NULL;
    flight->failure = calloc(1, sizeof *flight->failure);
    flight->tenant = tenant_obtain(engine, call->uid);
    if (flight->failure == NULL || flight->tenant == NULL) {
        flight_free(engine, flight);
        return NULL;
    }
    flight->tenant->waiting_count++;
    flight->entry = entry;
    flight->state = FLIGHT_WAITING;
    flight->ticket = ++engine->flight_tickets;
    flight->arrived_ns = call->arrived_ns;
    flight->leader = call;
    flight->api_key = secret_share(call->probe.api_key);
    list_push_back(&engine->flights_in[FLIGHT_WAITING], &flight->node);
    list_push_back(&entry->flights, &flight->in_entry);
    list_push_back(&entry->household->waiting, &flight->in_queue); /* the highest ticket is the last */
    flight_board(engine, flight, call);
    return flight;
}

static void take_off_worker(struct flight *flight)
{
    flight->worker->flight = NULL;
    flight->worker = NULL;
}

static void flight_end(struct engine *engine, struct flight *flight)
{
    struct entry *entry = flight->entry;

    INVARIANT(flight->callers.count == 0);
    if (flight->worker != NULL)
        take_off_worker(flight);
    flight_move(engine, flight, FLIGHT_ENDED);
    list_remove(&flight->node);
    list_remove(&flight->in_entry);
    flight_free(engine, flight);
    entry_leave_if_empty(engine, entry);
}

/* ---- callers ---- */

struct flight *flight_joinable(const struct entry *entry, const struct engine_call *call)
{
    const struct fence *at_least = &call->probe.at_least;

    LIST_EACH (node, &entry->flights) {
        struct flight *flight = LIST_OWNER(node, struct flight, in_entry);

        if (flight->state == FLIGHT_WAITING || at_least->epoch == 0 ||
            flight->fence.generation >= at_least->generation || MUTANT(JOINS_OLDER))
            return flight;
    }
    return NULL;
}

void flight_board(struct engine *engine, struct flight *flight, struct engine_call *call)
{
    call->flight = flight;
    call->place = ENGINE_CALL_ABOARD;
    list_push_back(&flight->callers, &call->node);
    heap_set(&engine->calls.deadlines, &call->deadline, call->deadline_ns);
    engine->calls.aboard_count++;
    if (flight->state == FLIGHT_WAITING)
        engine->calls.waiting_count++;
    household_touch(engine, flight->entry->household);
}

static void disembark(struct engine *engine, struct engine_call *call)
{
    struct flight *flight = call->flight;

    list_remove(&call->node);
    heap_clear(&engine->calls.deadlines, &call->deadline);
    call_unreserve(engine);
    engine->calls.aboard_count--;
    if (flight->state == FLIGHT_WAITING)
        engine->calls.waiting_count--;
    if (flight->leader == call)
        flight->leader = NULL;
    call->flight = NULL;
    call->place = ENGINE_CALL_NOWHERE;
}

void flight_lose_caller(struct engine *engine, uint64_t now_ns, struct engine_call *call, const struct status *status,
                        struct actions *actions)
{
    struct flight *flight = call->flight;

    disembark(engine, call);
    call_fail_probe(engine, now_ns, flight->entry, call, status, actions);
    if (flight->callers.count == 0 && flight->state == FLIGHT_WAITING)
        flight_end(engine, flight);
}

void flight_cancelled(struct engine *engine, uint64_t now_ns, struct flight *flight, const struct status *status,
                      struct actions *actions)
{
    while (flight->callers.count > 0) {
        struct engine_call *call = LIST_OWNER(flight->callers.first, struct engine_call, node);

        disembark(engine, call);
        call_fail_probe(engine, now_ns, flight->entry, call, status, actions);
    }
    flight_end(engine, flight);
}

/* ---- the lease ---- */

void flight_lease(struct engine *engine, uint64_t now_ns, struct flight *flight, struct worker *worker,
                  struct actions *actions)
{
    struct fence present = home_fence(engine, worker->household->home);

    INVARIANT(worker->household == flight->entry->household);
    INVARIANT(worker->fence.epoch == present.epoch && worker->fence.generation == present.generation);
    flight_move(engine, flight, FLIGHT_LEASED);
    flight->worker = worker;
    flight->fence = worker->fence;
    worker_lend(engine, now_ns, worker, flight, actions);
}

static void run_again(struct engine *engine, struct flight *flight, struct list *queue)
{
    take_off_worker(flight);
    flight_move(engine, flight, FLIGHT_WAITING);
    enqueue(queue, flight);
}

void flight_lands(struct engine *engine, uint64_t now_ns, struct flight *flight, struct answer *answer,
                  struct actions *actions)
{
    static const enum engine_counter counters[] = {
        [ORIGIN_WARM] = ENGINE_COUNTER_ANSWERED_WARM,
        [ORIGIN_COLD] = ENGINE_COUNTER_ANSWERED_COLD,
        [ORIGIN_JOINED] = ENGINE_COUNTER_ANSWERED_JOINED,
    };
    enum origin origin_of_lease = flight->worker->lease.spawn_ns > 0 ? ORIGIN_COLD : ORIGIN_WARM;
    const struct status elsewhere =
        status_make(STATUS_ABORTED, "home leads to another directory than when it was asked for");

    uint64_t fresh_ns;

    cache_forget_failure(flight->entry);
    fresh_ns = cache_store(engine, now_ns, flight->entry, answer, flight->fence);
    while (flight->callers.count > 0) {
        struct engine_call *call = LIST_OWNER(flight->callers.first, struct engine_call, node);
        enum origin origin = call == flight->leader ? origin_of_lease : ORIGIN_JOINED;

        disembark(engine, call);
        if (!home_is_for(flight->entry->household->home, &call->probe.directory)) {
            call_fail_probe(engine, now_ns, flight->entry, call, &elsewhere, actions);
            continue;
        }
        cache_hand_out(engine, now_ns, flight->entry, answer, fresh_ns, origin, call);
        engine_count(engine, counters[origin]);
        call_give_back(call, actions);
    }
    answer_release(answer);
    flight_end(engine, flight);
}

/* ---- what can go wrong ---- */

void flight_fails(struct engine *engine, uint64_t now_ns, struct flight *flight, const struct status *status,
                  struct actions *actions)
{
    struct status told = *status;

    if (MUTANT(FAILURE_REPLACES_ANSWER))
        (void)cache_drop(engine, now_ns, flight->entry->household, flight->entry->provider);
    if (engine->settings.failure_ttl_ns > 0) {
        struct failure *failure = flight->failure;

        failure->fence =
            flight->state == FLIGHT_LEASED ? flight->fence : home_fence(engine, flight->entry->household->home);
        failure->failed_ns = now_ns;
        failure->status = told;
        flight->failure = NULL;
        cache_remember(engine, flight->entry, failure);
    }
    flight_cancelled(engine, now_ns, flight, &told, actions);
}

/* What a worker's failure is called.  A breach says it itself: it may have been our own want of memory. */
static struct status name_failure(const struct lease_outcome *outcome)
{
    struct status status = outcome->status;

    if (outcome->end == LEASE_TIMED_OUT)
        status.code = STATUS_DEADLINE_EXCEEDED;
    else if (outcome->end == LEASE_DIED || outcome->end == LEASE_STRAY)
        status.code = STATUS_UNAVAILABLE;
    else if (status.code == STATUS_OK)
        status.code = STATUS_INTERNAL;
    return status;
}

/* The queue in which it waits to be run again; NULL: it is not.  A worker that had answered before may have gone stale
 * meanwhile, and takes no chance away; one that never has and speaks unasked will do so again. */
static struct list *queue_for_rerun(struct flight *flight, enum lease_end end)
{
    struct household *household = flight->entry->household;

    if (end == LEASE_STRAY && flight->worker->lease_count == 1)
        flight->stray_count++;
    if (end == LEASE_STRAY && flight->stray_count <= FLIGHT_STRAYS_MAX)
        return &household->waiting;
    return end == LEASE_DIED && flight->retry_count < FLIGHT_RETRIES_MAX + MUTANT(RETRIED_TWICE)
               ? &household->waiting_fresh
               : NULL;
}

void flight_worker_failed(struct engine *engine, uint64_t now_ns, struct flight *flight,
                          const struct lease_outcome *outcome, struct actions *actions)
{
    struct list *queue = queue_for_rerun(flight, outcome->end);
    struct status status = name_failure(outcome);

    if (queue == NULL) {
        flight_fails(engine, now_ns, flight, &status, actions);
    } else if (flight->callers.count == 0) {
        flight_end(engine, flight); /* nobody asks any more */
    } else {
        if (outcome->end == LEASE_DIED) {
            flight->retry_count++;
            engine_count(engine, ENGINE_COUNTER_RETRIED);
        }
        run_again(engine, flight, queue);
    }
}

void flight_overtaken(struct engine *engine, uint64_t now_ns, struct flight *flight, struct actions *actions)
{
    if ((flight->callers.count > 0 || MUTANT(RERUN_FOR_NOBODY)) &&
        (flight->rerun_count < FLIGHT_RERUNS_MAX || MUTANT(RERUN_FOR_EVER))) {
        flight->rerun_count++;
        if (MUTANT(OVERTAKEN_TO_TAIL))
            flight->ticket = ++engine->flight_tickets;
        engine_count(engine, ENGINE_COUNTER_OVERTAKEN);
        run_again(engine, flight, &flight->entry->household->waiting);
    } else {
        struct status status = status_make(STATUS_ABORTED, "overtaken by %u invalidations", FLIGHT_RERUNS_MAX + 1);

        engine->counters[ENGINE_COUNTER_ABORTED] += flight->callers.count;
        flight_cancelled(engine, now_ns, flight, &status, actions);
    }
}

/* ---- the queue ---- */

void flight_takes_any_worker(struct flight *flight)
{
    list_remove(&flight->in_queue);
    enqueue(&flight->entry->household->waiting, flight);
}

unsigned flight_ahead_count(const struct flight *flight)
{
    unsigned count = 0;

    for (const struct list_node *node = flight->in_queue.previous; node != NULL && count < FLIGHT_AHEAD_COUNT_MAX;
         node = node->previous)
        count++;
    return count;
}
