/* Prometheus' text format, version 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/.
 *
 * Names and units by https://prometheus.io/docs/practices/naming/: base units, _total for what only counts up.  Counters
 * keep the names that GetStatus has for them. */
#include "server/base/duration.h"
#include "server/base/invariant.h"
#include "server/http/views.h"

#include <inttypes.h>
#include <string.h>

/* ---- the families of counters ---- */

/* A family is what stands before the labels.  unit.http checks that each counter of the overview has one. */
static const struct family {
    const char *name, *help;
} families[] = {
    {"probed_probes_total", "Probe calls that reached a decision about their key."},
    {"probed_answers_total", "Probe calls answered with figures, by where these came from."},
    {"probed_failures_total", "Probe calls answered with an error."},
    {"probed_holds_total", "Probe calls answered from the cache because the provider wants to be left alone."},
    {"probed_last_good_total", "Answers without figures that the last good ones were laid beside."},
    {"probed_joins_total", "Probe calls that joined a probe in the air."},
    {"probed_leases_total", "Workers lent, by whether they had been waiting or were started."},
    {"probed_leases_returned_total", "Workers given back with an answer or a fault."},
    {"probed_waits_total", "Probes that had to wait for a worker."},
    {"probed_refusals_total", "Probe calls refused at once, by what stood against them."},
    {"probed_deadlines_total", "Calls whose deadline came before their answer."},
    {"probed_departures_total", "Calls whose client went before their answer."},
    {"probed_reruns_total", "Probes run again, by cause."},
    {"probed_aborts_total", "Probes given up because changes overtook them again and again."},
    {"probed_invalidations_total", "Invalidations of one home."},
    {"probed_invalidations_global_total", "Invalidations of every home: each began an epoch."},
    {"probed_syncs_total", "Sync calls."},
    {"probed_cache_stores_total", "Answers stored."},
    {"probed_cache_evictions_total", "Answers dropped to make room."},
    {"probed_cache_fenced_total", "Answers dropped by an invalidation."},
    {"probed_worker_starts_total", "Workers started."},
    {"probed_worker_starts_reserve_total", "Of these, reserve workers."},
    {"probed_worker_starts_ahead_total",
     "Of these, started for nobody yet, in place of one that an invalidation ended."},
    {"probed_worker_yields_total", "Idle workers ended to make room for another home's."},
    {"probed_pauses_total", "Pauses of homes whose workers failed."},
    {"probed_worker_ends_total", "Workers ended."},
    {"probed_worker_faults_total", "Workers that failed, by cause."},
    {"probed_events_total", "Changes published to subscribers."},
    {"probed_beats_total", "Heartbeats published."},
    {"probed_subscribers", "Subscribers connected now."},
    {"probed_observed_homes", "Homes whose credentials are looked out for now."},
    {"probed_observed_changes_total", "Changes of credentials that were seen without being told."},
};

static const struct family *find_family(const char *name)
{
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        size_t size = strlen(families[i].name);

        if (strncmp(name, families[i].name, size) == 0 && (name[size] == '\0' || name[size] == '{'))
            return &families[i];
    }
    return NULL;
}

/* ---- samples ---- */

