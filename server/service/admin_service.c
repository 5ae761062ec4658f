/* probed.v1.AdminService: who holds what, who waits, and why.  Nothing here is secret, nothing is changed. */
#include "server/base/duration.h"
#include "server/homes/path.h"
#include "server/service/internal.h"
#include "server/service/overview.h"

#include <stdlib.h>
#include <string.h>

enum {
    HOME_COUNT_DEFAULT = 100,
    HOME_COUNT_MAX = 1000,
    WORKERS_PER_LOOK = 64,
    TIMES_COUNT_MAX = TIMING_ORIGIN_COUNT * STATUS_CODE_COUNT
};

_Static_assert((int)CAUSE_OBSERVED == (int)PROBED__V1__CAUSE__CAUSE_OBSERVED &&
                   (int)CAUSE_REQUESTED == (int)PROBED__V1__CAUSE__CAUSE_REQUESTED,
               "the wire numbers the causes as the engine does");
_Static_assert((int)WORKER_ENDING + 1 == (int)PROBED__V1__WORKER_STATE__WORKER_STATE_ENDING,
               "the wire numbers the worker states as the engine does, one on");

static Probed__V1__WorkerCounts worker_counts(const uint64_t counts[WORKER_STATE_COUNT])
{
    Probed__V1__WorkerCounts message = PROBED__V1__WORKER_COUNTS__INIT;

    message.starting = service_clip(counts[WORKER_STARTING]);
    message.idle = service_clip(counts[WORKER_IDLE]);
    message.leased = service_clip(counts[WORKER_LEASED]);
    message.draining = service_clip(counts[WORKER_DRAINING]);
    message.ending = service_clip(counts[WORKER_ENDING]);
    return message;
}

static void fail_for_memory(struct rpc_call *call)
{
    struct status status = status_make(STATUS_RESOURCE_EXHAUSTED, "no memory for the list");

    rpc_call_fail(call, &status);
}

/* ---- the daemon ---- */

/* What a response points to: each kind of call that there was so far. */
struct times {
    struct timing_view views[TIMES_COUNT_MAX];
    Probed__V1__CallTimes infos[TIMES_COUNT_MAX], *pointers[TIMES_COUNT_MAX];
    uint32_t bounds_us[TIMING_BOUND_COUNT];
};

static void fill_times(struct times *times, const struct timing *timing, Probed__V1__GetStatusResponse *response)
{
    size_t count = 0;

    for (unsigned kind = 0; kind < TIMES_COUNT_MAX; kind++) {
        struct timing_view *view = &times->views[count];
        Probed__V1__CallTimes *info = &times->infos[count];

        if (!timing_look(timing, (enum timing_origin)(kind / STATUS_CODE_COUNT),
                         (enum status_code)(kind % STATUS_CODE_COUNT), view))
            continue;
        probed__v1__call_times__init(info);
        info->origin = (char *)(uintptr_t)timing_origin_name(view->origin);
        info->status = (char *)(uintptr_t)status_code_name(view->code);
        info->buckets = view->buckets;
        info->n_buckets = TIMING_BUCKET_COUNT;
        info->sum_us = view->sum_ns / NS_PER_US;
        times->pointers[count++] = info;
    }
    for (unsigned bucket = 0; bucket < TIMING_BOUND_COUNT; bucket++)
        times->bounds_us[bucket] = (uint32_t)(timing_bound_ns(bucket) / NS_PER_US);
    response->times = times->pointers;
    response->n_times = count;
    response->time_bounds_us = times->bounds_us;
    response->n_time_bounds_us = TIMING_BOUND_COUNT;
}

static void admin_service_get_status(Probed__V1__AdminService_Service *table,
                                     const Probed__V1__GetStatusRequest *request,
                                     Probed__V1__GetStatusResponse_Closure closure, void *closure_data)
{
    struct service *service = SERVICE_OF(table, admin);
    Probed__V1__GetStatusResponse response = PROBED__V1__GET_STATUS_RESPONSE__INIT;
    Probed__V1__Counter messages[OVERVIEW_COUNTER_COUNT], *message_pointers[OVERVIEW_COUNTER_COUNT];
    struct overview_counter counters[OVERVIEW_COUNTER_COUNT];
    struct times *times = malloc(sizeof *times);
    Probed__V1__WorkerCounts workers;
    struct overview overview;

    (void)request;
    (void)closure;
    if (times == NULL) {
        fail_for_memory(closure_data);
        return;
    }
    service_overview(service, &overview);
    overview_counters(&overview, counters);
    for (size_t i = 0; i < OVERVIEW_COUNTER_COUNT; i++) {
        probed__v1__counter__init(&messages[i]);
        messages[i].name = (char *)(uintptr_t)counters[i].name;
        messages[i].value = counters[i].value;
        message_pointers[i] = &messages[i];
    }
    workers = worker_counts(overview.engine.workers);
    response.version = (char *)(uintptr_t)PROBED_VERSION;
    response.epoch = overview.engine.epoch;
    response.uptime_ms = overview.uptime_ns / NS_PER_MS;
    response.draining = overview.draining;
    response.homes = service_clip(overview.engine.homes);
    response.cache_entries = service_clip(overview.engine.cache_entries);
    response.flights = service_clip(overview.engine.flights);
    response.waiting = service_clip(overview.engine.waiting);
    response.workers = &workers;
    response.counters = message_pointers;
    response.n_counters = OVERVIEW_COUNTER_COUNT;
    response.sandbox = overview.seal;
    fill_times(times, service_timing(service), &response);
    rpc_call_reply(closure_data, &response.base);
    free(times);
}

