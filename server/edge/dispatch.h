/* From a method's path to a row of the service tables, and into its handler.
 *
 * A path is spelled as gRPC spells it: "/probed.v1.ProbeService/Probe".  The tables are protobuf-c's: they know their
 * methods' names and message types, so that a method which is in the .proto and in the table needs nothing here.
 *
 * Threads: any.  Locks: none.  Nothing blocks. */
#ifndef SERVER_EDGE_DISPATCH_H
#define SERVER_EDGE_DISPATCH_H

#include "proto/arena.h"
#include "proto/status.h"
#include "server/service/service.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

/* Where a path leads; lent by the service. */
struct dispatch_route {
    ProtobufCService *table;
    const ProtobufCMethodDescriptor *method;
    bool admin; /* only for administrators */
};

/* UNIMPLEMENTED naming what is not there. */
MUST_USE struct status dispatch_find(struct service *service, const char *path, struct dispatch_route *route_out);

/* Unpacks the payload into the arena and invokes the handler with `call` as its closure data; it has replied then, or
 * will.  PERMISSION_DENIED, or what wire_unpack says: the handler was not invoked, the reply is the caller's to make.
 */
MUST_USE struct status dispatch_invoke(const struct dispatch_route *route, struct rpc_call *call,
                                       const ProtobufCBinaryData *payload, struct arena *arena);

#endif
