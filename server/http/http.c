/* The thread: connections come, wait, are answered, and go. */
#include "server/http/http.h"

#include "server/base/clock.h"
#include "server/base/invariant.h"
#include "server/base/log.h"
#include "server/http/answer.h"
#include "server/http/listener.h"
#include "server/http/views.h"
#include "server/threads/thread.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    REQUEST_SIZE_MAX = 16 << 10, /* of a request's head, with what MHD needs to answer it */
    ACCEPTS_PER_ROUND = 8,       /* then whoever is connected has a turn */
    WAKE_FD_COUNT = 2,           /* polled beside the listeners: the wake, MHD's epoll */
};

/*  FREE --accepted--> WAITING --answered--> WAITING (again, last in line);  WAITING --late, or in the way--> ENDING;
 *  either of the two --closed--> FREE */
struct connection {
    struct list_node node; /* of http->spare, or of its listener's waiting or ending */
    struct http_listener *listener;
    int fd;
    uint64_t since_ns; /* its arrival, or its last answer */
};

struct http {
    /* Fixed at create. */
    const struct homes *homes; /* lent */
    uint64_t wait_ns_max;
    struct MHD_Daemon *mhd;
    int mhd_fd; /* MHD's own: its epoll */
    int wake_fd;
    pthread_t thread;
    atomic_bool stopping;

    /* The thread's own. */
    struct answerer answerer;
    struct http_listener *accepting; /* while MHD is given a connection: whose it is */
    struct list spare;
    struct connection *connections; /* owned: as many as all listeners may have */
    size_t listener_count;
    struct http_listener listeners[HTTP_ADDRESS_COUNT_MAX];
};

/* ---- connections ---- */

/* MHD sees an end of file and closes it; until then it counts. */
static void shut_down(struct connection *connection)
{
    list_move(&connection->listener->ending, &connection->node);
    shutdown(connection->fd, SHUT_RDWR);
}

