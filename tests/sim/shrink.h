/* Makes a failing seed's story shorter: turns the knobs of its world down, one by one, for as long as the same promise
 * is still broken.
 *
 * Each try is a process of its own, so that what a broken run leaves in memory goes with it, and a world in which the
 * engine crashes is one that fails. */
#ifndef TESTS_SIM_SHRINK_H
#define TESTS_SIM_SHRINK_H

#include "tests/sim/knobs.h"
#include "tests/sim/verdict.h"

/* Plays the seed with these knobs, in this process; true: no promise was broken. */
typedef bool shrink_play(uint64_t seed, const struct knobs *knobs);

/* `knobs`: what it failed with; turned further on return.  Says how many worlds it tried. */
unsigned shrink(uint64_t seed, enum rule rule, shrink_play *play, struct knobs *knobs);

#endif
