/* The subscriber: a SUB socket, the thread that listens on it, and the chronicle that notices what is missing. */
#include "client/chronicle.h"
#include "client/link.h"
#include "proto/arena.h"
#include "proto/limits.h"
#include "proto/topic.h"
#include "proto/wire.h"

#include <limits.h>
#include <nng/protocol/pubsub0/sub.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    QUEUE_COUNT = 8192, /* messages behind a slow callback; nng has no more */
    BEATS_OF_SILENCE = 3,
    FAR_PROTOCOL = 0x20, /* PUB; nng's header does not say */
    /* A heartbeat with as many homes as it may name, each as long as may be. */
    MESSAGE_SIZE_MAX = LIMIT_HEADS_PER_BEAT * (LIMIT_HOME_SIZE_MAX + 32) + 4096,
    UNPACKED_SIZE_MAX = 2 * MESSAGE_SIZE_MAX,
};

struct probed_subscriber {
    /* Fixed at open. */
    struct link link;
    pthread_t listener;
    void (*on_event)(void *context, const Probed__V1__CredentialEvent *event);
    void (*on_gap)(void *context, const char *home, const char *reason);
    void (*on_heartbeat)(void *context, const Probed__V1__Heartbeat *heartbeat);
    void *context;

    /* The listener's own. */
    struct chronicle chronicle;
    uint64_t beat_at_ms; /* when the last was heard */
    uint32_t interval_ms;
    bool silent; /* and that was told */
    unsigned char first[8192];

    /* Guarded by lock. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool heard; /* a heartbeat */
    bool closing;
};

/* ---- hearing ---- */

static void tell_gap(void *context, const char *home, const char *reason)
{
    struct probed_subscriber *subscriber = context;

    if (subscriber->on_gap != NULL)
        subscriber->on_gap(subscriber->context, home, reason);
}

static void note_heard(struct probed_subscriber *subscriber)
{
    pthread_mutex_lock(&subscriber->lock);
    subscriber->heard = true;
    pthread_cond_broadcast(&subscriber->changed);
    pthread_mutex_unlock(&subscriber->lock);
}

static void hear_beat(struct probed_subscriber *subscriber, const Probed__V1__Heartbeat *heartbeat)
{
    subscriber->beat_at_ms = outcome_now_ms();
    subscriber->interval_ms = heartbeat->interval_ms;
    subscriber->silent = false;
    if (chronicle_hear_beat(&subscriber->chronicle, heartbeat) && subscriber->on_heartbeat != NULL)
        subscriber->on_heartbeat(subscriber->context, heartbeat);
    note_heard(subscriber);
}

static void hear_event(struct probed_subscriber *subscriber, const Probed__V1__CredentialEvent *event)
{
    if (chronicle_hear_event(&subscriber->chronicle, event) && subscriber->on_event != NULL)
        subscriber->on_event(subscriber->context, event);
}

/* A topic's line end, then the packed message. */
static void hear(struct probed_subscriber *subscriber, const void *data, size_t size)
{
    size_t head_size = topic_size(data, size);
    bool is_beat = head_size == sizeof TOPIC_BEAT - 1 && memcmp(data, TOPIC_BEAT, head_size) == 0;
    const ProtobufCMessageDescriptor *descriptor =
        is_beat ? &probed__v1__heartbeat__descriptor : &probed__v1__credential_event__descriptor;
    ProtobufCMessage *message;
    struct arena arena;
    struct status status;

    arena_init(&arena, subscriber->first, sizeof subscriber->first, UNPACKED_SIZE_MAX);
    status = wire_unpack(descriptor, (const char *)data + head_size, size - head_size, &arena, &message);
    if (!status_is_ok(&status))
        chronicle_doubt(&subscriber->chronicle, "a message could not be read");
    else if (is_beat)
        hear_beat(subscriber, (const Probed__V1__Heartbeat *)message);
    else
        hear_event(subscriber, (const Probed__V1__CredentialEvent *)message);
    arena_fini(&arena);
}

/* How long to wait for the next message until it counts as silence; for ever before the first heartbeat, and once the
 * silence has been told. */
