/* A worker: a process that holds one home's credentials under one generation, lent to one flight at a time.
 *
 *     STARTING --up--> IDLE <--lease / return--> LEASED --fence, its process is gone--> DRAINING
 *     any of them --fence, fault, age, room, end--> ENDING --gone--> (its seat)
 *
 * STARTING has two stages: its home is being opened (PINNING), its process is being started (LAUNCHING).  A start that
 * is not wanted any more while its home is being opened is ENDING until the answer to the PIN comes.
 *
 * When its process is gone the worker is: it is counted no more.  Its seat is free again once the orders about it are
 * out, too.  A process may be gone while its lease is still out; the worker is DRAINING then, and leaves with it. */
#ifndef SERVER_ENGINE_WORKER_H
#define SERVER_ENGINE_WORKER_H

#include "server/engine/engine.h"

struct flight;
struct household;
struct tenant;

enum worker_stage { WORKER_PINNING, WORKER_LAUNCHING, WORKER_UP };

struct worker {
    /* Fixed from its start to its end. */
    uint64_t id; /* 0: the seat is free */
    struct household *household;
    struct fence fence; /* of the credentials it holds */
    uint32_t uid;       /* for whom it was started */
    bool ahead;         /* for nobody yet */

    struct tenant *tenant; /* a hold: for whom it was started, or to whom it was last lent */
    enum worker_state state;
    enum worker_stage stage;
    bool gone;           /* its process; also one that never was */
    uint64_t since_ns;   /* in this state */
    uint64_t started_ns; /* STARTING: since then; else: when it came up */
    uint64_t spawn_ns;
    bool cold; /* has just come up and waited for nobody yet */
    int32_t pid;
    uint64_t lease_count;
    bool answered;             /* at least once */
    bool failed;               /* ended of itself, without leave: it counts as a fault if it never answered, */
    uint64_t row;              /* unless an answer or a fence has ended this row of faults meanwhile */
    struct engine_lease lease; /* LEASED, DRAINING: lent */
    struct worker_channel channel;
    struct flight *flight; /* whom the lease is for; NULL: nobody hears it */

    struct list_node in_state;     /* of household.in_state; a free seat: of pool.free_seats */
    struct list_node in_household; /* of household.workers */
    struct list_node in_pool;      /* of pool.workers */
    struct list_node in_idle;      /* IDLE: of pool.idle */
    struct heap_node due;          /* IDLE: in pool.dues, when it is ended */
    struct worker *next_in_bucket; /* of pool.buckets */

    struct list_node in_orders; /* of engine.orders */
    unsigned orders;            /* a set of enum engine_order_kind: what is to come out, in this order */
    enum engine_end_reason end_reason;
    int home_fd; /* LAUNCH to come out: given */
};

/* NULL: there is none, or no more. */
struct worker *worker_find(const struct engine *engine, uint64_t worker_id);

/* In a free seat, for a call of this uid, or ahead of any: orders the PIN. */
void worker_start(struct engine *engine, uint64_t now_ns, struct household *household, struct tenant *tenant,
                  uint32_t uid, bool ahead);

/* The only writer of worker->state. */
void worker_move(struct engine *engine, uint64_t now_ns, struct worker *worker, enum worker_state next);

/* Fills in the lease and lends it. */
void worker_lend(struct engine *engine, uint64_t now_ns, struct worker *worker, struct flight *flight,
                 struct actions *actions);

/* Why it will end, or ends; the first word stands. */
void worker_ends_for(struct worker *worker, enum engine_end_reason reason);

/* Not leased, and of no further use: it is ended. */
void worker_end(struct engine *engine, uint64_t now_ns, struct worker *worker, enum engine_end_reason reason);

/* Starting, idle or leased: it counts against workers_per_home. */
bool worker_is_live(const struct worker *worker);

/* Too old or too often used for another lease. */
bool worker_is_worn_out(const struct engine *engine, uint64_t now_ns, const struct worker *worker);

/* One that will do no more for its wear: it is ended, and if it was of use, another started in its place. */
void worker_retire(struct engine *engine, uint64_t now_ns, struct worker *worker);

/* An idle one whose time has come. */
void worker_ends_by_time(struct engine *engine, uint64_t now_ns, struct worker *worker);

/* Idle, under settings that have changed. */
void worker_set_due(struct engine *engine, struct worker *worker);

/* It has ended, or is of no use, of itself: what becomes of its process is still to be told. */
void worker_fails(struct worker *worker);

/* Its process has gone of itself, or never came up: a fault of its home's if it never answered. */
void worker_note_fault(struct engine *engine, uint64_t now_ns, struct worker *worker, const struct status *cause);

/* Its process is gone and no lease is out: it leaves its home and the pool. */
void worker_leave(struct engine *engine, struct worker *worker);

#endif
