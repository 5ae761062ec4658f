/* A host's name to its addresses, within a deadline: getaddrinfo() has none of its own.
 *
 * Threads: any. */
#ifndef CLIENT_LOOKUP_H
#define CLIENT_LOOKUP_H

#include "client/outcome.h"

#include <netdb.h>

/* UNAVAILABLE, unreachable, naming the host: there is no such name, or nobody said by then.  freeaddrinfo() it. */
MUST_USE struct probed_status lookup_host(const char *host, const char *port, uint64_t deadline_ms,
                                          struct addrinfo **addresses_out);

#endif
