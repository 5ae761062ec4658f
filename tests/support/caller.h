/* Calls to a daemon, as many at once as a test likes: nng REQ contexts and the generated messages, nothing of our
 * client library, so that a mistake on its side and one on the server's cannot make up for each other.
 *
 * A call is begun, awaited and ended; its reply is there from caller_wait to call_end.  What cannot be is a failed
 * assertion.
 *
 * Threads: the test's own; nng's callbacks only note when a reply came. */
#ifndef TESTS_SUPPORT_CALLER_H
#define TESTS_SUPPORT_CALLER_H

#include "gen/probed/v1/probe.pb-c.h"
#include "gen/probed/v1/rpc.pb-c.h"
#include "proto/status.h"

#include <nng/nng.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One connection. */
struct caller {
    nng_socket socket;
};

void caller_open(struct caller *caller, const char *url);

/* Only the socket, set up: for who dials it in another way. */
void caller_init(struct caller *caller);

/* Hangs up, whatever is in progress; calls may still be ended afterwards. */
void caller_close(struct caller *caller);

struct call {
    /* From call_wait on. */
    int error;                         /* of nng: no reply will come; 0: there is one */
    Probed__V1__RpcResponse *response; /* the reply */
    uint64_t sent_ns, answered_ns;     /* CLOCK_MONOTONIC */

    /* The caller's own. */
    nng_ctx context;
    nng_aio *aio;
    bool receiving, settled;
    nng_msg *reply;
    ProtobufCMessage *payload;
};

/* Sends; `request` is the method's message. timeout_ms 0: the server's default. */
struct call *call_begin(struct caller *caller, const char *method, uint32_t timeout_ms,
                        const ProtobufCMessage *request);

/* Sends these bytes as a message. */
struct call *call_begin_raw(struct caller *caller, const void *bytes, size_t size);

/* Waits for the reply. */
void call_wait(struct call *call);

/* Whether it has come already. */
bool call_is_settled(struct call *call);

/* Forgets it; one still in progress is given up. */
void call_end(struct call *call);

/* Waits, and asserts the code; `message` (NULL: any) must be a part of the reply's. */
void call_expect(struct call *call, enum status_code code, const char *message);

/* Waits, asserts OK and gives the payload; lent until call_end. */
ProtobufCMessage *call_payload(struct call *call, const ProtobufCMessageDescriptor *descriptor);

/* ---- the methods, for short ---- */

/* `api_key` may be NULL. */
struct call *probe_begin(struct caller *caller, const char *home, const char *provider, const char *api_key,
                         uint32_t timeout_ms);
const Probed__V1__ProbeResponse *probe_response(struct call *call);

struct call *invalidate_begin(struct caller *caller, const char *home, const char *provider,
                              Probed__V1__Barrier barrier);
const Probed__V1__InvalidateResponse *invalidate_response(struct call *call);

struct call *sync_begin(struct caller *caller, const char *home);
const Probed__V1__SyncResponse *sync_response(struct call *call);

#define METHOD_PROBE      "/probed.v1.ProbeService/Probe"
#define METHOD_INVALIDATE "/probed.v1.ProbeService/Invalidate"
#define METHOD_SYNC       "/probed.v1.ProbeService/Sync"
#define METHOD_GET_STATUS "/probed.v1.AdminService/GetStatus"
#define METHOD_WORKERS    "/probed.v1.AdminService/ListWorkers"
#define METHOD_HOMES      "/probed.v1.AdminService/ListHomes"
#define METHOD_EVENTS     "/probed.v1.AdminService/ListEvents"
#define METHOD_HEALTH     "/grpc.health.v1.Health/Check"

#endif
