/* The channel: one connection, lanes on it, and calls that wait or are told. */
#include "client/channel.h"

#include "client/chance.h"
#include "client/link.h"
#include "client/retry.h"
#include "client/wait.h"
#include "proto/limits.h"

#include <nng/protocol/reqrep0/req.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    TIMEOUT_MS_DEFAULT = 35000, /* as the daemon's probe.timeout_ms */
    TIMEOUT_MS_MAX = 1 << 30,   /* what nng's durations hold, with room for the grace */
    CALLS_MAX_DEFAULT = 4096,   /* as the daemon's server.calls_per_uid */
    RESPONSE_SIZE_MAX_DEFAULT = 64 << 20,

    /* How much longer than its deadline a call waits, so that the daemon's own DEADLINE_EXCEEDED, which says more,
     * comes through: it answers within 50 ms. */
    ANSWER_GRACE_MS = 250,
    /* How long a call tries to hand its request to the connection before it looks whether there still is one. */
    SEND_MS_MAX = 250,
};

/*  FREE --begin--> SENDING --given to the connection--> RECEIVING --answered--> FREE
 *  SENDING, RECEIVING --failed--> FREE */
enum lane_state { LANE_FREE, LANE_SENDING, LANE_RECEIVING };

enum lane_kind { LANE_WAITING, LANE_STARTED, LANE_KIND_COUNT }; /* without and with a callback */

struct lane {
    /* Fixed at open. */
    struct probed_channel *channel;
    enum lane_kind kind;
    nng_ctx context;
    nng_aio *aio;

    struct lane *next; /* guarded by the channel's lock, while free */

    /* The call's own.  The rest is a started call's. */
    enum lane_state state;
    uint64_t deadline_ms;
    uint32_t timeout_ms;
    size_t request_size;
    bool wait_for_ready;
    probed_call_done *done;
    void *done_context;
};

struct probed_channel {
    /* Fixed at open. */
    struct link link;
    uint32_t timeout_ms;
    uint32_t calls_max;
    size_t request_size_max;
    uint32_t retries_max;

    /* Held for reading while nng is handed something to do, and for writing to begin to close: nng 1.5.2 uses a socket
     * after it was freed when nng_close overlaps with the beginning of an operation on one of its contexts. */
    pthread_rwlock_t posting;

    /* Guarded by lock. */
    pthread_mutex_t lock;
    pthread_cond_t quiet;        /* closing, and nobody is inside any more */
    pthread_cond_t closing_told; /* whoever pauses wakes up */
    struct retry_budget budget;
    struct lane *free[LANE_KIND_COUNT];
    uint32_t call_count;   /* lanes in use */
    uint32_t inside_count; /* callers, and `done`s that run: who may still touch the channel */

    atomic_bool closing; /* set once */
};

/* ---- what is handed to nng ---- */

/* Whether something may be; then post_end() is due. */
static bool post_begin(struct probed_channel *channel)
{
    pthread_rwlock_rdlock(&channel->posting);
    if (!atomic_load(&channel->closing))
        return true;
    pthread_rwlock_unlock(&channel->posting);
    return false;
}

static void post_end(struct probed_channel *channel)
{
    pthread_rwlock_unlock(&channel->posting);
}

/* ---- lanes ---- */

static void lane_step(void *context);

static struct probed_status lane_open(struct probed_channel *channel, enum lane_kind kind, struct lane **lane_out)
{
    struct lane *lane = calloc(1, sizeof *lane);
    int error = NNG_ENOMEM;

