/* A PUB socket, its listeners, and whom they let in. */
#include "server/news/outlet.h"

#include "server/base/log.h"
#include "server/base/secret.h"
#include "server/tls/doorman.h"

#include <inttypes.h>
#include <nng/protocol/pubsub0/pub.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    /* Messages a slow subscriber may be behind before it loses the oldest.  They are shared between all who are slow,
     * so that an outlet holds at most this many times BEAT_SIZE_MAX (news.c) for them: 32 MiB, and 8 KiB a subscriber
     * for the queue itself. */
    SEND_QUEUE_COUNT = 1024,
    RECEIVE_SIZE_MAX = 64 << 10 /* a subscriber sends nothing; what it sends all the same is bounded */
};

/* ---- who may listen ---- */

static bool admits(const struct outlet *outlet, nng_pipe pipe)
{
    uint64_t uid;
    int error = nng_pipe_get_uint64(pipe, NNG_OPT_IPC_PEER_UID, &uid);

    if (error != 0)
        return error == NNG_ENOTSUP && outlet->tcp_trust; /* a tcp peer has no uid */
    return (!outlet->audience.everything && uid == outlet->audience.uid) ||
           outlet->admits(outlet->context, (uint32_t)uid);
}

bool outlet_role_hears_all(const struct news_settings *settings, const struct tls_role *role, void *context)
{
    return role->scope.count == 0 && settings->admits(context, role->uid);
}

static void pipe_comes(nng_pipe pipe, nng_pipe_ev event, void *context)
{
    struct outlet *outlet = context;
    bool of_role = tls_role_of_pipe(outlet->tls, pipe) != NULL; /* where only such come in as may hear this */

    (void)event;
    doorman_lets_in(pipe);
    atomic_fetch_add(outlet->subscriber_count, 1); /* here, since REM_POST comes for refused pipes, too */
    if (of_role && atomic_fetch_add(&outlet->role_pipe_count, 1) >= atomic_load(&outlet->connections_per_role))
        nng_pipe_close(pipe);
    if (!of_role && !admits(outlet, pipe))
        nng_pipe_close(pipe);
}

static void pipe_goes(nng_pipe pipe, nng_pipe_ev event, void *context)
{
    struct outlet *outlet = context;

    (void)event;
    atomic_fetch_sub(outlet->subscriber_count, 1);
    if (tls_role_of_pipe(outlet->tls, pipe) != NULL)
        atomic_fetch_sub(&outlet->role_pipe_count, 1);
}

/* ---- listening ---- */

/* Where the last component of an ipc URL begins; 0: it is no ipc URL. */
static size_t file_index(const char *url)
{
    const char *slash = strrchr(url, '/');

    return strncmp(url, "ipc:", 4) == 0 && slash != NULL ? (size_t)(slash - url) + 1 : 0;
}

bool news_url_of_uid(const char *const *urls, size_t index, uint32_t uid, char out[NEWS_URL_SIZE])
{
    size_t folder_size = file_index(urls[index]);

    if (folder_size == 0)
        return false;
    for (size_t i = 0; i < index; i++) {
        if (file_index(urls[i]) == folder_size && strncmp(urls[i], urls[index], folder_size) == 0)
            return false;
    }
    return snprintf(out, NEWS_URL_SIZE, "%.*sevents.%" PRIu32 ".sock", (int)folder_size, urls[index], uid) <
           NEWS_URL_SIZE;
}

static struct status listen_on(struct outlet *outlet, const char *url, int ipc_mode)
{
    nng_listener listener;
    int error = nng_listener_create(&listener, outlet->socket, url);

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

/* At a role's URL, if this is what the role hears. */
static struct status listen_for_role(struct outlet *outlet, const struct news_settings *settings, const char *url,
                                     const struct tls_role *role)
{
    bool here = outlet->audience.everything ? outlet_role_hears_all(settings, role, outlet->context)
                                            : outlet->audience.role == role;

    return here ? tls_listen(settings->tls, outlet->socket, url, RECEIVE_SIZE_MAX) : status_ok();
}

static struct status listen_on_all(struct outlet *outlet, const struct news_settings *settings)
{
    struct status status = status_ok();
    char url[NEWS_URL_SIZE];

