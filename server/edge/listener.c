/* The socket, its listeners, and the exchanges.
 *
 * One REP socket has all listeners, so that one set of exchanges serves whoever comes.  Three things are not optional
 * with nng: a bound on what is received (without one, a frame that claims 2^64 bytes ends the process), one hop, and
 * hanging up on those who do not read. */
#include "server/base/clock.h"
#include "server/base/invariant.h"
#include "server/base/log.h"
#include "server/base/socket_url.h"
#include "server/base/tls_url.h"
#include "server/edge/inside.h"

#include <nng/protocol/reqrep0/rep.h>
#include <stdlib.h>
#include <string.h>

/* How long clients have for reading the last reply before their pipe is closed.  To nng a reply is sent when its pipe
 * has it; what is larger than the system's buffer is written as the client reads, and lost when the pipe is closed
 * before. */
#define FAREWELL_NS (200 * NS_PER_MS)

/* How long a reply may wait for its client to read, and how often that is looked at. */
#define SEND_NS_MAX (2 * NS_PER_S)
enum { SWEEP_MS = 500, SWEEP_COUNT_MAX = 64 };

#define TO(state) (1u << (state))

static const unsigned exchange_may_become[EXCHANGE_STATE_COUNT] = {
    [EXCHANGE_SPARE] = TO(EXCHANGE_RECEIVING),
    [EXCHANGE_RECEIVING] = TO(EXCHANGE_SERVING) | TO(EXCHANGE_SPARE),
    [EXCHANGE_SERVING] = TO(EXCHANGE_SENDING),
    [EXCHANGE_SENDING] = TO(EXCHANGE_SPARE),
};

void exchange_move_held(struct edge *edge, struct exchange *exchange, enum exchange_state next)
{
    lock_assert_held(&edge->lock);
    INVARIANT(exchange_may_become[exchange->state] & TO(next));
    list_remove(&exchange->node);
    list_push_front(&edge->in_state[next], &exchange->node); /* the last that became spare is the first to receive */
    exchange->state = next;
}

size_t exchanges_in_progress_held(const struct edge *edge)
{
    return edge->in_state[EXCHANGE_SERVING].count + edge->in_state[EXCHANGE_SENDING].count;
}

struct exchange *listener_pick_held(struct edge *edge)
{
    struct list_node *node = edge->in_state[EXCHANGE_SPARE].first;
    struct exchange *exchange;

    lock_assert_held(&edge->lock);
    if (node == NULL || edge->stopping || edge->in_state[EXCHANGE_RECEIVING].count >= RECEIVING_COUNT)
        return NULL;
    exchange = LIST_OWNER(node, struct exchange, node);
    exchange_move_held(edge, exchange, EXCHANGE_RECEIVING);
    return exchange;
}

/* Receiving on a context that owes a reply drops that debt: what is done for a request whose client has gone.  Once
 * stopped, an aio refuses without a callback, and the exchange stays as it is until the end. */
void exchange_receive(struct exchange *exchange)
{
    nng_ctx_recv(exchange->context, exchange->receive);
}

static void exchange_destroy(struct exchange *exchange)
{
    nng_aio_free(exchange->send);
    nng_aio_free(exchange->receive);
    free(exchange);
}

/* NULL when memory is short.  The context is the socket's and goes with it. */
static struct exchange *exchange_create(struct edge *edge)
{
    struct exchange *exchange = calloc(1, sizeof *exchange);

    if (exchange == NULL)
        return NULL;
    exchange->edge = edge;
    if (nng_aio_alloc(&exchange->receive, exchange_received, exchange) != 0 ||
        nng_aio_alloc(&exchange->send, exchange_sent, exchange) != 0 ||
        nng_ctx_open(&exchange->context, edge->socket) != 0) {
        exchange_destroy(exchange);
        return NULL;
    }
    nng_aio_set_timeout(exchange->receive, NNG_DURATION_INFINITE);
    nng_aio_set_timeout(exchange->send, NNG_DURATION_INFINITE); /* see sweep */
    return exchange;
}

/* ---- growing ---- */

