/* The pool: seats, who waits, admission, leases, room, starts. */
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

static struct list_node *first_to_wait(const struct household *household)
{
    return household->waiting.count > 0 ? household->waiting.first : household->waiting_fresh.first;
}

static uint64_t first_arrived_ns(const struct list *queue)
{
    return queue->count == 0 ? UINT64_MAX : LIST_OWNER(queue->first, struct flight, in_queue)->arrived_ns;
}

/* When the home may use its reserve: somebody has waited for long enough, be it for a fresh worker. */
static uint64_t reserve_due_ns(const struct engine *engine, const struct household *household)
{
    uint64_t any_ns = first_arrived_ns(&household->waiting), fresh_ns = first_arrived_ns(&household->waiting_fresh);

    return time_after(any_ns < fresh_ns ? any_ns : fresh_ns, engine->settings.reserve_wait_ns);
}

/* Workers that the home may have at once, starting, idle or leased. */
static uint64_t live_count_max(const struct engine *engine, uint64_t now_ns, const struct household *household)
{
    const struct engine_settings *settings = &engine->settings;
    bool with_reserve = settings->reserve_per_home > 0 && household_waiting_count(household) > 0 &&
                        reserve_due_ns(engine, household) <= now_ns;

    return settings->workers_per_home + (with_reserve ? settings->reserve_per_home + MUTANT(RESERVE_ABOVE_BOUND) : 0);
}

/* Starts that this home would make for those who wait, if there were room for them. */
static uint64_t starts_wanted(const struct engine *engine, uint64_t now_ns, const struct household *household)
{
    uint64_t live_count = household_live_count(household), uncovered = uncovered_count(household);
    uint64_t live_max, free_count;

    if (uncovered == 0 || pause_left_ns(engine, household, now_ns) > 0)
        return 0;
    live_max = live_count_max(engine, now_ns, household);
    free_count = live_max > live_count ? live_max - live_count : 0;
    return uncovered < free_count ? uncovered : free_count;
}

/* When time alone changes what it wants: the reserve, the end of a pause, faults that are forgotten. */
static void set_due(struct engine *engine, uint64_t now_ns, struct household *household)
{
    uint64_t forgotten_ns = pause_forgotten_ns(household);
    uint64_t due_ns = forgotten_ns > 0 ? forgotten_ns : UINT64_MAX;

    if (uncovered_count(household) > household->wanted) {
        uint64_t change_ns = pause_left_ns(engine, household, now_ns) > 0 ? household->pause->until_ns
                             : engine->settings.reserve_per_home > 0      ? reserve_due_ns(engine, household)
                                                                          : UINT64_MAX;

        if (change_ns > now_ns && change_ns < due_ns)
            due_ns = change_ns;
    }
    if (due_ns == UINT64_MAX)
        heap_clear(&engine->homes.dues, &household->due);
    else
        heap_set(&engine->homes.dues, &household->due, due_ns);
}

/* Whoever was admitted last: those before have a start under way.  There is one. */
static struct flight *last_to_wait(struct household *household)
{
    struct list *queue = household->waiting.count > 0 ? &household->waiting : &household->waiting_fresh;

    return LIST_OWNER(queue->last, struct flight, in_queue);
}

/* The only writer of queued, wanted, idle_kept and of the place in line: one home's part of the sums. */
static void recount(struct engine *engine, uint64_t now_ns, struct household *household)
{
    struct pool *pool = &engine->pool;
    uint64_t queued = uncovered_count(household), wanted = starts_wanted(engine, now_ns, household);
    uint64_t idle_kept = household_waiting_count(household) > 0 ? household->in_state[WORKER_IDLE].count : 0;

    pool->queued += queued - household->queued;
    pool->wanted += wanted - household->wanted;
    pool->idle_kept += idle_kept - household->idle_kept;
    household->queued = (uint32_t)queued;
    household->idle_kept = (uint32_t)idle_kept;
    if (household->waiting_fresh.count == 0)
        list_remove(&household->in_fresh);
    else if (household->in_fresh.list == NULL)
        list_push_back(&pool->fresh, &household->in_fresh);
    tenant_line_up(engine, wanted == 0 ? NULL : last_to_wait(household)->tenant, household, wanted);
    set_due(engine, now_ns, household);
}

/* ---- admission ---- */

