/* Leases: who may be lent to whom, and what follows when one comes back. */
#include "tests/sim/model.h"

#include <inttypes.h>
#include <string.h>

static bool is_key(const struct model *model, const struct engine_lease *lease, const struct model_flight *flight)
{
    const struct secret *secret = flight->key == 0 ? NULL : model->secrets[flight->key];

    return lease->api_key == secret && strcmp(lease->provider, model_provider(flight->provider)) == 0;
}

/* How well a flight fits a lease that may be for another of the same key: two wait after a re-run, or for the sake of
 * an at_least.  The time that it waited, and the engine's sum of those that still wait, tell which of them it was. */
static int fitness(const struct model *model, const struct engine_lease *lease, const struct model_flight *flight)
{
    uint64_t now_ns = model->step.now_ns;

    return 2 * (lease->queue_ns == now_ns - flight->arrived_ns || lease->queue_ns == now_ns - flight->admitted_ns) +
           (model->waiting_call_count - flight->callers.count == model->view.waiting);
}

static struct model_flight *better(const struct model *model, const struct engine_lease *lease,
                                   struct model_flight *one, struct model_flight *other)
{
    return one == NULL || fitness(model, lease, other) > fitness(model, lease, one) ? other : one;
}

/* Whose turn it is: first those that are run again, in order of their arrival, then the others in theirs.  A fresh
 * worker may go to any that asked for one; a worker that is not fresh passes those that wait for one. */
static struct model_flight *next_in_turn(const struct model *model, const struct model_home *home,
                                         const struct engine_lease *lease, bool cold)
{
    /* Where no fresh one comes, rather any than none; beyond workers_per_home whether one comes is not said. */
    bool any_will_do = cold || home->worker_counts[WORKER_STARTING] == 0 || model->plan->lazy_drains ||
                       model->relaxed || model_live_count(home) > model->settings.workers_per_home;
    struct model_flight *flight, *found = NULL;

    LIST_EACH (node, &home->ahead) {
        flight = LIST_OWNER(node, struct model_flight, waiting);
        if (cold && flight->freshness != FRESHNESS_NO_MATTER && is_key(model, lease, flight))
            found = better(model, lease, found, flight);
    }
    LIST_EACH (node, &home->ahead) {
        flight = LIST_OWNER(node, struct model_flight, waiting);
        if (is_key(model, lease, flight) && (any_will_do || flight->freshness != FRESHNESS_ASKED))
            found = better(model, lease, found, flight);
        if (flight->freshness == FRESHNESS_NO_MATTER)
            return found;
    }
    if (home->queue.count == 0)
        return found;
    flight = LIST_OWNER(home->queue.first, struct model_flight, waiting);
    return is_key(model, lease, flight) ? better(model, lease, found, flight) : found;
}

/* The one used last.  Where a home has workers of several uids, one of theirs may be given up first, whichever it is. */
static void judge_worker_choice(const struct model *model, const struct sim_worker *worker)
{
    bool yields = model->view.counters[ENGINE_COUNTER_YIELDED] > model->before.counters[ENGINE_COUNTER_YIELDED];

    if (model->undrained || worker == model->step.freed || (yields && !model->plan->owned))
        return;
    LIST_EACH (node, &model->alive) {
        const struct sim_worker *other = LIST_OWNER(node, struct sim_worker, node);

        CLAIM(RULE_ORDER,
              other->home != worker->home || other->state != SIM_WORKER_IDLE ||
                  other->idle_since_ns <= worker->idle_since_ns,
              "worker %" PRIu64 " was leased, %" PRIu64 " was used more recently", worker->id, other->id);
    }
}

static void judge_lease_times(const struct model *model, const struct engine_lease *lease,
                              const struct model_flight *flight, const struct sim_worker *worker)
{
    uint64_t now_ns = model->step.now_ns;
    bool cold = worker->origin == ORIGIN_COLD;

    CLAIM(RULE_LEASES, lease->granted_ns == now_ns, "granted at %" PRIu64 ", it is %" PRIu64, lease->granted_ns,
          now_ns);
    CLAIM(RULE_LEASES, lease->run_deadline_ns == now_ns + model->settings.run_ns_max, "another run deadline");
    CLAIM(RULE_LEASES, lease->spawn_ns == (cold ? worker->spawn_ns : 0), "spawn time %" PRIu64, lease->spawn_ns);
    if (flight->overtaken_count == 0 && !flight->died && !flight->ahead)
        CLAIM(RULE_LEASES,
              lease->queue_ns == now_ns - flight->arrived_ns || lease->queue_ns == now_ns - flight->admitted_ns,
              "queued for %" PRIu64 ", it was %" PRIu64, lease->queue_ns, now_ns - flight->arrived_ns);
}

