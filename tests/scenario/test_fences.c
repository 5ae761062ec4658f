/* Invalidate is a barrier: what is void after it, what goes on, and what it waits for. */
#include "server/base/clock.h"
#include "tests/support/process.h"
#include "tests/support/story.h"

#include <stdio.h>
#include <unistd.h>

static struct call *invalidate(const char *path, const char *provider)
{
    struct call *call = invalidate_begin(caller, path, provider, PROBED__V1__BARRIER__BARRIER_FENCED);

    call_expect(call, STATUS_OK, NULL);
    return call;
}

/* Moves the generation; the new one. */
static uint64_t move(const char *path)
{
    struct call *call = invalidate(path, "");
    uint64_t generation = invalidate_response(call)->fence->generation;

    call_end(call);
    return generation;
}

static Probed__V1__Fence fence_of(const char *path)
{
    struct call *call = sync_begin(caller, path);
    Probed__V1__Fence fence = *sync_response(call)->fence;

    call_end(call);
    return fence;
}

static struct call *begin_at_least(uint64_t epoch, uint64_t generation)
{
    Probed__V1__ProbeRequest request = PROBED__V1__PROBE_REQUEST__INIT;
    Probed__V1__Fence fence = PROBED__V1__FENCE__INIT;

    fence.epoch = epoch;
    fence.generation = generation;
    request.home = home->path;
    request.provider = (char *)(uintptr_t) "openrouter";
    request.at_least = &fence;
    return call_begin(caller, METHOD_PROBE, 0, &request.base);
}

/* ---- generations ---- */

START_TEST(an_untouched_home_is_at_generation_1)
{
    Probed__V1__Fence fence = fence_of(home->path);

    ck_assert_uint_eq(fence.generation, 1);
    ck_assert_uint_ne(fence.epoch, 0);
}
END_TEST

START_TEST(each_invalidation_adds_exactly_1)
{
    for (uint64_t generation = 2; generation < 20; generation++)
        ck_assert_uint_eq(move(home->path), generation); /* though it was never probed */
    ck_assert_uint_eq(fence_of(home->path).generation, 19);
}
END_TEST

START_TEST(homes_have_their_own_generations)
{
    struct home other;

    home_create(&other, &stage.scratch, "other");
    expect_plan(probe_begin(caller, other.path, "openrouter", NULL, 0), "one");
    ck_assert_uint_eq(move(home->path), 2);
    ck_assert_uint_eq(fence_of(other.path).generation, 1);
    expect_origin(probe_begin(caller, other.path, "openrouter", NULL, 0), PROBED__V1__ORIGIN__ORIGIN_CACHED);
}
END_TEST

START_TEST(a_home_is_one_however_it_is_spelled)
{
    char slash[HOME_PATH_SIZE + 8], twice[HOME_PATH_SIZE + 8], dot[HOME_PATH_SIZE + 8], link[HOME_PATH_SIZE + 8];
    const char *const spellings[] = {slash, twice, dot, link};

    snprintf(slash, sizeof slash, "%s/", home->path);
    snprintf(twice, sizeof twice, "%s//home", stage.scratch.path);
    snprintf(dot, sizeof dot, "%s/./home", stage.scratch.path);
    snprintf(link, sizeof link, "%s/link", stage.scratch.path);
    ck_assert_int_eq(symlink(home->path, link), 0);
    expect_origin(begin("openrouter", NULL), PROBED__V1__ORIGIN__ORIGIN_COLD);
    for (size_t i = 0; i < ROW_COUNT(spellings); i++)
        expect_origin(probe_begin(caller, spellings[i], "openrouter", NULL, 0), PROBED__V1__ORIGIN__ORIGIN_CACHED);
    ck_assert_uint_eq(move(link), 2);
    ck_assert_uint_eq(fence_of(home->path).generation, 2);
}
END_TEST

/* ---- what is void ---- */

START_TEST(after_it_nothing_older_is_served)
{
    struct call *call;

    expect_plan(begin("openrouter", NULL), "one");
    daemon_wait(server, "idle", 1);
    home_write(home, "credential", "two");
    call = invalidate(home->path, "");
    ck_assert_uint_eq(invalidate_response(call)->fence->generation, 2);
    ck_assert_uint_eq(invalidate_response(call)->cache_dropped, 1);
    ck_assert_uint_eq(invalidate_response(call)->workers_retired, 1);
    ck_assert_uint_eq(invalidate_response(call)->workers_draining, 0);
    call_end(call);
    call = begin("openrouter", NULL);
    ck_assert_str_eq(probe_response(call)->usage->plan, "two");
    ck_assert_uint_eq(probe_response(call)->fence->generation, 2);
    ck_assert_int_eq((int)probe_response(call)->origin, PROBED__V1__ORIGIN__ORIGIN_COLD);
    call_end(call);
}
END_TEST