/* Whether a further flight of this home would be leased, or have a worker started for it, without waiting for others.
 */
static bool can_be_served(const struct engine *engine, uint64_t now_ns, const struct household *household)
{
    const struct pool *pool = &engine->pool;
    uint64_t expendable_count = pool->idle.count - pool->idle_kept;
    uint64_t staying_count = pool->workers.count - pool->leaving_count - expendable_count;
    uint64_t live_count = 0, live_max = engine->settings.workers_per_home, wanted = 0, others_wanted = pool->wanted;

    if (household != NULL) {
        if (household->in_state[WORKER_IDLE].count > 0 ||
            household_waiting_count(household) < household->in_state[WORKER_STARTING].count)
            return true;
        live_count = household_live_count(household);
        live_max = live_count_max(engine, now_ns, household);
        wanted = starts_wanted(engine, now_ns, household); /* more than household->wanted where a limit was raised */
        others_wanted -= household->wanted;
        if (pause_left_ns(engine, household, now_ns) > 0)
            return false;
    }
    return live_count + wanted < live_max && staying_count + others_wanted + wanted < engine->settings.workers_max;
}

/* What a further flight of this home would wait for a lease; UINT64_MAX: it is not known. */
static uint64_t predicted_wait_ns(const struct household *household)
{
    uint64_t live_count = household == NULL ? 0 : household_live_count(household);

    if (live_count == 0 || household->service_ns == 0)
        return UINT64_MAX;
    return household->service_ns / live_count * (household_waiting_count(household) + 1) *
           (MUTANT(WAIT_OVERRATED) ? 2 : 1);
}

enum { RETRY_UNKNOWN_MS = 1000 }; /* where nothing was measured yet */

static uint64_t retry_ms(const struct household *household)
{
    uint64_t wait_ns = predicted_wait_ns(household);

    return wait_ns == UINT64_MAX ? RETRY_UNKNOWN_MS : wait_ns / NS_PER_MS + 1;
}

static struct status refuse_home_queue(struct engine *engine, const struct household *household)
{
    const struct engine_settings *settings = &engine->settings;

    engine_count(engine, ENGINE_COUNTER_REFUSED_QUEUE_PER_HOME);
    return status_make_retry(STATUS_RESOURCE_EXHAUSTED, retry_ms(household),
                             "pool.queue_per_home: %" PRIu64 " of at most %" PRIu64
                             " probes wait for a lease in this home, %" PRIu64 " of at most %" PRIu64
                             " workers are busy, %zu of at most %" PRIu64 " in all homes",
                             household == NULL ? 0 : (uint64_t)household->queued, settings->queue_per_home,
                             household == NULL ? 0 : household_live_count(household), settings->workers_per_home,
                             engine->pool.workers.count, settings->workers_max);
}

static struct status refuse_queue(struct engine *engine, const struct household *household)
{
    const struct engine_settings *settings = &engine->settings;

    engine_count(engine, ENGINE_COUNTER_REFUSED_QUEUE_MAX);
    return status_make_retry(STATUS_RESOURCE_EXHAUSTED, retry_ms(household),
                             "pool.queue_max: %" PRIu64 " of at most %" PRIu64
                             " probes wait for a lease, %zu of at most %" PRIu64 " workers are there",
                             engine->pool.queued, settings->queue_max, engine->pool.workers.count,
                             settings->workers_max);
}

/* Half of what the others leave of the queue: so there is always a place for somebody who has none. */
static struct status check_share_of_queue(struct engine *engine, const struct household *household,
                                          const struct tenant *tenant)
{
    uint64_t queued = engine->pool.queued, queue_max = engine->settings.queue_max;
    uint64_t own_count = tenant->waiting_count < queued ? tenant->waiting_count : queued;
    uint64_t others_count = queued - own_count;
    uint64_t share = (queue_max - others_count + 1) / 2; /* the queue is not full */

    if (tenant_is_exempt(engine, tenant) || own_count < share || MUTANT(QUEUE_SHARE_IGNORED))
        return status_ok();
    engine_count(engine, ENGINE_COUNTER_REFUSED_QUEUE_SHARE);
    return status_make_retry(STATUS_RESOURCE_EXHAUSTED, retry_ms(household),
                             "pool.queue_max: %" PRIu64
                             " probes of this uid wait for a lease, which is its share; %" PRIu64
                             " of others do, of at most %" PRIu64 " in all",
                             own_count, others_count, queue_max);
}