static void judge_worker_fit(const struct model *model, const struct engine_lease *lease,
                             const struct sim_worker *worker)
{
    struct fence fence = model_fence(model, worker->home);

    CLAIM(RULE_LEASES, worker->lease == NULL, "worker %" PRIu64 " has a lease already", worker->id);
    CLAIM(RULE_LEASES, worker->state == SIM_WORKER_IDLE && !worker->told_gone,
          "worker %" PRIu64 " was leased in state %d", worker->id, worker->state);
    CLAIM(RULE_FENCES, lease->fence.epoch == fence.epoch && lease->fence.generation == fence.generation,
          "a lease of generation %" PRIu64 ", the home is at %" PRIu64, lease->fence.generation, fence.generation);
    CLAIM(RULE_FENCES,
          worker->vague || (worker->fence.epoch == fence.epoch && worker->fence.generation == fence.generation),
          "worker %" PRIu64 " is of generation %" PRIu64 ", the home is at %" PRIu64, worker->id,
          worker->fence.generation, fence.generation);
    CLAIM(RULE_LEASES,
          lease->channel.request_fd == worker->channel.request_fd &&
              lease->channel.answer_fd == worker->channel.answer_fd,
          "the channel is not that of worker %" PRIu64, worker->id);
    CLAIM(RULE_BOUNDS, worker->lease_count < model->loosest.requests_max, "worker %" PRIu64 " had %" PRIu64 " leases",
          worker->id, worker->lease_count);
    CLAIM(RULE_BOUNDS,
          model->step.overdue ||
              model->step.now_ns - worker->up_ns <= model->loosest.lifetime_ns + model->loosest.lifetime_ns / 10,
          "worker %" PRIu64 " is past its lifetime", worker->id);
}

/* Nothing is done for callers who can hear of it no more. */
static void judge_is_wanted(const struct model *model, const struct model_flight *flight)
{
    bool wanted = false;

    LIST_EACH (node, &flight->callers)
        wanted |= LIST_OWNER(node, struct sim_call, node)->deadline_ns > model->step.now_ns;
    CLAIM(RULE_CALLS, wanted, "a lease for h%u/p%u/k%u, whose callers' time is up", flight->home, flight->provider,
          flight->key);
}

void model_leased(struct model *model, struct engine_lease *lease)
{
    struct sim_worker *worker = model_worker_find(model, lease->worker_id);
    bool cold = model->step.kind == STEP_UP && model->step.worker == worker;
    struct model_flight *flight;

    CLAIM(RULE_LEASES, worker != NULL, "a lease of worker %" PRIu64 ", which nobody started", lease->worker_id);
    CLAIM(RULE_LEASES, lease->id == model->lease_count + 1, "lease %" PRIu64 " follows %" PRIu64, lease->id,
          model->lease_count);
    judge_worker_fit(model, lease, worker);
    judge_worker_choice(model, worker);
    flight = next_in_turn(model, &model->homes[worker->home], lease, cold);
    CLAIM(RULE_ORDER, flight != NULL, "lease %" PRIu64 " is for %s, whose turn it is not", lease->id, lease->provider);
    worker->origin = cold ? ORIGIN_COLD : ORIGIN_WARM;
    judge_lease_times(model, lease, flight, worker);
    judge_is_wanted(model, flight);
    model_judge_patience(model, flight);
    model->counted[worker->origin == ORIGIN_COLD ? ENGINE_COUNTER_LEASES_COLD : ENGINE_COUNTER_LEASES_WARM]++;
    model->lease_count = lease->id;
    model->leases_out++;
    worker->lease = lease;
    worker->lease_id = lease->id;
    worker->granted_ns = model->step.now_ns;
    worker->lease_count++;
    worker->flight = flight;
    if (worker->vague) {
        worker->vague = false; /* so it was started behind the last fence */
        worker->born_serial = model->fence_serial;
        model->vague_count--;
    }
    worker->fence = model_fence(model, worker->home);
    model_worker_move(model, worker, SIM_WORKER_LEASED, false);
    model_flight_set_leased(model, flight, worker);
}

/* Its lease came back without an answer: who is aboard hears of it, or the probe is run again. */
static void settle_failure(struct model *model, struct model_flight *flight)
{
    const struct model_step *step = &model->step;
    bool again = step->end == LEASE_STRAY || (step->end == LEASE_DIED && !flight->died);

    if (flight->callers.count > 0 && again) {
        flight->died |= step->end == LEASE_DIED;
        if (step->end == LEASE_DIED)
            flight->freshness = FRESHNESS_ASKED;
        else if (flight->freshness == FRESHNESS_ASKED)
            flight->freshness = FRESHNESS_OPEN;
        model->counted[ENGINE_COUNTER_RETRIED] += step->end == LEASE_DIED;
        model_flight_run_again(model, flight);
        return;
    }
    if (!again)
        model_remember(model, flight, step->code);
    model_flight_end(model, flight);
}

