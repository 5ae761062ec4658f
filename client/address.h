/* Where a daemon is: default URLs, and why nobody answers at one.
 *
 * Threads: any. */
#ifndef CLIENT_ADDRESS_H
#define CLIENT_ADDRESS_H

#include "client/outcome.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

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
 * only a dial can tell (a host's name to be looked up); of TLS see tls_look.h. */
MUST_USE struct probed_status address_try(const char *url, uint16_t protocol, uint64_t deadline_ms);

/* ---- what such looks are made of ---- */

/* Whether `events` (of poll(2)) came before the deadline. */
MUST_USE bool address_wait(int fd, short events, uint64_t deadline_ms);

/* Connects a socket that does not block.  0, or the errno that says why not. */
MUST_USE int address_connect(int fd, const struct sockaddr *address, socklen_t size, uint64_t deadline_ms);

/* What would help against this errno; "" where that can't be told. */
const char *address_hint(int error);

/* SP's greeting of who speaks `protocol`. */
enum { ADDRESS_GREETING_SIZE = 8 };
void address_greeting(uint16_t protocol, unsigned char out[ADDRESS_GREETING_SIZE]);

/* Whether those bytes are it; UNAVAILABLE, unreachable, says what else they are. */
MUST_USE struct probed_status address_judge_greeting(const char *url, uint16_t protocol,
                                                     const unsigned char greeting[ADDRESS_GREETING_SIZE]);

#endif
