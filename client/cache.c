/* Answers kept on this side, for as long as the subscriber vouches for them.
 *
 * Nothing is ever dropped because of an event: an answer is worth what its fence is worth, and that is compared with the
 * newest that is known each time it is asked for.  So there is no moment at which an event was heard and an answer from
 * before it could still be given.
 *
 * Locks: one, a leaf; the subscriber and the channel are called with it released. */
#include "client/outcome.h"
#include "client/subscriber.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* A failed insertion leaves the table as it was, and says so. */
#define HASH_NONFATAL_OOM            1
#define uthash_nonfatal_oom(element) (inserted = false)
#include <uthash.h>

enum {
    ENTRY_COUNT_DEFAULT = 256,
    ANSWER_SIZE_MAX = 65536, /* packed; larger ones are not kept */
};

/* Packed, immutable, shared by its count between the table and those who unpack it. */
struct answer {
    atomic_uint holder_count;
    size_t size;
    unsigned char bytes[];
};

struct entry {
    UT_hash_handle hh;
    struct answer *answer; /* owned */
    struct probed_fence fence;
    uint64_t asked_ms; /* before it was asked for */
    uint64_t fresh_ms; /* since then */
    uint32_t age_ms;   /* as it was told */
    uint64_t used;     /* cache->use_count when it was used last */
    char key[];        /* home NUL provider NUL */
};

struct probed_cache {
    /* Fixed at open. */
    struct probed_channel *channel; /* lent */
    struct probed_subscriber *subscriber;
    size_t entry_count_max;

    atomic_uint_fast64_t hit_count, miss_count;

    /* Guarded by lock. */
    pthread_mutex_t lock;
    struct entry *entries; /* owned */
    uint64_t use_count;
};

/* ---- answers ---- */

static struct answer *answer_pack(const Probed__V1__ProbeResponse *response)
{
    size_t size = probed__v1__probe_response__get_packed_size(response);
    struct answer *answer;

    if (size > ANSWER_SIZE_MAX)
        return NULL;
    answer = malloc(sizeof *answer + size);
    if (answer == NULL)
        return NULL;
    atomic_init(&answer->holder_count, 1);
    answer->size = size;
    probed__v1__probe_response__pack(response, answer->bytes);
    return answer;
}

static void answer_release(struct answer *answer)
{
    if (answer != NULL && atomic_fetch_sub(&answer->holder_count, 1) == 1)
        free(answer);
}

/* ---- entries ---- */

/* NULL: no memory.  free() it. */
static char *make_key(const char *home, const char *provider, size_t *size_out)
{
    size_t home_size = strlen(home) + 1, provider_size = strlen(provider) + 1;
    char *key = malloc(home_size + provider_size);

    if (key == NULL)
        return NULL;
    memcpy(key, home, home_size);
    memcpy(key + home_size, provider, provider_size);
    *size_out = home_size + provider_size;
    return key;
}

static void drop_held(struct probed_cache *cache, struct entry *entry)
{
    HASH_DEL(cache->entries, entry);
    answer_release(entry->answer);
    free(entry);
}

static struct entry *find_held(struct probed_cache *cache, const char *key, size_t key_size)
{
    struct entry *entry;

    HASH_FIND(hh, cache->entries, key, key_size, entry);
    return entry;
}

/* The one used longest ago; a look at each is little beside the round trip that has just been made. */
static struct entry *oldest_held(struct probed_cache *cache)
{
    struct entry *oldest = cache->entries;

    for (struct entry *entry = cache->entries; entry != NULL; entry = entry->hh.next) {
        if (entry->used < oldest->used)
            oldest = entry;
    }
    return oldest;
}

static void add_held(struct probed_cache *cache, struct entry *entry, size_t key_size)
{
    bool inserted = true;

    entry->used = ++cache->use_count;
    HASH_ADD(hh, cache->entries, key, key_size, entry);
    if (inserted)
        return;
    answer_release(entry->answer);
    free(entry);
}

/* ---- from memory ---- */

/* What is asked of an answer beside its being of the newest generation. */
static bool suits(const struct entry *entry, const Probed__V1__ProbeRequest *request, uint64_t now_ms)
{
    uint64_t held_ms = now_ms - entry->asked_ms;

    if (held_ms >= entry->fresh_ms || (request->max_age_ms != 0 && entry->age_ms + held_ms > request->max_age_ms))
        return false;
    return request->at_least == NULL ||
           (request->at_least->epoch == entry->fence.epoch && request->at_least->generation <= entry->fence.generation);
}

/* Unpacks, and says what has become of it since. */
static bool give(const struct answer *answer, uint64_t held_ms, Probed__V1__ProbeResponse **response_out)
{
    Probed__V1__ProbeResponse *response = probed__v1__probe_response__unpack(NULL, answer->size, answer->bytes);

    if (response == NULL)
        return false;
    response->origin = PROBED__V1__ORIGIN__ORIGIN_CACHED;
    response->age_ms += (uint32_t)held_ms;
    response->fresh_ms = response->fresh_ms > held_ms ? response->fresh_ms - (uint32_t)held_ms : 0;
    if (response->last_good != NULL)
        response->last_good_age_ms += held_ms;
    *response_out = response;
    return true;
}

