/* For how long an answer counts: the contract's account states, with the times fixed when the answer lands.
 *
 * Three clocks run from there: a plain probe is answered with it; so is one that names a max_age; so is one that
 * insists (refresh).  The last two are holds: a provider's wish to be left alone, or its refusal of a secret. */
#include "tests/sim/model.h"

#include "server/base/clock.h"

#include <inttypes.h>

#define RETRY_NS_MAX   (3600 * NS_PER_S)
#define MANNERS_NS_MAX (600 * NS_PER_S)
#define PAUSE_NS_FIRST (900 * NS_PER_S)
#define PAUSE_NS_MAX   (6 * 3600 * NS_PER_S)
#define INSIST_NS      (60 * NS_PER_S)

static uint64_t least(uint64_t one, uint64_t other)
{
    return one < other ? one : other;
}

static uint64_t most(uint64_t one, uint64_t other)
{
    return one > other ? one : other;
}

/* A pause within what may be; `later`: at its longest. */
uint64_t model_kept_until_ns(const struct model_kept *kept, bool later)
{
    return most(kept->fresh_until_ns, kept->asked_ns + (later ? kept->pause_most_ns : kept->pause_least_ns));
}

/* An answer said for how long it counts still: one of the pauses that may be explains it. */
void model_kept_settle(struct model_kept *kept, uint64_t now_ns, uint64_t fresh_ns)
{
    uint64_t pause_ns = kept->pause_least_ns;

    while (now_ns + fresh_ns != most(kept->fresh_until_ns, kept->asked_ns + pause_ns) && pause_ns < kept->pause_most_ns)
        pause_ns = least(pause_ns * 2, PAUSE_NS_MAX);
    CLAIM(RULE_CALLS, now_ns + fresh_ns == most(kept->fresh_until_ns, kept->asked_ns + pause_ns),
          "may be kept for %" PRIu64 " ns, not for %" PRIu64 " to %" PRIu64, fresh_ns,
          model_kept_until_ns(kept, false) - now_ns, model_kept_until_ns(kept, true) - now_ns);
    if (kept->asked_ns + pause_ns > kept->fresh_until_ns)
        kept->pause_least_ns = kept->pause_most_ns = pause_ns;
}

/* What the provider asked for, whoever insists. */
static uint64_t wished_ns(const struct cast_mark *mark)
{
    uint64_t retry_ns = mark->account == ACCOUNT_RATE_LIMITED ? least(mark->retry_ns, RETRY_NS_MAX) : 0;

    return most(retry_ns, least(mark->interval_ns, MANNERS_NS_MAX));
}

/* Without a hold. */
static uint64_t fresh_ns(const struct engine_settings *settings, const struct cast_mark *mark)
{
    if (mark->account == ACCOUNT_UNAVAILABLE)
        return least(settings->failure_ttl_ns, settings->cache_ttl_ns);
    if (mark->account == ACCOUNT_RATE_LIMITED && mark->retry_ns > 0)
        return least(mark->retry_ns, RETRY_NS_MAX);
    return mark->account == ACCOUNT_INVALID_KEY ? 0 : settings->cache_ttl_ns;
}

/* What nobody has asked for since is forgotten at some time: not before as long again as the longest pause. */
bool model_refusal_may_be_forgotten(const struct model *model, const struct model_entry *entry)
{
    return model->step.now_ns >= entry->latest.asked_ns + entry->latest.pause_least_ns + PAUSE_NS_MAX;
}

/* Refused again: the pause doubles if the one before had passed when it was asked. */
static void draw_pauses(const struct model *model, const struct model_entry *entry, const struct model_flight *flight,
                        struct model_kept *kept)
{
    uint64_t now_ns = model->step.now_ns;
    const struct model_kept *before = &entry->latest;

    kept->pause_least_ns = kept->pause_most_ns = PAUSE_NS_FIRST;
    if (entry->presence == ENTRY_NONE || (before->pause_most_ns == 0 && !entry->unsure))
        return;
    kept->pause_least_ns = before->pause_least_ns;
    kept->pause_most_ns = before->pause_most_ns;
    if (flight->admitted_ns >= before->asked_ns + before->pause_most_ns)
        kept->pause_least_ns = least(before->pause_least_ns * 2, PAUSE_NS_MAX);
    if (now_ns >= before->asked_ns + before->pause_least_ns)
        kept->pause_most_ns = least(before->pause_most_ns * 2, PAUSE_NS_MAX);
    if (entry->presence != ENTRY_CERTAIN || entry->unsure || model_refusal_may_be_forgotten(model, entry))
        kept->pause_least_ns = PAUSE_NS_FIRST;
    if (entry->unsure)
        kept->pause_most_ns = PAUSE_NS_MAX;
}

