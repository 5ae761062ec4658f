/* The handlers: a stack of idle ones, and a thread for each that was ever needed at once.
 *
 * What an outcome sets off is mostly the next lease of the same worker.  Whoever handed the outcome back takes it up
 * itself, when it is through with the rest: to wake another thread for it costs more than most of what is left. */
#include "server/work/work.h"

#include "server/base/clock.h"
#include "server/base/invariant.h"
#include "server/base/list.h"
#include "server/base/secret.h"
#include "server/threads/lock.h"
#include "server/threads/thread.h"
#include "server/work/dialogue.h"
#include "server/work/request.h"
#include "server/work/usage.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* A handler that hands its outcome back is still busy when the engine has already leased its worker again, so there can
 * be one more for each lease. */
enum { HANDLERS_PER_LEASE = 2 };

/* The dialogue's chunk and the mapping's arena are 24 KiB, the parser goes 64 levels deep; what an outcome sets off
 * (replies, further leases, orders) runs on this stack as well. */
enum { STACK_SIZE = 256 * 1024 };

struct handler {
    /* Fixed at create. */
    struct work *work;
    struct semaphore wake; /* posted once for each lease it is given while idle, and at the end */
    int gone_fd;           /* an eventfd: raised when the worker of the latest lease is gone */

    /* Its thread's own. */
    bool returning;            /* is handing an outcome back */
    struct engine_lease *next; /* lent: taken up meanwhile, and asked when that is done */

    /* Guarded by work->lock. */
    pthread_t thread;
    struct list_node node;      /* in work->all */
    struct engine_lease *lease; /* lent; NULL: nothing to do */
    uint64_t worker_id;         /* of the latest lease */
    bool gone_raised;           /* gone_fd is */
    struct handler *next_idle;  /* below it on the stack */
};

struct work {
    /* Fixed at create. */
    work_returned *returned;
    work_is_gone *is_gone;
    void *context;

    /* Guarded by lock. */
    struct lock lock;
    struct work_settings settings;
    struct list all;
    size_t handler_count; /* those that are about to be started, too */
    struct handler *idle; /* the top of the stack: most recently idle */
    bool closing;
};

static _Thread_local struct handler *self; /* NULL: this thread is no handler */

/* ---- one lease ---- */

static struct lease_outcome ask(const struct engine_lease *lease, const struct work_settings *settings, int gone_fd)
{
    const struct dialogue_bounds bounds = {
        .line_size_max = settings->answer_line_size_max, .deadline_ns = lease->run_deadline_ns, .gone_fd = gone_fd};
    struct lease_outcome outcome = {.status = status_ok()};
    struct text request = TEXT_EMPTY;
    struct dialogue_answer answer;
    struct usage_receipt receipt;

    request_write(lease, settings->run_ms, &request);
    if (request.failed) {
        text_wipe(&request);
        outcome.end = LEASE_BREACHED;
        outcome.status = status_make(STATUS_RESOURCE_EXHAUSTED, "no memory to write the worker's request");
        return outcome;
    }
    outcome.end = dialogue_ask(lease->channel, &request, &bounds, &answer, &outcome.status);
    if (outcome.end != LEASE_ANSWERED)
        return outcome;
    receipt = (struct usage_receipt){.probe_ns = answer.probe_ns, .wall_ms = clock_wall_ms()};
    outcome.end =
        usage_from_line(lease, text_string(&answer.line), answer.line.size, &receipt, &outcome.answer, &outcome.status);
    text_wipe(&answer.line);
    return outcome;
}

/* ---- handlers ---- */

/* From here on work_worker_gone finds it.  What was said of the worker before is taken back. */
static void give_lease_held(struct work *work, struct handler *handler, struct engine_lease *lease) REQUIRES(work->lock)
{
    uint64_t count;

    lock_assert_held(&work->lock);
    if (handler->gone_raised && read(handler->gone_fd, &count, sizeof count) < 0)
        INVARIANT(errno == EAGAIN);
    handler->gone_raised = false;
    handler->lease = lease;
    handler->worker_id = lease->worker_id;
}

/* With the lock released meanwhile.  Gives the lease that the outcome set off, if this handler took it up; or NULL. */
static struct engine_lease *serve_held(struct work *work, struct handler *handler) REQUIRES(work->lock)
{
    struct engine_lease *lease = handler->lease;
    struct work_settings settings = work->settings;
    struct lease_outcome outcome;

    lock_release(&work->lock);
    if (work->is_gone(work->context, lease->worker_id)) /* it may have been said before the lease was taken */
        work_worker_gone(work, lease->worker_id);
    outcome = ask(lease, &settings, handler->gone_fd);
    handler->next = NULL;
    handler->returning = true;
    work->returned(work->context, lease, &outcome);
    handler->returning = false;
    lock_acquire(&work->lock);
    return handler->next;
}

static void run_handler(void *context)
{
    struct handler *handler = context;
    struct work *work = handler->work;

    self = handler;
    thread_become_batch(); /* a provider's answer takes long, the hits that it would push aside do not */
    lock_acquire(&work->lock);
    handler->thread = pthread_self(); /* known before its first lease is back, and so before work_destroy */
    for (;;) {
        if (handler->lease != NULL) {
            struct engine_lease *next = serve_held(work, handler);

            handler->lease = NULL;
            if (next != NULL) {
                give_lease_held(work, handler, next);
                continue;
            }
            handler->next_idle = work->idle;
            work->idle = handler;
        } else if (work->closing) {
            break;
        } else {
            lock_release(&work->lock);
            semaphore_wait(&handler->wake);
            lock_acquire(&work->lock);
        }
    }
    lock_release(&work->lock);
}

