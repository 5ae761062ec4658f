/* What a call may be given back with, and who may be aboard of what. */
#include "tests/sim/model.h"

#include <inttypes.h>
#include <string.h>

struct cast_mark model_mark(const struct answer *answer)
{
    struct cast_mark mark;

    CLAIM(RULE_KEYS, answer != NULL && answer->size >= sizeof mark, "an answer that no worker gave");
    memcpy(&mark, answer->bytes, sizeof mark);
    return mark;
}

bool model_is_covered(const struct model *model, unsigned home, unsigned provider, struct fence fence)
{
    return fence.epoch != model->epoch || fence.generation < model->homes[home].covered[provider];
}

/* Whether what was computed under `fence` is older than what the call asks for.  A change of epoch makes all that the
 * call could have learned before void, and all that is left newer. */
bool model_is_too_old(const struct model *model, const struct sim_call *call, struct fence fence)
{
    return call->at_least.epoch == model->epoch && fence.generation < call->at_least.generation;
}

static bool at_least_is_legal(const struct model *model, const struct sim_call *call)
{
    return call->at_least.epoch == 0 ||
           (call->at_least.epoch == model->epoch && call->at_least.generation <= model->homes[call->home].generation);
}

static bool is_subject(const struct model *model, const struct sim_call *call)
{
    return model->step.call == call && model->step.kind != STEP_LEFT;
}

/* ---- joining ---- */

/* The engine's name for it: a re-run may have got another.  Whoever is given back in this step tells it no more. */
static const struct flight *identity_of(const struct model_flight *flight)
{
    LIST_EACH (node, &flight->callers) {
        const struct sim_call *caller = LIST_OWNER(node, struct sim_call, node);

        if (!caller->given_back)
            return caller->engine.flight;
    }
    return flight->identity;
}

/* A flight that the call may join; of two, the one that goes by `identity` (NULL: any). */
static struct model_flight *joinable(const struct model *model, const struct sim_call *call,
                                     const struct flight *identity)
{
    LIST_EACH (node, &model->homes[call->home].flights) {
        struct model_flight *flight = LIST_OWNER(node, struct model_flight, of_home);

        if (flight->provider == call->provider && flight->key == call->key &&
            !(flight->leased && model_is_too_old(model, call, flight->fence)) &&
            (identity == NULL || identity == identity_of(flight)))
            return flight;
    }
    return NULL;
}

bool model_joinable(const struct model *model, const struct sim_call *call)
{
    return joinable(model, call, NULL) != NULL;
}

/* ---- failures ---- */

/* Whether a failure of this key may (loosest settings), or must (tightest), be what the call is told. */
static bool remembers(const struct model *model, const struct sim_call *call, const struct engine_settings *settings)
{
    const struct model_failure *failure = &model->homes[call->home].failure[call->provider][call->key];

    return !call->refresh && failure->codes != 0 &&
           !model_is_covered(model, call->home, call->provider, failure->fence) &&
           !model_is_too_old(model, call, failure->fence) &&
           model->step.now_ns - failure->failed_ns < settings->failure_ttl_ns;
}

void model_remember(struct model *model, const struct model_flight *flight, enum status_code code)
{
    struct model_failure *failure = &model->homes[flight->home].failure[flight->provider][flight->key];
    bool maybe = model->step.kind == STEP_GONE && model_is_paused(model, flight->home, false);

    *failure = (struct model_failure){
        .codes = (maybe ? failure->codes : 0) | 1U << code,
        .maybe = maybe,
        .failed_ns = model->step.now_ns,
        .number = ++model->failure_number,
        .fence = flight->leased ? flight->fence : model_fence(model, flight->home),
    };
}

/* Its worker failed, or could not be started: everybody aboard hears of it in this step. */
static bool flight_failed(struct model *model, const struct sim_call *call, enum status_code code)
{
    const struct model_step *step = &model->step;
    struct model_flight *flight = call->flight;

    if (flight == NULL)
        return false;
    if (step->kind == STEP_RETURN && flight == step->flight)
        return flight->ending && step->end != LEASE_ANSWERED && code == step->code;
    if (step->kind != STEP_GONE || !step->start_failed || flight->leased || flight->home != step->worker->home ||
        (code != STATUS_UNAVAILABLE && code != step->code))
        return false;
    model_remember(model, flight, code);
    model_flight_end(model, flight);
    return true;
}

/* There are never more failures remembered than there may be answers. */
static bool must_remember(const struct model *model, const struct sim_call *call)
{
    const struct model_failure *failure = &model->homes[call->home].failure[call->provider][call->key];

    return remembers(model, call, &model->tightest) && !failure->maybe &&
           model->failure_number - failure->number < model->tightest.cache_entries_max;
}

