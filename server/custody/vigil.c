/* The table of vigils, see vigil.h. */
#include "server/custody/vigil.h"

#include <stdlib.h>
#include <unistd.h>

static struct vigil *find(const struct vigils *vigils, uint64_t home_id)
{
    struct vigil *vigil;

    HASH_FIND_BYHASHVALUE(handle, vigils->by_id, &home_id, sizeof home_id, map_hash_id(home_id), vigil);
    return vigil;
}

struct vigil *vigils_add(struct vigils *vigils, uint64_t home_id, int home_fd, uint64_t settled_due_ns)
{
    struct vigil *vigil;
    bool added;

    INVARIANT(find(vigils, home_id) == NULL);
    vigil = calloc(1, sizeof *vigil);
    if (vigil == NULL)
        return NULL;
    vigil->home_id = home_id;
    MAP_ADD(handle, vigils->by_id, &vigil->home_id, sizeof vigil->home_id, map_hash_id(home_id), vigil, added);
    if (!added) {
        free(vigil);
        return NULL;
    }
    vigil->home_fd = home_fd;
    vigil->settled_due_ns = settled_due_ns;
    list_push_back(&vigils->outbox, &vigil->queue_node);
    list_push_back(&vigils->unsettled, &vigil->unsettled_node);
    return vigil;
}

struct vigil *vigils_find(const struct vigils *vigils, uint64_t home_id)
{
    struct vigil *vigil = find(vigils, home_id);

    return vigil == NULL || vigil->forgotten ? NULL : vigil;
}

void vigils_requeue(struct vigils *vigils)
{
    struct vigil *vigil, *next;

    for (vigil = vigils->by_id; vigil != NULL; vigil = next) {
        next = vigil->handle.next;
        vigil->sent = false;
        if (vigil->forgotten)
            vigils_drop(vigils, vigil);
        else if (vigil->queue_node.list == NULL)
            list_push_back(&vigils->outbox, &vigil->queue_node);
    }
}

void vigils_drop(struct vigils *vigils, struct vigil *vigil)
{
    HASH_DELETE(handle, vigils->by_id, vigil);
    list_remove(&vigil->queue_node);
    list_remove(&vigil->unsettled_node);
    close(vigil->home_fd);
    free(vigil);
}

void vigils_drop_all(struct vigils *vigils)
{
    struct vigil *vigil, *next;

    for (vigil = vigils->by_id; vigil != NULL; vigil = next) {
        next = vigil->handle.next;
        vigils_drop(vigils, vigil);
    }
}
