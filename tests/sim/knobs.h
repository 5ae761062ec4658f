/* What of a world can be turned down, by name: `sim --set NAME=VALUE`, and what shrinking a failing seed turns.
 *
 * A knob overrides one field of a plan once it was drawn, so the same seed goes on with another world; less of
 * everything makes a shorter story, if the seed still fails.  Threads: one. */
#ifndef TESTS_SIM_KNOBS_H
#define TESTS_SIM_KNOBS_H

#include "tests/sim/plan.h"

enum { KNOB_COUNT_MAX = 64 };

struct knobs {
    bool turned[KNOB_COUNT_MAX];
    uint64_t values[KNOB_COUNT_MAX];
};

unsigned knobs_count(void);
const char *knobs_name(unsigned knob);

/* What shrinking tries first: the least it can be. */
uint64_t knobs_least(unsigned knob);
uint64_t knobs_read(const struct plan *plan, unsigned knob);
void knobs_turn(struct knobs *knobs, unsigned knob, uint64_t value);

/* "name=value"; false when there is no such knob, or no such value. */
bool knobs_parse(struct knobs *knobs, const char *text);

/* Overrides what was drawn. */
void knobs_apply(const struct knobs *knobs, struct plan *plan);

#endif
