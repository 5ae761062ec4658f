/* The steps.  Each notes what happened; conclude() draws the conclusions.
 *
 * A step that refuses a call leaves everything as it was, so it concludes nothing. */
#include "server/engine/engine.h"

#include "server/engine/state.h"

#include <inttypes.h>
#include <stdlib.h>

/* Beside the struct: malloc's header, what a hash table or a heap holds of it. */
enum { IN_TABLE = 32, IN_HEAP = 16, ALLOCATED = 16 };
_Static_assert(sizeof(struct home) + IN_TABLE + ALLOCATED <= LIMIT_HOME_COST &&
                   sizeof(struct household) + IN_HEAP + ALLOCATED <= LIMIT_HOUSEHOLD_COST &&
                   sizeof(struct entry) + IN_TABLE + IN_HEAP + ALLOCATED + sizeof(struct answer) <= LIMIT_ENTRY_COST &&
                   sizeof(struct flight) + sizeof(struct failure) + 2 * ALLOCATED <= LIMIT_FLIGHT_COST &&
                   sizeof(struct worker) + IN_HEAP + ALLOCATED <= LIMIT_SEAT_COST,
               "the sums of limits.h hold");

/* ---- birth and death ---- */

struct engine *engine_create(const struct engine_settings *settings, const struct map_seed *seed, uint64_t epoch)
{
    struct engine *engine = calloc(1, sizeof *engine);

    INVARIANT(epoch != 0);
    if (engine == NULL)
        return NULL;
    engine->settings = *settings;
    engine->seed = *seed;
    engine->epoch = epoch;
    if (!pool_make_seats(engine)) {
        pool_fini(engine);
        free(engine);
        return NULL;
    }
    return engine;
}

bool engine_is_empty(const struct engine *engine)
{
    return engine->draining && engine->calls.parked.count == 0 && engine->calls.quiescing.count == 0 &&
           engine->flights_in[FLIGHT_WAITING].count == 0 && engine->flights_in[FLIGHT_LEASED].count == 0 &&
           engine->pool.workers.count == 0 && engine->orders.count == 0 && engine->news.count == 0;
}

void engine_destroy(struct engine *engine)
{
    if (engine == NULL)
        return;
    engine->draining = true;
    INVARIANT(engine_is_empty(engine));
    cache_fini(engine);
    homes_fini(engine);
    pool_fini(engine);
    tenants_fini(engine);
    heap_fini(&engine->calls.deadlines);
    free(engine);
}

void engine_settings_changed(struct engine *engine, const struct engine_settings *settings)
{
    engine->settings = *settings;
    /* Whoever waits may have been waiting for just that: looked at in the next step, which is due at once. */
    LIST_EACH (node, &engine->flights_in[FLIGHT_WAITING])
        household_touch(engine, LIST_OWNER(node, struct flight, node)->entry->household);
    LIST_EACH (node, &engine->pool.idle)
        worker_set_due(engine, LIST_OWNER(node, struct worker, in_idle));
}

uint64_t engine_epoch(const struct engine *engine)
{
    return engine->epoch;
}

/* ---- how a step ends ---- */

static void tell(const struct engine *engine, struct actions *actions)
{
    call_sort_answered(actions);
    actions->orders |= engine->orders.count > 0;
    actions->news |= engine->news.count > 0;
}

static void conclude(struct engine *engine, uint64_t now_ns, struct actions *actions)
{
    struct list_node *node;

    call_deadlines_pass(engine, now_ns, actions); /* nothing is begun for a caller whose time is up */
    do {
        while ((node = list_pop_front(&engine->homes.touched)) != NULL) {
            struct household *household = LIST_OWNER(node, struct household, touched);

            pool_serve(engine, now_ns, household, actions);
            (void)household_leave_if_empty(engine, now_ns, household);
        }
        pool_start(engine, now_ns);
    } while (engine->homes.touched.count > 0);
    tell(engine, actions);
}

/* ---- calls ---- */

void engine_call_parked(struct engine *engine, uint64_t now_ns, struct engine_call *call, struct actions *actions)
{
    struct status status;

    INVARIANT(call->place == ENGINE_CALL_NOWHERE);
    status = call_check_arrival(engine, now_ns, call);
    if (status_is_ok(&status) && !call_reserve(engine))
        status = call_memory_is_short(engine);
    if (!status_is_ok(&status)) {
        call_fail(call, &status, actions);
        return;
    }
    call->place = ENGINE_CALL_PARKED;
    list_push_back(&engine->calls.parked, &call->node);
    heap_set(&engine->calls.deadlines, &call->deadline, call->deadline_ns);
}

