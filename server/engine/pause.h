/* Pauses of homes whose workers end before they ever answered: a circuit breaker.
 *
 * A fault is a worker, of the home's present generation, that could not be started or ended of itself before its first
 * answer.  The second in a row begins a pause of 100 ms, each further one doubles it, up to 30 s; while it lasts no
 * worker is started for the home.  An answer, or a fence, ends it and forgets the faults.
 *
 * A household that may have workers has room for it, so that a fault needs no memory. */
#ifndef SERVER_ENGINE_PAUSE_H
#define SERVER_ENGINE_PAUSE_H

#include "proto/status.h"
#include "server/engine/engine.h"

struct household;

struct pause {
    uint64_t epoch;               /* other than the engine's: all of this is void */
    uint64_t row;                 /* how many rows of faults have ended: tells those of this one */
    unsigned fault_count;         /* in a row */
    uint64_t until_ns;            /* no start before this */
    uint64_t faults_forgotten_ns; /* from then on the next fault is the first in a row */
    uint64_t forgotten_ns;        /* when all of this is; 0: there is nothing to forget */
    struct status cause;          /* of the last failure, fault or not */
};

/* Room for faults; false when memory is short. */
MUST_USE bool pause_reserve(struct household *household);

/* A fault. */
void pause_note_fault(struct engine *engine, uint64_t now_ns, struct household *household, const struct status *cause);

/* A failure that is no fault: told to administrators until one answers, or it is forgotten. */
void pause_note_failure(const struct engine *engine, uint64_t now_ns, struct household *household,
                        const struct status *cause);

/* An answer, or a fence. */
void pause_end(struct household *household);

/* How long no worker is started; 0: there is no pause. */
uint64_t pause_left_ns(const struct engine *engine, const struct household *household, uint64_t now_ns);

/* What callers are told who would need one: UNAVAILABLE, the cause, when to come again. */
struct status pause_status(const struct engine *engine, const struct household *household, uint64_t now_ns);

/* Forgets what is to be forgotten by now; when there is more, 0: never. */
void pause_fade(const struct engine *engine, struct household *household, uint64_t now_ns);
uint64_t pause_forgotten_ns(const struct household *household);

#endif