static bool answer_from_memory(struct probed_cache *cache, const Probed__V1__ProbeRequest *request, const char *key,
                               size_t key_size, Probed__V1__ProbeResponse **response_out)
{
    uint64_t now_ms = outcome_now_ms(), held_ms = 0;
    struct probed_subscriber_state state;
    struct answer *answer = NULL;
    struct probed_fence fence;
    struct entry *entry;
    bool given;

    probed_subscriber_state(cache->subscriber, &state);
    if (!state.current || !probed_subscriber_fence(cache->subscriber, request->home, &fence))
        return false;
    pthread_mutex_lock(&cache->lock);
    entry = find_held(cache, key, key_size);
    if (entry != NULL && entry->fence.epoch == fence.epoch && entry->fence.generation == fence.generation &&
        suits(entry, request, now_ms)) {
        answer = entry->answer;
        atomic_fetch_add(&answer->holder_count, 1);
        held_ms = now_ms - entry->asked_ms;
        entry->used = ++cache->use_count;
    }
    pthread_mutex_unlock(&cache->lock);
    if (answer == NULL)
        return false;
    given = give(answer, held_ms, response_out);
    answer_release(answer);
    return given;
}

/* ---- from the daemon ---- */

static void keep(struct probed_cache *cache, const char *key, size_t key_size, uint64_t asked_ms,
                 const Probed__V1__ProbeResponse *response)
{
    struct entry *entry, *old;

    if (response->fence == NULL || response->fresh_ms == 0 || response->stale_reason[0] != '\0')
        return;
    entry = malloc(sizeof *entry + key_size);
    if (entry == NULL)
        return;
    *entry = (struct entry){.answer = answer_pack(response),
                            .fence = {.epoch = response->fence->epoch, .generation = response->fence->generation},
                            .asked_ms = asked_ms,
                            .fresh_ms = response->fresh_ms,
                            .age_ms = response->age_ms};
    if (entry->answer == NULL) {
        free(entry);
        return;
    }
    memcpy(entry->key, key, key_size);
    pthread_mutex_lock(&cache->lock);
    old = find_held(cache, key, key_size);
    if (old != NULL)
        drop_held(cache, old);
    else if (HASH_COUNT(cache->entries) >= cache->entry_count_max)
        drop_held(cache, oldest_held(cache));
    add_held(cache, entry, key_size);
    pthread_mutex_unlock(&cache->lock);
}

struct probed_status probed_cache_probe(struct probed_cache *cache, const Probed__V1__ProbeRequest *request,
                                        const struct probed_call_options *options,
                                        Probed__V1__ProbeResponse **response_out)
{
    bool with_key = request->api_key[0] != '\0';
    Probed__V1__ProbeRequest canonical = *request;
    uint64_t asked_ms = outcome_now_ms();
    struct probed_status status;
    size_t key_size = 0;
    char *key;

    /* What its name leads to may change; what is heard of is the home that it led to. */
    canonical.home = (char *)(uintptr_t)subscriber_canonical(cache->subscriber, request->home);
    key = with_key ? NULL : make_key(canonical.home, request->provider, &key_size);

    if (key != NULL && !request->refresh && answer_from_memory(cache, &canonical, key, key_size, response_out)) {
        atomic_fetch_add(&cache->hit_count, 1);
        free(key);
        return outcome_ok();
    }
    atomic_fetch_add(&cache->miss_count, 1);
    status = probed_probe(cache->channel, &canonical, options, response_out);
    if (outcome_is_ok(&status) && key != NULL)
        keep(cache, key, key_size, asked_ms, *response_out);
    free(key);
    return status;
}

/* ---- life ---- */

struct probed_status probed_cache_open(const struct probed_cache_options *options, struct probed_cache **cache_out)
{
    struct probed_subscriber_options subscription = {.url = options->events_url,
                                                     .channel = options->channel,
                                                     .homes = options->homes,
                                                     .home_count = options->home_count,
                                                     .tls = options->tls};
    struct probed_cache *cache;
    struct probed_status status;

    if (options->channel == NULL)
        return outcome_make(PROBED_INVALID_ARGUMENT, "a cache needs a channel to ask on");
    cache = calloc(1, sizeof *cache);
    if (cache == NULL)
        return outcome_make(PROBED_RESOURCE_EXHAUSTED, "no memory for a cache");
    cache->channel = options->channel;
    cache->entry_count_max = options->entry_count_max != 0 ? options->entry_count_max : ENTRY_COUNT_DEFAULT;
    status = probed_subscriber_open(&subscription, &cache->subscriber);
    if (!outcome_is_ok(&status)) {
        free(cache);
        return status;
    }
    pthread_mutex_init(&cache->lock, NULL);
    *cache_out = cache;
    return status;
}

struct probed_subscriber *probed_cache_subscriber(const struct probed_cache *cache)
{
    return cache->subscriber;
}

void probed_cache_look(const struct probed_cache *cache, struct probed_cache_counts *counts_out)
{
    counts_out->hits = atomic_load(&cache->hit_count);
    counts_out->misses = atomic_load(&cache->miss_count);
}

void probed_cache_close(struct probed_cache *cache)
{
    struct entry *entry, *next;

    if (cache == NULL)
        return;
    probed_subscriber_close(cache->subscriber);
    HASH_ITER(hh, cache->entries, entry, next)
    {
        drop_held(cache, entry);
    }
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}