    if (lane == NULL)
        goto refuse;
    lane->channel = channel;
    lane->kind = kind;
    error = nng_aio_alloc(&lane->aio, kind == LANE_STARTED ? lane_step : NULL, lane);
    if (error != 0)
        goto free_lane;
    error = NNG_ECLOSED;
    if (!post_begin(channel))
        goto free_aio;
    error = nng_ctx_open(&lane->context, channel->link.socket); /* closed with the socket */
    post_end(channel);
    if (error != 0)
        goto free_aio;
    *lane_out = lane;
    return outcome_ok();

free_aio:
    nng_aio_free(lane->aio);
free_lane:
    free(lane);
refuse:
    if (error == NNG_ECLOSED)
        return outcome_make(PROBED_CANCELLED, "the channel was closed");
    return outcome_make(PROBED_RESOURCE_EXHAUSTED, "cannot make a call: %s", nng_strerror(error));
}

/* Enters the channel and takes a lane. */
static struct probed_status lane_take(struct probed_channel *channel, enum lane_kind kind, struct lane **lane_out)
{
    struct probed_status status = outcome_ok();
    struct lane *lane = NULL;

    pthread_mutex_lock(&channel->lock);
    if (atomic_load(&channel->closing)) {
        status = outcome_make(PROBED_CANCELLED, "the channel is closed");
    } else if (channel->call_count >= channel->calls_max) {
        status = outcome_make(PROBED_RESOURCE_EXHAUSTED, "%u calls are in progress on this channel, its calls_max",
                              channel->call_count);
    } else {
        channel->call_count++;
        channel->inside_count++;
        lane = channel->free[kind];
        if (lane != NULL)
            channel->free[kind] = lane->next;
    }
    pthread_mutex_unlock(&channel->lock);
    if (outcome_is_ok(&status))
        *lane_out = lane;
    return status;
}

/* The lane may serve the next call from here on; NULL: there was none after all. */
static void lane_give_back(struct probed_channel *channel, struct lane *lane)
{
    pthread_mutex_lock(&channel->lock);
    channel->call_count--;
    if (lane != NULL) {
        lane->state = LANE_FREE;
        lane->next = channel->free[lane->kind];
        channel->free[lane->kind] = lane;
    }
    pthread_mutex_unlock(&channel->lock);
}

/* The last touch of the channel. */
static void channel_leave(struct probed_channel *channel)
{
    pthread_mutex_lock(&channel->lock);
    channel->inside_count--;
    if (channel->inside_count == 0)
        pthread_cond_signal(&channel->quiet);
    pthread_mutex_unlock(&channel->lock);
}

static struct probed_status channel_enter(struct probed_channel *channel, enum lane_kind kind, struct lane **lane_out)
{
    struct probed_status status = link_usable(&channel->link);

    if (!outcome_is_ok(&status))
        return status;
    status = lane_take(channel, kind, lane_out);
    if (outcome_is_ok(&status) && *lane_out == NULL) {
        status = lane_open(channel, kind, lane_out);
        if (!outcome_is_ok(&status)) {
            lane_give_back(channel, NULL);
            channel_leave(channel);
        }
    }
    return status;
}

/* ---- what went wrong ---- */

static struct probed_status send_failed(struct probed_channel *channel, int error, uint32_t timeout_ms)
{
    if (error == NNG_ECLOSED || atomic_load(&channel->closing)) /* a lost connection may be our own doing */
        return outcome_make(PROBED_CANCELLED, "the channel was closed");
    if (error != NNG_ETIMEDOUT)
        return outcome_make(PROBED_UNAVAILABLE, "cannot send to probed at %s: %s", channel->link.url,
                            nng_strerror(error));
    if (!link_is_up(&channel->link))
        return outcome_unreachable("cannot reach probed at %s: no connection within %u ms", channel->link.url,
                                   timeout_ms);
    return outcome_make(PROBED_DEADLINE_EXCEEDED, "probed at %s did not take the request within %u ms",
                        channel->link.url, timeout_ms);
}

