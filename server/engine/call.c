/* Calls: taken in, kept to their deadlines, given back. */
#include "server/engine/call.h"

#include "server/base/duration.h"
#include "server/engine/state.h"

#include <inttypes.h>

/* ---- arriving ---- */

bool call_reserve(struct engine *engine)
{
    return heap_reserve(&engine->calls.deadlines);
}

void call_unreserve(struct engine *engine)
{
    heap_unreserve(&engine->calls.deadlines);
}

struct status call_memory_is_short(struct engine *engine)
{
    engine_count(engine, ENGINE_COUNTER_REFUSED_MEMORY);
    return status_make(STATUS_RESOURCE_EXHAUSTED, "memory is short");
}

enum { RETRY_AFTER_DRAIN_MS = 1000 }; /* by when a service manager has started the next daemon */

static uint64_t patience_ms(const struct engine_call *call)
{
    return call->deadline_ns > call->arrived_ns ? (call->deadline_ns - call->arrived_ns) / NS_PER_MS : 0;
}

struct status call_check_arrival(struct engine *engine, uint64_t now_ns, const struct engine_call *call)
{
    if (engine->draining) {
        engine_count(engine, ENGINE_COUNTER_REFUSED_DRAINING);
        return status_make_retry(STATUS_UNAVAILABLE, RETRY_AFTER_DRAIN_MS,
                                 "the daemon is ending and takes no calls any more");
    }
    if (call->deadline_ns <= now_ns) {
        engine_count(engine, ENGINE_COUNTER_EXPIRED);
        return status_make(STATUS_DEADLINE_EXCEEDED,
                           "the deadline had passed after %" PRIu64 " ms, before anything was begun",
                           patience_ms(call));
    }
    return status_ok();
}

void call_unpark(struct engine *engine, struct engine_call *call)
{
    INVARIANT(call->place == ENGINE_CALL_PARKED);
    list_remove(&call->node);
    heap_clear(&engine->calls.deadlines, &call->deadline);
    call_unreserve(engine);
    call->place = ENGINE_CALL_NOWHERE;
}

/* By deadline.  Callers have the same patience as a rule, so the place is at or near the end. */
void call_quiesce(struct engine *engine, struct engine_call *call, struct list *quiescing)
{
    struct list *list = &engine->calls.quiescing;
    struct list_node *before = list->last;

    while (before != NULL && LIST_OWNER(before, struct engine_call, in_due)->deadline_ns > call->deadline_ns)
        before = before->previous;
    list_insert_behind(list, before, &call->in_due);
    list_push_back(quiescing, &call->node);
    call->place = ENGINE_CALL_QUIESCING;
}

/* ---- going ---- */

void call_give_back(struct engine_call *call, struct actions *actions)
{
    INVARIANT(call->place == ENGINE_CALL_NOWHERE && call->node.list == NULL);
    call->next_answered = NULL;
    *(actions->answered == NULL ? &actions->answered : &actions->answered_last->next_answered) = call;
    actions->answered_last = call;
}

void call_fail(struct engine_call *call, const struct status *status, struct actions *actions)
{
    call->result = (struct engine_result){.status = *status};
    call_give_back(call, actions);
}

void call_fail_probe(struct engine *engine, uint64_t now_ns, struct entry *entry, struct engine_call *call,
                     const struct status *status, struct actions *actions)
{
    if (cache_stands_in(engine, now_ns, entry, call, status)) {
        engine_count(engine, ENGINE_COUNTER_ANSWERED_STALE);
        call_give_back(call, actions);
    } else {
        engine_count(engine, ENGINE_COUNTER_FAILED);
        call_fail(call, status, actions);
    }
}

void call_end(struct engine *engine, uint64_t now_ns, struct engine_call *call, const struct status *status,
              struct actions *actions)
{
    if (call->place == ENGINE_CALL_PARKED) {
        call_unpark(engine, call);
        call_fail(call, status, actions);
    } else if (call->place == ENGINE_CALL_ABOARD) {
        flight_lose_caller(engine, now_ns, call, status, actions);
    } else {
        fence_call_ends(engine, call, status, actions);
    }
}

/* ---- deadlines ---- */

static struct status lateness(const struct engine *engine, const struct engine_call *call)
{
    const struct flight *flight = call->flight;
    uint64_t ms = patience_ms(call);
    unsigned ahead_count;

