/* The subscriber: a SUB socket, what was heard (chronicle), what that is worth now (standing), and a question to the
 * daemon where it takes one (inquiry).
 *
 * All of it happens in steps.  A step reads what is there, tells what it means, asks what is to be asked, and sets a
 * timer for the next; what may make the next one due is gathered in one epoll descriptor.  In poll mode the user takes
 * the steps, else the listener's thread does, and nothing is different.
 *
 * The lock guards what others may look at while a step goes on.  Only the thread that takes the step changes it, so the
 * lock is let go of while somebody is told or asked: it is a leaf. */
#include "client/subscriber.h"

#include "client/chance.h"
#include "client/chronicle.h"
#include "client/inquiry.h"
#include "client/link.h"
#include "client/standing.h"
#include "client/wait.h"
#include "proto/arena.h"
#include "proto/limits.h"
#include "proto/topic.h"
#include "proto/wire.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <nng/protocol/pubsub0/sub.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum {
    QUEUE_COUNT = 8192,        /* messages behind a slow callback; nng has no more */
    STEP_MESSAGE_COUNT = 1024, /* read in one step, so that time is looked at in between */
    FAR_PROTOCOL = 0x20,       /* PUB; nng's header does not say */
    /* A heartbeat with as many homes as it may name, each as long as may be. */
    MESSAGE_SIZE_MAX = LIMIT_HEADS_PER_BEAT * (LIMIT_HOME_SIZE_MAX + 32) + 4096,
    UNPACKED_SIZE_MAX = 2 * MESSAGE_SIZE_MAX,
};

_Static_assert((int)PROBED_SUBSCRIBER_REASON_SIZE <= (int)PROBED_STATUS_MESSAGE_SIZE, "a status' message is cut");

/* What a home was called by the user, and what its events call it. */
struct wanted {
    char *given;
    char *canonical;
};

struct probed_subscriber {
    /* Fixed at open. */
    struct probed_subscriber_options options; /* its strings and lists are not kept */
    struct link link;
    struct probed_channel *channel; /* owned unless options.channel */
    struct wanted *wanted;          /* owned; in order of `given` */
    size_t wanted_count;
    int step_fd;  /* epoll: a step is due */
    int timer_fd; /* in step_fd, as are the next and nng's own */
    int wake_fd;  /* eventfd: an answer, or closing */
    pthread_t listener;

    /* The stepping thread's own. */
    struct inquiry *inquiry; /* NULL: none in the air */
    uint64_t inquiry_round;
    unsigned char first[8192];

    /* Changed by the stepping thread alone, under the lock. */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* told_current, closing */
    struct chronicle chronicle;
    struct standing standing;
    bool told_current;
    char reason[PROBED_SUBSCRIBER_REASON_SIZE]; /* why it is not CURRENT, as far as it is not silence */
    bool closing;                               /* by any thread */
};

/* ---- telling ---- */

static void tell_gap(void *context, const char *home, const char *reason)
{
    struct probed_subscriber *subscriber = context;

    if (home == NULL) {
        standing_lose(&subscriber->standing);
        snprintf(subscriber->reason, sizeof subscriber->reason, "%s", reason);
    }
    if (subscriber->options.on_gap == NULL)
        return;
    pthread_mutex_unlock(&subscriber->lock);
    subscriber->options.on_gap(subscriber->options.context, home, reason);
    pthread_mutex_lock(&subscriber->lock);
}

static void describe_silence_held(const struct probed_subscriber *subscriber, uint64_t now_ms, char *out)
{
    if (subscriber->standing.interval_ms == 0)
        snprintf(out, PROBED_SUBSCRIBER_REASON_SIZE, "no heartbeat was heard yet");
    else
        snprintf(out, PROBED_SUBSCRIBER_REASON_SIZE, "no heartbeat for %" PRIu64 " ms",
                 now_ms - subscriber->standing.sent_ms);
}

