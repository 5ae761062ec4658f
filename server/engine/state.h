/* The engine's insides at a glance: what there is, and which organ looks after it.
 *
 *     tenant.h  uids: their shares, and their turns
 *     home.h    homes and their generations; the household of one that is in use
 *     pause.h   homes whose workers fail, left alone for a while
 *     cache.h   one entry a key: the answer, the failure remembered, the flights
 *     flight.h  a question, waiting for a lease or in the air, and who is aboard
 *     worker.h  a worker, its states and its lease
 *     pool.h    how many workers there are, who gets the next one, who waits for room
 *     fence.h   invalidations, and those that wait for older workers to be gone
 *     outbox.h  what has an order: orders about workers, news
 *     call.h    the calls lent to us: their deadlines, their way back
 *
 * A step (engine.c) changes facts and touches the households concerned; engine_conclude then draws the conclusions for
 * each of them: who is leased to whom, what is started, what is ended, what is forgotten.  That is the only place where
 * workers are chosen, so it does not matter in which order a step came upon its facts.
 *
 * Nothing here is seen outside server/engine/. */
#ifndef SERVER_ENGINE_STATE_H
#define SERVER_ENGINE_STATE_H

#include "server/engine/cache.h"
#include "server/engine/call.h"
#include "server/engine/engine.h"
#include "server/engine/fence.h"
#include "server/engine/flight.h"
#include "server/engine/home.h"
#include "server/engine/mutant.h"
#include "server/engine/outbox.h"
#include "server/engine/pause.h"
#include "server/engine/pool.h"
#include "server/engine/tenant.h"
#include "server/engine/worker.h"

struct engine {
    struct engine_settings settings; /* engine_settings_changed replaces them */
    struct map_seed seed;            /* fixed at create */
    uint64_t epoch;
    bool draining; /* no call is taken in any more */

    struct tenants tenants;
    struct homes homes;
    struct cache cache;
    struct pool pool;
    struct calls calls;

    struct list flights_in[FLIGHT_STATE_COUNT]; /* all of them: a state is a list */
    uint64_t flight_tickets;                    /* handed out so far */

    struct list orders; /* workers about which something is to be ordered */
    struct list news;   /* struct engine_news_item */

    uint64_t counters[ENGINE_COUNTER_COUNT];
};

static inline void engine_count(struct engine *engine, enum engine_counter counter)
{
    engine->counters[counter]++;
}

/* A point in time, or never: spans come from settings and may be as long as a number gets. */
static inline uint64_t time_after(uint64_t now_ns, uint64_t span_ns)
{
    return span_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + span_ns;
}

/* A set of states, of orders: one bit each. */
#define TO(state) (1u << (state))

#endif
