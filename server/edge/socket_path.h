/* Whose a socket's path is: decided before nng sees it.
 *
 * nng deletes whatever regular file or symlink lies where it shall listen, and its own test for a living daemon there
 * can do harm to that daemon.  So a path is claimed first: its directory is made or looked at, a lock is taken beside
 * it (PATH.lock, held for the life of the process, gone with it), and anything there but a socket is left alone and
 * refused.
 *
 * The directory is 0700, and 0711 when others than root and the daemon's uid may call.  One that was there before keeps
 * its mode, unless it is ours and has the other of the two.
 *
 * Threads: one at a time, at start and end. */
#ifndef SERVER_EDGE_SOCKET_PATH_H
#define SERVER_EDGE_SOCKET_PATH_H

#include "proto/status.h"

#include <stdbool.h>

/* All claims of a process. */
struct socket_claims;

MUST_USE struct status socket_claims_create(struct socket_claims **claims_out);

/* Lets go of every path: the very last thing, after nng has removed its sockets.  NULL is fine. */
void socket_claims_destroy(struct socket_claims *claims);

/* Claims the path of `url`; a tcp or TLS URL is only checked.  INVALID_ARGUMENT, UNAVAILABLE (another daemon has it), or
 * FAILED_PRECONDITION (what is there is in the way), each naming the URL and what stands against it. */
MUST_USE struct status socket_path_claim(struct socket_claims *claims, const char *url, bool serves_others);

#endif
