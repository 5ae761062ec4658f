/* What is true, in shared memory, and who compares. */
#include "tests/support/witness.h"

#include "server/base/clock.h"
#include "tests/support/patience.h"

#include <check.h>
#include <inttypes.h>
#include <probed/client.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TRUTH_COUNT_MAX = 1 << 18, TEXT_SIZE = 256, LOOK_US = 500 };

/* What both processes see. */
struct shared {
    /* Written before `begun`. */
    char events_url[TEXT_SIZE], calls_url[TEXT_SIZE], home[TEXT_SIZE];
    uint64_t interval_ns;
    atomic_bool begun;

    /* The test's: when generation i was answered, 0: not yet; generations are dense from 2. */
    _Atomic uint64_t truth_ns[TRUTH_COUNT_MAX];
    _Atomic uint64_t newest;
    _Atomic uint64_t first_ns; /* nothing is true that is older */

    /* The witness'. */
    atomic_bool current;
    _Atomic uint64_t known;
    _Atomic uint64_t events, gaps, beats, transitions, looks, looks_while_current, delay_ns_max;
    atomic_flag complained;
    char complaint[TEXT_SIZE];
    atomic_bool has_complaint;
};

struct witness {
    pid_t pid;
    struct shared *shared;
};

/* ---- the witness' process ---- */

static struct shared *shared;
static struct probed_subscriber *subscriber;
static uint64_t told;  /* the newest generation told, by an event */
static bool gap_since; /* and whether a gap was told since */

static void complain(const char *format, uint64_t one, uint64_t other)
{
    if (atomic_flag_test_and_set(&shared->complained))
        return;
    snprintf(shared->complaint, sizeof shared->complaint, format, one, other);
    atomic_store(&shared->has_complaint, true);
}

