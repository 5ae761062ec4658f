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
 * model_holds.c   for how long an answer counts        model_good.c      last good answers, and stale ones
 * model_orders.c  starts and ends                      model_workers.c   what becomes of workers
 * model_pauses.c  homes whose workers only fail        model_ahead.c     starts for nobody in particular
 * model_turns.c   who is next when room is scarce      model_admission.c refusals, and what must be refused
 * model_fences.c  invalidations and their news         model_audit.c     everything at once, now and then
 *
 * Where it cannot be known from outside what the engine has done (outboxes emptied late, settings that changed, what
 * was forgotten), the model keeps what is certain beside what is possible, and claims only what both allow. */
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
    uint64_t deadline_ns;             /* of the same */
    uint32_t uid;                     /* of the same */
    struct fence fence;               /* of its lease */
    struct sim_worker *worker;
    uint64_t leased_ns;
    const struct flight *identity; /* the engine's name for it: tells two of one key apart, no more */
    struct list callers;
};

enum entry_presence {
    ENTRY_NONE,
    ENTRY_MAYBE,  /* it may have been evicted */
    ENTRY_CERTAIN /* it must be served */
};

/* An answer with the times that were fixed when it landed.  The pause of a refused key is known to lie between two
 * numbers until an answer says which. */
struct model_kept {
    struct cast_mark mark;
    uint64_t ttl_until_ns;                  /* behind it, only a hold explains that nobody is asked */
    uint64_t fresh_until_ns;                /* a plain probe is answered with it */
    uint64_t held_until_ns;                 /* the same, whatever its max_age */
    uint64_t insisted_until_ns;             /* the same, though it says refresh */
    uint64_t pause_least_ns, pause_most_ns; /* INVALID_KEY, from asked_ns on */
    uint64_t asked_ns;                      /* when the last answer landed, perhaps one that did not replace it */
};

struct model_entry {
    enum entry_presence presence;
    bool vague;  /* looked at without being served: its place among the least recently used is not known */
    bool unsure; /* which of two answers it holds is not known */
    struct model_kept latest;
    enum entry_presence good_presence;       /* where the entry is there at all */
    bool good_unsure;                        /* it may be another one */
    struct cast_mark good;                   /* the newest good answer, perhaps the latest itself */
    struct list_node recent, recent_of_home; /* least recently used first */
};

struct model_failure {
    unsigned codes;     /* which it may have been, a bit each; none: none is remembered */
    bool maybe;         /* the last may have been the home's pause, of which nothing is remembered */
    uint64_t failed_ns; /* the last */
    uint64_t number;    /* in order of their occurrence: the cache's bound holds for failures, too */
    struct fence fence; /* the home's then */
};

enum home_known { HOME_UNKNOWN, HOME_MAYBE, HOME_KNOWN };

/* What is certain at least, and what may be at most. */
struct model_range {
    uint64_t least, most;
};

/* A start without a caller: owed, possible, or neither. */
enum wish { WISH_NONE, WISH_MAYBE, WISH_CERTAIN };

struct model_home {
    char path[MODEL_PATH_SIZE];
    enum home_known known;
    uint64_t generation;
    uint64_t covered[PLAN_PROVIDER_COUNT_MAX]; /* nothing below this generation is good */
    struct list flights, ahead, queue;
    struct list_node waiting; /* on the model's `waiting` while somebody waits */
    struct list entries;      /* least recently used first */
    struct model_entry entry[PLAN_PROVIDER_COUNT_MAX][PLAN_KEY_COUNT_MAX];
    struct model_failure failure[PLAN_PROVIDER_COUNT_MAX][PLAN_KEY_COUNT_MAX];
    uint64_t worker_counts[WORKER_STATE_COUNT];

    struct model_range faults;     /* workers in a row that ended before they answered */
    uint64_t fault_row;            /* how often they were forgiven */
    struct model_range paused_ns;  /* until then it has no start; 0: no pause yet */
    uint64_t fault_ns;             /* when the last of them was reported */
    struct model_range service_ns; /* what a lease takes on average; 0: not measured */
    bool service_doubted;          /* the measure may have been forgotten */
    bool troubled;                 /* a worker failed once: something of that may be remembered */
    enum wish wish;
    uint64_t ahead_count;                              /* starting workers that were started ahead */
    unsigned knowers;                                  /* by a call of which uids it may have become known: bits */
    uint64_t last_start, last_call_start, wants_since; /* in order of starts; wants_since: 0 while it does not */
};

/* A uid's share of the workers, in an owned world. */
struct model_uid {
    uint64_t live_count;
    uint64_t last_start, last_call_start; /* in order of starts; the second: of those made for a call */
};