START_TEST(another_providers_answers_go_on)
{
    struct call *call;

    expect_plan(begin("openrouter", NULL), "one");
    expect_plan(begin("anthropic", NULL), "one");
    home_write(home, "credential", "two");
    call = invalidate(home->path, " OpenRouter\t");
    ck_assert_uint_eq(invalidate_response(call)->cache_dropped, 1);
    call_end(call);
    call = begin("anthropic", NULL);
    ck_assert_int_eq((int)probe_response(call)->origin, PROBED__V1__ORIGIN__ORIGIN_CACHED);
    ck_assert_uint_eq(probe_response(call)->fence->generation, 1); /* under which it was computed */
    call_end(call);
    expect_plan(begin("openrouter", NULL), "two");
}
END_TEST

START_TEST(another_providers_probe_in_the_air_goes_on)
{
    struct call *flying = begin_leased("gate", NULL), *call;

    call = invalidate(home->path, "openrouter");
    ck_assert_uint_eq(invalidate_response(call)->workers_draining, 1); /* a worker holds the whole home's credentials */
    call_end(call);
    home_open_gate(home, 1);
    ck_assert_uint_eq(probe_response(flying)->fence->generation, 1);
    call_end(flying);
    ck_assert_uint_eq(home_count(home, "ask"), 1);
    expect_origin(begin("gate", NULL), PROBED__V1__ORIGIN__ORIGIN_CACHED);
}
END_TEST

START_TEST(a_probe_in_the_air_is_asked_again)
{
    struct call *overtaken = begin_leased("gate", NULL), *call;

    home_write(home, "credential", "two");
    call = invalidate(home->path, "");
    ck_assert_uint_eq(invalidate_response(call)->workers_draining, 1);
    call_end(call);
    home_wait(home, "ask", 2); /* by a worker of the new generation, while the old one still hangs */
    ck_assert_uint_eq(daemon_number(server, "draining"), 1);
    home_open_gate(home, 2);
    ck_assert_uint_eq(probe_response(overtaken)->fence->generation, 2);
    expect_plan(overtaken, "two");
    daemon_wait(server, "draining", 0);
    daemon_wait(server, "ending", 0);
    expect_origin(begin("gate", NULL), PROBED__V1__ORIGIN__ORIGIN_CACHED);
    ck_assert_uint_eq(home_count(home, "start"), 2);
}
END_TEST

START_TEST(a_probe_is_overtaken_twice_at_most)
{
    struct call *overtaken = begin_leased("gate", NULL);

    for (size_t i = 0; i < 2; i++) {
        move(home->path);
        home_wait(home, "ask", i + 2);
    }
    move(home->path);
    expect_failure(overtaken, STATUS_ABORTED, NULL);
    home_open_gate(home, 3);
    daemon_wait(server, "draining", 0);
    ck_assert_uint_eq(home_count(home, "ask"), 3);
}
END_TEST

START_TEST(a_later_call_does_not_join_an_overtaken_probe)
{
    struct call *overtaken = begin_leased("gate", NULL), *later;

    home_write(home, "credential", "two");
    move(home->path);
    later = begin("gate", NULL);
    home_wait(home, "ask", 2);
    home_open_gate(home, 2);
    expect_plan(later, "two");
    expect_plan(overtaken, "two");
    ck_assert_uint_eq(home_count(home, "ask"), 2);
}
END_TEST

/* Within 10 ms; one in ten may meet another process on a busy machine. */
START_TEST(it_is_answered_whatever_the_workers_do)
{
    enum { COUNT = 50 };
    struct call *hung = begin_leased("stall-deaf", NULL), *call;
    size_t late_count = 0;

    for (size_t i = 0; i < COUNT; i++) {
        call = invalidate(home->path, "openrouter");
        late_count += taken_ns(call) > 10 * NS_PER_MS;
        call_end(call);
    }
    if (patience_time_counts())
        ck_assert_uint_le(late_count, COUNT / 10);
    call_end(hung);
}
END_TEST

/* ---- QUIESCED ---- */

START_TEST(quiesced_waits_until_every_older_worker_is_gone)
{
    struct caller leaver;
    struct call *left, *quiesced;
    pid_t pids[HOME_PROCESS_COUNT_MAX];

    caller_open(&leaver, server->url);
    left = probe_begin(&leaver, home->path, "gate", NULL, 0);
    home_wait(home, "ask", 1);
    caller_close(&leaver);
    daemon_wait(server, "probed_departures_total", 1); /* nobody is left to ask again for */
    ck_assert_uint_eq(home_processes(home, pids), 1);
    quiesced = invalidate_begin(caller, home->path, "", PROBED__V1__BARRIER__BARRIER_QUIESCED);
    daemon_wait(server, "draining", 1);
    ck_assert_uint_eq(fence_of(home->path).generation, 2); /* the fence stands before the answer */
    ck_assert(!call_is_settled(quiesced));
    home_open_gate(home, 1);
    ck_assert_uint_eq(invalidate_response(quiesced)->fence->generation, 2);
    ck_assert(!process_runs(pids[0]));
    call_end(quiesced);
    call_end(left);
}
END_TEST

