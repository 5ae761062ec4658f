/* The engine: who may be answered with what, who gets which worker, who waits, and what is void.
 *
 * It decides and does nothing.  No thread, no clock, no system call, no nng: one step is
 *
 *     engine_<what happened>(engine, now_ns, facts…, actions)
 *
 * and what is to be done about it stands in `actions` and in two outboxes.  Actions may be carried out in any order,
 * by whoever took the step, once its lock is released.  What has an order is in an outbox: news (events, and the
 * answers to those who caused them) is taken out by one publisher; orders about workers by one drainer at a time.
 *
 * What stays true after each step (proto/README.md 3 says what it means to users):
 *   - a worker has one lease at most, and a lease is made in the step that finds the worker idle;
 *   - a flight lands, is stored and is handed out in one step, in which generations are compared: nothing older than
 *     an invalidation is answered, cached, joined or leased after it;
 *   - every call that was taken in is given back exactly once: in `actions.answered`, or with an item of news;
 *   - steps that end things (a departure, a return, a fence of a known home, time) allocate nothing and cannot fail.
 *
 * Memory: a call is its caller's, lent from its arrival until it is given back, so taking one in allocates nothing.
 * Time: now_ns is CLOCK_MONOTONIC in production; it never falls.  Threads: one at a time (the shell's lock).
 * No step is more than O(log n) in calls and O(1) in homes; a fence walks what the home itself has. */
#ifndef SERVER_ENGINE_ENGINE_H
#define SERVER_ENGINE_ENGINE_H

#include "proto/limits.h"
#include "proto/status.h"
#include "server/base/heap.h"
#include "server/base/list.h"
#include "server/base/map.h"
#include "server/base/secret.h"
#include "server/engine/answer.h"
#include "server/engine/counter.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- settings: proto/README.md 2, in nanoseconds ---- */

struct engine_settings {
    uint64_t homes_max;
    uint64_t workers_per_home;
    uint64_t workers_max;
    uint64_t reserve_per_home; /* further ones, once somebody has waited for reserve_wait_ns */
    uint64_t reserve_wait_ns;
    bool prewarm; /* after an invalidation, start one replacement ahead */
    uint64_t queue_per_home;
    uint64_t queue_max;
    uint64_t idle_ns_max;
    uint64_t lifetime_ns;
    uint64_t requests_max; /* leases of one worker */
    uint64_t run_ns_max;   /* request written to answer read */
    uint64_t cache_ttl_ns;
    uint64_t cache_entries_max;
    uint64_t cache_bytes_max;
    uint64_t failure_ttl_ns;
    uint64_t keep_good_ns; /* how long the last answer with figures may stand in for a bad one */
    uint32_t daemon_uid;   /* it and root have no share of homes_max and queue_max to keep to */
};

struct engine;

/* `seed` keys the hash tables, `epoch` (never 0) is the first epoch.  NULL when memory is short.  Settings are copied.
 */
MUST_USE struct engine *engine_create(const struct engine_settings *settings, const struct map_seed *seed,
                                      uint64_t epoch);

/* Every call must have been given back and every worker be gone; NULL is fine. */
void engine_destroy(struct engine *engine);

/* ---- calls ---- */

struct fence {
    uint64_t epoch;      /* 0: none */
    uint64_t generation; /* 1 and up */
};

/* Which directory a home's path leads to, in the words of whoever resolved it: equal words, the same directory.  All 0:
 * not said. */
struct engine_directory {
    uint64_t words[3];
};

enum engine_call_kind { ENGINE_CALL_PROBE, ENGINE_CALL_INVALIDATE, ENGINE_CALL_SYNC };

/* As probed.v1.Origin, number for number. */
enum origin { ORIGIN_UNSPECIFIED, ORIGIN_WARM, ORIGIN_COLD, ORIGIN_JOINED, ORIGIN_CACHED };

