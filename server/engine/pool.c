/* The pool: seats, leases, the line, room. */
#include "server/engine/pool.h"

#include "server/base/duration.h"
#include "server/engine/state.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- seats ---- */

enum { SEATS_PER_WORKER = 2 };

static bool make_buckets(struct pool *pool, uint64_t count_min)
{
    uint64_t count = 1;
    struct worker **buckets;

    while (count < count_min)
        count *= 2;
    if (pool->buckets != NULL && count <= pool->bucket_mask + 1)
        return true;
    buckets = calloc(count, sizeof(struct worker *));
    if (buckets == NULL)
        return false;
    LIST_EACH (node, &pool->workers) {
        struct worker *worker = LIST_OWNER(node, struct worker, in_pool);

        worker->next_in_bucket = buckets[worker->id & (count - 1)];
        buckets[worker->id & (count - 1)] = worker;
    }
    free(pool->buckets);
    pool->buckets = buckets;
    pool->bucket_mask = count - 1;
    return true;
}

static bool make_seat(struct pool *pool)
{
    struct worker *worker = calloc(1, sizeof *worker);

    if (worker == NULL || !heap_reserve(&pool->dues)) {
        free(worker);
        return false;
    }
    list_push_back(&pool->free_seats, &worker->in_state);
    pool->seat_count++;
    return true;
}

bool pool_make_seats(struct engine *engine)
{
    struct pool *pool = &engine->pool;
    uint64_t count = SEATS_PER_WORKER * engine->settings.workers_max;

    if (pool->seat_count >= count)
        return true;
    if (!make_buckets(pool, count))
        return false;
    while (pool->seat_count < count)
        if (!make_seat(pool))
            return false;
    return true;
}

void pool_free_seat(struct engine *engine, struct worker *worker)
{
    *worker = (struct worker){0};
    list_push_back(&engine->pool.free_seats, &worker->in_state);
}

void pool_fini(struct engine *engine)
{
    struct pool *pool = &engine->pool;
    struct list_node *seat;

    while ((seat = list_pop_front(&pool->free_seats)) != NULL)
        free(LIST_OWNER(seat, struct worker, in_state));
    free(pool->buckets);
    heap_fini(&pool->dues);
}

/* ---- who waits ---- */

/* Flights for which no worker is being started. */
static uint64_t uncovered_count(const struct household *household)
{
    uint64_t waiting_count = household_waiting_count(household);
    uint64_t starting_count = household->in_state[WORKER_STARTING].count;

    return waiting_count > starting_count ? waiting_count - starting_count : 0;
}

/* Starts that this home would make if there were room for them.  What else stands for or against a start (pauses of a
 * failing home, reserve workers, prewarming) belongs here. */
static uint64_t starts_wanted(const struct engine *engine, const struct household *household)
{
    uint64_t live_count = household_live_count(household), live_count_max = engine->settings.workers_per_home;
    uint64_t free_count = live_count_max > live_count ? live_count_max - live_count : 0;
    uint64_t uncovered = uncovered_count(household);

    return uncovered < free_count ? uncovered : free_count;
}

/* The only writer of queued, wanted, idle_kept and in_line: one home's part of the sums, and its place in line. */
static void recount(struct engine *engine, struct household *household)
{
    struct pool *pool = &engine->pool;
    uint64_t queued = uncovered_count(household), wanted = starts_wanted(engine, household);
    uint64_t idle_kept = household_waiting_count(household) > 0 ? household->in_state[WORKER_IDLE].count : 0;

    pool->queued += queued - household->queued;
    pool->wanted += wanted - household->wanted;
    pool->idle_kept += idle_kept - household->idle_kept;
    household->queued = queued;
    household->wanted = wanted;
    household->idle_kept = idle_kept;
    if (wanted == 0)
        list_remove(&household->in_line);
    else if (household->in_line.list == NULL)
        list_push_back(&pool->line, &household->in_line);
}

/* ---- admission ---- */

/* Whether a further flight of this home would be leased, or have a worker started for it, without waiting for others.
 */
