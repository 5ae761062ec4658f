/* Conditions that are waited for until a moment of CLOCK_MONOTONIC (outcome_now_ms), whatever becomes of the wall
 * clock.
 *
 * Threads: any.  Test the condition again in a loop around the wait. */
#ifndef CLIENT_WAIT_H
#define CLIENT_WAIT_H

#include <pthread.h>
#include <stdint.h>

/* pthread_cond_destroy() it. */
void wait_init(pthread_cond_t *condition);

/* 0: it was told, perhaps; ETIMEDOUT: the moment has come. */
int wait_until_ms(pthread_cond_t *condition, pthread_mutex_t *lock, uint64_t until_ms);

#endif