static struct status check_patience(struct engine *engine, uint64_t now_ns, const struct household *household,
                                    const struct engine_call *call)
{
    uint64_t wait_ns = predicted_wait_ns(household);

    if (wait_ns == UINT64_MAX || time_after(now_ns, wait_ns) <= call->deadline_ns)
        return status_ok();
    engine_count(engine, ENGINE_COUNTER_REFUSED_WAIT);
    return status_make_retry(STATUS_RESOURCE_EXHAUSTED, retry_ms(household),
                             "deadline: a lease is expected in %" PRIu64 " ms, the deadline is in %" PRIu64
                             " ms: place %" PRIu64 " behind %" PRIu64 " workers that take %" PRIu64 " ms each",
                             wait_ns / NS_PER_MS, (call->deadline_ns - now_ns) / NS_PER_MS,
                             household_waiting_count(household) + 1, household_live_count(household),
                             household->service_ns / NS_PER_MS);
}

static struct status admit_to_queue(struct engine *engine, uint64_t now_ns, const struct household *household,
                                    const struct engine_call *call)
{
    struct tenant *tenant;
    struct status status;

    if ((household == NULL ? 0 : household->queued) >= engine->settings.queue_per_home)
        return refuse_home_queue(engine, household);
    if (engine->pool.queued >= engine->settings.queue_max)
        return refuse_queue(engine, household);
    tenant = tenant_obtain(engine, call->uid);
    if (tenant == NULL)
        return call_memory_is_short(engine);
    status = check_share_of_queue(engine, household, tenant);
    if (status_is_ok(&status))
        status = check_patience(engine, now_ns, household, call);
    tenant_release(engine, tenant);
    return status;
}

struct status pool_admit(struct engine *engine, uint64_t now_ns, const struct household *household,
                         const struct engine_call *call)
{
    if (can_be_served(engine, now_ns, household))
        return status_ok();
    if (household != NULL && pause_left_ns(engine, household, now_ns) > 0 && household_live_count(household) == 0) {
        engine_count(engine, ENGINE_COUNTER_REFUSED_PAUSE);
        return pause_status(engine, household, now_ns);
    }
    return admit_to_queue(engine, now_ns, household, call);
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

        if (queue->count == 0 || (MUTANT(WAITER_FORGOTTEN) && queue->count == 2))
            return;
        flight_lease(engine, now_ns,
                     LIST_OWNER(MUTANT(LAST_FIRST) ? queue->last : queue->first, struct flight, in_queue), worker,
                     actions);
    }
}

/* Whether a worker is being started for this home, or can be as soon as those that are leaving have left. */
static bool fresh_worker_comes(const struct engine *engine, uint64_t now_ns, const struct household *household)
{
    const struct pool *pool = &engine->pool;

    return household->in_state[WORKER_STARTING].count > 0 ||
           (pause_left_ns(engine, household, now_ns) == 0 &&
            household_live_count(household) < live_count_max(engine, now_ns, household) &&
            pool->workers.count - pool->leaving_count + pool->wanted - household->wanted <
                engine->settings.workers_max);
}

/* ---- room for others ---- */

/* Places that nobody holds, or that their holders are leaving, or could be made to leave: for the other homes. */
static uint64_t room_for_others(const struct engine *engine, const struct household *household)
{
    const struct pool *pool = &engine->pool;
    uint64_t kept_count = pool->idle_kept - household->idle_kept + household->in_state[WORKER_IDLE].count;
    uint64_t staying_count = pool->workers.count - pool->leaving_count - (pool->idle.count - kept_count);

    return staying_count < engine->settings.workers_max ? engine->settings.workers_max - staying_count : 0;
}

/* Whether one of `have` is given up for somebody who has `need` and will have the room as well. */
static bool gives_way(uint64_t have, uint64_t need, uint64_t room)
{
    return need + room == 0 || have >= need + room + 2;
}

/* The home of this tenant that waits in its lines first, but for this one; NULL: none. */
static const struct household *next_home_but(const struct tenant *tenant, const struct household *household)
{
    for (enum tenant_line line = 0; line < LINE_COUNT; line++)
        LIST_EACH (node, &tenant->lines[line])
            if (node != &household->in_line)
                return LIST_OWNER(node, struct household, in_line);
    return NULL;
}

