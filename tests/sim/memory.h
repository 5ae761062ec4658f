/* The engine's memory, watched: how many blocks it holds, whether a step asked for any, and a block that is refused.
 *
 * The program is linked with --wrap for malloc and its kin, so this sees every allocation of the engine, of base/ and
 * of the simulation itself, but none inside the C library.  Threads: one. */
#ifndef TESTS_SIM_MEMORY_H
#define TESTS_SIM_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

/* Blocks allocated and not freed. */
int64_t memory_block_count(void);

/* Around a step.  fail_at: the number of the allocation that fails, and all behind it; 0: none does. */
void memory_watch(uint64_t fail_at);
struct memory_watched {
    uint64_t asked_count;
    bool failed; /* at least one was refused */
};
struct memory_watched memory_unwatch(void);

#endif
