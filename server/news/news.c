/* The publisher thread and its PUB socket.
 *
 * Neighbours: the shell hands over the source (the engine's news outbox) and takes the answers that were waiting behind
 * their event. */
#include "server/news/news.h"

#include "gen/probed/v1/probe.pb-c.h"
#include "proto/topic.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/threads/lock.h"
#include "server/threads/thread.h"

#include <nng/nng.h>
#include <nng/protocol/pubsub0/pub.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    SEND_QUEUE_COUNT = 4096,    /* messages a slow subscriber may be behind before it loses the oldest: 32 KiB each */
    RECEIVE_SIZE_MAX = 64 << 10 /* a subscriber sends nothing; what it sends all the same is bounded */
};

struct news {
    /* Fixed at create. */
    struct news_source source;
    void *context;
    nng_socket socket;
    bool tcp_trust;
    bool (*admits)(void *context, uint32_t uid);
    uint64_t heartbeat_ns;
    pthread_t publisher;

    /* The publisher's own. */
    struct engine_news item;
    struct engine_head heads[LIMIT_HEADS_PER_BEAT];
    Probed__V1__HomeHead head_messages[LIMIT_HEADS_PER_BEAT];
    Probed__V1__HomeHead *head_pointers[LIMIT_HEADS_PER_BEAT];
    uint64_t beat_epoch; /* the epoch that `beat` counts in */
    uint64_t beat;
    uint64_t beat_due_ns;

    /* Guarded by lock. */
    struct lock lock;
    struct condition wake;
    bool woken;
    bool stopping;

    atomic_uint_fast64_t event_count, beat_count, subscriber_count;
};

/* ---- publishing ---- */

/* One nng message: the topic, then the packed message.  What cannot be sent is lost, as any event may be: subscribers
 * notice by the next heartbeat. */
static void publish(struct news *news, const char *topic, size_t topic_size, const ProtobufCMessage *message)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    nng_msg *packet;
    int error = nng_msg_alloc(&packet, topic_size + size);

    if (error == 0) {
        unsigned char *body = nng_msg_body(packet);

        memcpy(body, topic, topic_size);
        protobuf_c_message_pack(message, body + topic_size);
        error = nng_sendmsg(news->socket, packet, NNG_FLAG_NONBLOCK);
        if (error != 0)
            nng_msg_free(packet);
    }
    if (error != 0)
        log_write(LOG_WARN, "event lost", LOG_FIELDS(log_text("cause", nng_strerror(error))));
}

static void publish_event(struct news *news, struct engine_news *item)
{
    Probed__V1__CredentialEvent event = PROBED__V1__CREDENTIAL_EVENT__INIT;
    Probed__V1__Fence fence = PROBED__V1__FENCE__INIT;
    char topic[TOPIC_SIZE_MAX];

    fence.epoch = item->fence.epoch;
    fence.generation = item->fence.generation;
    event.fence = &fence;
    event.home = item->home;
    event.provider = item->provider;
    event.cause = (Probed__V1__Cause)item->cause;
    event.reason = item->reason;
    event.at_ms = clock_wall_ms();
    publish(news, topic, topic_write(item->home, topic), &event.base);
    atomic_fetch_add(&news->event_count, 1);
}

/* Names every home that changed within the last intervals, so that who missed its event learns of it here. */
static void publish_beat(struct news *news, uint64_t now_ns)
{
    Probed__V1__Heartbeat heartbeat = PROBED__V1__HEARTBEAT__INIT;
    uint64_t window_ns = LIMIT_BEAT_INTERVALS_RECENT * news->heartbeat_ns;
    uint64_t epoch = news->source.epoch(news->context);
    bool more = false;
    size_t count = news->source.heads(news->context, now_ns > window_ns ? now_ns - window_ns : 0, news->heads,
                                      LIMIT_HEADS_PER_BEAT, &more);

    for (size_t i = 0; i < count; i++) {
        probed__v1__home_head__init(&news->head_messages[i]);
        news->head_messages[i].home = news->heads[i].home;
        news->head_messages[i].generation = news->heads[i].generation;
        news->head_pointers[i] = &news->head_messages[i];
    }
    if (epoch != news->beat_epoch) {
        news->beat_epoch = epoch;
        news->beat = 0;
    }
    heartbeat.epoch = epoch;
    heartbeat.beat = ++news->beat;
    heartbeat.interval_ms = (uint32_t)(news->heartbeat_ns / NS_PER_MS);
    heartbeat.recent = news->head_pointers;
    heartbeat.n_recent = count;
    heartbeat.truncated = more;
    publish(news, TOPIC_BEAT, sizeof TOPIC_BEAT - 1, &heartbeat.base);
    atomic_fetch_add(&news->beat_count, 1);
}

static void publish_what_is_left(struct news *news)
{
    while (news->source.next(news->context, &news->item)) {
        if (news->item.kind == ENGINE_NEWS_EVENT)
            publish_event(news, &news->item);
        else if (news->item.kind == ENGINE_NEWS_BEAT)
            publish_beat(news, clock_now_ns());
        if (news->item.call != NULL)
            news->source.answered(news->context, news->item.call);
    }
}

