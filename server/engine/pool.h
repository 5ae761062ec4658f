/* The pool: how many workers there are, who is given the next one, who waits for room.
 *
 * Every worker sits in a seat.  Seats are made when the engine is (and, where workers_max was raised, when the next
 * flight is admitted), so that starting a worker needs no memory: a return, a death or a fence may start one.  There
 * are two for each worker that may be, as one whose process is gone keeps its seat until the orders about it are out.
 * The orders of whoever takes its place come out behind those, so never more than workers_max seats are kept like that.
 *
 * Homes that want a start stand in line; while there is room under workers_max the first one starts one worker and goes
 * to the end.  Where there is none, workers idle longest, of homes with nobody waiting, are ended. */
#ifndef SERVER_ENGINE_POOL_H
#define SERVER_ENGINE_POOL_H

#include "server/engine/engine.h"

struct household;
struct tenant;
struct worker;

struct pool {
    struct list free_seats;  /* worker.in_state */
    uint64_t seat_count;     /* owned */
    struct worker **buckets; /* by worker id; owned */
    uint64_t bucket_mask;

    struct list workers; /* all that count, oldest first */
    struct list idle;    /* the longest idle first */
    struct heap dues;    /* of idle workers; room for every seat */
    uint64_t in_state_count[WORKER_STATE_COUNT];
    uint64_t leaving_count; /* ENDING, with a process: their places are as good as free */

    struct list ahead;  /* households that want a start for nobody yet */
    struct list fresh;  /* households where a flight waits for a worker that is being started */
    uint64_t wanted;    /* starts for those who wait, of all households */
    uint64_t queued;    /* flights that wait without a start under way */
    uint64_t idle_kept; /* idle workers of homes where somebody waits for a fresh one: not expendable */

    uint64_t workers_born; /* the last worker id */
    uint64_t leases_made;  /* the last lease id */
};

/* Seats for workers_max workers; false when memory is short (what was made stays). */
MUST_USE bool pool_make_seats(struct engine *engine);
void pool_fini(struct engine *engine);

/* A seat is free again. */
void pool_free_seat(struct engine *engine, struct worker *worker);

/* Whether one more flight of this household (NULL: of a home that has none) may be taken in for the call.
 * UNAVAILABLE: it would need a start, and the home pauses.  RESOURCE_EXHAUSTED, with the numbers: it would have to
 * wait, and a queue is full, or the wait is known to outlast its deadline.  Memory may be short as well. */
struct status pool_admit(struct engine *engine, uint64_t now_ns, const struct household *household,
                         const struct engine_call *call);

/* A start that was wanted has failed.  Where no live worker is left to wait for, so does one flight of those that had no
 * other start (UNAVAILABLE): one a start, so that starts which keep failing cannot go on for ever. */
void pool_start_failed(struct engine *engine, uint64_t now_ns, struct household *household, const struct status *cause,
                       struct actions *actions);

/* Flights to workers, households to the lines.  pool_start serves these, behind all households. */
void pool_serve(struct engine *engine, uint64_t now_ns, struct household *household, struct actions *actions);
void pool_start(struct engine *engine, uint64_t now_ns);

/* A worker of this home, last of this tenant's, is taken away while it is of use: when there is room that nobody waits
 * for, another is started in its place. */
void pool_start_ahead(struct engine *engine, struct household *household, struct tenant *tenant);

/* Idle workers that are too old, or have been idle for too long, end, and homes whose time has come are touched; when
 * the next is due, UINT64_MAX: none. */
void pool_time_passes(struct engine *engine, uint64_t now_ns);
uint64_t pool_next_ns(const struct engine *engine);

#endif
