/* From a path and a peer to a home: who may use which directory, and under which one name.
 *
 * A home is an absolute path to a directory.  /h/a/, /h//a, /h/./a and a symlink to it are one home, named by its
 * canonical path.  Authority is the kernel's: the peer's uid, the owner of the directory, server.homes_root and
 * server.admin_uids; run by root, the path is walked with the peer's rights.  A path that does not exist gives a peer
 * without the right the same answer as one that does.  Rules: proto/README.md 3, "Homes".
 *
 * What may block (a cold or hung file system) stays off the caller's thread: homes_resolve_now decides only what
 * the kernel has in its caches; what it cannot goes to resolver threads, at most one a uid and sixteen in all, so
 * that one hung mount costs its own users their deadline and nobody else anything.
 *
 * Nothing inside a home is ever opened here.
 *
 * A peer without the right hears the same and waits as long for it, whatever is there: refusals come from a resolver
 * thread alone, after a whole number of milliseconds.
 *
 * Threads: any.  Callbacks run on a resolver thread, that of homes_destroy or of homes_pin, with no lock held.
 * Locks:   two leaves (what is remembered; the resolvers' lines), never held over a system call. */
#ifndef SERVER_HOMES_HOMES_H
#define SERVER_HOMES_HOMES_H

#include "proto/limits.h"
#include "proto/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct homes;

struct homes_settings {
    uint32_t daemon_uid;        /* 0: run by root */
    bool run_by_root;           /* so it is, too, when the daemon is about to take that uid (server.user) */
    bool far_socket_given;      /* looks are taken by a process that keeps root, asked at far_socket: far_walk.h */
    int far_socket;             /* lent for the life of the process */
    const uint32_t *admin_uids; /* lent during homes_create, as are the roots */
    size_t admin_uid_count;
    const char *const *roots; /* only homes below one of these; none: anywhere */
    size_t root_count;
};

/* INVALID_ARGUMENT: a root is no directory, naming it.  RESOURCE_EXHAUSTED: no memory, no thread. */
MUST_USE struct status homes_create(const struct homes_settings *settings, struct homes **homes_out);

/* Refuses new work (UNAVAILABLE), waits at most `wait_ns` for resolvers; a resolver that hangs in the kernel is left
 * behind with its memory.  Every job's callback has run before it returns, the hung ones' with UNAVAILABLE. */
void homes_destroy(struct homes *homes, uint64_t wait_ns);

/* Whether this uid may use every home and every method: root, the daemon's uid, server.admin_uids. */
bool homes_uid_is_admin(const struct homes *homes, uint32_t uid);

/* Which directory a home is at present, and whose: a name may come to lead to another one. */
struct home_identity {
    uint32_t device_major, device_minor;
    uint64_t inode;
    bool birth_known; /* not every file system keeps it */
    int64_t birth_s;
    uint32_t birth_ns;
    uint32_t owner_uid;
};

/* Where a path leads. */
struct home_place {
    char canonical[LIMIT_HOME_SIZE_MAX + 1];
    struct home_identity identity; /* OK: of the directory that is there */
    bool missing; /* with NOT_FOUND: canonical names where it would be; false then: it cannot be named, and is "" */
};

/* True when it could be decided without blocking: *status_out is OK, or
 *   INVALID_ARGUMENT    malformed, or it leads to what cannot be a home
 *   NOT_FOUND           no such directory, and the peer may know that
 *   PERMISSION_DENIED   the same for what exists and what does not; only a remembered one is given here
 *   RESOURCE_EXHAUSTED, UNAVAILABLE   the system could not tell
 * False: ask homes_resolve_later.  A resolution is remembered for 250 ms. */
MUST_USE bool homes_resolve_now(struct homes *homes, const char *path, uint32_t uid, uint64_t now_ns,
                                struct home_place *place_out, struct status *status_out);

/* Whose turn it is when a job is done: lent by whoever asks, handed back as they were. */
struct homes_ticket {
    void *object;
    uint64_t id;
};

typedef void homes_resolved(void *context, struct homes_ticket ticket, const struct status *status,
                            const struct home_place *place);

/* The same on a resolver thread.  The path is copied.  An error (INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNAVAILABLE)
 * means that `resolved` will not be called. */
MUST_USE struct status homes_resolve_later(struct homes *homes, const char *path, uint32_t uid,
                                           homes_resolved *resolved, void *context, struct homes_ticket ticket);

/* When the status is OK: the home, lent, and `home_fd` (an O_PATH descriptor of it, given to the callback); else NULL
 * and -1. */
typedef void homes_pinned(void *context, struct homes_ticket ticket, const struct status *status,
                          const struct home_place *place, int home_fd);

/* Before a worker starts: checks `canonical` for `uid` again, from the beginning, and opens it.  The directory opened
 * is the one checked: swapping a symlink between the two gives the pinned one or a refusal (FAILED_PRECONDITION: the
 * name leads to another home now).  Errors as homes_resolve_later.
 *
 * What the kernel has in its caches is opened on the spot: then `pinned` runs on this thread, before this returns.  Else
 * it waits a second at most for its uid's turn, and less where that uid's present look has taken longer already:
 * UNAVAILABLE, so that a hung mount holds one start of a uid and no more. */
MUST_USE struct status homes_pin(struct homes *homes, const char *canonical, uint32_t uid, homes_pinned *pinned,
                                 void *context, struct homes_ticket ticket);

/* Somebody waits for a place that such a start holds: one that waits behind a look which hangs is told so. */
void homes_hurry(struct homes *homes);

#endif