/* Where a call is.  PARKED: its home is still being resolved; the engine only keeps its deadline. */
enum engine_call_place {
    ENGINE_CALL_NOWHERE, /* its owner's */
    ENGINE_CALL_PARKED,
    ENGINE_CALL_ABOARD,    /* of a flight, waiting for a lease or in the air */
    ENGINE_CALL_QUIESCING, /* an Invalidate waiting for older workers to be gone */
    ENGINE_CALL_IN_NEWS,   /* decided; its answer is in the news outbox, behind its event (which is in the call, so that
                              one whose time is up before its event is out waits for it, too) */
    ENGINE_CALL_PLACE_COUNT
};

/* An entry of the news outbox, in the memory of the call it is about. */
struct engine_news_item {
    struct list_node node;
    struct engine_call *call;
};

struct engine_result {
    struct status status;  /* stale: the error in whose place `answer` is given */
    struct answer *answer; /* given, for a Probe that is OK or stale: answer_release() it */
    bool stale;
    struct answer *last_good; /* given, beside an `answer` that is RATE_LIMITED or UNAVAILABLE; NULL: there is none */
    uint64_t last_good_age_ns;
    enum origin origin;
    uint64_t age_ns;                                           /* since the worker answered */
    uint64_t fresh_ns;                                         /* how long a client that hears of changes may keep it */
    struct fence fence;                                        /* Invalidate and Sync: where the home stands now */
    uint64_t cache_dropped, workers_retired, workers_draining; /* Invalidate */
};

struct engine_call {
    /* Set by the caller before the first step, fixed until the call is given back. */
    uint64_t id; /* never 0, never used again: tells a late departure from the memory's next user */
    enum engine_call_kind kind;
    uint32_t uid; /* of the peer: whose share it counts in */
    uint64_t arrived_ns;
    uint64_t deadline_ns;
    char provider[LIMIT_PROVIDER_SIZE_MAX + 1]; /* trimmed and lowered; "": all (Invalidate) */
    union {
        struct {
            struct secret *api_key; /* the call's own count, or NULL; the engine shares it when it needs it longer */
            struct fingerprint fingerprint;
            bool refresh;
            bool accept_stale;                 /* rather the last good answer than an error */
            uint64_t age_ns_max;               /* 0: the TTL */
            struct fence at_least;             /* epoch 0: none */
            struct engine_directory directory; /* that its client was let in for: it is told of no other */
        } probe;
        struct {
            bool quiesced;   /* else FENCED */
            bool known_only; /* the directory is gone: NOT_FOUND unless the engine knows the home */
            char reason[LIMIT_REASON_SIZE_MAX + 1];
        } invalidate;
    };

    /* Written by the engine when it gives the call back. */
    struct engine_result result;
    struct engine_call *next_answered; /* the chain in actions.answered */

    /* The engine's own; zero before the first step. */
    enum engine_call_place place;
    struct list_node node;     /* of the parked, of a flight's callers, or of those quiescing in one home */
    struct list_node in_due;   /* quiescing: by deadline */
    struct heap_node deadline; /* parked or aboard */
    struct flight *flight;
    struct home *home;
    uint64_t older_than;                             /* Invalidate, quiescing: workers with a smaller id must be gone */
    struct engine_news_item event_item, answer_item; /* Invalidate */
};

/* ---- leases ---- */

/* Descriptors of a worker as the shell knows them; to the engine they are numbers. */
struct worker_channel {
    int request_fd; /* the worker's standard input: what is written here is its request; closed, it ends */
    int answer_fd;  /* the worker's standard output */
};

/* One worker, lent to one handler.  Fixed while it is lent: from actions.leased until engine_lease_returned. */
struct engine_lease {
    uint64_t id;        /* dense, one per lease of this engine */
    uint64_t worker_id; /* never used again */
    struct worker_channel channel;
    struct fence fence; /* the generation whose credentials the worker holds */
    char provider[LIMIT_PROVIDER_SIZE_MAX + 1];
    struct secret *api_key; /* lent; NULL: what the home holds */
    uint64_t granted_ns;
    uint64_t run_deadline_ns;         /* no answer by then: LEASE_TIMED_OUT */
    uint64_t queue_ns;                /* from admission to the lease */
    uint64_t spawn_ns;                /* starting the worker; 0: it was warm */
    struct engine_lease *next_leased; /* the chain in actions.leased */
};

