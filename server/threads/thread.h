/* Starting and joining named threads.  Signals are blocked by main before the first of them starts.
 *
 * Each runs where and as the process's first thread does, whoever starts it: nng's callbacks do, and nng's threads are
 * on a CPU, and of a scheduling policy, of their own. */
#ifndef SERVER_THREADS_THREAD_H
#define SERVER_THREADS_THREAD_H

#include "proto/status.h"

#include <pthread.h>
#include <stddef.h>

/* `name` has at most 15 bytes; `stack_size` 0: the system's default.  RESOURCE_EXHAUSTED when none can be started.
 * `body` runs with `context`, lent until thread_join. */
MUST_USE struct status thread_start(pthread_t *thread_out, const char *name, size_t stack_size,
                                    void (*body)(void *context), void *context);

/* The calling thread is one of batch from here on (sched(7)): woken, it does not push aside who runs, and waits for a CPU
 * no longer than the scheduler's slice.  Where another policy was chosen for the process, or the system refuses, it stays
 * as it is: nothing but speed depends on it. */
void thread_become_batch(void);

/* Waits for its end; call with no lock held. */
void thread_join(pthread_t thread);

#endif