static void run_publisher(void *context)
{
    struct news *news = context;
    bool stopping = false;

    while (!stopping) {
        uint64_t now_ns = clock_now_ns();

        publish_what_is_left(news);
        if (now_ns >= news->beat_due_ns) {
            publish_beat(news, now_ns);
            news->beat_due_ns = now_ns + news->heartbeat_ns;
        }
        lock_acquire(&news->lock);
        while (!news->woken && !news->stopping && condition_wait(&news->wake, &news->lock, news->beat_due_ns))
            ;
        news->woken = false;
        stopping = news->stopping;
        lock_release(&news->lock);
    }
    publish_what_is_left(news);
}

void news_wake(struct news *news)
{
    lock_acquire(&news->lock);
    news->woken = true;
    condition_signal(&news->wake);
    lock_release(&news->lock);
}

/* ---- who may listen ---- */

static void admit(nng_pipe pipe, nng_pipe_ev event, void *context)
{
    struct news *news = context;
    uint64_t uid;
    bool admitted;
    int error = nng_pipe_get_uint64(pipe, NNG_OPT_IPC_PEER_UID, &uid);

    (void)event;
    atomic_fetch_add(&news->subscriber_count, 1); /* here, since REM_POST comes for refused pipes, too */
    if (error == 0)
        admitted = news->admits(news->context, (uint32_t)uid);
    else
        admitted = error == NNG_ENOTSUP && news->tcp_trust; /* a tcp peer has no uid */
    if (!admitted)
        nng_pipe_close(pipe);
}

static void count_out(nng_pipe pipe, nng_pipe_ev event, void *context)
{
    struct news *news = context;

    (void)pipe;
    (void)event;
    atomic_fetch_sub(&news->subscriber_count, 1);
}

static struct status listen_on(struct news *news, const char *url, int ipc_mode)
{
    nng_listener listener;
    int error = nng_listener_create(&listener, news->socket, url);

    if (error == 0)
        error = nng_listener_set_size(listener, NNG_OPT_RECVMAXSZ, RECEIVE_SIZE_MAX);
    if (error == 0 && strncmp(url, "ipc:", 4) == 0)
        error = nng_listener_set_int(listener, NNG_OPT_IPC_PERMISSIONS, ipc_mode);
    if (error == 0)
        error = nng_listener_start(listener, 0);
    if (error != 0)
        return status_make(STATUS_UNAVAILABLE, "cannot publish on %.100s: %s", url, nng_strerror(error));
    return status_ok();
}

static struct status open_socket(struct news *news, const struct news_settings *settings)
{
    struct status status = status_ok();
    int error = nng_pub0_open(&news->socket);

    if (error != 0)
        return status_make(STATUS_UNAVAILABLE, "cannot open the event socket: %s", nng_strerror(error));
    error = nng_socket_set_int(news->socket, NNG_OPT_SENDBUF, SEND_QUEUE_COUNT);
    if (error == 0)
        error = nng_pipe_notify(news->socket, NNG_PIPE_EV_ADD_PRE, admit, news);
    if (error == 0)
        error = nng_pipe_notify(news->socket, NNG_PIPE_EV_REM_POST, count_out, news);
    if (error != 0)
        status = status_make(STATUS_UNAVAILABLE, "cannot set up the event socket: %s", nng_strerror(error));
    for (size_t i = 0; status_is_ok(&status) && i < settings->url_count; i++)
        status = listen_on(news, settings->urls[i], settings->ipc_mode);
    if (!status_is_ok(&status))
        nng_close(news->socket);
    return status;
}

/* ---- life ---- */

struct status news_create(const struct news_settings *settings, const struct news_source *source, void *context,
                          struct news **news_out)
{
    struct news *news = calloc(1, sizeof *news);
    struct status status;

    if (news == NULL)
        return status_make(STATUS_RESOURCE_EXHAUSTED, "no memory for the publisher");
    news->source = *source;
    news->context = context;
    news->tcp_trust = settings->tcp_trust;
    news->admits = settings->admits;
    news->heartbeat_ns = settings->heartbeat_ns;
    lock_init(&news->lock, "news");
    condition_init(&news->wake);
    status = open_socket(news, settings);
    if (!status_is_ok(&status))
        goto free_news;
    status = thread_start(&news->publisher, "publisher", 0, run_publisher, news);
    if (!status_is_ok(&status))
        goto close_socket;
    *news_out = news;
    return status_ok();

close_socket:
    nng_close(news->socket);
free_news:
    condition_fini(&news->wake);
    lock_fini(&news->lock);
    free(news);
    return status;
}

void news_destroy(struct news *news)
{
    if (news == NULL)
        return;
    lock_acquire(&news->lock);
    news->stopping = true;
    condition_signal(&news->wake);
    lock_release(&news->lock);
    thread_join(news->publisher);
    nng_close(news->socket);
    condition_fini(&news->wake);
    lock_fini(&news->lock);
    free(news);
}

void news_look(struct news *news, struct news_counts *counts_out)
{
    counts_out->events = atomic_load(&news->event_count);
    counts_out->beats = atomic_load(&news->beat_count);
    counts_out->subscribers = atomic_load(&news->subscriber_count);
}
