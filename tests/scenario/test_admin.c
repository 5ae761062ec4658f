/* What an administrator sees: who holds what, who waits, and why. */
#include "tests/support/story.h"

static const Probed__V1__ListHomesResponse *list_homes(struct call **call, const char *after, uint32_t limit)
{
    Probed__V1__ListHomesRequest request = PROBED__V1__LIST_HOMES_REQUEST__INIT;

    request.after = (char *)(uintptr_t)after;
    request.limit = limit;
    *call = call_begin(caller, METHOD_HOMES, 0, &request.base);
    return (const Probed__V1__ListHomesResponse *)call_payload(*call, &probed__v1__list_homes_response__descriptor);
}

static struct call *begin_list_workers(const char *path)
{
    Probed__V1__ListWorkersRequest request = PROBED__V1__LIST_WORKERS_REQUEST__INIT;

    request.home = (char *)(uintptr_t)path;
    return call_begin(caller, METHOD_WORKERS, 0, &request.base);
}

static const Probed__V1__ListWorkersResponse *list_workers(struct call **call, const char *path)
{
    *call = begin_list_workers(path);
    return (const Probed__V1__ListWorkersResponse *)call_payload(*call, &probed__v1__list_workers_response__descriptor);
}

START_TEST(homes_are_listed_by_path_a_page_at_a_time)
{
    enum { COUNT = 7 };
    struct home others[COUNT];
    struct call *call;
    size_t seen = 0;
    char after[HOME_PATH_SIZE] = "";
    bool more = true;

    for (size_t i = 0; i < COUNT; i++) {
        char name[16];

        snprintf(name, sizeof name, "other%zu", COUNT - i);
        home_create(&others[i], &stage.scratch, name);
        expect_plan(probe_begin(caller, others[i].path, "openrouter", NULL, 0), "one");
    }
    while (more) {
        const Probed__V1__ListHomesResponse *page = list_homes(&call, after, 3);

        ck_assert_uint_le(page->n_homes, 3);
        for (size_t i = 0; i < page->n_homes; i++) {
            ck_assert_int_gt(strcmp(page->homes[i]->home, after), 0);
            ck_assert_uint_eq(page->homes[i]->generation, 1);
            ck_assert_uint_eq(page->homes[i]->cache_entries, 1);
            snprintf(after, sizeof after, "%s", page->homes[i]->home);
        }
        seen += page->n_homes;
        more = page->more;
        call_end(call);
    }
    ck_assert_uint_eq(seen, COUNT);
}
END_TEST

START_TEST(a_worker_is_shown_with_what_it_does)
{
    struct call *call, *flying = begin_leased("gate", NULL), *joined = begin("gate", NULL);
    const Probed__V1__ListWorkersResponse *list;
    pid_t pids[HOME_PROCESS_COUNT_MAX];
    uint64_t worker_id;

    daemon_wait(server, "probed_joins_total", 1);
    ck_assert_uint_eq(home_processes(home, pids), 1);
    list = list_workers(&call, home->path);
    ck_assert_uint_eq(list->n_workers, 1);
    ck_assert_int_eq(list->workers[0]->pid, pids[0]);
    ck_assert_str_eq(list->workers[0]->home, home->path);
    ck_assert_str_eq(list->workers[0]->provider, "gate");
    ck_assert_int_eq((int)list->workers[0]->state, PROBED__V1__WORKER_STATE__WORKER_STATE_LEASED);
    ck_assert_uint_eq(list->workers[0]->callers, 2);
    ck_assert_uint_eq(list->workers[0]->generation, 1);
    worker_id = list->workers[0]->worker_id;
    call_end(call);
    home_open_gate(home, 1);
    ck_assert_uint_eq(probe_response(flying)->receipt->worker_id, worker_id);
    call_end(flying);
    call_end(joined);
    list = list_workers(&call, "");
    ck_assert_uint_eq(list->n_workers, 1);
    ck_assert_int_eq((int)list->workers[0]->state, PROBED__V1__WORKER_STATE__WORKER_STATE_IDLE);
    ck_assert_uint_eq(list->workers[0]->leases, 1);
    call_end(call);
}
END_TEST

