/* What one seed's world is like: the engine's settings, who lives there, and what goes wrong how often.
 *
 * Everything is drawn once, before the first step.  Chances are in thousandths, times in nanoseconds.
 * In a calm world nothing fails and deadlines are far: whoever stays is served.
 *
 * In an owned world each home is one uid's alone, so that whose turn it is can be told from outside.  A crowded world
 * is owned, too: the last uid has most of the homes and calls for all of them without end, the others have one home
 * each and ask one thing at a time (crowd.c). */
#ifndef TESTS_SIM_PLAN_H
#define TESTS_SIM_PLAN_H

#include "server/engine/engine.h"
#include "tests/sim/random.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    PLAN_HOME_COUNT_MAX = 256,
    PLAN_PROVIDER_COUNT_MAX = 4,
    PLAN_KEY_COUNT_MAX = 3, /* the first is no api_key at all */
    PLAN_UID_COUNT_MAX = 5,
    PLAN_UID_END = PLAN_UID_COUNT_MAX + 1, /* above every uid that calls */
};

struct plan_range {
    uint64_t first_ns, last_ns;
};

enum plan_end {
    PLAN_END_DRAIN, /* refuse, finish, wait for emptiness */
    PLAN_END_STOP,  /* cut everything off at once */
    PLAN_END_DRAIN_THEN_STOP,
    PLAN_END_COUNT
};

struct plan {
    struct engine_settings settings;
    bool calm;
    enum plan_end end;
    unsigned arrival_count; /* moments at which somebody calls; a burst is one */
    uint64_t grain_ns;      /* everything happens at multiples of this: 1, or enough to make things coincide */

    /* Who calls for what. */
    unsigned home_count, hot_home_count, provider_count, key_count;
    unsigned uid_first, uid_count; /* uid 0 is root */
    bool owned, crowded;
    unsigned crowd_count; /* clients of the uid that never has enough */
    unsigned hot_chance, burst_chance, burst_count_max;
    struct plan_range gap, deadline, departure, silence;
    unsigned departure_chance, late_departure_chance, parked_chance, expired_chance;
    unsigned refresh_chance, age_chance, at_least_chance, stale_chance, echo_chance, follow_chance;
    unsigned invalidate_chance, global_chance, provider_chance, quiesced_chance, known_only_chance, sync_chance;

    /* The custodian and its workers. */
    struct plan_range order_delay, pin, spawn, end_grace, service;
    unsigned pin_refused_chance, launch_refused_chance, crash_starting_chance, crash_idle_chance, speak_idle_chance;
    unsigned die_chance, breach_chance, silent_chance, stray_chance;
    unsigned custodian_death_count, blame_chance; /* that the custodian says it was its own doing */

    /* What they say of accounts: each keeps its mood for a while. */
    unsigned mood_chance, figures_chance, bad_chance, refused_chance, limited_chance, manners_chance;
    struct plan_range retry, manners;

    /* The shell. */
    bool lazy_drains; /* outboxes are emptied late, not behind each step */
    struct plan_range drain_delay;
    unsigned tick_chance, memory_chance;
    unsigned settings_change_count;
    unsigned jump_count; /* moments at which time goes on and nothing runs: a suspended machine, a stopped process */
};

void plan_draw(struct plan *plan, struct random *random);

/* Other limits for an engine that runs. */
void plan_draw_settings(const struct plan *plan, struct random *random, struct engine_settings *settings_out);

/* Whose home it is, in an owned world. */
uint32_t plan_owner(const struct plan *plan, unsigned home);

/* The uid that never has enough, in a crowded world. */
uint32_t plan_crowd(const struct plan *plan);

/* Makes fields agree that do not once some of them were turned down. */
void plan_settle(struct plan *plan);

#endif
