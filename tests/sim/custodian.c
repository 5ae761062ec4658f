/* Who has the processes: takes orders one by one and slowly, refuses, loses workers, dies itself; and the handlers that
 * hold the leases, with whatever workers do to them. */
#include "tests/sim/world.h"

#include "server/base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOON ((struct plan_range){0, 2 * NS_PER_MS})

void custodian_init(struct world *world)
{
    world->descriptor_count = 3;
    for (unsigned i = 0; i < world->plan.custodian_death_count; i++)
        world_schedule(world, world_later(world, (struct plan_range){NS_PER_MS, 20 * NS_PER_S}), EVENT_CUSTODIAN_DIES,
                       NULL, 0);
}

void custodian_fini(struct world *world)
{
    while (world->orders != NULL) {
        struct world_order *next = world->orders->next;

        free(world->orders);
        world->orders = next;
    }
}

/* ---- ends of processes ---- */

static void report_gone(struct world *world, struct sim_worker *worker, struct plan_range delay)
{
    if (worker->gone_scheduled || worker->gone_reported)
        return;
    worker->gone_scheduled = true;
    world_schedule(world, world_later(world, delay), EVENT_GONE, worker, 0);
}

/* It ends of its own accord, or is killed: its lease notices at the end of file, whoever watches it as well. */
static void die(struct world *world, struct sim_worker *worker)
{
    if (worker->dead || worker->gone_reported || !worker->launched)
        return;
    worker->dead = true;
    report_gone(world, worker, SOON);
    if (worker->lease != NULL)
        world_schedule(world, world_later(world, SOON), EVENT_RETURN, worker, worker->lease_id);
    else if (worker->state == SIM_WORKER_IDLE)
        world_schedule(world, world_later(world, SOON), EVENT_SPOKE, worker, worker->turn);
}

static void gone(struct world *world, struct sim_worker *worker, enum status_code code)
{
    if (worker->gone_reported)
        return;
    worker->dead = worker->gone_reported = true;
    if (random_chance(&world->random, world->plan.blame_chance))
        worker->custodians_doing = true;
    world_step(world, &(struct model_step){
                          .kind = STEP_GONE,
                          .worker = worker,
                          .code = code,
                          .blame = worker->custodians_doing ? ENGINE_BLAME_CUSTODIAN : ENGINE_BLAME_WORKER,
                      });
}

/* ---- orders ---- */

void custodian_ordered(struct world *world, const struct engine_order *order)
{
    static const char *const names[] = {"pin", "launch", "kill", "end"};
    struct sim_worker *worker = model_order(&world->model, order);
    struct world_order *item = malloc(sizeof *item);
    uint64_t due_ns = world_later(world, world->plan.order_delay);

    if (item == NULL) {
        perror("sim");
        exit(70);
    }
    TRACE("%12.6f   order: %s worker %" PRIu64 " h%u%s", (double)world->now_ns / 1e9, names[order->kind], worker->id,
          worker->home, order->gone ? " (gone)" : "");
    *item = (struct world_order){.kind = order->kind, .gone = order->gone, .worker = worker};
    *(world->orders == NULL ? &world->orders : &world->orders_last->next) = item;
    world->orders_last = item;
    world->order_ready_ns = due_ns > world->order_ready_ns ? due_ns : world->order_ready_ns;
    world_schedule(world, world->order_ready_ns, EVENT_ORDER_DUE, NULL, 0);
}

static void execute_oldest(struct world *world)
{
    struct world_order *order = world->orders;
    struct sim_worker *worker = order->worker;

    world->orders = order->next;
    switch (order->kind) {
    case ENGINE_ORDER_PIN:
        world_schedule(world, world_later(world, world->plan.pin), EVENT_PINNED, worker, 0);
        break;
    case ENGINE_ORDER_LAUNCH:
        worker->spawn_ns = random_between(&world->random, world->plan.spawn.first_ns, world->plan.spawn.last_ns);
        world_schedule(world, world->now_ns + worker->spawn_ns, EVENT_UP, worker, 0);
        break;
    case ENGINE_ORDER_KILL:
        die(world, worker);
        break;
    case ENGINE_ORDER_END:
        worker->dead = true;
        if (!order->gone && worker->launched)
            report_gone(world, worker, world->plan.end_grace);
        break;
    }
    free(order);
}

