/* Invalidations: decided in one step, answered behind their event. */
#include "server/engine/fence.h"

#include "server/engine/state.h"

#include <string.h>

/* ---- those that wait ---- */

/* The processes that a call waits for: older workers of its home, or of all. */
static const struct list *scope_of(const struct engine *engine, const struct engine_call *call)
{
    return call->home == NULL ? &engine->pool.workers : &call->home->household->workers;
}

static uint64_t count_older(const struct engine *engine, const struct engine_call *call, uint64_t count_max)
{
    uint64_t count = 0;

    LIST_EACH (node, scope_of(engine, call)) {
        const struct worker *worker = call->home == NULL ? LIST_OWNER(node, struct worker, in_pool)
                                                         : LIST_OWNER(node, struct worker, in_household);

        if (worker->id >= call->older_than - MUTANT(QUIESCED_EARLY) || count == count_max)
            break;
        count += !worker->gone && worker->stage != WORKER_PINNING;
    }
    return count;
}

uint64_t fence_older_count(const struct engine *engine, const struct engine_call *call)
{
    return count_older(engine, call, UINT64_MAX);
}

static void stop_waiting(struct engine *engine, struct engine_call *call)
{
    INVARIANT(call->place == ENGINE_CALL_QUIESCING);
    if (call->home != NULL)
        household_touch(engine, call->home->household);
    list_remove(&call->node);
    list_remove(&call->in_due);
}

static void answer_in_news(struct engine *engine, struct engine_call *call)
{
    call->place = ENGINE_CALL_IN_NEWS;
    outbox_answer(engine, call);
}

/* Later fences wait for more, so the first that must wait on is the last to be looked at. */
static void answer_quiesced(struct engine *engine, struct list *quiescing)
{
    while (quiescing->count > 0) {
        struct engine_call *call = LIST_OWNER(quiescing->first, struct engine_call, node);

        if (count_older(engine, call, 1) > 0)
            return;
        stop_waiting(engine, call);
        answer_in_news(engine, call);
    }
}

void fence_worker_gone(struct engine *engine, struct household *household)
{
    answer_quiesced(engine, &household->quiescing);
    answer_quiesced(engine, &engine->calls.quiescing_all);
}

void fence_call_ends(struct engine *engine, struct engine_call *call, const struct status *status,
                     struct actions *actions)
{
    stop_waiting(engine, call);
    call->result.status = *status;
    if (call->event_item.node.list != NULL) {
        answer_in_news(engine, call); /* its event is in the call: both go out first */
    } else {
        call->place = ENGINE_CALL_NOWHERE;
        call_give_back(call, actions);
    }
}

/* ---- deciding ---- */

static void retire_or_drain(struct engine *engine, uint64_t now_ns, struct worker *worker, const char *provider,
                            struct engine_result *result, struct actions *actions)
{
    struct flight *flight = worker->flight;

    if (engine->settings.prewarm && worker_is_live(worker))
        pool_start_ahead(engine, worker->household, worker->tenant);
    switch (worker->state) {
    case WORKER_STARTING:
        if (MUTANT(FENCE_KEEPS_STARTS)) {
            worker->fence = home_fence(engine, worker->household->home);
            return;
        }
        /* fall through */
    case WORKER_IDLE:
        result->workers_retired++;
        worker_end(engine, now_ns, worker, ENGINE_END_FENCE);
        return;
    case WORKER_LEASED:
        result->workers_draining++;
        worker_ends_for(worker, ENGINE_END_FENCE);
        worker_move(engine, now_ns, worker, WORKER_DRAINING);
        break;
    case WORKER_DRAINING:
        break;
    case WORKER_ENDING:
    case WORKER_STATE_COUNT:
        return;
    }
    if (MUTANT(FENCE_KEEPS_FLIGHTS))
        return;
    if (flight != NULL && (provider[0] == '\0' || strcmp(provider, flight->entry->provider) == 0))
        flight_overtaken(engine, now_ns, flight, actions);
}

static void announce(struct engine *engine, struct engine_call *call, struct list *quiescing)
{
    outbox_event(engine, call);
    if (call->invalidate.quiesced && quiescing != NULL && count_older(engine, call, 1) > 0)
        call_quiesce(engine, call, quiescing);
    else
        call->place = ENGINE_CALL_IN_NEWS;
}

void fence_home(struct engine *engine, uint64_t now_ns, struct engine_call *call, struct home *home,
                struct actions *actions)
{
    struct household *household = home->household;

    home_advance(engine, home);
    engine_count(engine, ENGINE_COUNTER_INVALIDATIONS);
    call->home = home;
    call->older_than = engine->pool.workers_born + 1;
    call->result = (struct engine_result){.status = status_ok(), .fence = home_fence(engine, home)};
    if (household != NULL) {
        if (!MUTANT(PAUSE_OUTLIVES_FENCE))
            pause_end(household); /* what older workers did stands against no new one */
        household_touch(engine, household);
        call->result.cache_dropped = cache_drop(engine, now_ns, household, call->provider);
        LIST_EACH_SAFE (node, &household->workers)
            retire_or_drain(engine, now_ns, LIST_OWNER(node, struct worker, in_household), call->provider,
                            &call->result, actions);
    }
    announce(engine, call, household == NULL ? NULL : &household->quiescing);
}

void fence_all(struct engine *engine, uint64_t now_ns, struct engine_call *call, uint64_t new_epoch,
               struct actions *actions)
{
    INVARIANT(new_epoch != 0 && new_epoch != engine->epoch);
    engine_count(engine, ENGINE_COUNTER_INVALIDATIONS_GLOBAL);
    call->home = NULL;
    call->older_than = engine->pool.workers_born + 1;
    call->result = (struct engine_result){
        .status = status_ok(),
        .fence = {new_epoch, 1},
        .cache_dropped = cache_begin_epoch(engine, now_ns),
    };
    engine->epoch = new_epoch;
    LIST_EACH_SAFE (node, &engine->pool.workers)
        retire_or_drain(engine, now_ns, LIST_OWNER(node, struct worker, in_pool), "", &call->result, actions);
    announce(engine, call, &engine->calls.quiescing_all);
}
