/* Known homes, see known_homes.h. */
#include "server/shell/known_homes.h"

#include <stdlib.h>
#include <string.h>

void known_homes_init(struct known_homes *homes, const struct map_seed *seed, size_t count_max)
{
    *homes = (struct known_homes){.seed = *seed, .count_max = count_max};
}

static void forget(struct known_homes *homes, struct known_home *known)
{
    INVARIANT(known->holder_count == 0);
    list_remove(&known->node);
    HASH_DELETE(handle, homes->map, known);
    free(known);
}

void known_homes_fini(struct known_homes *homes)
{
    while (homes->map != NULL)
        forget(homes, homes->map);
}

struct known_home *known_homes_find(const struct known_homes *homes, const char *path)
{
    size_t size = strlen(path);
    struct known_home *known;

    HASH_FIND_BYHASHVALUE(handle, homes->map, path, size, map_hash(&homes->seed, path, size), known);
    return known;
}

static struct known_home *make_known(struct known_homes *homes, const struct home_place *place)
{
    size_t size = strlen(place->canonical);
    struct known_home *known;
    bool added;

    if (HASH_CNT(handle, homes->map) >= homes->count_max && homes->unheld.count > 0) {
        forget(homes, LIST_OWNER(homes->unheld.first, struct known_home, node));
        homes->forgot = true;
    }
    known = calloc(1, sizeof *known + size + 1);
    if (known == NULL)
        return NULL;
    memcpy(known->path, place->canonical, size + 1);
    known->identity = place->identity;
    MAP_ADD(handle, homes->map, known->path, size, map_hash(&homes->seed, known->path, size), known, added);
    if (!added) {
        free(known);
        return NULL;
    }
    list_push_back(&homes->unheld, &known->node);
    return known;
}

struct known_home *known_homes_obtain(struct known_homes *homes, const struct home_place *place, bool *changed_out)
{
    struct known_home *known = known_homes_find(homes, place->canonical);
    bool changed = known == NULL ? homes->forgot : !home_identity_is(&known->identity, &place->identity);

    if (known == NULL)
        known = make_known(homes, place);
    if (known != NULL)
        *changed_out = changed;
    return known;
}

void known_home_hold(struct known_home *known)
{
    list_remove(&known->node);
    known->holder_count++;
}

void known_home_let_go(struct known_homes *homes, struct known_home *known)
{
    INVARIANT(known->holder_count > 0);
    known->holder_count--;
    if (known->holder_count == 0)
        list_push_back(&homes->unheld, &known->node);
}
