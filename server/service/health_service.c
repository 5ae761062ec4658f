/* grpc.health.v1.Health: the whole daemon, or one service of it. */
#include "server/service/internal.h"

#include <string.h>

static bool knows(const struct service *service, const char *name)
{
    for (size_t i = 0; i < SERVICE_ROW_COUNT; i++) {
        if (strcmp(service->rows[i].table->descriptor->name, name) == 0)
            return true;
    }
    return name[0] == '\0';
}

static void health_check(Grpc__Health__V1__Health_Service *table, const Grpc__Health__V1__HealthCheckRequest *request,
                         Grpc__Health__V1__HealthCheckResponse_Closure closure, void *closure_data)
{
    struct service *service = SERVICE_OF(table, health);
    struct rpc_call *call = closure_data;
    Grpc__Health__V1__HealthCheckResponse response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;

    (void)closure; /* the reply may come later than the closure lives: rpc_call_reply is the one way */
    if (!knows(service, request->service)) {
        struct status status = status_make(STATUS_NOT_FOUND, "no service \"%.64s\" here", request->service);

        rpc_call_fail(call, &status);
        return;
    }
    response.status = atomic_load(&service->draining)
                          ? GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING
                          : GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
    rpc_call_reply(call, &response.base);
}

Grpc__Health__V1__Health_Service health_service_table(void)
{
    return (Grpc__Health__V1__Health_Service)GRPC__HEALTH__V1__HEALTH__INIT(health_);
}
