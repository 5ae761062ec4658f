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

/* Workers that were started together are to be replaced one by one: successive multiples of the golden ratio spread as
 * evenly as anything over a fifth of the lifetime, from a tenth below it to a tenth above. */
static uint64_t draw_life_ns(const struct engine *engine, uint64_t worker_id)
{
    uint64_t lifetime_ns = engine->settings.lifetime_ns, step = (worker_id * 0x9e3779b97f4a7c15u) >> 54;

    return time_after(lifetime_ns - lifetime_ns / 10, lifetime_ns / 5 / 1024 * step);
}

void worker_start(struct engine *engine, uint64_t now_ns, struct household *household, struct tenant *tenant,
                  uint32_t uid, bool ahead)
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
        .ahead = ahead,
        .tenant = tenant_hold(tenant),
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
    household->ahead_count += ahead;
    tenant_count_worker(engine, tenant, 1);
    engine_count(engine, ENGINE_COUNTER_STARTS);
    outbox_order(engine, worker, ENGINE_ORDER_PIN);
}

static uint64_t worker_expires_ns(const struct engine *engine, const struct worker *worker)
{
    return time_after(worker->started_ns, draw_life_ns(engine, worker->id));
}

bool worker_is_worn_out(const struct engine *engine, uint64_t now_ns, const struct worker *worker)
{
    return worker->lease_count >= engine->settings.requests_max || worker_expires_ns(engine, worker) <= now_ns;
}

void worker_retire(struct engine *engine, uint64_t now_ns, struct worker *worker)
{
    bool is_used_up = worker->lease_count >= engine->settings.requests_max;

    if (worker->lease_count > 0) /* else a home that nobody asks for would have workers for ever */
        pool_start_ahead(engine, worker->household, worker->tenant);
    worker_end(engine, now_ns, worker, is_used_up ? ENGINE_END_REQUESTS : ENGINE_END_LIFETIME);
}

void worker_ends_by_time(struct engine *engine, uint64_t now_ns, struct worker *worker)
{
    if (worker_is_worn_out(engine, now_ns, worker))
        worker_retire(engine, now_ns, worker);
    else
        worker_end(engine, now_ns, worker, ENGINE_END_IDLE);
}

void worker_set_due(struct engine *engine, struct worker *worker)
{
    uint64_t idle_end_ns = time_after(worker->since_ns, engine->settings.idle_ns_max);
    uint64_t life_end_ns = worker_expires_ns(engine, worker);

    heap_set(&engine->pool.dues, &worker->due, idle_end_ns < life_end_ns ? idle_end_ns : life_end_ns);
}

static void worker_rests(struct engine *engine, struct worker *worker)
{
    list_push_back(&engine->pool.idle, &worker->in_idle);
    worker_set_due(engine, worker);
}

static void worker_rests_no_more(struct engine *engine, struct worker *worker)
{
    list_remove(&worker->in_idle);
    heap_clear(&engine->pool.dues, &worker->due);
}

static bool is_live(enum worker_state state)
{
    return state == WORKER_STARTING || state == WORKER_IDLE || state == WORKER_LEASED;
}

bool worker_is_live(const struct worker *worker)
{
    return is_live(worker->state);
}

static void count_for_tenant(struct engine *engine, struct worker *worker, int difference)
{
    if (difference != 0)
        tenant_count_worker(engine, worker->tenant, difference);
}

/* Whoever uses it is who has it. */
static void change_tenant(struct engine *engine, struct worker *worker, struct tenant *tenant)
{
    struct tenant *before = worker->tenant;

    if (tenant == before)
        return;
    worker->tenant = tenant_hold(tenant);
    tenant_count_worker(engine, tenant, 1);
    tenant_count_worker(engine, before, -1);
    tenant_release(engine, before);
}

/* A state is a list, so counting one is measuring the other. */
void worker_move(struct engine *engine, uint64_t now_ns, struct worker *worker, enum worker_state next)
{
    INVARIANT(worker_may_become[worker->state] & TO(next));
    worker_rests_no_more(engine, worker);
    worker->household->ahead_count -= worker->ahead && worker->state == WORKER_STARTING;
    count_for_tenant(engine, worker, is_live(next) - is_live(worker->state));
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

    if (!MUTANT(LENT_TWICE))
        worker_move(engine, now_ns, worker, WORKER_LEASED);
    change_tenant(engine, worker, flight->tenant);
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

void worker_ends_for(struct worker *worker, enum engine_end_reason reason)
{
    if (worker->end_reason == ENGINE_END_NONE)
        worker->end_reason = reason;
}

void worker_end(struct engine *engine, uint64_t now_ns, struct worker *worker, enum engine_end_reason reason)
{
    INVARIANT(worker->flight == NULL && worker->state != WORKER_ENDING);
    worker_ends_for(worker, reason);
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
    worker->household->ahead_count -= worker->ahead && worker->state == WORKER_STARTING;
    count_for_tenant(engine, worker, -is_live(worker->state));
    tenant_release(engine, worker->tenant);
    worker->tenant = NULL;
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

void worker_fails(struct worker *worker)
{
    worker->failed = true;
    worker->row = worker->household->pause->row;
}

void worker_note_fault(struct engine *engine, uint64_t now_ns, struct worker *worker, const struct status *cause)
{
    struct household *household = worker->household;
    struct fence present = home_fence(engine, household->home);
    bool of_itself = worker->failed ? worker->row == household->pause->row : worker_is_live(worker);

    if (of_itself && !worker->answered && worker->fence.epoch == present.epoch &&
        worker->fence.generation == present.generation)
        pause_note_fault(engine, now_ns, household, cause);
}