static void look_held(const struct probed_subscriber *subscriber, struct probed_subscriber_state *state_out)
{
    const struct standing *standing = &subscriber->standing;
    uint64_t now_ms = outcome_now_ms();

    memset(state_out, 0, sizeof *state_out);
    state_out->current = standing_is_current(standing, now_ms);
    state_out->proved_ms = standing->proved_ms;
    state_out->epoch = subscriber->chronicle.epoch;
    if (state_out->current)
        return;
    if (standing_is_silent(standing, now_ms))
        describe_silence_held(subscriber, now_ms, state_out->reason);
    else
        memcpy(state_out->reason, subscriber->reason, sizeof state_out->reason);
}

/* When it is another than was told last.  Who waits for it goes on when that was told. */
static void tell_state(struct probed_subscriber *subscriber)
{
    struct probed_subscriber_state state;

    look_held(subscriber, &state);
    if (state.current == subscriber->told_current)
        return;
    if (subscriber->options.on_state != NULL) {
        pthread_mutex_unlock(&subscriber->lock);
        subscriber->options.on_state(subscriber->options.context, &state);
        pthread_mutex_lock(&subscriber->lock);
    }
    subscriber->told_current = state.current;
    pthread_cond_broadcast(&subscriber->changed);
}

/* ---- hearing ---- */

/* One that says when it was sent is worth that; one that does not, or that cannot be true, is worth this moment. */
static uint64_t time_of_beat(uint64_t sent_ns)
{
    uint64_t now_ms = outcome_now_ms(), sent_ms = sent_ns / 1000000;

    return sent_ns == 0 || sent_ms > now_ms ? now_ms : sent_ms;
}

static void hear_beat(struct probed_subscriber *subscriber, const Probed__V1__Heartbeat *heartbeat)
{
    struct chronicle *chronicle = &subscriber->chronicle;
    uint64_t proved_ns = chronicle->proved_ns;

    if (!chronicle_hear_beat(chronicle, heartbeat))
        return;
    standing_hear_beat(&subscriber->standing, time_of_beat(heartbeat->sent_ns), heartbeat->interval_ms);
    if (chronicle->proved_ns != proved_ns || chronicle->proved_ns == CHRONICLE_NOW)
        standing_prove(&subscriber->standing,
                       time_of_beat(chronicle->proved_ns == CHRONICLE_NOW ? 0 : chronicle->proved_ns),
                       outcome_now_ms());
    tell_state(subscriber); /* before the heartbeat, so that who is told of it knows what it proves */
    if (subscriber->options.on_heartbeat == NULL)
        return;
    pthread_mutex_unlock(&subscriber->lock);
    subscriber->options.on_heartbeat(subscriber->options.context, heartbeat);
    pthread_mutex_lock(&subscriber->lock);
}

