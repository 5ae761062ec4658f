#include "server/threads/thread.h"

#include "server/base/invariant.h"
#include "server/threads/lock.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct start {
    void (*body)(void *context);
    void *context;
    char name[16];
};

/* As the first thread, whose id is the process's.  What the system refuses stays as it was inherited. */
static void leave_starter(void)
{
    cpu_set_t cpus;
    struct sched_param parameters;
    int policy = sched_getscheduler(getpid());

    if (sched_getaffinity(getpid(), sizeof cpus, &cpus) == 0)
        (void)sched_setaffinity(0, sizeof cpus, &cpus);
    if (policy != sched_getscheduler(0) && sched_getparam(getpid(), &parameters) == 0)
        (void)sched_setscheduler(0, policy, &parameters);
}

static void *run(void *argument)
{
    struct start start = *(struct start *)argument;

    free(argument);
    pthread_setname_np(pthread_self(), start.name);
    leave_starter();
    start.body(start.context);
    return NULL;
}

struct status thread_start(pthread_t *thread_out, const char *name, size_t stack_size, void (*body)(void *context),
                           void *context)
{
    struct start *start = malloc(sizeof *start);
    pthread_attr_t attributes;
    int error;

    if (start == NULL)
        return status_make(STATUS_RESOURCE_EXHAUSTED, "no memory to start thread %s", name);
    *start = (struct start){.body = body, .context = context};
    snprintf(start->name, sizeof start->name, "%s", name);
    error = pthread_attr_init(&attributes);
    INVARIANT(error == 0);
    if (stack_size != 0)
        error = pthread_attr_setstacksize(&attributes, stack_size);
    INVARIANT(error == 0);
    error = pthread_create(thread_out, &attributes, run, start);
    pthread_attr_destroy(&attributes);
    if (error != 0) {
        free(start);
        return status_make(STATUS_RESOURCE_EXHAUSTED, "cannot start thread %s: %s", name, strerror(error));
    }
    return status_ok();
}

void thread_become_batch(void)
{
    const struct sched_param parameters = {.sched_priority = 0};

    if (sched_getscheduler(0) == SCHED_OTHER)
        (void)sched_setscheduler(0, SCHED_BATCH, &parameters);
}

void thread_join(pthread_t thread)
{
    int error;

    lock_assert_none();
    error = pthread_join(thread, NULL);
    INVARIANT(error == 0);
}
