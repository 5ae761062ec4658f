/* Homes whose workers only fail: two in a row that end before they answer begin a pause between starts. */
#include "tests/sim/model.h"

#include "server/base/clock.h"

#include <inttypes.h>

#define PAUSE_NS_FIRST (100 * NS_PER_MS)
#define PAUSE_NS_MAX   (30 * NS_PER_S)
#define MEMORY_NS      (60 * NS_PER_S)

static uint64_t most(uint64_t one, uint64_t other)
{
    return one > other ? one : other;
}

static uint64_t pause_ns(uint64_t fault_count)
{
    uint64_t pause = PAUSE_NS_FIRST;

    if (fault_count < 2)
        return 0;
    while (--fault_count > 1 && pause < PAUSE_NS_MAX)
        pause *= 2;
    return pause < PAUSE_NS_MAX ? pause : PAUSE_NS_MAX;
}

bool model_is_paused(const struct model *model, unsigned home, bool certain)
{
    const struct model_range *paused_ns = &model->homes[home].paused_ns;

    return model->step.now_ns < (certain ? paused_ns->least : paused_ns->most);
}

/* Long ago: what was counted is forgotten when the engine is told the time.  Of a single fault that is not said. */
static void forget(const struct model *model, struct model_home *home)
{
    uint64_t now_ns = model->step.now_ns;

    if (now_ns >= most(home->paused_ns.least, home->fault_ns) + MEMORY_NS)
        home->faults.least = home->paused_ns.least = 0;
    if (home->paused_ns.most != 0 && !model->step.overdue && now_ns > home->paused_ns.most + MEMORY_NS)
        home->faults.most = home->paused_ns.most = 0;
}

/* Whether a pause began says whether there were two. */
static void count_settled(struct model *model, unsigned number, bool paused, bool certain)
{
    struct model_home *home = &model->homes[number];
    uint64_t now_ns = model->step.now_ns;

    home->fault_ns = now_ns;
    if (!paused && (certain || home->faults.most == 0)) {
        home->faults = (struct model_range){certain, 1};
        home->paused_ns = (struct model_range){0, 0};
    } else if (paused) {
        home->faults.most = home->faults.most == 0 ? 2 : home->faults.most + 1;
        home->faults.least += certain;
        if (home->faults.least < 2)
            home->faults.least = 2;
        home->paused_ns.least = now_ns + pause_ns(home->faults.least);
        home->paused_ns.most = now_ns + pause_ns(home->faults.most);
        model_wish_doubted(model, number);
    }
}

/* It was reported gone: if it never answered and that was its own doing, it counts. */
void model_fault(struct model *model, const struct sim_worker *worker)
{
    struct model_home *home = &model->homes[worker->home];
    struct fence fence = model_fence(model, worker->home);
    uint64_t seen = model->view.counters[ENGINE_COUNTER_PAUSES] - model->before.counters[ENGINE_COUNTER_PAUSES];
    bool may = worker->at_fault && worker->fault_row == home->fault_row && !worker->has_answered &&
               model->step.blame == ENGINE_BLAME_WORKER;
    bool of_today = worker->fence.epoch == fence.epoch && worker->fence.generation == fence.generation;
    bool certain = of_today && !model->plan->lazy_drains;

    if (may) {
        forget(model, home);
        CLAIM(RULE_PAUSES, seen == 1 || !certain || home->faults.least == 0,
              "%" PRIu64 " workers failed in a row, and no pause", home->faults.least + 1);
        CLAIM(RULE_PAUSES, seen == 0 || home->faults.most >= 1 || !certain || model->stopped,
              "a pause after one worker that failed");
        count_settled(model, worker->home, seen > 0, certain);
        return;
    }
    CLAIM(RULE_PAUSES, seen == 0 || model->stopped, "worker %" PRIu64 " began a pause, and was not at fault",
          worker->id);
}

/* One of its workers answered, or it was invalidated. */
void model_faults_forgiven(struct model *model, unsigned home)
{
    model->homes[home].faults = model->homes[home].paused_ns = (struct model_range){0, 0};
    model->homes[home].fault_row++;
}

/* What it will count for when it is reported gone, unless that is forgiven before. */
void model_at_fault(struct model *model, struct sim_worker *worker)
{
    if (worker->at_fault)
        return;
    worker->at_fault = true;
    worker->fault_row = model->homes[worker->home].fault_row;
}

/* There is a pause, and no worker but one that was given up in this step. */
static bool wants_for_workers(const struct model *model, unsigned home)
{
    const struct sim_worker *freed = model->step.freed;
    uint64_t live_count = model_live_count(&model->homes[home]);

    return live_count == 0 || model->plan->lazy_drains ||
           (live_count == 1 && freed != NULL && freed->home == home && freed->state == SIM_WORKER_IDLE);
}

/* UNAVAILABLE, because it would need a start: told when that may be. */
bool model_pause_is_allowed(const struct model *model, const struct sim_call *call)
{
    const struct model_home *home;
    uint64_t retry_after_ms = call->engine.result.status.retry_after_ms;

    if (call->kind != ENGINE_CALL_PROBE || !model_is_paused(model, call->home, false) ||
        !wants_for_workers(model, call->home) || (call->flight != NULL && call->flight->leased))
        return false;
    home = &model->homes[call->home];
    return retry_after_ms >= 1 && retry_after_ms * NS_PER_MS < home->paused_ns.most - model->step.now_ns + NS_PER_MS &&
           (home->paused_ns.least <= model->step.now_ns ||
            (retry_after_ms + 1) * NS_PER_MS > home->paused_ns.least - model->step.now_ns);
}

/* Behind a step: nobody waits for a start that is not to be. */
void model_judge_pauses(const struct model *model)
{
    LIST_EACH (node, &model->waiting) {
        const struct model_home *home = LIST_OWNER(node, struct model_home, waiting);

        CLAIM(RULE_PAUSES, model->step.now_ns >= home->paused_ns.least || model_live_count(home) > 0,
              "%" PRIu64 " wait in %s, which has no worker and may start none", model_waiting_count(home), home->path);
    }
}
