/* How each world differs from the next: ranges are drawn so that every order of magnitude is met. */
#include "tests/sim/plan.h"

#include "server/base/clock.h"

#define NEVER_NS (24 * 3600 * NS_PER_S)

static struct plan_range draw_range(struct random *random, uint64_t first_ns, uint64_t last_ns)
{
    uint64_t one = random_spread(random, first_ns, last_ns), other = random_spread(random, first_ns, last_ns);

    return one < other ? (struct plan_range){one, other} : (struct plan_range){other, one};
}

/* Off in half of the worlds, so that each fault is also seen alone. */
static unsigned draw_chance(struct random *random, unsigned most)
{
    return random_chance(random, 500) ? 0 : (unsigned)random_between(random, 1, most);
}

static void draw_settings(struct random *random, struct engine_settings *settings)
{
    *settings = (struct engine_settings){
        .homes_max = random_chance(random, 850) ? 1000000 : random_spread(random, 1, 4096),
        .workers_per_home = RANDOM_PICK(random, 1, 1, 2, 2, 3, 4),
        .workers_max = RANDOM_PICK(random, 1, 2, 3, 4, 8, 16),
        .reserve_per_home = RANDOM_PICK(random, 0, 0, 1, 1, 3),
        .reserve_wait_ns = random_chance(random, 100) ? 0 : random_spread(random, NS_PER_MS, 2 * NS_PER_S),
        .prewarm = random_chance(random, 500),
        .queue_per_home = RANDOM_PICK(random, 0, 1, 2, 4, 64, 64),
        .queue_max = RANDOM_PICK(random, 0, 2, 8, 4096, 4096, 4096),
        .idle_ns_max = random_spread(random, 10 * NS_PER_MS, 300 * NS_PER_S),
        .lifetime_ns = random_spread(random, 100 * NS_PER_MS, 3600 * NS_PER_S),
        .requests_max = RANDOM_PICK(random, 1, 2, 5, 10000, 10000, 10000),
        .run_ns_max = random_spread(random, 10 * NS_PER_MS, 30 * NS_PER_S),
        .cache_ttl_ns = random_chance(random, 100) ? 0 : random_spread(random, NS_PER_MS, 60 * NS_PER_S),
        .cache_entries_max = RANDOM_PICK(random, 1, 2, 5, 20, 64, 4096, 4096),
        .cache_bytes_max = RANDOM_PICK(random, 65536, 65536, 67108864),
        .failure_ttl_ns = RANDOM_PICK(random, 0, NS_PER_MS, NS_PER_S, 60 * NS_PER_S),
        .keep_good_ns = random_chance(random, 250) ? 0 : random_spread(random, NS_PER_MS, 24 * 3600 * NS_PER_S),
        .daemon_uid = (uint32_t)RANDOM_PICK(random, 1, 2, 1000),
    };
}

static void draw_clients(struct random *random, struct plan *plan)
{
    plan->home_count = (unsigned)random_spread(random, 1, PLAN_HOME_COUNT_MAX);
    plan->hot_home_count = (unsigned)random_between(random, 1, plan->home_count < 4 ? plan->home_count : 4);
    plan->provider_count = (unsigned)random_between(random, 1, PLAN_PROVIDER_COUNT_MAX);
    plan->key_count = (unsigned)random_between(random, 1, PLAN_KEY_COUNT_MAX);
    plan->uid_first = (unsigned)random_below(random, 2);
    plan->uid_count = (unsigned)random_between(random, 1, PLAN_UID_COUNT_MAX);
    plan->owned = random_chance(random, 400);
    plan->crowded = random_chance(random, 120);
    plan->crowd_count = (unsigned)random_spread(random, 8, 300);
    plan->hot_chance = (unsigned)random_between(random, 500, 1000);
    plan->burst_chance = draw_chance(random, 200);
    plan->burst_count_max = (unsigned)random_spread(random, 2, 64);
    plan->gap = draw_range(random, 10000, 200 * NS_PER_MS);
    plan->deadline = draw_range(random, NS_PER_MS, 60 * NS_PER_S);
    plan->departure = draw_range(random, 10000, 10 * NS_PER_S);
    plan->silence = (struct plan_range){NS_PER_MS, random_chance(random, 700) ? 400 * NS_PER_S : 8 * 3600 * NS_PER_S};
    plan->departure_chance = draw_chance(random, 400);
    plan->late_departure_chance = draw_chance(random, 200);
    plan->parked_chance = draw_chance(random, 200);
    plan->expired_chance = draw_chance(random, 20);
    plan->refresh_chance = draw_chance(random, 500);
    plan->age_chance = draw_chance(random, 400);
    plan->at_least_chance = draw_chance(random, 400);
    plan->stale_chance = draw_chance(random, 600);
    plan->echo_chance = draw_chance(random, 100);
    plan->follow_chance = draw_chance(random, 900);
    plan->invalidate_chance = draw_chance(random, 300);
    plan->global_chance = draw_chance(random, 100);
    plan->provider_chance = draw_chance(random, 800);
    plan->quiesced_chance = draw_chance(random, 700);
    plan->known_only_chance = draw_chance(random, 100);
    plan->sync_chance = draw_chance(random, 100);
}