/* Reserves the right to open one more. */
static bool may_open(struct edge *edge)
{
    bool may;

    lock_acquire(&edge->lock);
    may = !edge->stopping && edge->in_state[EXCHANGE_RECEIVING].count + edge->opening_count < RECEIVING_COUNT &&
          edge->exchange_count < edge->limits.calls_max + REFUSING_COUNT;
    if (may) {
        edge->exchange_count++;
        edge->opening_count++;
    }
    lock_release(&edge->lock);
    return may;
}

/* False when memory is short. */
static bool open_one(struct edge *edge)
{
    struct exchange *exchange = exchange_create(edge), *next = NULL;

    lock_acquire(&edge->lock);
    edge->opening_count--;
    if (exchange == NULL) {
        edge->exchange_count--;
    } else {
        exchange->next = edge->exchanges;
        edge->exchanges = exchange;
        list_push_front(&edge->in_state[EXCHANGE_SPARE], &exchange->node);
        next = listener_pick_held(edge);
    }
    if (edge->stopping)
        condition_broadcast(&edge->rest);
    lock_release(&edge->lock);
    if (next != NULL)
        exchange_receive(next);
    return exchange != NULL;
}

void listener_grow(struct edge *edge)
{
    if (may_open(edge) && !open_one(edge))
        log_write(LOG_WARN, "no memory for another exchange", LOG_NO_FIELDS);
}

static struct status open_first(struct edge *edge)
{
    while (may_open(edge)) {
        if (!open_one(edge))
            return status_make(STATUS_RESOURCE_EXHAUSTED, "no memory for %d exchanges", RECEIVING_COUNT);
    }
    return status_ok();
}

/* ---- clients that do not read ---- */

/* The pipes of replies that have waited for too long, each once; how many. */
static size_t find_overdue_held(const struct edge *edge, uint64_t now_ns, nng_pipe pipes[SWEEP_COUNT_MAX])
    REQUIRES(edge->lock)
{
    size_t count = 0;

    for (const struct list_node *node = edge->in_state[EXCHANGE_SENDING].last; node != NULL; node = node->previous) {
        const struct exchange *exchange = LIST_OWNER(node, struct exchange, node);
        size_t i = 0;

        if (now_ns < exchange->replied_ns + SEND_NS_MAX) /* the last is the oldest */
            break;
        while (i < count && pipes[i].id != exchange->pipe.id)
            i++;
        if (i == SWEEP_COUNT_MAX)
            break;
        pipes[i] = exchange->pipe;
        count = i == count ? count + 1 : count;
    }
    return count;
}

/* A client that does not read keeps an exchange for each of its replies, and in the end everybody's: it is hung up on,
 * which ends its sends.  nng's own timeout of a send would do the same, but its expiry thread takes a hundred sends at
 * a time and looks at each when it comes to it: one that the hang-up has ended meanwhile, and that serves another
 * client by then, would be cancelled in its place. */
static void sweep(void *context)
{
    struct edge *edge = context;
    nng_pipe pipes[SWEEP_COUNT_MAX];
    size_t count;

    if (nng_aio_result(edge->sweep) != 0) /* stopped */
        return;
    lock_acquire(&edge->lock);
    count = find_overdue_held(edge, clock_now_ns(), pipes);
    lock_release(&edge->lock);
    for (size_t i = 0; i < count; i++) {
        log_write(LOG_INFO, "connection closed: its client does not read its replies",
                  LOG_FIELDS(log_number("pipe", pipes[i].id)));
        nng_pipe_close(pipes[i]);
    }
    nng_sleep_aio(SWEEP_MS, edge->sweep);
}

static struct status start_sweeping(struct edge *edge)
{
    if (nng_aio_alloc(&edge->sweep, sweep, edge) != 0)
        return status_make(STATUS_RESOURCE_EXHAUSTED, "no memory for a timer");
    nng_sleep_aio(SWEEP_MS, edge->sweep);
    return status_ok();
}

/* ---- life ---- */

static struct status listen_at(struct edge *edge, const char *url)
{
    size_t frame_size_max = edge->settings.request_size_max + LIMIT_FRAME_HEADER_SIZE;
    bool ipc = strncmp(url, "ipc:", 4) == 0;
    nng_listener listener;
    int error;