enum lease_end {
    LEASE_ANSWERED,  /* one line, well-formed, nothing behind it */
    LEASE_STRAY,     /* bytes or end of file were there before the request was written: nothing was asked */
    LEASE_DIED,      /* end of file before the answer was whole */
    LEASE_BREACHED,  /* what came broke the protocol, or more came with it */
    LEASE_TIMED_OUT, /* silent past run_deadline_ns */
    LEASE_END_COUNT
};

struct lease_outcome {
    enum lease_end end;
    struct answer *answer; /* LEASE_ANSWERED: given to the engine */
    struct status status;  /* else: the error its callers get, unless the probe is run again */
};

/* ---- what a step asks for ---- */

struct actions {
    struct engine_call *answered; /* given back, to be answered; in order of arrival */
    struct engine_call *answered_last;
    struct engine_lease *leased; /* lent, to be handed to handlers */
    struct engine_lease *leased_last;
    struct {
        uint64_t worker_id; /* 0: none */
        int answer_fd;
        uint64_t turn; /* which of its idle times this is: to be handed back with engine_worker_spoke */
    } idled;           /* has just become idle: to be watched for bytes and end of file */
    bool orders;       /* the order outbox is not empty: somebody drains it */
    bool news;         /* the news outbox is not empty: the publisher is woken */
};

#define ACTIONS_EMPTY ((struct actions){0})

/* ---- orders about workers: an outbox ---- */

enum engine_order_kind {
    ENGINE_ORDER_PIN,    /* check the home again and open it; then engine_worker_pinned or engine_worker_gone */
    ENGINE_ORDER_LAUNCH, /* start the worker in the opened home; then engine_worker_up or engine_worker_gone */
    ENGINE_ORDER_KILL,   /* it is leased and must end now: SIGKILL its group, leave the channel to its lease */
    ENGINE_ORDER_END     /* no lease holds it: close its channel; TERM, grace, KILL; then engine_worker_gone */
};

/* Why a worker is ended, for a person: the first cause there was.  Nothing is decided by it. */
enum engine_end_reason {
    ENGINE_END_NONE,     /* it is not to end */
    ENGINE_END_GONE,     /* its process ended by itself, or never was */
    ENGINE_END_SPOKE,    /* bytes or end of file while it was idle */
    ENGINE_END_FAULT,    /* its lease ended without an answer */
    ENGINE_END_IDLE,     /* idle_ns_max */
    ENGINE_END_LIFETIME, /* lifetime_ns */
    ENGINE_END_REQUESTS, /* requests_max */
    ENGINE_END_FENCE,    /* its home is a generation on */
    ENGINE_END_ROOM,     /* somebody else wants its place under workers_max */
    ENGINE_END_SURPLUS,  /* more than workers_per_home */
    ENGINE_END_STOP,     /* the engine is drained or stopped */
    ENGINE_END_REASON_COUNT
};

struct engine_order {
    enum engine_order_kind kind;
    uint64_t worker_id;
    enum engine_end_reason reason; /* KILL, END: why */
    const char *home;              /* PIN: lent until the next step */
    uint32_t uid;                  /* PIN: of the call that it is started for */
    int home_fd;                   /* LAUNCH: given */
    struct worker_channel channel; /* END: given; both -1 when the worker never came up */
    bool gone;                     /* END: the process is gone already, there is only the channel to close */
};

/* Takes the oldest out; false when there is none. */
MUST_USE bool engine_order_next(struct engine *engine, struct engine_order *order_out);

/* ---- news: an outbox ---- */

enum engine_news_kind {
    ENGINE_NEWS_EVENT, /* publish a CredentialEvent, then answer `call` if there is one */
    ENGINE_NEWS_BEAT,  /* publish a Heartbeat (a new epoch began), then answer `call` if there is one */
    ENGINE_NEWS_ANSWER /* only answer `call`: its event went out before */
};

