/* Paths, rows and handlers, see dispatch.h. */
#include "server/edge/dispatch.h"

#include "proto/wire.h"

#include <string.h>

static const struct service_row *find_row(struct service *service, const char *name, size_t name_size)
{
    size_t row_count;
    const struct service_row *rows = service_rows(service, &row_count);

    for (size_t i = 0; i < row_count; i++) {
        const char *known = rows[i].table->descriptor->name;

        if (strlen(known) == name_size && memcmp(known, name, name_size) == 0)
            return &rows[i];
    }
    return NULL;
}

struct status dispatch_find(struct service *service, const char *path, struct dispatch_route *route_out)
{
    const char *slash = path[0] == '/' ? strchr(path + 1, '/') : NULL;
    const struct service_row *row;
    const ProtobufCMethodDescriptor *method;

    if (slash == NULL)
        return status_make(STATUS_UNIMPLEMENTED, "\"%s\" is no method path; one is spelled /package.Service/Method",
                           path);
    row = find_row(service, path + 1, (size_t)(slash - path) - 1);
    if (row == NULL)
        return status_make(STATUS_UNIMPLEMENTED, "no such service: %.*s", (int)(slash - path) - 1, path + 1);
    method = protobuf_c_service_descriptor_get_method_by_name(row->table->descriptor, slash + 1);
    if (method == NULL)
        return status_make(STATUS_UNIMPLEMENTED, "%s has no method %s", row->table->descriptor->name, slash + 1);
    *route_out = (struct dispatch_route){.table = row->table, .method = method, .admin = row->admin};
    return status_ok();
}

/* What handlers may call as protobuf-c means it: the response, or NULL for a failure without a reason. */
static void reply_with(const ProtobufCMessage *response, void *closure_data)
{
    struct status status;

    if (response != NULL) {
        rpc_call_reply(closure_data, response);
        return;
    }
    status = status_make(STATUS_INTERNAL, "the method failed without saying why");
    rpc_call_fail(closure_data, &status);
}

struct status dispatch_invoke(const struct dispatch_route *route, struct rpc_call *call,
                              const ProtobufCBinaryData *payload, struct arena *arena)
{
    const ProtobufCServiceDescriptor *service = route->table->descriptor;
    ProtobufCMessage *request;
    struct status status;

    if (route->admin && !call->admin)
        return status_make(STATUS_PERMISSION_DENIED,
                           "%s is for root, the daemon's uid and server.admin_uids; uid %u is "
                           "none of them",
                           service->name, (unsigned)call->uid);
    status = wire_unpack(route->method->input, payload->data, payload->len, arena, &request);
    if (status_is_ok(&status))
        route->table->invoke(route->table, (unsigned)(route->method - service->methods), request, reply_with, call);
    return status;
}
