/* The load under way, for its two files: load.c has the loops and the threads, calls.c one call's way out and back. */
#ifndef CLIENT_PROBELOAD_LOAD_INSIDE_H
#define CLIENT_PROBELOAD_LOAD_INSIDE_H

#include "client/probeload/dice.h"
#include "client/probeload/load.h"

#include <pthread.h>
#include <stdatomic.h>

struct load;

/* One call at a time; its own while it is in flight. */
struct slot {
    /* Fixed at make. */
    struct load *load;
    struct probed_channel *channel; /* lent */
    size_t shard;

    struct slot *next_free; /* guarded by the load's lock */

    struct dice dice;
    struct ledger_call call;
    bool invalidates;
    uint64_t due_ns;
    atomic_bool in_flight;
};

struct subscriber {
    struct load *load;
    size_t index;
    struct probed_subscriber *handle; /* owned */
};

/* A thread that keeps the rate, or makes calls one at a time. */
struct runner {
    struct load *load;
    size_t index;
    pthread_t thread;
};

struct load {
    const struct load_plan *plan;
    struct ledger *ledger; /* owned, as the next six */
    struct tally *tally;
    struct zipf zipf;
    struct probed_channel **channels;
    struct subscriber *subscribers;
    struct slot *slots;
    struct runner *runners;
    size_t shard_count, runner_count; /* runners: started */

    /* Fixed when the calls begin. */
    uint64_t measure_from_ns;
    uint64_t end_ns;     /* nothing is due later; UINT64_MAX: no end */
    uint64_t give_up_ns; /* what was due is not sent any more */

    atomic_uint_fast64_t begun_count;
    atomic_uint_fast64_t turn; /* whose question is next */
    atomic_uint_fast64_t counted_count, failed_count, unsent_count;
    atomic_bool stopped;
    atomic_uint_least32_t beat_ms; /* the interval of the heartbeats that subscribers hear; 0: none yet */

    pthread_mutex_t lock;
    pthread_cond_t idle;  /* nobody is active */
    pthread_cond_t freed; /* a slot was given back */
    struct slot *free;    /* guarded by lock, as the rest */
    size_t active_count;  /* runners, and calls in flight */
    bool unreachable;
    struct probed_status failure;
};

/* Whether the run goes on, so far as time does not tell. */
bool load_goes_on(const struct load *load);

void load_note_failure(struct load *load, const struct probed_status *status);

/* ---- one call ---- */

/* Draws the slot's next question, and begins it; `done` is called once unless the status is not OK. */
MUST_USE struct probed_status call_begin(struct slot *slot, uint64_t due_ns, probed_call_done *done);

/* The same, waiting for the answer and counting it. */
void call_make(struct slot *slot, uint64_t due_ns);

/* Checks and counts what came. */
void call_answered(struct slot *slot, const struct probed_status *status, const void *response, size_t response_size);

#endif
