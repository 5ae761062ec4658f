/* The ledger's books, for its two files: ledger.c keeps the probes', ledger_news.c the invalidations' and events'. */
#ifndef CLIENT_PROBELOAD_LEDGER_INSIDE_H
#define CLIENT_PROBELOAD_LEDGER_INSIDE_H

#include "client/probeload/ledger.h"
#include "client/probeload/statement.h"

#include <pthread.h>
#include <stdatomic.h>
#include <uthash.h>

enum {
    STRIPE_COUNT = 64,
    EPOCH_COUNT_MAX = 1024,    /* later ones cannot be placed any more */
    PENDING_COUNT_MAX = 65536, /* invalidations remembered */
};

/* A fence as it was sent; generation 0: none. */
struct fence_seen {
    uint64_t epoch, generation;
};

/* Guarded by its stripe; path and index are fixed. */
struct home_record {
    UT_hash_handle hh;             /* by path */
    const char *path;              /* owned, canonical */
    size_t index;                  /* its own; of a path that is named twice, the first's */
    struct ledger_point newest;    /* seen in anything */
    struct fence_seen invalidated; /* the newest that an Invalidate of ours was answered with */
    struct ledger_point invalidated_point;
};

/* What invalidations have said of one provider in one home.  Guarded by the home's stripe. */
struct scope {
    struct ledger_point floor;
    uint64_t worker_from_ns;
};

/* What one subscriber has heard of one home.  Guarded by the home's stripe. */
struct heard {
    struct fence_seen last; /* none: nothing yet */
    bool doubted;           /* something may have been missed since */
};

/* One Invalidate of ours. */
struct pending {
    uint64_t number; /* 0: unused */
    size_t home, provider;
    uint64_t begun_ns;
    struct fence_seen answered, heard;
};

struct ledger {
    /* Fixed at create. */
    const struct load_plan *plan;
    size_t key_count; /* at least 1: without keys it is the empty one */
    bool signed_only;
    struct statement_secret secret;
    uint32_t run; /* in every reason: events of other runs are not ours */
    struct home_record *homes, *by_path;
    uint64_t *key_digests;

    pthread_mutex_t stripes[STRIPE_COUNT];
    struct scope *scopes;          /* home by provider */
    struct ledger_point *progress; /* home by provider by key */
    struct heard *heard;           /* subscriber by home */

    pthread_mutex_t epoch_lock; /* to add one */
    uint64_t epochs[EPOCH_COUNT_MAX];
    atomic_size_t epoch_count; /* those below stand */

    pthread_mutex_t pending_lock;
    struct pending *pending;    /* guarded by pending_lock */
    uint64_t invalidation_last; /* guarded by pending_lock */

    pthread_mutex_t news_lock;
    pthread_cond_t news;
    uint64_t news_count; /* guarded by news_lock */

    pthread_mutex_t evidence_lock;
    char evidence[LEDGER_EVIDENCE_SIZE]; /* guarded by evidence_lock */
    atomic_bool broken;

    atomic_uint_fast64_t answer_count, signed_count, invalidation_count, event_count, gap_count;
};

static inline pthread_mutex_t *ledger_stripe(struct ledger *ledger, size_t home)
{
    return &ledger->stripes[home % STRIPE_COUNT];
}

static inline struct scope *ledger_scope(struct ledger *ledger, size_t home, size_t provider)
{
    return &ledger->scopes[home * ledger->plan->provider_count + provider];
}

static inline bool point_is_before(struct ledger_point a, struct ledger_point b)
{
    return a.epoch_number != b.epoch_number ? a.epoch_number < b.epoch_number : a.generation < b.generation;
}

static inline struct ledger_point point_later(struct ledger_point a, struct ledger_point b)
{
    return point_is_before(a, b) ? b : a;
}

/* Where the fence stands, for a call that began when `newest_epoch_number` was the newest.  Numbers an epoch that
 * becomes known by it.  Epoch number 0: it cannot be placed. */
struct ledger_point ledger_place(struct ledger *ledger, const Probed__V1__Fence *fence, uint64_t newest_epoch_number);

/* Told of a call. */
void ledger_break_call(struct ledger *ledger, const struct ledger_call *call, const char *method, const char *format,
                       ...) PRINTF_LIKE(4, 5);

#endif
