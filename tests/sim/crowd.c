/* A uid that never has enough, with most of the homes, beside others that ask for one thing at a time: all of them call
 * again once they were answered, so that room under workers_max is scarce from the first moment to the last. */
#include "tests/sim/world.h"

void crowd_init(struct world *world)
{
    const struct plan *plan = &world->plan;
    uint32_t crowd = plan_crowd(plan);

    for (unsigned i = 0; i < plan->crowd_count; i++)
        world_schedule(world, world->now_ns, EVENT_CROWD, NULL, crowd);
    for (uint32_t uid = plan->uid_first; uid < crowd; uid++)
        world_schedule(world, world_later(world, plan->gap), EVENT_CROWD, NULL, uid);
}

static unsigned draw_home_of(struct world *world, uint32_t uid)
{
    unsigned home;

    do {
        home = (unsigned)random_below(&world->random, world->plan.home_count);
    } while (plan_owner(&world->plan, home) != uid);
    return home;
}

void crowd_event(struct world *world, uint32_t uid)
{
    if (world->arrivals_left == 0)
        return;
    if (--world->arrivals_left == 0)
        world->finished = true;
    clients_ask(world, draw_home_of(world, uid));
}

/* The crowd is back at once, the others after a while; nobody in no time at all, or the world would stand still. */
void crowd_answered(struct world *world, const struct sim_call *call)
{
    struct plan_range at_once = {1000, 1000};
    bool modest = call->uid != plan_crowd(&world->plan);

    if (world->arrivals_left > 0)
        world_schedule(world, world_later(world, modest ? world->plan.gap : at_once), EVENT_CROWD, NULL, call->uid);
}
