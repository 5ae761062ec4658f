#include "server/threads/lock.h"

#include "server/base/duration.h"
#include "server/base/invariant.h"

#include <errno.h>
#include <stddef.h>
#include <time.h>

static _Thread_local const struct lock *held; /* by this thread; all locks are leaves, so one is all there can be */

static void must(int error)
{
    INVARIANT(error == 0);
}

void lock_init(struct lock *lock, const char *name)
{
    must(pthread_mutex_init(&lock->mutex, NULL));
    lock->name = name;
}

void lock_fini(struct lock *lock)
{
    must(pthread_mutex_destroy(&lock->mutex));
}

void lock_acquire(struct lock *lock) NO_THREAD_ANALYSIS
{
    INVARIANT(held == NULL);
    must(pthread_mutex_lock(&lock->mutex));
    held = lock;
}

void lock_release(struct lock *lock) NO_THREAD_ANALYSIS
{
    INVARIANT(held == lock);
    held = NULL;
    must(pthread_mutex_unlock(&lock->mutex));
}

void lock_assert_held(const struct lock *lock)
{
    INVARIANT(held == lock);
}

void lock_assert_none(void)
{
    INVARIANT(held == NULL);
}

void condition_init(struct condition *condition)
{
    pthread_condattr_t attributes;

    must(pthread_condattr_init(&attributes));
    must(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC));
    must(pthread_cond_init(&condition->condition, &attributes));
    must(pthread_condattr_destroy(&attributes));
}

void condition_fini(struct condition *condition)
{
    must(pthread_cond_destroy(&condition->condition));
}

void condition_signal(struct condition *condition)
{
    must(pthread_cond_signal(&condition->condition));
}

void condition_broadcast(struct condition *condition)
{
    must(pthread_cond_broadcast(&condition->condition));
}

bool condition_wait(struct condition *condition, struct lock *lock, uint64_t due_ns)
{
    struct timespec due = {.tv_sec = (time_t)(due_ns / NS_PER_S), .tv_nsec = (long)(due_ns % NS_PER_S)};
    int error;

    lock_assert_held(lock);
    held = NULL;
    if (due_ns == UINT64_MAX)
        error = pthread_cond_wait(&condition->condition, &lock->mutex);
    else
        error = pthread_cond_timedwait(&condition->condition, &lock->mutex, &due);
    held = lock;
    INVARIANT(error == 0 || error == ETIMEDOUT);
    return error == 0;
}

void semaphore_init(struct semaphore *semaphore)
{
    INVARIANT(sem_init(&semaphore->semaphore, 0, 0) == 0);
}

void semaphore_fini(struct semaphore *semaphore)
{
    INVARIANT(sem_destroy(&semaphore->semaphore) == 0);
}

void semaphore_post(struct semaphore *semaphore)
{
    INVARIANT(sem_post(&semaphore->semaphore) == 0);
}

void semaphore_wait(struct semaphore *semaphore)
{
    lock_assert_none();
    while (sem_wait(&semaphore->semaphore) != 0)
        INVARIANT(errno == EINTR);
}