static void hear_event(struct probed_subscriber *subscriber, const Probed__V1__CredentialEvent *event)
{
    if (!chronicle_hear_event(&subscriber->chronicle, event) || subscriber->options.on_event == NULL)
        return;
    pthread_mutex_unlock(&subscriber->lock);
    subscriber->options.on_event(subscriber->options.context, event);
    pthread_mutex_lock(&subscriber->lock);
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

/* ---- a step ---- */

/* A proof that has run out: something may have been published since, for all that is known. */
static void notice_end(struct probed_subscriber *subscriber)
{
    char reason[PROBED_SUBSCRIBER_REASON_SIZE];
    uint64_t now_ms = outcome_now_ms();

    if (!subscriber->standing.proved || standing_is_current(&subscriber->standing, now_ms))
        return;
    if (standing_is_silent(&subscriber->standing, now_ms))
        describe_silence_held(subscriber, now_ms, reason);
    else
        memcpy(reason, subscriber->reason, sizeof reason);
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

static void hear_what_is_there(struct probed_subscriber *subscriber)
{
    nng_msg *message;

    for (int i = 0; i < STEP_MESSAGE_COUNT && !is_closing(subscriber); i++) {
        if (nng_recvmsg(subscriber->link.socket, &message, NNG_FLAG_NONBLOCK) != 0)
            return;
        pthread_mutex_lock(&subscriber->lock);
        hear(subscriber, nng_msg_body(message), nng_msg_len(message));
        notice_end(subscriber); /* a slow function takes time */
        tell_state(subscriber);
        pthread_mutex_unlock(&subscriber->lock);
        nng_msg_free(message);
    }
}

static void take_answer(struct probed_subscriber *subscriber)
{
    struct inquiry_answer answer;

    if (subscriber->inquiry == NULL || !inquiry_take(subscriber->inquiry, &answer))
        return;
    subscriber->inquiry = NULL;
    if (!outcome_is_ok(&answer.status)) {
        standing_refused(&subscriber->standing, outcome_now_ms(), answer.status.retry_after_ms);
        snprintf(subscriber->reason, sizeof subscriber->reason, "%.*s", PROBED_SUBSCRIBER_REASON_SIZE - 1,
                 answer.status.message);
        return;
    }
    standing_answered(&subscriber->standing, outcome_now_ms());
    chronicle_hear_answer(&subscriber->chronicle, &(struct chronicle_answer){.round = subscriber->inquiry_round,
                                                                             .epoch = answer.epoch,
                                                                             .generation = answer.generation,
                                                                             .asked_ns = answer.asked_ns,
                                                                             .answered_ns = answer.answered_ns});
}

/* Asks the daemon of a home, if that is due; when it is, otherwise. */
static uint64_t ask(struct probed_subscriber *subscriber)
{
    const char *home = chronicle_ask(&subscriber->chronicle);
    struct probed_status status;
    uint64_t due_ms;

    if (home == NULL) {
        standing_ask_no_more(&subscriber->standing);
        return STANDING_NEVER;
    }
    due_ms = standing_ask_ms(&subscriber->standing, outcome_now_ms());
    if (due_ms > outcome_now_ms())
        return due_ms;
    subscriber->inquiry_round = subscriber->chronicle.round;
    pthread_mutex_unlock(&subscriber->lock);
    status = inquiry_begin(subscriber->channel, home, subscriber->wake_fd, &subscriber->inquiry);
    pthread_mutex_lock(&subscriber->lock);
    if (outcome_is_ok(&status)) {
        standing_asked(&subscriber->standing);
        return STANDING_NEVER;
    }
    standing_refused(&subscriber->standing, outcome_now_ms(), status.retry_after_ms);
    snprintf(subscriber->reason, sizeof subscriber->reason, "%.*s", PROBED_SUBSCRIBER_REASON_SIZE - 1, status.message);
    return standing_ask_ms(&subscriber->standing, outcome_now_ms());
}

/* At the time given, and not before; STANDING_NEVER: not at all. */
static void set_timer(struct probed_subscriber *subscriber, uint64_t due_ms)
{
    struct itimerspec timer = {.it_interval = {0, 0}};

    if (due_ms != STANDING_NEVER) {
        timer.it_value.tv_sec = (time_t)(due_ms / 1000);
        timer.it_value.tv_nsec = (long)(due_ms % 1000) * 1000000 + 1; /* 0 would be never */
    }
    timerfd_settime(subscriber->timer_fd, TFD_TIMER_ABSTIME, &timer, NULL);
}

static void step(struct probed_subscriber *subscriber)
{
    uint64_t unused, ask_ms, end_ms;

    (void)!read(subscriber->wake_fd, &unused, sizeof unused);
    (void)!read(subscriber->timer_fd, &unused, sizeof unused);
    pthread_mutex_lock(&subscriber->lock);
    notice_end(subscriber); /* first: after a stop, what is there to be read is old */
    tell_state(subscriber);
    pthread_mutex_unlock(&subscriber->lock);
    hear_what_is_there(subscriber);
    pthread_mutex_lock(&subscriber->lock);
    take_answer(subscriber);
    ask_ms = ask(subscriber);
    tell_state(subscriber);
    end_ms = standing_end_ms(&subscriber->standing);
    pthread_mutex_unlock(&subscriber->lock);
    set_timer(subscriber, ask_ms < end_ms ? ask_ms : end_ms);
}

static void *run_listener(void *context)
{
    struct probed_subscriber *subscriber = context;
    struct pollfd due = {.fd = subscriber->step_fd, .events = POLLIN};

    while (!is_closing(subscriber)) {
        if (poll(&due, 1, -1) > 0)
            step(subscriber);
    }
    return NULL;
}

int probed_subscriber_fd(const struct probed_subscriber *subscriber)
{
    return subscriber->step_fd;
}

struct probed_status probed_subscriber_process(struct probed_subscriber *subscriber)
{
    struct probed_status status = link_usable(&subscriber->link);

    if (!outcome_is_ok(&status))
        return status;
    if (!subscriber->options.poll)
        return outcome_make(PROBED_FAILED_PRECONDITION, "the subscriber has a thread that does this");
    step(subscriber);
    return outcome_ok();
}

/* ---- opening: what it listens to ---- */

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
    struct wanted *wanted = &subscriber->wanted[subscriber->wanted_count];

    if (canonical == NULL)
        canonical = home;
    if (home[0] != '/' || strlen(canonical) > LIMIT_HOME_SIZE_MAX)
        return outcome_make(PROBED_INVALID_ARGUMENT,
                            "a home to listen to is an absolute path of at most %d bytes: %.80s", LIMIT_HOME_SIZE_MAX,
                            home);
    wanted->given = strdup(home);
    wanted->canonical = strdup(canonical);
    subscriber->wanted_count++;
    if (wanted->given == NULL || wanted->canonical == NULL || !chronicle_want(&subscriber->chronicle, canonical))
        return outcome_make(PROBED_RESOURCE_EXHAUSTED, "no memory for a home to listen to");
    return subscribe(subscriber, topic, topic_write(canonical, topic));
}

static int compare_wanted(const void *one, const void *other)
{
    return strcmp(((const struct wanted *)one)->given, ((const struct wanted *)other)->given);
}

static struct probed_status want(struct probed_subscriber *subscriber, const struct probed_subscriber_options *options)
{
    struct probed_status status = subscribe(subscriber, TOPIC_BEAT, sizeof TOPIC_BEAT - 1);

    if (outcome_is_ok(&status) && !options->all_homes && options->home_count == 0)
        return outcome_make(PROBED_INVALID_ARGUMENT, "no home to listen to");
    if (outcome_is_ok(&status) && options->all_homes)
        return subscribe(subscriber, TOPIC_HOME, sizeof TOPIC_HOME - 1);
    subscriber->wanted = calloc(options->home_count, sizeof subscriber->wanted[0]);
    if (subscriber->wanted == NULL)
        return outcome_make(PROBED_RESOURCE_EXHAUSTED, "no memory for the homes to listen to");
    for (size_t i = 0; outcome_is_ok(&status) && i < options->home_count; i++)
        status = want_home(subscriber, options->homes[i]);
    if (outcome_is_ok(&status))
        qsort(subscriber->wanted, subscriber->wanted_count, sizeof subscriber->wanted[0], compare_wanted);
    return status;
}

/* ---- opening: the rest ---- */

static bool watch_fd(struct probed_subscriber *subscriber, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};

    return fd >= 0 && epoll_ctl(subscriber->step_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static struct probed_status open_descriptors(struct probed_subscriber *subscriber)
{
    int nng_fd = -1;

    subscriber->step_fd = epoll_create1(EPOLL_CLOEXEC);
    subscriber->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    subscriber->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (subscriber->step_fd < 0 || !watch_fd(subscriber, subscriber->timer_fd) ||
        !watch_fd(subscriber, subscriber->wake_fd) ||
        nng_socket_get_int(subscriber->link.socket, NNG_OPT_RECVFD, &nng_fd) != 0 || !watch_fd(subscriber, nng_fd))
        return outcome_make(PROBED_RESOURCE_EXHAUSTED, "cannot open descriptors for a subscriber: %s", strerror(errno));
    return outcome_ok();
}

static void close_descriptors(struct probed_subscriber *subscriber)
{
    const int fds[] = {subscriber->step_fd, subscriber->timer_fd, subscriber->wake_fd};

    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
}

static struct probed_status start_listening(struct probed_subscriber *subscriber)
{
    sigset_t all, before;
    int error;

    if (subscriber->options.poll)
        return outcome_ok();
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&subscriber->listener, NULL, run_listener, subscriber);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0)
        return outcome_make(PROBED_RESOURCE_EXHAUSTED, "cannot start a thread: %s", strerror(error));
    pthread_setname_np(subscriber->listener, "probed:listener");
    return outcome_ok();
}