START_TEST(quiesced_without_older_workers_is_answered_at_once)
{
    struct call *quiesced = invalidate_begin(caller, home->path, "", PROBED__V1__BARRIER__BARRIER_QUIESCED);

    ck_assert_uint_eq(invalidate_response(quiesced)->fence->generation, 2);
    call_end(quiesced);
}
END_TEST

static bool quiesce_in_vain(size_t number)
{
    enum { TIMEOUT_MS = 100 };
    Probed__V1__InvalidateRequest request = PROBED__V1__INVALIDATE_REQUEST__INIT;
    struct call *quiesced;
    uint64_t waited_ns;

    request.home = home->path;
    request.provider = (char *)(uintptr_t) "nobody";
    request.barrier = PROBED__V1__BARRIER__BARRIER_QUIESCED;
    quiesced = call_begin(caller, METHOD_INVALIDATE, TIMEOUT_MS, &request.base);
    call_expect(quiesced, STATUS_DEADLINE_EXCEEDED, "1");
    waited_ns = taken_ns(quiesced);
    call_end(quiesced);
    ck_assert_uint_eq(fence_of(home->path).generation, number + 2);
    return waited_ns <= (TIMEOUT_MS + 50) * NS_PER_MS;
}

START_TEST(quiesced_gives_up_at_its_deadline_and_the_fence_stands)
{
    struct call *hung = begin_leased("stall", NULL);

    expect_in_time(quiesce_in_vain);
    call_end(hung);
}
END_TEST

STORY_SETUP(short_grace, "--pool-term-grace-ms", "50")

START_TEST(a_worker_deaf_to_SIGTERM_is_killed_after_the_grace)
{
    pid_t pids[HOME_PROCESS_COUNT_MAX];
    struct call *quiesced;

    expect_origin(begin("deaf", NULL), PROBED__V1__ORIGIN__ORIGIN_COLD);
    ck_assert_uint_eq(home_processes(home, pids), 1);
    quiesced = invalidate_begin(caller, home->path, "", PROBED__V1__BARRIER__BARRIER_QUIESCED);
    invalidate_response(quiesced);
    ck_assert(!process_runs(pids[0]));
    call_end(quiesced);
}
END_TEST

START_TEST(a_workers_children_end_with_it)
{
    pid_t pids[HOME_PROCESS_COUNT_MAX];
    struct call *quiesced;

    expect_origin(begin("brood", NULL), PROBED__V1__ORIGIN__ORIGIN_COLD);
    home_wait(home, "start", 2);
    ck_assert_uint_eq(home_processes(home, pids), 2);
    quiesced = invalidate_begin(caller, home->path, "", PROBED__V1__BARRIER__BARRIER_QUIESCED);
    invalidate_response(quiesced);
    ck_assert(!process_runs(pids[0]));
    for (int i = 0; process_runs(pids[1]); i++) { /* of the worker's group: killed with it, reaped by whoever has it */
        ck_assert_int_lt(i, 10000);
        usleep(1000);
    }
    call_end(quiesced);
}
END_TEST

/* ---- at_least, epochs ---- */

START_TEST(at_least_reads_ones_own_invalidation)
{
    Probed__V1__Fence fence;
    struct call *call;

    expect_plan(begin("openrouter", NULL), "one");
    fence = fence_of(home->path);
    expect_origin(begin_at_least(fence.epoch, fence.generation), PROBED__V1__ORIGIN__ORIGIN_CACHED);
    move(home->path);
    call = begin_at_least(fence.epoch, fence.generation + 1);
    ck_assert_uint_eq(probe_response(call)->fence->generation, fence.generation + 1);
    call_end(call);
}
END_TEST

START_TEST(a_fence_that_is_not_yet_or_no_more_is_refused)
{
    Probed__V1__Fence fence = fence_of(home->path);
    char present[32];

    snprintf(present, sizeof present, "%llu", (unsigned long long)fence.generation);
    expect_failure(begin_at_least(fence.epoch, fence.generation + 1), STATUS_FAILED_PRECONDITION, present);
    expect_failure(begin_at_least(fence.epoch + 1, fence.generation), STATUS_FAILED_PRECONDITION, present);
    expect_failure(begin_at_least(0, 1), STATUS_INVALID_ARGUMENT, "at_least");
    expect_failure(begin_at_least(1, 0), STATUS_INVALID_ARGUMENT, "at_least");
}
END_TEST

