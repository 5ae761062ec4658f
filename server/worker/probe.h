/* One probe, from the request to the snapshot; the same walk for every provider.
 *
 *     keyring -> credential -> address -> GET -> status -> body -> reading -> snapshot
 *
 * It ends in a snapshot whatever happens.  On 401 a stored sign-in is read again, once, and used if its owner has
 * replaced it meanwhile; nothing is ever refreshed or written here (PROVIDERS.md 4).
 *
 * Threads: one.  Blocks until the request's deadline at most. */
#ifndef SERVER_WORKER_PROBE_H
#define SERVER_WORKER_PROBE_H

#include "proto/compiler.h"
#include "server/worker/files.h"
#include "server/worker/http.h"
#include "server/worker/request.h"
#include "server/worker/snapshot.h"
#include "server/worker/stamp.h"

/* Fixed while the worker lives; all lent. */
struct prober {
    const struct files *files;
    struct http *http;
    struct stamp fixed_now; /* absent: the system's clock */
};

enum probe_end {
    PROBE_DONE,      /* *snapshot_out is given: snapshot_destroy() it */
    PROBE_ABANDONED, /* nobody is left to hear the answer */
    PROBE_NO_MEMORY
};

MUST_USE enum probe_end probe_run(const struct prober *prober, const struct probe_request *request,
                                  struct snapshot **snapshot_out);

#endif
