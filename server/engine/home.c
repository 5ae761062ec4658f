/* Homes and households: made known, moved, forgotten. */
#include "server/engine/home.h"

#include "server/engine/state.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static bool is_behind(const struct engine *engine, const struct home *home)
{
    return home->epoch != engine->epoch;
}

/* The only writer of home->node: which list it belongs on. */
static void home_settle(struct engine *engine, struct home *home)
{
    struct list *list = home->generation > 1                               ? &engine->homes.moved
                        : home->household == NULL && home->news_count == 0 ? &engine->homes.idle
                                                                           : NULL;

    if (home->node.list == list)
        return;
    list_remove(&home->node);
    list_remove(&home->in_tenant);
    if (list != NULL)
        list_push_back(list, &home->node);
    if (list == &engine->homes.idle)
        list_push_back(&home->tenant->idle_homes, &home->in_tenant);
}

static void home_catch_up(struct engine *engine, struct home *home)
{
    if (!is_behind(engine, home))
        return;
    home->epoch = engine->epoch;
    if (!MUTANT(EPOCH_KEEPS_GENERATIONS))
        home->generation = 1;
    home_settle(engine, home);
}

void home_forget(struct engine *engine, struct home *home)
{
    INVARIANT(home->household == NULL && home->news_count == 0);
    list_remove(&home->node);
    list_remove(&home->in_tenant);
    HASH_DELETE(handle, engine->homes.map, home);
    home->tenant->home_count--;
    tenant_release(engine, home->tenant);
    free(home);
}

enum { CATCH_UP_COUNT_MAX = 64 };

/* A new epoch has put those at 1 that had moved, and voided what was known of them; each is visited once, a few at a
 * time. */
static void catch_some_up(struct engine *engine)
{
    struct list *moved = &engine->homes.moved;

    cache_forget_older(engine, CATCH_UP_COUNT_MAX);
    for (int count = 0; count < CATCH_UP_COUNT_MAX && moved->count > 0; count++) {
        struct home *home = LIST_OWNER(moved->first, struct home, node);

        if (!is_behind(engine, home))
            return;
        home_catch_up(engine, home);
    }
}

static uint64_t share_of_homes(const struct engine *engine)
{
    uint64_t share = engine->settings.homes_max / HOME_SHARES;

    return share > 0 ? share : 1;
}

/* Makes place for one more of this tenant's, of its own at first; the home of which nothing has been known for longest
 * is forgotten, if there is one. */
static struct status home_make_place(struct engine *engine, struct tenant *tenant)
{
    bool full = HASH_CNT(handle, engine->homes.map) >= engine->settings.homes_max;
    bool share_is_full = !tenant_is_exempt(engine, tenant) && tenant->home_count >= share_of_homes(engine);

    if (!full && !share_is_full)
        return status_ok();
    catch_some_up(engine);
    if (share_is_full && tenant->idle_homes.count == 0) {
        engine_count(engine, ENGINE_COUNTER_REFUSED_HOMES_SHARE);
        return status_make(STATUS_RESOURCE_EXHAUSTED,
                           "server.homes_max: %" PRIu64 " homes of at most %" PRIu64
                           " for one uid are remembered already, of at most %" PRIu64 " in all",
                           tenant->home_count, share_of_homes(engine), engine->settings.homes_max);
    }
    if (!share_is_full && engine->homes.idle.count == 0) {
        engine_count(engine, ENGINE_COUNTER_REFUSED_HOMES_MAX);
        return status_make(STATUS_RESOURCE_EXHAUSTED, "server.homes_max: %" PRIu64 " homes are remembered already",
                           engine->settings.homes_max);
    }
    home_forget(engine, share_is_full ? LIST_OWNER(tenant->idle_homes.first, struct home, in_tenant)
                                      : LIST_OWNER(engine->homes.idle.first, struct home, node));
    return status_ok();
}

static struct home *home_create(struct engine *engine, struct tenant *tenant, const char *path)
{
    size_t size = strlen(path);
    struct home *home = calloc(1, sizeof *home + size + 1);
    bool added;

    if (home == NULL)
        return NULL;
    home->epoch = engine->epoch;
    home->generation = 1;
    memcpy(home->path, path, size + 1);
    MAP_ADD(handle, engine->homes.map, home->path, size, map_hash(&engine->seed, path, size), home, added);
    if (!added) {
        free(home);
        return NULL;
    }
    home->tenant = tenant_hold(tenant);
    tenant->home_count++;
    home_settle(engine, home);
    return home;
}

static struct home *home_in_map(const struct engine *engine, const char *path)
{
    size_t size = strlen(path);
    struct home *home;

    HASH_FIND_BYHASHVALUE(handle, engine->homes.map, path, size, map_hash(&engine->seed, path, size), home);
    return home;
}

const struct home *home_look(const struct engine *engine, const char *path)
{
    return home_in_map(engine, path);
}

struct home *home_find(struct engine *engine, const char *path)
{
    struct home *home = home_in_map(engine, path);