static struct probed_status receive_failed(struct probed_channel *channel, int error, uint32_t timeout_ms,
                                           size_t request_size)
{
    const char *url = channel->link.url;

    if (error == NNG_ECLOSED || atomic_load(&channel->closing)) /* a lost connection may be our own doing */
        return outcome_make(PROBED_CANCELLED, "the channel was closed");
    switch (error) {
    case NNG_ETIMEDOUT:
        return outcome_make(PROBED_DEADLINE_EXCEEDED, "no answer from probed at %s within %u ms", url, timeout_ms);
    case NNG_ENOMEM:
        return outcome_make(PROBED_RESOURCE_EXHAUSTED, "no memory for the answer");
    default: /* NNG_ECONNRESET, or what nng makes of an answer above response_size_max: the connection is gone */
        return outcome_unreachable(
            "probed at %s closed the connection before it answered a request of %zu bytes%s", url, request_size,
            request_size > LIMIT_REQUEST_SIZE_DEFAULT
                ? ", which may be more than its server.request_bytes_max"
                : ": it is ending, or this uid's connections are as many as server.connections_per_uid allows");
    }
}

/* ---- calls that wait ---- */

static uint32_t timeout_of(const struct probed_channel *channel, uint32_t timeout_ms)
{
    if (timeout_ms == 0)
        timeout_ms = channel->timeout_ms;
    return timeout_ms < TIMEOUT_MS_MAX ? timeout_ms : TIMEOUT_MS_MAX;
}

static const struct probed_call_options no_options;

static void take_options(const struct probed_channel *channel, struct request *request,
                         const struct probed_call_options *options)
{
    request->metadata = options->metadata;
    request->metadata_count = options->metadata_count;
    request->size_max = channel->request_size_max;
}

/* Hands the aio's message to the connection, or queues it for one.  false: the channel is closing. */
static bool lane_send(struct lane *lane)
{
    uint64_t left_ms = outcome_left_ms(lane->deadline_ms);

    if (!post_begin(lane->channel))
        return false;
    nng_aio_set_timeout(lane->aio, left_ms > SEND_MS_MAX ? SEND_MS_MAX : left_ms > 0 ? (nng_duration)left_ms : 1);
    nng_ctx_send(lane->context, lane->aio);
    post_end(lane->channel);
    return true;
}

/* Only after the send is done: nng 1.5.2 crashes where the two overlap and one is cancelled.  false: as above. */
static bool lane_receive(struct lane *lane)
{
    if (!post_begin(lane->channel))
        return false;
    lane->state = LANE_RECEIVING;
    nng_aio_set_timeout(lane->aio, (nng_duration)(outcome_left_ms(lane->deadline_ms) + ANSWER_GRACE_MS));
    nng_ctx_recv(lane->context, lane->aio);
    post_end(lane->channel);
    return true;
}

/* Packs the request and gives it to the connection, before the deadline. */
static struct probed_status send_waiting(struct lane *lane, const struct request *request, bool wait_for_ready)
{
    struct probed_channel *channel = lane->channel;

    for (;;) {
        struct probed_status status = outcome_ok();
        uint64_t left_ms;
        nng_msg *message;
        int error;

        if (!link_is_up(&channel->link))
            status = link_wait(&channel->link, lane->deadline_ms, !wait_for_ready);
        left_ms = outcome_left_ms(lane->deadline_ms);
        if (outcome_is_ok(&status) && left_ms == 0)
            status = send_failed(channel, NNG_ETIMEDOUT, lane->timeout_ms);
        if (outcome_is_ok(&status))
            status = request_pack(request, (uint32_t)left_ms, &message);
        if (!outcome_is_ok(&status))
            return status;
        lane->request_size = nng_msg_len(message);
        nng_aio_set_msg(lane->aio, message);
        error = NNG_ECLOSED;
        if (lane_send(lane)) {
            nng_aio_wait(lane->aio);
            error = nng_aio_result(lane->aio);
        }
        if (error == 0)
            return outcome_ok();
        nng_msg_free(nng_aio_get_msg(lane->aio)); /* it was not sent, and is ours again */
        nng_aio_set_msg(lane->aio, NULL);
        if (error != NNG_ETIMEDOUT)
            return send_failed(channel, error, lane->timeout_ms);
    }
}

