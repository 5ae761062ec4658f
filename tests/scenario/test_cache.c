/* libprobed's local cache against the real daemon: no round trip for what has not changed, and nothing old for what has. */
#include "tests/support/child.h"
#include "tests/support/process.h"
#include "tests/support/story.h"

#include "server/base/clock.h"

#include <probed/client.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static struct probed_channel *channel;
static struct probed_cache *cache;

static void open_cache(size_t entry_count_max)
{
    struct probed_cache_options options = {.channel = channel,
                                           .events_url = server->events_url,
                                           .homes = (const char *const[]){home->path},
                                           .home_count = 1,
                                           .entry_count_max = entry_count_max};
    struct probed_status status;

    ck_assert_int_eq(probed_cache_open(&options, &cache).code, PROBED_OK);
    status = probed_subscriber_connect(probed_cache_subscriber(cache), PATIENCE_MS);
    ck_assert_msg(status.code == PROBED_OK, "%s", status.message);
}

static void open_stage_with(const char *const *settings)
{
    stage_open(&stage, settings);
    ck_assert_int_eq(probed_channel_open(&(struct probed_channel_options){.url = server->url}, &channel).code,
                     PROBED_OK);
    open_cache(0);
}

static void cache_setup(void)
{
    open_stage_with((const char *const[]){"--events-heartbeat-ms", "200", NULL});
}

static void brief_setup(void)
{
    open_stage_with((const char *const[]){"--events-heartbeat-ms", "200", "--probe-cache-ttl-ms", "200", NULL});
}

static void cache_teardown(void)
{
    probed_cache_close(cache);
    probed_channel_close(channel);
    story_teardown();
}

static Probed__V1__ProbeRequest request_for(const char *provider)
{
    Probed__V1__ProbeRequest request = PROBED__V1__PROBE_REQUEST__INIT;

    request.home = home->path;
    request.provider = (char *)(uintptr_t)provider;
    return request;
}

/* Whose generation and age are looked at, and then forgotten. */
static struct seen {
    uint64_t generation;
    uint32_t age_ms, fresh_ms;
    Probed__V1__Origin origin;
} ask_for(const Probed__V1__ProbeRequest *request)
{
    Probed__V1__ProbeResponse *response;
    struct probed_status status = probed_cache_probe(cache, request, NULL, &response);
    struct seen seen;

    ck_assert_msg(status.code == PROBED_OK, "%s", status.message);
    seen = (struct seen){response->fence->generation, response->age_ms, response->fresh_ms, response->origin};
    probed__v1__probe_response__free_unpacked(response, NULL);
    return seen;
}

static struct seen ask(const char *provider)
{
    Probed__V1__ProbeRequest request = request_for(provider);

    return ask_for(&request);
}

static uint64_t hits(void)
{
    struct probed_cache_counts counts;

    probed_cache_look(cache, &counts);
    return counts.hits;
}

static uint64_t change(const char *provider)
{
    struct call *call = invalidate_begin(caller, home->path, provider, PROBED__V1__BARRIER__BARRIER_FENCED);
    uint64_t generation = invalidate_response(call)->fence->generation;

    call_end(call);
    return generation;
}

static void wait_heard(uint64_t generation)
{
    uint64_t due_ns = clock_now_ns() + PATIENCE_MS * NS_PER_MS;
    struct probed_fence fence;

    while (!probed_subscriber_fence(probed_cache_subscriber(cache), home->path, &fence) ||
           fence.generation < generation)
        ck_assert(clock_now_ns() < due_ns);
}

START_TEST(an_unchanged_answer_costs_no_round_trip)
{
    enum { COUNT = 10000 };
    struct seen first = ask("openrouter"), last = {0, 0, 0, PROBED__V1__ORIGIN__ORIGIN_UNSPECIFIED};
    uint64_t probe_count = daemon_number(server, "probed_probes_total");

    for (size_t i = 0; i < COUNT; i++)
        last = ask("openrouter");
    ck_assert_uint_eq(daemon_number(server, "probed_probes_total") - probe_count, COUNT - hits());
    ck_assert_uint_ge(hits(), COUNT * 9 / 10); /* the machine may stand still for longer than it stays current */
    ck_assert_int_eq((int)last.origin, PROBED__V1__ORIGIN__ORIGIN_CACHED);
    ck_assert_uint_ge(last.age_ms, first.age_ms);
    ck_assert_uint_le(last.fresh_ms, first.fresh_ms);
}
END_TEST

START_TEST(no_answer_from_before_a_change_is_given_once_it_was_heard)
{
    size_t count = patience_count(10000);

    for (size_t i = 0; i < count; i++) {
        uint64_t generation;

        ask("openrouter");
        generation = change(i % 2 == 0 ? "" : "openrouter");
        wait_heard(generation);
        ck_assert_uint_ge(ask("openrouter").generation, generation);
    }
}
END_TEST