static bool is_told_of_a_failure(const struct model *model, const struct sim_call *call, enum status_code code)
{
    const struct model_failure *failure = &model->homes[call->home].failure[call->provider][call->key];

    return remembers(model, call, &model->loosest) && call->engine.result.status.retry_after_ms > 0 &&
           (failure->codes & 1U << code) != 0;
}

/* Its home pauses: whoever was aboard hears of it in this step, and nothing is remembered.  Where a start failed in the
 * same step, it may be that failure which it is told of, and which is remembered. */
static bool pause_failed(struct model *model, const struct sim_call *call)
{
    struct model_flight *flight = call->flight;

    if (flight == NULL &&
        model->view.counters[ENGINE_COUNTER_REFUSED_PAUSE] == model->before.counters[ENGINE_COUNTER_REFUSED_PAUSE])
        return false;
    if (flight != NULL && model->step.kind == STEP_GONE && model->step.start_failed)
        return false;
    if (!model_pause_is_allowed(model, call))
        return false;
    if (flight != NULL)
        model_flight_end(model, flight);
    return true;
}

static bool failure_is_allowed(struct model *model, const struct sim_call *call, enum status_code code)
{
    const struct model_step *step = &model->step;
    bool subject = is_subject(model, call);

    if (code == STATUS_CANCELLED)
        return step->kind == STEP_LEFT && step->call == call;
    if (code == STATUS_DEADLINE_EXCEEDED && step->now_ns >= call->deadline_ns)
        return true;
    if (code == STATUS_FAILED_PRECONDITION)
        return subject && step->kind == STEP_PROBE && !at_least_is_legal(model, call);
    if (code == STATUS_RESOURCE_EXHAUSTED)
        return model_exhausted_is_allowed(model, call);
    if (code == STATUS_UNAVAILABLE && (step->kind == STEP_STOP || (subject && model->draining)))
        return true;
    if (call->kind != ENGINE_CALL_PROBE)
        return code == STATUS_NOT_FOUND && subject && call->known_only && !model_is_known(model, call->home);
    if (code == STATUS_ABORTED)
        return step->kind == STEP_INVALIDATE && call->flight != NULL && call->flight->ending;
    if (code == STATUS_UNAVAILABLE && pause_failed(model, call))
        return true;
    return flight_failed(model, call, code) ||
           (subject && step->kind == STEP_PROBE && is_told_of_a_failure(model, call, code));
}

/* ---- answers ---- */

static void judge_cached(struct model *model, const struct sim_call *call, struct cast_mark mark)
{
    const struct engine_result *result = &call->engine.result;
    const struct model_entry *entry = &model->homes[call->home].entry[call->provider][call->key];
    uint64_t age_ns = model->step.now_ns - mark.answered_ns;

    CLAIM(RULE_CALLS, is_subject(model, call) && model->step.kind == STEP_PROBE,
          "call %" PRIu64 " waited and was answered from the cache", call->id);
    CLAIM(RULE_FENCES, entry->presence != ENTRY_NONE && (entry->unsure || entry->latest.mark.lease_id == mark.lease_id),
          "the cache served lease %" PRIu64 ", which it should not hold", mark.lease_id);
    CLAIM(RULE_CALLS, result->age_ns == age_ns, "age is %" PRIu64 ", not %" PRIu64, result->age_ns, age_ns);
    CLAIM(RULE_CALLS, entry->unsure || model_entry_may_serve(model, call),
          "call %" PRIu64 " was given what is %" PRIu64 " ns old, and beyond its time", call->id, age_ns);
    if (entry->unsure)
        model->counted[ENGINE_COUNTER_HELD] = model->view.counters[ENGINE_COUNTER_HELD];
    else
        model_hold_counted(model, call, &entry->latest);
    model_entry_hit(model, call);
    model->counted[ENGINE_COUNTER_ANSWERED_CACHED]++;
}

/* How long the client may keep it: as the cache does, unless it holds something else, or nothing. */
static void judge_freshness(struct model *model, const struct sim_call *call)
{
    const struct engine_result *result = &call->engine.result;
    uint64_t now_ns = model->step.now_ns, most_ns = model_kept_until_ns(&model->step.landing, true) - now_ns;
    bool stored = model->view.counters[ENGINE_COUNTER_STORED] > model->before.counters[ENGINE_COUNTER_STORED];

    if (stored && !model->step.refusal_stands)
        model_kept_settle(&model->step.landing, now_ns, result->fresh_ns);
    else
        CLAIM(RULE_CALLS, result->fresh_ns <= most_ns, "may be kept for %" PRIu64 " ns, of at most %" PRIu64,
              result->fresh_ns, most_ns);
}

