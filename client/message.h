/* From a call to an nng message, and from an nng message to its outcome.
 *
 * Ownership: a request's parts are lent; a reply lives in its own arena: reply_fini() it.  Threads: any. */
#ifndef CLIENT_MESSAGE_H
#define CLIENT_MESSAGE_H

#include "client/outcome.h"
#include "proto/arena.h"

#include <nng/nng.h>
#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

/* The payload is a message, or bytes that were packed already. */
struct request {
    const char *method;
    const struct probed_metadata *metadata;
    size_t metadata_count;
    const ProtobufCMessage *message; /* NULL: bytes */
    const void *bytes;
    size_t bytes_size;
    size_t size_max; /* of the whole, with its envelope */
};

/* Packs `request` with its time left.  INVALID_ARGUMENT: a bound of the envelope; RESOURCE_EXHAUSTED: too large, or no
 * memory.  Gives the message. */
MUST_USE struct probed_status request_pack(const struct request *request, uint32_t timeout_ms, nng_msg **message_out);

/* An opened RpcResponse. */
struct reply {
    struct arena arena;
    const void *payload; /* lent by the arena; never NULL */
    size_t payload_size;
    unsigned char first[2048];
};

/* The status in it; INTERNAL, naming `url`, when it is no RpcResponse.  The reply is to be fini'ed in any case. */
MUST_USE struct probed_status reply_open(struct reply *reply, const nng_msg *message, const char *url);
void reply_fini(struct reply *reply);

/* Unpacks a payload into memory of malloc's, to be given back with free_unpacked(message, NULL).
 * INTERNAL: it is no such message, or takes more memory than its size allows. */
MUST_USE struct probed_status reply_unpack(const ProtobufCMessageDescriptor *descriptor, const void *payload,
                                           size_t payload_size, ProtobufCMessage **message_out);

#endif
