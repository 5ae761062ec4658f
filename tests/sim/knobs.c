/* The table of knobs, what shrinks the story most in front. */
#include "tests/sim/knobs.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/*  KNOB("name", field of struct plan, least) */
#define KNOBS(KNOB)                                                                                                    \
    KNOB("arrivals", arrival_count, 1)                                                                                 \
    KNOB("homes", home_count, 1)                                                                                       \
    KNOB("uids", uid_count, 1)                                                                                         \
    KNOB("crowd", crowd_count, 1)                                                                                      \
    KNOB("burst", burst_count_max, 1)                                                                                  \
    KNOB("providers", provider_count, 1)                                                                               \
    KNOB("keys", key_count, 1)                                                                                         \
    KNOB("custodian-deaths", custodian_death_count, 0)                                                                 \
    KNOB("settings-changes", settings_change_count, 0)                                                                 \
    KNOB("jumps", jump_count, 0)                                                                                       \
    KNOB("lazy-drains", lazy_drains, 0)                                                                                \
    KNOB("memory", memory_chance, 0)                                                                                   \
    KNOB("ticks", tick_chance, 0)                                                                                      \
    KNOB("parked", parked_chance, 0)                                                                                   \
    KNOB("departures", departure_chance, 0)                                                                            \
    KNOB("late-departures", late_departure_chance, 0)                                                                  \
    KNOB("expired", expired_chance, 0)                                                                                 \
    KNOB("echoes", echo_chance, 0)                                                                                     \
    KNOB("followers", follow_chance, 0)                                                                                \
    KNOB("invalidations", invalidate_chance, 0)                                                                        \
    KNOB("globals", global_chance, 0)                                                                                  \
    KNOB("known-only", known_only_chance, 0)                                                                           \
    KNOB("quiesced", quiesced_chance, 0)                                                                               \
    KNOB("syncs", sync_chance, 0)                                                                                      \
    KNOB("refresh", refresh_chance, 0)                                                                                 \
    KNOB("ages", age_chance, 0)                                                                                        \
    KNOB("at-least", at_least_chance, 0)                                                                               \
    KNOB("stale", stale_chance, 0)                                                                                     \
    KNOB("pin-refused", pin_refused_chance, 0)                                                                         \
    KNOB("launch-refused", launch_refused_chance, 0)                                                                   \
    KNOB("crash-starting", crash_starting_chance, 0)                                                                   \
    KNOB("crash-idle", crash_idle_chance, 0)                                                                           \
    KNOB("speak-idle", speak_idle_chance, 0)                                                                           \
    KNOB("die", die_chance, 0)                                                                                         \
    KNOB("breach", breach_chance, 0)                                                                                   \
    KNOB("silent", silent_chance, 0)                                                                                   \
    KNOB("stray", stray_chance, 0)                                                                                     \
    KNOB("blame", blame_chance, 0)                                                                                     \
    KNOB("bad", bad_chance, 0)                                                                                         \
    KNOB("refused", refused_chance, 0)                                                                                 \
    KNOB("limited", limited_chance, 0)                                                                                 \
    KNOB("manners", manners_chance, 0)                                                                                 \
    KNOB("keep-good-ns", settings.keep_good_ns, 0)                                                                     \
    KNOB("reserve", settings.reserve_per_home, 0)                                                                      \
    KNOB("prewarm", settings.prewarm, 0)                                                                               \
    KNOB("ttl-ns", settings.cache_ttl_ns, 0)                                                                           \
    KNOB("failure-ttl-ns", settings.failure_ttl_ns, 0)                                                                 \
    KNOB("workers-per-home", settings.workers_per_home, 1)                                                             \
    KNOB("workers-max", settings.workers_max, 1)

static const struct {
    const char *name;
    size_t offset, size;
    uint64_t least;
} table[] = {
#define KNOB(shown, field, least_value)                                                                                \
    {.name = (shown),                                                                                                  \
     .offset = offsetof(struct plan, field),                                                                           \
     .size = sizeof(((struct plan *)0)->field),                                                                        \
     .least = (least_value)},
    KNOBS(KNOB)
#undef KNOB
};

_Static_assert(sizeof table / sizeof table[0] <= KNOB_COUNT_MAX, "struct knobs has a place for each knob");

unsigned knobs_count(void)
{
    return sizeof table / sizeof table[0];
}

const char *knobs_name(unsigned knob)
{
    return table[knob].name;
}

uint64_t knobs_least(unsigned knob)
{
    return table[knob].least;
}

/* Fields are bool, unsigned or uint64_t. */
uint64_t knobs_read(const struct plan *plan, unsigned knob)
{
    const char *field = (const char *)plan + table[knob].offset;
    unsigned number;
    uint64_t large;

    switch (table[knob].size) {
    case sizeof(bool):
        return *field != 0;
    case sizeof number:
        memcpy(&number, field, sizeof number);
        return number;
    default:
        memcpy(&large, field, sizeof large);
        return large;
    }
}

static void write_field(struct plan *plan, unsigned knob, uint64_t value)
{
    char *field = (char *)plan + table[knob].offset;
    unsigned number = (unsigned)value;
    bool flag = value != 0;

    switch (table[knob].size) {
    case sizeof flag:
        memcpy(field, &flag, sizeof flag);
        break;
    case sizeof number:
        memcpy(field, &number, sizeof number);
        break;
    default:
        memcpy(field, &value, sizeof value);
        break;
    }
}

void knobs_turn(struct knobs *knobs, unsigned knob, uint64_t value)
{
    knobs->turned[knob] = true;
    knobs->values[knob] = value;
}

bool knobs_parse(struct knobs *knobs, const char *text)
{
    const char *sign = strchr(text, '=');
    char *end;
    uint64_t value;

    if (sign == NULL || sign[1] < '0' || sign[1] > '9')
        return false;
    errno = 0;
    value = strtoull(sign + 1, &end, 10);
    if (errno != 0 || *end != '\0')
        return false;
    for (unsigned knob = 0; knob < knobs_count(); knob++)
        if (strncmp(table[knob].name, text, (size_t)(sign - text)) == 0 && table[knob].name[sign - text] == '\0') {
            knobs_turn(knobs, knob, value);
            return true;
        }
    return false;
}

void knobs_apply(const struct knobs *knobs, struct plan *plan)
{
    for (unsigned knob = 0; knob < knobs_count(); knob++)
        if (knobs->turned[knob])
            write_field(plan, knob, knobs->values[knob] < table[knob].least ? table[knob].least : knobs->values[knob]);
    plan_settle(plan);
}
