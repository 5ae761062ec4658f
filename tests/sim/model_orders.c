/* Orders to the custodian, and what must be true once all of them are out: nobody waits without need. */
#include "tests/sim/model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* How many workers a home may have: reserves once somebody has waited for long enough.  certain: whoever is first in
 * turn has; else anybody may have. */
uint64_t model_room_count(const struct model *model, const struct model_home *home, bool certain)
{
    const struct engine_settings *settings = certain ? &model->settings : &model->loosest;
    uint64_t wait_ns = certain ? settings->reserve_wait_ns : model->tightest.reserve_wait_ns;
    bool all = home->flights.count > 0, any = false;

    LIST_EACH (node, &home->flights) {
        const struct model_flight *flight = LIST_OWNER(node, struct model_flight, of_home);
        bool long_enough = model->step.now_ns - flight->arrived_ns >= wait_ns;

        if (flight->leased)
            continue;
        any |= long_enough;
        if (flight->ahead || node == home->flights.first || flight->waiting.previous == NULL)
            all &= long_enough;
    }
    return settings->workers_per_home +
           (model_waiting_count(home) > 0 && (certain ? all : any) ? settings->reserve_per_home : 0);
}

/* Its pause is over now, or was over before a jump: the engine acts on that when it is told the time. */
static bool may_pause_still(const struct model *model, const struct model_home *home)
{
    return home->paused_ns.most == model->step.now_ns || (model->step.overdue && home->paused_ns.most != 0);
}

/* Starts that a home's callers wait for, and that only the want of room in all delays. */
uint64_t model_unmet_count(const struct model *model, const struct model_home *home, bool certain)
{
    uint64_t waiting_count = model_waiting_count(home), starting_count = home->worker_counts[WORKER_STARTING];
    uint64_t live_count = model_live_count(home), most = model_room_count(model, home, certain);
    uint64_t wanted = waiting_count > starting_count ? waiting_count - starting_count : 0;
    uint64_t room = most > live_count ? most - live_count : 0;

    if (model_is_paused(model, (unsigned)(home - model->homes), !certain) || (certain && may_pause_still(model, home)))
        return 0;
    return wanted < room ? wanted : room;
}

static void judge_start(struct model *model, struct sim_worker *worker, uint32_t uid)
{
    const struct model_home *home = &model->homes[worker->home];
    bool for_somebody = false;

    CLAIM(RULE_BOUNDS, !model->stopped || worker->vague, "a start after the stop");
    CLAIM(RULE_BOUNDS,
          model_live_count(home) <= model_room_count(model, home, false) || model->vague_count > 0 ||
              (model->plan->lazy_drains &&
               model_live_count(home) <= model->loosest.workers_per_home + model->loosest.reserve_per_home),
          "%" PRIu64 " workers of one home", model_live_count(home));
    if (model->undrained || model->plan->lazy_drains)
        return;
    CLAIM(RULE_PAUSES, !model_is_paused(model, worker->home, true), "a start of %s, which pauses", home->path);
    model->counted[ENGINE_COUNTER_STARTS_RESERVE] += model_live_count(home) > model->settings.workers_per_home;
    if (model_start_is_ahead(model, worker))
        return;
    LIST_EACH (node, &home->flights) {
        const struct model_flight *flight = LIST_OWNER(node, struct model_flight, of_home);

        LIST_EACH (caller, &flight->callers)
            for_somebody |= !flight->leased && LIST_OWNER(caller, struct sim_call, node)->uid == uid;
    }
    CLAIM(RULE_BOUNDS, for_somebody, "a start for uid %" PRIu32 ", of whom nobody waits", uid);
}

static struct sim_worker *order_pin(struct model *model, const struct engine_order *order)
{
    struct sim_worker *worker = calloc(1, sizeof *worker);
    struct sim_worker **bucket = &model->buckets[order->worker_id % MODEL_BUCKET_COUNT];

    if (worker == NULL) {
        perror("sim");
        exit(70);
    }
    CLAIM(RULE_LEASES, order->worker_id != 0 && model_worker_find(model, order->worker_id) == NULL,
          "worker id %" PRIu64 " is used again", order->worker_id);
    *worker = (struct sim_worker){
        .id = order->worker_id,
        .home = model_home_number(model, order->home),
        .state = SIM_WORKER_FORGOTTEN,
        .home_fd = -1,
        .channel = {-1, -1},
        .started_ns = model->step.now_ns,
        .born_serial = model->undrained ? model->undrained_serial : model->fence_serial,
        .next_in_bucket = *bucket,
        .next_of_all = model->workers,
    };
    *bucket = model->workers = worker;
    CLAIM(RULE_KEYS, worker->home != CAST_ALL, "a start for %s, which is no home of anybody's", order->home);
    worker->fence = model_fence(model, worker->home);
    list_push_back(&model->alive, &worker->node);
    worker->vague = worker->born_serial != model->fence_serial;
    model->vague_count += worker->vague;
    model_worker_move(model, worker, SIM_WORKER_PINNING, false);
    judge_start(model, worker, order->uid);
    if (model->plan->owned)
        model_turn(model, worker);
    model->counted[ENGINE_COUNTER_STARTS]++;
    return worker;
}