/* Where it asks: the user's channel, or one of its own. */
static struct probed_status choose_channel(struct probed_subscriber *subscriber,
                                           const struct probed_subscriber_options *options)
{
    subscriber->channel = options->channel;
    if (options->channel != NULL || options->all_homes)
        return outcome_ok(); /* of all homes there is nothing to ask */
    return probed_channel_open(&(struct probed_channel_options){.url = options->calls_url, .tls = options->tls},
                               &subscriber->channel);
}

static void close_channel(struct probed_subscriber *subscriber)
{
    if (subscriber->options.channel == NULL)
        probed_channel_close(subscriber->channel);
}

static const struct link_kind event_link = {.open = nng_sub0_open, .far_protocol = FAR_PROTOCOL};

static struct probed_subscriber *make_subscriber(const struct probed_subscriber_options *options)
{
    struct probed_subscriber *subscriber = calloc(1, sizeof *subscriber);

    if (subscriber == NULL)
        return NULL;
    subscriber->options = *options;
    subscriber->options.tls = NULL; /* lent during the open */
    subscriber->step_fd = subscriber->timer_fd = subscriber->wake_fd = -1;
    standing_init(&subscriber->standing, chance_seed());
    snprintf(subscriber->reason, sizeof subscriber->reason, "probed is asked where the homes stand");
    chronicle_init(&subscriber->chronicle, options->all_homes, tell_gap, subscriber);
    pthread_mutex_init(&subscriber->lock, NULL);
    wait_init(&subscriber->changed);
    return subscriber;
}

