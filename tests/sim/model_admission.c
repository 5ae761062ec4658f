/* Who may be refused for want of room, and who must be: the queue's bounds, a uid's share of it, the wait that would
 * outlast the deadline, and the homes that are remembered.
 *
 * The engine's counters say for which of them it refused; each is judged by its own rule.  Which of the waiting have a
 * start of their own, and so take no place in the queue, is known only between two numbers. */
#include "tests/sim/model.h"

#include "server/base/clock.h"

#include <inttypes.h>
#include <string.h>

enum { HOME_SHARES = 16 };

static bool is_privileged(const struct model *model, uint32_t uid)
{
    return uid == 0 || uid == model->settings.daemon_uid;
}

static uint64_t seen_of(const struct model *model, enum engine_counter counter)
{
    return model->view.counters[counter] - model->before.counters[counter];
}

/* ---- homes remembered ---- */

/* Something is known of it, or may be: it is not forgotten for another one's sake. */
static bool may_be_needed(const struct model *model, const struct model_home *home)
{
    if (home->known == HOME_UNKNOWN)
        return false;
    if (home->generation > 1 || home->flights.count > 0 || home->entries.count > 0 || home->paused_ns.most > 0 ||
        home->troubled || home->wish != WISH_NONE || model->plan->lazy_drains || model->epoch != model->first_epoch)
        return true;
    for (int state = 0; state < WORKER_STATE_COUNT; state++)
        if (home->worker_counts[state] > 0)
            return true;
    for (unsigned provider = 0; provider < PLAN_PROVIDER_COUNT_MAX; provider++)
        for (unsigned key = 0; key < PLAN_KEY_COUNT_MAX; key++)
            if (home->failure[provider][key].codes != 0)
                return true;
    return false;
}

static uint64_t home_share(const struct model *model)
{
    uint64_t share = model->settings.homes_max / HOME_SHARES;

    return share > 1 ? share : 1;
}

static bool home_may_be_refused(const struct model *model, const struct sim_call *call, bool for_share)
{
    uint64_t count = 0;

    if (model_is_known(model, call->home) || (for_share && is_privileged(model, call->uid)))
        return false;
    for (unsigned home = 0; home < model->plan->home_count; home++)
        count += may_be_needed(model, &model->homes[home]) &&
                 (!for_share || (model->homes[home].knowers & 1u << call->uid) != 0);
    return count >= (for_share ? home_share(model) : model->settings.homes_max);
}

/* A call of this uid's was taken in: so the home is known; it is this uid that made it known, unless it was before. */
void model_home_met(struct model *model, unsigned home, uint32_t uid)
{
    struct model_home *it = &model->homes[home];

    if (it->known == HOME_UNKNOWN)
        it->knowers = 0;
    if (!model_is_known(model, home))
        it->knowers |= 1u << uid;
}

void model_judge_home_share(const struct model *model, uint32_t uid)
{
    uint64_t count = 0;

    if (is_privileged(model, uid) || model->settings.homes_max >= (uint64_t)HOME_SHARES * model->plan->home_count)
        return;
    for (unsigned home = 0; home < model->plan->home_count; home++)
        count += model_is_known(model, home) && model->homes[home].knowers == 1u << uid;
    CLAIM(RULE_BOUNDS, count <= home_share(model), "uid %u has %" PRIu64 " homes remembered, its share is %" PRIu64,
          uid, count, home_share(model));
}

/* ---- queues ---- */

/* Flights that wait: at most all of them, at least those for which no worker is being started. */
static struct model_range waiting_range(const struct model *model, uint32_t uid, bool of_uid)
{
    struct model_range range = {0, 0};

    LIST_EACH (node, &model->waiting) {
        const struct model_home *home = LIST_OWNER(node, struct model_home, waiting);
        uint64_t count = 0, starting_count = home->worker_counts[WORKER_STARTING];

        LIST_EACH (flight, &home->flights) {
            const struct model_flight *it = LIST_OWNER(flight, struct model_flight, of_home);

            count += !it->leased && (it->uid == uid) == of_uid;
        }
        range.most += count;
        range.least += count > starting_count ? count - starting_count : 0;
    }
    return range;
}

/* What the others leave of queue_max, half of it, rounded up. */
static uint64_t share_of(uint64_t queue_max, uint64_t others_count)
{
    return others_count >= queue_max ? 0 : (queue_max - others_count + 1) / 2;
}

