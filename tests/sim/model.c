/* The judge's steps: what each begins with, what it ends with, and the sums that must come out right behind it. */
#include "tests/sim/model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const provider_names[PLAN_PROVIDER_COUNT_MAX] = {"openrouter", "anthropic", "openai-codex", "z.ai"};

const char *model_provider(unsigned provider)
{
    return provider == CAST_ALL ? "" : provider_names[provider];
}

void model_path(unsigned home, char *path_out)
{
    static const char *const styles[] = {"/home/u%u/.hermes", "/srv/a rather long path, as containers have them/%u/h",
                                         "/h%u", "/var/lib/\xc3\xbcser/%u"};

    snprintf(path_out, MODEL_PATH_SIZE, styles[home % 4], home);
}

unsigned model_home_number(const struct model *model, const char *path)
{
    const char *digits = strpbrk(path, "0123456789");
    unsigned long number = digits == NULL ? CAST_ALL : strtoul(digits, NULL, 10);

    return number < model->plan->home_count && strcmp(model->homes[number].path, path) == 0 ? (unsigned)number
                                                                                            : CAST_ALL;
}

void model_init(struct model *model, const struct plan *plan, struct engine *engine, struct secret *const *secrets,
                uint64_t epoch)
{
    memset(model, 0, sizeof *model);
    model->plan = plan;
    model->engine = engine;
    model->secrets = secrets;
    model->settings = model->tightest = model->loosest = plan->settings;
    model->epoch = model->first_epoch = epoch;
    for (unsigned home = 0; home < plan->home_count; home++) {
        model_path(home, model->homes[home].path);
        model->homes[home].generation = 1;
    }
    engine_look(engine, &model->before);
}

void model_fini(struct model *model)
{
    struct sim_worker *worker = model->workers;

    while (worker != NULL) {
        struct sim_worker *next = worker->next_of_all;

        free(worker);
        worker = next;
    }
    model->workers = NULL;
}

struct fence model_fence(const struct model *model, unsigned home)
{
    return (struct fence){model->epoch, model->homes[home].generation};
}

/* A home that stands at generation 1 may be forgotten for another one's sake, unless something else is known of it. */
bool model_is_known(const struct model *model, unsigned home)
{
    const struct model_home *it = &model->homes[home];

    return it->known == HOME_KNOWN &&
           (it->generation > 1 || it->flights.count > 0 || model->settings.homes_max / 16 >= model->plan->home_count);
}

/* ---- flights ---- */

uint64_t model_waiting_count(const struct model_home *home)
{
    return home->ahead.count + home->queue.count;
}

static void note_waiting(struct model *model, struct model_home *home)
{
    bool waits = model_waiting_count(home) > 0;

    if (waits && home->waiting.list == NULL)
        list_push_back(&model->waiting, &home->waiting);
    else if (!waits)
        list_remove(&home->waiting);
    if (!waits)
        home->wants_since = 0;
}

struct model_flight *model_flight_start(struct model *model, struct sim_call *call)
{
    struct model_flight *flight = calloc(1, sizeof *flight);

    if (flight == NULL) {
        perror("sim");
        exit(70);
    }
    flight->home = call->home;
    flight->provider = call->provider;
    flight->key = call->key;
    flight->uid = call->uid;
    flight->deadline_ns = call->deadline_ns;
    flight->arrived_ns = call->arrived_ns;
    flight->admitted_ns = model->step.now_ns;
    flight->identity = call->engine.flight;
    flight->number = ++model->flight_number;
    list_push_back(&model->homes[call->home].flights, &flight->of_home);
    list_push_back(&model->homes[call->home].queue, &flight->waiting);
    note_waiting(model, &model->homes[call->home]);
    model->flight_count++;
    return flight;
}

void model_flight_remove(struct model *model, struct model_flight *flight)
{
    struct model_home *home = &model->homes[flight->home];

    if (flight->ending)
        model->ending_flight_count--;
    list_remove(&flight->of_home);
    list_remove(&flight->waiting);
    note_waiting(model, home);
    model_home_left(home);
    model->flight_count--;
    free(flight);
}

