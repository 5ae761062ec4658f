/* The edge: nng in, calls out.  One REP socket with contexts, listening on ipc://, tcp://127.0.0.1 and tls+tcp://.
 *
 * listener.c     the socket, and exchanges (a context each) that grow with the calls in progress: at least 64 are
 *                always receiving, and beyond calls_max 64 exist only to refuse
 * peers.c        who is at the other end of a pipe: uid, share of calls and connections, the calls to give up when it
 *                goes
 * dispatch.c     from a method's path to a row of a service table, and into its handler
 * socket_path.c  whose a socket's path is, decided before nng sees it
 * nng_start.c    where nng's threads run
 * trace.c        whose trace a call belongs to
 *
 * A receive callback checks the peer, opens the envelope in a bounded arena on its stack, finds the row, unpacks the
 * payload and invokes the handler, all in place: nothing here blocks and no thread is handed over to.  The message's
 * bytes are wiped before they are freed, since an api_key may be among them.
 *
 * Threads: nng's; replies may come from any.  Locks: one, a leaf; nng and the services are called with it released. */
#ifndef SERVER_EDGE_EDGE_H
#define SERVER_EDGE_EDGE_H

#include "proto/status.h"
#include "server/service/service.h"
#include "server/tls/tls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct edge;

struct edge_settings {
    const char *const *urls; /* server.listen; lent during edge_create */
    size_t url_count;
    int ipc_mode; /* permissions of ipc sockets: 0600 or 0666 */
    uint32_t daemon_uid;
    const uint32_t *allow_uids; /* further peers admitted, besides administrators; lent for the edge's life */
    size_t allow_uid_count;
    bool tcp_trust;
    struct tls *tls; /* lent for the edge's life; NULL: no URL takes it */
    size_t calls_max;
    size_t calls_per_uid;
    size_t connections_per_uid;
    size_t request_size_max;
    uint64_t timeout_ns_max; /* probe.timeout_ms: default and upper bound of a deadline */
};

/* Opens the sockets and starts listening.  INVALID_ARGUMENT (a URL that is refused, with what would help) or
 * UNAVAILABLE (cannot listen), naming the URL. */
MUST_USE struct status edge_create(const struct edge_settings *settings, struct service *service,
                                   const struct homes *homes, struct edge **edge_out);

/* Takes over calls_max, calls_per_uid, connections_per_uid and timeout_ns_max, for what arrives from now on; the rest
 * stays as it was created. */
void edge_settings_changed(struct edge *edge, const struct edge_settings *settings);

/* From now on whatever arrives is answered UNAVAILABLE, health included; calls in progress are finished. */
void edge_drain(struct edge *edge);

/* When every call was replied to, or is about to be: what still arrives is answered UNAVAILABLE, the last replies go
 * out, the sockets are closed and their files removed.  No callback runs any more when it returns.  The memory of the
 * calls stays until edge_destroy, for whoever still knows one.  A slow reader can keep it for two seconds. */
void edge_close(struct edge *edge);

/* edge_close if that is still due, then gives the memory back.  NULL is fine, here and there. */
void edge_destroy(struct edge *edge);

struct edge_counts {
    uint64_t calls, refused, connections, in_progress, contexts;
};
void edge_look(struct edge *edge, struct edge_counts *counts_out);

#endif
