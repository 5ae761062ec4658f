/* The services: from a wire message to an engine step and back, one file a service.
 *
 * They are protobuf-c's generated service tables; a handler is invoked with its unpacked request, lent for the call of
 * the handler only, and a struct rpc_call as closure data.  It answers exactly once, now or later, on any thread.  A
 * service knows nothing of nng: another transport can serve the same tables.
 *
 * Threads: any.  Nothing here blocks. */
#ifndef SERVER_SERVICE_SERVICE_H
#define SERVER_SERVICE_SERVICE_H

#include "proto/envelope.h"
#include "proto/status.h"
#include "server/engine/engine.h"
#include "server/homes/homes.h"
#include "server/homes/scope.h"
#include "server/shell/shell.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

struct rpc_call;

/* What a call's line in the log says beside what the transport knows.  Filled in only while such lines are written
 * (log.level debug). */
struct rpc_note {
    char *home; /* owned by the call: canonical where it was found, else as its client named it; NULL: none */
    enum origin origin;
    bool stale;
    uint64_t age_ns;
    uint64_t lease_id, worker_id; /* that the answer came from; 0: none */
    uint32_t queue_us, spawn_us, probe_us;
};

/* What a transport does for a call. */
struct rpc_transport {
    /* Sends the reply (status, payload pieces) and takes the call back.  What the reply points to is lent for the call
     * of this function only.  Any thread. */
    void (*reply)(struct rpc_call *call, const struct status *status,
                  const struct envelope_piece payload[ENVELOPE_PIECE_COUNT_MAX]);

    /* A departure that service_call_left was told of is dealt with: for its sake nobody looks at the call any more,
     * which may have been replied to before, or will be.  Once each; any thread. */
    void (*departed)(struct rpc_call *call);
};

/* One call in progress.  The memory is the transport's and is used for one call after the other. */
struct rpc_call {
    /* Set by the transport, fixed until the reply. */
    const struct rpc_transport *transport;
    uint64_t id;                     /* never 0, never used again */
    uint32_t uid;                    /* whose rights the call has */
    bool admin;                      /* root, the daemon's uid, server.admin_uids */
    const struct homes_scope *scope; /* what it is confined to; NULL: nothing.  Lent for ever */
    uint64_t arrived_ns;
    uint64_t deadline_ns;

    /* The service's to fill in; the transport's to zero before each call, and to give back behind its line. */
    struct rpc_note note;

    /* The service's own. */
    struct engine_call engine;        /* zeroed by the transport before each call */
    struct shell_departure departure; /* zeroed once, when the memory is made */
};

struct service;

struct service_settings {
    struct fingerprint_key fingerprint_key;
};

/* `shell` and `homes` are lent until service_destroy.  The shell is created with service_answered and the service. */
MUST_USE struct status service_create(const struct service_settings *settings, struct service **service_out);
void service_attach(struct service *service, struct shell *shell, struct homes *homes);
void service_destroy(struct service *service);

/* The shell's `answered`: turns call->result into the reply.  `context` is the struct service. */
void service_answered(void *context, struct engine_call *call);

/* One table: what a method path means and who may call it. */
struct service_row {
    ProtobufCService *table; /* generated descriptor and handlers; lent for the life of the service */
    bool admin;              /* only for administrators */
};

/* All rows, one per service. */
const struct service_row *service_rows(struct service *service, size_t *row_count_out);

/* The client of this call has gone.  Safe on nng's reaper thread.  The call's memory serves no other until the
 * transport's `departed` was called. */
void service_call_left(struct service *service, struct rpc_call *call, uint64_t id);

/* From now on health says NOT_SERVING. */
void service_drain(struct service *service);

/* For handlers: replies with a status that is not OK, or with one message. */
void rpc_call_fail(struct rpc_call *call, const struct status *status);
void rpc_call_reply(struct rpc_call *call, const ProtobufCMessage *message);

#endif
