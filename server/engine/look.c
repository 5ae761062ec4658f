/* Looking at the engine: for administrators and heartbeats; nothing changes. */
#include "server/engine/state.h"

#include <stdlib.h>
#include <string.h>

void engine_look(const struct engine *engine, struct engine_view *view_out)
{
    *view_out = (struct engine_view){
        .epoch = engine->epoch,
        .draining = engine->draining,
        .homes = HASH_CNT(handle, engine->homes.map),
        .cache_entries = engine->cache.used.count,
        .cache_bytes = engine->cache.bytes,
        .flights = engine->flights_in[FLIGHT_WAITING].count + engine->flights_in[FLIGHT_LEASED].count,
        .waiting = engine->calls.waiting_count,
        .aboard = engine->calls.aboard_count,
    };
    memcpy(view_out->workers, engine->pool.in_state_count, sizeof view_out->workers);
    memcpy(view_out->counters, engine->counters, sizeof view_out->counters);
}

bool engine_waits_for_starts(const struct engine *engine)
{
    const struct pool *pool = &engine->pool;

    return pool->wanted > 0 && pool->in_state_count[WORKER_STARTING] > 0 &&
           pool->workers.count >= engine->settings.workers_max;
}

static void copy_path(char *out, const struct home *home)
{
    memcpy(out, home->path, strlen(home->path) + 1);
}

/* ---- homes ---- */

static void look_at_queue(const struct list *queue, uint64_t now_ns, struct engine_home_view *view)
{
    LIST_EACH (node, queue) {
        const struct flight *flight = LIST_OWNER(node, struct flight, in_queue);
        uint64_t arrived_ns = LIST_OWNER(flight->callers.first, struct engine_call, node)->arrived_ns;

        view->waiting += flight->callers.count;
        if (now_ns > arrived_ns && now_ns - arrived_ns > view->oldest_wait_ns)
            view->oldest_wait_ns = now_ns - arrived_ns;
    }
}

static void look_at_home(const struct engine *engine, const struct home *home, uint64_t now_ns,
                         struct engine_home_view *view)
{
    const struct household *household = home->household;

    copy_path(view->home, home);
    view->generation = home_fence(engine, home).generation;
    view->waiting = view->oldest_wait_ns = view->cache_entries = view->pause_ns = 0;
    view->last_failure[0] = '\0';
    memset(view->workers, 0, sizeof view->workers);
    if (household == NULL)
        return;
    view->cache_entries = household->answers.count;
    for (int state = 0; state < WORKER_STATE_COUNT; state++)
        view->workers[state] = household->in_state[state].count;
    look_at_queue(&household->waiting, now_ns, view);
    look_at_queue(&household->waiting_fresh, now_ns, view);
    view->pause_ns = pause_left_ns(engine, household, now_ns);
    if (household->pause != NULL && household->pause->epoch == engine->epoch)
        memcpy(view->last_failure, household->pause->cause.message, sizeof view->last_failure);
}

/* The first paths of all that were added, in a heap with the last of them on top. */
struct first_homes {
    const struct home **homes;
    size_t count, count_max;
    bool more; /* some did not fit */
};

static void swap(const struct home **one, const struct home **other)
{
    const struct home *kept = *one;

    *one = *other;
    *other = kept;
}

static bool comes_before(const struct home *one, const struct home *other)
{
    return strcmp(one->path, other->path) < 0;
}

static void sift_down(const struct home **homes, size_t count)
{
    size_t at = 0, child;

    while ((child = 2 * at + 1) < count) {
        if (child + 1 < count && comes_before(homes[child], homes[child + 1]))
            child++;
        if (!comes_before(homes[at], homes[child]))
            return;
        swap(&homes[at], &homes[child]);
        at = child;
    }
}

static void add_first_home(struct first_homes *first, const struct home *home)
{
    if (first->count < first->count_max) {
        size_t at = first->count++;

        first->homes[at] = home;
        for (; at > 0 && comes_before(first->homes[(at - 1) / 2], first->homes[at]); at = (at - 1) / 2)
            swap(&first->homes[at], &first->homes[(at - 1) / 2]);
        return;
    }
    first->more = true;
    if (!comes_before(home, first->homes[0]))
        return;
    first->homes[0] = home;
    sift_down(first->homes, first->count);
}

