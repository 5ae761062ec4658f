/* What becomes of workers: the states they go through, and what moves them. */
#include "tests/sim/model.h"

#include <inttypes.h>

uint64_t model_live_count(const struct model_home *home)
{
    return home->worker_counts[WORKER_STARTING] + home->worker_counts[WORKER_IDLE] + home->worker_counts[WORKER_LEASED];
}

uint64_t model_worker_total(const struct engine_view *view)
{
    uint64_t total = 0;

    for (int state = 0; state < WORKER_STATE_COUNT; state++)
        total += view->workers[state];
    return total;
}

/* The engine's word for where a worker is; WORKER_STATE_COUNT: it counts it no more. */
static enum worker_state state_seen(const struct sim_worker *worker)
{
    switch (worker->state) {
    case SIM_WORKER_PINNING:
    case SIM_WORKER_LAUNCHING:
        return worker->doomed ? WORKER_ENDING : WORKER_STARTING;
    case SIM_WORKER_IDLE:
        return WORKER_IDLE;
    case SIM_WORKER_LEASED:
        return worker->doomed ? WORKER_DRAINING : WORKER_LEASED;
    case SIM_WORKER_ENDING:
        return WORKER_ENDING;
    case SIM_WORKER_FORGOTTEN:
        break;
    }
    return WORKER_STATE_COUNT;
}

static bool is_live(enum worker_state state)
{
    return state == WORKER_STARTING || state == WORKER_IDLE || state == WORKER_LEASED;
}

/* The only writer of state and doomed, so that the sums are right. */
void model_worker_move(struct model *model, struct sim_worker *worker, enum sim_worker_state next, bool doomed)
{
    struct model_home *home = &model->homes[worker->home];
    enum worker_state before = state_seen(worker), after;

    worker->state = next;
    worker->doomed = doomed;
    after = state_seen(worker);
    if (before < WORKER_STATE_COUNT) {
        model->worker_counts[before]--;
        home->worker_counts[before]--;
    }
    if (model->plan->owned)
        model->uids[plan_owner(model->plan, worker->home)].live_count += (uint64_t)is_live(after) - is_live(before);
    if (after != WORKER_STARTING)
        model_not_ahead(model, worker);
    if (after < WORKER_STATE_COUNT) {
        model->worker_counts[after]++;
        home->worker_counts[after]++;
    } else {
        list_remove(&worker->node);
        model->vague_count -= worker->vague;
        worker->vague = false;
        model_home_left(home);
    }
}

void model_worker_owe_end(struct model *model, struct sim_worker *worker)
{
    if (worker->end_owed)
        return;
    worker->end_owed = true;
    model->owed_end_count++;
}

struct sim_worker *model_worker_find(const struct model *model, uint64_t worker_id)
{
    struct sim_worker *worker = model->buckets[worker_id % MODEL_BUCKET_COUNT];

    while (worker != NULL && worker->id != worker_id)
        worker = worker->next_in_bucket;
    return worker;
}

/* ---- what happens to workers ---- */

void model_worker_pinned(struct model *model)
{
    struct model_step *step = &model->step;
    struct sim_worker *worker = step->worker;
    const struct model_home *home = &model->homes[worker->home];

    if (step->taken) {
        CLAIM(RULE_BOUNDS,
              model->vague_count > 0 || model->plan->lazy_drains || worker->ahead ||
                  home->worker_counts[WORKER_STARTING] <= model_waiting_count(home) + home->ahead_count,
              "worker %" PRIu64 " is started though nobody waits for it", worker->id);
        CLAIM(RULE_FENCES, !worker->doomed, "worker %" PRIu64 " is started though it is not wanted any more",
              worker->id);
        worker->home_fd = step->home_fd;
        model_worker_move(model, worker, SIM_WORKER_LAUNCHING, false);
        return;
    }
    CLAIM(RULE_BOUNDS,
          worker->doomed || worker->vague || model->draining || model->undrained ||
              home->worker_counts[WORKER_STARTING] > model_waiting_count(home),
          "worker %" PRIu64 " was given up though it is waited for", worker->id);
    model_worker_move(model, worker, SIM_WORKER_FORGOTTEN, true);
}

