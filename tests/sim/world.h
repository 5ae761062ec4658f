/* The world around the engine, under one seed: virtual time, clients, a custodian with its workers, handlers, and the
 * shell that carries out what the engine asks for.
 *
 * world.c steps the engine and carries actions out      clients.c    who calls, leaves, and what they ask
 * crowd.c    one uid calls without end                  custodian.c  starts, ends, answers and failures of workers
 *
 * All that happens is an event on the timeline or a step that the engine asked for (engine_next_ns); the judge is told
 * of each.  Ownership: calls and workers live until the world ends, so that a late word about one finds its memory. */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include "tests/sim/knobs.h"
#include "tests/sim/model.h"
#include "tests/sim/plan.h"
#include "tests/sim/random.h"
#include "tests/sim/timeline.h"

#include <stdbool.h>
#include <stdint.h>

enum { WORLD_CALL_COUNT = 512 };

/* An order on its way through the custodian, who takes them one by one. */
struct world_order {
    enum engine_order_kind kind;
    bool gone;
    struct sim_worker *worker;
    struct world_order *next;
};

struct world {
    struct plan plan;
    struct random random;
    struct timeline timeline;
    struct engine *engine;
    struct model model;
    struct secret *secrets[PLAN_KEY_COUNT_MAX]; /* the first is NULL: no api_key */
    uint64_t now_ns;
    uint64_t step_count;
    bool ending;   /* drained or stopped */
    bool finished; /* nobody calls any more, but to be refused */

    /* clients.c */
    struct sim_call calls[WORLD_CALL_COUNT];
    struct sim_call *free_calls; /* the last given back first */
    uint64_t call_count;
    unsigned arrivals_left;
    struct fence seen[PLAN_HOME_COUNT_MAX]; /* the newest fence that clients were told */

    /* custodian.c */
    enum account_status moods[PLAN_HOME_COUNT_MAX][PLAN_PROVIDER_COUNT_MAX][PLAN_KEY_COUNT_MAX];
    struct world_order *orders, *orders_last;
    uint64_t order_ready_ns;
    int descriptor_count;

    /* The shell's: outboxes that somebody is on the way to. */
    bool order_drain_scheduled, news_drain_scheduled;
};

struct world_totals {
    uint64_t steps;
    uint64_t virtual_ns;
};

/* Plays one seed to its end, its world turned down by `knobs`; a broken claim leaves by verdict's jump.  Totals are
 * added to. */
void world_run(uint64_t seed, const struct knobs *knobs, struct world_totals *totals);

/* ---- between its parts ---- */

void world_step(struct world *world, const struct model_step *step);
void world_schedule(struct world *world, uint64_t due_ns, enum event_kind kind, void *object, uint64_t number);
uint64_t world_later(struct world *world, struct plan_range range); /* a moment within it, from now */

void clients_init(struct world *world);
void clients_event(struct world *world, const struct event *event);
void clients_answered(struct world *world, struct sim_call *call); /* it is theirs again */
void clients_ask(struct world *world, unsigned home);              /* something of this home */

void crowd_init(struct world *world);
void crowd_event(struct world *world, uint32_t uid);
void crowd_answered(struct world *world, const struct sim_call *call);

void custodian_init(struct world *world);
void custodian_fini(struct world *world);
void custodian_event(struct world *world, const struct event *event);
void custodian_ordered(struct world *world, const struct engine_order *order);
void custodian_leased(struct world *world, struct engine_lease *lease);
void custodian_idled(struct world *world); /* the worker that was freed is to be watched */

#endif
