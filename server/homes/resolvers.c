/* Resolver threads, see resolvers.h. */
#include "server/homes/resolvers.h"

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/map.h"
#include "server/base/secret.h"
#include "server/threads/lock.h"
#include "server/threads/thread.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { STACK_SIZE = 524288 }; /* a walk takes 50 KiB; the look-up of a user runs what the machine has configured */

/* The jobs of one uid; there while it has any. */
struct line {
    UT_hash_handle handle;
    uint32_t uid;
    struct list jobs;      /* waiting, first come first served */
    bool busy;             /* one more is at work */
    uint64_t busy_ns;      /* since then */
    struct list_node node; /* on `ready`: there is a job and none is at work */
};

enum resolver_state {
    RESOLVER_FREE,     /* no thread */
    RESOLVER_STARTING, /* a thread was asked for */
    RESOLVER_WAITING,  /* for a job */
    RESOLVER_WORKING,  /* in work(), perhaps for ever */
    RESOLVER_TELLING,  /* in tell() or drop(), not for long */
    RESOLVER_LEAVING,  /* WORKING when the end came: resolvers_destroy tells for it */
    RESOLVER_LEFT,     /* that is done; it drops its job when the kernel lets go */
    RESOLVER_ENDED,    /* to be joined */
    RESOLVER_STATE_COUNT
};

#define TO(state) (1U << (state))

static const unsigned resolver_may_become[RESOLVER_STATE_COUNT] = {
    [RESOLVER_FREE] = TO(RESOLVER_STARTING),
    [RESOLVER_STARTING] = TO(RESOLVER_WAITING) | TO(RESOLVER_FREE),
    [RESOLVER_WAITING] = TO(RESOLVER_WORKING) | TO(RESOLVER_ENDED),
    [RESOLVER_WORKING] = TO(RESOLVER_TELLING) | TO(RESOLVER_LEAVING),
    [RESOLVER_TELLING] = TO(RESOLVER_WAITING),
    [RESOLVER_LEAVING] = TO(RESOLVER_LEFT),
    [RESOLVER_LEFT] = TO(RESOLVER_ENDED),
};

struct resolver {
    struct resolvers *resolvers; /* shared, from STARTING to ENDED */
    enum resolver_state state;   /* guarded by lock, as all below */
    pthread_t thread;            /* from WAITING on */
    struct resolver_job *job;    /* WORKING, LEAVING, LEFT: owned */
};

struct resolvers {
    atomic_uint holders; /* the creator and each thread */
    struct map_seed seed;
    struct lock lock;
    struct condition work; /* a line is ready, or the end has come */
    struct condition rest; /* a resolver changed its state, when the end has come */

    /* guarded by lock */
    bool closed;
    struct line *lines; /* by uid */
    struct list ready;  /* lines whose turn comes */
    struct list hurry;  /* impatient jobs that wait, in the order in which their patience ends */
    size_t job_count;   /* waiting in all lines */
    size_t in_state[RESOLVER_STATE_COUNT];
    struct resolver each[RESOLVER_COUNT_MAX];
};

/* The only writer of resolver->state. */
static void resolver_move_held(struct resolvers *resolvers, struct resolver *resolver, enum resolver_state next)
    REQUIRES(resolvers->lock)
{
    lock_assert_held(&resolvers->lock);
    INVARIANT(resolver_may_become[resolver->state] & TO(next));
    resolvers->in_state[resolver->state]--;
    resolvers->in_state[next]++;
    resolver->state = next;
    if (resolvers->closed)
        condition_broadcast(&resolvers->rest);
}

static void resolvers_release(struct resolvers *resolvers)
{
    if (atomic_fetch_sub(&resolvers->holders, 1) > 1)
        return;
    lock_fini(&resolvers->lock);
    condition_fini(&resolvers->work);
    condition_fini(&resolvers->rest);
    free(resolvers);
}

/* --- lines ------------------------------------------------------------------------------------------------------- */