/* ---- homes ---- */

struct home_row {
    Probed__V1__HomeInfo info;
    Probed__V1__WorkerCounts workers;
};

static void fill_home(struct home_row *row, struct engine_home_view *view)
{
    probed__v1__home_info__init(&row->info);
    row->workers = worker_counts(view->workers);
    row->info.home = view->home;
    row->info.generation = view->generation;
    row->info.workers = &row->workers;
    row->info.waiting = service_clip(view->waiting);
    row->info.oldest_wait_ms = service_clip(view->oldest_wait_ns / NS_PER_MS);
    row->info.cache_entries = service_clip(view->cache_entries);
    row->info.pause_ms = service_clip((view->pause_ns + NS_PER_MS - 1) / NS_PER_MS);
    row->info.last_failure = view->last_failure;
}

static void admin_service_list_homes(Probed__V1__AdminService_Service *table,
                                     const Probed__V1__ListHomesRequest *request,
                                     Probed__V1__ListHomesResponse_Closure closure, void *closure_data)
{
    struct service *service = SERVICE_OF(table, admin);
    struct rpc_call *call = closure_data;
    Probed__V1__ListHomesResponse response = PROBED__V1__LIST_HOMES_RESPONSE__INIT;
    size_t count_max = request->limit == 0               ? HOME_COUNT_DEFAULT
                       : request->limit > HOME_COUNT_MAX ? HOME_COUNT_MAX
                                                         : request->limit;
    struct engine_home_view *views = malloc(count_max * sizeof *views);
    struct home_row *rows = malloc(count_max * sizeof *rows);
    Probed__V1__HomeInfo **infos = malloc(count_max * sizeof(Probed__V1__HomeInfo *));
    bool more;

    (void)closure;
    if (views == NULL || rows == NULL || infos == NULL) {
        fail_for_memory(call);
    } else {
        if (request->busy)
            response.n_homes = shell_look_busy_homes(service->shell, views, count_max, &more);
        else
            response.n_homes = shell_look_homes(service->shell, request->after, views, count_max, &more);
        for (size_t i = 0; i < response.n_homes; i++) {
            fill_home(&rows[i], &views[i]);
            infos[i] = &rows[i].info;
        }
        response.homes = infos;
        response.more = more;
        rpc_call_reply(call, &response.base);
    }
    free(infos);
    free(rows);
    free(views);
}

/* ---- workers ---- */

/* What a page of workers becomes; the pages are chained, since there may be as many as pool.workers_max. */
struct worker_page {
    struct worker_page *next;
    size_t count;
    struct engine_worker_view views[WORKERS_PER_LOOK];
    Probed__V1__WorkerInfo infos[WORKERS_PER_LOOK];
    char seals[WORKERS_PER_LOOK][CUSTODY_SEAL_NAME_SIZE];
};

static void fill_worker(Probed__V1__WorkerInfo *info, struct engine_worker_view *view)
{
    probed__v1__worker_info__init(info);
    info->worker_id = view->worker_id;
    info->pid = view->pid;
    info->home = view->home;
    info->generation = view->generation;
    info->state = (Probed__V1__WorkerState)(view->state + 1);
    info->state_ms = service_clip(view->state_ns / NS_PER_MS);
    info->lease_id = view->lease_id;
    info->provider = view->provider;
    info->callers = service_clip(view->callers);
    info->leases = view->leases;
    info->age_ms = view->age_ns / NS_PER_MS;
}

