/* Mutexes that know their holder, conditions on them, and semaphores.
 *
 * All locks are leaves: a thread holds one at most, and no call leaves a module under one.  lock_acquire checks that,
 * and whatever may block begins with lock_assert_none(), so that a slip ends the first test that makes it.
 * Conditions wait on CLOCK_MONOTONIC; test the condition again in a loop around the wait.
 *
 * A pthread call that fails here is our own mistake and ends the process. */
#ifndef SERVER_THREADS_LOCK_H
#define SERVER_THREADS_LOCK_H

#include "proto/compiler.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>

struct CAPABILITY("mutex") lock {
    pthread_mutex_t mutex;
    const char *name; /* for a person who reads a core file */
};

void lock_init(struct lock *lock, const char *name);
void lock_fini(struct lock *lock);
void lock_acquire(struct lock *lock) ACQUIRES(*lock);
void lock_release(struct lock *lock) RELEASES(*lock);

/* This thread holds it; this thread holds none. */
void lock_assert_held(const struct lock *lock) REQUIRES(*lock);
void lock_assert_none(void);

struct condition {
    pthread_cond_t condition;
};

void condition_init(struct condition *condition);
void condition_fini(struct condition *condition);
void condition_signal(struct condition *condition);
void condition_broadcast(struct condition *condition);

/* Waits until signalled or `due_ns` (CLOCK_MONOTONIC; UINT64_MAX: for ever); false when the time came first. */
bool condition_wait(struct condition *condition, struct lock *lock, uint64_t due_ns) REQUIRES(*lock);

/* What one thread waits for and others tell it, without a lock: whoever is woken by a condition first asks for the lock
 * that its waker still holds.  Each post ends one wait, be it the earlier or the later of the two. */
struct semaphore {
    sem_t semaphore;
};

void semaphore_init(struct semaphore *semaphore); /* with nothing posted */
void semaphore_fini(struct semaphore *semaphore);
void semaphore_post(struct semaphore *semaphore);
void semaphore_wait(struct semaphore *semaphore); /* call with no lock held */

#endif
