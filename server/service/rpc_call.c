/* The service's life, and how a handler replies. */
#include "server/service/internal.h"

#include "server/base/clock.h"
#include "server/base/invariant.h"
#include "server/base/log.h"

#include <stdlib.h>
#include <string.h>

enum { SMALL_REPLY_SIZE = 1024 };

struct status service_create(const struct service_settings *settings, struct service **service_out)
{
    struct service *service = calloc(1, sizeof *service);

    if (service == NULL)
        return status_make(STATUS_RESOURCE_EXHAUSTED, "no memory for the services");
    service->settings = *settings;
    service->started_ns = clock_now_ns();
    service->probe = probe_service_table();
    service->admin = admin_service_table();
    service->health = health_service_table();
    service->rows[0] = (struct service_row){.table = &service->probe.base};
    service->rows[1] = (struct service_row){.table = &service->admin.base, .admin = true};
    service->rows[2] = (struct service_row){.table = &service->health.base};
    atomic_init(&service->draining, false);
    *service_out = service;
    return status_ok();
}

void service_attach(struct service *service, struct shell *shell, struct homes *homes)
{
    service->shell = shell;
    service->homes = homes;
}

void service_destroy(struct service *service)
{
    free(service);
}

const struct service_row *service_rows(struct service *service, size_t *row_count_out)
{
    *row_count_out = SERVICE_ROW_COUNT;
    return service->rows;
}

void service_drain(struct service *service)
{
    atomic_store(&service->draining, true);
}

static void departure_done(struct shell_departure *departure)
{
    struct rpc_call *call = (struct rpc_call *)(void *)((char *)departure - offsetof(struct rpc_call, departure));

    call->transport->departed(call);
}

void service_call_left(struct service *service, struct rpc_call *call, uint64_t id)
{
    shell_call_left(service->shell, &call->engine, &call->departure, id, departure_done);
}

void rpc_note_home(struct rpc_call *call, const char *home)
{
    if (!log_enabled(LOG_DEBUG) || home[0] == '\0')
        return;
    free(call->note.home);
    call->note.home = strdup(home); /* short of memory, the line does without */
}

void rpc_note_result(struct rpc_call *call, const struct engine_result *result)
{
    Probed__V1__ProbeResponse *response;

    if (!log_enabled(LOG_DEBUG))
        return;
    call->note.origin = result->origin;
    call->note.stale = result->stale;
    call->note.age_ns = result->age_ns;
    response = probed__v1__probe_response__unpack(NULL, result->answer->size, result->answer->bytes);
    if (response == NULL)
        return;
    if (response->receipt != NULL) {
        call->note.lease_id = response->receipt->lease_id;
        call->note.worker_id = response->receipt->worker_id;
        call->note.queue_us = response->receipt->queue_us;
        call->note.spawn_us = response->receipt->spawn_us;
        call->note.probe_us = response->receipt->probe_us;
    }
    probed__v1__probe_response__free_unpacked(response, NULL);
}

static const struct envelope_piece no_payload[ENVELOPE_PIECE_COUNT_MAX];

void rpc_call_fail(struct rpc_call *call, const struct status *status)
{
    INVARIANT(!status_is_ok(status));
    call->transport->reply(call, status, no_payload);
}

void rpc_call_reply(struct rpc_call *call, const ProtobufCMessage *message)
{
    unsigned char small[SMALL_REPLY_SIZE];
    size_t size = protobuf_c_message_get_packed_size(message);
    unsigned char *packed = size <= sizeof small ? small : malloc(size);
    struct envelope_piece payload[ENVELOPE_PIECE_COUNT_MAX] = {{.data = packed, .size = size}};
    struct status status = status_ok();

    if (packed == NULL) {
        status = status_make(STATUS_RESOURCE_EXHAUSTED, "no memory for a reply of %zu bytes", size);
        rpc_call_fail(call, &status);
        return;
    }
    protobuf_c_message_pack(message, packed);
    call->transport->reply(call, &status, payload);
    if (packed != small)
        free(packed);
}