/* The line of a uid, made if need be; NULL when memory is short. */
static struct line *take_line_held(struct resolvers *resolvers, uint32_t uid) REQUIRES(resolvers->lock)
{
    unsigned hash = map_hash(&resolvers->seed, &uid, sizeof uid);
    struct line *line;
    bool added;

    HASH_FIND_BYHASHVALUE(handle, resolvers->lines, &uid, sizeof uid, hash, line);
    if (line != NULL)
        return line;
    line = calloc(1, sizeof *line);
    if (line == NULL)
        return NULL;
    line->uid = uid;
    MAP_ADD(handle, resolvers->lines, &line->uid, sizeof line->uid, hash, line, added);
    if (added)
        return line;
    free(line);
    return NULL;
}

/* Puts it where it belongs by what is in it: on `ready`, off it, or away. */
static void settle_line_held(struct resolvers *resolvers, struct line *line) REQUIRES(resolvers->lock)
{
    if (line->jobs.count > 0) {
        if (!line->busy && line->node.list == NULL)
            list_push_back(&resolvers->ready, &line->node);
        return;
    }
    list_remove(&line->node);
    if (!line->busy) {
        HASH_DELETE(handle, resolvers->lines, line);
        free(line);
    }
}

/* --- those that wait too long ------------------------------------------------------------------------------------ */

static struct status refuse_impatient(uint32_t uid)
{
    return status_make(STATUS_UNAVAILABLE,
                       "another home of uid %u is looked at and does not answer: its file system hangs", (unsigned)uid);
}

static void give_up_held(struct resolvers *resolvers, struct resolver_job *job, struct list *hopeless_out)
    REQUIRES(resolvers->lock)
{
    struct line *line = LIST_OWNER(job->node.list, struct line, jobs);

    list_remove(&job->in_hurry);
    list_move(hopeless_out, &job->node);
    resolvers->job_count--;
    settle_line_held(resolvers, line);
}

/* Takes those whose patience is at its end out of their lines. */
static void take_hopeless_held(struct resolvers *resolvers, struct list *hopeless_out) REQUIRES(resolvers->lock)
{
    uint64_t now_ns = clock_now_ns();

    while (resolvers->hurry.count > 0) {
        struct resolver_job *job = LIST_OWNER(resolvers->hurry.first, struct resolver_job, in_hurry);

        if (job->hopeless_ns > now_ns)
            break;
        give_up_held(resolvers, job, hopeless_out);
    }
}

static void tell_hopeless(struct list *hopeless)
{
    while (hopeless->count > 0) {
        struct resolver_job *job = LIST_OWNER(list_pop_front(hopeless), struct resolver_job, node);
        struct status status = refuse_impatient(job->uid);

        job->kind->tell(job, &status);
        job->kind->drop(job);
    }
}

void resolvers_hurry(struct resolvers *resolvers)
{
    struct list hopeless = {0};
    uint64_t now_ns = clock_now_ns();

    lock_acquire(&resolvers->lock);
    LIST_EACH_SAFE (node, &resolvers->hurry) {
        struct resolver_job *job = LIST_OWNER(node, struct resolver_job, in_hurry);
        const struct line *line = LIST_OWNER(job->node.list, struct line, jobs);

        if (line->busy && now_ns - line->busy_ns >= RESOLVER_HASTE_NS)
            give_up_held(resolvers, job, &hopeless);
    }
    lock_release(&resolvers->lock);
    tell_hopeless(&hopeless);
}

/* Waits for work, and tells those in a hurry in time. */
static void await_work_held(struct resolvers *resolvers) REQUIRES(resolvers->lock)
{
    while (resolvers->ready.count == 0 && !resolvers->closed) {
        struct list hopeless = {0};
        uint64_t due_ns = UINT64_MAX;

        take_hopeless_held(resolvers, &hopeless);
        if (hopeless.count > 0) {
            lock_release(&resolvers->lock);
            tell_hopeless(&hopeless);
            lock_acquire(&resolvers->lock);
            continue;
        }
        if (resolvers->hurry.count > 0)
            due_ns = LIST_OWNER(resolvers->hurry.first, struct resolver_job, in_hurry)->hopeless_ns;
        condition_wait(&resolvers->work, &resolvers->lock, due_ns);
    }
}

