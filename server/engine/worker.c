/* Workers: started, lent, ended. */
#include "server/engine/worker.h"

#include "server/engine/state.h"

#include <string.h>

static const unsigned worker_may_become[WORKER_STATE_COUNT] = {
    [WORKER_STARTING] = TO(WORKER_IDLE) | TO(WORKER_ENDING),
    [WORKER_IDLE] = TO(WORKER_LEASED) | TO(WORKER_ENDING),
    [WORKER_LEASED] = TO(WORKER_IDLE) | TO(WORKER_DRAINING) | TO(WORKER_ENDING),
    [WORKER_DRAINING] = TO(WORKER_ENDING),
};

static struct worker **bucket_of(const struct engine *engine, uint64_t worker_id)
{
    return &engine->pool.buckets[worker_id & engine->pool.bucket_mask];
}

struct worker *worker_find(const struct engine *engine, uint64_t worker_id)
{
    struct worker *worker = *bucket_of(engine, worker_id);

    while (worker != NULL && worker->id != worker_id)
        worker = worker->next_in_bucket;
    return worker;
}

void worker_start(struct engine *engine, uint64_t now_ns, struct household *household, uint32_t uid)
{
    struct pool *pool = &engine->pool;
    struct list_node *seat = list_pop_front(&pool->free_seats);
    struct worker *worker, **bucket;

    INVARIANT(seat != NULL);
    worker = LIST_OWNER(seat, struct worker, in_state);
    *worker = (struct worker){
        .id = ++pool->workers_born,
        .household = household,
        .fence = home_fence(engine, household->home),
        .uid = uid,
        .state = WORKER_STARTING,
        .stage = WORKER_PINNING,
        .since_ns = now_ns,
        .started_ns = now_ns,
        .channel = {-1, -1},
        .home_fd = -1,
    };
    bucket = bucket_of(engine, worker->id);
    worker->next_in_bucket = *bucket;
    *bucket = worker;
    list_push_back(&household->in_state[WORKER_STARTING], &worker->in_state);
    list_push_back(&household->workers, &worker->in_household);
    list_push_back(&pool->workers, &worker->in_pool);
    pool->in_state_count[WORKER_STARTING]++;
    engine_count(engine, ENGINE_COUNTER_STARTS);
    outbox_order(engine, worker, ENGINE_ORDER_PIN);
}

/* A worker's end by age belongs here; to spread it, so that no herd is replaced at once, is a matter of lifetime_ns. */
static uint64_t worker_expires_ns(const struct engine *engine, const struct worker *worker)
{
    return time_after(worker->started_ns, engine->settings.lifetime_ns);
}

bool worker_is_worn_out(const struct engine *engine, uint64_t now_ns, const struct worker *worker)
{
    return worker->lease_count >= engine->settings.requests_max || worker_expires_ns(engine, worker) <= now_ns;
}

static void worker_rests(struct engine *engine, struct worker *worker)
{
    uint64_t idle_end_ns = time_after(worker->since_ns, engine->settings.idle_ns_max);
    uint64_t life_end_ns = worker_expires_ns(engine, worker);

    list_push_back(&engine->pool.idle, &worker->in_idle);
    heap_set(&engine->pool.dues, &worker->due, idle_end_ns < life_end_ns ? idle_end_ns : life_end_ns);
}

static void worker_rests_no_more(struct engine *engine, struct worker *worker)
{
    list_remove(&worker->in_idle);
    heap_clear(&engine->pool.dues, &worker->due);
}

/* A state is a list, so counting one is measuring the other. */
void worker_move(struct engine *engine, uint64_t now_ns, struct worker *worker, enum worker_state next)
{
    INVARIANT(worker_may_become[worker->state] & TO(next));
    worker_rests_no_more(engine, worker);
    list_move(&worker->household->in_state[next], &worker->in_state);
    engine->pool.in_state_count[worker->state]--;
    engine->pool.in_state_count[next]++;
    worker->state = next;
    worker->since_ns = now_ns;
    if (next == WORKER_IDLE)
        worker_rests(engine, worker);
    if (next == WORKER_ENDING && worker->stage != WORKER_PINNING)
        engine->pool.leaving_count++;
    household_touch(engine, worker->household);
}

void worker_lend(struct engine *engine, uint64_t now_ns, struct worker *worker, struct flight *flight,
                 struct actions *actions)
{
    struct engine_lease *lease = &worker->lease;

    worker_move(engine, now_ns, worker, WORKER_LEASED);
    worker->flight = flight;
    worker->lease_count++;
    *lease = (struct engine_lease){
        .id = ++engine->pool.leases_made,
        .worker_id = worker->id,
        .channel = worker->channel,
        .fence = worker->fence,
        .api_key = secret_share(flight->api_key), /* the lease outlives a flight that is overtaken */
        .granted_ns = now_ns,
        .run_deadline_ns = time_after(now_ns, engine->settings.run_ns_max),
        .queue_ns = now_ns > flight->arrived_ns ? now_ns - flight->arrived_ns : 0,
        .spawn_ns = !worker->cold          ? 0
                    : worker->spawn_ns > 0 ? worker->spawn_ns
                                           : 1,
    };
    memcpy(lease->provider, flight->entry->provider, strlen(flight->entry->provider) + 1);
    engine_count(engine, worker->cold ? ENGINE_COUNTER_LEASES_COLD : ENGINE_COUNTER_LEASES_WARM);
    worker->cold = false;
    *(actions->leased == NULL ? &actions->leased : &actions->leased_last->next_leased) = lease;
    actions->leased_last = lease;
}

void worker_end(struct engine *engine, uint64_t now_ns, struct worker *worker)
{
    INVARIANT(worker->flight == NULL && worker->state != WORKER_ENDING);
    if (worker->stage == WORKER_PINNING && outbox_take_back(worker, ENGINE_ORDER_PIN)) {
        worker_leave(engine, worker); /* nobody has heard of it */
        return;
    }
    if (worker->stage != WORKER_PINNING)
        outbox_order(engine, worker, ENGINE_ORDER_END);
    if (worker->gone)
        worker_leave(engine, worker);
    else
        worker_move(engine, now_ns, worker, WORKER_ENDING);
}

void worker_leave(struct engine *engine, struct worker *worker)
{
    struct pool *pool = &engine->pool;
    struct worker **link = bucket_of(engine, worker->id);

    while (*link != worker)
        link = &(*link)->next_in_bucket;
    *link = worker->next_in_bucket;
    worker_rests_no_more(engine, worker);
    list_remove(&worker->in_state);
    list_remove(&worker->in_household);
    list_remove(&worker->in_pool);
    pool->in_state_count[worker->state]--;
    if (worker->state == WORKER_ENDING && worker->stage != WORKER_PINNING)
        pool->leaving_count--;
    engine_count(engine, ENGINE_COUNTER_ENDS);
    household_touch(engine, worker->household);
    worker->household = NULL;
    if (worker->orders == 0)
        pool_free_seat(engine, worker);
}