START_TEST(every_home_at_once_is_a_new_epoch)
{
    Probed__V1__Fence before, after;
    struct home other;
    struct call *call;

    home_create(&other, &stage.scratch, "other");
    expect_plan(begin("openrouter", NULL), "one");
    expect_plan(probe_begin(caller, other.path, "openrouter", NULL, 0), "one");
    ck_assert_uint_eq(move(home->path), 2);
    before = fence_of(home->path);
    home_write(home, "credential", "two");
    home_write(&other, "credential", "two");
    call = invalidate("", "");
    after = *invalidate_response(call)->fence;
    call_end(call);
    ck_assert_uint_ne(after.epoch, before.epoch);
    ck_assert_uint_ne(after.epoch, 0);
    ck_assert_uint_eq(after.generation, 1);
    ck_assert_uint_eq(fence_of(home->path).epoch, after.epoch);
    ck_assert_uint_eq(fence_of(home->path).generation, 1);
    expect_plan(begin("openrouter", NULL), "two");
    expect_plan(probe_begin(caller, other.path, "openrouter", NULL, 0), "two");
    expect_failure(begin_at_least(before.epoch, 1), STATUS_FAILED_PRECONDITION, NULL);
}
END_TEST

/* ---- directories that are gone ---- */

START_TEST(a_known_home_may_be_invalidated_though_its_directory_is_gone)
{
    char away[HOME_PATH_SIZE + 8];

    expect_plan(begin("openrouter", NULL), "one");
    snprintf(away, sizeof away, "%s.away", home->path);
    ck_assert_int_eq(rename(home->path, away), 0);
    for (;;) { /* a resolution may be remembered for 250 ms */
        struct call *call = begin("openrouter", NULL);
        int code;

        call_wait(call);
        code = (int)call->response->code;
        call_end(call);
        if (code != STATUS_OK) {
            ck_assert_int_eq(code, STATUS_NOT_FOUND);
            break;
        }
    }
    ck_assert_uint_eq(move(home->path), 2);
    ck_assert_int_eq(rename(away, home->path), 0);
}
END_TEST

START_TEST(an_unknown_home_without_a_directory_is_not_found)
{
    char nowhere[HOME_PATH_SIZE + 8];

    snprintf(nowhere, sizeof nowhere, "%s/nowhere", stage.scratch.path);
    expect_failure(invalidate_begin(caller, nowhere, "", PROBED__V1__BARRIER__BARRIER_FENCED), STATUS_NOT_FOUND, NULL);
    expect_failure(sync_begin(caller, nowhere), STATUS_NOT_FOUND, NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fences");
    TCase *tcase = story_case(suite, "fences", story_setup);

    tcase_add_test(tcase, an_untouched_home_is_at_generation_1);
    tcase_add_test(tcase, each_invalidation_adds_exactly_1);
    tcase_add_test(tcase, homes_have_their_own_generations);
    tcase_add_test(tcase, a_home_is_one_however_it_is_spelled);
    tcase_add_test(tcase, after_it_nothing_older_is_served);
    tcase_add_test(tcase, another_providers_answers_go_on);
    tcase_add_test(tcase, another_providers_probe_in_the_air_goes_on);
    tcase_add_test(tcase, a_probe_in_the_air_is_asked_again);
    tcase_add_test(tcase, a_probe_is_overtaken_twice_at_most);
    tcase_add_test(tcase, a_later_call_does_not_join_an_overtaken_probe);
    tcase_add_test(tcase, it_is_answered_whatever_the_workers_do);
    tcase_add_test(tcase, quiesced_waits_until_every_older_worker_is_gone);
    tcase_add_test(tcase, quiesced_without_older_workers_is_answered_at_once);
    tcase_add_test(tcase, quiesced_gives_up_at_its_deadline_and_the_fence_stands);
    tcase_add_test(tcase, at_least_reads_ones_own_invalidation);
    tcase_add_test(tcase, a_fence_that_is_not_yet_or_no_more_is_refused);
    tcase_add_test(tcase, every_home_at_once_is_a_new_epoch);
    tcase_add_test(tcase, a_known_home_may_be_invalidated_though_its_directory_is_gone);
    tcase_add_test(tcase, an_unknown_home_without_a_directory_is_not_found);
    tcase = story_case(suite, "short grace", short_grace);
    tcase_add_test(tcase, a_worker_deaf_to_SIGTERM_is_killed_after_the_grace);
    tcase_add_test(tcase, a_workers_children_end_with_it);
    return check_main(suite);
}
