/* Who calls: several uids with bursts of equal and unequal questions, deadlines, departures in time and too late, the
 * fences they were told and others they make up. */
#include "tests/sim/world.h"

#include "server/base/clock.h"
#include "tests/sim/secrets.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void clients_init(struct world *world)
{
    for (size_t i = WORLD_CALL_COUNT; i-- > 0;) {
        world->calls[i].next_free = world->free_calls;
        world->free_calls = &world->calls[i];
    }
    world->arrivals_left = world->plan.arrival_count;
    if (world->plan.crowded)
        crowd_init(world);
    else
        world_schedule(world, world->now_ns, EVENT_ARRIVAL, NULL, 0);
}

/* ---- what is asked ---- */

static unsigned draw_home(struct world *world)
{
    struct plan *plan = &world->plan;

    return (unsigned)random_below(&world->random, random_chance(&world->random, plan->hot_chance) ? plan->hot_home_count
                                                                                                  : plan->home_count);
}

/* A fence that the client was told, or one of the past, the future or another daemon. */
static struct fence draw_fence(struct world *world, unsigned home)
{
    struct fence seen = world->seen[home];

    if (seen.epoch == 0)
        seen = (struct fence){world->model.epoch, 1};
    switch (random_below(&world->random, 8)) {
    case 0:
        return (struct fence){seen.epoch, seen.generation + random_between(&world->random, 1, 2)};
    case 1:
        return (struct fence){seen.epoch ^ 1, seen.generation};
    case 2:
        return (struct fence){seen.epoch, random_between(&world->random, 1, seen.generation)};
    default:
        return seen;
    }
}

static void draw_probe(struct world *world, struct sim_call *call)
{
    struct plan *plan = &world->plan;
    struct random *random = &world->random;

    call->provider = (unsigned)random_below(random, plan->provider_count);
    call->key = (unsigned)random_below(random, plan->key_count);
    call->refresh = random_chance(random, plan->refresh_chance);
    if (random_chance(random, plan->age_chance))
        call->age_ns_max = random_spread(random, 1000, 60 * NS_PER_S);
    if (random_chance(random, plan->at_least_chance))
        call->at_least = draw_fence(world, call->home);
    call->accept_stale = random_chance(random, plan->stale_chance);
}

static void draw_invalidation(struct world *world, struct sim_call *call)
{
    struct plan *plan = &world->plan;
    struct random *random = &world->random;

    call->provider = CAST_ALL;
    if (random_chance(random, plan->provider_chance))
        call->provider = (unsigned)random_below(random, plan->provider_count);
    if (random_chance(random, plan->global_chance)) {
        call->home = call->provider = CAST_ALL;
        call->new_epoch = random_next(random) | 1;
    } else {
        call->known_only = random_chance(random, plan->known_only_chance);
    }
    call->quiesced = random_chance(random, plan->quiesced_chance);
}

static uint32_t draw_uid(struct world *world, unsigned home)
{
    struct plan *plan = &world->plan;

    return plan->owned ? plan_owner(plan, home)
                       : plan->uid_first + (uint32_t)random_below(&world->random, plan->uid_count);
}

static void draw_call(struct world *world, struct sim_call *call, unsigned home)
{
    struct plan *plan = &world->plan;
    struct random *random = &world->random;

    *call = (struct sim_call){.id = ++world->call_count};
    call->home = home;
    call->uid = draw_uid(world, home);
    call->arrived_ns = world->now_ns;
    call->deadline_ns = world->now_ns + random_spread(random, plan->deadline.first_ns, plan->deadline.last_ns);
    if (random_chance(random, plan->expired_chance))
        call->deadline_ns = world->now_ns - random_below(random, 2);
    if (random_chance(random, plan->invalidate_chance))
        call->kind = ENGINE_CALL_INVALIDATE;
    else if (random_chance(random, plan->sync_chance))
        call->kind = ENGINE_CALL_SYNC;
    else
        call->kind = ENGINE_CALL_PROBE;
    if (call->kind == ENGINE_CALL_PROBE)
        draw_probe(world, call);
    else if (call->kind == ENGINE_CALL_INVALIDATE)
        draw_invalidation(world, call);
}