static struct probed_status receive_waiting(struct lane *lane, struct reply *reply_out)
{
    struct probed_status status;
    int error = NNG_ECLOSED;
    nng_msg *message;

    if (lane_receive(lane)) {
        nng_aio_wait(lane->aio);
        error = nng_aio_result(lane->aio);
    }
    if (error != 0)
        return receive_failed(lane->channel, error, lane->timeout_ms, lane->request_size);
    message = nng_aio_get_msg(lane->aio);
    nng_aio_set_msg(lane->aio, NULL);
    status = reply_open(reply_out, message, lane->channel->link.url);
    nng_msg_free(message);
    if (!outcome_is_ok(&status))
        reply_fini(reply_out);
    return status;
}

/* Waits until the call that ended so may be made again; false: it may not, or the channel is closed meanwhile. */
static bool pause_for_retry(struct probed_channel *channel, const struct probed_status *status, uint32_t attempt,
                            uint64_t deadline_ms)
{
    uint64_t pause_ms = 0, until_ms;
    bool again = false;
    int error = 0;

    pthread_mutex_lock(&channel->lock);
    if (outcome_is_ok(status))
        retry_budget_earn(&channel->budget);
    else if (attempt < channel->retries_max)
        again = retry_budget_spend(&channel->budget, status, attempt, outcome_left_ms(deadline_ms), &pause_ms);
    until_ms = outcome_now_ms() + pause_ms;
    while (again && !atomic_load(&channel->closing) && error == 0)
        error = wait_until_ms(&channel->closing_told, &channel->lock, until_ms);
    again = again && !atomic_load(&channel->closing);
    pthread_mutex_unlock(&channel->lock);
    return again;
}

struct probed_status channel_call(struct probed_channel *channel, struct request *request,
                                  const struct probed_call_options *options, struct reply *reply_out)
{
    struct lane *lane;
    struct probed_status status = channel_enter(channel, LANE_WAITING, &lane);

    if (!outcome_is_ok(&status))
        return status;
    if (options == NULL)
        options = &no_options;
    take_options(channel, request, options);
    lane->timeout_ms = timeout_of(channel, options->timeout_ms);
    lane->deadline_ms = outcome_now_ms() + lane->timeout_ms;
    for (uint32_t attempt = 0;; attempt++) {
        lane->state = LANE_SENDING;
        status = send_waiting(lane, request, options->wait_for_ready);
        if (outcome_is_ok(&status))
            status = receive_waiting(lane, reply_out);
        if (channel->retries_max == 0 || !pause_for_retry(channel, &status, attempt, lane->deadline_ms))
            break;
    }
    lane_give_back(channel, lane);
    channel_leave(channel);
    return status;
}

struct probed_status probed_call_raw(struct probed_channel *channel, const char *method, const void *request,
                                     size_t request_size, const struct probed_call_options *options,
                                     void **response_out, size_t *response_size_out)
{
    struct request raw = {.method = method, .bytes = request, .bytes_size = request_size};
    struct reply reply;
    struct probed_status status = channel_call(channel, &raw, options, &reply);
    void *response;

    if (!outcome_is_ok(&status))
        return status;
    response = malloc(reply.payload_size + 1);
    if (response == NULL) {
        status = outcome_make(PROBED_RESOURCE_EXHAUSTED, "no memory for an answer of %zu bytes", reply.payload_size);
    } else {
        memcpy(response, reply.payload, reply.payload_size);
        *response_out = response;
        *response_size_out = reply.payload_size;
    }
    reply_fini(&reply);
    return status;
}

/* ---- calls that are told ---- */

