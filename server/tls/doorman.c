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
    PACED_COUNT_MAX = 256,  /* ports */
    SOURCE_COUNT_MAX = 512, /* addresses that are remembered: the one heard of longest ago is forgotten */
    ROUND_MS = 500,         /* between two rounds */
    BATCH_COUNT = 64,       /* shown out at once, the lock released */

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

/* Where visitors come from: an IPv4 address, or the half of an IPv6 address that a network is given. */
struct source {
    unsigned char address[16];
    uint64_t due_ns; /* when the next visit is due, if they come as fast as they may; past: none is owed */
};

static struct doorman {
    /* Fixed while it stands there. */
    nng_aio *rounds; /* owned */
    uint64_t visit_ns_max;
    uint64_t pace_ns, burst_ns; /* between two visits; how far ahead of that they may be */

    /* Guarded by lock. */
    struct lock lock;
    struct list waiting; /* who came first is first */
    struct list unused;
    uint64_t shown_out_count, turned_away_count, said_count;
    in_port_t paced[PACED_COUNT_MAX]; /* in network order */
    size_t paced_count;
    struct source sources[SOURCE_COUNT_MAX];
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

/* ---- pace ---- */

/* The one of this address, else the one that is owed the least, made its own. */
static struct source *find_source_held(const unsigned char address[16]) REQUIRES(doorman.lock)
{
    struct source *oldest = &doorman.sources[0];

    for (size_t i = 0; i < SOURCE_COUNT_MAX; i++) {
        struct source *source = &doorman.sources[i];

        if (memcmp(source->address, address, sizeof source->address) == 0)
            return source;
        if (source->due_ns < oldest->due_ns)
            oldest = source;
    }
    memcpy(oldest->address, address, sizeof oldest->address);
    oldest->due_ns = 0;
    return oldest;
}

/* Whoever comes from the very address that they come to is on this machine, and may be ourselves: tls_exchange. */
static bool is_paced_held(const struct ends *ends) REQUIRES(doorman.lock)
{
    if (memcmp(&ends->here.sin6_addr, &ends->there.sin6_addr, sizeof ends->here.sin6_addr) == 0)
        return false;
    for (size_t i = 0; i < doorman.paced_count; i++) {
        if (doorman.paced[i] == ends->here.sin6_port)
            return true;
    }
    return false;
}

/* Whether this address comes no faster than it may. */
static bool keeps_pace_held(const struct ends *ends, uint64_t now_ns) REQUIRES(doorman.lock)
{
    unsigned char address[16];
    struct source *source;

    memcpy(address, &ends->there.sin6_addr, sizeof address);
    if (!IN6_IS_ADDR_V4MAPPED(&ends->there.sin6_addr))
        memset(address + 8, 0, 8);
    source = find_source_held(address);
    if (source->due_ns < now_ns)
        source->due_ns = now_ns;
    if (source->due_ns - now_ns > doorman.burst_ns)
        return false;
    source->due_ns += doorman.pace_ns;
    return true;
}

void doorman_paces(uint16_t port)
{
    lock_acquire(&doorman.lock);
    if (doorman.paced_count < PACED_COUNT_MAX)
        doorman.paced[doorman.paced_count++] = htons(port);
    lock_release(&doorman.lock);
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

static void note_visitor_held(int duplicate, const struct ends *ends, uint64_t now_ns) REQUIRES(doorman.lock)
{
    struct list_node *node = list_pop_front(&doorman.unused);
    struct visitor *visitor = LIST_OWNER(node, struct visitor, node);

    visitor->fd = duplicate;
    visitor->since_ns = now_ns;
    visitor->ends = *ends;
    list_push_back(&doorman.waiting, node);
}

/* Called by nng as it accepts, with a lock of its own held: nothing of nng is called here. */
static bool visitor_comes(int fd)
{
    uint64_t now_ns = clock_now_ns();
    int duplicate, first_fd = -1;
    struct ends ends;
    bool welcome;

    if (!ends_of_socket(fd, &ends))
        return true;
    mind_silence(fd);
    duplicate = fcntl(fd, F_DUPFD_CLOEXEC, 0); /* -1: descriptors are short, nng's own ten seconds hold for this one */
    lock_acquire(&doorman.lock);
    welcome = !is_paced_held(&ends) || keeps_pace_held(&ends, now_ns);
    doorman.turned_away_count += !welcome;
    if (welcome && duplicate >= 0 && doorman.unused.count == 0) {
        first_fd = forget_held(LIST_OWNER(doorman.waiting.first, struct visitor, node));
        doorman.shown_out_count++;
    }
    if (welcome && duplicate >= 0)
        note_visitor_held(duplicate, &ends, now_ns);
    lock_release(&doorman.lock);
    if (first_fd >= 0)
        show_out(first_fd);
    if (!welcome && duplicate >= 0)
        close(duplicate);
    return welcome;
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
    uint64_t shown_out_count, turned_away_count, waiting_count;
    bool news;

    lock_acquire(&doorman.lock);
    shown_out_count = doorman.shown_out_count;
    turned_away_count = doorman.turned_away_count;
    waiting_count = doorman.waiting.count;
    news = shown_out_count + turned_away_count > doorman.said_count;
    doorman.said_count = shown_out_count + turned_away_count;
    lock_release(&doorman.lock);
    if (news)
        log_write(LOG_INFO, "connections closed at the door",
                  LOG_FIELDS(log_number("late", (int64_t)shown_out_count),
                             log_number("too_many", (int64_t)turned_away_count),
                             log_number("waiting", (int64_t)waiting_count)));
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
    doorman.pace_ns = NS_PER_S / (settings->visits_per_s != 0 ? settings->visits_per_s : VISITS_PER_S);
    doorman.burst_ns = doorman.pace_ns * ((settings->visit_burst != 0 ? settings->visit_burst : VISIT_BURST) - 1);
    lock_init(&doorman.lock, "doorman");
    for (size_t i = 0; i < count; i++)
        list_push_back(&doorman.unused, &doorman.visitors[i].node);
    nng_shim_watch_accept(visitor_comes);
    nng_sleep_aio(ROUND_MS, doorman.rounds);
    return status_ok();
}

void doorman_stop(void)
{
    int fds[BATCH_COUNT];
    size_t count;

    if (doorman.rounds == NULL)
        return;
    nng_shim_watch_accept(NULL);
    nng_aio_stop(doorman.rounds);
    do {
        count = take_overdue(UINT64_MAX, fds);
        for (size_t i = 0; i < count; i++)
            close(fds[i]);
    } while (count > 0);
    nng_aio_free(doorman.rounds);
    doorman.rounds = NULL;
    lock_fini(&doorman.lock);
}

void doorman_look(struct doorman_counts *counts_out)
{
    lock_acquire(&doorman.lock);
    *counts_out = (struct doorman_counts){.visitors = doorman.waiting.count,
                                          .shown_out = doorman.shown_out_count,
                                          .turned_away = doorman.turned_away_count};
    lock_release(&doorman.lock);
}