/* Ended to make room: some home waits, its own does not, and it is the one that has been idle longest. */
bool model_makes_room(const struct model *model, const struct sim_worker *worker)
{
    /* A retry that took another in the end, since there was no room for a fresh one all the same. */
    bool retries = model->view.counters[ENGINE_COUNTER_RETRIED] > model->before.counters[ENGINE_COUNTER_RETRIED];

    if (model_waiting_count(&model->homes[worker->home]) > 0)
        return false;
    if (model->waiting.count == 0)
        return retries && model_worker_total(&model->view) >= model->settings.workers_max;
    LIST_EACH (node, &model->alive) {
        const struct sim_worker *other = LIST_OWNER(node, struct sim_worker, node);

        if (other->state == SIM_WORKER_IDLE && other->idle_since_ns < worker->idle_since_ns &&
            model_waiting_count(&model->homes[other->home]) == 0)
            return false;
    }
    return true;
}

/* Why a worker that could be used is ended: age, idleness, a reserve's, or room for a home that waits. */
static void judge_end(struct model *model, const struct sim_worker *worker)
{
    const struct model_home *home = &model->homes[worker->home];
    uint64_t now_ns = model->step.now_ns, age_ns = now_ns - worker->started_ns;
    bool idled_out = now_ns - worker->idle_since_ns >= model->tightest.idle_ns_max;
    bool old = age_ns >= model->tightest.lifetime_ns - model->tightest.lifetime_ns / 10;
    bool used_up = worker->lease_count >= model->tightest.requests_max;
    bool spare = model_waiting_count(home) == 0 && model_live_count(home) > model->tightest.workers_per_home;
    bool makes_room = model_makes_room(model, worker), yields;

    if (model->draining || worker->vague || model->plan->lazy_drains)
        return;
    if (worker->state == SIM_WORKER_PINNING || worker->state == SIM_WORKER_LAUNCHING) {
        CLAIM(RULE_BOUNDS, home->worker_counts[WORKER_STARTING] > model_waiting_count(home),
              "the start of worker %" PRIu64 " was given up though it is waited for", worker->id);
        return;
    }
    CLAIM(RULE_BOUNDS, worker->state == SIM_WORKER_IDLE, "worker %" PRIu64 " was ended in state %d", worker->id,
          worker->state);
    /* It may have been idle beside a caller who waits for a fresh one; another home may need it more than the next. */
    yields = model->view.counters[ENGINE_COUNTER_YIELDED] > model->before.counters[ENGINE_COUNTER_YIELDED] &&
             model_may_yield(model, worker);
    CLAIM(RULE_BOUNDS, idled_out || old || used_up || spare || makes_room || yields,
          "idle worker %" PRIu64 " was ended without a reason", worker->id);
    if ((old || used_up) && worker->lease_count > 0)
        model_wish(model, worker->home, idled_out || spare || makes_room || yields ? WISH_MAYBE : WISH_CERTAIN);
}

static void order_end(struct model *model, struct sim_worker *worker, const struct engine_order *order)
{
    bool has_channel = order->channel.request_fd != -1 || order->channel.answer_fd != -1;

    CLAIM(RULE_LEASES, worker->lease == NULL, "worker %" PRIu64 " was ended under its lease", worker->id);
    CLAIM(RULE_LEASES, worker->end_count == 0 || (has_channel && !worker->closed), "worker %" PRIu64 " was ended twice",
          worker->id);
    if (has_channel)
        CLAIM(RULE_LEASES,
              order->channel.request_fd == worker->channel.request_fd &&
                  order->channel.answer_fd == worker->channel.answer_fd,
              "worker %" PRIu64 " was ended with another's channel", worker->id);
    else
        CLAIM(RULE_LEASES, worker->up_ns == 0 || model->plan->lazy_drains, "the channel of worker %" PRIu64 " is lost",
              worker->id);
    CLAIM(RULE_LEASES, order->gone == worker->told_gone || model->plan->lazy_drains,
          "worker %" PRIu64 " is ended as %s", worker->id, order->gone ? "gone" : "there");
    worker->end_count++;
    worker->closed |= has_channel;
    if (worker->end_owed) {
        worker->end_owed = false;
        model->owed_end_count--;
        return;
    }
    if (worker->doomed || worker->end_count > 1)
        return;
    judge_end(model, worker);
    model_worker_move(model, worker, worker->state == SIM_WORKER_IDLE ? SIM_WORKER_ENDING : worker->state, true);
}