static bool can_be_served(const struct engine *engine, const struct household *household)
{
    const struct pool *pool = &engine->pool;
    uint64_t expendable_count = pool->idle.count - pool->idle_kept;
    uint64_t staying_count = pool->workers.count - pool->leaving_count - expendable_count;
    uint64_t live_count = 0, wanted = 0, others_wanted = pool->wanted;

    if (household != NULL) {
        if (household->in_state[WORKER_IDLE].count > 0 ||
            household_waiting_count(household) < household->in_state[WORKER_STARTING].count)
            return true;
        live_count = household_live_count(household);
        wanted = starts_wanted(engine, household); /* more than household->wanted where a limit was raised */
        others_wanted -= household->wanted;
    }
    return live_count + wanted < engine->settings.workers_per_home &&
           staying_count + others_wanted + wanted < engine->settings.workers_max;
}

/* When to come again.  Measured service times belong here; until then it is a guess. */
static uint64_t expected_wait_ms(void)
{
    return 1000;
}

/* A wait that is known to outlast the deadline, and the shares of uids, belong here as well. */
struct status pool_admit(struct engine *engine, const struct household *household)
{
    const struct engine_settings *settings = &engine->settings;
    uint64_t queued = household == NULL ? 0 : household->queued;

    if (can_be_served(engine, household))
        return status_ok();
    if (queued >= settings->queue_per_home) {
        engine_count(engine, ENGINE_COUNTER_REFUSED_QUEUE_PER_HOME);
        return status_make_retry(
            STATUS_RESOURCE_EXHAUSTED, expected_wait_ms(),
            "pool.queue_per_home: %" PRIu64 " of at most %" PRIu64 " probes wait for a lease in this home, %" PRIu64
            " of at most %" PRIu64 " workers are busy, %zu of at most %" PRIu64 " in all homes",
            queued, settings->queue_per_home, household == NULL ? 0 : household_live_count(household),
            settings->workers_per_home, engine->pool.workers.count, settings->workers_max);
    }
    if (engine->pool.queued >= settings->queue_max) {
        engine_count(engine, ENGINE_COUNTER_REFUSED_QUEUE_MAX);
        return status_make_retry(STATUS_RESOURCE_EXHAUSTED, expected_wait_ms(),
                                 "pool.queue_max: %" PRIu64 " of at most %" PRIu64
                                 " probes wait for a lease, %zu of at most %" PRIu64 " workers are there",
                                 engine->pool.queued, settings->queue_max, engine->pool.workers.count,
                                 settings->workers_max);
    }
    return status_ok();
}

/* ---- serving ---- */

/* Most recently used first: the others grow old and are ended. */
static void lease_idle(struct engine *engine, uint64_t now_ns, struct household *household, struct actions *actions)
{
    struct list *idle = &household->in_state[WORKER_IDLE];

    while (idle->count > 0) {
        struct worker *worker = LIST_OWNER(idle->last, struct worker, in_state);
        struct list *queue =
            worker->cold && household->waiting_fresh.count > 0 ? &household->waiting_fresh : &household->waiting;

        if (queue->count == 0)
            return;
        flight_lease(engine, now_ns, LIST_OWNER(queue->first, struct flight, in_queue), worker, actions);
    }
}

/* Whether a worker is being started for this home, or can be as soon as those that are leaving have left. */
static bool fresh_worker_comes(const struct engine *engine, const struct household *household)
{
    const struct pool *pool = &engine->pool;
    bool first_in_line = pool->line.first == &household->in_line;
    uint64_t wanted_before = first_in_line ? 0 : pool->wanted - household->wanted;

    return household->in_state[WORKER_STARTING].count > 0 ||
           (household_live_count(household) < engine->settings.workers_per_home &&
            pool->workers.count - pool->leaving_count + wanted_before < engine->settings.workers_max);
}

/* Else whoever waited for one takes any. */
static void give_up_freshness(struct engine *engine, struct household *household)
{
    if (fresh_worker_comes(engine, household))
        return;
    while (household->waiting_fresh.count > 0)
        flight_takes_any_worker(LIST_OWNER(household->waiting_fresh.first, struct flight, in_queue));
}

