/* Who takes part: calls and workers, as the world plays them and the judge follows them.
 *
 * Each has two sections with one writer each: what the world decided, and what the judge concluded.  Memory of calls
 * is used again at once, as the daemon does, so that a late departure meets the memory's next user. */
#ifndef TESTS_SIM_CAST_H
#define TESTS_SIM_CAST_H

#include "server/base/list.h"
#include "server/engine/engine.h"

#include <stdbool.h>
#include <stdint.h>

enum { CAST_ALL = 0xffff }; /* in place of a home's or provider's number */

/* What stands at the beginning of every answer's bytes: enough to say whether anybody may be given it. */
struct cast_mark {
    unsigned home, provider, key;
    struct fence fence; /* of the lease */
    uint64_t lease_id, worker_id;
    uint64_t answered_ns;
    enum account_status account;
    bool good; /* figures, and nothing that speaks against them */
    uint64_t retry_ns, interval_ns;
};

enum call_place {
    CALL_FREE, /* the world's: not in the engine */
    CALL_PARKED,
    CALL_ABOARD,
    CALL_QUIESCING,
    CALL_IN_NEWS
};

struct model_flight;

struct sim_call {
    struct engine_call engine; /* first: lent to the engine */

    /* The world's: what is asked. */
    uint64_t id;
    enum engine_call_kind kind;
    unsigned home, provider, key;
    uint32_t uid;
    uint64_t arrived_ns, deadline_ns;
    bool refresh, accept_stale;
    uint64_t age_ns_max;
    struct fence at_least;
    bool quiesced, known_only;
    bool crowd; /* whoever put it calls again */
    uint64_t new_epoch;
    struct sim_call *next_free;

    /* The judge's. */
    enum call_place place;
    bool given_back; /* in this step */
    struct model_flight *flight;
    struct list_node node; /* of the flight's callers, or of those quiescing */
    bool starter;          /* its flight was started for it */
    struct fence decided;  /* what its invalidation made */
    uint64_t fence_serial; /* the same among all invalidations */
    uint64_t dropped_min, dropped_max, retired_min, retired_max, draining_min, draining_max;
};

static inline struct sim_call *cast_call(struct engine_call *call)
{
    return (struct sim_call *)(void *)call;
}

enum sim_worker_state {
    SIM_WORKER_PINNING,   /* its home is to be opened */
    SIM_WORKER_LAUNCHING, /* its process is to be started */
    SIM_WORKER_IDLE,
    SIM_WORKER_LEASED,
    SIM_WORKER_ENDING,
    SIM_WORKER_FORGOTTEN /* by the engine; perhaps its channel is still to be closed */
};

struct sim_worker {
    /* The judge's. */
    uint64_t id;
    unsigned home;
    enum sim_worker_state state;
    struct fence fence;   /* of its start */
    uint64_t born_serial; /* how many invalidations there had been */
    bool vague;           /* its start was seen late: perhaps it is older than its fence says */
    bool doomed;          /* may have no further lease */
    bool launched;        /* a LAUNCH came out: a process may exist */
    bool closed;          /* an END came out with its channel */
    bool end_owed;        /* an END must come out */
    bool told_gone;       /* the engine knows that its process is gone */
    bool at_fault;        /* it ended, or strayed, of its own accord, */
    uint64_t fault_row;   /* after so many answers and invalidations of its home */
    bool has_answered;    /* once at least */
    bool ahead;           /* it was started for nobody in particular, and is not up yet */
    unsigned end_count;   /* ENDs that came out */
    uint64_t started_ns, up_ns, idle_since_ns, spawn_ns;
    uint64_t idle_serial; /* which of its idle times this is */
    uint64_t turn;        /* the engine's name for the last of them */
    uint64_t lease_count;
    int home_fd; /* handed to the engine, -1 before and after */
    struct worker_channel channel;
    struct engine_lease *lease;
    uint64_t lease_id, granted_ns;
    enum origin origin;          /* of that lease */
    struct model_flight *flight; /* NULL: overtaken, nobody hears it */
    struct list_node node;       /* of those that the engine counts */
    struct sim_worker *next_in_bucket, *next_of_all;

    /* The custodian's, and the handler's. */
    bool dead;           /* its process has ended, or is being ended */
    bool gone_scheduled; /* the report of its end is under way */
    bool gone_reported;
    enum lease_end outcome; /* what will come of its lease */
    bool custodians_doing;  /* it was the custodian that ended it */
};

#endif
