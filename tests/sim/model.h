/* The judge: what the engine owes, step by step, written from the contract (proto/README.md 3) and engine.h, and from
 * nothing else.
 *
 * The world tells it what is about to happen (model_begin), lets the engine step, and hands over what came out
 * (model_judge; model_order and model_news for the outboxes; model_settle behind them).  Each claims what the
 * contract says about it and then follows: the model's flights, workers, cache and generations are concluded from what
 * went in and what came out.  Where the contract leaves a choice, the engine's choice is read off and the model goes
 * along.
 *
 * model.c         steps, and the sums behind them      model_calls.c     what a call may be given back with
 * model_leases.c  who is lent to whom                  model_cache.c     what may, and must, be cached
 * model_orders.c  starts and ends                      model_workers.c   what becomes of workers
 * model_fences.c  invalidations and their news         model_audit.c     everything at once, now and then */
#ifndef TESTS_SIM_MODEL_H
#define TESTS_SIM_MODEL_H

#include "server/engine/engine.h"
#include "tests/sim/cast.h"
#include "tests/sim/memory.h"
#include "tests/sim/plan.h"
#include "tests/sim/verdict.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MODEL_PATH_SIZE = 160, MODEL_BUCKET_COUNT = 256 };

/* ---- what the model believes ---- */

/* After a worker died of it, a probe is tried once more on a fresh one: no idle worker will do. */
enum flight_freshness {
    FRESHNESS_NO_MATTER,
    FRESHNESS_OPEN, /* it had its fresh one, and that came to nothing: whether another must be fresh is not said */
    FRESHNESS_ASKED
};

/* One question in the air, or waiting for a worker. */
struct model_flight {
    uint64_t number; /* in order of their beginnings */
    struct list_node of_home;
    struct list_node waiting; /* on the home's `ahead` or `queue` while it has no lease */
    unsigned home, provider, key;
    bool ahead; /* a re-run: goes before the others */
    bool leased;
    bool ending; /* all aboard must be given back in this step */
    unsigned overtaken_count;
    bool died; /* a worker died of it unanswered */
    enum flight_freshness freshness;
    uint64_t arrived_ns, admitted_ns; /* of the call that started it */
    struct fence fence;               /* of its lease */
    struct sim_worker *worker;
    const struct flight *identity; /* the engine's name for it: tells two of one key apart, no more */
    struct list callers;
};

enum entry_presence {
    ENTRY_NONE,
    ENTRY_MAYBE,  /* it may have been evicted */
    ENTRY_CERTAIN /* it must be served */
};

struct model_entry {
    enum entry_presence presence;
    bool vague; /* passed over by a look-up: its place among the least recently used is not known */
    struct cast_mark mark;
    struct list_node recent, recent_of_home; /* least recently used first */
};

struct model_failure {
    enum status_code code; /* OK: none remembered */
    uint64_t failed_ns;
    uint64_t number;    /* in order of their occurrence: the cache's bound holds for failures, too */
    struct fence fence; /* the home's then */
};

enum home_known { HOME_UNKNOWN, HOME_MAYBE, HOME_KNOWN };

struct model_home {
    char path[MODEL_PATH_SIZE];
    enum home_known known;
    uint64_t generation;
    uint64_t moved_ns;                         /* 0: not within this epoch */
    uint64_t covered[PLAN_PROVIDER_COUNT_MAX]; /* nothing below this generation is good */
    struct list flights, ahead, queue;
    struct list_node waiting; /* on the model's `waiting` while somebody waits */
    struct list entries;      /* least recently used first */
    struct model_entry entry[PLAN_PROVIDER_COUNT_MAX][PLAN_KEY_COUNT_MAX];
    struct model_failure failure[PLAN_PROVIDER_COUNT_MAX][PLAN_KEY_COUNT_MAX];
    uint64_t worker_counts[WORKER_STATE_COUNT];
};

struct model_news {
    enum engine_news_kind kind;
    unsigned home, provider;
    struct fence fence;
    uint64_t reason; /* its number: the call's id */
    struct sim_call *call;
    uint64_t step; /* in which it was decided */
    enum status_code code;
    struct model_news *next;
};

enum step_kind {
    STEP_PARKED,
    STEP_PROBE,
    STEP_INVALIDATE,
    STEP_SYNC,
    STEP_LEFT,
    STEP_PINNED,
    STEP_UP,
    STEP_GONE,
    STEP_SPOKE,
    STEP_RETURN,
    STEP_TIME,
    STEP_SETTINGS,
    STEP_DRAIN,
    STEP_STOP,
    STEP_KIND_COUNT
};

/* What is about to happen, and (below) what the model makes of it. */
struct model_step {
    enum step_kind kind;
    uint64_t now_ns;
    struct sim_call *call;     /* PARKED … LEFT; NULL: whose client left is not in the engine's hands */
    struct sim_call *left;     /* LEFT: the memory, and */
    uint64_t left_id;          /* whom it once served */
    struct sim_worker *worker; /* PINNED … RETURN */
    enum status_code code;     /* GONE, RETURN: what went wrong */
    enum lease_end end;        /* RETURN */
    struct answer *answer;     /* RETURN, ANSWERED */
    int home_fd;               /* PINNED */
    uint64_t turn;             /* SPOKE: in which idle time it did */
    bool taken;                /* PINNED: what the engine said; set before model_judge */

    struct model_flight *flight; /* RETURN: the one that was in the air with it; NULL: overtaken */
    struct sim_worker *freed;    /* became idle at first: is leased again, watched, or ended */
    bool start_failed;           /* GONE: it never came up, though it was wanted */
    bool boarded_anew;           /* PROBE: a flight was started for it */
};