    if (edge->settings.tls != NULL && tls_url_is(url))
        return tls_listen(edge->settings.tls, edge->socket, url, frame_size_max);
    error = nng_listener_create(&listener, edge->socket, url);
    if (error == 0)
        error = nng_listener_set_size(listener, NNG_OPT_RECVMAXSZ, frame_size_max);
    if (error == 0 && ipc)
        error = nng_listener_set_int(listener, NNG_OPT_IPC_PERMISSIONS, edge->settings.ipc_mode);
    if (error == 0)
        error = nng_listener_start(listener, 0);
    if (error != 0)
        return status_make(STATUS_UNAVAILABLE, "cannot listen at %s: %s", url, nng_strerror(error));
    return status_ok();
}

struct status listener_open(struct edge *edge, const char *const *urls, size_t url_count)
{
    struct status status = status_ok();
    int error;

    for (size_t i = 0; i < url_count && status_is_ok(&status); i++)
        status = socket_url_check(urls[i]);
    if (!status_is_ok(&status))
        return status;
    error = nng_rep0_open(&edge->socket);
    if (error != 0)
        return status_make(STATUS_UNAVAILABLE, "cannot open a socket: %s", nng_strerror(error));
    error = nng_socket_set_int(edge->socket, NNG_OPT_MAXTTL, 1);
    INVARIANT(error == 0);
    peers_watch(edge);
    status = start_sweeping(edge);
    if (status_is_ok(&status))
        status = open_first(edge);
    for (size_t i = 0; i < url_count && status_is_ok(&status); i++)
        status = listen_at(edge, urls[i]);
    return status;
}

void listener_drain_held(struct edge *edge)
{
    lock_assert_held(&edge->lock);
    if (edge->draining)
        return;
    edge->draining = true;
    edge->last_sent_ns = clock_now_ns(); /* there may have been one just now */
}

/* When it returns, no request is being taken any more. */
static void stop_receiving(struct edge *edge)
{
    struct exchange *first;

    lock_acquire(&edge->lock);
    listener_drain_held(edge);
    edge->stopping = true;
    while (edge->opening_count > 0)
        condition_wait(&edge->rest, &edge->lock, UINT64_MAX);
    first = edge->exchanges; /* complete now */
    lock_release(&edge->lock);
    for (struct exchange *exchange = first; exchange != NULL; exchange = exchange->next)
        nng_aio_stop(exchange->receive);
}

/* The sweep ends what is not sent in time, so only a call that nobody replies to can break the invariant. */
static void wait_until_sent(struct edge *edge)
{
    uint64_t due_ns = clock_now_ns() + 2 * SEND_NS_MAX;

    lock_acquire(&edge->lock);
    while (exchanges_in_progress_held(edge) > 0)
        INVARIANT(condition_wait(&edge->rest, &edge->lock, due_ns) || exchanges_in_progress_held(edge) == 0);
    lock_release(&edge->lock);
    for (struct exchange *exchange = edge->exchanges; exchange != NULL; exchange = exchange->next)
        nng_aio_stop(exchange->send); /* its callback has returned, too */
    nng_aio_stop(edge->sweep);
}

/* Until all have gone or had the time. */
static void say_farewell(struct edge *edge)
{
    lock_acquire(&edge->lock);
    while (edge->peers != NULL && condition_wait(&edge->rest, &edge->lock, edge->last_sent_ns + FAREWELL_NS))
        continue;
    lock_release(&edge->lock);
}

void listener_close(struct edge *edge)
{
    lock_assert_none();
    if (nng_socket_id(edge->socket) <= 0)
        return;
    stop_receiving(edge);
    wait_until_sent(edge);
    say_farewell(edge);
    nng_close(edge->socket);
    edge->socket = (nng_socket)NNG_SOCKET_INITIALIZER;
}

void listener_free(struct edge *edge)
{
    nng_aio_free(edge->sweep);
    while (edge->exchanges != NULL) {
        struct exchange *exchange = edge->exchanges;

        edge->exchanges = exchange->next;
        exchange_destroy(exchange);
    }
}
