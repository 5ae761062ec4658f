/* One address that the page is shown at: its socket, and who is connected to it.
 *
 * Threads: the room's own.  Locks: none. */
#ifndef SERVER_HTTP_LISTENER_H
#define SERVER_HTTP_LISTENER_H

#include "proto/status.h"
#include "server/base/list.h"
#include "server/base/loopback.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct http_listener {
    struct loopback at;
    int fd;           /* -1: not open */
    bool names_homes; /* whoever is connected may see which homes there are */

    /* struct connection: those that wait for a whole request or for their answer to be taken, the longest first; and
     * those that were shut down and are not yet gone. */
    struct list waiting, ending;
};

/* Binds and listens.  INVALID_ARGUMENT or UNAVAILABLE, naming the address; nothing is left open then. */
MUST_USE struct status http_listener_open(struct http_listener *listener, const char *address, mode_t socket_mode);

/* Closes, and removes a unix socket. */
void http_listener_close(struct http_listener *listener);

/* The next connection, -1: none now.  *uid_out: who is at the other end; UINT32_MAX where the system does not say. */
int http_listener_accept(const struct http_listener *listener, uint32_t *uid_out);

static inline bool http_listener_is_unix(const struct http_listener *listener)
{
    return listener->at.address.any.sa_family == AF_UNIX;
}

#endif