static void judge_landed(struct model *model, const struct sim_call *call)
{
    const struct engine_result *result = &call->engine.result;
    const struct model_step *step = &model->step;

    CLAIM(RULE_CALLS,
          step->kind == STEP_RETURN && step->end == LEASE_ANSWERED && step->flight != NULL &&
              call->flight == step->flight,
          "call %" PRIu64 " was answered by a lease that is not its own", call->id);
    CLAIM(RULE_CALLS, result->answer == step->answer, "call %" PRIu64 " was given another answer than came", call->id);
    CLAIM(RULE_CALLS, result->age_ns == 0, "a fresh answer is %" PRIu64 " ns old", result->age_ns);
    judge_freshness(model, call);
    if (!call->starter) {
        CLAIM(RULE_CALLS, result->origin == ORIGIN_JOINED, "a joiner's origin is %d", result->origin);
        model->counted[ENGINE_COUNTER_ANSWERED_JOINED]++;
        return;
    }
    CLAIM(RULE_CALLS, result->origin == step->worker->origin, "origin is %d, the lease's was %d", result->origin,
          step->worker->origin);
    model->counted[result->origin == ORIGIN_COLD ? ENGINE_COUNTER_ANSWERED_COLD : ENGINE_COUNTER_ANSWERED_WARM]++;
}

static void judge_answer(struct model *model, const struct sim_call *call)
{
    const struct engine_result *result = &call->engine.result;
    struct cast_mark mark = model_mark(result->answer);

    CLAIM(RULE_KEYS, mark.home == call->home && mark.provider == call->provider && mark.key == call->key,
          "call %" PRIu64 " for h%u/p%u/k%u was given h%u/p%u/k%u", call->id, call->home, call->provider, call->key,
          mark.home, mark.provider, mark.key);
    CLAIM(RULE_FENCES, !model_is_covered(model, call->home, call->provider, mark.fence),
          "call %" PRIu64 " was given generation %" PRIu64 ", covered at %" PRIu64, call->id, mark.fence.generation,
          model->homes[call->home].covered[call->provider]);
    CLAIM(RULE_FENCES, !model_is_too_old(model, call, mark.fence), "generation %" PRIu64 " is below the asked %" PRIu64,
          mark.fence.generation, call->at_least.generation);
    if (result->origin == ORIGIN_CACHED)
        judge_cached(model, call, mark);
    else
        judge_landed(model, call);
    model_last_good(model, call);
}

/* Without faults and in ample time, only the caller's own doing stands between it and an answer. */
static void judge_calm(const struct model *model, const struct sim_call *call, enum status_code code)
{
    CLAIM(RULE_LIVENESS,
          !model->plan->calm || model->draining || code == STATUS_OK || code == STATUS_CANCELLED ||
              code == STATUS_ABORTED || code == STATUS_FAILED_PRECONDITION || code == STATUS_NOT_FOUND,
          "call %" PRIu64 " failed with %s though nothing went wrong", call->id, status_code_name(code));
}

static void judge_failed(struct model *model, const struct sim_call *call, enum status_code code)
{
    const struct engine_result *result = &call->engine.result;

    CLAIM(RULE_CALLS, failure_is_allowed(model, call, code), "call %" PRIu64 " must not fail with %s: %s", call->id,
          status_code_name(code), result->status.message);
    CLAIM(RULE_CALLS, code == STATUS_CANCELLED || result->status.message[0] != '\0', "a failure without a word");
    if (!model_stale(model, call))
        CLAIM(RULE_CALLS, result->answer == NULL, "call %" PRIu64 " failed and has an answer", call->id);
}

static void judge_given_back(struct model *model, const struct sim_call *call)
{
    const struct engine_result *result = &call->engine.result;
    enum status_code code = result->status.code;

    judge_calm(model, call, code);
    model->counted[ENGINE_COUNTER_DEPARTED] += code == STATUS_CANCELLED;
    model->counted[ENGINE_COUNTER_ABORTED] += code == STATUS_ABORTED;
    model->counted[ENGINE_COUNTER_SYNCS] += code == STATUS_OK && call->kind == ENGINE_CALL_SYNC;
    if (code != STATUS_OK) {
        judge_failed(model, call, code);
    } else if (call->kind == ENGINE_CALL_PROBE) {
        CLAIM(RULE_GOOD, !call->engine.result.stale, "call %" PRIu64 " is stale, and nothing failed", call->id);
        judge_answer(model, call);
    } else {
        struct fence fence = model_fence(model, call->home);

        CLAIM(RULE_NEWS, call->kind == ENGINE_CALL_SYNC, "an invalidation was answered before its event");
        CLAIM(RULE_FENCES, result->fence.epoch == fence.epoch && result->fence.generation == fence.generation,
              "sync says generation %" PRIu64 ", it is %" PRIu64, result->fence.generation, fence.generation);
    }
}

