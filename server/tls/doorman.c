/* The doorman, see doorman.h. */
#include "server/tls/doorman.h"

#include "proto/nng_shim.h"
#include "server/base/clock.h"
#include "server/base/list.h"
#include "server/base/log.h"
#include "server/threads/lock.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define VISIT_NS_MAX (10 * NS_PER_S)

enum {
    ROUND_MS = 500,   /* between two rounds */
    BATCH_COUNT = 64, /* shown out at once, the lock released */

    /* A peer whose machine vanished is noticed after about two minutes; the kernel's own would be two hours. */
    SILENCE_S_MAX = 60,
    PROBE_S = 15,
    PROBE_COUNT = 4,
};

/* Both ends of a connection, which tell it from any other. */
struct ends {
    struct sockaddr_in6 here, there; /* an IPv4 address in its IPv6 form */
};

struct visitor {
    struct list_node node;
    int fd; /* owned: a duplicate */
    uint64_t since_ns;
    struct ends ends;
};

static struct doorman {
    /* Fixed while it stands there. */
    nng_aio *rounds; /* owned */
    uint64_t visit_ns_max;

    /* Guarded by lock. */
    struct lock lock;
    struct list waiting; /* who came first is first */
    struct list unused;
    uint64_t shown_out_count, said_count;
    struct visitor visitors[VISITOR_COUNT_MAX];
} doorman;

/* ---- who it is ---- */

static void take_v4(struct sockaddr_in6 *out, const void *address, in_port_t port)
{
    *out = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = port};
    out->sin6_addr.s6_addr[10] = out->sin6_addr.s6_addr[11] = 0xff;
    memcpy(out->sin6_addr.s6_addr + 12, address, 4);
}

static void take_v6(struct sockaddr_in6 *out, const void *address, in_port_t port)
{
    *out = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = port};
    memcpy(out->sin6_addr.s6_addr, address, sizeof out->sin6_addr.s6_addr);
}

static bool take_system(struct sockaddr_in6 *out, const struct sockaddr_storage *address)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;

    if (address->ss_family == AF_INET)
        take_v4(out, &v4->sin_addr, v4->sin_port);
    else if (address->ss_family == AF_INET6)
        take_v6(out, &v6->sin6_addr, v6->sin6_port);
    else
        return false;
    return true;
}

static bool take_nng(struct sockaddr_in6 *out, const nng_sockaddr *address)
{
    if (address->s_family == NNG_AF_INET)
        take_v4(out, &address->s_in.sa_addr, address->s_in.sa_port);
    else if (address->s_family == NNG_AF_INET6)
        take_v6(out, address->s_in6.sa_addr, address->s_in6.sa_port);
    else
        return false;
    return true;
}

/* False: no TCP connection, or one that has gone already. */
static bool ends_of_socket(int fd, struct ends *ends_out)
{
    struct sockaddr_storage here, there;
    socklen_t here_size = sizeof here, there_size = sizeof there;

    return getsockname(fd, (struct sockaddr *)&here, &here_size) == 0 && take_system(&ends_out->here, &here) &&
           getpeername(fd, (struct sockaddr *)&there, &there_size) == 0 && take_system(&ends_out->there, &there);
}

static bool ends_of_pipe(nng_pipe pipe, struct ends *ends_out)
{
    nng_sockaddr here, there;

    return nng_pipe_get_addr(pipe, NNG_OPT_LOCADDR, &here) == 0 && take_nng(&ends_out->here, &here) &&
           nng_pipe_get_addr(pipe, NNG_OPT_REMADDR, &there) == 0 && take_nng(&ends_out->there, &there);
}

/* ---- coming and going ---- */

/* Takes the visitor off; the descriptor is the caller's. */
static int forget_held(struct visitor *visitor) REQUIRES(doorman.lock)
{
    list_remove(&visitor->node);
    list_push_front(&doorman.unused, &visitor->node);
    return visitor->fd;
}

/* nng notices, and lets go of its own descriptor. */
static void show_out(int fd)
{
    shutdown(fd, SHUT_RDWR);
    close(fd);
}

static void mind_silence(int fd)
{
    const int on = 1, silence_s = SILENCE_S_MAX, probe_s = PROBE_S, probe_count = PROBE_COUNT;

    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &silence_s, sizeof silence_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &probe_s, sizeof probe_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probe_count, sizeof probe_count);
}

/* Called by nng as it accepts, with a lock of its own held: nothing of nng is called here. */
static void visitor_comes(int fd)
{
    struct visitor *visitor;
    struct list_node *node;
    struct ends ends;
    int duplicate, first_fd = -1;

    if (!ends_of_socket(fd, &ends))
        return;
    mind_silence(fd);
    duplicate = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (duplicate < 0)
        return; /* descriptors are short: nng's own ten seconds hold for this one */
    lock_acquire(&doorman.lock);
    if (doorman.unused.count == 0) {
        first_fd = forget_held(LIST_OWNER(doorman.waiting.first, struct visitor, node));
        doorman.shown_out_count++;
    }
    node = list_pop_front(&doorman.unused);
    visitor = LIST_OWNER(node, struct visitor, node);
    visitor->fd = duplicate;
    visitor->since_ns = clock_now_ns();
    visitor->ends = ends;
    list_push_back(&doorman.waiting, node);
    lock_release(&doorman.lock);
    if (first_fd >= 0)
        show_out(first_fd);
}

