/* One look at the file system: who may use the directory that a path leads to, and what is its one name.
 *
 * The walk opens the directory with O_PATH and judges by that descriptor, so that what was judged and what is handed on
 * are the same directory, whatever happens to the path meanwhile.  Nothing inside it is opened or read.
 *
 * A path that leads nowhere is judged by the nearest existing directory above it, links followed, so that a peer who
 * may not use that one hears the same in either case.
 *
 * Run by root, a peer's path is walked with the peer's rights (rights.h), for this call only.
 *
 * Threads: any.  Blocks as the file system does, unless `cached_only`. */
#ifndef SERVER_HOMES_WALK_H
#define SERVER_HOMES_WALK_H

#include "server/homes/homes.h"
#include "server/homes/rights.h"

/* Who may do what; constant. */
struct walk_rules {
    uint32_t daemon_uid;
    int far_socket;                   /* looks are taken by another process: far_walk.h; -1: here */
    bool as_peer;                     /* run by root: walk with the peer's rights */
    struct rights_groups *own_groups; /* a count; as_peer: what to give back behind it */
    uint32_t *admin_uids;             /* owned, in order: walk_rules_sort */
    size_t admin_uid_count;
    char **roots; /* owned, canonical */
    size_t root_count;
};

struct walk_request {
    const char *path; /* of good syntax */
    uint32_t uid;
    const struct rights_groups *groups; /* its groups, lent; looked at with as_peer only */
    bool cached_only;                   /* give up rather than block */
};

struct walk_result {
    struct status status;
    struct home_place place; /* OK; NOT_FOUND: `missing` says whether it is of use */
    int fd;                  /* OK: the directory, given; else -1 */
    bool refused;            /* the peer has no right: the one answer for whatever is there or is not */
};

/* False: it would have blocked, nothing is decided.  Else one of
 *   OK                  the peer may use it
 *   NOT_FOUND           no such directory, and the peer may know that
 *   PERMISSION_DENIED   not the peer's, outside server.homes_root, writable by others, or not to be searched
 *   INVALID_ARGUMENT    it leads to what cannot be a home
 *   RESOURCE_EXHAUSTED, UNAVAILABLE, INTERNAL   nothing was learnt about the path */
typedef bool walk_function(const struct walk_rules *rules, const struct walk_request *request,
                           struct walk_result *result_out);

walk_function walk_home;

/* Copies: a walk that hangs may look at them after the settings are gone.  Errors as homes_create; walk_rules_fini in
 * any case. */
MUST_USE struct status walk_rules_init(const struct homes_settings *settings, struct walk_rules *rules);
void walk_rules_fini(struct walk_rules *rules);

/* Root, the daemon's uid, server.admin_uids. */
bool walk_uid_is_admin(const struct walk_rules *rules, uint32_t uid);

/* The canonical name of a directory that is known to the administrator (server.homes_root); INVALID_ARGUMENT when it is
 * none. */
MUST_USE struct status walk_root(const char *path, char canonical_out[LIMIT_HOME_SIZE_MAX + 1]);

#endif