static void pinned(struct world *world, struct sim_worker *worker)
{
    static const enum status_code causes[] = {STATUS_UNAVAILABLE, STATUS_NOT_FOUND, STATUS_PERMISSION_DENIED};

    if (random_chance(&world->random, world->plan.pin_refused_chance))
        gone(world, worker, causes[random_below(&world->random, 3)]);
    else
        world_step(world,
                   &(struct model_step){.kind = STEP_PINNED, .worker = worker, .home_fd = world->descriptor_count++});
}

/* A worker that was ended while it was being started may still be heard of, as its report was on the way. */
static void up(struct world *world, struct sim_worker *worker)
{
    struct random *random = &world->random;

    if (worker->gone_reported)
        return;
    if (worker->dead && random_chance(random, 500))
        return;
    if (!worker->dead && (random_chance(random, world->plan.launch_refused_chance) ||
                          random_chance(random, world->plan.crash_starting_chance))) {
        gone(world, worker, STATUS_UNAVAILABLE);
        return;
    }
    worker->channel = (struct worker_channel){world->descriptor_count, world->descriptor_count + 1};
    world->descriptor_count += 2;
    world_step(world, &(struct model_step){.kind = STEP_UP, .worker = worker});
}

static void custodian_dies(struct world *world)
{
    TRACE("%12.6f the custodian dies", (double)world->now_ns / 1e9);
    LIST_EACH (node, &world->model.alive) {
        struct sim_worker *worker = LIST_OWNER(node, struct sim_worker, node);

        worker->custodians_doing |= !worker->dead;
        die(world, worker);
    }
}

/* ---- idle workers ---- */

void custodian_idled(struct world *world)
{
    struct sim_worker *worker = world->model.step.freed;
    struct plan_range while_idle = {0, world->model.loosest.idle_ns_max};

    TRACE("%12.6f   idle: worker %" PRIu64, (double)world->now_ns / 1e9, worker->id);
    world_schedule(world, world->now_ns + world->model.loosest.idle_ns_max + NS_PER_MS + 1, EVENT_IDLE_PAST, worker,
                   worker->idle_serial);
    if (worker->dead || random_chance(&world->random, world->plan.speak_idle_chance))
        world_schedule(world, world_later(world, random_chance(&world->random, 500) ? SOON : while_idle), EVENT_SPOKE,
                       worker, worker->turn);
    if (random_chance(&world->random, world->plan.crash_idle_chance))
        world_schedule(world, world_later(world, random_chance(&world->random, 500) ? SOON : while_idle), EVENT_CRASH,
                       worker, 0);
}

/* ---- handlers ---- */

static enum lease_end draw_outcome(struct world *world)
{
    struct random *random = &world->random;
    struct plan *plan = &world->plan;

    if (random_chance(random, plan->stray_chance))
        return LEASE_STRAY;
    if (random_chance(random, plan->die_chance))
        return LEASE_DIED;
    if (random_chance(random, plan->breach_chance))
        return LEASE_BREACHED;
    return random_chance(random, plan->silent_chance) ? LEASE_TIMED_OUT : LEASE_ANSWERED;
}