bool engine_call_unparked(struct engine *engine, struct engine_call *call, uint64_t id)
{
    if (call->id != id || call->place != ENGINE_CALL_PARKED)
        return false;
    call_unpark(engine, call);
    return true;
}

static void arrive(struct engine *engine, struct engine_call *call)
{
    if (call->place == ENGINE_CALL_PARKED)
        call_unpark(engine, call);
    INVARIANT(call->place == ENGINE_CALL_NOWHERE);
}

static struct status check_at_least(const struct engine *engine, const struct home *home,
                                    const struct engine_call *call)
{
    struct fence asked = call->probe.at_least, present = home_fence(engine, home);

    if (asked.epoch == 0 ||
        (asked.epoch == present.epoch && (asked.generation <= present.generation || MUTANT(AT_LEAST_AHEAD_TAKEN))))
        return status_ok();
    return status_make(STATUS_FAILED_PRECONDITION,
                       "at_least is generation %" PRIu64 " of epoch %016" PRIx64 ", the home is at generation %" PRIu64
                       " of epoch %016" PRIx64,
                       asked.generation, asked.epoch, present.generation, present.epoch);
}

static struct status join(struct engine *engine, struct flight *flight, struct engine_call *call)
{
    if (!call_reserve(engine))
        return call_memory_is_short(engine);
    flight_board(engine, flight, call);
    if (!MUTANT(JOIN_UNCOUNTED))
        engine_count(engine, ENGINE_COUNTER_JOINED);
    return status_ok();
}

/* Everything that a flight will ever need, or nothing. */
static struct status start_flight(struct engine *engine, uint64_t now_ns, struct engine_call *call, const char *path)
{
    bool known = home_look(engine, path) != NULL;
    struct home *home;
    struct household *household;
    struct entry *entry;
    struct status status = home_obtain(engine, path, call->uid, &home);

    if (!status_is_ok(&status))
        return status;
    home->directory = call->probe.directory; /* the first to say; else it is the same */
    household = household_obtain(engine, home);
    if (household == NULL)
        goto undo_home;
    if (!pause_reserve(household))
        goto undo_household;
    entry = entry_obtain(engine, household, call);
    if (entry == NULL)
        goto undo_household;
    if (!pool_make_seats(engine) || !call_reserve(engine))
        goto undo_entry;
    if (flight_create(engine, entry, call) != NULL)
        return status_ok();
    call_unreserve(engine);
undo_entry:
    entry_leave_if_empty(engine, entry);
undo_household:
    if (MUTANT(HOME_LEFT_BEHIND))
        return call_memory_is_short(engine);
    (void)household_leave_if_empty(engine, now_ns, household);
undo_home:
    if (!known)
        home_forget(engine, home);
    return call_memory_is_short(engine);
}

/* OK: it was answered from the cache, or is aboard. */
static struct status take_probe_in(struct engine *engine, uint64_t now_ns, struct engine_call *call, const char *path,
                                   struct actions *actions)
{
    struct home *home = home_find(engine, path);
    struct household *household = home == NULL ? NULL : home->household;
    struct entry *entry = entry_find(engine, household, call);
    struct flight *flight = entry == NULL ? NULL : flight_joinable(entry, call);
    struct status status = call_check_arrival(engine, now_ns, call);

    if (status_is_ok(&status))
        status = check_at_least(engine, home, call);
    if (!status_is_ok(&status))
        return status;
    if (entry != NULL && cache_answers(engine, now_ns, entry, call)) {
        engine_count(engine, ENGINE_COUNTER_ANSWERED_CACHED);
        call_give_back(call, actions);
        return status;
    }
    if (flight != NULL)
        return join(engine, flight, call);
    if (entry != NULL && cache_fails(engine, now_ns, entry, call, &status))
        return status;
    status = pool_admit(engine, now_ns, household, call);
    return status_is_ok(&status) ? start_flight(engine, now_ns, call, path) : status;
}

/* Refused: told why, or given what was good last, unless it asks for what is of another epoch. */
static void refuse_probe(struct engine *engine, uint64_t now_ns, struct engine_call *call, const char *path,
                         const struct status *status, struct actions *actions)
{
    bool of_this_epoch = call->probe.at_least.epoch == 0 || call->probe.at_least.epoch == engine->epoch;
    struct home *home = of_this_epoch ? home_find(engine, path) : NULL;

    call_fail_probe(engine, now_ns, entry_find(engine, home == NULL ? NULL : home->household, call), call, status,
                    actions);
}

