/* Chance, all of it from one 64-bit seed: the same seed is the same world.
 *
 * xoshiro256** after Blackman and Vigna, its state filled by splitmix64.  Not for secrets.
 * Threads: one at a time. */
#ifndef TESTS_SIM_RANDOM_H
#define TESTS_SIM_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct random {
    uint64_t state[4];
};

void random_seed(struct random *random, uint64_t seed);

uint64_t random_next(struct random *random);

/* 0 … bound - 1; bound is not 0.  first … last, both included. */
uint64_t random_below(struct random *random, uint64_t bound);
uint64_t random_between(struct random *random, uint64_t first, uint64_t last);

/* As random_between, but each order of magnitude is as likely as the next. */
uint64_t random_spread(struct random *random, uint64_t first, uint64_t last);

/* True in so many of a thousand cases. */
bool random_chance(struct random *random, unsigned per_mille);

/* One of the listed numbers. */
#define RANDOM_PICK(random, ...)                                                                                       \
    random_pick(random, (const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))
uint64_t random_pick(struct random *random, const uint64_t *numbers, size_t count);

#endif