static void connection_begins(struct http *http, struct MHD_Connection *mhd_connection, void **connection_at)
{
    struct list_node *node = list_pop_front(&http->spare);
    struct connection *connection = LIST_OWNER(node, struct connection, node);

    INVARIANT(node != NULL); /* there are as many as all listeners let in */
    connection->listener = http->accepting;
    connection->fd = MHD_get_connection_info(mhd_connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    connection->since_ns = clock_now_ns();
    list_push_back(&http->accepting->waiting, &connection->node);
    *connection_at = connection;
}

static void connection_notify(void *context, struct MHD_Connection *mhd_connection, void **connection_at,
                              enum MHD_ConnectionNotificationCode code)
{
    struct http *http = context;
    struct connection *connection = *connection_at;

    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        connection_begins(http, mhd_connection, connection_at);
    else
        list_move(&http->spare, &connection->node);
}

static struct connection *connection_of(struct MHD_Connection *mhd_connection)
{
    return MHD_get_connection_info(mhd_connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static enum MHD_Result request_arrived(void *context, struct MHD_Connection *mhd_connection, const char *path,
                                       const char *method, const char *version, const char *upload, size_t *upload_size,
                                       void **seen)
{
    struct http *http = context;

    (void)version;
    (void)upload;
    *upload_size = 0; /* there is none: what announces a body is refused */
    return answerer_request(&http->answerer, mhd_connection, connection_of(mhd_connection)->listener->names_homes, path,
                            method, seen);
}

/* A path is compared as it stands: none of ours has anything to unescape, and "/%00" is not "/". */
static size_t leave_escaped(void *context, struct MHD_Connection *mhd_connection, char *text)
{
    (void)context;
    (void)mhd_connection;
    return strlen(text);
}

/* Answered: it may wait as long again. */
static void request_over(void *context, struct MHD_Connection *mhd_connection, void **seen,
                         enum MHD_RequestTerminationCode code)
{
    struct connection *connection = connection_of(mhd_connection);

    (void)context;
    (void)seen;
    if (code != MHD_REQUEST_TERMINATED_COMPLETED_OK || connection->node.list != &connection->listener->waiting)
        return;
    connection->since_ns = clock_now_ns();
    list_move(&connection->listener->waiting, &connection->node);
}

/* ---- listeners ---- */

/* Unix peers that are no administrators are closed before they have said a word. */
static bool admits(const struct http *http, const struct http_listener *listener, uint32_t uid)
{
    return !http_listener_is_unix(listener) || (uid != UINT32_MAX && homes_uid_is_admin(http->homes, uid));
}

/* Whoever waits longest makes room; the newcomer comes in once that is gone. */
static bool has_room(struct http_listener *listener)
{
    if (listener->waiting.count + listener->ending.count < HTTP_CONNECTION_COUNT_MAX)
        return true;
    if (listener->ending.count == 0)
        shut_down(LIST_OWNER(listener->waiting.first, struct connection, node));
    return false;
}

static void let_in(struct http *http, struct http_listener *listener, int fd)
{
    http->accepting = listener;
    if (MHD_add_connection(http->mhd, fd, &listener->at.address.any, listener->at.size) != MHD_YES)
        log_write(LOG_WARN, "connection to the page lost", LOG_FIELDS(log_text("cause", strerror(errno))));
    http->accepting = NULL;
}

static void accept_some(struct http *http, struct http_listener *listener)
{
    for (size_t i = 0; i < ACCEPTS_PER_ROUND && has_room(listener); i++) {
        uint32_t uid;
        int fd = http_listener_accept(listener, &uid);

        if (fd < 0)
            return;
        if (admits(http, listener, uid)) {
            let_in(http, listener, fd);
        } else {
            close(fd);
            log_write(LOG_DEBUG, "connection to the page closed on arrival", LOG_FIELDS(log_number("uid", uid)));
        }
    }
}

/* ---- the thread ---- */

/* Ends who took too long; when the next one would, UINT64_MAX: nobody waits. */
static uint64_t end_late(struct http *http, uint64_t now_ns)
{
    uint64_t next_ns = UINT64_MAX;

    for (size_t i = 0; i < http->listener_count; i++) {
        struct list *waiting = &http->listeners[i].waiting;

        while (waiting->count > 0) {
            struct connection *first = LIST_OWNER(waiting->first, struct connection, node);
            uint64_t due_ns = first->since_ns + http->wait_ns_max;

            if (due_ns > now_ns) {
                next_ns = due_ns < next_ns ? due_ns : next_ns;
                break;
            }
            shut_down(first);
        }
    }
    return next_ns;
}

/* For poll: until `due_ns`, or as soon as MHD wants a turn. */
static int timeout_ms(const struct http *http, uint64_t due_ns, uint64_t now_ns)
{
    MHD_UNSIGNED_LONG_LONG mhd_ms;
    uint64_t ms = due_ns == UINT64_MAX ? UINT64_MAX : due_ns > now_ns ? (due_ns - now_ns) / NS_PER_MS + 1 : 0;

    if (MHD_get_timeout(http->mhd, &mhd_ms) == MHD_YES && mhd_ms < ms)
        ms = mhd_ms;
    return ms > INT32_MAX ? -1 : (int)ms;
}

static void run_http(void *context)
{
    struct http *http = context;
    struct pollfd polled[WAKE_FD_COUNT + HTTP_ADDRESS_COUNT_MAX] = {{.fd = http->wake_fd, .events = POLLIN},
                                                                    {.fd = http->mhd_fd, .events = POLLIN}};

    for (size_t i = 0; i < http->listener_count; i++)
        polled[WAKE_FD_COUNT + i] = (struct pollfd){.fd = http->listeners[i].fd, .events = POLLIN};
    while (!atomic_load(&http->stopping)) {
        uint64_t now_ns = clock_now_ns();

        if (poll(polled, WAKE_FD_COUNT + http->listener_count, timeout_ms(http, end_late(http, now_ns), now_ns)) < 0)
            INVARIANT(errno == EINTR || errno == ENOMEM);
        for (size_t i = 0; i < http->listener_count; i++) {
            if (polled[WAKE_FD_COUNT + i].revents != 0)
                accept_some(http, &http->listeners[i]);
        }
        MHD_run(http->mhd);
    }
}

/* ---- life ---- */

static struct status open_listeners(struct http *http, const struct http_settings *settings)
{
    struct status status = status_ok();

    if (settings->address_count > HTTP_ADDRESS_COUNT_MAX)
        return status_make(STATUS_INVALID_ARGUMENT, "server.http names %zu addresses, at most %d are possible",
                           settings->address_count, HTTP_ADDRESS_COUNT_MAX);
    while (http->listener_count < settings->address_count && status_is_ok(&status)) {
        struct http_listener *listener = &http->listeners[http->listener_count];

        status = http_listener_open(listener, settings->addresses[http->listener_count], settings->socket_mode);
        if (!status_is_ok(&status))
            break;
        listener->names_homes = http_listener_is_unix(listener) || settings->tcp_trust;
        http->listener_count++;
    }
    return status;
}

static void close_listeners(struct http *http)
{
    for (size_t i = 0; i < http->listener_count; i++)
        http_listener_close(&http->listeners[i]);
}

static struct status start_mhd(struct http *http)
{
    http->mhd =
        MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL, request_arrived, http,
                         MHD_OPTION_CONNECTION_LIMIT, (unsigned)(http->listener_count * HTTP_CONNECTION_COUNT_MAX),
                         MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)REQUEST_SIZE_MAX, MHD_OPTION_STRICT_FOR_CLIENT, 1,
                         MHD_OPTION_NOTIFY_CONNECTION, connection_notify, http, MHD_OPTION_NOTIFY_COMPLETED,
                         request_over, http, MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL, MHD_OPTION_END);
    if (http->mhd == NULL)
        return status_make(STATUS_UNAVAILABLE, "server.http: libmicrohttpd does not start: %s", strerror(errno));
    http->mhd_fd = MHD_get_daemon_info(http->mhd, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    return status_ok();
}

static struct status allocate(struct http *http, const struct http_settings *settings, struct service *service,
                              struct shell *shell)
{
    size_t count = settings->address_count * HTTP_CONNECTION_COUNT_MAX;

    answerer_init(&http->answerer, service, shell);
    http->connections = calloc(count, sizeof http->connections[0]);
    http->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (http->answerer.figures == NULL || http->connections == NULL || http->wake_fd < 0)
        return status_make(STATUS_RESOURCE_EXHAUSTED, "no memory or descriptor for server.http");
    for (size_t i = 0; i < count; i++)
        list_push_back(&http->spare, &http->connections[i].node);
    return status_ok();
}

/* Whatever there is of it. */
static void dismantle(struct http *http)
{
    if (http->mhd != NULL)
        MHD_stop_daemon(http->mhd); /* closes the connections */
    close_listeners(http);
    if (http->wake_fd >= 0)
        close(http->wake_fd);
    answerer_fini(&http->answerer);
    free(http->connections);
    free(http);
}

struct status http_create(const struct http_settings *settings, struct service *service, struct shell *shell,
                          const struct homes *homes, struct http **http_out)
{
    struct http *http = calloc(1, sizeof *http);
    struct status status;

    if (http == NULL)
        return status_make(STATUS_RESOURCE_EXHAUSTED, "no memory for server.http");
    page_setup();
    http->homes = homes;
    http->wake_fd = -1;
    http->wait_ns_max = settings->wait_ns_max;
    status = open_listeners(http, settings);
    if (status_is_ok(&status))
        status = allocate(http, settings, service, shell);
    if (status_is_ok(&status))
        status = start_mhd(http);
    if (status_is_ok(&status))
        status = thread_start(&http->thread, "http", 0, run_http, http);
    if (status_is_ok(&status))
        *http_out = http;
    else
        dismantle(http);
    return status;
}

void http_destroy(struct http *http)
{
    if (http == NULL)
        return;
    atomic_store(&http->stopping, true);
    eventfd_write(http->wake_fd, 1);
    thread_join(http->thread);
    dismantle(http);
}