/* In order of arrival, as seldom as re-runs meet. */
static void insert_ahead(struct list *ahead, struct model_flight *flight)
{
    struct list later = {0};

    while (ahead->last != NULL && LIST_OWNER(ahead->last, struct model_flight, waiting)->number > flight->number) {
        struct list_node *node = ahead->last;

        list_remove(node);
        list_push_front(&later, node);
    }
    list_push_back(ahead, &flight->waiting);
    while (later.count > 0)
        list_push_back(ahead, list_pop_front(&later));
}

void model_flight_run_again(struct model *model, struct model_flight *flight)
{
    struct model_home *home = &model->homes[flight->home];

    if (flight->leased)
        model->waiting_call_count += flight->callers.count;
    flight->leased = false;
    flight->ahead = true;
    flight->worker = NULL;
    list_remove(&flight->waiting);
    insert_ahead(&home->ahead, flight);
    note_waiting(model, home);
}

void model_flight_set_leased(struct model *model, struct model_flight *flight, struct sim_worker *worker)
{
    model->waiting_call_count -= flight->callers.count;
    flight->leased = true;
    flight->worker = worker;
    flight->fence = model_fence(model, flight->home);
    flight->leased_ns = model->step.now_ns;
    list_remove(&flight->waiting);
    note_waiting(model, &model->homes[flight->home]);
}

void model_board(struct model *model, struct model_flight *flight, struct sim_call *call)
{
    call->flight = flight;
    call->place = CALL_ABOARD;
    list_push_back(&flight->callers, &call->node);
    model->aboard_count++;
    if (!flight->leased)
        model->waiting_call_count++;
}

/* A flight that has no lease ends with its last caller. */
void model_unboard(struct model *model, struct sim_call *call)
{
    struct model_flight *flight = call->flight;

    call->flight = NULL;
    list_remove(&call->node);
    model->aboard_count--;
    if (flight->leased)
        return;
    model->waiting_call_count--;
    if (flight->callers.count == 0)
        model_flight_remove(model, flight);
}

/* All aboard must be given back in this step, and the flight is no more. */
void model_flight_end(struct model *model, struct model_flight *flight)
{
    if (!flight->ending) {
        flight->ending = true;
        model->ending_flight_count++;
    }
    if (flight->callers.count == 0)
        model_flight_remove(model, flight);
    else if (flight->leased)
        model_flight_run_again(model, flight);
}

void model_flight_overtake(struct model *model, struct model_flight *flight)
{
    flight->worker->flight = NULL;
    if (flight->callers.count == 0 || ++flight->overtaken_count > 2) {
        model_flight_end(model, flight);
        return;
    }
    if (flight->freshness != FRESHNESS_NO_MATTER)
        flight->freshness = FRESHNESS_OPEN;
    model->counted[ENGINE_COUNTER_OVERTAKEN]++;
    model_flight_run_again(model, flight);
}

/* ---- steps ---- */

bool model_step_may_allocate(const struct model *model, const struct model_step *step)
{
    switch (step->kind) {
    case STEP_PARKED:
    case STEP_PROBE:
    case STEP_SYNC:
    case STEP_PINNED:
    case STEP_UP:
        return true;
    case STEP_INVALIDATE:
        return step->call->home == CAST_ALL || !model_is_known(model, step->call->home);
    default:
        return false; /* engine.h: steps that end things allocate nothing and cannot fail */
    }
}

void model_begin(struct model *model, const struct model_step *step)
{
    model->step = *step;
    model->step.overdue = engine_next_ns(model->engine) < step->now_ns;
    model->step_count++;
    if (step->call != NULL && step->kind != STEP_LEFT && step->call->place == CALL_FREE)
        model->held_count++;
}

/* Flags what is given back, so that causes can be told from it; twice in one chain is a finding. */
static void collect_given_back(const struct actions *actions)
{
    const struct engine_call *last = NULL;

    for (struct engine_call *engine = actions->answered; engine != NULL; engine = engine->next_answered) {
        struct sim_call *call = cast_call(engine);

        CLAIM(RULE_CALLS, !call->given_back, "call %" PRIu64 " is given back twice", call->id);
        CLAIM(RULE_ORDER, last == NULL || last->arrived_ns <= engine->arrived_ns,
              "call %" PRIu64 " is given back behind a later one", call->id);
        call->given_back = true;
        last = engine;
    }
    CLAIM(RULE_CALLS, actions->answered_last == last, "the chain of answered calls has another end than it says");
}

