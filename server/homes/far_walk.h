/* A look that another process takes, because this one has given up the rights to take it (server.user).
 *
 * Whoever has them serves: each look is a child of its own, so that one that hangs holds up nobody.  A request is a path
 * and a uid; the answer is what walk_home found, and the directory as an O_PATH descriptor.  That opens nothing: what is
 * in the directory stays as closed to the asker as it was.
 *
 * Threads: far_walk: any, and it blocks as walk_home does.  far_walk_serve: the one of a process with no other. */
#ifndef SERVER_HOMES_FAR_WALK_H
#define SERVER_HOMES_FAR_WALK_H

#include "server/homes/walk.h"

/* Asks at this socket (of far_walk_serve's other end).  UNAVAILABLE as the result's status: nobody is there. */
void far_walk(int socket, const struct walk_request *request, struct walk_result *result_out);

/* Takes one request and starts the child that answers it; the caller reaps it.  False: the other end is closed. */
MUST_USE bool far_walk_serve(int socket, const struct walk_rules *rules);

#endif