/* Asks all the time; each answer must be of the newest generation that was heard before it was asked for. */
static atomic_bool over;

static void *ask_for_ever(void *context)
{
    struct probed_fence fence = {0, 0};

    (void)context;
    while (!atomic_load(&over)) {
        probed_subscriber_fence(probed_cache_subscriber(cache), home->path, &fence);
        ck_assert_uint_ge(ask("openrouter").generation, fence.generation);
    }
    return NULL;
}

START_TEST(threads_that_ask_while_it_changes_get_nothing_older_than_was_heard)
{
    enum { THREAD_COUNT = 4 };
    size_t count = patience_count(2000);
    pthread_t threads[THREAD_COUNT];

    for (size_t i = 0; i < THREAD_COUNT; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, ask_for_ever, NULL), 0);
    for (size_t i = 0; i < count; i++) {
        uint64_t hit_count = hits();

        while (hits() < hit_count + THREAD_COUNT) /* there is something old to be given */
            continue;
        change("");
    }
    atomic_store(&over, true);
    for (size_t i = 0; i < THREAD_COUNT; i++)
        pthread_join(threads[i], NULL);
}
END_TEST

START_TEST(who_is_not_current_asks)
{
    struct probed_subscriber_state state;
    Probed__V1__ProbeRequest request = request_for("openrouter");
    Probed__V1__ProbeResponse *response;
    struct probed_status status;

    ask("openrouter");
    kill(server->pid, SIGSTOP);
    do
        probed_subscriber_state(probed_cache_subscriber(cache), &state);
    while (state.current);
    status = probed_cache_probe(cache, &request, &(struct probed_call_options){.timeout_ms = 50}, &response);
    kill(server->pid, SIGCONT);
    ck_assert_int_eq(status.code, PROBED_DEADLINE_EXCEEDED);
    ck_assert_uint_eq(hits(), 0);
    ck_assert_int_eq(probed_subscriber_connect(probed_cache_subscriber(cache), PATIENCE_MS).code, PROBED_OK);
    ask("openrouter");
    ck_assert_uint_eq(hits(), 1); /* nothing has changed meanwhile, as the daemon said */
}
END_TEST

START_TEST(what_asks_for_more_is_asked)
{
    Probed__V1__ProbeRequest request = request_for("openrouter");
    Probed__V1__Fence at_least = PROBED__V1__FENCE__INIT;
    struct probed_fence fence;
    Probed__V1__ProbeResponse *response;
    uint64_t hit_count;

    ask("openrouter");
    request.refresh = true;
    ask_for(&request);
    request.refresh = false;
    request.api_key = (char *)(uintptr_t) "a-key-of-its-own";
    ask_for(&request);
    ask_for(&request);
    request.api_key = (char *)(uintptr_t) "";
    ck_assert_uint_eq(hits(), 0);
    ck_assert(probed_subscriber_fence(probed_cache_subscriber(cache), home->path, &fence));
    at_least.epoch = fence.epoch;
    at_least.generation = fence.generation;
    request.at_least = &at_least;
    ask_for(&request);
    ck_assert_uint_eq(hits(), 1);
    at_least.generation++; /* ahead of the home: the daemon says so */
    ck_assert_int_eq(probed_cache_probe(cache, &request, NULL, &response).code, PROBED_FAILED_PRECONDITION);
    request.at_least = NULL;
    request.max_age_ms = 1;
    do { /* by the next millisecond it is older */
        hit_count = hits();
        ask_for(&request);
    } while (hits() > hit_count);
}
END_TEST

START_TEST(an_answer_is_kept_as_long_as_the_daemon_says)
{
    uint64_t probe_count;

    ask("openrouter");
    probe_count = daemon_number(server, "probed_probes_total");
    while (daemon_number(server, "probed_probes_total") == probe_count)
        ck_assert_uint_le(ask("openrouter").age_ms, 200);
}
END_TEST

START_TEST(an_answer_grows_older_while_it_is_kept)
{
    enum { WHILE_MS = 20, ROUNDING_MS = 2 };
    struct seen first = ask("openrouter"), later;
    uint64_t since_ns = clock_now_ns(), passed_ms;

    do {
        passed_ms = (clock_now_ns() - since_ns) / NS_PER_MS;
        later = ask("openrouter");
        ck_assert_uint_ge(later.age_ms + ROUNDING_MS, first.age_ms + passed_ms);
        ck_assert_uint_le(later.fresh_ms + passed_ms, first.fresh_ms + ROUNDING_MS);
    } while (passed_ms < WHILE_MS);
}
END_TEST

