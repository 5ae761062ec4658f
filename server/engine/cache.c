/* Entries: found, kept within bounds, dropped, swept. */
#include "server/engine/cache.h"

#include "server/base/duration.h"
#include "server/engine/state.h"

#include <stdlib.h>
#include <string.h>

enum { SWEEP_COUNT_MAX = 1024 };
#define SWEEP_PAUSE_NS NS_PER_MS

/* proto/README.md 3, "Account states". */
#define HOLD_NS_MAX              (3600 * NS_PER_S)  /* of RATE_LIMITED, whatever the provider says */
#define INTERVAL_NS_MAX          (600 * NS_PER_S)   /* of polling manners */
#define REFUSAL_PAUSE_NS_MIN     (900 * NS_PER_S)   /* plain probes present a refused secret again after this, */
#define REFUSAL_PAUSE_NS_MAX     (21600 * NS_PER_S) /* doubling up to this, */
#define REFUSAL_REFRESH_PAUSE_NS (60 * NS_PER_S)    /* and those that insist after this */

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
    if (!heap_reserve(&engine->cache.dues)) {
        free(entry);
        return NULL;
    }
    memcpy((char *)entry + KEY_OFFSET, &key, size);
    MAP_ADD(handle, engine->cache.entries, (char *)entry + KEY_OFFSET, size, map_hash(&engine->seed, &key, size), entry,
            added);
    if (!added) {
        heap_unreserve(&engine->cache.dues);
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

static bool has_answer(const struct entry *entry)
{
    return entry->latest.answer != NULL || entry->good.answer != NULL;
}

void entry_leave_if_empty(struct engine *engine, struct entry *entry)
{
    if (has_answer(entry) || entry->failure != NULL || entry->flights.count > 0)
        return;
    household_touch(engine, entry->household);
    heap_unreserve(&engine->cache.dues);
    list_remove(&entry->in_household);
    HASH_DELETE(handle, engine->cache.entries, entry);
    free(entry);
}

/* ---- what is kept ---- */

static uint64_t kept_size(const struct kept *kept)
{
    return kept->answer == NULL ? 0 : sizeof *kept->answer + kept->answer->size;
}

/* What an entry with an answer counts for in cache_bytes_max. */
static uint64_t entry_size(const struct entry *entry)
{
    return has_answer(entry)
               ? sizeof *entry + strlen(entry->provider) + 1 + kept_size(&entry->latest) + kept_size(&entry->good)
               : 0;
}

/* With figures that somebody can go by. */
static bool is_good(const struct answer *answer)
{
    return answer->figures && (answer->account == ACCOUNT_OK || answer->account == ACCOUNT_EXHAUSTED);
}

/* Nothing was learned of the account: what was good before may stand beside it. */
static bool is_excuse(const struct answer *answer)
{
    return answer->account == ACCOUNT_RATE_LIMITED || answer->account == ACCOUNT_UNAVAILABLE;
}

static bool is_present(const struct engine *engine, const struct kept *kept)
{
    return kept->answer != NULL && (kept->fence.epoch == engine->epoch || MUTANT(EPOCH_IGNORED));
}

/* A call that waits may have asked for a generation of an epoch before the present one: whatever is of this is newer. */
static bool is_older_than_asked(const struct engine_call *call, struct fence fence)
{
    return call->probe.at_least.epoch == fence.epoch && fence.generation < call->probe.at_least.generation;
}

/* The newest answer with figures that may be given beside another, or in for a failure; NULL: there is none. */
static const struct kept *find_good(const struct engine *engine, uint64_t now_ns, const struct entry *entry,
                                    const struct engine_call *call)
{
    const struct kept *good =
        entry->latest.answer != NULL && is_good(entry->latest.answer) ? &entry->latest : &entry->good;

    return is_present(engine, good) && !is_older_than_asked(call, good->fence) &&
                   (now_ns - good->answered_ns < engine->settings.keep_good_ns || MUTANT(LAST_GOOD_FOREVER))
               ? good
               : NULL;
}

/* ---- how long ---- */

static uint64_t shorter(uint64_t one_ns, uint64_t other_ns)
{
    return one_ns < other_ns ? one_ns : other_ns;
}

static uint64_t later(uint64_t one_ns, uint64_t other_ns)
{
    return one_ns > other_ns ? one_ns : other_ns;
}

/* Without a hold. */
static uint64_t ordinarily_fresh_ns(const struct engine *engine, const struct answer *answer)
{
    uint64_t ttl_ns = engine->settings.cache_ttl_ns;

    return answer->account == ACCOUNT_UNAVAILABLE ? shorter(engine->settings.failure_ttl_ns, ttl_ns) : ttl_ns;
}

/* For how long the provider wants to hear nothing of this key, whoever insists; 0: it did not say. */
static uint64_t wanted_quiet_ns(const struct answer *answer)
{
    uint64_t retry_ns_max = MUTANT(RATE_LIMIT_UNCAPPED) ? UINT64_MAX : HOLD_NS_MAX;
    uint64_t retry_ns = answer->account == ACCOUNT_RATE_LIMITED ? shorter(answer->retry_ns, retry_ns_max) : 0;

    return later(retry_ns, shorter(answer->interval_ns_min, INTERVAL_NS_MAX));
}

/* What follows from an answer that lands on this entry. */
struct hold {
    uint64_t fresh_ns, held_ns; /* see struct entry */
    uint64_t refusal_pause_ns;
};

/* The secret stands refused, and what came instead says nothing of it. */
static bool refusal_outlives(const struct entry *entry, const struct answer *answer)
{
    return entry->refusal_pause_ns > 0 && is_excuse(answer);
}

/* How long plain probes leave a refused secret alone: twice as long each time they have waited it out. */
static uint64_t refusal_pause_ns(uint64_t now_ns, const struct entry *entry, const struct answer *answer)
{
    if (refusal_outlives(entry, answer))
        return entry->refusal_pause_ns;
    if (answer->account != ACCOUNT_INVALID_KEY || MUTANT(REFUSAL_FORGOTTEN))
        return 0;
    if (entry->refusal_pause_ns == 0)
        return REFUSAL_PAUSE_NS_MIN;
    return now_ns < entry->fresh_until_ns
               ? entry->refusal_pause_ns
               : shorter((MUTANT(KEY_BACKOFF_FLAT) ? 1 : 2) * entry->refusal_pause_ns, REFUSAL_PAUSE_NS_MAX);
}

static struct hold hold_of(const struct engine *engine, uint64_t now_ns, const struct entry *entry,
                           const struct answer *answer)
{
    struct hold hold = {
        .fresh_ns = ordinarily_fresh_ns(engine, answer),
        .held_ns = wanted_quiet_ns(answer),
        .refusal_pause_ns = refusal_pause_ns(now_ns, entry, answer),
    };

    if (hold.refusal_pause_ns > 0) {
        hold.fresh_ns = hold.refusal_pause_ns;
        hold.held_ns = later(hold.held_ns, MUTANT(KEY_REFRESH_AT_ONCE) ? 0 : REFUSAL_REFRESH_PAUSE_NS);
    } else if (answer->account == ACCOUNT_RATE_LIMITED && answer->retry_ns > 0) {
        hold.fresh_ns = 0; /* until it may be asked again, be that sooner or later than the TTL */
    }
    hold.fresh_ns = later(hold.fresh_ns, hold.held_ns);
    return hold;
}

/* When the latest answer is of no further use.  How often a secret was refused is known a while longer. */
static uint64_t latest_ends_ns(const struct engine *engine, const struct entry *entry)
{
    uint64_t ends_ns = entry->fresh_until_ns;

    if (entry->refusal_pause_ns > 0)
        ends_ns = time_after(ends_ns, REFUSAL_PAUSE_NS_MAX);
    if (is_good(entry->latest.answer))
        ends_ns = later(ends_ns, time_after(entry->latest.answered_ns, engine->settings.keep_good_ns));
    return ends_ns;
}

static uint64_t good_ends_ns(const struct engine *engine, const struct entry *entry)
{
    return MUTANT(LAST_GOOD_FOREVER) ? UINT64_MAX : time_after(entry->good.answered_ns, engine->settings.keep_good_ns);
}

/* ---- keeping and letting go ---- */

static void let_go(struct kept *kept)
{
    answer_release(kept->answer);
    kept->answer = NULL;
}

static void count_fresh(struct engine *engine, struct entry *entry, bool fresh)
{
    if (entry->counted_fresh && entry->latest.fence.epoch == engine->epoch)
        engine->cache.fresh_count--;
    entry->counted_fresh = fresh;
    if (fresh)
        engine->cache.fresh_count++;
}

/* Its latest answer and what follows from it; the good one stays. */
static void let_latest_go(struct engine *engine, struct entry *entry)
{
    count_fresh(engine, entry, false);
    let_go(&entry->latest);
    entry->fresh_until_ns = entry->held_until_ns = entry->refusal_pause_ns = 0;
}

/* The only writer of in_use, in_household, due and the sums of bytes: where an entry belongs by what it holds now.
 * size_before: what it counted for when it was last here. */
static void entry_settle(struct engine *engine, struct entry *entry, uint64_t size_before)
{
    struct cache *cache = &engine->cache;
    struct household *household = entry->household;
    uint64_t size = entry_size(entry), due_ns = UINT64_MAX;

    cache->bytes += size - size_before;
    household->answer_bytes += size - size_before;
    if (!has_answer(entry)) {
        list_remove(&entry->in_use);
        heap_clear(&cache->dues, &entry->due);
        if (entry->in_household.list != &household->blanks)
            list_move(&household->blanks, &entry->in_household);
        return;
    }
    if (entry->in_use.list == NULL) {
        list_push_back(&cache->used, &entry->in_use);
        list_move(&household->answers, &entry->in_household);
    }
    if (entry->latest.answer != NULL)
        due_ns = entry->counted_fresh ? entry->fresh_until_ns : latest_ends_ns(engine, entry);
    if (entry->good.answer != NULL)
        due_ns = shorter(due_ns, good_ends_ns(engine, entry));
    heap_set(&cache->dues, &entry->due, due_ns);
}

/* Both answers go; the entry itself stays. */
static void drop_answers(struct engine *engine, struct entry *entry)
{
    uint64_t size_before = entry_size(entry);

    if (entry->latest.answer != NULL)
        let_latest_go(engine, entry);
    let_go(&entry->good);
    entry_settle(engine, entry, size_before);
}

static void evict(struct engine *engine, struct entry *entry)
{
    engine_count(engine, ENGINE_COUNTER_EVICTED);
    drop_answers(engine, entry);
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

static void use(struct engine *engine, struct entry *entry)
{
    if (entry->in_use.next != NULL)
        list_move(&engine->cache.used, &entry->in_use);
    if (entry->in_household.next != NULL)
        list_move(&entry->household->answers, &entry->in_household);
}

/* ---- answering ---- */

static void put_good_beside(struct engine *engine, uint64_t now_ns, const struct entry *entry, struct engine_call *call)
{
    const struct kept *good = is_excuse(call->result.answer) ? find_good(engine, now_ns, entry, call) : NULL;

    if (good == NULL)
        return;
    call->result.last_good = answer_share(good->answer);
    call->result.last_good_age_ns = now_ns - good->answered_ns;
    engine_count(engine, ENGINE_COUNTER_LAST_GOOD);
}

/* Whether neither age nor refresh has the provider asked.  Plain probes leave a refused secret alone for longer. */
static bool is_held(uint64_t now_ns, const struct entry *entry, const struct engine_call *call)
{
    if (MUTANT(HOLD_YIELDS_TO_REFRESH) && call->probe.refresh)
        return false;
    return now_ns < entry->held_until_ns ||
           (entry->refusal_pause_ns > 0 && !call->probe.refresh && now_ns < entry->fresh_until_ns);
}

static bool is_young(uint64_t age_ns, uint64_t fresh_ns, const struct engine_call *call)
{
    return !call->probe.refresh && age_ns < fresh_ns &&
           (call->probe.age_ns_max == 0 || age_ns < call->probe.age_ns_max);
}

bool cache_answers(struct engine *engine, uint64_t now_ns, struct entry *entry, struct engine_call *call)
{
    uint64_t age_ns = now_ns - entry->latest.answered_ns;
    bool held;

    if (!is_present(engine, &entry->latest) || is_older_than_asked(call, entry->latest.fence))
        return false;
    held = is_held(now_ns, entry, call);
    if (!held && !is_young(age_ns, entry->fresh_until_ns - entry->latest.answered_ns, call))
        return false;
    if (held && !is_young(age_ns, ordinarily_fresh_ns(engine, entry->latest.answer), call))
        engine_count(engine, ENGINE_COUNTER_HELD);
    use(engine, entry);
    call->result = (struct engine_result){
        .status = status_ok(),
        .answer = answer_share(entry->latest.answer),
        .origin = ORIGIN_CACHED,
        .age_ns = age_ns,
        .fresh_ns = entry->fresh_until_ns - now_ns,
    };
    put_good_beside(engine, now_ns, entry, call);
    return true;
}

bool cache_stands_in(struct engine *engine, uint64_t now_ns, struct entry *entry, struct engine_call *call,
                     const struct status *status)
{
    const struct kept *good;

    if (entry == NULL || call->kind != ENGINE_CALL_PROBE || !(call->probe.accept_stale || MUTANT(STALE_UNASKED)) ||
        status->code == STATUS_CANCELLED || status->code == STATUS_FAILED_PRECONDITION)
        return false;
    good = find_good(engine, now_ns, entry, call);
    if (good == NULL || !home_is_for(entry->household->home, &call->probe.directory))
        return false;
    use(engine, entry);
    call->result = (struct engine_result){
        .status = *status,
        .answer = answer_share(good->answer),
        .stale = true,
        .origin = ORIGIN_CACHED,
        .age_ns = now_ns - good->answered_ns,
    };
    return true;
}

void cache_hand_out(struct engine *engine, uint64_t now_ns, const struct entry *entry, struct answer *answer,
                    uint64_t fresh_ns, enum origin origin, struct engine_call *call)
{
    call->result = (struct engine_result){
        .status = status_ok(),
        .answer = answer_share(answer),
        .origin = origin,
        .fresh_ns = fresh_ns,
    };
    put_good_beside(engine, now_ns, entry, call);
}

/* ---- storing ---- */

/* What is of another epoch is as if it were not there. */
static void forget_other_epochs(struct engine *engine, struct entry *entry)
{
    if (entry->latest.answer != NULL && !is_present(engine, &entry->latest))
        let_latest_go(engine, entry);
    if (entry->good.answer != NULL && !is_present(engine, &entry->good))
        let_go(&entry->good);
}

/* The good one among those before stays beside one that is not. */
static void replace_latest(struct engine *engine, uint64_t now_ns, struct entry *entry, struct answer *answer,
                           struct fence fence)
{
    struct kept before = entry->latest;
    bool was_good = before.answer != NULL && is_good(before.answer);

    count_fresh(engine, entry, false);
    entry->latest = (struct kept){.answer = answer_share(answer), .fence = fence, .answered_ns = now_ns};
    if (was_good || is_good(answer))
        let_go(&entry->good);
    if (was_good && !is_good(answer))
        entry->good = before;
    else
        let_go(&before);
}

static bool is_worth_keeping(const struct engine *engine, const struct entry *entry, const struct answer *answer,
                             struct fence fence, const struct hold *hold)
{
    uint64_t size = sizeof *entry + strlen(entry->provider) + 1 + sizeof *answer + answer->size;
    bool holds_newer = (is_present(engine, &entry->latest) && entry->latest.fence.generation > fence.generation) ||
                       (is_present(engine, &entry->good) && entry->good.fence.generation > fence.generation);
    bool is_of_use = hold->fresh_ns > 0 || (is_good(answer) && engine->settings.keep_good_ns > 0);

    return !holds_newer && is_of_use && engine->settings.cache_entries_max > 0 &&
           size <= engine->settings.cache_bytes_max;
}

uint64_t cache_store(struct engine *engine, uint64_t now_ns, struct entry *entry, struct answer *answer,
                     struct fence fence)
{
    uint64_t size_before = entry_size(entry);
    bool outlived;
    struct hold hold;

    forget_other_epochs(engine, entry);
    outlived = refusal_outlives(entry, answer);
    hold = hold_of(engine, now_ns, entry, answer);
    if (is_worth_keeping(engine, entry, answer, fence, &hold)) {
        /* The refusal stands in either case, but who asks for the newer generation must be held off, too. */
        if (!outlived || fence.generation > entry->latest.fence.generation)
            replace_latest(engine, now_ns, entry, answer, fence);
        if (entry_size(entry) > engine->settings.cache_bytes_max)
            let_go(&entry->good);
        entry->refusal_pause_ns = hold.refusal_pause_ns;
        entry->fresh_until_ns = time_after(now_ns, hold.fresh_ns);
        entry->held_until_ns = time_after(now_ns, hold.held_ns);
        count_fresh(engine, entry, hold.fresh_ns > 0);
        engine_count(engine, ENGINE_COUNTER_STORED);
    }
    entry_settle(engine, entry, size_before);
    if (entry->in_use.list != NULL)
        use(engine, entry);
    keep_share(engine, entry->household);
    keep_bounds(engine);
    return outlived ? 0 : hold.fresh_ns;
}

/* ---- failures ---- */

bool cache_fails(const struct engine *engine, uint64_t now_ns, const struct entry *entry,
                 const struct engine_call *call, struct status *status_out)
{
    const struct failure *failure = entry->failure;
    uint64_t left_ns;

    if (failure == NULL || failure->fence.epoch != engine->epoch ||
        (call->probe.refresh && !MUTANT(REFRESH_HEEDS_FAILURE)) || is_older_than_asked(call, failure->fence) ||
        now_ns - failure->failed_ns >= engine->settings.failure_ttl_ns)
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
    uint64_t fresh_count = 0;

    LIST_EACH_SAFE (node, entries) {
        struct entry *entry = LIST_OWNER(node, struct entry, in_household);

        if (provider[0] != '\0' && strcmp(provider, entry->provider) != 0 && !MUTANT(PROVIDER_DROPS_ALL))
            continue;
        fresh_count += is_present(engine, &entry->latest) && now_ns < entry->fresh_until_ns;
        if (MUTANT(FENCE_KEEPS_ANSWERS) || (MUTANT(GOOD_ACROSS_FENCE) && entry->latest.answer == NULL))
            continue;
        drop_answers(engine, entry);
        cache_forget_failure(entry);
        entry_leave_if_empty(engine, entry);
    }
    return fresh_count;
}

uint64_t cache_drop(struct engine *engine, uint64_t now_ns, struct household *household, const char *provider)
{
    uint64_t fresh_count;

    /* The blanks first: an entry without its answer goes over to them. */
    (void)drop_covered(engine, now_ns, &household->blanks, provider);
    fresh_count = drop_covered(engine, now_ns, &household->answers, provider);
    engine->counters[ENGINE_COUNTER_FENCED] += fresh_count;
    return fresh_count;
}

/* What is of an older epoch was last used before all that is of this one. */
static struct entry *first_older(const struct engine *engine)
{
    const struct list_node *used = engine->cache.used.first, *failed = engine->cache.failures.first;
    struct entry *entry = used == NULL ? NULL : LIST_OWNER(used, struct entry, in_use);
    const struct failure *failure = failed == NULL ? NULL : LIST_OWNER(failed, struct failure, in_age);

    if (entry != NULL && !is_present(engine, &entry->latest) && !is_present(engine, &entry->good))
        return entry;
    return failure != NULL && failure->fence.epoch != engine->epoch ? failure->entry : NULL;
}

void cache_forget_older(struct engine *engine, unsigned count_max)
{
    struct entry *entry;

    while (count_max-- > 0 && (entry = first_older(engine)) != NULL) {
        struct household *household = entry->household;

        if (has_answer(entry) && !is_present(engine, &entry->latest) && !is_present(engine, &entry->good))
            drop_answers(engine, entry);
        if (entry->failure != NULL && entry->failure->fence.epoch != engine->epoch)
            cache_forget_failure(entry);
        entry_leave_if_empty(engine, entry);
        (void)household_leave_if_empty(engine, 0, household);
    }
}

uint64_t cache_begin_epoch(struct engine *engine, uint64_t now_ns)
{
    uint64_t fresh_count;

    cache_sweep(engine, now_ns);
    fresh_count = engine->cache.fresh_count;
    engine->cache.fresh_count = 0;
    engine->counters[ENGINE_COUNTER_FENCED] += fresh_count;
    return fresh_count;
}

/* ---- age ---- */

static struct entry *first_due(const struct engine *engine)
{
    struct heap_node *node = heap_first(&engine->cache.dues);

    return node == NULL ? NULL : LIST_OWNER(node, struct entry, due);
}

static uint64_t answers_due_ns(const struct engine *engine)
{
    const struct entry *entry = first_due(engine);

    return entry == NULL ? UINT64_MAX : entry->due.due_ns;
}

static uint64_t failures_due_ns(const struct engine *engine)
{
    const struct list *list = &engine->cache.failures;

    return list->count == 0 ? UINT64_MAX
                            : time_after(LIST_OWNER(list->first, struct failure, in_age)->failed_ns,
                                         engine->settings.failure_ttl_ns);
}

/* Something of it is over: the latest is fresh no more, or is of no use any more, or the good one is not. */
static void entry_ages(struct engine *engine, uint64_t now_ns, struct entry *entry)
{
    uint64_t size_before = entry_size(entry);

    if (entry->counted_fresh && entry->fresh_until_ns <= now_ns)
        count_fresh(engine, entry, false);
    if (entry->latest.answer != NULL && !entry->counted_fresh && latest_ends_ns(engine, entry) <= now_ns)
        let_latest_go(engine, entry);
    if (entry->good.answer != NULL && good_ends_ns(engine, entry) <= now_ns)
        let_go(&entry->good);
    entry_settle(engine, entry, size_before);
    entry_leave_if_empty(engine, entry);
}

static bool sweep_one(struct engine *engine, uint64_t now_ns)
{
    if (answers_due_ns(engine) <= now_ns) {
        entry_ages(engine, now_ns, first_due(engine));
        return true;
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
    uint64_t next_ns = shorter(answers_due_ns(engine), failures_due_ns(engine));

    return later(next_ns, engine->cache.sweep_ns_min);
}

void cache_fini(struct engine *engine)
{
    struct cache *cache = &engine->cache;

    while (cache->failures.count > 0)
        forget_oldest_failure(engine);
    while (cache->used.count > 0) {
        struct entry *entry = LIST_OWNER(cache->used.first, struct entry, in_use);

        drop_answers(engine, entry);
        entry_leave_if_empty(engine, entry);
    }
    heap_fini(&cache->dues);
}