/* A start that seems to have been somebody else's: it was, if that one gets none in this step. */
struct model_suspect {
    bool suspected;
    unsigned home, passed_over;
    uint64_t start;
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
    enum engine_blame blame;   /* GONE */
    enum lease_end end;        /* RETURN */
    struct answer *answer;     /* RETURN, ANSWERED */
    int home_fd;               /* PINNED */
    uint64_t turn;             /* SPOKE: in which idle time it did */
    bool taken;                /* PINNED: what the engine said; set before model_judge */

    struct model_flight *flight; /* RETURN: the one that was in the air with it; NULL: overtaken */
    struct sim_worker *freed;    /* became idle at first: is leased again, watched, or ended */
    struct model_kept landing;   /* RETURN, ANSWERED: what will be kept, if anything is */
    bool refusal_stands;         /* RETURN, ANSWERED: that is not the answer that came */
    bool start_failed;           /* GONE: it never came up, though it was wanted */
    bool overdue;                /* time has jumped, and the engine has not been told yet */
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
    struct model_uid uids[PLAN_UID_END];
    struct model_suspect suspect;
    uint64_t start_count;                   /* of orders to start a worker that came out */
    uint64_t wish_count;                    /* homes whose start ahead is owed */
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

/* For how long this call's question is not put again though somebody insists; 0: not at all, as far as is known. */
uint64_t model_held_ns(const struct model *model, const struct sim_call *call);

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

void model_taken_in(struct model *model, struct sim_call *call);
void model_given_back(struct model *model, struct sim_call *call);
void model_settle_subject(struct model *model);
void model_remember(struct model *model, const struct model_flight *flight, enum status_code code);

struct fence model_fence(const struct model *model, unsigned home);
bool model_is_too_old(const struct model *model, const struct sim_call *call, struct fence fence);
bool model_is_covered(const struct model *model, unsigned home, unsigned provider, struct fence fence);
struct cast_mark model_mark(const struct answer *answer);

bool model_entry_is_kept(const struct model *model, const struct model_entry *entry);
struct model_entry *model_entry_due(struct model *model, const struct sim_call *call);
bool model_entry_may_serve(const struct model *model, const struct sim_call *call);
void model_entry_hit(struct model *model, const struct sim_call *call);
void model_entry_missed(struct model *model, const struct sim_call *call);
void model_store(struct model *model, const struct answer *answer);
void model_land(struct model *model, const struct model_flight *flight);
bool model_refusal_may_stand(const struct model *model, const struct model_entry *entry, const struct cast_mark *mark);
bool model_refusal_may_be_forgotten(const struct model *model, const struct model_entry *entry);
uint64_t model_kept_until_ns(const struct model_kept *kept, bool most);
void model_kept_settle(struct model_kept *kept, uint64_t now_ns, uint64_t fresh_ns);
void model_hold_counted(struct model *model, const struct sim_call *call, const struct model_kept *kept);
uint64_t model_good_until_ns(const struct model *model, const struct model_entry *entry, bool certain);
enum entry_presence model_good(const struct model *model, const struct sim_call *call);
void model_last_good(struct model *model, const struct sim_call *call);
bool model_stale(struct model *model, const struct sim_call *call);
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
uint64_t model_room_count(const struct model *model, const struct model_home *home, bool certain);
uint64_t model_unmet_count(const struct model *model, const struct model_home *home, bool certain);
bool model_makes_room(const struct model *model, const struct sim_worker *worker);
void model_settle_workers(struct model *model);

bool model_is_paused(const struct model *model, unsigned home, bool certain);
bool model_pause_is_allowed(const struct model *model, const struct sim_call *call);
void model_fault(struct model *model, const struct sim_worker *worker);
void model_faults_forgiven(struct model *model, unsigned home);
void model_at_fault(struct model *model, struct sim_worker *worker);
void model_judge_pauses(const struct model *model);

void model_wish(struct model *model, unsigned home, enum wish wish);
void model_wish_doubted(struct model *model, unsigned home);
bool model_start_is_ahead(struct model *model, struct sim_worker *worker);
void model_not_ahead(struct model *model, struct sim_worker *worker);
void model_judge_wishes(struct model *model, uint64_t unmet_count);

void model_turn(struct model *model, const struct sim_worker *worker);
bool model_may_yield(struct model *model, const struct sim_worker *worker);
void model_judge_turns(struct model *model);
void model_judge_patience(const struct model *model, const struct model_flight *flight);

bool model_exhausted_is_allowed(struct model *model, const struct sim_call *call);
void model_served(struct model *model, const struct sim_worker *worker, uint64_t service_ns);
void model_judge_admission(const struct model *model);
void model_home_met(struct model *model, unsigned home, uint32_t uid);
void model_home_left(struct model_home *home);
void model_judge_home_share(const struct model *model, uint32_t uid);
bool model_joinable(const struct model *model, const struct sim_call *call);

#endif