struct sim_worker *model_order(struct model *model, const struct engine_order *order)
{
    struct sim_worker *worker;

    if (order->kind == ENGINE_ORDER_PIN)
        return order_pin(model, order);
    worker = model_worker_find(model, order->worker_id);
    CLAIM(RULE_LEASES, worker != NULL, "an order about worker %" PRIu64 ", which nobody started", order->worker_id);
    switch (order->kind) {
    case ENGINE_ORDER_LAUNCH:
        CLAIM(RULE_LEASES, worker->home_fd != -1 && order->home_fd == worker->home_fd,
              "worker %" PRIu64 " is launched in descriptor %d", worker->id, order->home_fd);
        worker->home_fd = -1;
        worker->launched = true;
        break;
    case ENGINE_ORDER_KILL:
        CLAIM(RULE_LEASES, (worker->lease != NULL && worker->doomed) || model->plan->lazy_drains,
              "worker %" PRIu64 " is killed in state %d", worker->id, worker->state);
        break;
    case ENGINE_ORDER_END:
        order_end(model, worker, order);
        break;
    case ENGINE_ORDER_PIN:
        break;
    }
    return worker;
}

/* ---- behind a step, when all orders are out ---- */

static void judge_counts(const struct model *model)
{
    const uint64_t *seen = model->view.workers, *due = model->worker_counts;
    uint64_t seen_loose = seen[WORKER_LEASED] + seen[WORKER_DRAINING] + seen[WORKER_ENDING];
    uint64_t due_loose = due[WORKER_LEASED] + due[WORKER_DRAINING] + due[WORKER_ENDING];

    CLAIM(RULE_COUNTERS, seen[WORKER_IDLE] == due[WORKER_IDLE], "%" PRIu64 " idle workers, the model has %" PRIu64,
          seen[WORKER_IDLE], due[WORKER_IDLE]);
    CLAIM(RULE_COUNTERS, seen[WORKER_LEASED] == due[WORKER_LEASED],
          "%" PRIu64 " leased workers, the model has %" PRIu64, seen[WORKER_LEASED], due[WORKER_LEASED]);
    if (model->vague_count > 0)
        return;
    CLAIM(RULE_COUNTERS, seen[WORKER_STARTING] == due[WORKER_STARTING],
          "%" PRIu64 " starting workers, the model has %" PRIu64, seen[WORKER_STARTING], due[WORKER_STARTING]);
    CLAIM(RULE_COUNTERS, seen_loose == due_loose, "%" PRIu64 " leased, draining or ending, the model has %" PRIu64,
          seen_loose, due_loose);
    if (model->limbo_count > 0 || model->stopped)
        return;
    CLAIM(RULE_COUNTERS, seen[WORKER_DRAINING] == due[WORKER_DRAINING],
          "%" PRIu64 " draining workers, the model has %" PRIu64, seen[WORKER_DRAINING], due[WORKER_DRAINING]);
}

/* Whoever waits beside an idle worker waits for a fresh one, and one is coming. */
static bool only_fresh_will_do(const struct model *model, const struct model_home *home)
{
    if (home->worker_counts[WORKER_STARTING] + model->worker_counts[WORKER_ENDING] == 0 && !model->plan->lazy_drains)
        return false; /* where orders come late, one that makes room may be out of sight */
    LIST_EACH (node, &home->ahead)
        if (LIST_OWNER(node, struct model_flight, waiting)->freshness == FRESHNESS_NO_MATTER)
            return false;
    return home->queue.count == 0;
}

/* No fresh worker is on the way: whoever waited for one may take any from now on. */
static void give_up_freshness(struct model *model)
{
    LIST_EACH (node, &model->waiting) {
        struct model_home *home = LIST_OWNER(node, struct model_home, waiting);

        LIST_EACH (ahead, &home->ahead) {
            struct model_flight *flight = LIST_OWNER(ahead, struct model_flight, waiting);

            if (home->worker_counts[WORKER_STARTING] == 0 && flight->freshness == FRESHNESS_ASKED)
                flight->freshness = FRESHNESS_OPEN;
        }
    }
}

/* Nobody waits beside a free worker, or beside room for one; where room is made by ending an idle worker, it is made.
 */