/* Gives the lane back before it tells, so that the function told may start the next call on it. */
static void finish_started(struct lane *lane, int error)
{
    struct probed_channel *channel = lane->channel;
    probed_call_done *done = lane->done;
    void *context = lane->done_context;
    nng_msg *message = nng_aio_get_msg(lane->aio); /* what could not be sent, or the answer */
    struct probed_status status = outcome_ok();
    struct reply reply = {.payload_size = 0};

    nng_aio_set_msg(lane->aio, NULL);
    if (error != 0 && lane->state == LANE_SENDING)
        status = send_failed(channel, error, lane->timeout_ms);
    else if (error != 0)
        status = receive_failed(channel, error, lane->timeout_ms, lane->request_size);
    lane_give_back(channel, lane);
    if (error == 0)
        status = reply_open(&reply, message, channel->link.url);
    done(context, &status, outcome_is_ok(&status) ? reply.payload : NULL, reply.payload_size);
    reply_fini(&reply);
    nng_msg_free(message);
    channel_leave(channel);
}

static bool may_send_again(struct lane *lane)
{
    return outcome_left_ms(lane->deadline_ms) > 0 && (lane->wait_for_ready || link_is_up(&lane->channel->link));
}

/* The callback of a started call's aio: what it waited for has happened. */
static void lane_step(void *context)
{
    struct lane *lane = context;
    int error = nng_aio_result(lane->aio);

    if (lane->state == LANE_SENDING && error == 0) {
        if (!lane_receive(lane))
            finish_started(lane, NNG_ECLOSED);
    } else if (lane->state == LANE_SENDING && error == NNG_ETIMEDOUT && may_send_again(lane)) {
        if (!lane_send(lane)) /* the message has stayed in the aio */
            finish_started(lane, NNG_ECLOSED);
    } else {
        finish_started(lane, error);
    }
}

struct probed_status probed_call_start(struct probed_channel *channel, const char *method, const void *request,
                                       size_t request_size, const struct probed_call_options *options,
                                       probed_call_done *done, void *context)
{
    struct request raw = {.method = method, .bytes = request, .bytes_size = request_size};
    struct lane *lane;
    struct probed_status status = channel_enter(channel, LANE_STARTED, &lane);
    nng_msg *message;

    if (!outcome_is_ok(&status))
        return status;
    if (options == NULL)
        options = &no_options;
    take_options(channel, &raw, options);
    lane->timeout_ms = timeout_of(channel, options->timeout_ms);
    if (!options->wait_for_ready && !link_is_up(&channel->link))
        status = outcome_unreachable("cannot reach probed at %s: not connected", channel->link.url);
    else
        status = request_pack(&raw, lane->timeout_ms, &message);
    if (!outcome_is_ok(&status)) {
        lane_give_back(channel, lane);
        channel_leave(channel);
        return status;
    }
    lane->request_size = nng_msg_len(message);
    lane->deadline_ms = outcome_now_ms() + lane->timeout_ms;
    lane->done = done;
    lane->done_context = context;
    lane->wait_for_ready = options->wait_for_ready;
    lane->state = LANE_SENDING;
    nng_aio_set_msg(lane->aio, message);
    if (!lane_send(lane))
        finish_started(lane, NNG_ECLOSED);
    return outcome_ok();
}

/* ---- life ---- */

static const struct link_kind request_link = {.open = nng_req0_open, .far_protocol = NNG_REQ0_PEER};

static void fill_channel(struct probed_channel *channel, const struct probed_channel_options *options)
{
    channel->timeout_ms = options->timeout_ms != 0 ? options->timeout_ms : TIMEOUT_MS_DEFAULT;
    channel->calls_max = options->calls_max != 0 ? options->calls_max : CALLS_MAX_DEFAULT;
    channel->request_size_max = options->request_size_max != 0 ? options->request_size_max : LIMIT_REQUEST_SIZE_DEFAULT;
    channel->retries_max = options->retries_max;
    retry_budget_init(&channel->budget, chance_seed());
    pthread_rwlock_init(&channel->posting, NULL);
    pthread_mutex_init(&channel->lock, NULL);
    pthread_cond_init(&channel->quiet, NULL);
    wait_init(&channel->closing_told);
}