struct model {
    const struct plan *plan;
    struct engine *engine; /* lent */
    struct secret *const *secrets;
    struct engine_settings settings;          /* in force */
    struct engine_settings tightest, loosest; /* of all that were in force */

    uint64_t epoch, first_epoch;
    uint64_t fence_serial;
    bool draining, stopped;
    struct model_home homes[PLAN_HOME_COUNT_MAX];
    struct list waiting; /* homes */
    struct list entries; /* all; least recently used first */

    struct list alive; /* workers that the engine counts */
    struct sim_worker *buckets[MODEL_BUCKET_COUNT];
    struct sim_worker *workers; /* owned: all of this run */
    uint64_t worker_counts[WORKER_STATE_COUNT];
    uint64_t owed_end_count, vague_count;
    uint64_t limbo_count;      /* their process is gone, their lease is not back */
    bool relaxed;              /* limits were raised under way: when starts make use of it is not said */
    bool undrained;            /* orders may be in the outbox */
    uint64_t undrained_serial; /* fence_serial when they were last known to be out */

    struct list quiescing;               /* calls */
    struct model_news *news, *news_last; /* what must come out, in order */

    uint64_t flight_count, aboard_count, waiting_call_count, held_count, leases_out;
    uint64_t lease_count, step_count, flight_number, failure_number;
    uint64_t ending_flight_count; /* flights whose callers must all be given back in this step */
    struct memory_watched watched;
    uint64_t counted[ENGINE_COUNTER_COUNT]; /* the same as the engine's, where the model knows them */
    struct engine_view before, view;
    struct model_step step;
};

/* ---- for the world ---- */

void model_init(struct model *model, const struct plan *plan, struct engine *engine, struct secret *const *secrets,
                uint64_t epoch);
void model_fini(struct model *model);

/* Writes the path of a home, and reads its number back (CAST_ALL: none of ours). */
void model_path(unsigned home, char *path_out);
unsigned model_home_number(const struct model *model, const char *path);
const char *model_provider(unsigned provider);

void model_begin(struct model *model, const struct model_step *step);
void model_judge(struct model *model, const struct actions *actions, struct memory_watched watched);

/* An order that came out; the worker it is about, a new one for a PIN. */
struct sim_worker *model_order(struct model *model, const struct engine_order *order);
void model_news(struct model *model, const struct engine_news *news);

/* Behind each step; drained: the order outbox was emptied. */
void model_settle(struct model *model, bool drained);

void model_settings(struct model *model, const struct engine_settings *settings);

/* Everything at once.  At the very end, too: the engine is empty. */
void model_audit(struct model *model);
void model_end(struct model *model);

/* Whether steps of this kind may ask for memory. */
bool model_step_may_allocate(const struct model *model, const struct model_step *step);

/* ---- between its parts ---- */

struct model_flight *model_flight_start(struct model *model, struct sim_call *call);
void model_flight_remove(struct model *model, struct model_flight *flight);
void model_flight_run_again(struct model *model, struct model_flight *flight);
void model_flight_set_leased(struct model *model, struct model_flight *flight, struct sim_worker *worker);
void model_board(struct model *model, struct model_flight *flight, struct sim_call *call);
void model_unboard(struct model *model, struct sim_call *call);
void model_flight_end(struct model *model, struct model_flight *flight);
void model_flight_overtake(struct model *model, struct model_flight *flight);

void model_given_back(struct model *model, struct sim_call *call);
void model_settle_subject(struct model *model);
void model_remember(struct model *model, const struct model_flight *flight, enum status_code code);

struct fence model_fence(const struct model *model, unsigned home);
bool model_is_covered(const struct model *model, unsigned home, unsigned provider, struct fence fence);
struct cast_mark model_mark(const struct answer *answer);

uint64_t model_kept_ns_max(const struct model *model, const struct cast_mark *mark);
bool model_entry_is_young(const struct model *model, const struct model_entry *entry);
struct model_entry *model_entry_due(struct model *model, const struct sim_call *call);
void model_entry_hit(struct model *model, const struct sim_call *call);
void model_entry_missed(struct model *model, const struct sim_call *call);
void model_store(struct model *model, const struct answer *answer);
void model_entries_evicted(struct model *model, unsigned home);
void model_entries_drop(struct model *model, unsigned home, unsigned provider, struct sim_call *call);

void model_invalidated(struct model *model, struct sim_call *call);
void model_quiescing(struct model *model);
uint64_t model_older_count(const struct model *model, const struct sim_call *call, bool processes_only);

void model_worker_move(struct model *model, struct sim_worker *worker, enum sim_worker_state next, bool doomed);
void model_worker_owe_end(struct model *model, struct sim_worker *worker);
struct sim_worker *model_worker_find(const struct model *model, uint64_t worker_id);
void model_leased(struct model *model, struct engine_lease *lease);
void model_worker_returned(struct model *model);
void model_worker_up(struct model *model);
void model_worker_gone(struct model *model);
void model_worker_pinned(struct model *model);
void model_worker_spoke(struct model *model);
void model_workers_retire(struct model *model, unsigned home, struct sim_call *call);
void model_workers_end(struct model *model, bool stop);
void model_freed(struct model *model, const struct actions *actions);
uint64_t model_waiting_count(const struct model_home *home);
bool model_is_known(const struct model *model, unsigned home);
uint64_t model_live_count(const struct model_home *home);
uint64_t model_worker_total(const struct engine_view *view);
void model_settle_workers(struct model *model);

#endif
