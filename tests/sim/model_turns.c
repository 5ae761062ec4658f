/* Whose turn it is when room under workers_max is scarce, in worlds where each home is one uid's.
 *
 * Each start is judged when its order comes out: no other uid that waits for room may have fewer live workers, nor as
 * many if it has waited since before the last start of this one; within a uid, homes without a worker go first, and
 * none of them twice before another that has waited all the while.  And each worker that comes back from a lease is
 * given up to whoever must not wait for it.
 *
 * In a crowded and calm world there is a bound in time as well, which knows nothing of turns: whoever asks for one
 * thing at a time is served after as many services as there are uids, and the ends and starts between them. */
#include "tests/sim/model.h"

#include <inttypes.h>

static struct model_uid *owner_of(struct model *model, unsigned home)
{
    return &model->uids[plan_owner(model->plan, home)];
}

static unsigned number_of(const struct model *model, const struct model_home *home)
{
    return (unsigned)(home - model->homes);
}

/* It has waited since before that start, and had none itself since. */
static bool waited_since(const struct model_home *other, uint64_t start)
{
    return other->wants_since != 0 && other->wants_since <= start;
}

/* Whether this start passes over a home of another uid, or of the same. */
static bool passes_over(struct model *model, unsigned home, const struct model_uid *uid_before, uint64_t live_before,
                        const struct model_home *other)
{
    const struct model_home *it = &model->homes[home];
    struct model_uid *theirs = owner_of(model, number_of(model, other));

    if (theirs != owner_of(model, home))
        return theirs->live_count < uid_before->live_count ||
               (theirs->live_count == uid_before->live_count && theirs->last_start < uid_before->last_call_start &&
                waited_since(other, uid_before->last_call_start));
    if (model_live_count(other) > 0 || other == it)
        return false;
    return live_before > 0 || waited_since(other, it->last_call_start);
}

/* An order to start a worker for a caller came out. */
void model_turn(struct model *model, const struct sim_worker *worker)
{
    struct model_home *home = &model->homes[worker->home];
    struct model_uid *uid = owner_of(model, worker->home);
    struct model_uid uid_before = *uid;

    model->start_count++;
    uid_before.live_count--; /* it counts already */
    if (!worker->ahead && !model->suspect.suspected)
        LIST_EACH (node, &model->waiting) {
            const struct model_home *other = LIST_OWNER(node, struct model_home, waiting);

            if (model_unmet_count(model, other, true) > 0 &&
                passes_over(model, worker->home, &uid_before, model_live_count(home) - 1, other)) {
                model->suspect =
                    (struct model_suspect){true, worker->home, number_of(model, other), model->start_count};
                break;
            }
        }
    uid->last_start = home->last_start = model->start_count;
    if (!worker->ahead)
        uid->last_call_start = home->last_call_start = model->start_count;
}

/* The other uid, or home, has nothing, or so much less that giving a worker up makes it more even. */
static bool is_needier(uint64_t theirs, uint64_t ours)
{
    return theirs == 0 || theirs + 2 <= ours;
}

static bool yields_to(struct model *model, const struct sim_worker *worker, const struct model_home *other,
                      bool certain)
{
    struct model_uid *ours = owner_of(model, worker->home), *theirs = owner_of(model, number_of(model, other));

    if (model_unmet_count(model, other, certain) == 0)
        return false;
    if (theirs != ours)
        return is_needier(theirs->live_count, ours->live_count);
    /* Of one uid's homes the next in turn is asked: surely one that has none, if there is any. */
    return certain ? model_live_count(other) == 0
                   : is_needier(model_live_count(other), model_live_count(&model->homes[worker->home]));
}

/* Whether giving it up, though its home has callers, is explained by somebody who waits for room. */
bool model_may_yield(struct model *model, const struct sim_worker *worker)
{
    LIST_EACH (node, &model->waiting) {
        const struct model_home *other = LIST_OWNER(node, struct model_home, waiting);

        if (other == &model->homes[worker->home])
            continue;
        if (!model->plan->owned || yields_to(model, worker, other, false))
            return true;
    }
    return false;
}

static uint64_t expendable_count(const struct model *model)
{
    uint64_t count = model->worker_counts[WORKER_IDLE];

    LIST_EACH (node, &model->waiting)
        count -= LIST_OWNER(node, struct model_home, waiting)->worker_counts[WORKER_IDLE];
    return count;
}

/* It came back from a lease and has another, while others need room more than its home does, and none is coming. */
static void judge_no_yield(struct model *model)
{
    const struct sim_worker *worker = model->step.freed;
    uint64_t needy_count = 0, coming = model->worker_counts[WORKER_ENDING] + model->worker_counts[WORKER_DRAINING];

    if (worker == NULL || worker->state != SIM_WORKER_LEASED || model->step.kind != STEP_RETURN ||
        expendable_count(model) > 0 || model_worker_total(&model->view) < model->settings.workers_max)
        return;
    LIST_EACH (node, &model->waiting)
        needy_count += yields_to(model, worker, LIST_OWNER(node, struct model_home, waiting), true);
    CLAIM(RULE_TURNS, needy_count == 0 || coming > 0,
          "worker %" PRIu64 " has another lease, while %" PRIu64 " homes with less wait for room", worker->id,
          needy_count);
}

/* Behind a step. */
void model_judge_turns(struct model *model)
{
    const struct model_suspect suspect = model->suspect;
    const struct model_home *other = &model->homes[suspect.passed_over];

    model->suspect.suspected = false;
    LIST_EACH (node, &model->waiting) {
        struct model_home *home = LIST_OWNER(node, struct model_home, waiting);

        if (model_unmet_count(model, home, true) == 0 || model_live_count(home) > 0)
            home->wants_since = 0;
        else if (home->wants_since == 0)
            home->wants_since = model->start_count + 1;
    }
    if (!model->plan->owned || model->relaxed || model->draining)
        return;
    CLAIM(RULE_TURNS,
          !suspect.suspected || model_unmet_count(model, other, true) == 0 || other->last_start >= suspect.start,
          "%s was given a worker, it was the turn of %s", model->homes[suspect.home].path, other->path);
    judge_no_yield(model);
}

/* How long a start takes at most: an order waits for those before it, as long as the slowest. */
static uint64_t change_ns_max(const struct plan *plan)
{
    return plan->end_grace.last_ns + plan->pin.last_ns + plan->spawn.last_ns + 3 * plan->order_delay.last_ns +
           6 * plan->grain_ns;
}

/* A lease was given to this flight. */
void model_judge_patience(const struct model *model, const struct model_flight *flight)
{
    const struct plan *plan = model->plan;
    uint64_t bound_ns = (plan->uid_count + 1) * (plan->service.last_ns + plan->grain_ns + change_ns_max(plan));
    uint64_t waited_ns = model->step.now_ns - flight->admitted_ns;

    if (!plan->crowded || !plan->calm || plan->invalidate_chance > 0 || flight->uid == plan_crowd(plan) ||
        model->settings.workers_max < plan->uid_count || model->draining || plan->lazy_drains)
        return;
    CLAIM(RULE_TURNS, waited_ns <= bound_ns,
          "uid %u, which asks for little, waited for %" PRIu64 " ns, at most %" PRIu64, flight->uid, waited_ns,
          bound_ns);
}