/* It must wait: there is no worker to be had or started for it. */
static bool may_have_to_wait(const struct model *model, const struct model_home *home)
{
    if (model->undrained || model->relaxed || model->vague_count + model->limbo_count > 0)
        return true;
    return home->worker_counts[WORKER_IDLE] == 0 &&
           (model_live_count(home) >= model->settings.workers_per_home ||
            model_worker_total(&model->before) >= model->settings.workers_max ||
            model->step.now_ns <= home->paused_ns.most); /* to the moment at which the engine is told the time */
}

/* Between which numbers the wait of one with so many ahead of it is predicted; 0: nothing is known. */
static struct model_range predicted_ns(const struct model_home *home, uint64_t place)
{
    uint64_t live_count = model_live_count(home);

    if (live_count == 0)
        return (struct model_range){0, 0};
    return (struct model_range){
        home->service_doubted ? 0 : home->service_ns.least * (place + 1) / live_count,
        home->service_ns.most * (place + 1) / live_count,
    };
}

static bool wait_may_refuse(const struct model *model, const struct sim_call *call)
{
    const struct model_home *home = &model->homes[call->home];
    struct model_range wait_ns = predicted_ns(home, model_waiting_count(home));
    uint64_t retry_after_ms = call->engine.result.status.retry_after_ms;

    if (wait_ns.most == 0 || model->step.now_ns + wait_ns.most <= call->deadline_ns)
        return model->plan->lazy_drains;
    CLAIM(RULE_CALLS,
          model->plan->lazy_drains || (retry_after_ms >= 1 && retry_after_ms <= wait_ns.most / NS_PER_MS + 1 &&
                                       retry_after_ms + 1 >= wait_ns.least / NS_PER_MS),
          "call %" PRIu64 " is told to come again in %" PRIu64 " ms, the wait is %" PRIu64 " to %" PRIu64 " ns",
          call->id, retry_after_ms, wait_ns.least, wait_ns.most);
    return strpbrk(call->engine.result.status.message, "0123456789") != NULL;
}

/* Queue full: only of those that must wait. */
static bool queue_may_refuse(const struct model *model, const struct sim_call *call)
{
    const struct model_home *home = &model->homes[call->home];
    struct model_range own = waiting_range(model, call->uid, true), others = waiting_range(model, call->uid, false);

    if (model_joinable(model, call) || !may_have_to_wait(model, home))
        return false;
    if (seen_of(model, ENGINE_COUNTER_REFUSED_WAIT) > 0)
        return wait_may_refuse(model, call);
    CLAIM(RULE_CALLS, call->engine.result.status.retry_after_ms > 0, "a refusal that does not say when to come again");
    if (seen_of(model, ENGINE_COUNTER_REFUSED_QUEUE_PER_HOME) > 0)
        return model_waiting_count(home) >= model->settings.queue_per_home;
    if (seen_of(model, ENGINE_COUNTER_REFUSED_QUEUE_MAX) > 0)
        return own.most + others.most >= model->settings.queue_max;
    return seen_of(model, ENGINE_COUNTER_REFUSED_QUEUE_SHARE) > 0 && !is_privileged(model, call->uid) &&
           own.most >= share_of(model->settings.queue_max, others.most);
}

/* "With the engine unchanged": but for counters, for a home it may have got to know, and for answers of an older epoch
 * that made room for that one. */
static void judge_unchanged(const struct model *model)
{
    struct engine_view before = model->before, after = model->view;

    before.homes = after.homes = 0;
    if (after.cache_entries < before.cache_entries && after.cache_bytes < before.cache_bytes) {
        before.cache_entries = after.cache_entries;
        before.cache_bytes = after.cache_bytes;
    }
    memset(before.counters, 0, sizeof before.counters);
    memset(after.counters, 0, sizeof after.counters);
    CLAIM(RULE_MEMORY, memcmp(&before, &after, sizeof before) == 0, "a refusal for want of memory changed the engine");
}