static void destroy_handler(struct handler *handler)
{
    close(handler->gone_fd);
    semaphore_fini(&handler->wake);
    free(handler);
}

static struct handler *create_handler(struct work *work)
{
    struct handler *handler = calloc(1, sizeof *handler);

    if (handler == NULL)
        return NULL;
    handler->work = work;
    handler->gone_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (handler->gone_fd < 0) {
        free(handler);
        return NULL;
    }
    semaphore_init(&handler->wake);
    return handler;
}

/* Starts a handler with the lease in its hands. */
static struct status start_handler(struct work *work, struct engine_lease *lease)
{
    struct handler *handler = create_handler(work);
    pthread_t thread; /* the handler notes its own */
    struct status status;

    if (handler == NULL)
        return status_make(STATUS_RESOURCE_EXHAUSTED, "no memory or descriptor for a handler");
    lock_acquire(&work->lock);
    give_lease_held(work, handler, lease);
    list_push_back(&work->all, &handler->node);
    lock_release(&work->lock);
    status = thread_start(&thread, "handler", STACK_SIZE, run_handler, handler);
    if (!status_is_ok(&status)) {
        lock_acquire(&work->lock);
        list_remove(&handler->node);
        lock_release(&work->lock);
        destroy_handler(handler);
    }
    return status;
}

/* Counts a handler that is about to be started; RESOURCE_EXHAUSTED when there are as many as there may be. */
static struct status admit_handler_held(struct work *work) REQUIRES(work->lock)
{
    size_t count_max = work->settings.handler_count_max * HANDLERS_PER_LEASE;

    lock_assert_held(&work->lock);
    if (work->handler_count >= count_max)
        return status_make(STATUS_RESOURCE_EXHAUSTED, "all %zu handlers are busy", work->handler_count);
    work->handler_count++;
    return status_ok();
}

void work_take(struct work *work, struct engine_lease *lease)
{
    struct handler *handler;
    struct status status = status_ok();

    if (self != NULL && self->work == work && self->returning && self->next == NULL) {
        self->next = lease;
        return;
    }
    lock_acquire(&work->lock);
    INVARIANT(!work->closing);
    handler = work->idle;
    if (handler != NULL) {
        work->idle = handler->next_idle;
        give_lease_held(work, handler, lease);
    } else {
        status = admit_handler_held(work);
    }
    lock_release(&work->lock);
    if (handler != NULL) {
        semaphore_post(&handler->wake); /* it is there until it has waited for this */
        return;
    }

    if (status_is_ok(&status)) {
        status = start_handler(work, lease);
        if (status_is_ok(&status))
            return;
        lock_acquire(&work->lock);
        work->handler_count--;
        lock_release(&work->lock);
    }
    work->returned(work->context, lease, &(struct lease_outcome){.end = LEASE_STRAY, .status = status});
}

void work_worker_gone(struct work *work, uint64_t worker_id)
{
    const uint64_t one = 1;

    lock_acquire(&work->lock);
    LIST_EACH (node, &work->all) {
        struct handler *handler = LIST_OWNER(node, struct handler, node);

        if (handler->lease == NULL || handler->worker_id != worker_id || handler->gone_raised)
            continue;
        INVARIANT(write(handler->gone_fd, &one, sizeof one) == sizeof one);
        handler->gone_raised = true;
    }
    lock_release(&work->lock);
}

/* ---- life ---- */

struct status work_create(const struct work_settings *settings, work_returned *returned, work_is_gone *is_gone,
                          void *context, struct work **work_out)
{
    struct work *work = calloc(1, sizeof *work);

    if (work == NULL)
        return status_make(STATUS_RESOURCE_EXHAUSTED, "no memory for the handlers");
    json_set_alloc_funcs(malloc, secret_free); /* a worker may repeat in its answer what it was asked with */
    json_object_seed(0);                       /* before several threads parse, as jansson's manual asks */
    work->settings = *settings;
    work->returned = returned;
    work->is_gone = is_gone;
    work->context = context;
    lock_init(&work->lock, "work");
    *work_out = work;
    return status_ok();
}

void work_settings_changed(struct work *work, const struct work_settings *settings)
{
    lock_acquire(&work->lock);
    if (settings->handler_count_max > work->settings.handler_count_max)
        work->settings.handler_count_max = settings->handler_count_max;
    work->settings.answer_line_size_max = settings->answer_line_size_max;
    work->settings.run_ms = settings->run_ms;
    lock_release(&work->lock);
}

void work_destroy(struct work *work)
{
    if (work == NULL)
        return;
    lock_acquire(&work->lock);
    work->closing = true;
    LIST_EACH (node, &work->all)
        semaphore_post(&LIST_OWNER(node, struct handler, node)->wake);
    lock_release(&work->lock);

    while (work->all.count > 0) { /* nobody else is left who would look */
        struct handler *handler = LIST_OWNER(list_pop_front(&work->all), struct handler, node);

        thread_join(handler->thread);
        INVARIANT(handler->lease == NULL);
        destroy_handler(handler);
    }
    lock_fini(&work->lock);
    free(work);
}
