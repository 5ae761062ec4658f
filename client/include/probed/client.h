/* libprobed: ask probed how much of an account is used up, and hear when its credentials change.
 *
 *     struct probed_channel *channel;
 *     struct probed_status status = probed_channel_open(NULL, &channel);
 *     Probed__V1__ProbeRequest request = PROBED__V1__PROBE_REQUEST__INIT;
 *     Probed__V1__ProbeResponse *response;
 *
 *     request.home = "/home/me/.hermes";
 *     request.provider = "openrouter";
 *     status = probed_probe(channel, &request, NULL, &response);
 *
 * A channel is one connection that any number of threads share; a call is one question on it, answered once, by a
 * message or by a status.  Requests and responses are the messages of probed/v1 (.proto) as protoc-c writes them:
 * what they mean is said there.  A subscriber hears of changes.
 *
 * Ownership: an argument is lent for the call; an `_out` is written only on success and is then the caller's.  A
 * response is given back with its generated function, probed__v1__probe_response__free_unpacked(response, NULL).
 * Threads: everything may be called from any thread, where nothing else is said.
 * fork: nng does not outlive one.  In a child, calls and opens fail with FAILED_PRECONDITION and closes do nothing,
 * until it has exec'ed.
 * Linking: -lprobed before -lnng, where both are named; see README.md, "Debian's nng". */
#ifndef PROBED_CLIENT_H
#define PROBED_CLIENT_H

#include <probed/v1/admin.pb-c.h>
#include <probed/v1/probe.pb-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PROBED_API __attribute__((visibility("default")))

/* The version of the library that is linked, for example "0.1.0". */
PROBED_API const char *probed_version(void);

/* ---- the outcome of a call ---- */

/* gRPC's canonical codes, number for number. */
enum probed_code {
    PROBED_OK = 0,
    PROBED_CANCELLED = 1, /* the channel was closed meanwhile */
    PROBED_UNKNOWN = 2,
    PROBED_INVALID_ARGUMENT = 3,
    PROBED_DEADLINE_EXCEEDED = 4,
    PROBED_NOT_FOUND = 5,
    PROBED_ALREADY_EXISTS = 6,
    PROBED_PERMISSION_DENIED = 7,
    PROBED_RESOURCE_EXHAUSTED = 8, /* a limit, named in the message; or memory */
    PROBED_FAILED_PRECONDITION = 9,
    PROBED_ABORTED = 10,
    PROBED_OUT_OF_RANGE = 11,
    PROBED_UNIMPLEMENTED = 12,
    PROBED_INTERNAL = 13,
    PROBED_UNAVAILABLE = 14, /* worth another try later */
    PROBED_DATA_LOSS = 15,
    PROBED_UNAUTHENTICATED = 16
};

enum { PROBED_STATUS_MESSAGE_SIZE = 248 };

/* A value: nothing to free. */
struct probed_status {
    enum probed_code code;
    uint32_t retry_after_ms; /* no sooner than this does another try make sense; 0: no advice */
    bool unreachable;        /* UNAVAILABLE, and not by the daemon's word: there is no connection to it */
    char message[PROBED_STATUS_MESSAGE_SIZE]; /* for a person: UTF-8 without control characters; empty when OK */
};

/* "DEADLINE_EXCEEDED"; "UNKNOWN" for a number that is no code.  Lent for ever. */
PROBED_API const char *probed_code_name(enum probed_code code);

/* ---- TLS ---- */

/* For tls+tcp:// URLs.  Both sides show a certificate.  A member left NULL is what the environment's variable beside it
 * says.  The files (PEM) are read when something is opened; a key that others than its owner may read is refused, as ssh
 * does. */
struct probed_tls {
    const char *ca_file;          /* PROBED_TLS_CA: who vouches for the daemon; needed */
    const char *certificate_file; /* PROBED_TLS_CERTIFICATE: ours, and those that vouch for it; needed */
    const char *key_file;         /* PROBED_TLS_KEY: its key; NULL: it is in certificate_file */
    const char *server_name;      /* PROBED_TLS_SERVER_NAME: what the daemon's certificate says; the URL's host */
};

/* ---- channels ---- */

struct probed_channel;

/* A member left 0 has the default named beside it. */
struct probed_channel_options {
    const char *url;            /* $PROBED_CONNECT, else where this user's daemon listens by default */
    uint32_t timeout_ms;        /* of a call that names none: 35000 */
    uint32_t calls_max;         /* in progress at once: 4096 */
    uint32_t request_size_max;  /* bytes of a request with its envelope: 1048576, the daemon's own default */
    uint32_t response_size_max; /* bytes of an answer with its envelope: 67108864 */

