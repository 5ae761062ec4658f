/* Giving up root: probed becomes two processes, of which one keeps it and speaks to nobody (server.user).
 *
 *     keeper (root)  ── the service manager's process: looks at homes for the daemon, ends when the daemon does
 *       └─ daemon    ── opens the sockets, starts the custodian (root), then takes the user's uid for good
 *            └─ custodian (root) ── workers, each with the uid of its home's owner
 *
 * What the daemon can do no more, the keeper does: looking at a path with the rights of root or of a peer
 * (server/homes/far_walk.h), telling the service manager how the daemon is (manager.h), killing what is left when the
 * end has come, removing the sockets.  It takes no command, no file's content and nothing to write: whoever got hold of
 * the daemon can learn by it which directories exist, and lie about the daemon's state, no more.
 *
 * A custodian that dies takes the daemon with it: only root could start another, and the service manager does.
 *
 * Threads: main's, before any other. */
#ifndef SERVER_KEEPER_H
#define SERVER_KEEPER_H

#include "proto/status.h"
#include "server/homes/homes.h"
#include "server/manager.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct keeper_user {
    char name[64]; /* "": in no user database */
    uid_t uid;
    gid_t gid;
};

/* `user`: a name or a number.  FAILED_PRECONDITION: this process is not root's. */
MUST_USE struct status keeper_find_user(const char *user, struct keeper_user *user_out);

/* Forks.  In the daemon *socket_out is where looks are asked for.  In the keeper it is -1, *exit_status_out how the daemon
 * ended, and nothing of it is left: remove its sockets and exit.  `homes`: as the daemon will see them.  `manager`: the
 * daemon's notices go through the keeper from now on. */
MUST_USE struct status keeper_part(const struct homes_settings *homes, struct manager *manager, int *socket_out,
                                   int *exit_status_out);

/* In the daemon, all of its threads: takes the user's groups and uid, and with them gives up every capability. */
MUST_USE struct status keeper_give_up_root(const struct keeper_user *user);

#endif