static void end_idle(struct engine *engine, uint64_t now_ns, struct household *household)
{
    struct list *idle = &household->in_state[WORKER_IDLE];

    while (idle->count > 0)
        worker_end(engine, now_ns, LIST_OWNER(idle->first, struct worker, in_state));
}

void pool_serve(struct engine *engine, uint64_t now_ns, struct household *household, struct actions *actions)
{
    lease_idle(engine, now_ns, household, actions);
    if (household->waiting_fresh.count > 0) {
        give_up_freshness(engine, household);
        lease_idle(engine, now_ns, household, actions);
    }
    if (engine->draining)
        end_idle(engine, now_ns, household);
    recount(engine, household);
}

/* Whoever was admitted last: those before have a start under way.  There is one. */
static struct flight *last_to_wait(struct household *household)
{
    struct list *queue = household->waiting.count > 0 ? &household->waiting : &household->waiting_fresh;

    return LIST_OWNER(queue->last, struct flight, in_queue);
}

void pool_start_failed(struct engine *engine, uint64_t now_ns, struct household *household, const struct status *cause,
                       struct actions *actions)
{
    struct list *fresh = &household->waiting_fresh;
    struct status status;

    engine_count(engine, ENGINE_COUNTER_FAULTS_START);
    if (uncovered_count(household) == 0)
        return;
    status = status_make(STATUS_UNAVAILABLE, "no worker could be started: %s", cause->message);
    flight_fails(engine, now_ns,
                 fresh->count > household->in_state[WORKER_STARTING].count
                     ? LIST_OWNER(fresh->last, struct flight, in_queue)
                     : last_to_wait(household),
                 &status, actions);
}

/* ---- the line ---- */

static uint32_t uid_to_start_for(struct household *household)
{
    return LIST_OWNER(last_to_wait(household)->callers.first, struct engine_call, node)->uid;
}

/* The worker idle longest, of a home with nobody waiting; NULL: none. */
static struct worker *find_expendable(const struct engine *engine)
{
    LIST_EACH (node, &engine->pool.idle) {
        struct worker *worker = LIST_OWNER(node, struct worker, in_idle);

        if (household_waiting_count(worker->household) == 0)
            return worker;
    }
    return NULL;
}

/* Ends as many as are needed beside those that are leaving already. */
static void make_room(struct engine *engine, uint64_t now_ns)
{
    const struct pool *pool = &engine->pool;
    struct worker *worker;

    while (pool->workers.count - pool->leaving_count + pool->wanted > engine->settings.workers_max &&
           pool->wanted > 0 && (worker = find_expendable(engine)) != NULL)
        worker_end(engine, now_ns, worker);
}

/* Turns between uids belong here; until then homes take turns. */
void pool_start(struct engine *engine, uint64_t now_ns)
{
    struct pool *pool = &engine->pool;

    while (pool->line.count > 0 && pool->workers.count < engine->settings.workers_max && pool->free_seats.count > 0) {
        struct household *household = LIST_OWNER(list_pop_front(&pool->line), struct household, in_line);

        worker_start(engine, now_ns, household, uid_to_start_for(household));
        recount(engine, household);
    }
    make_room(engine, now_ns);
}

/* ---- time ---- */

static struct worker *first_due(const struct engine *engine)
{
    struct heap_node *node = heap_first(&engine->pool.dues);

    return node == NULL ? NULL : LIST_OWNER(node, struct worker, due);
}

void pool_time_passes(struct engine *engine, uint64_t now_ns)
{
    struct worker *worker;

    while ((worker = first_due(engine)) != NULL && worker->due.due_ns <= now_ns)
        worker_end(engine, now_ns, worker);
}

uint64_t pool_next_ns(const struct engine *engine)
{
    const struct worker *worker = first_due(engine);

    return worker == NULL ? UINT64_MAX : worker->due.due_ns;
}