/* As the service does it, for the engine's eyes. */
static void fill_in(const struct world *world, struct sim_call *call)
{
    struct engine_call *engine = &call->engine;

    engine->id = call->id;
    engine->kind = call->kind;
    engine->uid = call->uid;
    engine->arrived_ns = call->arrived_ns;
    engine->deadline_ns = call->deadline_ns;
    if (call->kind == ENGINE_CALL_PROBE) {
        unsigned char key = (unsigned char)call->key;

        strcpy(engine->provider, model_provider(call->provider));
        engine->probe.api_key = secret_share(world->secrets[call->key]);
        secret_fingerprint(NULL, &key, sizeof key, &engine->probe.fingerprint);
        engine->probe.refresh = call->refresh;
        engine->probe.accept_stale = call->accept_stale;
        engine->probe.age_ns_max = call->age_ns_max;
        engine->probe.at_least = call->at_least;
    } else if (call->kind == ENGINE_CALL_INVALIDATE) {
        strcpy(engine->provider, model_provider(call->provider));
        engine->invalidate.quiesced = call->quiesced;
        engine->invalidate.known_only = call->known_only;
        snprintf(engine->invalidate.reason, sizeof engine->invalidate.reason, "reason %" PRIu64, call->id);
    }
}

/* ---- how it goes ---- */

static void hand_in(struct world *world, struct sim_call *call)
{
    static const enum step_kind kinds[] = {
        [ENGINE_CALL_PROBE] = STEP_PROBE,
        [ENGINE_CALL_INVALIDATE] = STEP_INVALIDATE,
        [ENGINE_CALL_SYNC] = STEP_SYNC,
    };

    world_step(world, &(struct model_step){.kind = kinds[call->kind], .call = call});
}

/* NULL: more than the world has room for are in progress. */
static struct sim_call *take_slot(struct world *world)
{
    struct sim_call *call = world->free_calls;

    if (call != NULL)
        world->free_calls = call->next_free;
    return call;
}

static void schedule_fate(struct world *world, struct sim_call *call)
{
    struct plan *plan = &world->plan;
    struct random *random = &world->random;

    world_schedule(world, (call->deadline_ns > world->now_ns ? call->deadline_ns : world->now_ns) + 1,
                   EVENT_DEADLINE_PAST, call, call->id);
    if (random_chance(random, plan->departure_chance))
        world_schedule(world, world_later(world, plan->departure), EVENT_DEPARTURE, call, call->id);
    if (random_chance(random, plan->late_departure_chance))
        world_schedule(world, world_later(world, plan->deadline), EVENT_DEPARTURE, call, call->id);
}

static void come_in(struct world *world, struct sim_call *call)
{
    uint64_t id = call->id;

    fill_in(world, call);
    TRACE("%12.6f call %" PRIu64 ": %s h%u p%u k%u uid %u%s%s%s%s, %.3f ms", (double)world->now_ns / 1e9, id,
          call->kind == ENGINE_CALL_PROBE  ? "probe"
          : call->kind == ENGINE_CALL_SYNC ? "sync"
                                           : "invalidate",
          call->home, call->provider, call->key, call->uid, call->refresh ? " refresh" : "",
          call->accept_stale ? " stale" : "", call->at_least.epoch != 0 ? " at_least" : "",
          call->quiesced ? " quiesced" : "", ((double)call->deadline_ns - (double)world->now_ns) / 1e6);
    if (call->kind == ENGINE_CALL_PROBE && (call->age_ns_max != 0 || call->at_least.epoch != 0))
        TRACE("%12.6f   not older than %.3f ms, nor than %" PRIx64 "/%" PRIu64, (double)world->now_ns / 1e9,
              (double)call->age_ns_max / 1e6, call->at_least.epoch, call->at_least.generation);
    schedule_fate(world, call);
    if (!random_chance(&world->random, world->plan.parked_chance) || call->home == CAST_ALL) {
        hand_in(world, call);
        return;
    }
    world_step(world, &(struct model_step){.kind = STEP_PARKED, .call = call});
    if (call->place == CALL_PARKED && call->id == id)
        world_schedule(world, world_later(world, world->plan.pin), EVENT_RESOLVED, call, id);
}