bool model_exhausted_is_allowed(struct model *model, const struct sim_call *call)
{
    if (model->step.call != call || model->step.kind == STEP_LEFT)
        return false;
    if (model->watched.failed && seen_of(model, ENGINE_COUNTER_REFUSED_MEMORY) > 0) {
        judge_unchanged(model);
        return true;
    }
    if (model->step.kind == STEP_PARKED)
        return false;
    if (seen_of(model, ENGINE_COUNTER_REFUSED_HOMES_SHARE) > 0)
        return home_may_be_refused(model, call, true);
    if (seen_of(model, ENGINE_COUNTER_REFUSED_HOMES_MAX) > 0)
        return home_may_be_refused(model, call, false);
    /* Behind a jump those whose time is up take their places until the engine has looked at the time. */
    return call->kind == ENGINE_CALL_PROBE && (queue_may_refuse(model, call) || model->step.overdue);
}

/* ---- what a lease takes in this home: a moving average, an eighth each ---- */

static uint64_t averaged(uint64_t average_ns, uint64_t service_ns)
{
    return average_ns == 0 ? service_ns : average_ns - average_ns / 8 + service_ns / 8;
}

/* Rounding is the engine's affair: some nanoseconds either way. */
static struct model_range widened(struct model_range range)
{
    return (struct model_range){range.least > 8 ? range.least - 8 : 0, range.most + 8};
}

void model_served(struct model *model, const struct sim_worker *worker, uint64_t service_ns)
{
    struct model_home *home = &model->homes[worker->home];
    struct model_range before = home->service_ns, after;

    after = (struct model_range){averaged(before.least, service_ns), averaged(before.most, service_ns)};
    if (before.most == 0 || home->service_doubted) {
        after.least = after.least < service_ns ? after.least : service_ns;
        after.most = after.most > service_ns ? after.most : service_ns;
    }
    home->service_ns = widened(after);
    home->service_doubted = false;
}

/* Nobody is there any more: what was measured may be forgotten. */
void model_home_left(struct model_home *home)
{
    uint64_t worker_count = 0;

    for (int state = 0; state < WORKER_STATE_COUNT; state++)
        worker_count += home->worker_counts[state];
    if (worker_count == 0 && home->flights.count == 0)
        home->service_doubted = true;
}

/* ---- what must have been refused ---- */

/* Probes for which no worker is being started, of those that wait in their turn: re-runs may exceed the bounds. */
static uint64_t queued_count(const struct model_home *home)
{
    uint64_t starting_count = home->worker_counts[WORKER_STARTING];

    return home->queue.count > starting_count ? home->queue.count - starting_count : 0;
}

static void judge_deadline(const struct model *model, const struct model_home *home)
{
    const struct sim_call *call = model->step.call;
    struct model_range wait_ns = predicted_ns(home, model_waiting_count(home) - 1);

    CLAIM(RULE_CALLS, model->step.overdue || model->step.now_ns + wait_ns.least <= call->deadline_ns + 1,
          "call %" PRIu64 " waits, though %" PRIu64 " ns outlast its deadline", call->id, wait_ns.least);
}

static void judge_share(const struct model *model)
{
    const struct sim_call *call = model->step.call;
    struct model_range own = waiting_range(model, call->uid, true), others = waiting_range(model, call->uid, false);

    CLAIM(RULE_BOUNDS,
          !model->plan->owned || is_privileged(model, call->uid) ||
              own.least <= share_of(model->settings.queue_max, others.least),
          "%" PRIu64 " of uid %u wait in queues of %" PRIu64 " with %" PRIu64 " others", own.least, call->uid,
          model->settings.queue_max, others.least);
}

/* Taken into the queue only below its bounds.  Workers that are ending make room for as many more. */
void model_judge_admission(const struct model *model)
{
    const struct model_home *home = &model->homes[model->step.call->home];
    uint64_t coming = model->worker_counts[WORKER_ENDING], all_count = 0;

    if (queued_count(home) == 0)
        return;
    LIST_EACH (node, &model->waiting)
        all_count += queued_count(LIST_OWNER(node, struct model_home, waiting));
    CLAIM(RULE_BOUNDS, queued_count(home) <= model->settings.queue_per_home + coming,
          "%" PRIu64 " wait in one home's queue of %" PRIu64, queued_count(home), model->settings.queue_per_home);
    /* Where room is being made, it need not have come by way of the queue, in which others may be beyond the bound. */
    if (coming > 0)
        return;
    CLAIM(RULE_BOUNDS, all_count <= model->settings.queue_max, "%" PRIu64 " wait in queues of %" PRIu64, all_count,
          model->settings.queue_max);
    judge_share(model);
    if (!model->relaxed)
        judge_deadline(model, home);
}