/* The newest generation that was true at that time. */
static uint64_t truth_at(uint64_t time_ns)
{
    uint64_t low = 1, high = atomic_load(&shared->newest);

    if (time_ns < atomic_load(&shared->first_ns))
        return 0;
    while (low < high) { /* times rise with generations */
        uint64_t middle = low + (high - low + 1) / 2;

        if (atomic_load(&shared->truth_ns[middle]) <= time_ns)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

static uint64_t known_now(void)
{
    struct probed_fence fence = {0, 0};

    return probed_subscriber_fence(subscriber, shared->home, &fence) ? fence.generation : 0;
}

/* Whatever it knows after it was asked whether it is current must cover what was true before. */
static void look(void)
{
    uint64_t before_ns = clock_now_ns(), truth, known;
    struct probed_subscriber_state state;

    truth = truth_at(before_ns - 3 * shared->interval_ns);
    probed_subscriber_state(subscriber, &state);
    known = known_now();
    atomic_store(&shared->known, known);
    atomic_store(&shared->current, state.current);
    atomic_fetch_add(&shared->looks, 1);
    if (!state.current)
        return;
    atomic_fetch_add(&shared->looks_while_current, 1);
    if (known < truth)
        complain("current, and behind by more than three intervals: knows %" PRIu64 ", true was %" PRIu64, known,
                 truth);
}

static void on_event(void *context, const Probed__V1__CredentialEvent *event)
{
    uint64_t generation = event->fence->generation;

    (void)context;
    atomic_fetch_add(&shared->events, 1);
    if (told != 0 && generation != told + 1 && !gap_since)
        complain("a silent gap: generation %" PRIu64 " behind %" PRIu64, generation, told);
    told = generation;
    gap_since = false;
    look();
}

static void on_gap(void *context, const char *home, const char *reason)
{
    (void)context;
    (void)home;
    (void)reason;
    atomic_fetch_add(&shared->gaps, 1);
    gap_since = true;
}

static void on_heartbeat(void *context, const Probed__V1__Heartbeat *heartbeat)
{
    struct probed_subscriber_state state;
    uint64_t truth = truth_at(heartbeat->sent_ns), delay_ns = clock_now_ns() - heartbeat->sent_ns;

    (void)context;
    atomic_fetch_add(&shared->beats, 1);
    probed_subscriber_state(subscriber, &state);
    if (state.current && known_now() < truth)
        complain("current behind a heartbeat, and knows %" PRIu64 " where %" PRIu64 " was out before it", known_now(),
                 truth);
    if (delay_ns > atomic_load(&shared->delay_ns_max))
        atomic_store(&shared->delay_ns_max, delay_ns);
    look();
}

static void on_state(void *context, const struct probed_subscriber_state *state)
{
    (void)context;
    (void)state;
    atomic_fetch_add(&shared->transitions, 1);
    look();
}

static void serve(void)
{
    struct probed_subscriber_options options = {.url = shared->events_url,
                                                .calls_url = shared->calls_url,
                                                .homes = (const char *const[]){shared->home},
                                                .home_count = 1,
                                                .on_event = on_event,
                                                .on_gap = on_gap,
                                                .on_heartbeat = on_heartbeat,
                                                .on_state = on_state,
                                                .poll = true};

    if (probed_subscriber_open(&options, &subscriber).code != PROBED_OK)
        _exit(1);
    for (;;) { /* looks even when nothing is told, and at once when it was stopped */
        look();
        probed_subscriber_process(subscriber);
        nanosleep(&(struct timespec){.tv_nsec = LOOK_US * 1000}, NULL);
    }
}

/* ---- the test's process ---- */

struct witness *witness_start(void)
{
    struct witness *witness = calloc(1, sizeof *witness);
    pid_t parent = getpid();

    ck_assert_ptr_nonnull(witness);
    witness->shared = mmap(NULL, sizeof *witness->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(witness->shared, MAP_FAILED);
    witness->pid = fork();
    ck_assert_int_ge(witness->pid, 0);
    if (witness->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        shared = witness->shared;
        while (getppid() == parent && !atomic_load(&shared->begun))
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        serve();
    }
    return witness;
}

void witness_begin(struct witness *witness, const char *events_url, const char *calls_url, const char *home,
                   uint64_t interval_ms)
{
    snprintf(witness->shared->events_url, TEXT_SIZE, "%s", events_url);
    snprintf(witness->shared->calls_url, TEXT_SIZE, "%s", calls_url);
    snprintf(witness->shared->home, TEXT_SIZE, "%s", home);
    witness->shared->interval_ns = interval_ms * NS_PER_MS;
    witness_forget(witness);
    atomic_store(&witness->shared->begun, true);
}

void witness_forget(struct witness *witness)
{
    atomic_store(&witness->shared->newest, 1);
    atomic_store(&witness->shared->first_ns, clock_now_ns());
}

void witness_note(struct witness *witness, uint64_t generation)
{
    ck_assert_uint_lt(generation, TRUTH_COUNT_MAX);
    ck_assert_uint_eq(generation, atomic_load(&witness->shared->newest) + 1);
    atomic_store(&witness->shared->truth_ns[generation], clock_now_ns());
    atomic_store(&witness->shared->newest, generation);
}

static void wait_until(struct witness *witness, bool current)
{
    const struct shared *seen = witness->shared;
    uint64_t due_ns = clock_now_ns() + PATIENCE_MS * NS_PER_MS;

    while (atomic_load(&seen->current) != current ||
           (current && atomic_load(&seen->known) != atomic_load(&seen->newest))) {
        ck_assert_msg(!atomic_load(&seen->has_complaint), "%s", seen->complaint);
        ck_assert_msg(clock_now_ns() < due_ns,
                      "it does not become %s: knows %" PRIu64 ", true is %" PRIu64 ", %" PRIu64 " beats",
                      current ? "current" : "not current", atomic_load(&seen->known), atomic_load(&seen->newest),
                      atomic_load(&seen->beats));
        nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
    }
}

void witness_wait_current(struct witness *witness)
{
    wait_until(witness, true);
}

void witness_wait_not_current(struct witness *witness)
{
    wait_until(witness, false);
}

pid_t witness_pid(const struct witness *witness)
{
    return witness->pid;
}

struct witness_counts witness_counts(const struct witness *witness)
{
    const struct shared *seen = witness->shared;

    return (struct witness_counts){
        .events = atomic_load(&seen->events),
        .gaps = atomic_load(&seen->gaps),
        .beats = atomic_load(&seen->beats),
        .transitions = atomic_load(&seen->transitions),
        .looks = atomic_load(&seen->looks),
        .looks_while_current = atomic_load(&seen->looks_while_current),
        .delay_ns_max = atomic_load(&seen->delay_ns_max),
    };
}

void witness_end(struct witness *witness)
{
    int status;

    ck_assert_int_eq(kill(witness->pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(witness->pid, &status, 0), witness->pid);
    ck_assert_int_eq(WTERMSIG(status), SIGKILL);
    ck_assert_msg(!atomic_load(&witness->shared->has_complaint), "%s", witness->shared->complaint);
    munmap(witness->shared, sizeof *witness->shared);
    free(witness);
}