    /* How often a waiting call that ends in UNAVAILABLE is made again, within its deadline, after the pause that the
     * daemon advises or a short one that doubles, drawn at random: 0.  All methods are safe to repeat.  Over all calls
     * of the channel ten may be made ahead, and one for every ten calls that went well: a daemon in trouble is not
     * buried.  Started calls (probed_call_start) are told of each failure. */
    uint32_t retries_max;

    const struct probed_tls *tls; /* lent during the open; NULL: what the environment says */
};

/* Begins to connect and returns at once, whether or not a daemon is there; a connection that is lost is made again.
 * `options` may be NULL.  INVALID_ARGUMENT: the URL, or a file of TLS; FAILED_PRECONDITION: after a fork;
 * RESOURCE_EXHAUSTED. */
PROBED_API struct probed_status probed_channel_open(const struct probed_channel_options *options,
                                                    struct probed_channel **channel_out);

/* Waits until there is a connection; UNAVAILABLE, with `unreachable`, as soon as it is known that there can be none,
 * and after timeout_ms (0: the channel's).  Calls do the same by themselves. */
PROBED_API struct probed_status probed_channel_connect(struct probed_channel *channel, uint32_t timeout_ms);

/* The URL it connects to.  Lent until the channel is closed. */
PROBED_API const char *probed_channel_url(const struct probed_channel *channel);

/* Ends the calls in progress with CANCELLED, waits until they have returned, and frees.  No call may begin any more.
 * Not from a probed_call_done.  NULL is fine. */
PROBED_API void probed_channel_close(struct probed_channel *channel);

/* ---- calls ---- */

/* Goes beside a call.  Keys are lower case, [0-9a-z_.-]{1,64}, values at most 1024 bytes.  "request-id" appears in
 * the daemon's log lines of the call, "traceparent" is W3C's. */
struct probed_metadata {
    const char *key;
    const char *value;
};

struct probed_call_options {
    uint32_t timeout_ms; /* 0: the channel's.  The daemon has a bound of its own, probe.timeout_ms */
    bool wait_for_ready; /* where there is no daemon, wait for one until the deadline instead of failing at once */
    const struct probed_metadata *metadata;
    size_t metadata_count; /* at most 16 */
};

/* The methods of probed.v1.ProbeService and probed.v1.AdminService: see the .proto of each.  `options` may be NULL.
 *
 * Beside the daemon's own answers: UNAVAILABLE with `unreachable` where there is no connection, or it was lost before
 * the answer came (all methods are safe to repeat); DEADLINE_EXCEEDED; RESOURCE_EXHAUSTED for a request that is too
 * large to be sent; INTERNAL for an answer that can't be read. */
PROBED_API struct probed_status probed_probe(struct probed_channel *channel, const Probed__V1__ProbeRequest *request,
                                             const struct probed_call_options *options,
                                             Probed__V1__ProbeResponse **response_out);
PROBED_API struct probed_status probed_invalidate(struct probed_channel *channel,
                                                  const Probed__V1__InvalidateRequest *request,
                                                  const struct probed_call_options *options,
                                                  Probed__V1__InvalidateResponse **response_out);
PROBED_API struct probed_status probed_sync(struct probed_channel *channel, const Probed__V1__SyncRequest *request,
                                            const struct probed_call_options *options,
                                            Probed__V1__SyncResponse **response_out);
PROBED_API struct probed_status probed_get_status(struct probed_channel *channel,
                                                  const Probed__V1__GetStatusRequest *request,
                                                  const struct probed_call_options *options,
                                                  Probed__V1__GetStatusResponse **response_out);
PROBED_API struct probed_status probed_list_homes(struct probed_channel *channel,
                                                  const Probed__V1__ListHomesRequest *request,
                                                  const struct probed_call_options *options,
                                                  Probed__V1__ListHomesResponse **response_out);
PROBED_API struct probed_status probed_list_workers(struct probed_channel *channel,
                                                    const Probed__V1__ListWorkersRequest *request,
                                                    const struct probed_call_options *options,
                                                    Probed__V1__ListWorkersResponse **response_out);
PROBED_API struct probed_status probed_list_events(struct probed_channel *channel,
                                                   const Probed__V1__ListEventsRequest *request,
                                                   const struct probed_call_options *options,
                                                   Probed__V1__ListEventsResponse **response_out);

/* gRPC's health check.  `service` NULL or empty: the whole daemon; NOT_FOUND: a service that it does not have.
 * false while the daemon drains. */
PROBED_API struct probed_status probed_health(struct probed_channel *channel, const char *service,
                                              const struct probed_call_options *options, bool *serving_out);

