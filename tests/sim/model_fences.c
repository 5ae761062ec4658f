/* Invalidations: what they void, what they make known, and when the quiesced ones are answered. */
#include "tests/sim/model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void expect_news(struct model *model, const struct sim_call *about, struct sim_call *answered,
                        enum engine_news_kind kind)
{
    struct model_news *news = calloc(1, sizeof *news);

    if (news == NULL) {
        perror("sim");
        exit(70);
    }
    *news = (struct model_news){
        .kind = kind,
        .home = about->home,
        .provider = about->provider,
        .fence = about->decided,
        .reason = about->id,
        .call = answered,
        .step = model->step_count,
        .code = answered == NULL ? STATUS_OK : answered->engine.result.status.code,
    };
    *(model->news == NULL ? &model->news : &model->news_last->next) = news;
    model->news_last = news;
}

static void forget_failures(struct model_home *home, unsigned provider)
{
    for (unsigned p = 0; p < PLAN_PROVIDER_COUNT_MAX; p++)
        for (unsigned key = 0; key < PLAN_KEY_COUNT_MAX; key++)
            if (provider == CAST_ALL || provider == p)
                home->failure[p][key].codes = 0;
}

/* One home's share of an invalidation, its generation apart. */
static void invalidate_home(struct model *model, unsigned number, unsigned provider)
{
    struct model_home *home = &model->homes[number];

    for (unsigned p = 0; p < PLAN_PROVIDER_COUNT_MAX; p++)
        if (provider == CAST_ALL || provider == p)
            home->covered[p] = home->generation;
    forget_failures(home, provider);
    model_faults_forgiven(model, number);
    LIST_EACH_SAFE (node, &home->flights) {
        struct model_flight *flight = LIST_OWNER(node, struct model_flight, of_home);

        if (flight->leased && (provider == CAST_ALL || flight->provider == provider))
            model_flight_overtake(model, flight);
    }
}

static void invalidate_all(struct model *model, struct sim_call *call)
{
    model->epoch = call->new_epoch;
    for (unsigned number = 0; number < model->plan->home_count; number++) {
        struct model_home *home = &model->homes[number];

        home->generation = 1;
        home->service_doubted = true;
        if (home->known == HOME_KNOWN)
            home->known = HOME_MAYBE;
        invalidate_home(model, number, CAST_ALL);
    }
    call->decided = (struct fence){model->epoch, 1};
    model->counted[ENGINE_COUNTER_INVALIDATIONS_GLOBAL]++;
}

/* One start ahead for every home in scope that has a worker. */
static void wish_for_replacements(struct model *model, unsigned scope)
{
    unsigned first = scope == CAST_ALL ? 0 : scope, last = scope == CAST_ALL ? model->plan->home_count - 1 : scope;

    for (unsigned home = first; home <= last && model->settings.prewarm; home++)
        if (model_live_count(&model->homes[home]) > 0)
            model_wish(model, home, WISH_CERTAIN);
}

/* It was not refused: so it is decided, in this step. */
void model_invalidated(struct model *model, struct sim_call *call)
{
    CLAIM(RULE_CALLS, !model->draining, "an invalidation was taken in while draining");
    call->fence_serial = ++model->fence_serial;
    model_entries_drop(model, call->home, call->provider, call);
    wish_for_replacements(model, call->home);
    model_workers_retire(model, call->home, call);
    if (call->home == CAST_ALL) {
        invalidate_all(model, call);
    } else {
        struct model_home *home = &model->homes[call->home];

        model_home_met(model, call->home, call->uid);
        home->generation++;
        model->counted[ENGINE_COUNTER_INVALIDATIONS]++;
        home->known = HOME_KNOWN;
        invalidate_home(model, call->home, call->provider);
        call->decided = model_fence(model, call->home);
    }
    if (call->engine.place == ENGINE_CALL_IN_NEWS) {
        CLAIM(RULE_QUIESCED, !call->quiesced || model_older_count(model, call, true) == 0,
              "quiesced at once, with %" PRIu64 " older workers", model_older_count(model, call, true));
        call->place = CALL_IN_NEWS;
    } else {
        CLAIM(RULE_CALLS, call->quiesced, "call %" PRIu64 " is fenced and waits", call->id);
        call->place = CALL_QUIESCING;
        list_push_back(&model->quiescing, &call->node);
    }
    expect_news(model, call, call->place == CALL_IN_NEWS ? call : NULL,
                call->home == CAST_ALL ? ENGINE_NEWS_BEAT : ENGINE_NEWS_EVENT);
}

