/* What the cache holds, as far as that can be known from outside.
 *
 * An entry is CERTAIN from its store until an invalidation covers it or an eviction may have taken it.  How much room
 * an entry takes is the engine's affair, so evictions are counted by its own counter, and the least recently used ones,
 * of all and of the home that stored, become MAYBE: they need not be served.  Whatever is not among those must be. */
#include "tests/sim/model.h"

#include <inttypes.h>

/* What an entry takes beside its answer is not said; an answer that comes this near to a home's share of the cache may
 * not be kept at all. */
enum { ENTRY_OVERHEAD_MAX = 1024, HOME_SHARES = 16 };

static struct model_entry *entry_of(struct model *model, const struct cast_mark *mark)
{
    return &model->homes[mark->home].entry[mark->provider][mark->key];
}

static bool latest_is_kept(const struct model *model, const struct model_entry *entry)
{
    return !entry->unsure && model->step.now_ns < model_kept_until_ns(&entry->latest, false);
}

static bool good_is_kept(const struct model *model, const struct model_entry *entry)
{
    return entry->good_presence == ENTRY_CERTAIN && model->step.now_ns < model_good_until_ns(model, entry, true);
}

/* Something of it counts still, so it must be there: the latest answer, or a good one beside it. */
bool model_entry_is_kept(const struct model *model, const struct model_entry *entry)
{
    return latest_is_kept(model, entry) || good_is_kept(model, entry);
}

static void place_last(struct model *model, struct model_entry *entry, unsigned home)
{
    list_move(&model->entries, &entry->recent);
    list_move(&model->homes[home].entries, &entry->recent_of_home);
    entry->presence = ENTRY_CERTAIN;
    entry->vague = false;
}

static void drop(struct model_entry *entry)
{
    list_remove(&entry->recent);
    list_remove(&entry->recent_of_home);
    entry->presence = ENTRY_NONE;
}

/* The entry that this call must be answered with; NULL: it need not be answered from the cache. */
struct model_entry *model_entry_due(struct model *model, const struct sim_call *call)
{
    struct model_entry *entry = &model->homes[call->home].entry[call->provider][call->key];
    const struct model_kept *latest = &entry->latest;
    uint64_t now_ns = model->step.now_ns, age_ns = now_ns - latest->mark.answered_ns;

    if (entry->presence != ENTRY_CERTAIN || entry->unsure)
        return NULL;
    if (call->at_least.epoch != 0 &&
        (call->at_least.epoch != model->epoch || call->at_least.generation > latest->mark.fence.generation))
        return NULL;
    if (call->refresh)
        return now_ns < latest->insisted_until_ns ? entry : NULL;
    if (call->age_ns_max != 0 && age_ns >= call->age_ns_max && now_ns >= latest->held_until_ns &&
        now_ns >= latest->asked_ns + latest->pause_least_ns)
        return NULL;
    return now_ns < model_kept_until_ns(latest, false) ? entry : NULL;
}

/* Whether it may be. */
bool model_entry_may_serve(const struct model *model, const struct sim_call *call)
{
    const struct model_kept *latest = &model->homes[call->home].entry[call->provider][call->key].latest;
    uint64_t now_ns = model->step.now_ns;

    if (call->refresh)
        return now_ns < latest->insisted_until_ns;
    return now_ns < model_kept_until_ns(latest, true) &&
           (call->age_ns_max == 0 || now_ns - latest->mark.answered_ns <= call->age_ns_max ||
            now_ns < latest->held_until_ns || now_ns < latest->asked_ns + latest->pause_most_ns);
}

void model_entry_hit(struct model *model, const struct sim_call *call)
{
    struct model_entry *entry = &model->homes[call->home].entry[call->provider][call->key];

    if (!entry->unsure)
        model_kept_settle(&entry->latest, model->step.now_ns, call->engine.result.fresh_ns);
    place_last(model, entry, call->home);
}

/* Looked up and passed over: whether that is a use is not said. */
void model_entry_missed(struct model *model, const struct sim_call *call)
{
    model->homes[call->home].entry[call->provider][call->key].vague = true;
}

/* Nothing was cached: because a newer answer is there, or there is no room, or nothing of it counts.  Whether what was
 * there before still is, is not said. */
static void judge_not_stored(struct model *model, struct model_entry *entry, const struct cast_mark *mark, bool scarce)
{
    bool newer_is_held = entry->presence != ENTRY_NONE && entry->latest.mark.fence.generation > mark->fence.generation;
    bool counts = model_kept_until_ns(&model->step.landing, false) > model->step.now_ns ||
                  (mark->good && model->settings.keep_good_ns > 0);

    CLAIM(RULE_CALLS, newer_is_held || scarce || !counts || model->step.refusal_stands,
          "the answer of lease %" PRIu64 " was not cached", mark->lease_id);
    if (entry->presence == ENTRY_NONE)
        return;
    entry->vague = true;
    entry->good_unsure |= mark->good;
    if (!newer_is_held && !model->step.refusal_stands)
        entry->presence = ENTRY_MAYBE;
}

