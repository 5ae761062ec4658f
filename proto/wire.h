/* Unpacking a foreign message with everything checked that protobuf-c leaves to its users: one bound on the
 * memory it may take, and that each string field is UTF-8 without NUL (the library accepts both, and hides the
 * NUL from whoever reads the string afterwards).
 *
 * Our messages are not recursive, so their depth is bounded by their definition.
 * Ownership: the message lives in the arena; there is nothing to free.  Threads: any, an arena each. */
#ifndef PROTO_WIRE_H
#define PROTO_WIRE_H

#include "proto/arena.h"
#include "proto/status.h"

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

/* INVALID_ARGUMENT: not such a message, or a field (named) that breaks the rule; RESOURCE_EXHAUSTED: the arena's bound.
 * `data` may be NULL only when size is 0. */
MUST_USE struct status wire_unpack(const ProtobufCMessageDescriptor *descriptor, const void *data, size_t size,
                                   struct arena *arena, ProtobufCMessage **message_out);

/* The checks of wire_unpack without unpacking, for who unpacks in another way. */
MUST_USE struct status wire_check(const ProtobufCMessageDescriptor *descriptor, const void *data, size_t size);

#endif
