/* Entries: found, kept within bounds, dropped, swept. */
#include "server/engine/cache.h"

#include "server/base/duration.h"
#include "server/engine/state.h"

#include <stdlib.h>
#include <string.h>

enum { SWEEP_COUNT_MAX = 1024 };
#define SWEEP_PAUSE_NS NS_PER_MS

/* ---- entries ---- */

/* The key of a call, laid out as in an entry. */
struct entry_key {
    struct household *household;
    struct fingerprint fingerprint;
    char provider[LIMIT_PROVIDER_SIZE_MAX + 1];
};

enum { KEY_OFFSET = offsetof(struct entry, household) };
_Static_assert(offsetof(struct entry, fingerprint) - KEY_OFFSET == offsetof(struct entry_key, fingerprint) &&
                   offsetof(struct entry, provider) - KEY_OFFSET == offsetof(struct entry_key, provider) &&
                   offsetof(struct entry_key, provider) == sizeof(struct household *) + FINGERPRINT_SIZE,
               "a key looks the same in an entry and beside it, and has no holes");

static size_t key_of(struct entry_key *key, struct household *household, const struct engine_call *call)
{
    size_t provider_size = strlen(call->provider);

    key->household = household;
    key->fingerprint = call->probe.fingerprint;
    memcpy(key->provider, call->provider, provider_size);
    return offsetof(struct entry_key, provider) + provider_size;
}

struct entry *entry_find(const struct engine *engine, struct household *household, const struct engine_call *call)
{
    struct entry_key key;
    struct entry *entry;
    size_t size;

    if (household == NULL)
        return NULL;
    size = key_of(&key, household, call);
    HASH_FIND_BYHASHVALUE(handle, engine->cache.entries, &key, size, map_hash(&engine->seed, &key, size), entry);
    return entry;
}

static struct entry *entry_create(struct engine *engine, struct household *household, const struct engine_call *call)
{
    struct entry_key key;
    size_t size = key_of(&key, household, call);
    struct entry *entry = calloc(1, KEY_OFFSET + size + 1);
    bool added;

    if (entry == NULL)
        return NULL;
    memcpy((char *)entry + KEY_OFFSET, &key, size);
    MAP_ADD(handle, engine->cache.entries, (char *)entry + KEY_OFFSET, size, map_hash(&engine->seed, &key, size), entry,
            added);
    if (!added) {
        free(entry);
        return NULL;
    }
    list_push_back(&household->blanks, &entry->in_household);
    return entry;
}

struct entry *entry_obtain(struct engine *engine, struct household *household, const struct engine_call *call)
{
    struct entry *entry = entry_find(engine, household, call);

    return entry != NULL ? entry : entry_create(engine, household, call);
}

void entry_leave_if_empty(struct engine *engine, struct entry *entry)
{
    if (entry->answer != NULL || entry->failure != NULL || entry->flights.count > 0)
        return;
    household_touch(engine, entry->household);
    list_remove(&entry->in_household);
    HASH_DELETE(handle, engine->cache.entries, entry);
    free(entry);
}

/* What an entry with an answer counts for in cache_bytes_max. */
static uint64_t entry_size(const struct entry *entry, const struct answer *answer)
{
    return sizeof *entry + strlen(entry->provider) + 1 + sizeof *answer + answer->size;
}

/* ---- answers ---- */

static enum cache_keeping keeping_of(const struct answer *answer)
{
    return answer->account == ACCOUNT_UNAVAILABLE ? CACHE_BRIEFLY : CACHE_FOR_TTL;
}

/* Answers that hold until the provider may be asked again (RATE_LIMITED, INVALID_KEY, min_interval) belong here. */
static uint64_t kept_ns(const struct engine *engine, enum cache_keeping keeping)
{
    uint64_t ttl_ns = engine->settings.cache_ttl_ns, brief_ns = engine->settings.failure_ttl_ns;

    return keeping == CACHE_BRIEFLY && brief_ns < ttl_ns ? brief_ns : ttl_ns;
}

uint64_t cache_kept_ns(const struct engine *engine, const struct answer *answer)
{
    return kept_ns(engine, keeping_of(answer));
}

static bool is_older_than_asked(const struct engine_call *call, struct fence fence)
{
    return call->probe.at_least.epoch != 0 && fence.generation < call->probe.at_least.generation;
}

