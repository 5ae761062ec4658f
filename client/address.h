/* Where a daemon is: default URLs, and why nobody answers at one.
 *
 * Threads: any. */
#ifndef CLIENT_ADDRESS_H
#define CLIENT_ADDRESS_H

#include "client/outcome.h"

#include <stddef.h>
#include <stdint.h>

enum { ADDRESS_SIZE_MAX = 256 }; /* a URL and its terminator; a socket's path has at most 107 bytes */

/* `given`; where that is NULL the environment's `variable`; where that is unset this user's default, as the daemon has
 * it: `file` in /run/probed for root, in $XDG_RUNTIME_DIR/probed for others.  INVALID_ARGUMENT: none of the three, or
 * it does not fit. */
MUST_USE struct probed_status address_choose(const char *given, const char *variable, const char *file,
                                             char out[ADDRESS_SIZE_MAX]);

/* Looks whether a daemon that speaks `protocol` (nng's number for the far end) listens at `url`, and reads its
 * greeting; not beyond the deadline.  nng dials in the background and tells no reasons: this is how they are learnt.
 *
 * OK: somebody greets.  UNAVAILABLE, unreachable, with the cause: there is nobody, or somebody else.  OK as well where
 * only a dial can tell (a host's name to be looked up, TLS). */
MUST_USE struct probed_status address_try(const char *url, uint16_t protocol, uint64_t deadline_ms);

#endif