void model_worker_up(struct model *model)
{
    struct sim_worker *worker = model->step.worker;

    worker->up_ns = model->step.now_ns;
    if (worker->state != SIM_WORKER_LAUNCHING || worker->doomed)
        return;
    worker->idle_since_ns = model->step.now_ns;
    worker->idle_serial++;
    model->step.freed = worker;
    model_worker_move(model, worker, SIM_WORKER_IDLE, false);
}

void model_worker_gone(struct model *model)
{
    struct sim_worker *worker = model->step.worker;

    model->step.start_failed = worker->up_ns == 0 && !worker->doomed;
    if (!worker->doomed && worker->state != SIM_WORKER_ENDING)
        model_at_fault(model, worker);
    model->homes[worker->home].troubled |= worker->at_fault;
    model_fault(model, worker);
    worker->told_gone = true;
    if (worker->state == SIM_WORKER_LEASED) {
        model->limbo_count++;
        model_worker_move(model, worker, SIM_WORKER_LEASED, true);
        return;
    }
    if (worker->state == SIM_WORKER_IDLE)
        model_worker_owe_end(model, worker);
    model_worker_move(model, worker, SIM_WORKER_FORGOTTEN, true);
}

void model_worker_spoke(struct model *model)
{
    struct sim_worker *worker = model->step.worker;

    /* Of an idle time before its last lease: that is settled. */
    if (worker->state != SIM_WORKER_IDLE || model->step.turn != worker->turn)
        return;
    model_at_fault(model, worker);
    model_worker_owe_end(model, worker);
    model_worker_move(model, worker, SIM_WORKER_ENDING, true);
}

static void retire(struct model *model, struct sim_worker *worker)
{
    if (worker->doomed)
        return;
    switch (worker->state) {
    case SIM_WORKER_PINNING:
        model_worker_move(model, worker, SIM_WORKER_PINNING, true);
        break;
    case SIM_WORKER_LAUNCHING:
        model_worker_owe_end(model, worker);
        model_worker_move(model, worker, SIM_WORKER_LAUNCHING, true);
        break;
    case SIM_WORKER_IDLE:
        model_worker_owe_end(model, worker);
        model_worker_move(model, worker, SIM_WORKER_ENDING, true);
        break;
    case SIM_WORKER_LEASED:
        model_worker_move(model, worker, SIM_WORKER_LEASED, true);
        break;
    case SIM_WORKER_ENDING:
    case SIM_WORKER_FORGOTTEN:
        break;
    }
}

/* A fence: none of these has another lease.  Says between which numbers the engine's counts of them must be; workers
 * whose start or end is still in the outbox are not known yet. */
void model_workers_retire(struct model *model, unsigned home, struct sim_call *call)
{
    uint64_t unknown_count = model->undrained ? PLAN_HOME_COUNT_MAX : 0;

    LIST_EACH (node, &model->alive) {
        struct sim_worker *worker = LIST_OWNER(node, struct sim_worker, node);

        if (home != CAST_ALL && worker->home != home)
            continue;
        call->retired_min += worker->state == SIM_WORKER_IDLE;
        call->retired_max += worker->state == SIM_WORKER_IDLE || state_seen(worker) == WORKER_STARTING;
        call->draining_min += state_seen(worker) == WORKER_LEASED;
        call->draining_max += worker->state == SIM_WORKER_LEASED;
        retire(model, worker);
    }
    call->retired_max += unknown_count;
    if (unknown_count > 0)
        call->retired_min = 0;
}

/* Drain: idle ones end.  Stop: all of them, and with them what they were asked. */
void model_workers_end(struct model *model, bool stop)
{
    LIST_EACH_SAFE (node, &model->alive) {
        struct sim_worker *worker = LIST_OWNER(node, struct sim_worker, node);

        if (!stop && worker->state != SIM_WORKER_IDLE)
            continue;
        if (worker->flight != NULL) {
            model_flight_remove(model, worker->flight);
            worker->flight = NULL;
        }
        retire(model, worker);
    }
}