bool cache_answers(struct engine *engine, uint64_t now_ns, struct entry *entry, struct engine_call *call)
{
    uint64_t age_ns, age_ns_max;

    if (entry->answer == NULL || entry->fence.epoch != engine->epoch || call->probe.refresh ||
        is_older_than_asked(call, entry->fence))
        return false;
    age_ns = now_ns - entry->answered_ns;
    age_ns_max = cache_kept_ns(engine, entry->answer);
    if (age_ns >= age_ns_max || (call->probe.age_ns_max != 0 && age_ns >= call->probe.age_ns_max))
        return false;
    list_move(&engine->cache.used, &entry->in_use);
    list_move(&entry->household->answers, &entry->in_household);
    call->result = (struct engine_result){
        .status = status_ok(),
        .answer = answer_share(entry->answer),
        .origin = ORIGIN_CACHED,
        .age_ns = age_ns,
        .fresh_ns = age_ns_max - age_ns,
    };
    return true;
}

/* The entry itself stays. */
static void drop_answer(struct engine *engine, struct entry *entry)
{
    uint64_t size = entry_size(entry, entry->answer);

    if (entry->fence.epoch == engine->epoch)
        engine->cache.present_count--;
    engine->cache.bytes -= size;
    entry->household->answer_bytes -= size;
    list_remove(&entry->in_use);
    list_remove(&entry->in_age);
    list_move(&entry->household->blanks, &entry->in_household);
    answer_release(entry->answer);
    entry->answer = NULL;
}

static void evict(struct engine *engine, struct entry *entry)
{
    engine_count(engine, ENGINE_COUNTER_EVICTED);
    drop_answer(engine, entry);
    entry_leave_if_empty(engine, entry);
}

/* A home above its share evicts its own, but for the last one, which is the one just stored. */
static void keep_share(struct engine *engine, struct household *household)
{
    uint64_t count_max = engine->settings.cache_entries_max / CACHE_SHARES;
    uint64_t bytes_max = engine->settings.cache_bytes_max / CACHE_SHARES;

    while (household->answers.count > 1 &&
           (household->answers.count > count_max || household->answer_bytes > bytes_max))
        evict(engine, LIST_OWNER(household->answers.first, struct entry, in_household));
}

static void keep_bounds(struct engine *engine)
{
    struct cache *cache = &engine->cache;

    while (cache->used.count > engine->settings.cache_entries_max || cache->bytes > engine->settings.cache_bytes_max)
        evict(engine, LIST_OWNER(cache->used.first, struct entry, in_use));
}

static bool is_worth_storing(const struct engine *engine, const struct entry *entry, const struct answer *answer,
                             struct fence fence)
{
    bool holds_newer =
        entry->answer != NULL && entry->fence.epoch == fence.epoch && entry->fence.generation > fence.generation;

    return !holds_newer && cache_kept_ns(engine, answer) > 0 && engine->settings.cache_entries_max > 0 &&
           entry_size(entry, answer) <= engine->settings.cache_bytes_max;
}

void cache_store(struct engine *engine, uint64_t now_ns, struct entry *entry, struct answer *answer, struct fence fence)
{
    struct cache *cache = &engine->cache;
    uint64_t size = entry_size(entry, answer);

    if (!is_worth_storing(engine, entry, answer, fence))
        return;
    if (entry->answer != NULL)
        drop_answer(engine, entry);
    entry->answer = answer_share(answer);
    entry->fence = fence;
    entry->answered_ns = now_ns;
    list_move(&entry->household->answers, &entry->in_household);
    list_push_back(&cache->used, &entry->in_use);
    list_push_back(&cache->by_age[keeping_of(answer)], &entry->in_age);
    entry->household->answer_bytes += size;
    cache->bytes += size;
    cache->present_count++;
    engine_count(engine, ENGINE_COUNTER_STORED);
    keep_share(engine, entry->household);
    keep_bounds(engine);
}

/* ---- failures ---- */

bool cache_fails(const struct engine *engine, uint64_t now_ns, const struct entry *entry,
                 const struct engine_call *call, struct status *status_out)
{
    const struct failure *failure = entry->failure;
    uint64_t left_ns;

    if (failure == NULL || failure->fence.epoch != engine->epoch || call->probe.refresh ||
        is_older_than_asked(call, failure->fence) || now_ns - failure->failed_ns >= engine->settings.failure_ttl_ns)
        return false;
    left_ns = engine->settings.failure_ttl_ns - (now_ns - failure->failed_ns);
    *status_out =
        status_make_retry(failure->status.code, (left_ns + NS_PER_MS - 1) / NS_PER_MS, "%s", failure->status.message);
    return true;
}

void cache_forget_failure(struct entry *entry)
{
    if (entry->failure == NULL)
        return;
    list_remove(&entry->failure->in_age);
    free(entry->failure);
    entry->failure = NULL;
}

static void forget_oldest_failure(struct engine *engine)
{
    struct entry *entry = LIST_OWNER(engine->cache.failures.first, struct failure, in_age)->entry;

    cache_forget_failure(entry);
    entry_leave_if_empty(engine, entry);
}

