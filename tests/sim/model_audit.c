/* Everything at once: what the engine shows of itself against what the model believes. */
#include "tests/sim/model.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { AUDIT_HOMES = 32, AUDIT_WORKERS = 32 };

/* Too large for a stack, and needed one at a time. */
static struct engine_home_view home_views[AUDIT_HOMES];
static struct engine_worker_view worker_views[AUDIT_WORKERS];

static uint64_t oldest_wait_ns(const struct model *model, const struct model_home *home)
{
    uint64_t oldest = 0;

    LIST_EACH (node, &home->flights) {
        const struct model_flight *flight = LIST_OWNER(node, struct model_flight, of_home);

        LIST_EACH (caller, &flight->callers) {
            uint64_t waited = model->step.now_ns - LIST_OWNER(caller, struct sim_call, node)->arrived_ns;

            if (!flight->leased && waited > oldest)
                oldest = waited;
        }
    }
    return oldest;
}

/* A home with more than a sixteenth of the cache evicts its own, its newest answer apart. */
static uint64_t home_share(const struct model *model)
{
    uint64_t share = model->loosest.cache_entries_max / 16;

    return share > 1 ? share : 1;
}

static void audit_pause(const struct model *model, const struct model_home *home, const struct engine_home_view *view)
{
    uint64_t now_ns = model->step.now_ns;

    CLAIM(RULE_PAUSES,
          model->stopped ||
              (view->pause_ns == 0 ? now_ns >= home->paused_ns.least : now_ns + view->pause_ns <= home->paused_ns.most),
          "%s is shown to pause for %" PRIu64 " ns", view->home, view->pause_ns);
    CLAIM(RULE_PAUSES, view->pause_ns == 0 || view->last_failure[0] != '\0', "%s pauses, and does not say why",
          view->home);
}

static void audit_home(const struct model *model, const struct engine_home_view *view)
{
    unsigned number = model_home_number(model, view->home);
    const struct model_home *home;
    uint64_t waiting_count = 0;

    CLAIM(RULE_COUNTERS, number != CAST_ALL, "home %s is shown, which is nobody's", view->home);
    home = &model->homes[number];
    CLAIM(RULE_COUNTERS, view->generation == home->generation, "%s is shown at %" PRIu64 ", it is at %" PRIu64,
          view->home, view->generation, home->generation);
    LIST_EACH (node, &home->flights) {
        const struct model_flight *flight = LIST_OWNER(node, struct model_flight, of_home);

        waiting_count += flight->leased ? 0 : flight->callers.count;
    }
    CLAIM(RULE_COUNTERS, view->waiting == waiting_count, "%s is shown with %" PRIu64 " waiting, not %" PRIu64,
          view->home, view->waiting, waiting_count);
    CLAIM(RULE_COUNTERS, view->oldest_wait_ns <= oldest_wait_ns(model, home), "%s is shown to wait for %" PRIu64,
          view->home, view->oldest_wait_ns);
    CLAIM(RULE_COUNTERS, view->cache_entries <= home->entries.count || model->epoch != model->first_epoch,
          "%s is shown with %" PRIu64 " answers, of %zu", view->home, view->cache_entries, home->entries.count);
    CLAIM(RULE_BOUNDS, view->cache_entries <= home_share(model), "%s has %" PRIu64 " answers, its share is %" PRIu64,
          view->home, view->cache_entries, home_share(model));
    audit_pause(model, home, view);
    if (model->undrained || model->limbo_count + model->vague_count > 0)
        return;
    for (int state = 0; state < WORKER_DRAINING; state++)
        CLAIM(RULE_COUNTERS, view->workers[state] == home->worker_counts[state],
              "%s is shown with %" PRIu64 " workers in state %d, not %" PRIu64, view->home, view->workers[state], state,
              home->worker_counts[state]);
}

static void audit_homes(const struct model *model)
{
    static char after[LIMIT_HOME_SIZE_MAX + 1];
    uint64_t seen_count = 0, known_count = 0;
    bool more = true;

    after[0] = '\0';
    while (more) {
        size_t count = engine_look_homes(model->engine, model->step.now_ns, after, home_views, AUDIT_HOMES, &more);

        CLAIM(RULE_COUNTERS, count <= AUDIT_HOMES && (count > 0 || !more), "%zu homes are shown, and more", count);
        for (size_t i = 0; i < count; i++) {
            CLAIM(RULE_COUNTERS, strcmp(after, home_views[i].home) < 0, "homes are shown out of order");
            memcpy(after, home_views[i].home, strlen(home_views[i].home) + 1);
            audit_home(model, &home_views[i]);
        }
        seen_count += count;
    }
    for (unsigned home = 0; home < model->plan->home_count; home++)
        known_count += model_is_known(model, home);
    CLAIM(RULE_COUNTERS, seen_count >= known_count, "%" PRIu64 " homes are shown, %" PRIu64 " are known", seen_count,
          known_count);
    CLAIM(RULE_COUNTERS, seen_count == model->view.homes, "%" PRIu64 " homes are shown, %" PRIu64 " counted",
          seen_count, model->view.homes);
}