    if (home != NULL)
        home_catch_up(engine, home);
    return home;
}

struct status home_obtain(struct engine *engine, const char *path, uint32_t uid, struct home **home_out)
{
    struct home *home = home_find(engine, path);
    struct tenant *tenant;
    struct status status = status_ok();

    *home_out = home;
    if (home != NULL)
        return status;
    tenant = tenant_obtain(engine, uid);
    if (tenant == NULL)
        return call_memory_is_short(engine);
    status = home_make_place(engine, tenant);
    if (status_is_ok(&status)) {
        *home_out = home_create(engine, tenant, path);
        if (*home_out == NULL)
            status = call_memory_is_short(engine);
    }
    tenant_release(engine, tenant);
    return status;
}

struct fence home_fence(const struct engine *engine, const struct home *home)
{
    bool at_first = home == NULL || (is_behind(engine, home) && !MUTANT(EPOCH_KEEPS_GENERATIONS));

    return (struct fence){engine->epoch, at_first ? 1 : home->generation};
}

void home_advance(struct engine *engine, struct home *home)
{
    INVARIANT(!is_behind(engine, home));
    home->generation += MUTANT(GENERATION_SKIPPED) ? 2 : 1;
    list_remove(&home->node); /* also where it is on the list already: the latest is the last */
    home_settle(engine, home);
}

static bool is_same(const struct engine_directory *one, const struct engine_directory *other)
{
    return memcmp(one->words, other->words, sizeof one->words) == 0;
}

bool home_is_for(const struct home *home, const struct engine_directory *directory)
{
    return is_same(&home->directory, directory);
}

bool engine_home_is_other(const struct engine *engine, const char *path, const struct engine_directory *directory)
{
    static const struct engine_directory not_said;
    const struct home *home = home_look(engine, path);

    return home != NULL && !is_same(&home->directory, &not_said) && !is_same(&home->directory, directory);
}

void engine_home_becomes(struct engine *engine, const char *path, const struct engine_directory *directory)
{
    struct home *home = home_find(engine, path);

    if (home != NULL)
        home->directory = *directory;
}

void home_hold(struct home *home)
{
    home->news_count++;
}

void home_release(struct engine *engine, struct home *home)
{
    INVARIANT(home->news_count > 0);
    home->news_count--;
    home_settle(engine, home);
}

void homes_fini(struct engine *engine)
{
    struct list_node *node;
    struct home *home, *next;

    while ((node = list_pop_front(&engine->homes.touched)) != NULL)
        (void)household_leave_if_empty(engine, UINT64_MAX, LIST_OWNER(node, struct household, touched));
    HASH_ITER(handle, engine->homes.map, home, next)
    {
        if (home->household != NULL) /* its faults were still remembered */
            (void)household_leave_if_empty(engine, UINT64_MAX, home->household);
        home_forget(engine, home);
    }
    heap_fini(&engine->homes.dues);
}

/* ---- households ---- */

struct household *household_obtain(struct engine *engine, struct home *home)
{
    struct household *household = home->household;

    if (household != NULL)
        return household;
    household = calloc(1, sizeof *household);
    if (household == NULL || !heap_reserve(&engine->homes.dues)) {
        free(household);
        return NULL;
    }
    household->home = home;
    home->household = household;
    home_settle(engine, home);
    return household;
}

void household_touch(struct engine *engine, struct household *household)
{
    if (household->touched.list == NULL)
        list_push_back(&engine->homes.touched, &household->touched);
}

/* It has, or may be about to have, workers. */
static bool needs_pause(const struct household *household)
{
    return household->workers.count > 0 || household_waiting_count(household) > 0 || household->ahead_for != NULL ||
           pause_forgotten_ns(household) > 0;
}

static bool household_is_empty(const struct household *household)
{
    return household->answers.count == 0 && household->blanks.count == 0 && household->workers.count == 0 &&
           household->quiescing.count == 0 && household->ahead_for == NULL && household->pause == NULL;
}

bool household_leave_if_empty(struct engine *engine, uint64_t now_ns, struct household *household)
{
    struct home *home = household->home;

    pause_fade(engine, household, now_ns);
    if (household->pause != NULL && !needs_pause(household)) {
        free(household->pause);
        household->pause = NULL;
    }
    if (!household_is_empty(household))
        return false;
    INVARIANT(household_waiting_count(household) == 0 && household->in_line_of == NULL);
    list_remove(&household->touched);
    heap_clear(&engine->homes.dues, &household->due);
    heap_unreserve(&engine->homes.dues);
    free(household);
    home->household = NULL;
    home_settle(engine, home);
    return true;
}

uint64_t household_live_count(const struct household *household)
{
    return household->in_state[WORKER_STARTING].count + household->in_state[WORKER_IDLE].count +
           household->in_state[WORKER_LEASED].count +
           (MUTANT(DRAINING_COUNTS_AT_HOME) ? household->in_state[WORKER_DRAINING].count : 0);
}

uint64_t household_waiting_count(const struct household *household)
{
    return household->waiting.count + household->waiting_fresh.count;
}
