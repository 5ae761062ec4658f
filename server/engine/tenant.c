/* Tenants: held, counted, taking turns. */
#include "server/engine/tenant.h"

#include "server/engine/state.h"

#include <stdlib.h>

static unsigned hash_of(const struct engine *engine, const uint32_t *uid)
{
    return map_hash(&engine->seed, uid, sizeof *uid);
}

static struct tenant *tenant_create(struct engine *engine, uint32_t uid)
{
    struct tenant *tenant = calloc(1, sizeof *tenant);
    bool added;

    if (tenant == NULL)
        return NULL;
    if (!heap_reserve(&engine->tenants.turns)) {
        free(tenant);
        return NULL;
    }
    tenant->uid = uid;
    tenant->last_turn = engine->tenants.turn_count == 0 ? 0 : 2 * engine->tenants.turn_count - 1;
    MAP_ADD(handle, engine->tenants.map, &tenant->uid, sizeof tenant->uid, hash_of(engine, &uid), tenant, added);
    if (!added) {
        heap_unreserve(&engine->tenants.turns);
        free(tenant);
        return NULL;
    }
    return tenant;
}

struct tenant *tenant_obtain(struct engine *engine, uint32_t uid)
{
    struct tenant *tenant;

    HASH_FIND_BYHASHVALUE(handle, engine->tenants.map, &uid, sizeof uid, hash_of(engine, &uid), tenant);
    return tenant_hold(tenant != NULL ? tenant : tenant_create(engine, uid));
}

struct tenant *tenant_hold(struct tenant *tenant)
{
    if (tenant != NULL)
        tenant->holders++;
    return tenant;
}

void tenant_release(struct engine *engine, struct tenant *tenant)
{
    if (tenant == NULL)
        return;
    INVARIANT(tenant->holders > 0);
    if (--tenant->holders > 0)
        return;
    INVARIANT(tenant->home_count + tenant->waiting_count + tenant->worker_count + tenant->wanted == 0);
    heap_unreserve(&engine->tenants.turns);
    HASH_DELETE(handle, engine->tenants.map, tenant);
    free(tenant);
}

bool tenant_is_exempt(const struct engine *engine, const struct tenant *tenant)
{
    return MUTANT(SHARES_IGNORED) || tenant->uid == 0 || tenant->uid == engine->settings.daemon_uid;
}

/* ---- turns ---- */

enum { TURN_BITS = 44 }; /* of the number of a turn in a heap's due time, below the number of workers */

static bool is_lined_up(const struct tenant *tenant)
{
    return tenant->lines[LINE_WITHOUT_WORKER].count + tenant->lines[LINE_WITH_WORKER].count > 0;
}

/* The only writer of tenant->turn. */
static void settle_turn(struct engine *engine, struct tenant *tenant)
{
    uint64_t workers = MUTANT(TURN_RICH_FIRST) ? 0xffff - tenant->worker_count : tenant->worker_count;
    uint64_t turn = MUTANT(TURN_LATEST_FIRST) ? 0xffffffff - tenant->last_turn : tenant->last_turn;

    if (is_lined_up(tenant))
        heap_set(&engine->tenants.turns, &tenant->turn, workers << TURN_BITS | turn);
    else
        heap_clear(&engine->tenants.turns, &tenant->turn);
}

void tenant_count_worker(struct engine *engine, struct tenant *tenant, int difference)
{
    INVARIANT(difference > 0 || tenant->worker_count > 0);
    tenant->worker_count += (uint64_t)(int64_t)difference;
    settle_turn(engine, tenant);
}

void tenant_line_up(struct engine *engine, struct tenant *tenant, struct household *household, uint64_t wanted)
{
    struct tenant *before = household->in_line_of;
    struct list *line = NULL;

    if (wanted > 0)
        line = &tenant->lines[household_live_count(household) > 0 ? LINE_WITH_WORKER : LINE_WITHOUT_WORKER];
    if (before != NULL)
        before->wanted -= household->wanted;
    household->in_line_of = wanted > 0 ? tenant_hold(tenant) : NULL;
    household->wanted = (uint32_t)wanted;
    if (household->in_line.list != line)
        list_remove(&household->in_line);
    if (line != NULL) {
        tenant->wanted += wanted;
        if (household->in_line.list == NULL && MUTANT(HOME_LATEST_FIRST))
            list_push_front(line, &household->in_line);
        else if (household->in_line.list == NULL)
            list_push_back(line, &household->in_line);
        settle_turn(engine, tenant);
    }
    if (before != NULL) {
        settle_turn(engine, before);
        tenant_release(engine, before);
    }
}

struct household *tenant_take_turn(struct engine *engine)
{
    struct heap_node *node = heap_first(&engine->tenants.turns);
    struct tenant *tenant;
    struct list_node *next;

    if (node == NULL)
        return NULL;
    tenant = LIST_OWNER(node, struct tenant, turn);
    next = list_pop_front(&tenant->lines[LINE_WITHOUT_WORKER]);
    if (next == NULL)
        next = list_pop_front(&tenant->lines[LINE_WITH_WORKER]);
    tenant->last_turn = 2 * ++engine->tenants.turn_count;
    settle_turn(engine, tenant);
    return LIST_OWNER(next, struct household, in_line);
}

struct tenant *tenant_neediest_but(const struct engine *engine, const struct tenant *tenant)
{
    struct heap_node *node = heap_first(&engine->tenants.turns);

    if (node == &tenant->turn)
        node = heap_second(&engine->tenants.turns);
    return node == NULL ? NULL : LIST_OWNER(node, struct tenant, turn);
}

void tenants_fini(struct engine *engine)
{
    INVARIANT(engine->tenants.map == NULL);
    heap_fini(&engine->tenants.turns);
}
