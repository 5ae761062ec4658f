/* The vigils of custody: what the daemon's end knows of each observed home, from custody_observe to custody_forget.
 *
 * A custodian may die; its homes are handed to the next one, with the digest of what the last one had read: what
 * changed meanwhile is another digest.  So the home's descriptor, the digest, and the key that makes digests
 * comparable, outlive custodians here.  Nothing can be learnt from them but whether two readings found the same.
 *
 * Threads: all of it is guarded by custody's lock; only the custody thread sends and forgets, so it may keep a pointer
 *          to one across the lock. */
#ifndef SERVER_CUSTODY_VIGIL_H
#define SERVER_CUSTODY_VIGIL_H

#include "proto/compiler.h"
#include "server/base/list.h"
#include "server/base/map.h"
#include "server/custody/protocol.h"

#include <stdbool.h>
#include <stdint.h>

struct vigil {
    uint64_t home_id;
    UT_hash_handle handle;
    int home_fd;                     /* owned */
    uint64_t digest;                 /* as last reported; 0: none yet */
    struct list_node queue_node;     /* on the outbox */
    struct list_node unsettled_node; /* nobody was told yet that it is settled */
    uint64_t settled_due_ns;         /* then it is in any case */
    bool sent;                       /* the present custodian knows it */
    bool forgotten;                  /* it is to be told to forget it */
    bool late;                       /* settled before it was read: starts went ahead */
};

struct vigils {
    struct vigil *by_id;
    struct list outbox;
    struct list unsettled; /* first due first */
};

/* On the outbox, unsettled; takes home_fd.  NULL when memory is short.  The id must be a new one. */
MUST_USE struct vigil *vigils_add(struct vigils *vigils, uint64_t home_id, int home_fd, uint64_t settled_due_ns);

/* NULL: not known, or forgotten. */
struct vigil *vigils_find(const struct vigils *vigils, uint64_t home_id);

/* Its custodian died: those that it knew are to be sent again, those that it was to forget are forgotten. */
void vigils_requeue(struct vigils *vigils);

/* Off all lists, descriptor closed, memory given back. */
void vigils_drop(struct vigils *vigils, struct vigil *vigil);
void vigils_drop_all(struct vigils *vigils);

#endif
