/* Starts for nobody in particular: one after an invalidation (prewarm), one for a worker that was too old. */
#include "tests/sim/model.h"

#include <inttypes.h>

void model_wish(struct model *model, unsigned home, enum wish wish)
{
    struct model_home *it = &model->homes[home];

    if (model->draining && wish != WISH_NONE)
        return;
    if (wish == WISH_CERTAIN && (model->relaxed || model->plan->lazy_drains || model_is_paused(model, home, false)))
        wish = WISH_MAYBE;
    if (wish == WISH_MAYBE && it->wish == WISH_CERTAIN)
        return;
    model->wish_count += (uint64_t)(wish == WISH_CERTAIN) - (it->wish == WISH_CERTAIN);
    it->wish = wish;
}

/* Whether what was owed when a pause began is owed behind it is not said. */
void model_wish_doubted(struct model *model, unsigned home)
{
    if (model->homes[home].wish == WISH_NONE)
        return;
    model_wish(model, home, WISH_NONE);
    model_wish(model, home, WISH_MAYBE);
}

/* A start that came out: more than there are callers without one.  Whatever it is for, it takes the wish's place. */
bool model_start_is_ahead(struct model *model, struct sim_worker *worker)
{
    struct model_home *home = &model->homes[worker->home];
    bool ahead = home->worker_counts[WORKER_STARTING] > model_waiting_count(home);

    if (ahead) {
        CLAIM(RULE_BOUNDS, home->wish != WISH_NONE, "%" PRIu64 " starts for %" PRIu64 " that wait",
              home->worker_counts[WORKER_STARTING], model_waiting_count(home));
        CLAIM(RULE_BOUNDS, !model->draining, "a start ahead while draining");
        worker->ahead = true;
        home->ahead_count++;
        model->counted[ENGINE_COUNTER_STARTS_AHEAD]++;
    }
    model_wish(model, worker->home, WISH_NONE);
    return ahead;
}

/* It is up, or will not be. */
void model_not_ahead(struct model *model, struct sim_worker *worker)
{
    if (worker->ahead)
        model->homes[worker->home].ahead_count--;
    worker->ahead = false;
}

/* Behind a step: where there is room that no caller wants, what is owed has been started. */
void model_judge_wishes(struct model *model, uint64_t unmet_count)
{
    bool room = unmet_count == 0 && !model->draining && !model->relaxed && model->limbo_count == 0 &&
                model_worker_total(&model->view) < model->settings.workers_max;

    for (unsigned home = 0; home < model->plan->home_count && model->wish_count > 0; home++) {
        const struct model_home *it = &model->homes[home];

        if (it->wish == WISH_CERTAIN && model_live_count(it) >= model->settings.workers_per_home)
            model_wish_doubted(model, home); /* nothing is missing there, for the time being */
        CLAIM(RULE_BOUNDS, !room || it->wish != WISH_CERTAIN || model_is_paused(model, home, false),
              "there is room for a start ahead of %s, which is owed", it->path);
    }
}