START_TEST(workers_are_found_however_their_homes_path_is_spelled)
{
    static const char *const forms[] = {"%s", "%s/", "/%s", "/.%s/."};
    struct call *call;
    char path[HOME_PATH_SIZE + 8];

    expect_origin(begin("openrouter", NULL), PROBED__V1__ORIGIN__ORIGIN_COLD);
    for (size_t i = 0; i < ROW_COUNT(forms); i++) {
        snprintf(path, sizeof path, forms[i], home->path);
        ck_assert_msg(list_workers(&call, path)->n_workers == 1, "%s", path);
        call_end(call);
    }
    ck_assert_uint_eq(list_workers(&call, "/nowhere")->n_workers, 0);
    call_end(call);
    call = begin_list_workers("not/absolute");
    expect_failure(call, STATUS_INVALID_ARGUMENT, "home is no absolute path");
}
END_TEST

START_TEST(counters_tell_each_decision)
{
    expect_origin(begin("openrouter", NULL), PROBED__V1__ORIGIN__ORIGIN_COLD);
    expect_origin(begin("openrouter", NULL), PROBED__V1__ORIGIN__ORIGIN_CACHED);
    expect_origin(begin_refresh("openrouter"), PROBED__V1__ORIGIN__ORIGIN_WARM);
    expect_failure(begin("wrong-id", NULL), STATUS_INTERNAL, NULL);
    ck_assert_uint_eq(daemon_number(server, "probed_probes_total"), 4);
    ck_assert_uint_eq(daemon_number(server, "probed_answers_total{origin=\"cold\"}"), 1);
    ck_assert_uint_eq(daemon_number(server, "probed_answers_total{origin=\"cached\"}"), 1);
    ck_assert_uint_eq(daemon_number(server, "probed_answers_total{origin=\"warm\"}"), 1);
    ck_assert_uint_eq(daemon_number(server, "probed_failures_total"), 1);
    ck_assert_uint_eq(daemon_number(server, "probed_worker_faults_total{cause=\"breach\"}"), 1);
    ck_assert_uint_eq(daemon_number(server, "homes"), 1);
}
END_TEST

/* How many calls of this kind there were, by GetStatus' histogram. */
static uint64_t timed(const Probed__V1__GetStatusResponse *status, const char *origin, const char *code)
{
    uint64_t count = 0;

    for (size_t i = 0; i < status->n_times; i++) {
        const Probed__V1__CallTimes *times = status->times[i];

        ck_assert_uint_eq(times->n_buckets, status->n_time_bounds_us + 1);
        if (strcmp(times->origin, origin) != 0 || strcmp(times->status, code) != 0)
            continue;
        ck_assert_uint_gt(times->sum_us, 0);
        for (size_t bucket = 0; bucket < times->n_buckets; bucket++)
            count += times->buckets[bucket];
    }
    return count;
}

START_TEST(times_have_each_call_by_origin_and_code)
{
    Probed__V1__GetStatusRequest request = PROBED__V1__GET_STATUS_REQUEST__INIT;
    const Probed__V1__GetStatusResponse *status;
    struct call *call;

    expect_origin(begin("openrouter", NULL), PROBED__V1__ORIGIN__ORIGIN_COLD);
    expect_origin(begin("openrouter", NULL), PROBED__V1__ORIGIN__ORIGIN_CACHED);
    expect_origin(begin("openrouter", NULL), PROBED__V1__ORIGIN__ORIGIN_CACHED);
    expect_failure(begin("wrong-id", NULL), STATUS_INTERNAL, NULL);
    call = call_begin(caller, METHOD_GET_STATUS, 0, &request.base);
    status = (const Probed__V1__GetStatusResponse *)call_payload(call, &probed__v1__get_status_response__descriptor);
    ck_assert_uint_eq(status->n_times, 3);
    ck_assert_uint_eq(timed(status, "cold", "OK"), 1);
    ck_assert_uint_eq(timed(status, "cached", "OK"), 2);
    ck_assert_uint_eq(timed(status, "none", "INTERNAL"), 1);
    for (size_t i = 1; i < status->n_time_bounds_us; i++)
        ck_assert_uint_gt(status->time_bounds_us[i], status->time_bounds_us[i - 1]);
    call_end(call);
}
END_TEST