void engine_probe_arrived(struct engine *engine, uint64_t now_ns, struct engine_call *call, const char *home,
                          struct actions *actions)
{
    struct status status;

    arrive(engine, call);
    engine_count(engine, ENGINE_COUNTER_PROBES);
    status = take_probe_in(engine, now_ns, call, home, actions);
    if (!status_is_ok(&status)) {
        refuse_probe(engine, now_ns, call, home, &status, actions);
        return;
    }
    conclude(engine, now_ns, actions);
    if (call->place == ENGINE_CALL_ABOARD && call->flight->leader == call && call->flight->state == FLIGHT_WAITING)
        engine_count(engine, ENGINE_COUNTER_WAITED);
}

static struct status invalidate_home(struct engine *engine, uint64_t now_ns, struct engine_call *call, const char *path,
                                     struct actions *actions)
{
    struct home *home;
    struct status status;

    if (call->invalidate.known_only && home_find(engine, path) == NULL)
        return status_make(STATUS_NOT_FOUND, "there is no such directory, and no such home is known");
    status = home_obtain(engine, path, call->uid, &home);
    if (status_is_ok(&status))
        fence_home(engine, now_ns, call, home, actions);
    return status;
}

void engine_invalidate_arrived(struct engine *engine, uint64_t now_ns, struct engine_call *call, const char *home,
                               uint64_t new_epoch, struct actions *actions)
{
    struct status status;

    arrive(engine, call);
    status = call_check_arrival(engine, now_ns, call);
    if (status_is_ok(&status) && home == NULL)
        fence_all(engine, now_ns, call, new_epoch, actions);
    else if (status_is_ok(&status))
        status = invalidate_home(engine, now_ns, call, home, actions);
    if (status_is_ok(&status))
        conclude(engine, now_ns, actions);
    else
        call_fail(call, &status, actions);
}

void engine_sync_arrived(struct engine *engine, uint64_t now_ns, struct engine_call *call, const char *home,
                         struct actions *actions)
{
    struct status status;

    arrive(engine, call);
    status = call_check_arrival(engine, now_ns, call);
    if (!status_is_ok(&status)) {
        call_fail(call, &status, actions);
        return;
    }
    engine_count(engine, ENGINE_COUNTER_SYNCS);
    call->result = (struct engine_result){
        .status = status_ok(),
        .fence = home_fence(engine, home_look(engine, home)),
    };
    call_give_back(call, actions);
}

void engine_call_left(struct engine *engine, uint64_t now_ns, struct engine_call *call, uint64_t id,
                      struct actions *actions)
{
    struct status status;

    if (call->id != id || call->place == ENGINE_CALL_NOWHERE || call->place == ENGINE_CALL_IN_NEWS)
        return;
    status = status_make(STATUS_CANCELLED, "the client has gone");
    engine_count(engine, ENGINE_COUNTER_DEPARTED);
    call_end(engine, now_ns, call, &status, actions);
    conclude(engine, now_ns, actions);
}

/* ---- workers ---- */

/* A start that nobody waits for any more goes no further than the door of its home. */
static bool start_is_wanted(const struct worker *worker)
{
    const struct household *household = worker->household;

    return worker->state == WORKER_STARTING &&
           (worker->ahead ||
            household_waiting_count(household) + household->ahead_count >= household->in_state[WORKER_STARTING].count);
}

bool engine_worker_pinned(struct engine *engine, uint64_t now_ns, uint64_t worker_id, int home_fd,
                          struct actions *actions)
{
    struct worker *worker = worker_find(engine, worker_id);
    bool wanted = worker != NULL && start_is_wanted(worker);

    if (worker == NULL)
        return false;
    INVARIANT(worker->stage == WORKER_PINNING && worker->orders == 0);
    if (wanted) {
        worker->stage = WORKER_LAUNCHING;
        worker->home_fd = home_fd;
        outbox_order(engine, worker, ENGINE_ORDER_LAUNCH);
    } else {
        worker_leave(engine, worker);
    }
    conclude(engine, now_ns, actions);
    return wanted;
}

/* Watched from now on, if nobody took it. */
static void tell_if_idle(struct worker *worker, struct actions *actions)
{
    if (worker->state != WORKER_IDLE)
        return;
    worker->cold = false;
    actions->idled.worker_id = worker->id;
    actions->idled.answer_fd = worker->channel.answer_fd;
    actions->idled.turn = worker->lease_count;
}