/* Workers of the call's scope that were there before it.  processes_only: those without which it must not be answered;
 * else also those that are merely on their way in or out, whose end it may wait for. */
uint64_t model_older_count(const struct model *model, const struct sim_call *call, bool processes_only)
{
    uint64_t count = 0;

    LIST_EACH (node, &model->alive) {
        const struct sim_worker *worker = LIST_OWNER(node, struct sim_worker, node);

        if (worker->born_serial < call->fence_serial && (call->home == CAST_ALL || worker->home == call->home) &&
            (!processes_only || (worker->launched && !worker->told_gone && !worker->vague)))
            count++;
    }
    return count;
}

static bool event_is_out(const struct model *model, const struct sim_call *call)
{
    for (const struct model_news *news = model->news; news != NULL; news = news->next)
        if (news->kind != ENGINE_NEWS_ANSWER && news->reason == call->id)
            return false;
    return true;
}

/* A quiesced call that ends otherwise is given back behind its event, if that is not out yet. */
static void judge_end_in_news(const struct model *model, const struct sim_call *call, enum status_code code)
{
    const struct model_step *step = &model->step;

    CLAIM(RULE_CALLS,
          (code == STATUS_CANCELLED && step->kind == STEP_LEFT && step->call == call) ||
              (code == STATUS_DEADLINE_EXCEEDED && step->now_ns >= call->deadline_ns) ||
              (code == STATUS_UNAVAILABLE && step->kind == STEP_STOP),
          "call %" PRIu64 " must not fail with %s: %s", call->id, status_code_name(code),
          call->engine.result.status.message);
    CLAIM(RULE_CALLS, !event_is_out(model, call), "call %" PRIu64 " failed, and waits for its turn to hear of it",
          call->id);
}

/* Those that wait: none too early, none too late. */
void model_quiescing(struct model *model)
{
    LIST_EACH_SAFE (node, &model->quiescing) {
        struct sim_call *call = LIST_OWNER(node, struct sim_call, node);
        enum status_code code = call->engine.result.status.code;

        if (call->engine.place == ENGINE_CALL_IN_NEWS && code != STATUS_OK) {
            judge_end_in_news(model, call, code);
            model->counted[ENGINE_COUNTER_DEPARTED] += code == STATUS_CANCELLED;
            list_remove(&call->node);
            call->place = CALL_IN_NEWS;
            expect_news(model, call, call, ENGINE_NEWS_ANSWER);
        } else if (call->engine.place == ENGINE_CALL_IN_NEWS) {
            CLAIM(RULE_QUIESCED, model_older_count(model, call, true) == 0,
                  "call %" PRIu64 " is quiesced with %" PRIu64 " older workers left", call->id,
                  model_older_count(model, call, true));
            list_remove(&call->node);
            call->place = CALL_IN_NEWS;
            expect_news(model, call, call, ENGINE_NEWS_ANSWER);
        } else {
            CLAIM(RULE_CALLS, !model->stopped, "call %" PRIu64 " outlives the stop", call->id);
            if (model->undrained)
                continue;
            CLAIM(RULE_QUIESCED, model_older_count(model, call, false) > 0,
                  "call %" PRIu64 " waits though no older worker is left", call->id);
        }
    }
}

