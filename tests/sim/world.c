/* The loop of a run: the next event, or the time that the engine asked for; one step; what the step asks for. */
#include "tests/sim/world.h"

#include "server/base/clock.h"
#include "tests/sim/secrets.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AUDIT_STEPS = 512, STEP_COUNT_MAX = 1000000, REFUSED_ARRIVALS = 4 };

void world_schedule(struct world *world, uint64_t due_ns, enum event_kind kind, void *object, uint64_t number)
{
    timeline_add(&world->timeline, &(struct event){.due_ns = due_ns < world->now_ns ? world->now_ns : due_ns,
                                                   .tie = random_next(&world->random),
                                                   .kind = kind,
                                                   .object = object,
                                                   .number = number});
}

uint64_t world_later(struct world *world, struct plan_range range)
{
    uint64_t grain_ns = world->plan.grain_ns;
    uint64_t due_ns = world->now_ns + random_between(&world->random, range.first_ns, range.last_ns);

    return (due_ns + grain_ns - 1) / grain_ns * grain_ns;
}

/* ---- one step, and what comes of it ---- */

static void take_step(struct world *world, const struct model_step *step, struct actions *actions)
{
    struct engine *engine = world->engine;
    struct sim_worker *worker = step->worker;
    struct status cause = status_make(step->code, "cause %d", step->code);
    uint64_t now_ns = world->now_ns;
    const char *home =
        step->call == NULL || step->call->home == CAST_ALL ? NULL : world->model.homes[step->call->home].path;

    switch (step->kind) {
    case STEP_PARKED:
        engine_call_parked(engine, now_ns, &step->call->engine, actions);
        break;
    case STEP_PROBE:
        engine_probe_arrived(engine, now_ns, &step->call->engine, home, actions);
        break;
    case STEP_INVALIDATE:
        engine_invalidate_arrived(engine, now_ns, &step->call->engine, home, step->call->new_epoch, actions);
        break;
    case STEP_SYNC:
        engine_sync_arrived(engine, now_ns, &step->call->engine, home, actions);
        break;
    case STEP_LEFT:
        engine_call_left(engine, now_ns, &step->left->engine, step->left_id, actions);
        break;
    case STEP_PINNED:
        world->model.step.taken = engine_worker_pinned(engine, now_ns, worker->id, step->home_fd, actions);
        break;
    case STEP_UP:
        engine_worker_up(engine, now_ns, worker->id, (int32_t)(1000 + worker->id), worker->channel, worker->spawn_ns,
                         actions);
        break;
    case STEP_GONE:
        engine_worker_gone(engine, now_ns, worker->id, step->blame, &cause, actions);
        break;
    case STEP_SPOKE:
        engine_worker_spoke(engine, now_ns, worker->id, step->turn, actions);
        break;
    case STEP_RETURN:
        engine_lease_returned(engine, now_ns, worker->lease,
                              &(struct lease_outcome){.end = step->end, .answer = step->answer, .status = cause},
                              actions);
        break;
    case STEP_TIME:
        engine_time_passed(engine, now_ns, actions);
        break;
    case STEP_SETTINGS:
        engine_settings_changed(engine, &world->model.settings);
        break;
    case STEP_DRAIN:
        engine_drain(engine, now_ns, actions);
        break;
    case STEP_STOP:
        engine_stop(engine, now_ns, actions);
        break;
    case STEP_KIND_COUNT:
        break;
    }
}

static void drain_orders(struct world *world, bool announced)
{
    struct engine_order order;

    while (engine_order_next(world->engine, &order)) {
        CLAIM(RULE_CALLS, announced, "an order is in the outbox, and nobody was told");
        custodian_ordered(world, &order);
    }
}