/* As probed.v1.Cause, number for number. */
enum cause { CAUSE_UNSPECIFIED, CAUSE_REQUESTED, CAUSE_OBSERVED };

struct engine_news {
    enum engine_news_kind kind;
    struct fence fence; /* EVENT: after the change; BEAT: the new epoch */
    enum cause cause;
    char home[LIMIT_HOME_SIZE_MAX + 1];
    char provider[LIMIT_PROVIDER_SIZE_MAX + 1];
    char reason[LIMIT_REASON_SIZE_MAX + 1];
    struct engine_call *call; /* given back: to be answered behind the publication; NULL: nobody */
};

/* Takes the oldest out; false when there is none. */
MUST_USE bool engine_news_next(struct engine *engine, struct engine_news *news_out);

/* ---- steps: calls ---- */

/* A call whose home is being resolved: only its deadline and its client's departure can end it here.
 * RESOURCE_EXHAUSTED (given back at once) when memory is short. */
void engine_call_parked(struct engine *engine, uint64_t now_ns, struct engine_call *call, struct actions *actions);

/* Takes a parked call back from the engine; false when it is there no more (it was given back meanwhile). */
MUST_USE bool engine_call_unparked(struct engine *engine, struct engine_call *call, uint64_t id);

/* A call with its home's canonical path (copied); parked before or not.  For Invalidate, home == NULL: every home,
 * which begins `new_epoch` (random, never 0; otherwise ignored). */
void engine_probe_arrived(struct engine *engine, uint64_t now_ns, struct engine_call *call, const char *home,
                          struct actions *actions);
void engine_invalidate_arrived(struct engine *engine, uint64_t now_ns, struct engine_call *call, const char *home,
                               uint64_t new_epoch, struct actions *actions);
/* A home's path may come to lead to another directory.  Whether it does now, by what was last said: then whoever asks
 * has an invalidation of the home arrive first, and says so with engine_home_becomes. */
bool engine_home_is_other(const struct engine *engine, const char *home, const struct engine_directory *directory);
void engine_home_becomes(struct engine *engine, const char *home, const struct engine_directory *directory);
void engine_sync_arrived(struct engine *engine, uint64_t now_ns, struct engine_call *call, const char *home,
                         struct actions *actions);

/* Its client has gone: a call that is still parked, aboard or quiescing is given back (CANCELLED, nobody reads it).
 * Nothing happens when the memory serves another call now, or the call is decided. */
void engine_call_left(struct engine *engine, uint64_t now_ns, struct engine_call *call, uint64_t id,
                      struct actions *actions);

/* ---- steps: workers and leases ---- */

/* Answers to ENGINE_ORDER_PIN: false when the start is not wanted any more; the descriptor stays the caller's then, and
 * the worker is forgotten.  True: it was taken, a LAUNCH is in the outbox. */
MUST_USE bool engine_worker_pinned(struct engine *engine, uint64_t now_ns, uint64_t worker_id, int home_fd,
                                   struct actions *actions);

/* It runs.  spawn_ns: what starting it took. */
void engine_worker_up(struct engine *engine, uint64_t now_ns, uint64_t worker_id, int32_t pid,
                      struct worker_channel channel, uint64_t spawn_ns, struct actions *actions);

/* Whose fault it is that a worker is gone, or could not be started: only its own counts towards a pause of its home. */
enum engine_blame { ENGINE_BLAME_WORKER, ENGINE_BLAME_CUSTODIAN };

/* It is gone: reaped, or never started (`cause` says why; a PIN or LAUNCH that failed comes here).  Once per worker. */
void engine_worker_gone(struct engine *engine, uint64_t now_ns, uint64_t worker_id, enum engine_blame blame,
                        const struct status *cause, struct actions *actions);

/* Bytes or end of file on a worker that was idle: it is ended if it still is, without a lease meanwhile (`turn` tells,
 * from actions.idled), else nothing happens. */
void engine_worker_spoke(struct engine *engine, uint64_t now_ns, uint64_t worker_id, uint64_t turn,
                         struct actions *actions);