/* What it was old when it was told is a part of its age. */
START_TEST(an_answer_that_was_old_when_it_was_told_is_too_old_for_who_wants_a_younger_one)
{
    enum { AGE_MS = 20 };
    Probed__V1__ProbeRequest request = request_for("openrouter");
    uint32_t age_ms;

    do { /* asked by somebody else first */
        struct call *call = begin("openrouter", NULL);

        age_ms = probe_response(call)->age_ms;
        call_end(call);
    } while (age_ms <= AGE_MS);
    ck_assert_uint_gt(ask("openrouter").age_ms, AGE_MS);
    request.max_age_ms = AGE_MS;
    ask_for(&request);
    ck_assert_uint_eq(hits(), 0);
}
END_TEST

START_TEST(the_one_used_longest_ago_goes_first)
{
    probed_cache_close(cache);
    open_cache(2);
    ask("alpha");
    ask("beta");
    ask("alpha");
    ck_assert_uint_eq(hits(), 1);
    ask("gamma"); /* in place of "beta" */
    ask("alpha");
    ck_assert_uint_eq(hits(), 2);
    ask("beta");
    ck_assert_uint_eq(hits(), 2);
}
END_TEST

START_TEST(a_home_that_is_not_listened_to_is_asked_for)
{
    struct home other;
    Probed__V1__ProbeRequest request = request_for("openrouter");

    home_create(&other, &stage.scratch, "other");
    request.home = other.path;
    ask_for(&request);
    ask_for(&request);
    ck_assert_uint_eq(hits(), 0);
}
END_TEST

START_TEST(opening_and_closing_leaves_nothing_behind)
{
    enum { HEAP_GROWTH_MAX = 16384 }; /* what is kept for the next; of ten thousand, a byte each */
    size_t fd_count = process_fd_count(getpid()), heap_size = 0, count = patience_count(10000);

    probed_cache_close(cache);
    for (size_t i = 0; i < count; i++) {
        struct probed_cache_options options = {.channel = channel,
                                               .events_url = server->events_url,
                                               .homes = (const char *const[]){home->path},
                                               .home_count = 1};

        ck_assert_int_eq(probed_cache_open(&options, &cache).code, PROBED_OK);
        ask("openrouter");
        probed_cache_close(cache);
        if (i == count / 10)
            heap_size = process_heap_size();
    }
    process_wait_fd_count(getpid(), fd_count);
    ck_assert_uint_le(process_heap_size(), heap_size + HEAP_GROWTH_MAX);
    open_cache(0); /* as it was found */
}
END_TEST

START_TEST(a_forked_child_is_refused)
{
    int wait_status;
    pid_t pid;

    ask("openrouter");
    pid = fork();
    if (pid == 0) {
        Probed__V1__ProbeRequest request = request_for("openrouter");
        Probed__V1__ProbeResponse *response;

        _exit(probed_cache_probe(cache, &request, NULL, &response).code == PROBED_FAILED_PRECONDITION ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(pid, &wait_status, 0), pid);
    ck_assert_int_eq(wait_status, 0);
}
END_TEST

static TCase *add_case(Suite *suite, const char *name, void (*setup)(void))
{
    TCase *tcase = tcase_create(name);

    tcase_add_checked_fixture(tcase, setup, cache_teardown);
    tcase_set_timeout(tcase, patience_test_s());
    suite_add_tcase(suite, tcase);
    return tcase;
}

int main(void)
{
    Suite *suite = suite_create("cache");
    TCase *tcase = add_case(suite, "cache", cache_setup);

    tcase_add_test(tcase, an_unchanged_answer_costs_no_round_trip);
    tcase_add_test(tcase, no_answer_from_before_a_change_is_given_once_it_was_heard);
    tcase_add_test(tcase, threads_that_ask_while_it_changes_get_nothing_older_than_was_heard);
    tcase_add_test(tcase, who_is_not_current_asks);
    tcase_add_test(tcase, what_asks_for_more_is_asked);
    tcase_add_test(tcase, an_answer_grows_older_while_it_is_kept);
    tcase_add_test(tcase, an_answer_that_was_old_when_it_was_told_is_too_old_for_who_wants_a_younger_one);
    tcase_add_test(tcase, the_one_used_longest_ago_goes_first);
    tcase_add_test(tcase, a_home_that_is_not_listened_to_is_asked_for);
    tcase_add_test(tcase, opening_and_closing_leaves_nothing_behind);
    tcase_add_test(tcase, a_forked_child_is_refused);
    tcase_add_test(add_case(suite, "brief", brief_setup), an_answer_is_kept_as_long_as_the_daemon_says);
    return check_main(suite);
}