static void drain_news(struct world *world, bool announced)
{
    static struct engine_news news;

    while (engine_news_next(world->engine, &news)) {
        CLAIM(RULE_NEWS, announced, "there is news, and nobody was told");
        TRACE("%12.6f   news: kind %d generation %" PRIu64 " %s", (double)world->now_ns / 1e9, news.kind,
              news.fence.generation, news.kind == ENGINE_NEWS_EVENT ? news.home : "");
        model_news(&world->model, &news);
        if (news.call != NULL)
            clients_answered(world, cast_call(news.call));
    }
}

/* Whether the order outbox is empty then. */
static bool drain(struct world *world, const struct actions *actions)
{
    if (!world->plan.lazy_drains) {
        drain_orders(world, actions->orders);
        drain_news(world, actions->news);
        return true;
    }
    if (actions->orders && !world->order_drain_scheduled)
        world_schedule(world, world_later(world, world->plan.drain_delay), EVENT_ORDER_DRAIN, NULL, 0);
    if (actions->news && !world->news_drain_scheduled)
        world_schedule(world, world_later(world, world->plan.drain_delay), EVENT_NEWS_DRAIN, NULL, 0);
    world->order_drain_scheduled |= actions->orders;
    world->news_drain_scheduled |= actions->news;
    return !world->order_drain_scheduled;
}

static void carry_out(struct world *world, const struct actions *actions)
{
    struct engine_call *call = actions->answered;

    while (call != NULL) {
        struct engine_call *next = call->next_answered;

        clients_answered(world, cast_call(call));
        call = next;
    }
    for (struct engine_lease *lease = actions->leased; lease != NULL; lease = lease->next_leased)
        custodian_leased(world, lease);
    if (actions->idled.worker_id != 0)
        custodian_idled(world);
}

/* Only a step that may refuse is ever short of memory. */
static uint64_t draw_memory_failure(struct world *world, const struct model_step *step)
{
    if (step->call == NULL || step->kind == STEP_LEFT || !model_step_may_allocate(&world->model, step) ||
        !random_chance(&world->random, world->plan.memory_chance))
        return 0;
    return random_between(&world->random, 1, 6);
}

static void trace_worker(const struct world *world, const struct model_step *step)
{
    static const char *const reports[STEP_KIND_COUNT] = {
        [STEP_PINNED] = "home opened",
        [STEP_UP] = "up",
        [STEP_GONE] = "gone",
        [STEP_SPOKE] = "spoke",
    };

    if (reports[step->kind] != NULL)
        TRACE("%12.6f worker %" PRIu64 ": %s", (double)world->now_ns / 1e9, step->worker->id, reports[step->kind]);
}

void world_step(struct world *world, const struct model_step *asked)
{
    struct model_step step = *asked;
    struct actions actions = ACTIONS_EMPTY;
    uint64_t fail_at = draw_memory_failure(world, &step);

    step.now_ns = world->now_ns;
    trace_worker(world, &step);
    model_begin(&world->model, &step);
    memory_watch(fail_at);
    take_step(world, &step, &actions);
    model_judge(&world->model, &actions, memory_unwatch());
    carry_out(world, &actions);
    model_settle(&world->model, drain(world, &actions));
    if (++world->step_count % AUDIT_STEPS == 0)
        model_audit(&world->model);
    CLAIM(RULE_LIVENESS, world->step_count < STEP_COUNT_MAX, "it never ends");
}

/* ---- what happens in the world at large ---- */

static void orders_are_taken(struct world *world)
{
    world->order_drain_scheduled = false;
    model_begin(&world->model, &(struct model_step){.kind = STEP_SETTINGS, .now_ns = world->now_ns});
    drain_orders(world, true);
    model_settle(&world->model, true);
}

static void settings_change(struct world *world)
{
    struct engine_settings settings;

    plan_draw_settings(&world->plan, &world->random, &settings);
    model_settings(&world->model, &settings);
    TRACE("%12.6f settings: %" PRIu64 " workers a home, %" PRIu64 " in all", (double)world->now_ns / 1e9,
          settings.workers_per_home, settings.workers_max);
    world_step(world, &(struct model_step){.kind = STEP_SETTINGS});
}