static void audit_worker(const struct model *model, const struct engine_worker_view *view)
{
    const struct sim_worker *worker = model_worker_find(model, view->worker_id);

    CLAIM(RULE_COUNTERS, worker != NULL || model->undrained, "worker %" PRIu64 " is shown, which nobody started",
          view->worker_id);
    if (worker == NULL)
        return;
    CLAIM(RULE_COUNTERS, strcmp(view->home, model->homes[worker->home].path) == 0, "worker %" PRIu64 " is shown in %s",
          view->worker_id, view->home);
    CLAIM(RULE_COUNTERS, worker->vague || view->generation == worker->fence.generation,
          "worker %" PRIu64 " is shown at generation %" PRIu64, view->worker_id, view->generation);
    CLAIM(RULE_COUNTERS, view->leases == worker->lease_count, "worker %" PRIu64 " is shown with %" PRIu64 " leases",
          view->worker_id, view->leases);
    if (worker->lease == NULL || model->stopped)
        return;
    CLAIM(RULE_COUNTERS, view->lease_id == worker->lease_id || worker->told_gone,
          "worker %" PRIu64 " is shown with lease %" PRIu64 ", it has %" PRIu64, view->worker_id, view->lease_id,
          worker->lease_id);
    CLAIM(RULE_COUNTERS, view->callers == (worker->flight == NULL ? 0 : worker->flight->callers.count),
          "worker %" PRIu64 " is shown with %" PRIu64 " callers", view->worker_id, view->callers);
}

static void audit_workers(const struct model *model)
{
    uint64_t after_id = 0, seen_count = 0;
    bool more = true;

    while (more) {
        size_t count =
            engine_look_workers(model->engine, model->step.now_ns, "", after_id, worker_views, AUDIT_WORKERS, &more);

        CLAIM(RULE_COUNTERS, count <= AUDIT_WORKERS && (count > 0 || !more), "%zu workers are shown, and more", count);
        for (size_t i = 0; i < count; i++) {
            CLAIM(RULE_COUNTERS, worker_views[i].worker_id > after_id, "workers are shown out of order");
            after_id = worker_views[i].worker_id;
            audit_worker(model, &worker_views[i]);
        }
        seen_count += count;
    }
    CLAIM(RULE_COUNTERS, seen_count + model->limbo_count >= model_worker_total(&model->view),
          "%" PRIu64 " workers are shown, %" PRIu64 " counted", seen_count, model_worker_total(&model->view));
}

/* The same of the busiest home alone. */
static void audit_workers_of_first(const struct model *model)
{
    const struct model_home *home = &model->homes[0];
    uint64_t due_count = 0;
    bool more = false;
    size_t count =
        engine_look_workers(model->engine, model->step.now_ns, home->path, 0, worker_views, AUDIT_WORKERS, &more);

    for (int state = 0; state < WORKER_STATE_COUNT; state++)
        due_count += home->worker_counts[state];
    for (size_t i = 0; i < count; i++)
        CLAIM(RULE_COUNTERS, strcmp(worker_views[i].home, home->path) == 0, "worker %" PRIu64 " of %s is shown",
              worker_views[i].worker_id, worker_views[i].home);
    CLAIM(RULE_COUNTERS, more || count == due_count || model->undrained || model->limbo_count > 0,
          "%zu workers of %s are shown, not %" PRIu64, count, home->path, due_count);
}

void model_audit(struct model *model)
{
    uint64_t certain_count = 0;

    LIST_EACH (node, &model->entries) {
        const struct model_entry *entry = LIST_OWNER(node, struct model_entry, recent);

        certain_count += entry->presence == ENTRY_CERTAIN && model_entry_is_kept(model, entry);
    }
    CLAIM(RULE_COUNTERS, model->view.cache_entries >= certain_count,
          "%" PRIu64 " answers are cached, at least %" PRIu64 " should be", model->view.cache_entries, certain_count);
    audit_homes(model);
    audit_workers(model);
    audit_workers_of_first(model);
    CLAIM(RULE_COUNTERS, engine_epoch(model->engine) == model->epoch, "another epoch than seen");
}

void model_end(struct model *model)
{
    CLAIM(RULE_LIVENESS, model->held_count == 0, "%" PRIu64 " calls were never given back", model->held_count);
    CLAIM(RULE_LIVENESS, model->alive.count == 0, "%zu workers are left", model->alive.count);
    CLAIM(RULE_LIVENESS, model->news == NULL, "news are left");
    CLAIM(RULE_LIVENESS, model->owed_end_count == 0, "%" PRIu64 " workers were never ended", model->owed_end_count);
    CLAIM(RULE_LIVENESS, model_worker_total(&model->view) == 0, "the engine counts workers that are gone");
    CLAIM(RULE_LIVENESS, engine_is_empty(model->engine), "nothing is left, and the engine is not empty");
}