static bool is_between(const struct ends *one, const struct ends *other)
{
    return one->there.sin6_port == other->there.sin6_port && one->here.sin6_port == other->here.sin6_port &&
           memcmp(&one->there.sin6_addr, &other->there.sin6_addr, sizeof one->there.sin6_addr) == 0 &&
           memcmp(&one->here.sin6_addr, &other->here.sin6_addr, sizeof one->here.sin6_addr) == 0;
}

void doorman_lets_in(nng_pipe pipe)
{
    struct ends ends;
    int fd = -1;

    if (doorman.rounds == NULL || !ends_of_pipe(pipe, &ends))
        return;
    lock_acquire(&doorman.lock);
    for (struct list_node *node = doorman.waiting.last; node != NULL && fd < 0; node = node->previous) {
        struct visitor *visitor = LIST_OWNER(node, struct visitor, node);

        if (is_between(&visitor->ends, &ends)) {
            fd = forget_held(visitor);
            break;
        }
    }
    lock_release(&doorman.lock);
    if (fd >= 0)
        close(fd);
}

/* ---- rounds ---- */

/* Those that came before `until_ns`, some at a time; how many. */
static size_t take_overdue(uint64_t until_ns, int fds[BATCH_COUNT])
{
    size_t count = 0;

    lock_acquire(&doorman.lock);
    while (count < BATCH_COUNT && doorman.waiting.first != NULL) {
        struct visitor *visitor = LIST_OWNER(doorman.waiting.first, struct visitor, node);

        if (visitor->since_ns > until_ns)
            break;
        fds[count++] = forget_held(visitor);
    }
    doorman.shown_out_count += count;
    lock_release(&doorman.lock);
    return count;
}

/* One line a round, however many. */
static void say_shown_out(void)
{
    uint64_t count, waiting_count;

    lock_acquire(&doorman.lock);
    count = doorman.shown_out_count - doorman.said_count;
    doorman.said_count = doorman.shown_out_count;
    waiting_count = doorman.waiting.count;
    lock_release(&doorman.lock);
    if (count > 0)
        log_write(LOG_INFO, "connections closed: no handshake in time",
                  LOG_FIELDS(log_number("count", (int64_t)count), log_number("waiting", (int64_t)waiting_count)));
}

static void go_round(void *context)
{
    uint64_t now_ns = clock_now_ns();
    int fds[BATCH_COUNT];
    size_t count;

    (void)context;
    if (nng_aio_result(doorman.rounds) != 0) /* stopped */
        return;
    do {
        count = now_ns < doorman.visit_ns_max ? 0 : take_overdue(now_ns - doorman.visit_ns_max, fds);
        for (size_t i = 0; i < count; i++)
            show_out(fds[i]);
    } while (count == BATCH_COUNT);
    say_shown_out();
    nng_sleep_aio(ROUND_MS, doorman.rounds);
}

/* ---- life ---- */

/* Two descriptors each: at most a quarter of all. */
static size_t choose_count(size_t given)
{
    struct rlimit descriptors;
    size_t count = given != 0 && given < VISITOR_COUNT_MAX ? given : VISITOR_COUNT_MAX;

    if (getrlimit(RLIMIT_NOFILE, &descriptors) == 0 && count > descriptors.rlim_cur / 8)
        count = (size_t)descriptors.rlim_cur / 8 + 1;
    return count;
}

struct status doorman_start(const struct doorman_settings *settings)
{
    size_t count = choose_count(settings->visitor_count_max);
    nng_aio *rounds;

    if (nng_aio_alloc(&rounds, go_round, NULL) != 0)
        return status_make(STATUS_RESOURCE_EXHAUSTED, "no memory for a timer");
    memset(&doorman, 0, sizeof doorman);
    doorman.rounds = rounds;
    doorman.visit_ns_max = settings->visit_ns_max != 0 ? settings->visit_ns_max : VISIT_NS_MAX;
    lock_init(&doorman.lock, "doorman");
    for (size_t i = 0; i < count; i++)
        list_push_back(&doorman.unused, &doorman.visitors[i].node);
    nng_shim_watch_accept(visitor_comes);
    nng_sleep_aio(ROUND_MS, doorman.rounds);
    return status_ok();
}

void doorman_stop(void)
{
    if (doorman.rounds == NULL)
        return;
    nng_shim_watch_accept(NULL);
    nng_aio_stop(doorman.rounds);
    while (doorman.waiting.first != NULL)
        close(forget_held(LIST_OWNER(doorman.waiting.first, struct visitor, node)));
    nng_aio_free(doorman.rounds);
    doorman.rounds = NULL;
    lock_fini(&doorman.lock);
}

void doorman_look(struct doorman_counts *counts_out)
{
    lock_acquire(&doorman.lock);
    *counts_out = (struct doorman_counts){.visitors = doorman.waiting.count, .shown_out = doorman.shown_out_count};
    lock_release(&doorman.lock);
}
