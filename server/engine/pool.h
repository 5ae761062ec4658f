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
struct worker;

struct pool {
    struct list free_seats;  /* worker.in_state */
    uint64_t seat_count;     /* owned */
    struct worker **buckets; /* by worker id; owned */
    uint64_t bucket_mask;

    struct list workers; /* all that count, oldest first */
    struct list idle;    /* the longest idle first */
    struct heap dues;    /* of idle workers */
    uint64_t in_state_count[WORKER_STATE_COUNT];
    uint64_t leaving_count; /* ENDING, with a process: their places are as good as free */

    struct list line;   /* households that want a start */
    uint64_t wanted;    /* starts, of all households */
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

/* Whether one more flight of this household (NULL: of a home that has none) would have to wait in the queue, and the
 * queue is full: RESOURCE_EXHAUSTED with the numbers. */
struct status pool_admit(struct engine *engine, const struct household *household);

/* A start that was wanted has failed: so does one flight of those that had no other (UNAVAILABLE).  One a start, so
 * that starts which keep failing cannot go on for ever. */
void pool_start_failed(struct engine *engine, uint64_t now_ns, struct household *household, const struct status *cause,
                       struct actions *actions);

/* Flights to workers, households to the line.  pool_start serves the line, behind all households. */
void pool_serve(struct engine *engine, uint64_t now_ns, struct household *household, struct actions *actions);
void pool_start(struct engine *engine, uint64_t now_ns);

/* Idle workers that are too old, or have been idle for too long, end; when the next is due, UINT64_MAX: none. */
void pool_time_passes(struct engine *engine, uint64_t now_ns);
uint64_t pool_next_ns(const struct engine *engine);

#endif