static void apply_cause(struct model *model)
{
    struct model_step *step = &model->step;

    switch (step->kind) {
    case STEP_PROBE:
        if (!step->call->given_back)
            model_taken_in(model, step->call);
        break;
    case STEP_INVALIDATE:
        if (!step->call->given_back)
            model_invalidated(model, step->call);
        break;
    case STEP_PINNED:
        model_worker_pinned(model);
        break;
    case STEP_UP:
        model_worker_up(model);
        break;
    case STEP_GONE:
        model_worker_gone(model);
        break;
    case STEP_SPOKE:
        model_worker_spoke(model);
        break;
    case STEP_RETURN:
        model_worker_returned(model);
        break;
    case STEP_DRAIN:
        model->draining = true;
        model_workers_end(model, false);
        break;
    case STEP_STOP:
        model->draining = model->stopped = true;
        model->fence_serial++; /* as after a fence, no start of before is wanted */
        break;
    default:
        break;
    }
}

static void judge_memory(const struct model *model)
{
    CLAIM(RULE_MEMORY, model->watched.asked_count == 0 || model_step_may_allocate(model, &model->step),
          "a step of kind %d asked for memory %" PRIu64 " times", model->step.kind, model->watched.asked_count);
}

static void judge_sums(const struct model *model)
{
    const struct engine_view *view = &model->view;
    uint64_t total = model_worker_total(view), before = model_worker_total(&model->before);
    uint64_t most = model->settings.workers_max;

    CLAIM(RULE_COUNTERS, view->flights == model->flight_count, "%" PRIu64 " flights, the model has %" PRIu64,
          view->flights, model->flight_count);
    CLAIM(RULE_COUNTERS, view->aboard == model->aboard_count, "%" PRIu64 " calls aboard, the model has %" PRIu64,
          view->aboard, model->aboard_count);
    CLAIM(RULE_COUNTERS, view->waiting == model->waiting_call_count,
          "%" PRIu64 " calls waiting, the model has %" PRIu64, view->waiting, model->waiting_call_count);
    CLAIM(RULE_COUNTERS, view->epoch == model->epoch, "epoch %" PRIx64 ", the model has %" PRIx64, view->epoch,
          model->epoch);
    CLAIM(RULE_COUNTERS, view->draining == model->draining, "draining is %d", view->draining);
    CLAIM(RULE_BOUNDS, total <= (most > before ? most : before), "%" PRIu64 " workers, of at most %" PRIu64, total,
          most);
    CLAIM(RULE_BOUNDS, view->cache_entries <= model->loosest.cache_entries_max, "%" PRIu64 " cache entries",
          view->cache_entries);
    CLAIM(RULE_BOUNDS, view->cache_bytes <= model->loosest.cache_bytes_max, "%" PRIu64 " cache bytes",
          view->cache_bytes);
    CLAIM(RULE_BOUNDS, (view->cache_entries == 0) == (view->cache_bytes == 0),
          "%" PRIu64 " cache entries of %" PRIu64 " bytes", view->cache_entries, view->cache_bytes);
}

void model_judge(struct model *model, const struct actions *actions, struct memory_watched watched)
{
    model->watched = watched;
    engine_look(model->engine, &model->view);
    judge_memory(model);
    collect_given_back(actions);
    apply_cause(model);
    for (struct engine_call *call = actions->answered; call != NULL; call = call->next_answered)
        model_given_back(model, cast_call(call));
    if (model->step.kind == STEP_STOP)
        model_workers_end(model, true);
    model_settle_subject(model);
    CLAIM(RULE_CALLS, model->ending_flight_count == 0, "%" PRIu64 " flights ended, and left callers behind",
          model->ending_flight_count);
    for (struct engine_lease *lease = actions->leased; lease != NULL; lease = lease->next_leased)
        model_leased(model, lease);
    model_freed(model, actions);
    model_quiescing(model);
    judge_sums(model);
    if (model->step.kind == STEP_TIME)
        CLAIM(RULE_TIME, engine_next_ns(model->engine) > model->step.now_ns,
              "what is due is done, and yet something is due at once");
}

/* ---- behind a step ---- */

static void judge_counter(const struct model *model, enum engine_counter counter)
{
    CLAIM(RULE_COUNTERS, model->view.counters[counter] == model->counted[counter],
          "%s is %" PRIu64 ", the model has %" PRIu64, engine_counter_name(counter), model->view.counters[counter],
          model->counted[counter]);
}