static void judge_result(const struct sim_call *call, enum status_code due_code)
{
    const struct engine_result *result = &call->engine.result;
    bool same_epoch = result->fence.epoch == call->decided.epoch;

    CLAIM(RULE_CALLS, result->status.code == due_code, "call %" PRIu64 " came with the news as %s, not %s", call->id,
          status_code_name(result->status.code), status_code_name(due_code));
    if (due_code != STATUS_OK)
        return;
    CLAIM(RULE_NEWS,
          call->quiesced ? !same_epoch || result->fence.generation >= call->decided.generation
                         : same_epoch && result->fence.generation == call->decided.generation,
          "call %" PRIu64 " made generation %" PRIu64 " and is told %" PRIu64, call->id, call->decided.generation,
          result->fence.generation);
    CLAIM(RULE_COUNTERS, result->cache_dropped >= call->dropped_min && result->cache_dropped <= call->dropped_max,
          "%" PRIu64 " answers dropped, not %" PRIu64 " to %" PRIu64, result->cache_dropped, call->dropped_min,
          call->dropped_max);
    CLAIM(RULE_COUNTERS, result->workers_retired >= call->retired_min && result->workers_retired <= call->retired_max,
          "%" PRIu64 " workers retired, not %" PRIu64 " to %" PRIu64, result->workers_retired, call->retired_min,
          call->retired_max);
    CLAIM(RULE_COUNTERS,
          result->workers_draining >= call->draining_min && result->workers_draining <= call->draining_max,
          "%" PRIu64 " workers draining, not %" PRIu64 " to %" PRIu64, result->workers_draining, call->draining_min,
          call->draining_max);
}

/* Answers that were decided in one step may come out in any order: brings the one for `call` to the front. */
static void bring_forward(struct model *model, const struct engine_call *call)
{
    struct model_news *due = model->news;

    while (due != NULL && due->kind == ENGINE_NEWS_ANSWER && due->step == model->news->step &&
           &due->call->engine != call)
        due = due->next;
    if (due != NULL && due->kind == ENGINE_NEWS_ANSWER && due->step == model->news->step) {
        struct model_news first = *model->news;

        model->news->call = due->call;
        model->news->code = due->code;
        due->call = first.call;
        due->code = first.code;
    }
}

/* An item came out: it must be the oldest that is due, to the letter. */
void model_news(struct model *model, const struct engine_news *news)
{
    struct model_news *due;
    char reason[32];

    if (news->kind == ENGINE_NEWS_ANSWER && model->news != NULL)
        bring_forward(model, news->call);
    due = model->news;
    CLAIM(RULE_NEWS, due != NULL, "news of kind %d that nothing caused", news->kind);
    snprintf(reason, sizeof reason, "reason %" PRIu64, due->reason);
    CLAIM(RULE_NEWS, news->kind == due->kind, "news of kind %d, not %d", news->kind, due->kind);
    CLAIM(RULE_NEWS, news->call == (due->call == NULL ? NULL : &due->call->engine), "news for another call");
    if (news->kind != ENGINE_NEWS_ANSWER)
        CLAIM(RULE_NEWS, news->fence.epoch == due->fence.epoch, "news of epoch %" PRIx64, news->fence.epoch);
    if (news->kind == ENGINE_NEWS_EVENT) {
        CLAIM(RULE_NEWS, news->fence.generation == due->fence.generation,
              "an event of generation %" PRIu64 ", not %" PRIu64, news->fence.generation, due->fence.generation);
        CLAIM(RULE_NEWS, strcmp(news->home, model->homes[due->home].path) == 0, "an event of %s", news->home);
        CLAIM(RULE_NEWS, strcmp(news->provider, model_provider(due->provider)) == 0, "an event of %s", news->provider);
        CLAIM(RULE_NEWS, strcmp(news->reason, reason) == 0, "an event for \"%s\", not \"%s\"", news->reason, reason);
        CLAIM(RULE_NEWS, news->cause == CAUSE_REQUESTED, "an event of cause %d", news->cause);
    }
    if (due->call != NULL) {
        judge_result(due->call, due->code);
        due->call->place = CALL_FREE;
        model->held_count--;
    }
    model->news = due->next;
    free(due);
}