static void write_head(struct text *body, const char *name, const char *type, const char *help)
{
    text_format(body, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_gauge(struct text *body, const char *name, const char *help, uint64_t value)
{
    write_head(body, name, "gauge", help);
    text_format(body, "%s %" PRIu64 "\n", name, value);
}

static const char *type_of(const char *name)
{
    static const char total[] = "_total";
    size_t size = strlen(name);

    return size > sizeof total && strcmp(name + size - (sizeof total - 1), total) == 0 ? "counter" : "gauge";
}

static void write_counters(struct text *body, const struct overview *overview)
{
    struct overview_counter counters[OVERVIEW_COUNTER_COUNT];
    const struct family *family = NULL;

    overview_counters(overview, counters);
    for (size_t i = 0; i < OVERVIEW_COUNTER_COUNT; i++) {
        const struct family *own = find_family(counters[i].name);

        INVARIANT(own != NULL);
        if (own != family)
            write_head(body, own->name, type_of(own->name), own->help);
        family = own;
        text_format(body, "%s %" PRIu64 "\n", counters[i].name, counters[i].value);
    }
}

/* Seconds, exactly, without the zeros at the end. */
static void write_seconds(struct text *body, uint64_t ns)
{
    uint64_t fraction = ns % NS_PER_S;
    int digits = 9;

    text_format(body, "%" PRIu64, ns / NS_PER_S);
    if (fraction == 0)
        return;
    for (; fraction % 10 == 0; fraction /= 10)
        digits--;
    text_format(body, ".%0*" PRIu64, digits, fraction);
}

/* ---- probed_probe_seconds ---- */

static void write_labels(struct text *body, const char *suffix, const struct timing_view *timing)
{
    text_format(body, "probed_probe_seconds%s{origin=\"%s\",status=\"%s\"", suffix, timing_origin_name(timing->origin),
                status_code_name(timing->code));
}

static void write_series(struct text *body, const struct timing_view *timing)
{
    uint64_t so_far = 0;

    for (unsigned bucket = 0; bucket < TIMING_BUCKET_COUNT; bucket++) {
        so_far += timing->buckets[bucket];
        write_labels(body, "_bucket", timing);
        text_add_string(body, ",le=\"");
        if (bucket < TIMING_BOUND_COUNT)
            write_seconds(body, timing_bound_ns(bucket));
        else
            text_add_string(body, "+Inf");
        text_format(body, "\"} %" PRIu64 "\n", so_far);
    }
    write_labels(body, "_sum", timing);
    text_add_string(body, "} ");
    write_seconds(body, timing->sum_ns);
    text_add_string(body, "\n");
    write_labels(body, "_count", timing);
    text_format(body, "} %" PRIu64 "\n", timing->count);
}

static void write_timing(struct text *body, const struct timing *timing)
{
    struct timing_view view;

    write_head(
        body, "probed_probe_seconds", "histogram",
        "Probe calls from arrival to answer, by where the answer came from (none: there was none) and gRPC status.");
    for (int origin = 0; origin < TIMING_ORIGIN_COUNT; origin++) {
        for (int code = 0; code < STATUS_CODE_COUNT; code++) {
            if (timing_look(timing, (enum timing_origin)origin, (enum status_code)code, &view))
                write_series(body, &view);
        }
    }
}

/* ---- the rest ---- */

static void write_state(struct text *body, const struct overview *overview)
{
    const struct engine_view *engine = &overview->engine;

    write_head(body, "probed_build_info", "gauge", "Which version runs; always 1.");
    text_add_string(body, "probed_build_info{version=\"" PROBED_VERSION "\"} 1\n");
    write_gauge(body, "probed_draining", "Whether new calls are refused because the daemon is about to end.",
                overview->draining);
    write_head(body, "probed_workers", "gauge", "Worker processes, by state.");
    for (int state = 0; state < WORKER_STATE_COUNT; state++)
        text_format(body, "probed_workers{state=\"%s\"} %" PRIu64 "\n", view_worker_state((enum worker_state)state),
                    engine->workers[state]);
    write_gauge(body, "probed_homes", "Homes known now.", engine->homes);
    write_gauge(body, "probed_cache_entries", "Answers in the cache.", engine->cache_entries);
    write_gauge(body, "probed_cache_bytes", "Memory that the cache's answers take.", engine->cache_bytes);
    write_gauge(body, "probed_flights", "Probes in the air or waiting for a worker.", engine->flights);
    write_gauge(body, "probed_calls_aboard", "Probe calls that wait for an answer.", engine->aboard);
    write_gauge(body, "probed_calls_queued", "Of these, calls whose probe waits for a worker.", engine->waiting);
}

static void write_process(struct text *body, const struct process *process)
{
    write_head(body, "process_cpu_seconds_total", "counter", "User and system CPU time of the daemon, in seconds.");
    text_add_string(body, "process_cpu_seconds_total ");
    write_seconds(body, process->cpu_ns);
    text_add_string(body, "\n");
    write_head(body, "process_start_time_seconds", "gauge", "Start of the daemon, in seconds of Unix time.");
    text_format(body, "process_start_time_seconds %" PRId64 ".%03" PRId64 "\n", process->started_ms / 1000,
                process->started_ms % 1000);
    write_gauge(body, "process_resident_memory_bytes", "Resident memory of the daemon.", process->resident_size);
    write_gauge(body, "process_virtual_memory_bytes", "Virtual memory of the daemon.", process->virtual_size);
    write_gauge(body, "process_open_fds", "Open file descriptors of the daemon.", process->fd_count);
    write_gauge(body, "process_max_fds", "Most file descriptors that the daemon may have open.", process->fd_count_max);
    write_gauge(body, "process_threads", "Threads of the daemon.", process->thread_count);
}

void metrics_write(struct text *body, const struct figures *figures)
{
    write_state(body, &figures->overview);
    write_timing(body, figures->timing);
    write_counters(body, &figures->overview);
    write_process(body, &figures->process);
}