    for (size_t i = 0; status_is_ok(&status) && i < settings->url_count; i++) {
        const struct tls_role *role = tls_role_of_url(settings->tls, settings->urls[i]);

        if (role != NULL)
            status = listen_for_role(outlet, settings, settings->urls[i], role);
        else if (outlet->audience.everything)
            status = listen_on(outlet, settings->urls[i], settings->ipc_mode);
        else if (outlet->audience.role == NULL && news_url_of_uid(settings->urls, i, outlet->audience.uid, url))
            status = listen_on(outlet, url, settings->ipc_mode);
    }
    return status;
}

struct status outlet_open(struct outlet *outlet, const struct news_settings *settings,
                          const struct outlet_audience *audience, void *context, atomic_uint_fast64_t *subscriber_count)
{
    struct map_seed seed;
    struct status status = status_ok();
    int error;

    *outlet = (struct outlet){.audience = *audience,
                              .tcp_trust = settings->tcp_trust,
                              .tls = settings->tls,
                              .connections_per_role = settings->connections_per_role,
                              .admits = settings->admits,
                              .context = context,
                              .subscriber_count = subscriber_count};
    secret_random(&seed, sizeof seed);
    recent_init(&outlet->recent, &seed);
    error = nng_pub0_open(&outlet->socket);
    if (error != 0)
        return status_make(STATUS_UNAVAILABLE, "cannot open an event socket: %s", nng_strerror(error));
    error = nng_socket_set_int(outlet->socket, NNG_OPT_SENDBUF, SEND_QUEUE_COUNT);
    if (error == 0)
        error = nng_pipe_notify(outlet->socket, NNG_PIPE_EV_ADD_PRE, pipe_comes, outlet);
    if (error == 0)
        error = nng_pipe_notify(outlet->socket, NNG_PIPE_EV_REM_POST, pipe_goes, outlet);
    if (error != 0)
        status = status_make(STATUS_UNAVAILABLE, "cannot set up an event socket: %s", nng_strerror(error));
    else
        status = listen_on_all(outlet, settings);
    if (!status_is_ok(&status))
        nng_close(outlet->socket);
    return status;
}

void outlet_close(struct outlet *outlet)
{
    nng_close(outlet->socket);
    recent_clear(&outlet->recent);
    outlet_drop_held(outlet);
}

/* ---- publishing ---- */

static void say_lost(int error)
{
    log_write(LOG_WARN, "event lost", LOG_FIELDS(log_text("cause", nng_strerror(error))));
}

nng_msg *outlet_pack(const char *topic, size_t topic_size, const ProtobufCMessage *message)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    nng_msg *packet;
    int error = nng_msg_alloc(&packet, topic_size + size);
    unsigned char *body;

    if (error != 0) {
        say_lost(error);
        return NULL;
    }
    body = nng_msg_body(packet);
    memcpy(body, topic, topic_size);
    protobuf_c_message_pack(message, body + topic_size);
    return packet;
}

void outlet_publish(struct outlet *outlet, nng_msg *message)
{
    int error;

    if (message == NULL)
        return;
    error = nng_sendmsg(outlet->socket, message, NNG_FLAG_NONBLOCK);
    if (error == 0)
        return;
    nng_msg_free(message);
    say_lost(error);
}

/* ---- events that wait for a verdict ---- */

void outlet_hold(struct outlet *outlet, nng_msg *message, const char *home, uint64_t generation, uint64_t beat)
{
    size_t size = strlen(home) + 1;
    struct held_event *event = NULL;

    if (message != NULL && outlet->held.count < HELD_EVENT_COUNT_MAX)
        event = calloc(1, sizeof *event + size);
    if (event == NULL) {
        nng_msg_free(message);
        recent_note_missing(&outlet->recent, beat);
        return;
    }
    event->message = message;
    event->generation = generation;
    memcpy(event->home, home, size);
    list_push_back(&outlet->held, &event->node);
}

bool outlet_holds(const struct outlet *outlet, const char *home, const struct list_node *end)
{
    for (struct list_node *node = outlet->held.first; node != end; node = node->next) {
        if (strcmp(LIST_OWNER(node, struct held_event, node)->home, home) == 0)
            return true;
    }
    return false;
}

void outlet_let_go(struct outlet *outlet, struct held_event *event, bool publish, uint64_t beat)
{
    list_remove(&event->node);
    if (publish) {
        outlet_publish(outlet, event->message);
        recent_note(&outlet->recent, event->home, event->generation, beat);
    } else {
        nng_msg_free(event->message);
    }
    free(event);
}

void outlet_drop_held(struct outlet *outlet)
{
    LIST_EACH_SAFE (node, &outlet->held) {
        outlet_let_go(outlet, LIST_OWNER(node, struct held_event, node), false, 0);
    }
}
