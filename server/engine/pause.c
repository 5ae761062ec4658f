/* Pauses: begun, grown, ended, forgotten. */
#include "server/engine/pause.h"

#include "server/base/duration.h"
#include "server/engine/state.h"

#include <inttypes.h>
#include <stdlib.h>

/* proto/README.md 3, "Failures". */
enum { FAULTS_BEFORE_PAUSE = 2 };
#define PAUSE_NS_MIN (100 * NS_PER_MS)
#define PAUSE_NS_MAX (30 * NS_PER_S)

/* A home that nobody asks for is not remembered for its faults. */
#define FORGET_NS (60 * NS_PER_S)

bool pause_reserve(struct household *household)
{
    if (household->pause == NULL)
        household->pause = calloc(1, sizeof *household->pause);
    return household->pause != NULL;
}

static uint64_t span_ns(unsigned fault_count)
{
    uint64_t span_ns = PAUSE_NS_MIN;

    for (unsigned count = FAULTS_BEFORE_PAUSE; count < fault_count && span_ns < PAUSE_NS_MAX; count++)
        span_ns *= 2;
    return span_ns < PAUSE_NS_MAX ? span_ns : PAUSE_NS_MAX;
}

/* A new epoch ends all pauses, without visiting one. */
static bool is_void(const struct engine *engine, const struct pause *pause)
{
    return pause == NULL || pause->epoch != engine->epoch;
}

void pause_note_failure(const struct engine *engine, uint64_t now_ns, struct household *household,
                        const struct status *cause)
{
    struct pause *pause = household->pause;
    uint64_t forgotten_ns = now_ns + FORGET_NS;

    INVARIANT(pause != NULL);
    if (is_void(engine, pause))
        *pause = (struct pause){.epoch = engine->epoch, .row = pause->row};
    pause->cause = *cause;
    if (forgotten_ns > pause->forgotten_ns)
        pause->forgotten_ns = forgotten_ns;
}

void pause_note_fault(struct engine *engine, uint64_t now_ns, struct household *household, const struct status *cause)
{
    struct pause *pause = household->pause;

    household_touch(engine, household);
    pause_note_failure(engine, now_ns, household, cause);
    if (pause->faults_forgotten_ns <= now_ns)
        pause->fault_count = 0;
    pause->fault_count++;
    pause->until_ns = now_ns;
    if (pause->fault_count >= FAULTS_BEFORE_PAUSE + MUTANT(PAUSE_LATE)) {
        pause->until_ns += span_ns(pause->fault_count);
        engine_count(engine, ENGINE_COUNTER_PAUSES);
    }
    pause->faults_forgotten_ns = pause->until_ns + FORGET_NS;
    if (pause->faults_forgotten_ns > pause->forgotten_ns)
        pause->forgotten_ns = pause->faults_forgotten_ns;
}

void pause_end(struct household *household)
{
    if (household->pause != NULL)
        *household->pause = (struct pause){.row = household->pause->row + 1};
}

uint64_t pause_left_ns(const struct engine *engine, const struct household *household, uint64_t now_ns)
{
    const struct pause *pause = household->pause;

    return !is_void(engine, pause) && pause->until_ns > now_ns ? pause->until_ns - now_ns : 0;
}

struct status pause_status(const struct engine *engine, const struct household *household, uint64_t now_ns)
{
    const struct pause *pause = household->pause;
    uint64_t left_ms = (pause_left_ns(engine, household, now_ns) + NS_PER_MS - 1) / NS_PER_MS;

    return status_make_retry(STATUS_UNAVAILABLE, left_ms,
                             "no worker is started for this home for another %" PRIu64
                             " ms: the last %u ended before they answered: %s",
                             left_ms, pause->fault_count, pause->cause.message);
}

void pause_fade(const struct engine *engine, struct household *household, uint64_t now_ns)
{
    struct pause *pause = household->pause;

    if (pause == NULL || pause->forgotten_ns == 0)
        return;
    if (is_void(engine, pause))
        pause_end(household);
    else if (pause->forgotten_ns <= now_ns)
        *pause = (struct pause){.row = pause->row}; /* who has failed and is not reaped yet counts all the same */
}

uint64_t pause_forgotten_ns(const struct household *household)
{
    return household->pause == NULL ? 0 : household->pause->forgotten_ns;
}