static nng_duration patience(const struct probed_subscriber *subscriber)
{
    uint64_t left_ms;

    if (subscriber->interval_ms == 0 || subscriber->silent)
        return NNG_DURATION_INFINITE;
    left_ms = outcome_left_ms(subscriber->beat_at_ms + (uint64_t)BEATS_OF_SILENCE * subscriber->interval_ms);
    return left_ms < 1 ? 1 : left_ms > INT_MAX ? INT_MAX : (nng_duration)left_ms;
}

static void notice_silence(struct probed_subscriber *subscriber)
{
    char reason[80];
    uint64_t since_ms = outcome_now_ms() - subscriber->beat_at_ms;

    if (subscriber->interval_ms == 0 || subscriber->silent ||
        since_ms < (uint64_t)BEATS_OF_SILENCE * subscriber->interval_ms)
        return;
    subscriber->silent = true;
    snprintf(reason, sizeof reason, "no heartbeat for %llu ms", (unsigned long long)since_ms);
    chronicle_doubt(&subscriber->chronicle, reason);
}

static bool is_closing(struct probed_subscriber *subscriber)
{
    bool closing;

    pthread_mutex_lock(&subscriber->lock);
    closing = subscriber->closing;
    pthread_mutex_unlock(&subscriber->lock);
    return closing;
}

static void *run_listener(void *context)
{
    struct probed_subscriber *subscriber = context;
    nng_msg *message;
    int error = 0;

    while (error != NNG_ECLOSED && !is_closing(subscriber)) {
        nng_socket_set_ms(subscriber->link.socket, NNG_OPT_RECVTIMEO, patience(subscriber));
        error = nng_recvmsg(subscriber->link.socket, &message, 0);
        if (error == 0) {
            hear(subscriber, nng_msg_body(message), nng_msg_len(message));
            nng_msg_free(message);
        }
        notice_silence(subscriber);
    }
    return NULL;
}

/* ---- opening ---- */

static struct probed_status subscribe(struct probed_subscriber *subscriber, const void *topic, size_t size)
{
    int error = nng_socket_set(subscriber->link.socket, NNG_OPT_SUB_SUBSCRIBE, topic, size);

    if (error != 0)
        return outcome_make(PROBED_RESOURCE_EXHAUSTED, "cannot subscribe: %s", nng_strerror(error));
    return outcome_ok();
}

/* Topics carry canonical paths.  One that can't be resolved here is taken as it is: the directory may come yet. */
static struct probed_status want_home(struct probed_subscriber *subscriber, const char *home)
{
    char resolved[PATH_MAX], topic[TOPIC_SIZE_MAX];
    const char *canonical = realpath(home, resolved);

    if (canonical == NULL)
        canonical = home;
    if (home[0] != '/' || strlen(canonical) > LIMIT_HOME_SIZE_MAX)
        return outcome_make(PROBED_INVALID_ARGUMENT,
                            "a home to listen to is an absolute path of at most %d bytes: %.80s", LIMIT_HOME_SIZE_MAX,
                            home);
    if (!chronicle_want(&subscriber->chronicle, canonical))
        return outcome_make(PROBED_RESOURCE_EXHAUSTED, "no memory for a home to listen to");
    return subscribe(subscriber, topic, topic_write(canonical, topic));
}

static struct probed_status want(struct probed_subscriber *subscriber, const struct probed_subscriber_options *options)
{
    struct probed_status status = subscribe(subscriber, TOPIC_BEAT, sizeof TOPIC_BEAT - 1);

    if (outcome_is_ok(&status) && !options->all_homes && options->home_count == 0)
        return outcome_make(PROBED_INVALID_ARGUMENT, "no home to listen to");
    if (outcome_is_ok(&status) && options->all_homes)
        return subscribe(subscriber, TOPIC_HOME, sizeof TOPIC_HOME - 1);
    for (size_t i = 0; outcome_is_ok(&status) && i < options->home_count; i++)
        status = want_home(subscriber, options->homes[i]);
    return status;
}

static struct probed_status start_listening(struct probed_subscriber *subscriber)
{
    sigset_t all, before;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&subscriber->listener, NULL, run_listener, subscriber);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0)
        return outcome_make(PROBED_RESOURCE_EXHAUSTED, "cannot start a thread: %s", strerror(error));
    pthread_setname_np(subscriber->listener, "probed:listener");
    return outcome_ok();
}

static const struct link_kind event_link = {.open = nng_sub0_open, .far_protocol = FAR_PROTOCOL};

