/* /api/status: the names of admin.proto, in plain JSON. Numbers are numbers; an epoch, which needs all its 64 bits, is a
 * string. */
#include "server/base/duration.h"
#include "server/http/views.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is put into an object is its own; a failure (no memory) leaves NULL behind, which is found at the end. */
static json_t *number(uint64_t value)
{
    return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

static json_t *milliseconds(uint64_t ns)
{
    return number(ns / NS_PER_MS);
}

static json_t *worker_counts(const uint64_t counts[WORKER_STATE_COUNT])
{
    json_t *object = json_object();

    for (int state = 0; state < WORKER_STATE_COUNT; state++)
        json_object_set_new(object, view_worker_state((enum worker_state)state), number(counts[state]));
    return object;
}

static json_t *counters(const struct overview *overview)
{
    struct overview_counter list[OVERVIEW_COUNTER_COUNT];
    json_t *object = json_object();

    overview_counters(overview, list);
    for (size_t i = 0; i < OVERVIEW_COUNTER_COUNT; i++)
        json_object_set_new(object, list[i].name, number(list[i].value));
    return object;
}

static json_t *status(const struct overview *overview)
{
    const struct engine_view *engine = &overview->engine;
    char epoch[32];

    snprintf(epoch, sizeof epoch, "%" PRIu64, engine->epoch);
    return json_pack("{s:s, s:s, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s}", "version", PROBED_VERSION, "epoch",
                     epoch, "uptime_ms", milliseconds(overview->uptime_ns), "draining", (int)overview->draining,
                     "homes", number(engine->homes), "cache_entries", number(engine->cache_entries), "cache_bytes",
                     number(engine->cache_bytes), "flights", number(engine->flights), "waiting",
                     number(engine->waiting), "workers", worker_counts(engine->workers), "counters", counters(overview),
                     "sandbox", overview->seal);
}

static json_t *process(const struct process *process)
{
    return json_pack("{s:f, s:o, s:o, s:o, s:o}", "cpu_seconds", (double)process->cpu_ns / (double)NS_PER_S,
                     "resident_bytes", number(process->resident_size), "open_fds", number(process->fd_count), "max_fds",
                     number(process->fd_count_max), "threads", number(process->thread_count));
}

/* ---- how long calls took ---- */

static json_t *series(const struct timing_view *timing)
{
    json_t *buckets = json_array();

    for (unsigned bucket = 0; bucket < TIMING_BUCKET_COUNT; bucket++)
        json_array_append_new(buckets, number(timing->buckets[bucket]));
    return json_pack("{s:s, s:s, s:o, s:f, s:o}", "origin", timing_origin_name(timing->origin), "status",
                     status_code_name(timing->code), "count", number(timing->count), "sum_seconds",
                     (double)timing->sum_ns / (double)NS_PER_S, "buckets", buckets);
}

/* A bucket has the calls that took at most its bound, and longer than the one before; the last has no bound. */
static json_t *probe_seconds(const struct timing *timing)
{
    json_t *bounds = json_array(), *list = json_array();
    struct timing_view view;

    for (unsigned bucket = 0; bucket < TIMING_BOUND_COUNT; bucket++)
        json_array_append_new(bounds, json_real((double)timing_bound_ns(bucket) / (double)NS_PER_S));
    for (int origin = 0; origin < TIMING_ORIGIN_COUNT; origin++) {
        for (int code = 0; code < STATUS_CODE_COUNT; code++) {
            if (timing_look(timing, (enum timing_origin)origin, (enum status_code)code, &view))
                json_array_append_new(list, series(&view));
        }
    }
    return json_pack("{s:o, s:o}", "bounds", bounds, "series", list);
}

/* ---- lists ---- */

static json_t *home(const struct engine_home_view *view)
{
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:s}", "home", view->home, "generation",
                     number(view->generation), "workers", worker_counts(view->workers), "waiting",
                     number(view->waiting), "oldest_wait_ms", milliseconds(view->oldest_wait_ns), "cache_entries",
                     number(view->cache_entries), "pause_ms", milliseconds(view->pause_ns + NS_PER_MS - 1),
                     "last_failure", view->last_failure);
}

static json_t *worker(const struct engine_worker_view *view)
{
    return json_pack("{s:o, s:i, s:s, s:o, s:s, s:o, s:o, s:s, s:o, s:o, s:o}", "worker_id", number(view->worker_id),
                     "pid", (int)view->pid, "home", view->home, "generation", number(view->generation), "state",
                     view_worker_state(view->state), "state_ms", milliseconds(view->state_ns), "lease_id",
                     number(view->lease_id), "provider", view->provider, "callers", number(view->callers), "leases",
                     number(view->leases), "age_ms", milliseconds(view->age_ns));
}

static json_t *event(const struct history_event *event)
{
    return json_pack("{s:I, s:s, s:s, s:s, s:o, s:s}", "at_ms", (json_int_t)event->at_ms, "home", event->home,
                     "provider", event->provider, "cause", event->cause == CAUSE_OBSERVED ? "observed" : "requested",
                     "generation", number(event->generation), "reason", event->reason);
}

static void set_lists(json_t *report, const struct figures *figures)
{
    json_t *homes = json_array(), *workers = json_array(), *events = json_array();

    for (size_t i = 0; i < figures->home_count; i++)
        json_array_append_new(homes, home(&figures->homes[i]));
    for (size_t i = 0; i < figures->worker_count; i++)
        json_array_append_new(workers, worker(&figures->workers[i]));
    for (size_t i = 0; i < figures->event_count; i++)
        json_array_append_new(events, event(&figures->events[i]));
    json_object_set_new(report, "homes", homes);
    json_object_set_new(report, "more_homes", json_boolean(figures->more_homes));
    json_object_set_new(report, "workers", workers);
    json_object_set_new(report, "more_workers", json_boolean(figures->more_workers));
    json_object_set_new(report, "events", events);
}

void report_write(struct text *body, const struct figures *figures)
{
    json_t *report = json_pack("{s:I, s:o, s:o, s:o, s:b}", "at_ms", (json_int_t)figures->at_ms, "status",
                               status(&figures->overview), "process", process(&figures->process), "probe_seconds",
                               probe_seconds(figures->timing), "names_homes", (int)figures->names_homes);
    char *text = NULL;

    if (report != NULL && figures->names_homes)
        set_lists(report, figures);
    if (report != NULL)
        text = json_dumps(report, JSON_COMPACT | JSON_REAL_PRECISION(15));
    if (text == NULL)
        body->failed = true;
    else
        text_add_string(body, text);
    text_add_string(body, "\n");
    free(text);
    json_decref(report);
}