size_t engine_look_homes(const struct engine *engine, uint64_t now_ns, const char *after,
                         struct engine_home_view *views, size_t view_count_max, bool *more_out)
{
    struct first_homes first = {.count_max = view_count_max};
    size_t count;

    if (view_count_max > 0)
        first.homes = calloc(view_count_max, sizeof(struct home *));
    *more_out = HASH_CNT(handle, engine->homes.map) > 0;
    if (first.homes == NULL)
        return 0;
    for (const struct home *home = engine->homes.map; home != NULL; home = home->handle.next)
        if (strcmp(home->path, after) > 0)
            add_first_home(&first, home);
    count = first.count;
    /* The last on top goes to the end, until they stand in order. */
    while (first.count > 0) {
        swap(&first.homes[0], &first.homes[--first.count]);
        sift_down(first.homes, first.count);
    }
    for (size_t i = 0; i < count; i++)
        look_at_home(engine, first.homes[i], now_ns, &views[i]);
    *more_out = first.more;
    free(first.homes);
    return count;
}

/* ---- homes in which something happens ---- */

static int compare_homes(const void *one, const void *other)
{
    return strcmp((*(const struct home *const *)one)->path, (*(const struct home *const *)other)->path);
}

/* Homes that have a worker, a flight that waits, or a failure that is not forgotten; one may come several times. */
static size_t gather_busy(const struct engine *engine, const struct home **homes)
{
    const struct heap *dues = &engine->homes.dues;
    size_t count = 0;

    LIST_EACH (node, &engine->pool.workers)
        homes[count++] = LIST_OWNER(node, struct worker, in_pool)->household->home;
    LIST_EACH (node, &engine->flights_in[FLIGHT_WAITING])
        homes[count++] = LIST_OWNER(node, struct flight, node)->entry->household->home;
    for (size_t i = 0; i < dues->count; i++)
        homes[count++] = LIST_OWNER(dues->nodes[i], struct household, due)->home;
    return count;
}

size_t engine_look_busy_homes(const struct engine *engine, uint64_t now_ns, struct engine_home_view *views,
                              size_t view_count_max, bool *more_out)
{
    size_t count_max = engine->pool.workers.count + engine->flights_in[FLIGHT_WAITING].count + engine->homes.dues.count;
    const struct home **homes = calloc(count_max + 1, sizeof(struct home *));
    size_t found, count = 0;

    *more_out = count_max > 0;
    if (homes == NULL)
        return 0;
    found = gather_busy(engine, homes);
    qsort(homes, found, sizeof(struct home *), compare_homes);
    *more_out = false;
    for (size_t i = 0; i < found && !*more_out; i++) {
        if (i > 0 && homes[i] == homes[i - 1])
            continue;
        *more_out = count == view_count_max;
        if (!*more_out)
            look_at_home(engine, homes[i], now_ns, &views[count++]);
    }
    free(homes);
    return count;
}

/* ---- workers ---- */

static void look_at_worker(const struct worker *worker, uint64_t now_ns, struct engine_worker_view *view)
{
    bool lent = worker->state == WORKER_LEASED || worker->state == WORKER_DRAINING;

    copy_path(view->home, worker->household->home);
    view->worker_id = worker->id;
    view->pid = worker->pid;
    view->generation = worker->fence.generation;
    view->state = worker->state;
    view->state_ns = now_ns - worker->since_ns;
    view->age_ns = now_ns - worker->started_ns;
    view->lease_id = lent ? worker->lease.id : 0;
    view->provider[0] = '\0';
    if (lent)
        memcpy(view->provider, worker->lease.provider, sizeof view->provider);
    view->callers = worker->flight == NULL ? 0 : worker->flight->callers.count;
    view->leases = worker->lease_count;
}

size_t engine_look_workers(const struct engine *engine, uint64_t now_ns, const char *path, uint64_t after_id,
                           struct engine_worker_view *views, size_t view_count_max, bool *more_out)
{
    const struct home *home = path[0] == '\0' ? NULL : home_look(engine, path);
    size_t count = 0;

    *more_out = false;
    LIST_EACH (node, &engine->pool.workers) {
        const struct worker *worker = LIST_OWNER(node, struct worker, in_pool);

        if (worker->id <= after_id || (path[0] != '\0' && worker->household->home != home))
            continue;
        *more_out = count == view_count_max;
        if (*more_out)
            break;
        look_at_worker(worker, now_ns, &views[count++]);
    }
    return count;
}