/* The number that says which question an echo puts again, and whether it insists. */
static uint64_t question_of(const struct sim_call *call, bool refresh)
{
    return (((uint64_t)call->home * PLAN_PROVIDER_COUNT_MAX + call->provider) * PLAN_KEY_COUNT_MAX + call->key) * 2 +
           refresh;
}

/* A nanosecond before what was told runs out, or the daemon may ask again, or right then. */
static void schedule_echo(struct world *world, const struct sim_call *call)
{
    bool answered = call->engine.result.status.code == STATUS_OK, refresh = random_chance(&world->random, 300);
    uint64_t kept_ns = answered ? call->engine.result.fresh_ns : world->model.settings.failure_ttl_ns;

    if (refresh)
        kept_ns = model_held_ns(&world->model, call);
    if (random_chance(&world->random, world->plan.echo_chance) && kept_ns > 0 && !world->ending)
        world_schedule(world, world->now_ns + kept_ns - random_below(&world->random, 2), EVENT_ECHO, NULL,
                       question_of(call, refresh));
}

static void arrive_one(struct world *world, const struct sim_call *like)
{
    struct sim_call *call = take_slot(world);

    if (call == NULL)
        return;
    draw_call(world, call, like != NULL ? like->home : draw_home(world));
    if (like != NULL && call->kind == ENGINE_CALL_PROBE) {
        call->provider = like->provider;
        call->key = like->key;
        call->at_least = (struct fence){0};
    }
    come_in(world, call);
}

/* One call, or many at once: equal ones (a herd), or of one home, or of all. */
static void arrive(struct world *world)
{
    struct random *random = &world->random;
    unsigned count = 1;
    struct sim_call like = {.home = draw_home(world)};
    bool equal = random_chance(random, 500);

    if (random_chance(random, world->plan.burst_chance))
        count = (unsigned)random_between(random, 2, world->plan.burst_count_max);
    like.provider = (unsigned)random_below(random, world->plan.provider_count);
    like.key = (unsigned)random_below(random, world->plan.key_count);
    for (unsigned i = 0; i < count; i++)
        arrive_one(world, count > 1 && equal ? &like : NULL);
    if (world->arrivals_left > 0 && --world->arrivals_left > 0) {
        /* Now and then a silence that lets caches, idle workers, lifetimes and holds run out. */
        world_schedule(world, world_later(world, random_chance(random, 8) ? world->plan.silence : world->plan.gap),
                       EVENT_ARRIVAL, NULL, 0);
    } else {
        world->finished = true;
    }
}

/* A probe of this question, whatever the world would have asked. */
static void ask(struct world *world, uint64_t question, struct fence at_least)
{
    struct sim_call *call = take_slot(world);

    if (call == NULL)
        return;
    draw_call(world, call, (unsigned)(question / 2 / PLAN_KEY_COUNT_MAX / PLAN_PROVIDER_COUNT_MAX));
    call->kind = ENGINE_CALL_PROBE;
    call->home = (unsigned)(question / 2 / PLAN_KEY_COUNT_MAX / PLAN_PROVIDER_COUNT_MAX);
    call->provider = (unsigned)(question / 2 / PLAN_KEY_COUNT_MAX % PLAN_PROVIDER_COUNT_MAX);
    call->key = (unsigned)(question / 2 % PLAN_KEY_COUNT_MAX);
    call->refresh = question % 2;
    call->quiesced = call->known_only = false;
    call->at_least = at_least;
    call->age_ns_max = 0;
    come_in(world, call);
}