/* --- a resolver's thread ----------------------------------------------------------------------------------------- */

/* The first job of the line whose turn it is. */
static struct line *take_turn_held(struct resolvers *resolvers, struct resolver *resolver) REQUIRES(resolvers->lock)
{
    struct line *line = LIST_OWNER(list_pop_front(&resolvers->ready), struct line, node);

    line->busy = true;
    line->busy_ns = clock_now_ns();
    resolver->job = LIST_OWNER(list_pop_front(&line->jobs), struct resolver_job, node);
    list_remove(&resolver->job->in_hurry);
    resolvers->job_count--;
    return line;
}

/* One job from work to drop; the lock is given up meanwhile.  False: it was left behind, and so is this thread. */
static bool do_job_held(struct resolvers *resolvers, struct resolver *resolver) REQUIRES(resolvers->lock)
{
    struct line *line = take_turn_held(resolvers, resolver);
    struct resolver_job *job = resolver->job;
    bool left;

    resolver_move_held(resolvers, resolver, RESOLVER_WORKING);
    lock_release(&resolvers->lock);
    lock_assert_none();
    job->kind->work(job);
    lock_acquire(&resolvers->lock);

    while (job->tell_ns > clock_now_ns() && !resolvers->closed)
        condition_wait(&resolvers->rest, &resolvers->lock, job->tell_ns);
    while (resolver->state == RESOLVER_LEAVING)
        condition_wait(&resolvers->rest, &resolvers->lock, UINT64_MAX);
    left = resolver->state == RESOLVER_LEFT;
    if (!left)
        resolver_move_held(resolvers, resolver, RESOLVER_TELLING);
    resolver->job = NULL;
    lock_release(&resolvers->lock);
    if (!left)
        job->kind->tell(job, NULL);
    job->kind->drop(job);
    lock_acquire(&resolvers->lock);

    line->busy = false;
    settle_line_held(resolvers, line);
    return !left;
}

static void run_resolver(void *context)
{
    struct resolver *resolver = context;
    struct resolvers *resolvers = resolver->resolvers;
    bool left = false;

    lock_acquire(&resolvers->lock);
    resolver->thread = pthread_self();
    while (!left) {
        resolver_move_held(resolvers, resolver, RESOLVER_WAITING);
        await_work_held(resolvers);
        if (resolvers->ready.count == 0)
            break;
        if (resolvers->hurry.count > 0)
            condition_signal(&resolvers->work); /* somebody else minds them */
        left = !do_job_held(resolvers, resolver);
    }
    resolver_move_held(resolvers, resolver, RESOLVER_ENDED);
    lock_release(&resolvers->lock);
    resolvers_release(resolvers);
}

/* Takes a free place for another thread when one is wanted; NULL: none is, or there is no place.  Beside those for the
 * work that is ready one minds those in a hurry. */
static struct resolver *claim_resolver_held(struct resolvers *resolvers) REQUIRES(resolvers->lock)
{
    size_t wanted = resolvers->ready.count + (resolvers->hurry.count > 0 ? 1 : 0);

    if (wanted <= resolvers->in_state[RESOLVER_WAITING] + resolvers->in_state[RESOLVER_STARTING])
        return NULL;
    for (size_t i = 0; i < RESOLVER_COUNT_MAX; i++) {
        if (resolvers->each[i].state == RESOLVER_FREE) {
            resolver_move_held(resolvers, &resolvers->each[i], RESOLVER_STARTING);
            return &resolvers->each[i];
        }
    }
    return NULL;
}

static struct status start_resolver(struct resolver *resolver)
{
    struct resolvers *resolvers = resolver->resolvers;
    struct status status;
    pthread_t thread; /* the thread itself notes who it is: it may be over before we could */