/* Whatever was due meanwhile happens late, and all at once. */
static void jump(struct world *world)
{
    static const struct plan_range far = {NS_PER_MS, 3600 * NS_PER_S};

    world->now_ns += random_spread(&world->random, far.first_ns, far.last_ns);
    TRACE("%12.6f time has jumped", (double)world->now_ns / 1e9);
}

/* Drain or stop, and some calls more that must be refused. */
static void end(struct world *world)
{
    bool stop = world->plan.end == PLAN_END_STOP || world->ending;

    TRACE("%12.6f %s", (double)world->now_ns / 1e9, stop ? "stop" : "drain");
    world_step(world, &(struct model_step){.kind = stop ? STEP_STOP : STEP_DRAIN});
    if (!world->ending)
        for (int i = 0; i < REFUSED_ARRIVALS; i++)
            world_schedule(world, world_later(world, world->plan.gap), EVENT_ARRIVAL, NULL, 0);
    if (world->plan.end == PLAN_END_DRAIN_THEN_STOP && !stop)
        world_schedule(world, world_later(world, world->plan.service), EVENT_END, NULL, 0);
    world->ending = true;
}

static void happen(struct world *world, const struct event *event)
{
    switch (event->kind) {
    case EVENT_ARRIVAL:
    case EVENT_ECHO:
    case EVENT_CROWD:
    case EVENT_FOLLOW:
    case EVENT_RESOLVED:
    case EVENT_DEPARTURE:
    case EVENT_DEADLINE_PAST:
        clients_event(world, event);
        break;
    case EVENT_ORDER_DRAIN:
        orders_are_taken(world);
        break;
    case EVENT_NEWS_DRAIN:
        world->news_drain_scheduled = false;
        drain_news(world, true);
        break;
    case EVENT_SETTINGS:
        settings_change(world);
        break;
    case EVENT_JUMP:
        jump(world);
        break;
    case EVENT_TICK:
        world_step(world, &(struct model_step){.kind = STEP_TIME});
        break;
    case EVENT_END:
        end(world);
        break;
    default:
        custodian_event(world, event);
        break;
    }
}

/* The end is told once nobody calls any more; in a calm world, once everybody has been served. */
static void see_to_the_end(struct world *world)
{
    struct plan_range wait = {
        0, RANDOM_PICK(&world->random, NS_PER_MS, NS_PER_S, 400 * NS_PER_S, world->plan.silence.last_ns)};

    world->finished = false;
    world_schedule(world, world_later(world, wait), EVENT_END, NULL, 0);
}

static bool is_quiet(const struct world *world)
{
    return world->ending && world->model.held_count == 0 && world->model.alive.count == 0 && world->orders == NULL &&
           !world->order_drain_scheduled && !world->news_drain_scheduled && world->model.leases_out == 0;
}

/* To the next moment at which something happens, or the engine wants to be told the time. */
static bool advance(struct world *world)
{
    const struct event *first = timeline_first(&world->timeline);
    uint64_t engine_ns = engine_next_ns(world->engine);
    uint64_t event_ns = first == NULL ? UINT64_MAX : first->due_ns;
    struct event event;

    if (first == NULL && engine_ns == UINT64_MAX)
        return false;
    if (engine_ns < event_ns || (engine_ns == event_ns && random_chance(&world->random, 500))) {
        world->now_ns = engine_ns > world->now_ns ? engine_ns : world->now_ns;
        TRACE("%12.6f time", (double)world->now_ns / 1e9);
        world_step(world, &(struct model_step){.kind = STEP_TIME});
        return true;
    }
    timeline_take(&world->timeline, &event);
    world->now_ns = event.due_ns > world->now_ns ? event.due_ns : world->now_ns;
    happen(world, &event);
    return true;
}

