/* What is known of a key (home, provider, fingerprint): the latest answer, the last good one, the last failure, the
 * flights.
 *
 * An answer is fresh for a while: it is given to whoever asks.  Some hold as well: for so long neither age nor refresh
 * has the provider asked again, since it wants to be left alone (RATE_LIMITED, its polling manners) or has refused the
 * secret (INVALID_KEY).  The newest answer with figures outlives its freshness for keep_good, to stand beside one
 * without, or in for a failure.
 *
 * Two bounds (entries, bytes) hold for all that is kept, least recently used first; a home with more than a sixteenth
 * of either evicts its own first, though it may always have one.  A failure is remembered beside the answers and
 * replaces none.
 *
 * What a fence of its home covers is dropped by the fence.  A new epoch drops nothing: what is of another epoch is as
 * if it were not there, and goes as it ages.
 *
 * An entry with no answer, failure or flight does not exist. */
#ifndef SERVER_ENGINE_CACHE_H
#define SERVER_ENGINE_CACHE_H

#include "server/base/heap.h"
#include "server/base/list.h"
#include "server/base/map.h"
#include "server/engine/engine.h"

struct household;

enum { CACHE_SHARES = 16 }; /* a home may have one of so many */

struct failure {
    struct list_node in_age; /* of cache.failures */
    struct entry *entry;
    struct fence fence; /* the generation that it failed under */
    uint64_t failed_ns;
    struct status status;
};

/* An answer that is kept. */
struct kept {
    struct answer *answer; /* a count; NULL: none */
    struct fence fence;
    uint64_t answered_ns;
};

/* What a hit looks at stands together behind the rest, so that it is in few lines of the CPU's cache. */
struct entry {
    struct list_node in_household; /* of household.answers or .blanks */
    struct heap_node due;          /* with an answer: in cache.dues, when something of it is over */
    struct kept good;              /* the newest with figures, where that is not the latest */
    bool counted_fresh;            /* in cache.fresh_count */

    struct failure *failure; /* owned; NULL */
    struct list flights;     /* of this key; more than one only where at_least kept a call from joining */
    struct list_node in_use; /* with an answer: of cache.used */
    struct kept latest;
    uint64_t fresh_until_ns;   /* the latest is given to whoever asks */
    uint64_t held_until_ns;    /* the same, refresh or not; never later than fresh_until_ns */
    uint64_t refusal_pause_ns; /* the latest is INVALID_KEY: how long plain probes wait; 0: it is not */
    UT_hash_handle handle;     /* of cache.entries, by what follows */
    /* The key, to the end of the provider, whose terminator is not part of it. */
    struct household *household;
    struct fingerprint fingerprint;
    char provider[];
};

struct cache {
    struct entry *entries; /* map */
    struct list used;      /* entries with an answer, least recently used first */
    struct heap dues;      /* room for every entry */
    struct list failures;  /* oldest first */
    uint64_t bytes;        /* of the entries with an answer */
    uint64_t fresh_count;  /* entries of the present epoch whose latest answer was fresh when last looked at */
    uint64_t sweep_ns_min; /* the last sweep left some: the next is not before this */
};

/* NULL: nothing is known of the call's key.  household NULL: of its home. */
struct entry *entry_find(const struct engine *engine, struct household *household, const struct engine_call *call);

/* The same, created where it is not; NULL when memory is short. */
MUST_USE struct entry *entry_obtain(struct engine *engine, struct household *household, const struct engine_call *call);

/* Gone, if it has nothing any more. */
void entry_leave_if_empty(struct engine *engine, struct entry *entry);

/* Whether the call is answered from the cache; writes call->result and uses the entry. */
bool cache_answers(struct engine *engine, uint64_t now_ns, struct entry *entry, struct engine_call *call);

/* Whether the last good answer is given in the place of this error; writes call->result.  entry NULL: never. */
bool cache_stands_in(struct engine *engine, uint64_t now_ns, struct entry *entry, struct engine_call *call,
                     const struct status *status);

/* Whether the key's last failure is answered to the call as well; writes *status_out. */
bool cache_fails(const struct engine *engine, uint64_t now_ns, const struct entry *entry,
                 const struct engine_call *call, struct status *status_out);

/* The answer of a flight: kept, if it is worth it and there is room, and what has to go is evicted.  For how long it
 * is fresh. */
uint64_t cache_store(struct engine *engine, uint64_t now_ns, struct entry *entry, struct answer *answer,
                     struct fence fence);

/* The answer that has landed, and what stands beside it, to one caller: writes call->result. */
void cache_hand_out(struct engine *engine, uint64_t now_ns, const struct entry *entry, struct answer *answer,
                    uint64_t fresh_ns, enum origin origin, struct engine_call *call);

/* Takes the failure (filled in but for its entry). */
void cache_remember(struct engine *engine, struct entry *entry, struct failure *failure);
void cache_forget_failure(struct entry *entry);

/* A fence: drops answers and failures of this provider ("": all) in the household; how many answers were fresh. */
uint64_t cache_drop(struct engine *engine, uint64_t now_ns, struct household *household, const char *provider);

/* Drops, of so many entries at most, what is of older epochs: it is as if it were not there, but takes its home's place.
 */
void cache_forget_older(struct engine *engine, unsigned count_max);

/* A new epoch has begun: how many answers were fresh until then. */
uint64_t cache_begin_epoch(struct engine *engine, uint64_t now_ns);

/* Lets go of what is too old, in pieces; when to come back, UINT64_MAX: there is nothing. */
void cache_sweep(struct engine *engine, uint64_t now_ns);
uint64_t cache_next_ns(const struct engine *engine);

/* At the end of everything. */
void cache_fini(struct engine *engine);

#endif
