/* A tenant: a uid, whose share of what is scarce is counted here.
 *
 * Homes: it made some known, and may have a sixteenth of all.  Workers: those that were started for it, or last lent to
 * it, are its own; when workers_max binds, whoever has fewest is served next, of equals the one whose last turn is
 * longest ago.  A tenant is in turns while a household waits in its line for room.
 *
 * It exists while somebody holds it: homes, flights and workers do. */
#ifndef SERVER_ENGINE_TENANT_H
#define SERVER_ENGINE_TENANT_H

#include "server/base/heap.h"
#include "server/base/list.h"
#include "server/base/map.h"
#include "server/engine/engine.h"

struct household;

/* Homes without a worker go before those that have one. */
enum tenant_line { LINE_WITHOUT_WORKER, LINE_WITH_WORKER, LINE_COUNT };

struct tenant {
    UT_hash_handle handle; /* of tenants.map, by uid */
    uint32_t uid;
    uint64_t holders;
    uint64_t home_count;           /* made known for it */
    struct list idle_homes;        /* of these, those that may be forgotten: home.in_tenant */
    uint64_t waiting_count;        /* its flights without a lease */
    uint64_t worker_count;         /* its workers that are starting, idle or leased */
    struct list lines[LINE_COUNT]; /* households that want a start for it */
    uint64_t wanted;               /* starts, of all of them */
    uint64_t last_turn;            /* twice the number of its last start; one that is new stands between the last start
                                   * of all and those before, so that leaving and coming again is of no use */
    struct heap_node turn;         /* of tenants.turns */
};

struct tenants {
    struct tenant *map;
    struct heap turns;   /* room for every tenant */
    uint64_t turn_count; /* so far */
};

/* Held once more; created where it is not.  NULL when memory is short. */
MUST_USE struct tenant *tenant_obtain(struct engine *engine, uint32_t uid);
struct tenant *tenant_hold(struct tenant *tenant); /* NULL is fine */
void tenant_release(struct engine *engine, struct tenant *tenant);

/* Root and the daemon's own uid have no share to keep to. */
bool tenant_is_exempt(const struct engine *engine, const struct tenant *tenant);

/* One worker more or fewer. */
void tenant_count_worker(struct engine *engine, struct tenant *tenant, int difference);

/* This household wants that many starts for the tenant (0: none any more), and stands in its line. */
void tenant_line_up(struct engine *engine, struct tenant *tenant, struct household *household, uint64_t wanted);

/* Whose turn it is: the household at the head of its line, taken off it; NULL: nobody waits. */
struct household *tenant_take_turn(struct engine *engine);

/* The tenant in turns that has fewest workers, but for this one; NULL: there is none. */
struct tenant *tenant_neediest_but(const struct engine *engine, const struct tenant *tenant);

void tenants_fini(struct engine *engine);

#endif