static void free_subscriber(struct probed_subscriber *subscriber)
{
    for (size_t i = 0; i < subscriber->wanted_count; i++) {
        free(subscriber->wanted[i].given);
        free(subscriber->wanted[i].canonical);
    }
    free(subscriber->wanted);
    close_descriptors(subscriber);
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
        status = link_open(&subscriber->link, &event_link, url, options->tls);
    if (!outcome_is_ok(&status))
        goto free_subscriber;
    nng_socket_set_int(subscriber->link.socket, NNG_OPT_RECVBUF, QUEUE_COUNT);
    status = want(subscriber, options);
    if (outcome_is_ok(&status))
        status = open_descriptors(subscriber);
    if (outcome_is_ok(&status))
        status = choose_channel(subscriber, options);
    if (!outcome_is_ok(&status))
        goto close_link;
    status = link_dial(&subscriber->link, MESSAGE_SIZE_MAX);
    if (outcome_is_ok(&status))
        status = start_listening(subscriber);
    if (!outcome_is_ok(&status))
        goto close_channel;
    *subscriber_out = subscriber;
    return outcome_ok();

close_channel:
    close_channel(subscriber);
close_link:
    link_close(&subscriber->link);
    link_fini(&subscriber->link);
free_subscriber:
    free_subscriber(subscriber);
    return status;
}

/* ---- waiting ---- */

/* Steps until it is CURRENT, or until then. */
static bool step_until_current(struct probed_subscriber *subscriber, uint64_t deadline_ms)
{
    struct pollfd due = {.fd = subscriber->step_fd, .events = POLLIN};
    struct probed_subscriber_state state;
    uint64_t left_ms;

    for (;;) {
        probed_subscriber_state(subscriber, &state);
        left_ms = outcome_left_ms(deadline_ms);
        if (state.current || left_ms == 0)
            return state.current;
        if (poll(&due, 1, left_ms < INT_MAX ? (int)left_ms : INT_MAX) > 0)
            step(subscriber);
    }
}

