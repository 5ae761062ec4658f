/* One custodian process and the socket to it: from its start to its reaping.
 *
 * The process is known by a pidfd: only its readiness says that the custodian is dead and its children are ours; the
 * socket's end of file comes earlier, and later when a child between fork and exec still holds the other end.
 *
 * Threads: one at a time (main in custody_create, then the custody thread). */
#ifndef SERVER_CUSTODY_LINK_H
#define SERVER_CUSTODY_LINK_H

#include "proto/status.h"

#include <stdint.h>

struct link {
    int socket; /* -1: closed */
    int pidfd;  /* -1: there is no custodian */
    int32_t pid;
};

#define LINK_NONE ((struct link){-1, -1, 0})

/* Starts `program` with `arguments` (argv behind argv[0], NULL-terminated): its own session, default signals,
 * descriptor 3 the socket, standard error ours.  It has not spoken yet.  UNAVAILABLE with the cause. */
MUST_USE struct status link_open(const char *program, const char *const *arguments, struct link *link_out);

/* Says that no order will come any more: the custodian kills all workers, reports their ends, and exits. */
void link_hang_up(struct link *link);

/* Closes the socket, for when it has come to its end or makes no sense. */
void link_close_socket(struct link *link);

/* KILL; its end shows in the pidfd. */
void link_kill(struct link *link);

/* Reaps it, once the pidfd is readable, and says how it ended; `link` is LINK_NONE then. */
MUST_USE struct status link_reap(struct link *link);

/* Kills and reaps one that has no worker yet. */
void link_discard(struct link *link);

/* Closes the descriptors; a custodian that is still there is nobody's business any more.  LINK_NONE is fine. */
void link_leave(struct link *link);

#endif