/* There are never more failures than there may be answers. */
void cache_remember(struct engine *engine, struct entry *entry, struct failure *failure)
{
    cache_forget_failure(entry);
    failure->entry = entry;
    entry->failure = failure;
    list_push_back(&engine->cache.failures, &failure->in_age);
    if (engine->cache.failures.count > engine->settings.cache_entries_max && engine->cache.failures.count > 1)
        forget_oldest_failure(engine);
}

/* ---- fences ---- */

static uint64_t drop_covered(struct engine *engine, uint64_t now_ns, struct list *entries, const char *provider)
{
    uint64_t good_count = 0;

    LIST_EACH_SAFE (node, entries) {
        struct entry *entry = LIST_OWNER(node, struct entry, in_household);

        if (provider[0] != '\0' && strcmp(provider, entry->provider) != 0)
            continue;
        if (entry->answer != NULL) {
            good_count += entry->fence.epoch == engine->epoch &&
                          now_ns - entry->answered_ns < cache_kept_ns(engine, entry->answer);
            drop_answer(engine, entry);
        }
        cache_forget_failure(entry);
        entry_leave_if_empty(engine, entry);
    }
    return good_count;
}

uint64_t cache_drop(struct engine *engine, uint64_t now_ns, struct household *household, const char *provider)
{
    uint64_t good_count;

    /* The blanks first: an entry without its answer goes over to them. */
    (void)drop_covered(engine, now_ns, &household->blanks, provider);
    good_count = drop_covered(engine, now_ns, &household->answers, provider);
    engine->counters[ENGINE_COUNTER_FENCED] += good_count;
    return good_count;
}

uint64_t cache_begin_epoch(struct engine *engine, uint64_t now_ns)
{
    uint64_t good_count;

    cache_sweep(engine, now_ns);
    good_count = engine->cache.present_count;
    engine->cache.present_count = 0;
    engine->counters[ENGINE_COUNTER_FENCED] += good_count;
    return good_count;
}

/* ---- age ---- */

/* When the oldest of a list is too old; UINT64_MAX: the list is empty. */
static uint64_t answers_due_ns(const struct engine *engine, enum cache_keeping keeping)
{
    const struct list *list = &engine->cache.by_age[keeping];

    return list->count == 0
               ? UINT64_MAX
               : time_after(LIST_OWNER(list->first, struct entry, in_age)->answered_ns, kept_ns(engine, keeping));
}

static uint64_t failures_due_ns(const struct engine *engine)
{
    const struct list *list = &engine->cache.failures;

    return list->count == 0 ? UINT64_MAX
                            : time_after(LIST_OWNER(list->first, struct failure, in_age)->failed_ns,
                                         engine->settings.failure_ttl_ns);
}

static bool sweep_one(struct engine *engine, uint64_t now_ns)
{
    for (enum cache_keeping keeping = 0; keeping < CACHE_KEEPING_COUNT; keeping++) {
        if (answers_due_ns(engine, keeping) <= now_ns) {
            struct entry *entry = LIST_OWNER(engine->cache.by_age[keeping].first, struct entry, in_age);

            drop_answer(engine, entry);
            entry_leave_if_empty(engine, entry);
            return true;
        }
    }
    if (failures_due_ns(engine) > now_ns)
        return false;
    forget_oldest_failure(engine);
    return true;
}

void cache_sweep(struct engine *engine, uint64_t now_ns)
{
    int count = 0;

    while (count < SWEEP_COUNT_MAX && sweep_one(engine, now_ns))
        count++;
    engine->cache.sweep_ns_min = count == SWEEP_COUNT_MAX ? now_ns + SWEEP_PAUSE_NS : 0;
}

uint64_t cache_next_ns(const struct engine *engine)
{
    uint64_t next_ns = failures_due_ns(engine);

    for (enum cache_keeping keeping = 0; keeping < CACHE_KEEPING_COUNT; keeping++) {
        uint64_t due_ns = answers_due_ns(engine, keeping);

        next_ns = due_ns < next_ns ? due_ns : next_ns;
    }
    return next_ns > engine->cache.sweep_ns_min ? next_ns : engine->cache.sweep_ns_min;
}

void cache_fini(struct engine *engine)
{
    struct cache *cache = &engine->cache;

    while (cache->failures.count > 0)
        forget_oldest_failure(engine);
    while (cache->used.count > 0) {
        struct entry *entry = LIST_OWNER(cache->used.first, struct entry, in_use);

        drop_answer(engine, entry);
        entry_leave_if_empty(engine, entry);
    }
}
