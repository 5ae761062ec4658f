/* What the walks have found out lately: places for 250 ms, groups of uids for a minute.
 *
 * Both are bounded.  All of a kind live equally long, so the oldest is the first to be of no use, and room is made at
 * that end.  When memory is short, nothing is kept; that costs a walk and no more.
 *
 * Threads: none of its own; the owner's lock guards it. */
#ifndef SERVER_HOMES_MEMORY_H
#define SERVER_HOMES_MEMORY_H

#include "server/base/map.h"
#include "server/homes/homes.h"
#include "server/homes/rights.h"

enum { HOMES_PLACE_COUNT_MAX = 1024, HOMES_GROUP_COUNT_MAX = 1024 };

struct homes_place;
struct homes_group;

struct homes_memory {
    struct map_seed seed;
    struct homes_place *places; /* oldest first */
    struct homes_group *groups; /* oldest first */
};

void homes_memory_init(struct homes_memory *memory);
void homes_memory_fini(struct homes_memory *memory);

/* What (path, uid) was found to be at most 250 ms ago; false: nothing is known. */
MUST_USE bool homes_memory_find_place(const struct homes_memory *memory, const char *path, uint32_t uid,
                                      uint64_t now_ns, struct home_place *place_out, struct status *status_out);

/* `walked_ns`: when the look began. */
void homes_memory_keep_place(struct homes_memory *memory, const char *path, uint32_t uid, uint64_t walked_ns,
                             const struct home_place *place, const struct status *status);

/* The groups of this uid as of at most a minute ago, with a count for the caller; NULL: nothing is known. */
MUST_USE struct rights_groups *homes_memory_share_groups(const struct homes_memory *memory, uint32_t uid,
                                                         uint64_t now_ns);

/* Adds a count of its own. */
void homes_memory_keep_groups(struct homes_memory *memory, uint32_t uid, uint64_t asked_ns,
                              struct rights_groups *groups);

#endif
