/* One nng socket that dials one URL, and what is known of its connection.
 *
 * A link connects in the background and again whenever the connection is lost.  nng says neither that it is connected
 * nor why not; a link remembers the one from pipe events, and looks for the other when somebody waits.
 *
 * Threads: any, but open and close.  Locks: one, a leaf; pipe events take it on nng's threads.
 * fork: link_usable() tells; nothing of nng is touched in a child. */
#ifndef CLIENT_LINK_H
#define CLIENT_LINK_H

#include "client/address.h"
#include "client/outcome.h"
#include "client/tls.h"

#include <nng/nng.h>
#include <pthread.h>
#include <sys/types.h>

struct link {
    /* Fixed at open. */
    nng_socket socket;
    uint16_t far_protocol;
    pid_t pid;
    char url[ADDRESS_SIZE_MAX];
    struct tls_choice *tls; /* owned; NULL: the URL is not of TLS */

    /* Guarded by lock.  There is one dialer, hence one pipe at a time. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int pipe_id;    /* the newest that appeared */
    bool pipe_gone; /* it went again; this may be told before its arrival is */
    bool up;
    bool closing;
    bool settled; /* it was up once, or is known to have nobody to connect to */
    uint64_t dialled_ms;
};

/* What kind of socket it is. */
struct link_kind {
    int (*open)(nng_socket *socket_out);
    uint16_t far_protocol; /* of who greets at the other end */
};

/* Opens the socket and sets it up; link_dial begins to connect.  INVALID_ARGUMENT (the URL, a file of TLS),
 * FAILED_PRECONDITION (after a fork) or RESOURCE_EXHAUSTED; nothing is left open then.  `tls` is lent, NULL: what the
 * environment says. */
MUST_USE struct probed_status link_open(struct link *link, const struct link_kind *kind, const char *url,
                                        const struct probed_tls *tls);
MUST_USE struct probed_status link_dial(struct link *link, size_t receive_size_max);

/* FAILED_PRECONDITION in a process that did not open it. */
MUST_USE struct probed_status link_usable(const struct link *link);

bool link_is_up(struct link *link);

/* Where there is no connection after an instant, looks why: see address_try.  OK is no promise of a connection. */
MUST_USE struct probed_status link_look(struct link *link, uint64_t deadline_ms);

/* Waits for a connection.  UNAVAILABLE, unreachable: none until the deadline; with `may_give_up` also as soon as it is
 * known that nobody is there.  CANCELLED: the link is closed meanwhile. */
MUST_USE struct probed_status link_wait(struct link *link, uint64_t deadline_ms, bool may_give_up);

/* Closes the socket, which ends what is in progress on it, and sends the waiting home.  Once.  A first connection that
 * is just being made is waited for, for a second at most: see link.c. */
void link_close(struct link *link);

/* Frees what is left.  Nobody waits any more. */
void link_fini(struct link *link);

#endif
