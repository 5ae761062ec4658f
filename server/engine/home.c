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
    if (list != NULL)
        list_push_back(list, &home->node);
}

static void home_catch_up(struct engine *engine, struct home *home)
{
    if (!is_behind(engine, home))
        return;
    home->epoch = engine->epoch;
    home->generation = 1;
    home_settle(engine, home);
}

void home_forget(struct engine *engine, struct home *home)
{
    INVARIANT(home->household == NULL && home->news_count == 0);
    list_remove(&home->node);
    HASH_DELETE(handle, engine->homes.map, home);
    free(home);
}

/* Forgets the home of which nothing has been known for longest, if there is one. */
static bool home_make_place(struct engine *engine)
{
    struct list *moved = &engine->homes.moved, *idle = &engine->homes.idle;

    /* A new epoch has put those at 1; each is visited once. */
    while (idle->count == 0 && moved->count > 0) {
        struct home *home = LIST_OWNER(moved->first, struct home, node);

        if (!is_behind(engine, home))
            break;
        home_catch_up(engine, home);
    }
    if (idle->count == 0)
        return false;
    home_forget(engine, LIST_OWNER(idle->first, struct home, node));
    return true;
}

/* Whether one more home may be made known.  The share of one uid belongs here. */
static bool home_may_be_added(struct engine *engine)
{
    return HASH_CNT(handle, engine->homes.map) < engine->settings.homes_max || home_make_place(engine);
}

static struct home *home_create(struct engine *engine, const char *path)
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

struct status home_obtain(struct engine *engine, const char *path, struct home **home_out)
{
    struct home *home = home_find(engine, path);

    if (home == NULL && !home_may_be_added(engine)) {
        engine_count(engine, ENGINE_COUNTER_REFUSED_HOMES_MAX);
        return status_make(STATUS_RESOURCE_EXHAUSTED, "server.homes_max: %" PRIu64 " homes are remembered already",
                           engine->settings.homes_max);
    }
    if (home == NULL)
        home = home_create(engine, path);
    if (home == NULL)
        return call_memory_is_short(engine);
    *home_out = home;
    return status_ok();
}

struct fence home_fence(const struct engine *engine, const struct home *home)
{
    return (struct fence){engine->epoch, home == NULL || is_behind(engine, home) ? 1 : home->generation};
}

void home_advance(struct engine *engine, struct home *home, uint64_t now_ns)
{
    INVARIANT(!is_behind(engine, home));
    home->generation++;
    home->moved_ns = now_ns;
    list_remove(&home->node); /* also where it is on the list already: the latest is the last */
    home_settle(engine, home);
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
        (void)household_leave_if_empty(engine, LIST_OWNER(node, struct household, touched));
    HASH_ITER(handle, engine->homes.map, home, next)
    {
        home_forget(engine, home);
    }
}

/* ---- households ---- */

struct household *household_obtain(struct engine *engine, struct home *home)
{
    if (home->household == NULL) {
        home->household = calloc(1, sizeof *home->household);
        if (home->household == NULL)
            return NULL;
        home->household->home = home;
        home_settle(engine, home);
    }
    return home->household;
}

void household_touch(struct engine *engine, struct household *household)
{
    if (household->touched.list == NULL)
        list_push_back(&engine->homes.touched, &household->touched);
}

static bool household_is_empty(const struct household *household)
{
    return household->answers.count == 0 && household->blanks.count == 0 && household->workers.count == 0 &&
           household->quiescing.count == 0;
}

bool household_leave_if_empty(struct engine *engine, struct household *household)
{
    struct home *home = household->home;

    if (!household_is_empty(household))
        return false;
    INVARIANT(household_waiting_count(household) == 0 && household->in_line.list == NULL);
    list_remove(&household->touched);
    free(household);
    home->household = NULL;
    home_settle(engine, home);
    return true;
}

uint64_t household_live_count(const struct household *household)
{
    return household->in_state[WORKER_STARTING].count + household->in_state[WORKER_IDLE].count +
           household->in_state[WORKER_LEASED].count;
}

uint64_t household_waiting_count(const struct household *household)
{
    return household->waiting.count + household->waiting_fresh.count;
}
