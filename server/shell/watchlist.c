#include "server/shell/watchlist.h"

#include "server/base/invariant.h"
#include "server/base/secret.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void watchlist_init(struct watchlist *list, size_t watched_count_max, size_t let_go_count_max)
{
    *list = (struct watchlist){.watched_count_max = watched_count_max, .let_go_count_max = let_go_count_max};
    secret_random(&list->seed, sizeof list->seed);
}

struct watch *watchlist_find(const struct watchlist *list, const char *home)
{
    size_t size = strlen(home);
    struct watch *watch;

    HASH_FIND_BYHASHVALUE(by_home, list->by_home, home, size, map_hash(&list->seed, home, size), watch);
    return watch;
}

struct watch *watchlist_find_id(const struct watchlist *list, uint64_t id)
{
    struct watch *watch;

    HASH_FIND_BYHASHVALUE(by_id, list->by_id, &id, sizeof id, map_hash_id(id), watch);
    return watch;
}

static void free_watch(struct watch *watch)
{
    struct list_node *node;

    while ((node = list_pop_front(&watch->starts)) != NULL) {
        struct pinned_start *start = LIST_OWNER(node, struct pinned_start, node);

        close(start->home_fd);
        free(start);
    }
    free(watch->home);
    free(watch);
}

struct watch *watchlist_add(struct watchlist *list, const char *home, const struct engine_directory *directory)
{
    struct watch *watch = calloc(1, sizeof *watch);
    size_t size = strlen(home);
    bool added = false;

    INVARIANT(watchlist_find(list, home) == NULL);
    if (watch == NULL)
        return NULL;
    watch->home = strdup(home);
    watch->id = list->last_id + 1;
    watch->directory = *directory;
    if (watch->home != NULL)
        MAP_ADD(by_home, list->by_home, watch->home, size, map_hash(&list->seed, home, size), watch, added);
    if (!added) {
        free_watch(watch);
        return NULL;
    }
    MAP_ADD(by_id, list->by_id, &watch->id, sizeof watch->id, map_hash_id(watch->id), watch, added);
    if (!added) {
        HASH_DELETE(by_home, list->by_home, watch);
        free_watch(watch);
        return NULL;
    }
    list->last_id = watch->id;
    list_push_back(&list->watched, &watch->node);
    return watch;
}

void watchlist_remove(struct watchlist *list, struct watch *watch)
{
    HASH_DELETE(by_home, list->by_home, watch);
    if (watch->state != WATCH_LET_GO)
        HASH_DELETE(by_id, list->by_id, watch);
    list_remove(&watch->node);
    free_watch(watch);
}

void watchlist_fini(struct watchlist *list)
{
    struct list *lists[] = {&list->watched, &list->let_go};

    for (size_t i = 0; i < 2; i++) {
        while (lists[i]->first != NULL)
            watchlist_remove(list, LIST_OWNER(lists[i]->first, struct watch, node));
    }
}

bool watchlist_is_crowded(const struct watchlist *list)
{
    return list->let_go.count > 0 || list->watched.count * 2 > list->watched_count_max;
}

void watchlist_touch(struct watchlist *list, struct watch *watch)
{
    if (watch->state != WATCH_LET_GO)
        list_move(&list->watched, &watch->node);
}

/* One whose first reading is awaited is not the oldest but in a list that is far too short. */
uint64_t watchlist_let_go(struct watchlist *list)
{
    struct watch *watch;
    uint64_t id;

    if (list->watched.count <= list->watched_count_max)
        return 0;
    watch = LIST_OWNER(list->watched.first, struct watch, node);
    if (watch->state != WATCH_SETTLED)
        return 0;
    id = watch->id;
    watch->state = WATCH_LET_GO;
    HASH_DELETE(by_id, list->by_id, watch);
    list_move(&list->let_go, &watch->node);
    if (list->let_go.count > list->let_go_count_max)
        watchlist_remove(list, LIST_OWNER(list->let_go.first, struct watch, node));
    return id;
}

bool watch_add_start(struct watch *watch, uint64_t worker_id, int home_fd)
{
    struct pinned_start *start = calloc(1, sizeof *start);

    if (start == NULL)
        return false;
    start->worker_id = worker_id;
    start->home_fd = home_fd;
    list_push_back(&watch->starts, &start->node);
    return true;
}
