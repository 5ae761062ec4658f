/* The methods, one function each: a stub for the service, protoc-c's function on it, and the response handed over. */
#include "client/outcome.h"

#include "gen/grpc/health/v1/health.pb-c.h"

static struct probed_stub stub_of(struct probed_channel *channel, const ProtobufCServiceDescriptor *service,
                                  const struct probed_call_options *options)
{
    struct probed_stub stub;

    probed_stub_init(&stub, channel, service, options);
    return stub;
}

/* ---- probed.v1.ProbeService ---- */

struct probed_status probed_probe(struct probed_channel *channel, const Probed__V1__ProbeRequest *request,
                                  const struct probed_call_options *options, Probed__V1__ProbeResponse **response_out)
{
    struct probed_stub stub = stub_of(channel, &probed__v1__probe_service__descriptor, options);

    probed__v1__probe_service__probe(&stub.base, request, NULL, NULL);
    if (stub.response != NULL)
        *response_out = (Probed__V1__ProbeResponse *)stub.response;
    return stub.status;
}

struct probed_status probed_invalidate(struct probed_channel *channel, const Probed__V1__InvalidateRequest *request,
                                       const struct probed_call_options *options,
                                       Probed__V1__InvalidateResponse **response_out)
{
    struct probed_stub stub = stub_of(channel, &probed__v1__probe_service__descriptor, options);

    probed__v1__probe_service__invalidate(&stub.base, request, NULL, NULL);
    if (stub.response != NULL)
        *response_out = (Probed__V1__InvalidateResponse *)stub.response;
    return stub.status;
}

struct probed_status probed_sync(struct probed_channel *channel, const Probed__V1__SyncRequest *request,
                                 const struct probed_call_options *options, Probed__V1__SyncResponse **response_out)
{
    struct probed_stub stub = stub_of(channel, &probed__v1__probe_service__descriptor, options);

    probed__v1__probe_service__sync(&stub.base, request, NULL, NULL);
    if (stub.response != NULL)
        *response_out = (Probed__V1__SyncResponse *)stub.response;
    return stub.status;
}

/* ---- probed.v1.AdminService ---- */

struct probed_status probed_get_status(struct probed_channel *channel, const Probed__V1__GetStatusRequest *request,
                                       const struct probed_call_options *options,
                                       Probed__V1__GetStatusResponse **response_out)
{
    struct probed_stub stub = stub_of(channel, &probed__v1__admin_service__descriptor, options);

    probed__v1__admin_service__get_status(&stub.base, request, NULL, NULL);
    if (stub.response != NULL)
        *response_out = (Probed__V1__GetStatusResponse *)stub.response;
    return stub.status;
}

struct probed_status probed_list_homes(struct probed_channel *channel, const Probed__V1__ListHomesRequest *request,
                                       const struct probed_call_options *options,
                                       Probed__V1__ListHomesResponse **response_out)
{
    struct probed_stub stub = stub_of(channel, &probed__v1__admin_service__descriptor, options);

    probed__v1__admin_service__list_homes(&stub.base, request, NULL, NULL);
    if (stub.response != NULL)
        *response_out = (Probed__V1__ListHomesResponse *)stub.response;
    return stub.status;
}

struct probed_status probed_list_workers(struct probed_channel *channel, const Probed__V1__ListWorkersRequest *request,
                                         const struct probed_call_options *options,
                                         Probed__V1__ListWorkersResponse **response_out)
{
    struct probed_stub stub = stub_of(channel, &probed__v1__admin_service__descriptor, options);

    probed__v1__admin_service__list_workers(&stub.base, request, NULL, NULL);
    if (stub.response != NULL)
        *response_out = (Probed__V1__ListWorkersResponse *)stub.response;
    return stub.status;
}

struct probed_status probed_list_events(struct probed_channel *channel, const Probed__V1__ListEventsRequest *request,
                                        const struct probed_call_options *options,
                                        Probed__V1__ListEventsResponse **response_out)
{
    struct probed_stub stub = stub_of(channel, &probed__v1__admin_service__descriptor, options);

    probed__v1__admin_service__list_events(&stub.base, request, NULL, NULL);
    if (stub.response != NULL)
        *response_out = (Probed__V1__ListEventsResponse *)stub.response;
    return stub.status;
}

/* ---- grpc.health.v1.Health ---- */

struct probed_status probed_health(struct probed_channel *channel, const char *service,
                                   const struct probed_call_options *options, bool *serving_out)
{
    struct probed_stub stub = stub_of(channel, &grpc__health__v1__health__descriptor, options);
    Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    Grpc__Health__V1__HealthCheckResponse *response;

    if (service != NULL)
        request.service = (char *)(uintptr_t)service;
    grpc__health__v1__health__check(&stub.base, &request, NULL, NULL);
    response = (Grpc__Health__V1__HealthCheckResponse *)stub.response;
    if (response != NULL) {
        *serving_out = response->status == GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
        grpc__health__v1__health_check_response__free_unpacked(response, NULL);
    }
    return stub.status;
}