static void judge_counters(const struct model *model)
{
    const uint64_t *counters = model->view.counters;
    static const enum engine_counter known[] = {
        ENGINE_COUNTER_ANSWERED_CACHED, ENGINE_COUNTER_ANSWERED_JOINED,
        ENGINE_COUNTER_ANSWERED_WARM,   ENGINE_COUNTER_ANSWERED_COLD,
        ENGINE_COUNTER_ANSWERED_STALE,  ENGINE_COUNTER_HELD,
        ENGINE_COUNTER_LAST_GOOD,       ENGINE_COUNTER_JOINED,
        ENGINE_COUNTER_LEASES_WARM,     ENGINE_COUNTER_LEASES_COLD,
        ENGINE_COUNTER_LEASES_RETURNED, ENGINE_COUNTER_OVERTAKEN,
        ENGINE_COUNTER_RETRIED,         ENGINE_COUNTER_ABORTED,
        ENGINE_COUNTER_DEPARTED,        ENGINE_COUNTER_SYNCS,
        ENGINE_COUNTER_INVALIDATIONS,   ENGINE_COUNTER_INVALIDATIONS_GLOBAL,
        ENGINE_COUNTER_FAULTS_STALE,    ENGINE_COUNTER_FAULTS_DIED,
        ENGINE_COUNTER_FAULTS_BREACHED, ENGINE_COUNTER_FAULTS_TIMED_OUT,
    };
    static const enum engine_counter of_starts[] = {
        ENGINE_COUNTER_STARTS_AHEAD,
        ENGINE_COUNTER_STARTS_RESERVE,
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        judge_counter(model, known[i]);
    for (size_t i = 0; i < sizeof of_starts / sizeof of_starts[0] && !model->plan->lazy_drains && !model->relaxed; i++)
        judge_counter(model, of_starts[i]);
    CLAIM(RULE_COUNTERS,
          counters[ENGINE_COUNTER_STARTS] - counters[ENGINE_COUNTER_ENDS] == model_worker_total(&model->view),
          "%" PRIu64 " starts less %" PRIu64 " ends are not the %" PRIu64 " workers that are",
          counters[ENGINE_COUNTER_STARTS], counters[ENGINE_COUNTER_ENDS], model_worker_total(&model->view));
    CLAIM(RULE_COUNTERS,
          counters[ENGINE_COUNTER_PROBES] ==
              counters[ENGINE_COUNTER_ANSWERED_CACHED] + counters[ENGINE_COUNTER_ANSWERED_JOINED] +
                  counters[ENGINE_COUNTER_ANSWERED_WARM] + counters[ENGINE_COUNTER_ANSWERED_COLD] +
                  counters[ENGINE_COUNTER_ANSWERED_STALE] + counters[ENGINE_COUNTER_FAILED] + model->aboard_count,
          "%" PRIu64 " probes are not the answers, the failures and those aboard", counters[ENGINE_COUNTER_PROBES]);
}

void model_settle(struct model *model, bool drained)
{
    judge_counters(model);
    if (drained)
        model_settle_workers(model);
    model->undrained = !drained;
    if (drained)
        model->undrained_serial = model->fence_serial;
    model->before = model->view;
}

static void take_bounds(struct engine_settings *tightest, struct engine_settings *loosest,
                        const struct engine_settings *settings)
{
#define BOUND(field)                                                                                                   \
    do {                                                                                                               \
        if (settings->field < tightest->field)                                                                         \
            tightest->field = settings->field;                                                                         \
        if (settings->field > loosest->field)                                                                          \
            loosest->field = settings->field;                                                                          \
    } while (0)
    BOUND(workers_per_home);
    BOUND(workers_max);
    BOUND(reserve_per_home);
    BOUND(reserve_wait_ns);
    BOUND(idle_ns_max);
    BOUND(lifetime_ns);
    BOUND(requests_max);
    BOUND(run_ns_max);
    BOUND(cache_entries_max);
    BOUND(cache_bytes_max);
    BOUND(failure_ttl_ns);
    BOUND(keep_good_ns);
#undef BOUND
}

void model_settings(struct model *model, const struct engine_settings *settings)
{
    model->settings = *settings;
    model->relaxed = true;
    take_bounds(&model->tightest, &model->loosest, settings);
}