static bool wait_until_current(struct probed_subscriber *subscriber, uint64_t deadline_ms)
{
    bool current;
    int error = 0;

    pthread_mutex_lock(&subscriber->lock);
    while (!subscriber->told_current && !subscriber->closing && error == 0)
        error = wait_until_ms(&subscriber->changed, &subscriber->lock, deadline_ms);
    current = subscriber->told_current;
    pthread_mutex_unlock(&subscriber->lock);
    return current;
}

static struct probed_status not_current(struct probed_subscriber *subscriber, uint32_t timeout_ms)
{
    struct probed_subscriber_state state;
    bool heard;

    pthread_mutex_lock(&subscriber->lock);
    look_held(subscriber, &state);
    heard = subscriber->standing.interval_ms != 0;
    pthread_mutex_unlock(&subscriber->lock);
    if (heard)
        return outcome_make(PROBED_DEADLINE_EXCEEDED, "events from probed at %s are not complete within %u ms: %s",
                            subscriber->link.url, timeout_ms, state.reason);
    return outcome_make(PROBED_DEADLINE_EXCEEDED,
                        "no heartbeat from probed at %s within %u ms; all events are for root, the daemon's own user "
                        "and its administrators; others have events.UID.sock beside it",
                        subscriber->link.url, timeout_ms);
}

struct probed_status probed_subscriber_connect(struct probed_subscriber *subscriber, uint32_t timeout_ms)
{
    uint64_t deadline_ms = outcome_now_ms() + timeout_ms;
    struct probed_status status = link_usable(&subscriber->link);
    bool current;

    if (outcome_is_ok(&status))
        status = link_look(&subscriber->link, deadline_ms);
    if (!outcome_is_ok(&status))
        return status;
    current = subscriber->options.poll ? step_until_current(subscriber, deadline_ms)
                                       : wait_until_current(subscriber, deadline_ms);
    return current ? outcome_ok() : not_current(subscriber, timeout_ms);
}

/* ---- looking ---- */

const char *probed_subscriber_url(const struct probed_subscriber *subscriber)
{
    return subscriber->link.url;
}

void probed_subscriber_state(struct probed_subscriber *subscriber, struct probed_subscriber_state *state_out)
{
    struct probed_status status = link_usable(&subscriber->link);

    if (!outcome_is_ok(&status)) { /* a fork: the lock may be held for ever */
        memset(state_out, 0, sizeof *state_out);
        snprintf(state_out->reason, sizeof state_out->reason, "%.*s", PROBED_SUBSCRIBER_REASON_SIZE - 1,
                 status.message);
        return;
    }
    pthread_mutex_lock(&subscriber->lock);
    look_held(subscriber, state_out);
    pthread_mutex_unlock(&subscriber->lock);
}

const char *subscriber_canonical(const struct probed_subscriber *subscriber, const char *home)
{
    struct wanted key = {.given = (char *)(uintptr_t)home};
    const struct wanted *wanted =
        subscriber->wanted_count == 0
            ? NULL
            : bsearch(&key, subscriber->wanted, subscriber->wanted_count, sizeof subscriber->wanted[0], compare_wanted);

    return wanted != NULL ? wanted->canonical : home;
}

bool probed_subscriber_fence(struct probed_subscriber *subscriber, const char *home, struct probed_fence *fence_out)
{
    const char *canonical = subscriber_canonical(subscriber, home);
    struct probed_status status = link_usable(&subscriber->link);
    struct probed_fence fence;

    if (!outcome_is_ok(&status))
        return false;
    pthread_mutex_lock(&subscriber->lock);
    fence.epoch = subscriber->chronicle.epoch;
    fence.generation = chronicle_generation(&subscriber->chronicle, canonical);
    pthread_mutex_unlock(&subscriber->lock);
    if (fence.generation == 0)
        return false;
    *fence_out = fence;
    return true;
}

/* ---- closing ---- */

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
    eventfd_write(subscriber->wake_fd, 1);
    if (!subscriber->options.poll)
        pthread_join(subscriber->listener, NULL);
    inquiry_abandon(subscriber->inquiry);
    close_channel(subscriber);
    link_close(&subscriber->link);
    link_fini(&subscriber->link);
    free_subscriber(subscriber);
}
