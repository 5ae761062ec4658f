/* How long tests wait, and how often they try.
 *
 * Patience is for what must come: it is long, and is only ever used up by a failure.  Promises of the contract about
 * time are asserted where time is worth something: not under sanitizers, nor on an emulated machine, of which
 * PROBED_EMULATED=1 tells (its Check wants CK_TIMEOUT_MULTIPLIER).  Counts are a share of the figure that scripts/soak
 * reaches. */
#ifndef TESTS_SUPPORT_PATIENCE_H
#define TESTS_SUPPORT_PATIENCE_H

#include "proto/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum {
    PATIENCE_SCALE = SANITIZED ? 4 : 1,
    PATIENCE_MS = 15000 * PATIENCE_SCALE,   /* for one thing to happen */
    PATIENCE_TEST_S = 120 * PATIENCE_SCALE, /* for one test; Check's timeout */
    PATIENCE_SOAK_S = 3600,                 /* the same under PROBED_SOAK */
    PATIENCE_ROUNDS = 4,                    /* a bound in time must hold in one: the machine has other things to do */
    SHARE_OF_SOAK = 20                      /* at least a twentieth runs always */
};

static inline bool patience_is_told(const char *variable)
{
    const char *value = getenv(variable);

    return value != NULL && strcmp(value, "1") == 0;
}

/* Whether a bound in time may be asserted. */
static inline bool patience_time_counts(void)
{
    return !SANITIZED && !patience_is_told("PROBED_EMULATED");
}

static inline bool patience_soaks(void)
{
    return patience_is_told("PROBED_SOAK");
}

/* How many of `figure` tries are made now. */
static inline size_t patience_count(size_t figure)
{
    return patience_soaks() ? figure : (figure + SHARE_OF_SOAK - 1) / SHARE_OF_SOAK;
}

static inline double patience_test_s(void)
{
    return patience_soaks() ? PATIENCE_SOAK_S : PATIENCE_TEST_S;
}

#endif