    if (call->place == ENGINE_CALL_PARKED)
        return status_make(STATUS_DEADLINE_EXCEEDED, "the home's path was not resolved within %" PRIu64 " ms", ms);
    if (call->place == ENGINE_CALL_QUIESCING)
        return status_make(STATUS_DEADLINE_EXCEEDED,
                           "%" PRIu64 " older workers left after %" PRIu64 " ms; the fence stands",
                           fence_older_count(engine, call), ms);
    if (flight->state == FLIGHT_LEASED)
        return status_make(STATUS_DEADLINE_EXCEEDED,
                           "the provider had not answered within %" PRIu64 " ms: worker %" PRIu64 " is asking it", ms,
                           flight->worker->id);
    ahead_count = flight_ahead_count(flight);
    return status_make(STATUS_DEADLINE_EXCEEDED,
                       "no lease within %" PRIu64 " ms: %zu workers leased, %zu starting, %u%s probes ahead", ms,
                       flight->entry->household->in_state[WORKER_LEASED].count,
                       flight->entry->household->in_state[WORKER_STARTING].count, ahead_count,
                       ahead_count == FLIGHT_AHEAD_COUNT_MAX ? " or more" : "");
}

static void expire(struct engine *engine, uint64_t now_ns, struct engine_call *call, struct actions *actions)
{
    struct status status = lateness(engine, call);

    engine_count(engine, ENGINE_COUNTER_EXPIRED);
    call_end(engine, now_ns, call, &status, actions);
}

static struct engine_call *earliest_in_heap(const struct engine *engine)
{
    struct heap_node *node = heap_first(&engine->calls.deadlines);

    return node == NULL ? NULL : LIST_OWNER(node, struct engine_call, deadline);
}

static struct engine_call *earliest_quiescing(const struct engine *engine)
{
    struct list_node *node = engine->calls.quiescing.first;

    return node == NULL ? NULL : LIST_OWNER(node, struct engine_call, in_due);
}

void call_deadlines_pass(struct engine *engine, uint64_t now_ns, struct actions *actions)
{
    struct engine_call *call;

    while ((call = earliest_in_heap(engine)) != NULL && call->deadline_ns + MUTANT(DEADLINE_LATE) <= now_ns)
        expire(engine, now_ns, call, actions);
    while ((call = earliest_quiescing(engine)) != NULL && call->deadline_ns <= now_ns)
        expire(engine, now_ns, call, actions);
}

uint64_t call_next_ns(const struct engine *engine)
{
    const struct engine_call *one = earliest_in_heap(engine), *other = earliest_quiescing(engine);
    uint64_t next_ns = one == NULL ? UINT64_MAX : one->deadline_ns;

    return other != NULL && other->deadline_ns < next_ns ? other->deadline_ns : next_ns;
}

/* ---- order of arrival ---- */

/* Of two chains in order; of equals, `older`'s come first. */
static struct engine_call *merge(struct engine_call *older, struct engine_call *newer)
{
    struct engine_call *first = NULL, **end = &first;

    while (older != NULL && newer != NULL) {
        struct engine_call **next = newer->arrived_ns < older->arrived_ns ? &newer : &older;

        *end = *next;
        *next = (*next)->next_answered;
        end = &(*end)->next_answered;
    }
    *end = older != NULL ? older : newer;
    return first;
}

static bool is_sorted(const struct engine_call *call)
{
    while (call != NULL && call->next_answered != NULL && call->arrived_ns <= call->next_answered->arrived_ns)
        call = call->next_answered;
    return call == NULL || call->next_answered == NULL;
}

/* A merge sort from below: runs[i] is empty or has 2^i calls. */
void call_sort_answered(struct actions *actions)
{
    struct engine_call *runs[64] = {NULL}, *call = actions->answered, *sorted = NULL;

    if (is_sorted(call))
        return;
    while (call != NULL) {
        struct engine_call *next = call->next_answered, *run = call;
        int i = 0;

        run->next_answered = NULL;
        for (; runs[i] != NULL; i++) {
            run = merge(runs[i], run);
            runs[i] = NULL;
        }
        runs[i] = run;
        call = next;
    }
    for (int i = 0; i < 64; i++)
        sorted = merge(runs[i], sorted);
    actions->answered = sorted;
    while (sorted->next_answered != NULL)
        sorted = sorted->next_answered;
    actions->answered_last = sorted;
}