void custodian_leased(struct world *world, struct engine_lease *lease)
{
    struct sim_worker *worker = model_worker_find(&world->model, lease->worker_id);
    uint64_t due_ns = world_later(world, world->plan.service);

    TRACE("%12.6f   lease %" PRIu64 ": worker %" PRIu64 " h%u %s", (double)world->now_ns / 1e9, lease->id, worker->id,
          worker->home, lease->provider);
    worker->outcome = draw_outcome(world);
    if (worker->dead)
        worker->outcome = random_chance(&world->random, 700) ? LEASE_STRAY : LEASE_DIED;
    if (worker->outcome == LEASE_STRAY)
        due_ns = world_later(world, SOON);
    if (world->plan.calm && due_ns > lease->run_deadline_ns)
        due_ns = lease->run_deadline_ns;
    if (due_ns > lease->run_deadline_ns || worker->outcome == LEASE_TIMED_OUT) {
        worker->outcome = LEASE_TIMED_OUT;
        due_ns = lease->run_deadline_ns + random_below(&world->random, 2) * NS_PER_MS;
    }
    world_schedule(world, due_ns, EVENT_RETURN, worker, lease->id);
    /* The report of a death may come before the handler's. */
    if (worker->outcome == LEASE_DIED && random_chance(&world->random, 500))
        world_schedule(world, due_ns, EVENT_CRASH, worker, 0);
}

static enum account_status draw_mood(struct world *world)
{
    struct random *random = &world->random;
    const struct plan *plan = &world->plan;

    if (random_chance(random, plan->refused_chance))
        return ACCOUNT_INVALID_KEY;
    if (random_chance(random, plan->limited_chance))
        return ACCOUNT_RATE_LIMITED;
    if (random_chance(random, plan->bad_chance))
        return (enum account_status)RANDOM_PICK(random, ACCOUNT_UNAVAILABLE, ACCOUNT_UNAVAILABLE, ACCOUNT_NO_DATA,
                                                ACCOUNT_NO_KEY, ACCOUNT_EXPIRED, ACCOUNT_UNSUPPORTED);
    return (enum account_status)RANDOM_PICK(random, ACCOUNT_OK, ACCOUNT_OK, ACCOUNT_EXHAUSTED);
}

/* What there is to say of an account stays as it is for a while; of what was overtaken, anything may be said. */
static enum account_status mood_of(struct world *world, const struct cast_mark *mark)
{
    enum account_status *mood;

    if (mark->provider == CAST_ALL)
        return draw_mood(world);
    mood = &world->moods[mark->home][mark->provider][mark->key];
    if (*mood == ACCOUNT_UNSPECIFIED || random_chance(&world->random, world->plan.mood_chance))
        *mood = draw_mood(world);
    return *mood;
}

/* Figures may stand in any answer; good ones only where the account is said to be well, or used up. */
static void describe(struct world *world, struct answer *answer, struct cast_mark *mark)
{
    struct random *random = &world->random;
    const struct plan *plan = &world->plan;

    answer->account = mood_of(world, mark);
    answer->figures = random_chance(random, plan->figures_chance);
    answer->retry_ns = 0;
    answer->interval_ns_min = 0;
    if (answer->account == ACCOUNT_RATE_LIMITED ? random_chance(random, 700) : random_chance(random, 100))
        answer->retry_ns = random_spread(random, plan->retry.first_ns, plan->retry.last_ns);
    if (random_chance(random, plan->manners_chance))
        answer->interval_ns_min = random_spread(random, plan->manners.first_ns, plan->manners.last_ns);
    mark->account = answer->account;
    mark->good = answer->figures && (answer->account == ACCOUNT_OK || answer->account == ACCOUNT_EXHAUSTED);
    mark->retry_ns = answer->retry_ns;
    mark->interval_ns = answer->interval_ns_min;
}

static struct answer *make_answer(struct world *world, const struct sim_worker *worker)
{
    const struct model_flight *flight = worker->flight;
    const struct engine_lease *lease = worker->lease;
    struct answer *answer = answer_create(sizeof(struct cast_mark) + random_spread(&world->random, 1, 3000));
    struct cast_mark mark;

