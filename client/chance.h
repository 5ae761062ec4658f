/* Pauses are drawn at random, so that those who fail together do not come back together: for spreading, not for
 * secrets.
 *
 * Threads: one at a time a state. */
#ifndef CLIENT_CHANCE_H
#define CLIENT_CHANCE_H

#include <stdint.h>

/* A state to begin with, another each time; not 0. */
uint64_t chance_seed(void);

/* 0 to below - 1, which is not 0.  The state is not 0. */
uint64_t chance_draw(uint64_t *state, uint64_t below);

#endif
