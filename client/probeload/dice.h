/* Chance, from a seed: arrivals, homes and shares.  Equal seeds give equal runs.
 *
 * Threads: one at a time; each thread rolls dice of its own.  A zipf is read only once it was made. */
#ifndef CLIENT_PROBELOAD_DICE_H
#define CLIENT_PROBELOAD_DICE_H

#include "proto/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014). */
struct dice {
    uint64_t state;
};

uint64_t dice_roll(struct dice *dice);
double dice_unit(struct dice *dice); /* 0 to just below 1 */
bool dice_chance(struct dice *dice, double share);
size_t dice_index(struct dice *dice, size_t count); /* below count, which is at least 1 */

/* The time between two arrivals of a Poisson process, in its means. */
double dice_interval(struct dice *dice);

/* Ranks 0 to count - 1, the k-th with a probability in proportion to 1 / (k + 1)^exponent. */
struct zipf {
    double *sums; /* owned */
    size_t count;
};

/* false: no memory. */
MUST_USE bool zipf_init(struct zipf *zipf, size_t count, double exponent);
void zipf_fini(struct zipf *zipf);
size_t zipf_roll(const struct zipf *zipf, struct dice *dice);

#endif