static struct probed_subscriber *make_subscriber(const struct probed_subscriber_options *options)
{
    struct probed_subscriber *subscriber = calloc(1, sizeof *subscriber);
    pthread_condattr_t monotonic;

    if (subscriber == NULL)
        return NULL;
    subscriber->on_event = options->on_event;
    subscriber->on_gap = options->on_gap;
    subscriber->on_heartbeat = options->on_heartbeat;
    subscriber->context = options->context;
    chronicle_init(&subscriber->chronicle, options->all_homes, tell_gap, subscriber);
    pthread_mutex_init(&subscriber->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&subscriber->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return subscriber;
}

static void free_subscriber(struct probed_subscriber *subscriber)
{
    pthread_cond_destroy(&subscriber->changed);
    pthread_mutex_destroy(&subscriber->lock);
    chronicle_fini(&subscriber->chronicle);
    free(subscriber);
}

struct probed_status probed_subscriber_open(const struct probed_subscriber_options *options,
                                            struct probed_subscriber **subscriber_out)
{
    struct probed_subscriber *subscriber = make_subscriber(options);
    char url[ADDRESS_SIZE_MAX];
    struct probed_status status;

    if (subscriber == NULL)
        return outcome_make(PROBED_RESOURCE_EXHAUSTED, "no memory for a subscriber");
    status = address_choose(options->url, "PROBED_EVENTS", "events.sock", url);
    if (outcome_is_ok(&status))
        status = link_open(&subscriber->link, &event_link, url);
    if (!outcome_is_ok(&status))
        goto free_subscriber;
    nng_socket_set_int(subscriber->link.socket, NNG_OPT_RECVBUF, QUEUE_COUNT);
    status = want(subscriber, options);
    if (outcome_is_ok(&status))
        status = link_dial(&subscriber->link, MESSAGE_SIZE_MAX);
    if (outcome_is_ok(&status))
        status = start_listening(subscriber);
    if (!outcome_is_ok(&status))
        goto close_link;
    *subscriber_out = subscriber;
    return outcome_ok();

close_link:
    link_close(&subscriber->link);
    link_fini(&subscriber->link);
free_subscriber:
    free_subscriber(subscriber);
    return status;
}

/* ---- waiting, closing ---- */

struct probed_status probed_subscriber_connect(struct probed_subscriber *subscriber, uint32_t timeout_ms)
{
    uint64_t deadline_ms = outcome_now_ms() + timeout_ms;
    struct timespec deadline = {.tv_sec = (time_t)(deadline_ms / 1000),
                                .tv_nsec = (long)(deadline_ms % 1000) * 1000000};
    struct probed_status status = link_usable(&subscriber->link);
    bool heard;
    int error = 0;

    if (outcome_is_ok(&status))
        status = link_look(&subscriber->link, deadline_ms);
    if (!outcome_is_ok(&status))
        return status;
    pthread_mutex_lock(&subscriber->lock);
    while (!subscriber->heard && !subscriber->closing && error == 0)
        error = pthread_cond_timedwait(&subscriber->changed, &subscriber->lock, &deadline);
    heard = subscriber->heard;
    pthread_mutex_unlock(&subscriber->lock);
    if (!heard)
        return outcome_make(
            PROBED_DEADLINE_EXCEEDED,
            "no heartbeat from probed at %s within %u ms; events are for root, the daemon's own user and "
            "its administrators",
            subscriber->link.url, timeout_ms);
    return outcome_ok();
}

const char *probed_subscriber_url(const struct probed_subscriber *subscriber)
{
    return subscriber->link.url;
}

void probed_subscriber_close(struct probed_subscriber *subscriber)
{
    struct probed_status status;

    if (subscriber == NULL)
        return;
    status = link_usable(&subscriber->link);
    if (!outcome_is_ok(&status))
        return; /* a fork: the thread is the parent's */
    pthread_mutex_lock(&subscriber->lock);
    subscriber->closing = true;
    pthread_cond_broadcast(&subscriber->changed);
    pthread_mutex_unlock(&subscriber->lock);
    link_close(&subscriber->link); /* the listener's receive ends with it */
    pthread_join(subscriber->listener, NULL);
    link_fini(&subscriber->link);
    free_subscriber(subscriber);
}