/* Whether a worker that has come back from a lease is ended, though somebody waits for it here, since others who have
 * fewer wait for room: another tenant, or another home of the same one. */
static bool must_yield(const struct engine *engine, const struct household *household, const struct worker *worker)
{
    uint64_t room = room_for_others(engine, household);
    const struct tenant *tenant = worker->tenant, *other = tenant_neediest_but(engine, tenant);
    const struct household *home;

    if (other != NULL && next_home_but(other, household) != NULL && engine->pool.wanted - tenant->wanted > room &&
        gives_way(tenant->worker_count, other->worker_count, room))
        return true;
    home = next_home_but(tenant, household);
    return home != NULL && home->wanted > room &&
           gives_way(household_live_count(household), household_live_count(home), room);
}

static void yield_idle(struct engine *engine, uint64_t now_ns, struct household *household)
{
    LIST_EACH_SAFE (node, &household->in_state[WORKER_IDLE]) {
        struct worker *worker = LIST_OWNER(node, struct worker, in_state);

        if (worker->cold || MUTANT(NO_YIELD) || !must_yield(engine, household, worker))
            continue;
        engine_count(engine, ENGINE_COUNTER_YIELDED);
        worker_end(engine, now_ns, worker, ENGINE_END_ROOM);
    }
}

/* ---- serving ---- */

/* Idle workers of which there are more than there should be; the longest idle go first. */
static void end_idle(struct engine *engine, uint64_t now_ns, struct household *household)
{
    struct list *idle = &household->in_state[WORKER_IDLE];
    uint64_t live_max = engine->draining ? 0 : engine->settings.workers_per_home;

    while (idle->count > 0 && household_live_count(household) > live_max &&
           !(MUTANT(RESERVE_KEPT) && !engine->draining))
        worker_end(engine, now_ns, LIST_OWNER(idle->first, struct worker, in_state),
                   engine->draining ? ENGINE_END_STOP : ENGINE_END_SURPLUS);
}

/* No worker is left, and none is started for now: those who wait are told at once. */
static void fail_for_pause(struct engine *engine, uint64_t now_ns, struct household *household, struct actions *actions)
{
    struct status status;
    struct list_node *node;

    if (pause_left_ns(engine, household, now_ns) == 0 || household_live_count(household) > 0)
        return;
    status = pause_status(engine, household, now_ns);
    while ((node = first_to_wait(household)) != NULL)
        flight_cancelled(engine, now_ns, LIST_OWNER(node, struct flight, in_queue), &status, actions);
}

static void drop_ahead(struct engine *engine, struct household *household)
{
    list_remove(&household->in_ahead);
    tenant_release(engine, household->ahead_for);
    household->ahead_for = NULL;
}

void pool_serve(struct engine *engine, uint64_t now_ns, struct household *household, struct actions *actions)
{
    pause_fade(engine, household, now_ns);
    if (household_waiting_count(household) > 0)
        yield_idle(engine, now_ns, household);
    lease_idle(engine, now_ns, household, actions);
    fail_for_pause(engine, now_ns, household, actions);
    if (engine->draining || household_waiting_count(household) == 0)
        end_idle(engine, now_ns, household);
    if (engine->draining)
        drop_ahead(engine, household);
    recount(engine, now_ns, household);
}

void pool_start_failed(struct engine *engine, uint64_t now_ns, struct household *household, const struct status *cause,
                       struct actions *actions)
{
    struct list *fresh = &household->waiting_fresh;
    struct status status;

    engine_count(engine, ENGINE_COUNTER_FAULTS_START);
    if (uncovered_count(household) == 0 || household_live_count(household) > 0)
        return;
    status = status_make(STATUS_UNAVAILABLE, "no worker could be started: %s", cause->message);
    flight_fails(engine, now_ns,
                 fresh->count > household->in_state[WORKER_STARTING].count
                     ? LIST_OWNER(fresh->last, struct flight, in_queue)
                     : last_to_wait(household),
                 &status, actions);
}

/* ---- the lines ---- */

static uint32_t uid_to_start_for(struct household *household)
{
    return LIST_OWNER(last_to_wait(household)->callers.first, struct engine_call, node)->uid;
}