static void play(struct world *world)
{
    while (!is_quiet(world) && advance(world)) {
        if (world->finished && !world->ending && (!world->plan.calm || world->model.held_count == 0))
            see_to_the_end(world);
        if (random_chance(&world->random, world->plan.tick_chance))
            world_schedule(world, world_later(world, world->plan.gap), EVENT_TICK, NULL, 0);
    }
    /* Whoever would still have called, or left, finds nobody. */
    model_audit(&world->model);
    model_end(&world->model);
}

/* ---- a whole run ---- */

static void create_engine(struct world *world)
{
    struct map_seed seed;
    uint64_t halves[2] = {random_next(&world->random), random_next(&world->random)};
    uint64_t epoch = random_next(&world->random) | 1;

    memcpy(seed.bytes, halves, sizeof seed.bytes);
    world->engine = engine_create(&world->plan.settings, &seed, epoch);
    CLAIM(RULE_MEMORY, world->engine != NULL, "no engine");
    for (unsigned key = 1; key < PLAN_KEY_COUNT_MAX; key++)
        world->secrets[key] = secret_create(&key, sizeof key);
    model_init(&world->model, &world->plan, world->engine, world->secrets, epoch);
}

static void end_engine(struct world *world)
{
    engine_destroy(world->engine);
    for (unsigned key = 1; key < PLAN_KEY_COUNT_MAX; key++) {
        CLAIM(RULE_MEMORY, secrets_holder_count(world->secrets[key]) == 1, "an api_key is kept for ever");
        secret_release(world->secrets[key]);
    }
}

static void trace_settings(const struct world *world)
{
    const struct engine_settings *settings = &world->plan.settings;

    TRACE("%12.6f %u homes%s%s; workers %" PRIu64 " a home, %" PRIu64 " in all, queue %" PRIu64 " a home, %" PRIu64
          " in all; ttl %.3f ms, run %.3f ms, idle %.3f ms, lifetime %.3f ms, %" PRIu64 " leases",
          (double)world->now_ns / 1e9, world->plan.home_count, world->plan.calm ? ", calm" : "",
          world->plan.lazy_drains ? ", late drains" : "", settings->workers_per_home, settings->workers_max,
          settings->queue_per_home, settings->queue_max, (double)settings->cache_ttl_ns / 1e6,
          (double)settings->run_ns_max / 1e6, (double)settings->idle_ns_max / 1e6, (double)settings->lifetime_ns / 1e6,
          settings->requests_max);
}

void world_run(uint64_t seed, const struct knobs *knobs, struct world_totals *totals)
{
    struct world *world = calloc(1, sizeof *world);
    int64_t blocks_before = memory_block_count() - 1;
    uint64_t started_ns;

    if (world == NULL) {
        perror("sim");
        exit(70);
    }
    (void)memory_unwatch(); /* a run before this one may have ended within a step */
    random_seed(&world->random, seed);
    plan_draw(&world->plan, &world->random);
    knobs_apply(knobs, &world->plan);
    world->now_ns = started_ns = random_spread(&world->random, NS_PER_S, 1000000 * NS_PER_S);
    trace_settings(world);
    create_engine(world);
    clients_init(world);
    custodian_init(world);
    for (unsigned i = 0; i < world->plan.settings_change_count; i++)
        world_schedule(world, world_later(world, (struct plan_range){0, 20 * NS_PER_S}), EVENT_SETTINGS, NULL, 0);
    for (unsigned i = 0; i < world->plan.jump_count; i++)
        world_schedule(world, world_later(world, (struct plan_range){0, 20 * NS_PER_S}), EVENT_JUMP, NULL, 0);
    play(world);
    end_engine(world);
    totals->steps += world->step_count;
    totals->virtual_ns += world->now_ns - started_ns;
    custodian_fini(world);
    model_fini(&world->model);
    timeline_fini(&world->timeline);
    free(world);
    CLAIM(RULE_MEMORY, memory_block_count() == blocks_before, "%lld blocks are leaked",
          (long long)(memory_block_count() - blocks_before));
}