    atomic_fetch_add(&resolvers->holders, 1);
    status = thread_start(&thread, "resolver", STACK_SIZE, run_resolver, resolver);
    if (!status_is_ok(&status)) {
        lock_acquire(&resolvers->lock);
        resolver_move_held(resolvers, resolver, RESOLVER_FREE);
        lock_release(&resolvers->lock);
        resolvers_release(resolvers);
    }
    return status;
}

/* --- coming in --------------------------------------------------------------------------------------------------- */

struct status resolvers_create(struct resolvers **resolvers_out)
{
    struct resolvers *resolvers = calloc(1, sizeof *resolvers);
    struct resolver *first;
    struct status status;

    if (resolvers == NULL)
        return status_make(STATUS_RESOURCE_EXHAUSTED, "no memory for the resolvers");
    atomic_init(&resolvers->holders, 1);
    secret_random(&resolvers->seed, sizeof resolvers->seed);
    lock_init(&resolvers->lock, "resolvers");
    condition_init(&resolvers->work);
    condition_init(&resolvers->rest);
    resolvers->in_state[RESOLVER_FREE] = RESOLVER_COUNT_MAX;
    for (size_t i = 0; i < RESOLVER_COUNT_MAX; i++)
        resolvers->each[i].resolvers = resolvers;

    first = &resolvers->each[0];
    lock_acquire(&resolvers->lock);
    resolver_move_held(resolvers, first, RESOLVER_STARTING);
    lock_release(&resolvers->lock);
    status = start_resolver(first);
    if (status_is_ok(&status))
        *resolvers_out = resolvers;
    else
        resolvers_release(resolvers);
    return status;
}

static struct status queue_job_held(struct resolvers *resolvers, struct resolver_job *job) REQUIRES(resolvers->lock)
{
    struct line *line;

    if (resolvers->closed)
        return status_make(STATUS_UNAVAILABLE, "the daemon is stopping");
    if (resolvers->job_count >= RESOLVER_JOB_COUNT_MAX)
        return status_make(STATUS_RESOURCE_EXHAUSTED, "%zu homes wait to be looked at, no more may",
                           resolvers->job_count);
    line = take_line_held(resolvers, job->uid);
    if (line == NULL)
        return status_make(STATUS_RESOURCE_EXHAUSTED, "no memory to look at a home");
    if (job->impatient && line->busy && clock_now_ns() - line->busy_ns >= RESOLVER_PATIENCE_NS)
        return refuse_impatient(job->uid);
    if (line->jobs.count >= RESOLVER_JOB_COUNT_PER_UID_MAX)
        return status_make(STATUS_RESOURCE_EXHAUSTED, "%zu homes of uid %u wait to be looked at, no more may",
                           line->jobs.count, (unsigned)job->uid);
    list_push_back(&line->jobs, &job->node);
    if (job->impatient) {
        job->hopeless_ns = clock_now_ns() + RESOLVER_PATIENCE_NS;
        list_push_back(&resolvers->hurry, &job->in_hurry);
    }
    resolvers->job_count++;
    settle_line_held(resolvers, line);
    return status_ok();
}

struct status resolvers_submit(struct resolvers *resolvers, struct resolver_job *job)
{
    struct list hopeless = {0};
    struct resolver *another = NULL;
    struct status status, started;

    lock_acquire(&resolvers->lock);
    status = queue_job_held(resolvers, job);
    if (status_is_ok(&status)) {
        another = claim_resolver_held(resolvers);
        condition_signal(&resolvers->work);
    }
    take_hopeless_held(resolvers, &hopeless); /* every resolver may hang by now */
    lock_release(&resolvers->lock);
    tell_hopeless(&hopeless);
    if (another != NULL) {
        started = start_resolver(another);
        if (!status_is_ok(&started)) /* those that run will come to it */
            log_write(LOG_WARN, "no further resolver", LOG_FIELDS(log_text("cause", started.message)));
    }
    return status;
}