static uint64_t judge_no_needless_wait(const struct model *model)
{
    uint64_t unmet_count = 0;
    const uint64_t *counts = model->worker_counts;
    uint64_t expendable_count = counts[WORKER_IDLE]; /* of homes with nobody waiting */

    LIST_EACH (node, &model->waiting) {
        const struct model_home *home = LIST_OWNER(node, struct model_home, waiting);
        CLAIM(RULE_BOUNDS, home->worker_counts[WORKER_IDLE] == 0 || only_fresh_will_do(model, home),
              "%" PRIu64 " wait in %s beside an idle worker", model_waiting_count(home), home->path);
        unmet_count += model_unmet_count(model, home, true);
        expendable_count -= home->worker_counts[WORKER_IDLE];
    }
    /* What is due at this very moment is done when the engine is told the time, which is next. */
    if (unmet_count == 0 || model->relaxed || engine_next_ns(model->engine) <= model->step.now_ns)
        return unmet_count;
    CLAIM(RULE_BOUNDS, model_worker_total(&model->view) >= model->settings.workers_max,
          "%" PRIu64 " wait for a start, and there is room for it", unmet_count);
    CLAIM(RULE_BOUNDS, expendable_count == 0 || counts[WORKER_ENDING] >= unmet_count || model->limbo_count > 0,
          "%" PRIu64 " wait for a start, %" PRIu64 " idle workers are not ended for them", unmet_count,
          expendable_count);
    return unmet_count;
}

/* A reserve is ended as soon as nobody needs it. */
static void judge_reserves(const struct model *model)
{
    const struct sim_worker *worker = model->step.worker;
    const struct model_home *home;

    if (worker == NULL || model->relaxed || model->limbo_count > 0)
        return;
    home = &model->homes[worker->home];
    CLAIM(RULE_BOUNDS,
          model_waiting_count(home) > 0 || home->worker_counts[WORKER_IDLE] == 0 ||
              model_live_count(home) <= model->settings.workers_per_home,
          "%" PRIu64 " workers of %s, and nobody waits", model_live_count(home), home->path);
}

/* The arrival of whoever is first in turn; where some are run again, that may be any of them. */
static uint64_t last_head_ns(const struct model_home *home)
{
    uint64_t last_ns =
        home->queue.count == 0 ? 0 : LIST_OWNER(home->queue.first, struct model_flight, waiting)->arrived_ns;

    LIST_EACH (node, &home->ahead)
        if (LIST_OWNER(node, struct model_flight, waiting)->arrived_ns > last_ns)
            last_ns = LIST_OWNER(node, struct model_flight, waiting)->arrived_ns;
    return last_ns;
}

/* Where time alone brings a start, the engine has asked to be told when. */
static void judge_alarm(const struct model *model)
{
    uint64_t now_ns = model->step.now_ns, next_ns = engine_next_ns(model->engine);
    bool room = model_worker_total(&model->view) < model->settings.workers_max;

    if (model->relaxed || model->draining || !room)
        return;
    LIST_EACH (node, &model->waiting) {
        const struct model_home *home = LIST_OWNER(node, struct model_home, waiting);
        uint64_t live_count = model_live_count(home), waiting_count = model_waiting_count(home);
        uint64_t most = model->settings.workers_per_home, due_ns = UINT64_MAX;

        if (waiting_count <= home->worker_counts[WORKER_STARTING])
            continue;
        if (live_count < most && now_ns < home->paused_ns.least)
            due_ns = home->paused_ns.least == home->paused_ns.most ? home->paused_ns.most : UINT64_MAX;
        else if (live_count >= most && live_count < most + model->settings.reserve_per_home &&
                 home->paused_ns.most <= now_ns)
            due_ns = last_head_ns(home) + model->settings.reserve_wait_ns;
        CLAIM(RULE_TIME, due_ns <= now_ns || next_ns <= due_ns,
              "a start of %s is due in %" PRIu64 " ns, and nobody is called", home->path, due_ns - now_ns);
    }
}

void model_settle_workers(struct model *model)
{
    uint64_t unmet_count;

    /* A start that is taken back from the outbox is seen by nobody. */
    CLAIM(RULE_COUNTERS,
          model->view.counters[ENGINE_COUNTER_STARTS] == model->counted[ENGINE_COUNTER_STARTS] ||
              model->plan->lazy_drains,
          "%" PRIu64 " starts, %" PRIu64 " were ordered", model->view.counters[ENGINE_COUNTER_STARTS],
          model->counted[ENGINE_COUNTER_STARTS]);
    CLAIM(RULE_LEASES, model->owed_end_count == 0, "%" PRIu64 " workers must be ended and are not",
          model->owed_end_count);
    judge_counts(model);
    if (model->vague_count > 0)
        return;
    unmet_count = judge_no_needless_wait(model);
    if (!model->plan->lazy_drains) {
        model_judge_wishes(model, unmet_count);
        model_judge_turns(model);
        model_judge_pauses(model);
        judge_reserves(model);
        judge_alarm(model);
    }
    give_up_freshness(model);
    if (model->step.kind == STEP_PROBE && model->step.boarded_anew)
        model_judge_admission(model);
}
