/* The last good answer: given beside one that says nothing of the account, and in place of an error to whoever would
 * rather have it. */
#include "tests/sim/model.h"

#include <inttypes.h>

static const struct model_entry *entry_of(const struct model *model, const struct sim_call *call)
{
    return &model->homes[call->home].entry[call->provider][call->key];
}

/* Whether other settings for how long count for what is there already is not said. */
uint64_t model_good_until_ns(const struct model *model, const struct model_entry *entry, bool certain)
{
    return entry->good.answered_ns + (certain ? model->tightest.keep_good_ns : model->loosest.keep_good_ns);
}

/* Whether there is one for this call, as far as can be known.  An answer that landed in this very step may have taken
 * its room: which ones went is settled when the calls are judged. */
enum entry_presence model_good(const struct model *model, const struct sim_call *call)
{
    const struct model_entry *entry = entry_of(model, call);
    bool evicts = model->view.counters[ENGINE_COUNTER_EVICTED] > model->before.counters[ENGINE_COUNTER_EVICTED];
    bool certain = entry->presence == ENTRY_CERTAIN && entry->good_presence == ENTRY_CERTAIN && !entry->good_unsure &&
                   !evicts && model->step.now_ns < model_good_until_ns(model, entry, true);
    bool foreign = model->step.kind == STEP_PROBE && model->step.call == call && call->at_least.epoch != 0 &&
                   call->at_least.epoch != model->epoch; /* once aboard, it is the past's */
    bool old = foreign || model->step.now_ns >= model_good_until_ns(model, entry, false) ||
               model_is_too_old(model, call, entry->good.fence);

    if (entry->presence == ENTRY_NONE || (!entry->good_unsure && (entry->good_presence == ENTRY_NONE || old)))
        return ENTRY_NONE;
    return certain ? ENTRY_CERTAIN : ENTRY_MAYBE;
}

/* This is it, of that age. */
static void judge_good(struct model *model, const struct sim_call *call, const struct answer *answer, uint64_t age_ns)
{
    struct model_entry *entry = &model->homes[call->home].entry[call->provider][call->key];
    struct cast_mark mark = model_mark(answer);

    CLAIM(RULE_KEYS, mark.home == call->home && mark.provider == call->provider && mark.key == call->key,
          "call %" PRIu64 " was given h%u/p%u/k%u as its last good answer", call->id, mark.home, mark.provider,
          mark.key);
    CLAIM(RULE_GOOD, mark.good, "the last good answer of call %" PRIu64 " is not good", call->id);
    CLAIM(RULE_FENCES,
          !model_is_covered(model, call->home, call->provider, mark.fence) &&
              !model_is_too_old(model, call, mark.fence),
          "the last good answer is of generation %" PRIu64, mark.fence.generation);
    CLAIM(RULE_GOOD, model_good(model, call) != ENTRY_NONE, "call %" PRIu64 " was given a good answer that is gone",
          call->id);
    CLAIM(RULE_GOOD, entry->good_unsure || mark.lease_id == entry->good.lease_id,
          "the last good answer is of lease %" PRIu64 ", not %" PRIu64, mark.lease_id, entry->good.lease_id);
    CLAIM(RULE_GOOD, age_ns == model->step.now_ns - mark.answered_ns,
          "the last good answer is said to be %" PRIu64 " old", age_ns);
    entry->vague = true; /* whether that is a use is not said */
}

/* Beside an answer. */
void model_last_good(struct model *model, const struct sim_call *call)
{
    const struct engine_result *result = &call->engine.result;
    enum account_status account = model_mark(result->answer).account;
    bool bad = account == ACCOUNT_RATE_LIMITED || account == ACCOUNT_UNAVAILABLE;

    if (result->last_good == NULL) {
        CLAIM(RULE_GOOD, !bad || model_good(model, call) != ENTRY_CERTAIN, "call %" PRIu64 " has no last good answer",
              call->id);
        return;
    }
    CLAIM(RULE_GOOD, bad, "call %" PRIu64 " has a last good answer beside state %d", call->id, account);
    judge_good(model, call, result->last_good, result->last_good_age_ns);
    model->counted[ENGINE_COUNTER_LAST_GOOD]++;
}

/* In place of the error; false: it is an error. */
bool model_stale(struct model *model, const struct sim_call *call)
{
    const struct engine_result *result = &call->engine.result;
    enum status_code code = result->status.code;
    bool has_home = call->place == CALL_ABOARD || (model->step.kind == STEP_PROBE && model->step.call == call);
    bool asked = call->kind == ENGINE_CALL_PROBE && call->accept_stale && code != STATUS_CANCELLED &&
                 code != STATUS_FAILED_PRECONDITION && has_home;

    CLAIM(RULE_GOOD, result->last_good == NULL, "call %" PRIu64 " failed and has a last good answer", call->id);
    if (!result->stale) {
        CLAIM(RULE_GOOD, !asked || model_good(model, call) != ENTRY_CERTAIN,
              "call %" PRIu64 " is told of an error, and would rather have the last good answer", call->id);
        return false;
    }
    CLAIM(RULE_GOOD, asked, "call %" PRIu64 " is given a stale answer, and did not ask for one", call->id);
    judge_good(model, call, result->answer, result->age_ns);
    CLAIM(RULE_GOOD, result->origin == ORIGIN_CACHED && result->fresh_ns == 0, "a stale answer of origin %d, %" PRIu64,
          result->origin, result->fresh_ns);
    model->counted[ENGINE_COUNTER_ANSWERED_STALE]++;
    return true;
}
