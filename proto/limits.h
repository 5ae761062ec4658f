/* Every bound that both sides of the wire rely on, and the sums that follow from them.
 * Sources: proto/README.md 2 and 3, proto/probed/v1/rpc.proto.  Sizes are bytes, counts are things. */
#ifndef PROTO_LIMITS_H
#define PROTO_LIMITS_H

enum {
    LIMIT_HOME_SIZE_MAX = 4095,   /* a home's path, without its terminator */
    LIMIT_PROVIDER_SIZE_MAX = 64, /* after trimming and lowering */
    LIMIT_API_KEY_SIZE_MAX = 262144,
    LIMIT_REASON_SIZE_MAX = 256, /* Invalidate's reason */
    LIMIT_METHOD_SIZE_MAX = 128, /* the longest of ours has 35 */
    LIMIT_METADATA_COUNT_MAX = 16,
    LIMIT_METADATA_KEY_SIZE_MAX = 64,
    LIMIT_METADATA_VALUE_SIZE_MAX = 1024,
    LIMIT_SOCKET_PATH_SIZE_MAX = 107, /* sun_path less its terminator */

    LIMIT_WINDOW_COUNT_MAX = 32, /* of one account or credential */
    LIMIT_DETAIL_COUNT_MAX = 32,
    LIMIT_BALANCE_COUNT_MAX = 32,
    LIMIT_CREDENTIAL_COUNT_MAX = 64, /* of one pool */
    LIMIT_LABEL_CHARACTERS_MAX = 64, /* Unicode code points, as the next two */
    LIMIT_TEXT_CHARACTERS_MAX = 180,
    LIMIT_PLAN_CHARACTERS_MAX = 64,

    LIMIT_REQUEST_SIZE_DEFAULT = 1048576, /* server.request_bytes_max, what a client may count on */
    LIMIT_FRAME_HEADER_SIZE = 4,          /* nng counts REQ's id in NNG_OPT_RECVMAXSZ */

    LIMIT_HEADS_PER_BEAT = 256,      /* homes named by one heartbeat; more: `truncated` */
    LIMIT_BEAT_INTERVALS_RECENT = 4, /* a head is named for this many intervals */
};

/* The longest api_key, a home, and room for the rest fit in the request size a client may count on. */
_Static_assert(LIMIT_API_KEY_SIZE_MAX + LIMIT_HOME_SIZE_MAX + LIMIT_PROVIDER_SIZE_MAX +
                       LIMIT_METADATA_COUNT_MAX * (LIMIT_METADATA_KEY_SIZE_MAX + LIMIT_METADATA_VALUE_SIZE_MAX + 16) +
                       4096 <
                   LIMIT_REQUEST_SIZE_DEFAULT,
               "the largest legal request fits into the default message bound");

#endif