/* Any method, "/probed.v1.ProbeService/Probe", with a packed request and response.  free() the response; it is not NULL
 * even when its size is 0. */
PROBED_API struct probed_status probed_call_raw(struct probed_channel *channel, const char *method, const void *request,
                                                size_t request_size, const struct probed_call_options *options,
                                                void **response_out, size_t *response_size_out);

/* Told how a call ended.  The packed response is lent for the duration of the function, NULL unless the code is OK.
 * Runs on a thread of nng's, of which there are few: it must not block.  It may start calls. */
typedef void probed_call_done(void *context, const struct probed_status *status, const void *response,
                              size_t response_size);

/* The same without waiting: `done` is called exactly once, unless this answers anything but OK, and never before this
 * was entered; it may be called before this returns.  Where there is no connection just now it is UNAVAILABLE at once:
 * probed_channel_connect() first.  `wait_for_ready` sends it once there is one, within its deadline. */
PROBED_API struct probed_status probed_call_start(struct probed_channel *channel, const char *method,
                                                  const void *request, size_t request_size,
                                                  const struct probed_call_options *options, probed_call_done *done,
                                                  void *context);

/* ---- generated stubs ----
 *
 * The functions that protoc-c writes for a service, over a channel:
 *
 *     struct probed_stub stub;
 *     probed_stub_init(&stub, channel, &probed__v1__probe_service__descriptor, NULL);
 *     probed__v1__probe_service__sync(&stub.base, &request, print_fence, context);
 *
 * The closure is called before the function returns, once, with NULL when stub.status is not OK; the response is lent to
 * it.  Without a closure (NULL) the response is left in stub.response and is the caller's.
 *
 * Threads: one call at a time on a stub; it costs nothing to make one a call. */
struct probed_stub {
    ProtobufCService base;                     /* first: what the generated functions take */
    struct probed_channel *channel;            /* lent */
    const struct probed_call_options *options; /* lent; NULL: none */
    struct probed_status status;               /* of the last call */
    ProtobufCMessage *response;                /* of the last call without a closure; NULL unless its status is OK */
};

PROBED_API void probed_stub_init(struct probed_stub *stub, struct probed_channel *channel,
                                 const ProtobufCServiceDescriptor *descriptor,
                                 const struct probed_call_options *options);

/* ---- subscribers ---- */

struct probed_subscriber;

/* Where a subscriber stands. */
enum { PROBED_SUBSCRIBER_REASON_SIZE = 128 };

struct probed_subscriber_state {
    /* CURRENT: every change published up to three heartbeat intervals ago was told, or told to be missed.  It is looked
     * at when it is asked for, so that it is true even of a process that was stopped just before. */
    bool current;
    uint64_t proved_ms; /* milliseconds of CLOCK_MONOTONIC: of every change until then it is true; 0: of none yet */
    uint64_t epoch;     /* of what was heard last; 0: nothing yet */
    char reason[PROBED_SUBSCRIBER_REASON_SIZE]; /* why it is not current, for a person; empty when it is */
};

/* Whoever keeps what an answer said keeps it until it is told of a change here, and trusts it while this is current.
 *
 * Events get lost: a subscriber that is slow or was stopped, a daemon that is started anew.  They do not get lost
 * unnoticed: on_gap says that changes of one home (or of any, home NULL) may have been missed.  It is called for any
 * home just before the subscriber is current for the first time, too: what was known before is as good as missed.
 *
 * It asks the daemon by itself (Sync) where its homes stand: at the beginning, and after a gap of any home, in pauses
 * drawn at random.  Before it is current, a heartbeat was heard, every home was asked for, and a heartbeat was heard
 * that was sent after the last answer.
 *
 * All functions run on the subscriber's one thread, or in probed_subscriber_process(), one at a time; messages and
 * texts are lent to them.  They may make calls and look at the subscriber, and must not close it.  A slow one delays
 * the next and, beyond some thousands, loses events. */
struct probed_subscriber_options {
    const char *url;          /* NULL: $PROBED_EVENTS, else where this user's daemon publishes by default */
    const char *const *homes; /* what to hear of; a path that is not canonical is made so, as it is at the open */
    size_t home_count;
    /* Every home there is, instead of `homes`: this user's at events.UID.sock, everybody's for administrators. */
    bool all_homes;
    void (*on_event)(void *context, const Probed__V1__CredentialEvent *event);   /* may be NULL, as the others */
    void (*on_gap)(void *context, const char *home, const char *reason);         /* NULL: any home */
    void (*on_heartbeat)(void *context, const Probed__V1__Heartbeat *heartbeat); /* every new one, after its gaps */
    void *context;

