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

int main(void)
{
    Suite *suite = suite_create("admin");
    TCase *tcase = story_case(suite, "admin", story_setup);

    tcase_add_test(tcase, homes_are_listed_by_path_a_page_at_a_time);
    tcase_add_test(tcase, a_worker_is_shown_with_what_it_does);
    tcase_add_test(tcase, workers_are_found_however_their_homes_path_is_spelled);
    tcase_add_test(tcase, counters_tell_each_decision);
    return check_main(suite);
}
