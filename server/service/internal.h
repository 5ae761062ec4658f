/* What the files of this room share; nobody else includes it. */
#ifndef SERVER_SERVICE_INTERNAL_H
#define SERVER_SERVICE_INTERNAL_H

#include "gen/grpc/health/v1/health.pb-c.h"
#include "gen/probed/v1/admin.pb-c.h"
#include "gen/probed/v1/probe.pb-c.h"
#include "server/service/service.h"
#include "server/service/timing.h"

#include <stdatomic.h>

enum { SERVICE_ROW_COUNT = 3 };

struct service {
    /* Fixed at create. */
    struct service_settings settings;
    uint64_t started_ns;
    Probed__V1__ProbeService_Service probe; /* a handler finds its service around its table */
    Probed__V1__AdminService_Service admin;
    Grpc__Health__V1__Health_Service health;
    struct service_row rows[SERVICE_ROW_COUNT];

    /* Fixed at attach. */
    struct shell *shell;
    struct homes *homes;

    atomic_bool draining;
    struct timing timing;
};

/* The service around one of its tables. */
#define SERVICE_OF(table, member) ((struct service *)(void *)((char *)(table)-offsetof(struct service, member)))

/* For the call's line in the log, where one is written: its home, and what it was answered with. */
void rpc_note_home(struct rpc_call *call, const char *home);
void rpc_note_result(struct rpc_call *call, const struct engine_result *result);

/* A count as the wire has it. */
static inline uint32_t service_clip(uint64_t count)
{
    return count > UINT32_MAX ? UINT32_MAX : (uint32_t)count;
}

/* The generated tables with our handlers. */
Probed__V1__ProbeService_Service probe_service_table(void);
Probed__V1__AdminService_Service admin_service_table(void);
Grpc__Health__V1__Health_Service health_service_table(void);

#endif
