/* A peer's file-system rights, taken by one thread for as long as a look takes.
 *
 * setfsuid(2), setfsgid(2) and setgroups(2), by bare system calls, are the calling thread's alone: no other thread of
 * this process notices.  With the uid the kernel takes away what root may do to files beyond its owner's rights.
 * The groups are those of the machine's user database: the primary one and the others, as at a login.
 *
 * Ownership: groups are shared by count and fixed once they are made.  Threads: any. */
#ifndef SERVER_HOMES_RIGHTS_H
#define SERVER_HOMES_RIGHTS_H

#include "proto/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct rights_groups;

/* NULL when memory is short, for all three.  A uid that no user has is nobody's: group 65534 and no others.
 * rights_groups_look_up blocks as the machine's name service does. */
MUST_USE struct rights_groups *rights_groups_make(gid_t primary, const gid_t *others, size_t other_count);
MUST_USE struct rights_groups *rights_groups_look_up(uint32_t uid);
MUST_USE struct rights_groups *rights_groups_own(void); /* this process's */

struct rights_groups *rights_groups_share(struct rights_groups *groups);
void rights_groups_release(struct rights_groups *groups); /* NULL is fine */

/* The primary one, for tests. */
gid_t rights_groups_primary(const struct rights_groups *groups);

/* What to give back; the caller's. */
struct rights {
    const struct rights_groups *own; /* lent */
    uid_t uid;
    gid_t gid;
};

/* False: the system does not let us, nothing was taken. */
MUST_USE bool rights_take(uint32_t uid, const struct rights_groups *groups, const struct rights_groups *own,
                          struct rights *rights_out);
void rights_give_back(const struct rights *rights);

#endif
