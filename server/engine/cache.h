/* What is known of a key (home, provider, fingerprint): the last answer, the last failure, the flights.
 *
 * Answers are kept for the TTL, those that say UNAVAILABLE for the failure TTL, least recently used first within two
 * bounds (entries, bytes); a home with more than a sixteenth of either evicts its own first, though it may always have
 * one.  A failure is remembered beside the answer and replaces none.
 *
 * What a fence of its home covers is dropped by the fence.  A new epoch drops nothing: what is of another epoch is as
 * if it were not there, and goes as it ages.
 *
 * An entry with no answer, failure or flight does not exist. */
#ifndef SERVER_ENGINE_CACHE_H
#define SERVER_ENGINE_CACHE_H

#include "server/base/list.h"
#include "server/base/map.h"
#include "server/engine/engine.h"

struct household;

/* How long an answer is kept: which list it ages in. */
enum cache_keeping { CACHE_FOR_TTL, CACHE_BRIEFLY, CACHE_KEEPING_COUNT };

enum { CACHE_SHARES = 16 }; /* a home may have one of so many */

struct failure {
    struct list_node in_age; /* of cache.failures */
    struct entry *entry;
    struct fence fence; /* the generation that it failed under */
    uint64_t failed_ns;
    struct status status;
};

struct entry {
    UT_hash_handle handle;         /* of cache.entries, by what follows `household` */
    struct list_node in_household; /* of household.answers or .blanks */
    struct list_node in_use;       /* with an answer: of cache.used */
    struct list_node in_age;       /* with an answer: of cache.by_age */
    struct list flights;           /* of this key; more than one only where at_least kept a call from joining */
    struct failure *failure;       /* owned; NULL */
    struct answer *answer;         /* a count; NULL */
    struct fence fence;            /* the answer's */
    uint64_t answered_ns;
    /* The key, to the end of the provider, whose terminator is not part of it. */
    struct household *household;
    struct fingerprint fingerprint;
    char provider[];
};

struct cache {
    struct entry *entries;                   /* map */
    struct list used;                        /* entries with an answer, least recently used first */
    struct list by_age[CACHE_KEEPING_COUNT]; /* the same, oldest answer first */
    struct list failures;                    /* oldest first */
    uint64_t bytes;                          /* of the entries with an answer */
    uint64_t present_count;                  /* answers of the present epoch */
    uint64_t sweep_ns_min;                   /* the last sweep left some: the next is not before this */
};

/* NULL: nothing is known of the call's key.  household NULL: of its home. */
struct entry *entry_find(const struct engine *engine, struct household *household, const struct engine_call *call);

/* The same, created where it is not; NULL when memory is short. */
MUST_USE struct entry *entry_obtain(struct engine *engine, struct household *household, const struct engine_call *call);

/* Gone, if it has nothing any more. */
void entry_leave_if_empty(struct engine *engine, struct entry *entry);

/* Whether the call is answered from the cache; writes call->result and uses the entry. */
bool cache_answers(struct engine *engine, uint64_t now_ns, struct entry *entry, struct engine_call *call);

/* Whether the key's last failure is answered to the call as well; writes *status_out. */
bool cache_fails(const struct engine *engine, uint64_t now_ns, const struct entry *entry,
                 const struct engine_call *call, struct status *status_out);

/* For how long an answer like this may be kept from its beginning. */
uint64_t cache_kept_ns(const struct engine *engine, const struct answer *answer);

/* Shares it, if there is room for it, and evicts what has to go. */
void cache_store(struct engine *engine, uint64_t now_ns, struct entry *entry, struct answer *answer,
                 struct fence fence);

/* Takes the failure (filled in but for its entry). */
void cache_remember(struct engine *engine, struct entry *entry, struct failure *failure);
void cache_forget_failure(struct entry *entry);

/* A fence: drops answers and failures of this provider ("": all) in the household; how many answers were still good. */
uint64_t cache_drop(struct engine *engine, uint64_t now_ns, struct household *household, const char *provider);

/* A new epoch has begun: how many answers were good until then. */
uint64_t cache_begin_epoch(struct engine *engine, uint64_t now_ns);

/* Lets go of what is too old, in pieces; when to come back, UINT64_MAX: there is nothing. */
void cache_sweep(struct engine *engine, uint64_t now_ns);
uint64_t cache_next_ns(const struct engine *engine);

/* At the end of everything. */
void cache_fini(struct engine *engine);

#endif
