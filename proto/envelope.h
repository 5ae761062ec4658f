/* The envelope of a call: opening what came, writing what goes.
 *
 * A reply's payload is given in pieces, so that an answer which many callers share is written into each reply
 * from where it is kept: protobuf messages laid end to end are one merged message.
 *
 * Ownership: an opened envelope lives in the arena.  Threads: any. */
#ifndef PROTO_ENVELOPE_H
#define PROTO_ENVELOPE_H

#include "gen/probed/v1/rpc.pb-c.h"
#include "proto/arena.h"
#include "proto/status.h"

#include <stddef.h>

enum { ENVELOPE_PIECE_COUNT_MAX = 4 };

struct envelope_piece {
    const void *data;
    size_t size;
};

struct envelope_reply {
    const struct status *status;                             /* lent */
    struct envelope_piece payload[ENVELOPE_PIECE_COUNT_MAX]; /* lent; written only when the status is OK */
    const char *request_id;                                  /* lent; echoed as metadata; NULL or empty: none */
};

/* Opens a request and checks every bound of limits.h that the envelope has.
 * INVALID_ARGUMENT naming the field, RESOURCE_EXHAUSTED when the arena is too small. */
MUST_USE struct status envelope_open_request(const void *data, size_t size, struct arena *arena,
                                             Probed__V1__RpcRequest **request_out);

/* The value of the metadata `key`, or NULL; lent by the request. */
const char *envelope_metadata(const Probed__V1__RpcRequest *request, const char *key);

/* The size of the packed RpcResponse, and its bytes: exactly envelope_reply_size() of them. */
size_t envelope_reply_size(const struct envelope_reply *reply);
void envelope_reply_write(const struct envelope_reply *reply, unsigned char *out);

#endif