    if (answer == NULL) {
        perror("sim");
        exit(70);
    }
    memset(answer->bytes, 0, answer->size);
    memset(&mark, 0, sizeof mark);
    mark.home = worker->home;
    mark.provider = flight == NULL ? CAST_ALL : flight->provider; /* overtaken: nobody may ever see it */
    mark.key = flight == NULL ? CAST_ALL : flight->key;
    mark.fence = lease->fence;
    mark.lease_id = lease->id;
    mark.worker_id = worker->id;
    mark.answered_ns = world->now_ns;
    describe(world, answer, &mark);
    memcpy(answer->bytes, &mark, sizeof mark);
    return answer;
}

static void hand_back(struct world *world, struct sim_worker *worker, uint64_t lease_id)
{
    static const enum status_code codes[LEASE_END_COUNT] = {
        [LEASE_ANSWERED] = STATUS_OK,
        [LEASE_STRAY] = STATUS_UNAVAILABLE,
        [LEASE_DIED] = STATUS_UNAVAILABLE,
        [LEASE_BREACHED] = STATUS_INTERNAL,
        [LEASE_TIMED_OUT] = STATUS_DEADLINE_EXCEEDED,
    };
    enum lease_end end = worker->outcome;
    struct answer *answer;

    if (worker->lease == NULL || worker->lease_id != lease_id)
        return;
    /* An answer may have been complete before its worker's end. */
    if (worker->dead && end != LEASE_STRAY && (end != LEASE_ANSWERED || random_chance(&world->random, 500)))
        end = LEASE_DIED;
    if (end == LEASE_DIED && !worker->dead) {
        worker->dead = true;
        report_gone(world, worker, SOON);
    }
    answer = end == LEASE_ANSWERED ? make_answer(world, worker) : NULL;
    TRACE("%12.6f lease %" PRIu64 " of worker %" PRIu64 " is back: end %d, account %d%s", (double)world->now_ns / 1e9,
          lease_id, worker->id, end, answer == NULL ? 0 : answer->account,
          answer != NULL && answer->figures ? " with figures" : "");
    answer_share(answer); /* the judge looks at it when the engine may have let go of it */
    world_step(world, &(struct model_step){
                          .kind = STEP_RETURN,
                          .worker = worker,
                          .end = end,
                          .code = codes[end],
                          .answer = answer,
                      });
    answer_release(answer);
}

/* It has been idle for as long as it may: an END has come out, or somebody is on the way to the outbox. */
static void judge_idle(const struct world *world, const struct sim_worker *worker, uint64_t idle_serial)
{
    bool still = worker->state == SIM_WORKER_IDLE && worker->idle_serial == idle_serial;

    CLAIM(RULE_TIME,
          !still || world->order_drain_scheduled || engine_next_ns(world->engine) < world->now_ns ||
              world->now_ns - worker->idle_since_ns <= world->model.loosest.idle_ns_max + NS_PER_MS,
          "worker %" PRIu64 " is idle for longer than idle_ms", worker->id);
}

void custodian_event(struct world *world, const struct event *event)
{
    struct sim_worker *worker = event->object;

    switch (event->kind) {
    case EVENT_ORDER_DUE:
        execute_oldest(world);
        break;
    case EVENT_PINNED:
        pinned(world, worker);
        break;
    case EVENT_UP:
        up(world, worker);
        break;
    case EVENT_GONE:
        gone(world, worker, STATUS_UNAVAILABLE);
        break;
    case EVENT_SPOKE:
        world_step(world, &(struct model_step){.kind = STEP_SPOKE, .worker = worker, .turn = event->number});
        break;
    case EVENT_CRASH:
        die(world, worker);
        break;
    case EVENT_IDLE_PAST:
        judge_idle(world, worker, event->number);
        break;
    case EVENT_RETURN:
        hand_back(world, worker, event->number);
        break;
    case EVENT_CUSTODIAN_DIES:
        custodian_dies(world);
        break;
    default:
        break;
    }
}
