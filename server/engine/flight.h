/* A flight: one question for everybody who asks it, waiting for a lease or in the air.
 *
 *     WAITING --lease--> LEASED --answer, failure--> ENDED
 *     WAITING <--overtaken, worker died or stray-- LEASED
 *     WAITING --last caller left, no worker to be had--> ENDED
 *
 * It holds on to its api_key and to room for remembering a failure, so that ending it needs no memory.  Its callers are
 * in order of arrival; whoever leaves, leaves alone.  Without callers a flight in the air goes on and is cached, one
 * that waits ends, and none is run again.
 *
 * A waiting flight has no generation: it gets that of its lease.  One in the air is detached from its worker by the
 * fence that covers it (flight_overtaken), so whatever lands is still good. */
#ifndef SERVER_ENGINE_FLIGHT_H
#define SERVER_ENGINE_FLIGHT_H

#include "server/engine/engine.h"

struct entry;
struct failure;
struct tenant;
struct worker;

enum flight_state { FLIGHT_WAITING, FLIGHT_LEASED, FLIGHT_ENDED, FLIGHT_STATE_COUNT };

enum {
    FLIGHT_RERUNS_MAX = 2,  /* by fences; the next one is ABORTED */
    FLIGHT_RETRIES_MAX = 1, /* after a death; the next one is UNAVAILABLE */
    FLIGHT_STRAYS_MAX = 16  /* new workers that spoke or ended before they were asked; one more is UNAVAILABLE */
};

struct flight {
    struct list_node node;     /* of engine.flights_in */
    struct list_node in_entry; /* of entry.flights */
    struct list_node in_queue; /* WAITING: of household.waiting or .waiting_fresh, by ticket */
    struct entry *entry;       /* its key */
    enum flight_state state;
    uint64_t ticket;                  /* its place in any queue: dense, in order of admission */
    uint64_t arrived_ns;              /* when its first caller did */
    struct list callers;              /* engine_call.node */
    struct tenant *tenant;            /* a hold: of that caller */
    const struct engine_call *leader; /* the caller it was started for; NULL: that one has left */
    struct worker *worker;            /* LEASED */
    struct fence fence;               /* LEASED: of the lease */
    struct secret *api_key;           /* a count; NULL */
    struct failure *failure;          /* owned: room to remember how it failed */
    unsigned rerun_count, retry_count, stray_count;
};

/* With this call as its first; room for the deadline was reserved.  NULL when memory is short. */
MUST_USE struct flight *flight_create(struct engine *engine, struct entry *entry, struct engine_call *call);

/* One that the call may join: in the air for its key, and not older than it asks for; NULL: none. */
struct flight *flight_joinable(const struct entry *entry, const struct engine_call *call);

/* Takes the call aboard. */
void flight_board(struct engine *engine, struct flight *flight, struct engine_call *call);

/* One caller goes, with this status; a flight that only it waited for ends. */
void flight_lose_caller(struct engine *engine, uint64_t now_ns, struct engine_call *call, const struct status *status,
                        struct actions *actions);

/* Lends it the idle worker. */
void flight_lease(struct engine *engine, uint64_t now_ns, struct flight *flight, struct worker *worker,
                  struct actions *actions);

/* It is in the air no more: landed with an answer (given), or its worker failed; run again, or answered to all aboard.
 */
void flight_lands(struct engine *engine, uint64_t now_ns, struct flight *flight, struct answer *answer,
                  struct actions *actions);
void flight_worker_failed(struct engine *engine, uint64_t now_ns, struct flight *flight,
                          const struct lease_outcome *outcome, struct actions *actions);

/* A fence covers it: nobody hears its worker any more. */
void flight_overtaken(struct engine *engine, uint64_t now_ns, struct flight *flight, struct actions *actions);

/* Answers its failure to all aboard and remembers it for the key. */
void flight_fails(struct engine *engine, uint64_t now_ns, struct flight *flight, const struct status *status,
                  struct actions *actions);

/* All aboard are told this, and nothing is remembered: it is no failure of the probe. */
void flight_cancelled(struct engine *engine, uint64_t now_ns, struct flight *flight, const struct status *status,
                      struct actions *actions);

/* Waits for any worker from now on, not only for a fresh one. */
void flight_takes_any_worker(struct flight *flight);

/* Flights ahead of a waiting one in its home's queue, counted up to FLIGHT_AHEAD_COUNT_MAX. */
enum { FLIGHT_AHEAD_COUNT_MAX = 1000 };
unsigned flight_ahead_count(const struct flight *flight);

#endif