START_TEST(busy_homes_are_those_in_which_something_happens)
{
    Probed__V1__ListHomesRequest request = PROBED__V1__LIST_HOMES_REQUEST__INIT;
    const Probed__V1__ListHomesResponse *list;
    struct home quiet;
    struct call *call;

    home_create(&quiet, &stage.scratch, "quiet");
    call = invalidate_begin(caller, quiet.path, "", PROBED__V1__BARRIER__BARRIER_FENCED);
    invalidate_response(call);
    call_end(call);
    expect_plan(begin("openrouter", NULL), "one");
    list = list_homes(&call, "", 0);
    ck_assert_uint_eq(list->n_homes, 2);
    call_end(call);
    request.busy = true;
    call = call_begin(caller, METHOD_HOMES, 0, &request.base);
    list = (const Probed__V1__ListHomesResponse *)call_payload(call, &probed__v1__list_homes_response__descriptor);
    ck_assert_uint_eq(list->n_homes, 1);
    ck_assert_str_eq(list->homes[0]->home, home->path);
    ck_assert(!list->more);
    call_end(call);
}
END_TEST

static const Probed__V1__ListEventsResponse *list_events(struct call **call, uint32_t limit)
{
    Probed__V1__ListEventsRequest request = PROBED__V1__LIST_EVENTS_REQUEST__INIT;

    request.limit = limit;
    *call = call_begin(caller, METHOD_EVENTS, 0, &request.base);
    return (const Probed__V1__ListEventsResponse *)call_payload(*call, &probed__v1__list_events_response__descriptor);
}

START_TEST(changes_are_listed_the_newest_first)
{
    static const char *const providers[] = {"openrouter", "", "anthropic"};
    const Probed__V1__ListEventsResponse *list;
    struct call *call;

    list = list_events(&call, 0);
    ck_assert_uint_eq(list->n_events, 0);
    call_end(call);
    for (size_t i = 0; i < ROW_COUNT(providers); i++) {
        call = invalidate_begin(caller, home->path, providers[i], PROBED__V1__BARRIER__BARRIER_FENCED);
        invalidate_response(call);
        call_end(call);
    }
    list = list_events(&call, 0);
    ck_assert_uint_eq(list->n_events, ROW_COUNT(providers));
    for (size_t i = 0; i < list->n_events; i++) {
        ck_assert_str_eq(list->events[i]->home, home->path);
        ck_assert_str_eq(list->events[i]->provider, providers[ROW_COUNT(providers) - 1 - i]);
        ck_assert_uint_eq(list->events[i]->generation, 4 - i);
        ck_assert_int_eq((int)list->events[i]->cause, PROBED__V1__CAUSE__CAUSE_REQUESTED);
        ck_assert_int_gt(list->events[i]->at_ms, 0);
    }
    call_end(call);
    list = list_events(&call, 1);
    ck_assert_uint_eq(list->n_events, 1);
    ck_assert_str_eq(list->events[0]->provider, "anthropic");
    call_end(call);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("admin");
    TCase *tcase = story_case(suite, "admin", story_setup);

    tcase_add_test(tcase, homes_are_listed_by_path_a_page_at_a_time);
    tcase_add_test(tcase, a_worker_is_shown_with_what_it_does);
    tcase_add_test(tcase, workers_are_found_however_their_homes_path_is_spelled);
    tcase_add_test(tcase, counters_tell_each_decision);
    tcase_add_test(tcase, times_have_each_call_by_origin_and_code);
    tcase_add_test(tcase, busy_homes_are_those_in_which_something_happens);
    tcase_add_test(tcase, changes_are_listed_the_newest_first);
    return check_main(suite);
}