/* The worker idle longest, of a home with nobody waiting; NULL: none. */
static struct worker *find_expendable(const struct engine *engine)
{
    if (MUTANT(ROOM_FROM_NEWEST) && engine->pool.idle.count > engine->pool.idle_kept)
        return LIST_OWNER(engine->pool.idle.last, struct worker, in_idle);
    LIST_EACH (node, &engine->pool.idle) {
        struct worker *worker = LIST_OWNER(node, struct worker, in_idle);

        if (household_waiting_count(worker->household) == 0 || MUTANT(ROOM_FROM_CALLERS))
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
        worker_end(engine, now_ns, worker, ENGINE_END_ROOM);
}

static bool has_room(const struct engine *engine)
{
    return engine->pool.workers.count < engine->settings.workers_max && engine->pool.free_seats.count > 0;
}

/* Whoever was to have a start ahead has one with this. */
static void start(struct engine *engine, uint64_t now_ns, struct household *household, struct tenant *tenant,
                  uint32_t uid, bool ahead)
{
    if (household_live_count(household) >= engine->settings.workers_per_home)
        engine_count(engine, ENGINE_COUNTER_STARTS_RESERVE);
    if (ahead)
        engine_count(engine, ENGINE_COUNTER_STARTS_AHEAD);
    worker_start(engine, now_ns, household, tenant, uid, ahead);
    drop_ahead(engine, household);
    recount(engine, now_ns, household);
}

static void start_ahead(struct engine *engine, uint64_t now_ns, struct household *household)
{
    if (engine->draining || pause_left_ns(engine, household, now_ns) > 0 ||
        household_live_count(household) >= engine->settings.workers_per_home) {
        drop_ahead(engine, household);
        household_touch(engine, household);
    } else {
        start(engine, now_ns, household, household->ahead_for, household->ahead_for->uid, true);
    }
}

/* Whoever waits for a fresh worker where none comes takes any; known only when all room is given away. */
static void give_up_freshness(struct engine *engine, uint64_t now_ns)
{
    LIST_EACH (node, &engine->pool.fresh) {
        struct household *household = LIST_OWNER(node, struct household, in_fresh);

        if (fresh_worker_comes(engine, now_ns, household))
            continue;
        while (household->waiting_fresh.count > 0)
            flight_takes_any_worker(LIST_OWNER(household->waiting_fresh.first, struct flight, in_queue));
        household_touch(engine, household);
    }
}

void pool_start(struct engine *engine, uint64_t now_ns)
{
    struct pool *pool = &engine->pool;
    struct household *household;

    while (has_room(engine) && (household = tenant_take_turn(engine)) != NULL)
        start(engine, now_ns, household, household->in_line_of, uid_to_start_for(household), false);
    while (has_room(engine) && pool->ahead.count > 0)
        start_ahead(engine, now_ns, LIST_OWNER(pool->ahead.first, struct household, in_ahead));
    make_room(engine, now_ns);
    give_up_freshness(engine, now_ns);
}

void pool_start_ahead(struct engine *engine, struct household *household, struct tenant *tenant)
{
    if (household->ahead_for != NULL || engine->draining)
        return;
    household->ahead_for = tenant_hold(tenant);
    list_push_back(&engine->pool.ahead, &household->in_ahead);
}

/* ---- time ---- */

static struct worker *first_due(const struct engine *engine)
{
    struct heap_node *node = heap_first(&engine->pool.dues);

    return node == NULL ? NULL : LIST_OWNER(node, struct worker, due);
}

void pool_time_passes(struct engine *engine, uint64_t now_ns)
{
    struct heap_node *node;
    struct worker *worker;

    while ((worker = first_due(engine)) != NULL && worker->due.due_ns <= now_ns)
        worker_ends_by_time(engine, now_ns, worker);
    while ((node = heap_first(&engine->homes.dues)) != NULL && node->due_ns <= now_ns) {
        heap_clear(&engine->homes.dues, node); /* set again when it is looked at */
        household_touch(engine, LIST_OWNER(node, struct household, due));
    }
}

uint64_t pool_next_ns(const struct engine *engine)
{
    const struct worker *worker = first_due(engine);
    const struct heap_node *node = heap_first(&engine->homes.dues);
    uint64_t next_ns = worker == NULL ? UINT64_MAX : worker->due.due_ns;

    return node != NULL && node->due_ns < next_ns ? node->due_ns : next_ns;
}