/* A handler is done with its lease; `lease` must not be touched by it any more. */
void engine_lease_returned(struct engine *engine, uint64_t now_ns, struct engine_lease *lease,
                           const struct lease_outcome *outcome, struct actions *actions);

/* ---- steps: time, settings and the end ---- */

/* What is due is done: deadlines, idle workers, lifetimes, reserve workers, pauses, answers past their time. */
void engine_time_passed(struct engine *engine, uint64_t now_ns, struct actions *actions);

/* When engine_time_passed is next of use; UINT64_MAX: never. */
uint64_t engine_next_ns(const struct engine *engine);

/* Lower limits hold for what comes; nothing running is ended for them. */
void engine_settings_changed(struct engine *engine, const struct engine_settings *settings);

/* From now on calls are refused (UNAVAILABLE), calls aboard are finished, idle workers end. */
void engine_drain(struct engine *engine, uint64_t now_ns, struct actions *actions);

/* Calls still there are given back (UNAVAILABLE), every worker ends now (leased ones by KILL). */
void engine_stop(struct engine *engine, uint64_t now_ns, struct actions *actions);

/* Drained or stopped, and nothing left: no call, no worker, outboxes empty. */
bool engine_is_empty(const struct engine *engine);

/* ---- looking at it: nothing changes ---- */

enum worker_state { WORKER_STARTING, WORKER_IDLE, WORKER_LEASED, WORKER_DRAINING, WORKER_ENDING, WORKER_STATE_COUNT };

struct engine_view {
    uint64_t epoch;
    bool draining;
    uint64_t homes, cache_entries, cache_bytes;
    uint64_t flights; /* probes waiting for a lease or in the air */
    uint64_t waiting; /* calls aboard flights that have no lease */
    uint64_t aboard;  /* calls aboard any flight */
    uint64_t workers[WORKER_STATE_COUNT];
    uint64_t counters[ENGINE_COUNTER_COUNT];
};
void engine_look(const struct engine *engine, struct engine_view *view_out);

/* Whether somebody waits for a worker's place under workers_max while there are workers that have not come up yet. */
bool engine_waits_for_starts(const struct engine *engine);

struct engine_home_view {
    char home[LIMIT_HOME_SIZE_MAX + 1];
    uint64_t generation;
    uint64_t workers[WORKER_STATE_COUNT];
    uint64_t waiting;
    uint64_t oldest_wait_ns;
    uint64_t cache_entries;
    uint64_t pause_ns;                      /* until its next start; 0: none */
    char last_failure[STATUS_MESSAGE_SIZE]; /* of its workers, since one answered last; "": none */
};

struct engine_worker_view {
    uint64_t worker_id;
    int32_t pid;
    char home[LIMIT_HOME_SIZE_MAX + 1];
    uint64_t generation;
    enum worker_state state;
    uint64_t state_ns, age_ns;
    uint64_t lease_id; /* while leased or draining */
    char provider[LIMIT_PROVIDER_SIZE_MAX + 1];
    uint64_t callers, leases;
};

/* Homes by path (bytes compared), behind `after` ("" or a path that need not exist); as many as fit; the count given,
 * and whether there are more.  O(homes): an administrator's question. */
size_t engine_look_homes(const struct engine *engine, uint64_t now_ns, const char *after,
                         struct engine_home_view *views, size_t view_count_max, bool *more_out);

/* Those alone in which something happens: that have a worker, a call that waits, or a failure that is not forgotten.
 * By path, as many as fit.  What it takes depends on these, not on how many homes are known. */
size_t engine_look_busy_homes(const struct engine *engine, uint64_t now_ns, struct engine_home_view *views,
                              size_t view_count_max, bool *more_out);

/* Workers by id, behind `after_id`, of `home` ("": all). */
size_t engine_look_workers(const struct engine *engine, uint64_t now_ns, const char *home, uint64_t after_id,
                           struct engine_worker_view *views, size_t view_count_max, bool *more_out);

uint64_t engine_epoch(const struct engine *engine);

#endif
