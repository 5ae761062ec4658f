/* Which homes are looked out for, and which starts wait until that has begun.
 *
 * A home is on it from its first start on.  A worker must not read its credentials before there is something to tell
 * later ones from, so the first starts wait for a first reading (custody.h, `settled`: half a second at most).
 *
 * There is a maximum: then the home that was asked for longest ago is let go.  Nobody tells of it any more, so it is
 * remembered as one of whom nothing is known, and whoever asks for it again has it invalidated first.
 *
 *   UNSETTLED --settled--> SETTLED --too many--> LET_GO --asked for again--> off
 *   any of them --gone, or another directory--> off
 *
 * Threads: one at a time (the shell's lock).  Nothing here calls custody: the shell does, by what it is told. */
#ifndef SERVER_SHELL_WATCHLIST_H
#define SERVER_SHELL_WATCHLIST_H

#include "server/base/list.h"
#include "server/base/map.h"
#include "server/engine/engine.h"

enum watch_state { WATCH_UNSETTLED, WATCH_SETTLED, WATCH_LET_GO };

/* A start whose home is opened. */
struct pinned_start {
    struct list_node node;
    uint64_t worker_id;
    int home_fd; /* owned */
};

struct watch {
    uint64_t id; /* to custody; never used again */
    char *home;  /* its path; owned */
    struct engine_directory directory;
    enum watch_state state;
    UT_hash_handle by_home, by_id;
    struct list_node node; /* on watched or let_go, whoever was asked for longest ago first */
    struct list starts;    /* UNSETTLED: struct pinned_start */
};

struct watchlist {
    struct map_seed seed;
    struct watch *by_home, *by_id;
    struct list watched, let_go;
    size_t watched_count_max, let_go_count_max;
    uint64_t last_id;
};

void watchlist_init(struct watchlist *list, size_t watched_count_max, size_t let_go_count_max);
void watchlist_fini(struct watchlist *list);

struct watch *watchlist_find(const struct watchlist *list, const char *home);
struct watch *watchlist_find_id(const struct watchlist *list, uint64_t id); /* not one that was let go */

/* Another one is not on the list; UNSETTLED.  NULL: no memory. */
MUST_USE struct watch *watchlist_add(struct watchlist *list, const char *home,
                                     const struct engine_directory *directory);
void watchlist_remove(struct watchlist *list, struct watch *watch);

/* Whether it matters when a home was asked for last: there are, or will soon be, too many. */
bool watchlist_is_crowded(const struct watchlist *list);
void watchlist_touch(struct watchlist *list, struct watch *watch);

/* Lets one go when there are too many; its id, 0: nobody had to. */
uint64_t watchlist_let_go(struct watchlist *list);

/* Takes home_fd.  False: no memory, nothing was taken. */
MUST_USE bool watch_add_start(struct watch *watch, uint64_t worker_id, int home_fd);

#endif