/* --- the end ----------------------------------------------------------------------------------------------------- */

static void tell_stopping(struct resolver_job *job)
{
    struct status stopping = status_make(STATUS_UNAVAILABLE, "the daemon is stopping");

    job->kind->tell(job, &stopping);
}

/* Closes the door and takes every job that waits. */
static void close_held(struct resolvers *resolvers, struct list *waiting_out) REQUIRES(resolvers->lock)
{
    struct line *line, *next;

    resolvers->closed = true;
    HASH_ITER(handle, resolvers->lines, line, next)
    {
        while (line->jobs.count > 0) {
            struct resolver_job *job = LIST_OWNER(line->jobs.first, struct resolver_job, node);

            list_remove(&job->in_hurry);
            list_move(waiting_out, &job->node);
        }
        settle_line_held(resolvers, line);
    }
    resolvers->job_count = 0;
    condition_broadcast(&resolvers->work);
    condition_broadcast(&resolvers->rest); /* those that only wait until they may tell */
}

/* Neither over nor left behind. */
static size_t count_running_held(const struct resolvers *resolvers) REQUIRES(resolvers->lock)
{
    lock_assert_held(&resolvers->lock);
    return RESOLVER_COUNT_MAX - resolvers->in_state[RESOLVER_FREE] - resolvers->in_state[RESOLVER_ENDED] -
           resolvers->in_state[RESOLVER_LEFT];
}

/* Tells for one that hangs, whose job stays as it is until that is done. */
static void leave_behind(struct resolvers *resolvers, struct resolver *resolver)
{
    struct resolver_job *job = NULL;

    lock_acquire(&resolvers->lock);
    if (resolver->state == RESOLVER_WORKING) {
        job = resolver->job;
        resolver_move_held(resolvers, resolver, RESOLVER_LEAVING);
    }
    lock_release(&resolvers->lock);
    if (job == NULL)
        return;
    tell_stopping(job);
    lock_acquire(&resolvers->lock);
    resolver_move_held(resolvers, resolver, RESOLVER_LEFT);
    lock_release(&resolvers->lock);
}

/* A thread that is over is joined, one that hangs is let go. */
static void part_with(struct resolvers *resolvers, struct resolver *resolver)
{
    enum resolver_state state;

    lock_acquire(&resolvers->lock);
    state = resolver->state;
    if (state == RESOLVER_LEFT)
        pthread_detach(resolver->thread);
    lock_release(&resolvers->lock);
    if (state == RESOLVER_ENDED)
        thread_join(resolver->thread);
}

void resolvers_destroy(struct resolvers *resolvers, uint64_t wait_ns)
{
    struct list waiting = {0};
    uint64_t due_ns = clock_now_ns() + wait_ns;

    if (resolvers == NULL)
        return;
    lock_assert_none();
    lock_acquire(&resolvers->lock);
    close_held(resolvers, &waiting);
    lock_release(&resolvers->lock);
    while (waiting.count > 0) {
        struct resolver_job *job = LIST_OWNER(list_pop_front(&waiting), struct resolver_job, node);

        tell_stopping(job);
        job->kind->drop(job);
    }

    lock_acquire(&resolvers->lock);
    while (resolvers->in_state[RESOLVER_WORKING] > 0 && condition_wait(&resolvers->rest, &resolvers->lock, due_ns))
        continue;
    lock_release(&resolvers->lock);
    for (size_t i = 0; i < RESOLVER_COUNT_MAX; i++)
        leave_behind(resolvers, &resolvers->each[i]);
    lock_acquire(&resolvers->lock);
    while (count_running_held(resolvers) > 0)
        condition_wait(&resolvers->rest, &resolvers->lock, UINT64_MAX);
    lock_release(&resolvers->lock);
    for (size_t i = 0; i < RESOLVER_COUNT_MAX; i++)
        part_with(resolvers, &resolvers->each[i]);
    resolvers_release(resolvers);
}