/* What is in the air there since before the invalidation, and so must not be joined. */
static void follow(struct world *world, unsigned home)
{
    LIST_EACH (node, &world->model.homes[home].flights) {
        const struct model_flight *flight = LIST_OWNER(node, struct model_flight, of_home);

        if (flight->leased) {
            struct sim_call like = {.home = home, .provider = flight->provider, .key = flight->key};

            ask(world, question_of(&like, false), world->seen[home]);
            return;
        }
    }
}

void clients_ask(struct world *world, unsigned home)
{
    struct sim_call *call = take_slot(world);

    if (call == NULL)
        return;
    draw_call(world, call, home);
    call->crowd = true;
    come_in(world, call);
}

static void resolve(struct world *world, struct sim_call *call, uint64_t id)
{
    bool parked = call->id == id && call->place == CALL_PARKED;
    bool unparked = engine_call_unparked(world->engine, &call->engine, id);

    CLAIM(RULE_CALLS, parked == unparked, "call %" PRIu64 " is %s, the engine says it is %s", id,
          parked ? "parked" : "not parked", unparked ? "parked" : "not");
    if (unparked)
        hand_in(world, call);
}

/* Perhaps long after the call was answered, when its memory serves another. */
static void depart(struct world *world, struct sim_call *call, uint64_t id)
{
    bool same = call->id == id && call->place != CALL_FREE;

    TRACE("%12.6f call %" PRIu64 ": its client leaves", (double)world->now_ns / 1e9, id);
    world_step(world, &(struct model_step){.kind = STEP_LEFT, .call = same ? call : NULL, .left = call, .left_id = id});
}

void clients_event(struct world *world, const struct event *event)
{
    struct sim_call *call = event->object;

    switch (event->kind) {
    case EVENT_ARRIVAL:
        arrive(world);
        break;
    case EVENT_ECHO:
        ask(world, event->number, (struct fence){0});
        break;
    case EVENT_CROWD:
        crowd_event(world, (uint32_t)event->number);
        break;
    case EVENT_FOLLOW:
        follow(world, (unsigned)event->number);
        break;
    case EVENT_RESOLVED:
        resolve(world, call, event->number);
        break;
    case EVENT_DEPARTURE:
        depart(world, call, event->number);
        break;
    case EVENT_DEADLINE_PAST:
        CLAIM(RULE_TIME, call->id != event->number || call->place == CALL_FREE || call->place == CALL_IN_NEWS,
              "call %" PRIu64 " is kept past its deadline", call->id);
        break;
    default:
        break;
    }
}

void clients_answered(struct world *world, struct sim_call *call)
{
    const struct engine_result *result = &call->engine.result;

    TRACE("%12.6f call %" PRIu64 ": %s%s%s origin %d %s", (double)world->now_ns / 1e9, call->id,
          status_code_name(result->status.code), result->stale ? " stale" : "",
          result->last_good != NULL ? " last_good" : "", result->origin, result->status.message);
    if (call->kind == ENGINE_CALL_PROBE) {
        schedule_echo(world, call);
        secret_release(call->engine.probe.api_key);
        answer_release(result->answer);
        answer_release(result->last_good);
    } else if (result->status.code == STATUS_OK && call->home == CAST_ALL) {
        for (unsigned home = 0; home < world->plan.home_count; home++)
            world->seen[home] = result->fence;
    } else if (result->status.code == STATUS_OK) {
        world->seen[call->home] = result->fence;
        if (call->kind == ENGINE_CALL_INVALIDATE && !world->ending &&
            random_chance(&world->random, world->plan.follow_chance))
            world_schedule(world, world->now_ns, EVENT_FOLLOW, NULL, call->home);
    }
    if (call->crowd)
        crowd_answered(world, call);
    call->next_free = world->free_calls;
    world->free_calls = call;
}