void model_worker_returned(struct model *model)
{
    static const enum engine_counter faults[LEASE_END_COUNT] = {
        [LEASE_STRAY] = ENGINE_COUNTER_FAULTS_STALE,
        [LEASE_DIED] = ENGINE_COUNTER_FAULTS_DIED,
        [LEASE_BREACHED] = ENGINE_COUNTER_FAULTS_BREACHED,
        [LEASE_TIMED_OUT] = ENGINE_COUNTER_FAULTS_TIMED_OUT,
    };
    struct model_step *step = &model->step;
    struct sim_worker *worker = step->worker;

    step->flight = worker->flight;
    worker->lease = NULL;
    worker->flight = NULL;
    model->leases_out--;
    model->counted[ENGINE_COUNTER_LEASES_RETURNED]++;
    if (step->end != LEASE_ANSWERED) {
        model->counted[faults[step->end]]++;
        model->homes[worker->home].troubled = true;
    }
    if (!worker->doomed && (step->end == LEASE_DIED || step->end == LEASE_STRAY))
        model_at_fault(model, worker);
    if (step->end == LEASE_ANSWERED) {
        worker->has_answered = true;
        model_faults_forgiven(model, worker->home);
        model_served(model, worker, step->now_ns - worker->granted_ns);
    }
    if (step->flight != NULL && step->end == LEASE_ANSWERED) {
        model->homes[worker->home].failure[step->flight->provider][step->flight->key].codes = 0;
        model_land(model, step->flight);
        model_flight_end(model, step->flight);
    } else if (step->flight != NULL) {
        settle_failure(model, step->flight);
    }
    if (worker->told_gone) {
        model->limbo_count--;
        model_worker_owe_end(model, worker);
        model_worker_move(model, worker, SIM_WORKER_FORGOTTEN, true);
    } else if (step->end == LEASE_ANSWERED && !worker->doomed) {
        worker->idle_since_ns = step->now_ns;
        worker->idle_serial++;
        step->freed = worker;
        model_worker_move(model, worker, SIM_WORKER_IDLE, false);
    } else {
        model_worker_owe_end(model, worker);
        model_worker_move(model, worker, SIM_WORKER_ENDING, true);
    }
}

/* It could be used, and is ended: for its age, because others need the room more, or as a reserve that nobody needs. */
static void judge_not_kept(struct model *model, const struct sim_worker *worker)
{
    const struct model_home *home = &model->homes[worker->home];
    uint64_t age_ns = model->step.now_ns - worker->started_ns;
    uint64_t seen = model->view.counters[ENGINE_COUNTER_YIELDED] - model->before.counters[ENGINE_COUNTER_YIELDED];
    bool used_up = worker->lease_count >= model->settings.requests_max;
    bool old = age_ns >= model->tightest.lifetime_ns - model->tightest.lifetime_ns / 10;
    bool spare = model_waiting_count(home) == 0 && model_live_count(home) > model->tightest.workers_per_home;
    /* Behind a jump it may be for the sake of callers whose time is up, which is seen only then. */
    bool yields = seen > 0 && model_waiting_count(home) > 0 && (model_may_yield(model, worker) || model->step.overdue);
    bool makes_room = model_makes_room(model, worker);

    CLAIM(RULE_TURNS, seen == 0 || yields || model->plan->lazy_drains,
          "worker %" PRIu64 " was given up for nobody's sake", worker->id);
    if (model->draining || model->plan->lazy_drains)
        return;
    CLAIM(RULE_BOUNDS, used_up || old || spare || yields || makes_room || model->relaxed,
          "worker %" PRIu64 " was ended, and could have been used", worker->id);
    if ((used_up || old) && worker->lease_count > 0)
        model_wish(model, worker->home, spare || yields || makes_room ? WISH_MAYBE : WISH_CERTAIN);
}

/* A worker has become free: it is leased in the same step, or watched from now on, or ended. */
void model_freed(struct model *model, const struct actions *actions)
{
    struct sim_worker *worker = model->step.freed;

    if (actions->idled.worker_id != 0) {
        CLAIM(RULE_LEASES, worker != NULL && worker->id == actions->idled.worker_id,
              "worker %" PRIu64 " is said to have become idle", actions->idled.worker_id);
        CLAIM(RULE_LEASES, worker->state == SIM_WORKER_IDLE, "worker %" PRIu64 " is watched while it is leased",
              worker->id);
        CLAIM(RULE_LEASES, worker->channel.answer_fd == actions->idled.answer_fd, "another descriptor is watched");
        CLAIM(RULE_BOUNDS, !model->draining, "worker %" PRIu64 " is kept while draining", worker->id);
        CLAIM(RULE_LEASES, worker->idle_serial == 1 || actions->idled.turn != worker->turn,
              "two idle times of worker %" PRIu64 " cannot be told apart", worker->id);
        worker->turn = actions->idled.turn;
    } else if (worker != NULL && worker->state == SIM_WORKER_IDLE) {
        judge_not_kept(model, worker);
        model_worker_owe_end(model, worker);
        model_worker_move(model, worker, SIM_WORKER_ENDING, true);
    }
}