static void take_good(struct model_entry *entry, const struct cast_mark *mark)
{
    if (!mark->good)
        return;
    entry->good_presence = ENTRY_CERTAIN; /* for how long is another matter */
    entry->good_unsure = false;
    entry->good = *mark;
}

/* What counts no more may be gone, so that an older answer has an empty place. */
static void judge_replaced(const struct model *model, const struct model_entry *entry, const struct cast_mark *mark)
{
    uint64_t generation = 0;

    if (entry->presence != ENTRY_CERTAIN)
        return;
    if (latest_is_kept(model, entry))
        generation = entry->latest.mark.fence.generation;
    if (good_is_kept(model, entry) && !entry->good_unsure && entry->good.fence.generation > generation)
        generation = entry->good.fence.generation;
    CLAIM(RULE_FENCES, generation <= mark->fence.generation,
          "generation %" PRIu64 " took the place of %" PRIu64 " in the cache", mark->fence.generation, generation);
}

/* A flight has landed with this answer, and nothing covers it. */
void model_store(struct model *model, const struct answer *answer)
{
    struct cast_mark mark = model_mark(answer);
    struct model_entry *entry = entry_of(model, &mark);
    uint64_t stored_count = model->view.counters[ENGINE_COUNTER_STORED] - model->before.counters[ENGINE_COUNTER_STORED];
    bool scarce = (answer->size + ENTRY_OVERHEAD_MAX) * HOME_SHARES > model->tightest.cache_bytes_max;
    bool either = model->step.refusal_stands &&
                  (entry->presence != ENTRY_CERTAIN || entry->unsure || model_refusal_may_be_forgotten(model, entry));

    CLAIM(RULE_COUNTERS, stored_count <= 1, "one answer, %" PRIu64 " stores", stored_count);
    if (model->step.refusal_stands && !either) {
        entry->latest = model->step.landing;
        entry->vague = true;
        return;
    }
    if (stored_count == 0) {
        judge_not_stored(model, entry, &mark, scarce);
        return;
    }
    judge_replaced(model, entry, &mark);
    if (entry->presence == ENTRY_NONE)
        entry->good_presence = ENTRY_NONE;
    else if (entry->presence == ENTRY_MAYBE && entry->good_presence == ENTRY_CERTAIN)
        entry->good_presence = ENTRY_MAYBE;
    entry->latest = model->step.landing;
    entry->unsure = either;
    take_good(entry, &mark);
    place_last(model, entry, mark.home);
    if (scarce)
        entry->presence = ENTRY_MAYBE;
}

/* What counts no more may be gone without an eviction, so it takes none of their number. */
static void doubt(const struct model *model, struct model_entry *entry, uint64_t *left,
                  const struct model_entry *newest)
{
    if (entry->presence != ENTRY_CERTAIN || (entry == newest && entry->recent.previous != NULL))
        return;
    if (!entry->vague && model_entry_is_kept(model, entry)) {
        if (*left == 0)
            return;
        --*left;
    }
    entry->presence = ENTRY_MAYBE;
}

/* The entry of the answer that this step stored, or laid beside the refusal that stands; NULL: none. */
static const struct model_entry *stored_now(struct model *model)
{
    bool has_stored = model->view.counters[ENGINE_COUNTER_STORED] > model->before.counters[ENGINE_COUNTER_STORED];
    struct cast_mark mark;

    if (!has_stored)
        return NULL;
    mark = model_mark(model->step.answer);
    return entry_of(model, &mark);
}

/* As many as the engine says it evicted, of all homes and of the one that stored (a home with more than its share
 * evicts its own).  What was stored in this very step goes last. */
void model_entries_evicted(struct model *model, unsigned home)
{
    uint64_t evicted_count =
        model->view.counters[ENGINE_COUNTER_EVICTED] - model->before.counters[ENGINE_COUNTER_EVICTED];
    const struct model_entry *newest = stored_now(model);
    uint64_t left = evicted_count;

    if (evicted_count == 0)
        return;
    LIST_EACH (node, &model->entries)
        doubt(model, LIST_OWNER(node, struct model_entry, recent), &left, newest);
    if (home == CAST_ALL)
        return;
    left = evicted_count;
    LIST_EACH (node, &model->homes[home].entries)
        doubt(model, LIST_OWNER(node, struct model_entry, recent_of_home), &left, newest);
}

/* An invalidation: what it covers is gone.  Says between which numbers the engine's count of it must be. */
void model_entries_drop(struct model *model, unsigned home, unsigned provider, struct sim_call *call)
{
    uint64_t now_ns = model->step.now_ns;

    LIST_EACH_SAFE (node, &model->entries) {
        struct model_entry *entry = LIST_OWNER(node, struct model_entry, recent);

        if ((home != CAST_ALL && entry->latest.mark.home != home) ||
            (provider != CAST_ALL && entry->latest.mark.provider != provider))
            continue;
        call->dropped_max += entry->unsure || now_ns < model_kept_until_ns(&entry->latest, true);
        call->dropped_min +=
            entry->presence == ENTRY_CERTAIN && !entry->unsure && now_ns < model_kept_until_ns(&entry->latest, false);
        drop(entry);
    }
}
