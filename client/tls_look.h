/* Why there is no connection by TLS: one handshake of our own, beside nng's, which tells no reasons.
 *
 * Threads: any. */
#ifndef CLIENT_TLS_LOOK_H
#define CLIENT_TLS_LOOK_H

#include "client/tls.h"

/* Connects to `url`, shakes hands and reads the greeting of who speaks `protocol`; not beyond the deadline.
 *
 * OK: all of it went well.  UNAVAILABLE, unreachable, with the cause: nobody listens; they speak no TLS; their
 * certificate has expired, is for another name, or nobody we trust vouches for it; they do not accept ours. */
MUST_USE struct probed_status tls_look(const char *url, const struct tls_choice *choice, uint16_t protocol,
                                       uint64_t deadline_ms);

#endif