void engine_worker_up(struct engine *engine, uint64_t now_ns, uint64_t worker_id, int32_t pid,
                      struct worker_channel channel, uint64_t spawn_ns, struct actions *actions)
{
    struct worker *worker = worker_find(engine, worker_id);

    if (worker == NULL)
        return;
    INVARIANT(worker->stage == WORKER_LAUNCHING);
    worker->stage = WORKER_UP;
    worker->channel = channel;
    worker->pid = pid;
    worker->spawn_ns = spawn_ns;
    worker->started_ns = now_ns;
    if (worker->state == WORKER_ENDING) {
        outbox_order(engine, worker, ENGINE_ORDER_END); /* the one that may be out already had no channel to close */
    } else {
        worker->cold = true;
        worker_move(engine, now_ns, worker, WORKER_IDLE);
    }
    conclude(engine, now_ns, actions);
    tell_if_idle(worker, actions);
}

void engine_worker_gone(struct engine *engine, uint64_t now_ns, uint64_t worker_id, enum engine_blame blame,
                        const struct status *cause, struct actions *actions)
{
    struct worker *worker = worker_find(engine, worker_id);
    struct household *household;
    enum worker_state state;

    if (worker == NULL)
        return;
    household = worker->household;
    state = worker->state;
    INVARIANT(!worker->gone && !(worker->orders & (TO(ENGINE_ORDER_PIN) | TO(ENGINE_ORDER_LAUNCH))));
    worker->gone = true;
    if (blame == ENGINE_BLAME_WORKER || MUTANT(BLAME_IGNORED))
        worker_note_fault(engine, now_ns, worker, cause);
    else if (state == WORKER_STARTING)
        pause_note_failure(engine, now_ns, household, cause);
    (void)outbox_take_back(worker, ENGINE_ORDER_KILL);
    worker_ends_for(worker, ENGINE_END_GONE);
    if (state == WORKER_LEASED)
        worker_move(engine, now_ns, worker, WORKER_DRAINING); /* its lease will notice */
    else if (state == WORKER_ENDING)
        worker_leave(engine, worker);
    else if (state != WORKER_DRAINING)
        worker_end(engine, now_ns, worker, ENGINE_END_GONE);
    if (state == WORKER_STARTING)
        pool_start_failed(engine, now_ns, household, cause, actions);
    fence_worker_gone(engine, household);
    conclude(engine, now_ns, actions);
}

void engine_worker_spoke(struct engine *engine, uint64_t now_ns, uint64_t worker_id, uint64_t turn,
                         struct actions *actions)
{
    struct worker *worker = worker_find(engine, worker_id);

    if (worker == NULL || worker->state != WORKER_IDLE || worker->lease_count != turn || MUTANT(SPOKE_UNHEARD))
        return;
    worker_fails(worker);
    worker_end(engine, now_ns, worker, ENGINE_END_SPOKE);
    conclude(engine, now_ns, actions);
}

static void count_fault(struct engine *engine, enum lease_end end)
{
    static const enum engine_counter faults[LEASE_END_COUNT] = {
        [LEASE_STRAY] = ENGINE_COUNTER_FAULTS_STALE,
        [LEASE_DIED] = ENGINE_COUNTER_FAULTS_DIED,
        [LEASE_BREACHED] = ENGINE_COUNTER_FAULTS_BREACHED,
        [LEASE_TIMED_OUT] = ENGINE_COUNTER_FAULTS_TIMED_OUT,
    };

    engine_count(engine, ENGINE_COUNTER_LEASES_RETURNED);
    if (end != LEASE_ANSWERED)
        engine_count(engine, faults[end]);
}

/* What a lease tells of its worker and of the home's workers. */
static void note_outcome(const struct engine *engine, uint64_t now_ns, struct worker *worker,
                         const struct lease_outcome *outcome)
{
    struct household *household = worker->household;
    uint64_t taken_ns = now_ns - worker->lease.granted_ns;

    if (outcome->end == LEASE_ANSWERED) {
        household->service_ns =
            household->service_ns == 0 ? taken_ns : household->service_ns - household->service_ns / 8 + taken_ns / 8;
        worker->answered = true;
        pause_end(household);
        return;
    }
    if (outcome->end == LEASE_DIED || outcome->end == LEASE_STRAY)
        worker_fails(worker);
    if (!worker->gone) /* else it is known how it ended, which says more */
        pause_note_failure(engine, now_ns, household, &outcome->status);
}