static void draw_workers(struct random *random, struct plan *plan)
{
    plan->order_delay = draw_range(random, 1000, NS_PER_MS);
    plan->pin = draw_range(random, 1000, random_chance(random, 800) ? NS_PER_MS : NS_PER_S);
    plan->spawn = draw_range(random, 100000, random_chance(random, 800) ? 100 * NS_PER_MS : 10 * NS_PER_S);
    plan->end_grace = draw_range(random, 10000, random_chance(random, 700) ? 10 * NS_PER_MS : 2 * NS_PER_S);
    plan->service = draw_range(random, 10000, plan->settings.run_ns_max);
    plan->pin_refused_chance = draw_chance(random, 200);
    plan->launch_refused_chance = draw_chance(random, 200);
    plan->crash_starting_chance = draw_chance(random, 200);
    plan->crash_idle_chance = draw_chance(random, 200);
    plan->speak_idle_chance = draw_chance(random, 200);
    plan->die_chance = draw_chance(random, 300);
    plan->breach_chance = draw_chance(random, 200);
    plan->silent_chance = draw_chance(random, 200);
    plan->stray_chance = draw_chance(random, 200);
    plan->custodian_death_count = random_chance(random, 800) ? 0 : (unsigned)random_between(random, 1, 3);
    plan->blame_chance = draw_chance(random, 300);
}

static void draw_moods(struct random *random, struct plan *plan)
{
    plan->mood_chance = (unsigned)random_spread(random, 20, 1000);
    plan->figures_chance = (unsigned)random_between(random, 300, 1000);
    plan->bad_chance = draw_chance(random, 600);
    plan->refused_chance = draw_chance(random, 400);
    plan->limited_chance = draw_chance(random, 600);
    plan->manners_chance = draw_chance(random, 300);
    plan->retry = draw_range(random, NS_PER_MS, 2 * 3600 * NS_PER_S);
    plan->manners = draw_range(random, NS_PER_MS, 1000 * NS_PER_S);
}

static void draw_shell(struct random *random, struct plan *plan)
{
    plan->lazy_drains = random_chance(random, 250);
    plan->drain_delay = draw_range(random, 1000, 5 * NS_PER_MS);
    plan->tick_chance = draw_chance(random, 100);
    plan->memory_chance = random_chance(random, 750) ? 0 : (unsigned)random_between(random, 1, 200);
    plan->settings_change_count = random_chance(random, 850) ? 0 : (unsigned)random_between(random, 1, 4);
    plan->jump_count = random_chance(random, 850) ? 0 : (unsigned)random_between(random, 1, 8);
}

/* Nobody is refused for want of room, so that only turns decide how long anybody waits. */
static void crowd(struct random *random, struct plan *plan)
{
    plan->owned = true;
    plan->uid_count = (unsigned)random_between(random, 2, PLAN_UID_COUNT_MAX);
    plan->settings.daemon_uid = 1000;
    plan->settings.homes_max = 1000000;
    plan->settings.cache_ttl_ns = random_chance(random, 700) ? 0 : plan->settings.cache_ttl_ns;
    plan->invalidate_chance = random_chance(random, 500) ? 0 : plan->invalidate_chance;
    plan->manners_chance = plan->limited_chance = plan->refused_chance = 0;
    plan->burst_chance = plan->echo_chance = plan->follow_chance = 0;
}

static void calm_down(struct plan *plan)
{
    plan->settings.homes_max = 1000000;
    plan->settings.queue_per_home = 1000000;
    plan->settings.queue_max = 1000000;
    plan->service.last_ns = plan->settings.run_ns_max - 1;
    if (plan->service.first_ns > plan->service.last_ns)
        plan->service.first_ns = plan->service.last_ns;
    plan->deadline = (struct plan_range){NEVER_NS, NEVER_NS};
    plan->expired_chance = 0;
    plan->pin_refused_chance = plan->launch_refused_chance = plan->crash_starting_chance = 0;
    plan->crash_idle_chance = plan->speak_idle_chance = plan->die_chance = plan->breach_chance = 0;
    plan->silent_chance = plan->stray_chance = plan->custodian_death_count = 0;
    plan->memory_chance = plan->settings_change_count = plan->jump_count = 0;
    plan->end = PLAN_END_DRAIN;
}

void plan_draw(struct plan *plan, struct random *random)
{
    *plan = (struct plan){
        .calm = random_chance(random, 125),
        .end = (enum plan_end)random_below(random, PLAN_END_COUNT),
        .arrival_count = (unsigned)random_spread(random, 20, 3000),
        .grain_ns = RANDOM_PICK(random, 1, 1, 1000, NS_PER_MS),
    };
    draw_settings(random, &plan->settings);
    draw_clients(random, plan);
    draw_workers(random, plan);
    draw_moods(random, plan);
    draw_shell(random, plan);
    if (plan->calm)
        calm_down(plan);
    if (plan->crowded)
        crowd(random, plan);
    plan_settle(plan);
}

void plan_draw_settings(const struct plan *plan, struct random *random, struct engine_settings *settings_out)
{
    draw_settings(random, settings_out);
    settings_out->homes_max = plan->settings.homes_max;
    settings_out->daemon_uid = plan->settings.daemon_uid;
}

void plan_settle(struct plan *plan)
{
    if (plan->crowded && plan->home_count < plan->uid_count)
        plan->home_count = plan->uid_count;
    if (plan->hot_home_count > plan->home_count)
        plan->hot_home_count = plan->home_count;
    if (plan->burst_count_max < 2)
        plan->burst_chance = 0;
}

uint32_t plan_crowd(const struct plan *plan)
{
    return plan->uid_first + plan->uid_count - 1;
}

uint32_t plan_owner(const struct plan *plan, unsigned home)
{
    if (!plan->crowded)
        return plan->uid_first + home % plan->uid_count;
    return home < plan->uid_count - 1 ? plan->uid_first + home : plan_crowd(plan);
}