/* What says nothing of the secret does not lift its refusal. */
bool model_refusal_may_stand(const struct model *model, const struct model_entry *entry, const struct cast_mark *mark)
{
    return entry->presence != ENTRY_NONE &&
           !model_is_covered(model, mark->home, mark->provider, entry->latest.mark.fence) &&
           entry->latest.pause_most_ns > 0 &&
           (mark->account == ACCOUNT_UNAVAILABLE || mark->account == ACCOUNT_RATE_LIMITED);
}

/* The flight's answer has come: what will be kept of it, if it is. */
void model_land(struct model *model, const struct model_flight *flight)
{
    struct model_step *step = &model->step;
    struct model_kept *kept = &step->landing;
    struct cast_mark mark = model_mark(step->answer);
    const struct model_entry *entry = &model->homes[flight->home].entry[flight->provider][flight->key];
    uint64_t now_ns = step->now_ns, asked_until_ns = now_ns + wished_ns(&mark);
    uint64_t ttl_until_ns = now_ns + (mark.account == ACCOUNT_UNAVAILABLE ? fresh_ns(&model->settings, &mark)
                                                                          : model->settings.cache_ttl_ns);

    step->refusal_stands = model_refusal_may_stand(model, entry, &mark);
    if (step->refusal_stands) {
        uint64_t generation = entry->latest.mark.fence.generation;

        /* Of a newer generation it is what is shown from now on; who may ask is the refusal's affair all the same.  Of
         * an older one it says nothing at all. */
        *kept = entry->latest;
        if (mark.fence.generation < generation)
            return;
        kept->asked_ns = now_ns;
        if (mark.fence.generation > generation) {
            kept->mark = mark;
            kept->ttl_until_ns = ttl_until_ns;
        }
        kept->insisted_until_ns = most(kept->insisted_until_ns, most(asked_until_ns, now_ns + INSIST_NS));
        kept->held_until_ns = kept->fresh_until_ns = most(kept->fresh_until_ns, kept->insisted_until_ns);
        return;
    }
    *kept = (struct model_kept){.mark = mark, .asked_ns = now_ns};
    if (mark.account == ACCOUNT_INVALID_KEY) {
        draw_pauses(model, entry, flight, kept);
        asked_until_ns = most(asked_until_ns, now_ns + INSIST_NS);
    }
    kept->ttl_until_ns = ttl_until_ns;
    kept->held_until_ns = kept->insisted_until_ns = asked_until_ns;
    kept->fresh_until_ns = most(now_ns + fresh_ns(&model->settings, &mark), asked_until_ns);
}

/* An answer from the cache that only a hold explains is counted as one. */
void model_hold_counted(struct model *model, const struct sim_call *call, const struct model_kept *kept)
{
    uint64_t now_ns = model->step.now_ns, age_ns = now_ns - kept->mark.answered_ns;
    uint64_t seen = model->view.counters[ENGINE_COUNTER_HELD] - model->before.counters[ENGINE_COUNTER_HELD];
    bool must = call->refresh || (call->age_ns_max != 0 && age_ns > call->age_ns_max) || now_ns >= kept->ttl_until_ns;
    bool may = must || (call->age_ns_max != 0 && age_ns == call->age_ns_max);

    CLAIM(RULE_COUNTERS, model->relaxed || (seen == 1 ? may : !must), "call %" PRIu64 " was answered %s hold", call->id,
          seen == 1 ? "because of a" : "in spite of age, and without a");
    model->counted[ENGINE_COUNTER_HELD] += seen;
}

uint64_t model_held_ns(const struct model *model, const struct sim_call *call)
{
    const struct model_entry *entry;

    if (call->kind != ENGINE_CALL_PROBE)
        return 0;
    entry = &model->homes[call->home].entry[call->provider][call->key];
    return entry->presence == ENTRY_NONE || entry->latest.insisted_until_ns <= model->step.now_ns
               ? 0
               : entry->latest.insisted_until_ns - model->step.now_ns;
}
