/* Greedy: every knob to its least, or as near to it as the failure lasts, until a whole round changes nothing. */
#include "tests/sim/shrink.h"

#include "server/base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TRY_SECONDS_MAX = 10, STATUS_BASE = 100 };

#define SHRINK_NS_MAX (20 * NS_PER_S)

struct shrinker {
    uint64_t seed;
    enum rule rule;
    shrink_play *play;
    struct knobs *knobs;
    unsigned try_count;
    uint64_t until_ns;
};

static bool is_over(const struct shrinker *shrinker)
{
    return clock_now_ns() >= shrinker->until_ns;
}

/* What became of a try: the exit status of its process says which promise was broken. */
static bool still_fails(struct shrinker *shrinker, const struct knobs *knobs)
{
    int status = 0;
    pid_t child;

    if (is_over(shrinker))
        return false;
    shrinker->try_count++;
    fflush(NULL);
    child = fork();
    if (child == 0) {
        alarm(TRY_SECONDS_MAX);
        _exit(shrinker->play(shrinker->seed, knobs) ? 0 : STATUS_BASE + (int)verdict_rule());
    }
    if (child == -1 || waitpid(child, &status, 0) != child)
        return false;
    return WIFEXITED(status) && WEXITSTATUS(status) == STATUS_BASE + (int)shrinker->rule;
}

static bool try_value(struct shrinker *shrinker, unsigned knob, uint64_t value)
{
    struct knobs knobs = *shrinker->knobs;

    knobs_turn(&knobs, knob, value);
    if (!still_fails(shrinker, &knobs))
        return false;
    *shrinker->knobs = knobs;
    return true;
}

/* Between what is known to fail and what is known not to. */
static bool turn_down(struct shrinker *shrinker, unsigned knob, uint64_t now)
{
    uint64_t passing = knobs_least(knob), failing = now;

    if (now <= passing)
        return false;
    if (try_value(shrinker, knob, passing))
        return true;
    while (failing - passing > 1 && failing - passing > failing / 16) {
        uint64_t middle = passing + (failing - passing) / 2;

        *(try_value(shrinker, knob, middle) ? &failing : &passing) = middle;
    }
    return failing < now;
}

unsigned shrink(uint64_t seed, enum rule rule, shrink_play *play, struct knobs *knobs)
{
    struct shrinker shrinker = {
        .seed = seed, .rule = rule, .play = play, .knobs = knobs, .until_ns = clock_now_ns() + SHRINK_NS_MAX};
    bool changed = true;

    while (changed && !is_over(&shrinker)) {
        changed = false;
        for (unsigned knob = 0; knob < knobs_count(); knob++) {
            struct random random;
            struct plan plan;

            random_seed(&random, seed);
            plan_draw(&plan, &random);
            knobs_apply(knobs, &plan);
            changed |= turn_down(&shrinker, knob, knobs_read(&plan, knob));
        }
    }
    return shrinker.try_count;
}
