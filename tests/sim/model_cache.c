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

/* How long an answer is kept at least, and at most, whatever the settings were meanwhile. */
static uint64_t kept_ns(const struct engine_settings *settings, const struct cast_mark *mark)
{
    return mark->brief && settings->failure_ttl_ns < settings->cache_ttl_ns ? settings->failure_ttl_ns
                                                                            : settings->cache_ttl_ns;
}

uint64_t model_kept_ns_max(const struct model *model, const struct cast_mark *mark)
{
    return kept_ns(&model->loosest, mark);
}

bool model_entry_is_young(const struct model *model, const struct model_entry *entry)
{
    return model->step.now_ns - entry->mark.answered_ns < kept_ns(&model->tightest, &entry->mark);
}

static void place_last(struct model *model, struct model_entry *entry)
{
    list_move(&model->entries, &entry->recent);
    list_move(&model->homes[entry->mark.home].entries, &entry->recent_of_home);
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
    uint64_t age_ns = model->step.now_ns - entry->mark.answered_ns;

    if (call->refresh || entry->presence != ENTRY_CERTAIN || !model_entry_is_young(model, entry) ||
        (call->age_ns_max != 0 && age_ns >= call->age_ns_max))
        return NULL;
    if (call->at_least.epoch != 0 &&
        (call->at_least.epoch != model->epoch || call->at_least.generation > entry->mark.fence.generation))
        return NULL;
    return entry;
}

void model_entry_hit(struct model *model, const struct sim_call *call)
{
    place_last(model, &model->homes[call->home].entry[call->provider][call->key]);
}

/* Looked up and passed over: whether that is a use is not said. */
void model_entry_missed(struct model *model, const struct sim_call *call)
{
    model->homes[call->home].entry[call->provider][call->key].vague = true;
}

/* A flight has landed with this answer, and nothing covers it. */
void model_store(struct model *model, const struct answer *answer)
{
    struct cast_mark mark = model_mark(answer);
    struct model_entry *entry = entry_of(model, &mark);
    uint64_t stored_count = model->view.counters[ENGINE_COUNTER_STORED] - model->before.counters[ENGINE_COUNTER_STORED];
    bool scarce = (answer->size + ENTRY_OVERHEAD_MAX) * HOME_SHARES > model->tightest.cache_bytes_max;

    CLAIM(RULE_COUNTERS, stored_count <= 1, "one answer, %" PRIu64 " stores", stored_count);
    if (stored_count == 0) {
        bool newer_is_held = entry->presence != ENTRY_NONE && entry->mark.fence.generation > mark.fence.generation;

        CLAIM(RULE_CALLS, newer_is_held || scarce || kept_ns(&model->settings, &mark) == 0,
              "the answer of lease %" PRIu64 " was not cached", mark.lease_id);
        return;
    }
    CLAIM(RULE_FENCES,
          entry->presence != ENTRY_CERTAIN || !model_entry_is_young(model, entry) ||
              entry->mark.fence.generation <= mark.fence.generation,
          "generation %" PRIu64 " took the place of %" PRIu64 " in the cache", mark.fence.generation,
          entry->mark.fence.generation);
    entry->mark = mark;
    place_last(model, entry);
    if (scarce)
        entry->presence = ENTRY_MAYBE;
}

/* What is past the TTL may be gone without an eviction, so it takes none of their number. */
static void doubt(const struct model *model, struct model_entry *entry, uint64_t *left,
                  const struct model_entry *newest)
{
    if (entry->presence != ENTRY_CERTAIN || (entry == newest && entry->recent.previous != NULL))
        return;
    if (!entry->vague && model_entry_is_young(model, entry)) {
        if (*left == 0)
            return;
        --*left;
    }
    entry->presence = ENTRY_MAYBE;
}

/* As many as the engine says it evicted, of all homes and of the one that stored (a home with more than its share
 * evicts its own).  What was stored in this very step goes last. */
void model_entries_evicted(struct model *model, unsigned home)
{
    uint64_t evicted_count =
        model->view.counters[ENGINE_COUNTER_EVICTED] - model->before.counters[ENGINE_COUNTER_EVICTED];
    const struct model_entry *newest = NULL;
    uint64_t left = evicted_count;

    if (evicted_count == 0)
        return;
    if (model->entries.last != NULL)
        newest = LIST_OWNER(model->entries.last, struct model_entry, recent);
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
    LIST_EACH_SAFE (node, &model->entries) {
        struct model_entry *entry = LIST_OWNER(node, struct model_entry, recent);

        if ((home != CAST_ALL && entry->mark.home != home) ||
            (provider != CAST_ALL && entry->mark.provider != provider))
            continue;
        call->dropped_max++;
        if (entry->presence == ENTRY_CERTAIN && model_entry_is_young(model, entry))
            call->dropped_min++;
        drop(entry);
    }
}
