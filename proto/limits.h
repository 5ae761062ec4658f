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

/* What the daemon's own settings bound, in bytes on a 64-bit machine with malloc's share; the engine asserts the sizes.
 *
 *     setting (default)            each costs                                         all of them
 *     server.homes_max (1e6)       LIMIT_HOME_COST + path                             at paths of 24: 237 MiB
 *     homes in use                 LIMIT_HOUSEHOLD_COST: with an answer, a worker or a caller; so no more than
 *                                  cache_entries + workers_max + queue_max            at defaults: 3.8 MiB
 *     probe.cache_entries (4096)   LIMIT_ENTRY_COST beside the answer's bytes,
 *     probe.cache_bytes            and both together no more than this                64 MiB
 *     pool.queue_max (4096)        LIMIT_FLIGHT_COST, its api_key apart               2.1 MiB
 *     pool.workers_max (16)        two seats of LIMIT_SEAT_COST                       15 KiB
 *
 * 100,000 homes with one answer of 600 bytes each are 160 MiB (bench-engine measures it). */
enum {
    LIMIT_HOME_COST = 224,
    LIMIT_HOUSEHOLD_COST = 488,
    LIMIT_ENTRY_COST = 400,
    LIMIT_FLIGHT_COST = 544,
    LIMIT_SEAT_COST = 488,
};

/* The longest api_key, a home, and room for the rest fit in the request size a client may count on. */
_Static_assert(LIMIT_API_KEY_SIZE_MAX + LIMIT_HOME_SIZE_MAX + LIMIT_PROVIDER_SIZE_MAX +
                       LIMIT_METADATA_COUNT_MAX * (LIMIT_METADATA_KEY_SIZE_MAX + LIMIT_METADATA_VALUE_SIZE_MAX + 16) +
                       4096 <
                   LIMIT_REQUEST_SIZE_DEFAULT,
               "the largest legal request fits into the default message bound");

#endif