void engine_lease_returned(struct engine *engine, uint64_t now_ns, struct engine_lease *lease,
                           const struct lease_outcome *outcome, struct actions *actions)
{
    struct worker *worker = LIST_OWNER(lease, struct worker, lease);
    bool answered = outcome->end == LEASE_ANSWERED;

    INVARIANT(worker->state == WORKER_LEASED || worker->state == WORKER_DRAINING);
    INVARIANT(answered == (outcome->answer != NULL));
    count_fault(engine, outcome->end);
    note_outcome(engine, now_ns, worker, outcome);
    secret_release(lease->api_key);
    lease->api_key = NULL;
    if (worker->flight == NULL)
        answer_release(outcome->answer); /* overtaken: nobody hears it */
    else if (answered)
        flight_lands(engine, now_ns, worker->flight, outcome->answer, actions);
    else
        flight_worker_failed(engine, now_ns, worker->flight, outcome, actions);
    if (!answered || worker->state != WORKER_LEASED)
        worker_end(engine, now_ns, worker, ENGINE_END_FAULT); /* unless it was to end anyway */
    else if (worker_is_worn_out(engine, now_ns, worker))
        worker_retire(engine, now_ns, worker);
    else
        worker_move(engine, now_ns, worker, WORKER_IDLE);
    conclude(engine, now_ns, actions);
    tell_if_idle(worker, actions);
}

/* ---- time and the end ---- */

void engine_time_passed(struct engine *engine, uint64_t now_ns, struct actions *actions)
{
    pool_time_passes(engine, now_ns);
    cache_sweep(engine, now_ns);
    conclude(engine, now_ns, actions);
}

uint64_t engine_next_ns(const struct engine *engine)
{
    uint64_t next_ns = call_next_ns(engine), pool_ns = pool_next_ns(engine), cache_ns = cache_next_ns(engine);

    if (engine->homes.touched.count > 0)
        return 0;
    next_ns = pool_ns < next_ns ? pool_ns : next_ns;
    return cache_ns < next_ns ? cache_ns : next_ns;
}

void engine_drain(struct engine *engine, uint64_t now_ns, struct actions *actions)
{
    engine->draining = true;
    LIST_EACH_SAFE (node, &engine->pool.idle)
        worker_end(engine, now_ns, LIST_OWNER(node, struct worker, in_idle), ENGINE_END_STOP);
    conclude(engine, now_ns, actions);
}

static void stop_calls(struct engine *engine, uint64_t now_ns, struct actions *actions)
{
    struct status status = status_make(STATUS_UNAVAILABLE, "the daemon has ended");
    struct list_node *node;

    while ((node = engine->calls.parked.first) != NULL)
        call_end(engine, now_ns, LIST_OWNER(node, struct engine_call, node), &status, actions);
    while ((node = engine->calls.quiescing.first) != NULL)
        call_end(engine, now_ns, LIST_OWNER(node, struct engine_call, in_due), &status, actions);
    for (enum flight_state state = FLIGHT_WAITING; state < FLIGHT_ENDED; state++)
        while ((node = engine->flights_in[state].first) != NULL)
            flight_cancelled(engine, now_ns, LIST_OWNER(node, struct flight, node), &status, actions);
}

static void stop_worker(struct engine *engine, uint64_t now_ns, struct worker *worker)
{
    switch (worker->state) {
    case WORKER_STARTING:
    case WORKER_IDLE:
        worker_end(engine, now_ns, worker, ENGINE_END_STOP);
        break;
    case WORKER_LEASED:
        worker_ends_for(worker, ENGINE_END_STOP);
        worker_move(engine, now_ns, worker, WORKER_DRAINING);
        outbox_order(engine, worker, ENGINE_ORDER_KILL);
        break;
    case WORKER_DRAINING:
        if (!worker->gone)
            outbox_order(engine, worker, ENGINE_ORDER_KILL);
        break;
    case WORKER_ENDING:
    case WORKER_STATE_COUNT:
        break;
    }
}

void engine_stop(struct engine *engine, uint64_t now_ns, struct actions *actions)
{
    engine->draining = true;
    stop_calls(engine, now_ns, actions);
    LIST_EACH_SAFE (node, &engine->pool.workers)
        stop_worker(engine, now_ns, LIST_OWNER(node, struct worker, in_pool));
    conclude(engine, now_ns, actions);
}