void model_given_back(struct model *model, struct sim_call *call)
{
    CLAIM(RULE_CALLS, call->engine.id == call->id, "call %" PRIu64 " came back as %" PRIu64, call->id, call->engine.id);
    CLAIM(RULE_CALLS, is_subject(model, call) || (call->place != CALL_FREE && call->place != CALL_IN_NEWS),
          "call %" PRIu64 " is given back, and was not in the engine's hands", call->id);
    if (is_subject(model, call) && call->kind == ENGINE_CALL_PROBE && model->step.kind == STEP_PROBE)
        CLAIM(RULE_CALLS,
              model_entry_due(model, call) == NULL || call->engine.result.origin == ORIGIN_CACHED || model->draining ||
                  call->deadline_ns <= model->step.now_ns,
              "call %" PRIu64 " was refused what the cache holds", call->id);
    judge_given_back(model, call);
    if (call->flight != NULL)
        model_unboard(model, call);
    else
        list_remove(&call->node);
    call->place = CALL_FREE;
    model->held_count--;
}

/* ---- the step's own call ---- */

/* A probe that waits: it is aboard before those whose time is up leave, so it may join what they leave behind. */
void model_taken_in(struct model *model, struct sim_call *call)
{
    struct model_home *home = &model->homes[call->home];
    struct model_flight *flight;

    CLAIM(RULE_CALLS, !model->draining, "call %" PRIu64 " was taken in while draining", call->id);
    CLAIM(RULE_CALLS, call->deadline_ns > model->step.now_ns, "call %" PRIu64 " was taken in after its deadline",
          call->id);
    CLAIM(RULE_FENCES, at_least_is_legal(model, call), "call %" PRIu64 " was taken in with an at_least of the future",
          call->id);
    CLAIM(RULE_CALLS, model_entry_due(model, call) == NULL, "call %" PRIu64 " waits for what the cache holds",
          call->id);
    model_entry_missed(model, call);
    model_home_met(model, call->home, call->uid);
    home->known = HOME_KNOWN;
    if (joinable(model, call, NULL) != NULL) {
        flight = joinable(model, call, call->engine.flight);
        CLAIM(RULE_CALLS, flight != NULL && call->engine.flight != NULL,
              "call %" PRIu64 " did not join the flight of its key", call->id);
        model->counted[ENGINE_COUNTER_JOINED]++;
    } else {
        CLAIM(RULE_CALLS, !must_remember(model, call), "the failure of its key is forgotten");
        CLAIM(RULE_PAUSES,
              !model_is_paused(model, call->home, true) || model_live_count(home) > 0 || model->plan->lazy_drains,
              "call %" PRIu64 " waits for a start that is not to be", call->id);
        flight = model_flight_start(model, call);
        call->starter = true;
        model->step.boarded_anew = true;
    }
    model_board(model, flight, call);
}

static void settle_return(struct model *model)
{
    struct model_step *step = &model->step;

    if (step->end == LEASE_ANSWERED && step->flight != NULL)
        model_store(model, step->answer);
}

void model_settle_subject(struct model *model)
{
    struct model_step *step = &model->step;
    struct sim_call *call = step->call;

    switch (step->kind) {
    case STEP_PARKED:
        if (!call->given_back) {
            CLAIM(RULE_CALLS, call->deadline_ns > step->now_ns, "parked after its deadline");
            call->place = CALL_PARKED;
        }
        break;
    case STEP_PROBE:
        model_home_met(model, call->home, call->uid);
        if (model->homes[call->home].known == HOME_UNKNOWN)
            model->homes[call->home].known = HOME_MAYBE;
        model_judge_home_share(model, call->uid);
        break;
    case STEP_SYNC:
        CLAIM(RULE_CALLS, call->given_back, "sync waits");
        break;
    case STEP_LEFT:
        CLAIM(RULE_CALLS, call == NULL || call->given_back || call->engine.place == ENGINE_CALL_IN_NEWS,
              "call %" PRIu64 " is kept though its client has gone", call->id);
        break;
    case STEP_RETURN:
        settle_return(model);
        break;
    case STEP_STOP:
        CLAIM(RULE_CALLS, model->aboard_count == 0, "calls outlive the stop");
        break;
    default:
        break;
    }
    model_entries_evicted(model, call != NULL ? call->home : step->worker != NULL ? step->worker->home : CAST_ALL);
}