/* All pages, first to last; false when memory is short (what was read is in *pages_out all the same). */
static bool read_workers(struct service *service, const char *home, struct worker_page **pages_out, size_t *count_out)
{
    struct worker_page **end = pages_out;
    uint64_t after = 0;
    bool more = true;

    *pages_out = NULL;
    *count_out = 0;
    while (more) {
        struct worker_page *page = malloc(sizeof *page);

        if (page == NULL)
            return false;
        *end = page;
        end = &page->next;
        page->next = NULL;
        page->count = shell_look_workers(service->shell, home, after, page->views, WORKERS_PER_LOOK, &more);
        for (size_t i = 0; i < page->count; i++) {
            fill_worker(&page->infos[i], &page->views[i]);
            shell_look_worker_seal(service->shell, page->views[i].worker_id, page->seals[i]);
            page->infos[i].sandbox = page->seals[i];
        }
        if (page->count > 0)
            after = page->views[page->count - 1].worker_id;
        *count_out += page->count;
        more = more && page->count > 0;
    }
    return true;
}

static void reply_workers(struct rpc_call *call, struct worker_page *pages, size_t count)
{
    Probed__V1__ListWorkersResponse response = PROBED__V1__LIST_WORKERS_RESPONSE__INIT;

    response.workers = malloc((count + 1) * sizeof(Probed__V1__WorkerInfo *));
    if (response.workers == NULL) {
        fail_for_memory(call);
        return;
    }
    for (struct worker_page *page = pages; page != NULL; page = page->next) {
        for (size_t i = 0; i < page->count; i++)
            response.workers[response.n_workers++] = &page->infos[i];
    }
    rpc_call_reply(call, &response.base);
    free(response.workers);
}

/* The home's name in the engine; "": all.  Where the file system would have to be waited for, no symbolic link is
 * followed.  INVALID_ARGUMENT: no path of a home. */
static struct status find_home(struct service *service, const struct rpc_call *call, const char *given,
                               char home_out[LIMIT_HOME_SIZE_MAX + 1])
{
    struct home_place place;
    struct status status = status_ok(), resolved;

    home_out[0] = '\0';
    if (given[0] != '\0')
        status = home_path_check(given);
    if (given[0] == '\0' || !status_is_ok(&status))
        return status;
    home_path_tidy(given, home_out);
    if (homes_resolve_now(service->homes, given, call->uid, call->arrived_ns, &place, &resolved) &&
        place.canonical[0] != '\0')
        memcpy(home_out, place.canonical, strlen(place.canonical) + 1);
    return status;
}

static void admin_service_list_workers(Probed__V1__AdminService_Service *table,
                                       const Probed__V1__ListWorkersRequest *request,
                                       Probed__V1__ListWorkersResponse_Closure closure, void *closure_data)
{
    struct service *service = SERVICE_OF(table, admin);
    char home[LIMIT_HOME_SIZE_MAX + 1];
    struct status status = find_home(service, closure_data, request->home, home);
    struct worker_page *pages;
    size_t count;

    (void)closure;
    if (!status_is_ok(&status)) {
        rpc_call_fail(closure_data, &status);
        return;
    }
    if (read_workers(service, home, &pages, &count))
        reply_workers(closure_data, pages, count);
    else
        fail_for_memory(closure_data);
    while (pages != NULL) {
        struct worker_page *next = pages->next;

        free(pages);
        pages = next;
    }
}

/* ---- events ---- */

static void fill_event(Probed__V1__EventInfo *info, struct history_event *event)
{
    probed__v1__event_info__init(info);
    info->at_ms = event->at_ms;
    info->home = event->home;
    info->provider = event->provider;
    info->generation = event->generation;
    info->cause = (Probed__V1__Cause)event->cause;
    info->reason = event->reason;
}

static void admin_service_list_events(Probed__V1__AdminService_Service *table,
                                      const Probed__V1__ListEventsRequest *request,
                                      Probed__V1__ListEventsResponse_Closure closure, void *closure_data)
{
    struct service *service = SERVICE_OF(table, admin);
    Probed__V1__ListEventsResponse response = PROBED__V1__LIST_EVENTS_RESPONSE__INIT;
    Probed__V1__EventInfo infos[HISTORY_EVENT_COUNT_MAX], *pointers[HISTORY_EVENT_COUNT_MAX];
    struct history_event *events = malloc(HISTORY_EVENT_COUNT_MAX * sizeof *events);
    size_t count_max = HISTORY_EVENT_COUNT_MAX;

    (void)closure;
    if (events == NULL) {
        fail_for_memory(closure_data);
        return;
    }
    if (request->limit > 0 && request->limit < count_max)
        count_max = request->limit;
    response.n_events = shell_look_history(service->shell, events, count_max);
    for (size_t i = 0; i < response.n_events; i++) {
        fill_event(&infos[i], &events[i]);
        pointers[i] = &infos[i];
    }
    response.events = pointers;
    rpc_call_reply(closure_data, &response.base);
    free(events);
}

Probed__V1__AdminService_Service admin_service_table(void)
{
    return (Probed__V1__AdminService_Service)PROBED__V1__ADMIN_SERVICE__INIT(admin_service_);
}
