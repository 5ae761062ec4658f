/* Homes: where each stands in its history, and the household of those that are in use.
 *
 * A home is remembered for its generation, which outlives its workers and answers; it is small, for there may be a
 * million.  Everything else it has is its household, which exists while there is any of it.
 *
 * A new epoch puts every home at generation 1 without visiting one: a home that is behind the engine's epoch stands at
 * 1 and is told so when it is next used (home_catch_up).
 *
 * A home is on one of these at most:
 *   moved   its generation is above 1; those of an older epoch at the beginning
 *   idle    it stands at 1 and nothing is known of it besides: the first to be forgotten when homes_max, or its
 *           tenant's share of it, is reached; on its tenant's list of such homes, too */
#ifndef SERVER_ENGINE_HOME_H
#define SERVER_ENGINE_HOME_H

#include "proto/status.h"
#include "server/base/heap.h"
#include "server/base/list.h"
#include "server/base/map.h"
#include "server/engine/engine.h"

struct pause;
struct tenant;

enum { HOME_SHARES = 16 }; /* a tenant may have made one of so many known */

/* What a look-up looks at stands together behind the rest, so that it is in few lines of the CPU's cache. */
struct home {
    struct list_node node;             /* of homes.moved or homes.idle */
    struct list_node in_tenant;        /* of tenant.idle_homes */
    struct tenant *tenant;             /* a hold: it made this known */
    struct engine_directory directory; /* that it is */

    struct household *household; /* owned; NULL: not in use */
    uint64_t epoch;              /* other than the engine's: it stands at generation 1 */
    uint64_t generation;
    UT_hash_handle handle; /* of homes.map, by path */
    uint32_t news_count;   /* events in the outbox that name it: it is not forgotten meanwhile */
    char path[];           /* canonical */
};

/* What a home in use has. */
struct household {
    struct home *home;
    struct list_node touched;  /* of homes.touched: this step changed something here */
    struct heap_node due;      /* of homes.dues: when time alone changes what it wants */
    struct list answers;       /* entries with an answer, least recently used first */
    struct list blanks;        /* entries without */
    uint64_t answer_bytes;     /* what the answers take */
    struct list waiting;       /* flights, first come first served */
    struct list waiting_fresh; /* flights whose worker died unanswered: for a worker that is being started */
    struct list_node in_fresh; /* of pool.fresh while somebody waits for one */
    struct list workers;       /* all, oldest first */
    struct list in_state[WORKER_STATE_COUNT];
    struct list quiescing; /* Invalidate calls that wait for older workers to be gone, oldest first */
    struct pause *pause;   /* owned; NULL while it has had no worker for long */
    uint64_t service_ns;   /* what a lease takes until it is answered, a moving average; 0: not known */
    uint32_t queued;       /* flights that wait without a start under way: its part of pool.queued */
    uint32_t idle_kept;    /* its part of pool.idle_kept */
    uint32_t wanted;       /* starts it would make if there were room: its part of tenant.wanted and pool.wanted */
    uint32_t ahead_count;  /* workers that are being started for nobody yet */

    /* Its place in a line for room (tenant_line_up). */
    struct tenant *in_line_of;
    struct list_node in_line;

    /* A start that nobody waits for, as a worker was taken away (pool_start_ahead). */
    struct tenant *ahead_for;  /* a hold; NULL: none is wanted */
    struct list_node in_ahead; /* of pool.ahead */
};

struct homes {
    struct home *map;
    struct list moved, idle;
    struct list touched; /* households */
    struct heap dues;    /* of households; room for every one */
};

/* NULL: not known.  home_find catches a known one up with the epoch, home_look changes nothing. */
struct home *home_find(struct engine *engine, const char *path);
const struct home *home_look(const struct engine *engine, const char *path);

/* The same, made known for this uid where it is not.  RESOURCE_EXHAUSTED: server.homes_max, its share, or memory. */
MUST_USE struct status home_obtain(struct engine *engine, const char *path, uint32_t uid, struct home **home_out);

/* It is not in use, and no event names it. */
void home_forget(struct engine *engine, struct home *home);

/* Where it stands; an unknown home (NULL) at generation 1. */
struct fence home_fence(const struct engine *engine, const struct home *home);

/* Whether a call that was let in for this directory may be told of the home. */
bool home_is_for(const struct home *home, const struct engine_directory *directory);

/* One generation on. */
void home_advance(struct engine *engine, struct home *home);

/* An event that names it is in the outbox, and is out. */
void home_hold(struct home *home);
void home_release(struct engine *engine, struct home *home);

/* Forgets all of them; none is in use. */
void homes_fini(struct engine *engine);

/* NULL when memory is short. */
MUST_USE struct household *household_obtain(struct engine *engine, struct home *home);

/* This step changed something here: engine_conclude will look at it. */
void household_touch(struct engine *engine, struct household *household);

/* Frees it when it has nothing, or what it needs for workers when it has none.  True when it is gone. */
bool household_leave_if_empty(struct engine *engine, uint64_t now_ns, struct household *household);

/* Workers that count against workers_per_home: starting, idle, leased. */
uint64_t household_live_count(const struct household *household);

/* Flights that wait for a lease. */
uint64_t household_waiting_count(const struct household *household);

#endif