    void (*on_state)(void *context, const struct probed_subscriber_state *state); /* it is current, or no more */
    const char *calls_url;          /* where it asks; NULL: as probed_channel_options.url */
    struct probed_channel *channel; /* lent until it is closed, in place of calls_url; NULL: one of its own */
    bool poll;                      /* no thread: see probed_subscriber_fd */
    const struct probed_tls *tls;   /* as probed_channel_options.tls, for events and calls */
};

/* Begins to listen and returns at once, as probed_channel_open does.  INVALID_ARGUMENT: a URL, a home that is no
 * absolute path, or nothing to listen to; FAILED_PRECONDITION: after a fork; RESOURCE_EXHAUSTED. */
PROBED_API struct probed_status probed_subscriber_open(const struct probed_subscriber_options *options,
                                                       struct probed_subscriber **subscriber_out);

/* Waits until it is current; in poll mode it processes meanwhile.  UNAVAILABLE, with `unreachable`, as soon as it is
 * known that there is no daemon; DEADLINE_EXCEEDED where one is there and lets nothing be heard, as it does with who is
 * not admitted, or does not answer for a home. */
PROBED_API struct probed_status probed_subscriber_connect(struct probed_subscriber *subscriber, uint32_t timeout_ms);

/* The URL it listens to.  Lent until the subscriber is closed. */
PROBED_API const char *probed_subscriber_url(const struct probed_subscriber *subscriber);

/* Where it stands now. */
PROBED_API void probed_subscriber_state(struct probed_subscriber *subscriber,
                                        struct probed_subscriber_state *state_out);

/* A point in a home's history, as Probed__V1__Fence has it. */
struct probed_fence {
    uint64_t epoch, generation;
};

/* The newest point known of a home, by its canonical path or as it was called in `homes`.  False: none yet. */
PROBED_API bool probed_subscriber_fence(struct probed_subscriber *subscriber, const char *home,
                                        struct probed_fence *fence_out);

/* For an event loop, with options.poll: whenever the descriptor is readable (POLLIN), probed_subscriber_process() reads
 * what is there and calls the functions, then and there.  The descriptor is the subscriber's: not to be read, written
 * or closed.  From one thread at a time.  FAILED_PRECONDITION: there is a thread, or this is a fork. */
PROBED_API int probed_subscriber_fd(const struct probed_subscriber *subscriber);
PROBED_API struct probed_status probed_subscriber_process(struct probed_subscriber *subscriber);

/* Waits for the function that is running, and frees.  NULL is fine. */
PROBED_API void probed_subscriber_close(struct probed_subscriber *subscriber);

/* ---- a local cache ---- */

struct probed_cache;

/* A channel and a subscriber together: an answer is given from memory, without a round trip, while the subscriber is
 * current, the answer is of the newest generation known of its home, and it is younger than the fresh_ms it came with.
 * Else the daemon is asked.  An answer from before a change is never given once the change was heard. */
struct probed_cache_options {
    struct probed_channel *channel; /* lent until it is closed */
    const char *events_url;         /* as probed_subscriber_options.url */
    const char *const *homes; /* whose answers are kept, as probed_subscriber_options.homes; others are asked for */
    size_t home_count;
    size_t entry_count_max;       /* the one used longest ago goes first; 0: 256 */
    const struct probed_tls *tls; /* as probed_subscriber_options.tls */
};

/* Begins to listen and returns at once.  Errors as probed_subscriber_open, and INVALID_ARGUMENT without a channel. */
PROBED_API struct probed_status probed_cache_open(const struct probed_cache_options *options,
                                                  struct probed_cache **cache_out);

/* As probed_probe.  What is answered from memory has ORIGIN_CACHED, its age as it is now, and what is left of fresh_ms.
 * Always asked are requests with `refresh`, and those with an api_key, which is not kept here. */
PROBED_API struct probed_status probed_cache_probe(struct probed_cache *cache, const Probed__V1__ProbeRequest *request,
                                                   const struct probed_call_options *options,
                                                   Probed__V1__ProbeResponse **response_out);

/* To wait until it is current, or to look whether it is.  Lent until the cache is closed. */
PROBED_API struct probed_subscriber *probed_cache_subscriber(const struct probed_cache *cache);

struct probed_cache_counts {
    uint64_t hits, misses; /* answered from memory, asked for */
};
PROBED_API void probed_cache_look(const struct probed_cache *cache, struct probed_cache_counts *counts_out);

/* No probe may be in progress on it.  NULL is fine. */
PROBED_API void probed_cache_close(struct probed_cache *cache);

#ifdef __cplusplus
}
#endif

#endif