static void free_channel(struct probed_channel *channel)
{
    pthread_cond_destroy(&channel->closing_told);
    pthread_cond_destroy(&channel->quiet);
    pthread_mutex_destroy(&channel->lock);
    pthread_rwlock_destroy(&channel->posting);
    free(channel);
}

struct probed_status probed_channel_open(const struct probed_channel_options *options,
                                         struct probed_channel **channel_out)
{
    static const struct probed_channel_options defaults;
    struct probed_channel *channel = calloc(1, sizeof *channel);
    char url[ADDRESS_SIZE_MAX];
    struct probed_status status;
    uint32_t response_size_max;

    if (channel == NULL)
        return outcome_make(PROBED_RESOURCE_EXHAUSTED, "no memory for a channel");
    if (options == NULL)
        options = &defaults;
    fill_channel(channel, options);
    status = address_choose(options->url, "PROBED_CONNECT", "rpc.sock", url);
    if (outcome_is_ok(&status))
        status = link_open(&channel->link, &request_link, url, options->tls);
    if (!outcome_is_ok(&status))
        goto free_channel;
    /* nng would send a request a second time after a minute, or to a daemon that was started anew. */
    nng_socket_set_ms(channel->link.socket, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE);
    response_size_max = options->response_size_max != 0 ? options->response_size_max : RESPONSE_SIZE_MAX_DEFAULT;
    status = link_dial(&channel->link, (size_t)response_size_max + LIMIT_FRAME_HEADER_SIZE);
    if (!outcome_is_ok(&status))
        goto close_link;
    *channel_out = channel;
    return outcome_ok();

close_link:
    link_close(&channel->link);
    link_fini(&channel->link);
free_channel:
    free_channel(channel);
    return status;
}

struct probed_status probed_channel_connect(struct probed_channel *channel, uint32_t timeout_ms)
{
    struct probed_status status = link_usable(&channel->link);

    if (!outcome_is_ok(&status))
        return status;
    pthread_mutex_lock(&channel->lock);
    channel->inside_count++;
    pthread_mutex_unlock(&channel->lock);
    status = link_wait(&channel->link, outcome_now_ms() + timeout_of(channel, timeout_ms), true);
    channel_leave(channel);
    return status;
}

const char *probed_channel_url(const struct probed_channel *channel)
{
    return channel->link.url;
}

static void free_lanes(struct lane *lane)
{
    while (lane != NULL) {
        struct lane *next = lane->next;

        nng_aio_free(lane->aio); /* waits for the rest of its callback */
        free(lane);
        lane = next;
    }
}

void probed_channel_close(struct probed_channel *channel)
{
    struct probed_status status;

    if (channel == NULL)
        return;
    status = link_usable(&channel->link);
    if (!outcome_is_ok(&status))
        return; /* a fork: the threads are the parent's, and its locks may be held for ever here */

    /* Whoever comes to post from here on turns back, and whoever was about to has done it when the lock is ours. */
    atomic_store(&channel->closing, true);
    pthread_mutex_lock(&channel->lock);
    pthread_cond_broadcast(&channel->closing_told);
    pthread_mutex_unlock(&channel->lock);
    pthread_rwlock_wrlock(&channel->posting);
    pthread_rwlock_unlock(&channel->posting);

    /* Closes the contexts as well: what is in progress fails with NNG_ECLOSED. */
    link_close(&channel->link);
    pthread_mutex_lock(&channel->lock);
    while (channel->inside_count > 0)
        pthread_cond_wait(&channel->quiet, &channel->lock);
    pthread_mutex_unlock(&channel->lock);
    for (int kind = 0; kind < LANE_KIND_COUNT; kind++)
        free_lanes(channel->free[kind]);
    link_fini(&channel->link);
    free_channel(channel);
}
