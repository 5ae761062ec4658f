/* Many subscribers, and what they share with the test. */
#include "tests/support/crowd.h"

#include "server/base/clock.h"
#include "tests/support/patience.h"

#include <check.h>
#include <inttypes.h>
#include <probed/client.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MEMBER_COUNT_MAX = 1024, TEXT_SIZE = 256 };

struct member {
    _Atomic uint64_t epoch, generation;
    atomic_bool current;
    struct probed_subscriber *subscriber; /* in the crowd's process */
};

struct shared {
    char events_url[TEXT_SIZE], calls_url[TEXT_SIZE], home[TEXT_SIZE];
    size_t count;
    atomic_bool begun;
    _Atomic uint64_t gap_count;
    struct member members[MEMBER_COUNT_MAX];
};

struct crowd {
    pid_t pid;
    struct shared *shared;
};

/* ---- the crowd's process ---- */

static struct shared *shared;

static void on_event(void *context, const Probed__V1__CredentialEvent *event)
{
    struct member *member = context;

    atomic_store(&member->generation, event->fence->generation);
}

static void on_gap(void *context, const char *home, const char *reason)
{
    struct member *member = context;

    (void)home;
    (void)reason;
    if (atomic_load(&member->epoch) != 0)
        atomic_fetch_add(&shared->gap_count, 1);
}

static void on_state(void *context, const struct probed_subscriber_state *state)
{
    struct member *member = context;

    atomic_store(&member->epoch, state->epoch);
    atomic_store(&member->current, state->current);
}

static void join(int epoll_fd, struct probed_channel *channel, struct member *member)
{
    struct probed_subscriber_options options = {.url = shared->events_url,
                                                .channel = channel,
                                                .homes = (const char *const[]){shared->home},
                                                .home_count = 1,
                                                .on_event = on_event,
                                                .on_gap = on_gap,
                                                .on_state = on_state,
                                                .context = member,
                                                .poll = true};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = member};

    if (probed_subscriber_open(&options, &member->subscriber).code != PROBED_OK ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, probed_subscriber_fd(member->subscriber), &event) != 0)
        _exit(1);
}

static void serve(void)
{
    struct probed_channel *channel;
    struct epoll_event events[64];
    struct rlimit descriptors;
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);

    if (getrlimit(RLIMIT_NOFILE, &descriptors) == 0) {
        descriptors.rlim_cur = descriptors.rlim_max;
        setrlimit(RLIMIT_NOFILE, &descriptors);
    }
    if (probed_channel_open(&(struct probed_channel_options){.url = shared->calls_url}, &channel).code != PROBED_OK)
        _exit(1);
    for (size_t i = 0; i < shared->count; i++)
        join(epoll_fd, channel, &shared->members[i]);
    for (;;) {
        int count = epoll_wait(epoll_fd, events, 64, -1);

        for (int i = 0; i < count; i++)
            probed_subscriber_process(((struct member *)events[i].data.ptr)->subscriber);
    }
}

/* ---- the test's process ---- */

struct crowd *crowd_start(void)
{
    static struct crowd crowd;
    pid_t parent = getpid();

    crowd.shared = mmap(NULL, sizeof *crowd.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(crowd.shared, MAP_FAILED);
    crowd.pid = fork();
    ck_assert_int_ge(crowd.pid, 0);
    if (crowd.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        shared = crowd.shared;
        while (getppid() == parent && !atomic_load(&shared->begun))
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        serve();
    }
    return &crowd;
}

void crowd_begin(struct crowd *crowd, const char *events_url, const char *calls_url, const char *home, size_t count)
{
    ck_assert_uint_le(count, MEMBER_COUNT_MAX);
    snprintf(crowd->shared->events_url, TEXT_SIZE, "%s", events_url);
    snprintf(crowd->shared->calls_url, TEXT_SIZE, "%s", calls_url);
    snprintf(crowd->shared->home, TEXT_SIZE, "%s", home);
    crowd->shared->count = count;
    atomic_store(&crowd->shared->begun, true);
}

typedef bool trait(const struct member *member, uint64_t number);

static size_t count_those(const struct crowd *crowd, trait *is_so, uint64_t number)
{
    size_t count = 0;

    for (size_t i = 0; i < crowd->shared->count; i++)
        count += is_so(&crowd->shared->members[i], number);
    return count;
}

static void wait_for_all(struct crowd *crowd, trait *is_so, uint64_t number, const char *what)
{
    uint64_t due_ns = clock_now_ns() + 4 * PATIENCE_MS * NS_PER_MS;
    size_t count;

    while (count = count_those(crowd, is_so, number), count < crowd->shared->count) {
        ck_assert_msg(clock_now_ns() < due_ns, "%zu of %zu %s", count, crowd->shared->count, what);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

static bool is_current(const struct member *member, uint64_t past_epoch)
{
    return atomic_load(&member->current) && atomic_load(&member->epoch) != past_epoch;
}

static bool has_heard(const struct member *member, uint64_t generation)
{
    return atomic_load(&member->generation) >= generation;
}

bool crowd_is_current(const struct crowd *crowd, uint64_t past_epoch)
{
    return count_those(crowd, is_current, past_epoch) == crowd->shared->count;
}

void crowd_wait_current(struct crowd *crowd, uint64_t past_epoch)
{
    wait_for_all(crowd, is_current, past_epoch, "are current");
}

void crowd_wait_generation(struct crowd *crowd, uint64_t generation)
{
    wait_for_all(crowd, has_heard, generation, "have heard of the last change");
}

uint64_t crowd_gap_count(const struct crowd *crowd)
{
    return atomic_load(&crowd->shared->gap_count);
}

uint64_t crowd_epoch(const struct crowd *crowd)
{
    return atomic_load(&crowd->shared->members[0].epoch);
}

void crowd_end(struct crowd *crowd)
{
    int status;

    ck_assert_int_eq(kill(crowd->pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(crowd->pid, &status, 0), crowd->pid);
    ck_assert_int_eq(WTERMSIG(status), SIGKILL);
    munmap(crowd->shared, sizeof *crowd->shared);
}
