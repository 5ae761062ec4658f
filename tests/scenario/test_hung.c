/* A worker that hangs is its own caller's trouble and nobody else's. */
#include "server/base/clock.h"
#include "tests/support/process.h"
#include "tests/support/samples.h"
#include "tests/support/story.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- one hung worker ---- */

static struct home other;

/* Answered from there, and soon. */
static bool is_quick(struct call *call, Probed__V1__Origin origin)
{
    bool quick;

    ck_assert_int_eq((int)probe_response(call)->origin, (int)origin);
    quick = taken_ns(call) <= 50 * NS_PER_MS;
    call_end(call);
    return quick;
}

/* One hung worker more each time: another home. */
static bool hang(size_t number)
{
    enum { TIMEOUT_MS = 500 };
    struct home hanging;
    struct call *hung;
    uint64_t waited_ns;
    bool quick;
    char name[16];

    snprintf(name, sizeof name, "hanging%zu", number);
    home_create(&hanging, &stage.scratch, name);
    expect_origin(probe_begin(caller, hanging.path, "openrouter", NULL, 0), PROBED__V1__ORIGIN__ORIGIN_COLD);
    daemon_wait(server, "leased", number);
    hung = probe_begin(caller, hanging.path, "stall", NULL, TIMEOUT_MS);
    daemon_wait(server, "leased", number + 1);
    quick = is_quick(probe_begin(caller, hanging.path, "openrouter", NULL, 0), PROBED__V1__ORIGIN__ORIGIN_CACHED);
    /* The home's other worker, and another home. */
    quick &= is_quick(probe_begin(caller, hanging.path, "openrouter", "b", 0), PROBED__V1__ORIGIN__ORIGIN_COLD);
    quick &= is_quick(probe_begin(caller, hanging.path, "openrouter", "c", 0), PROBED__V1__ORIGIN__ORIGIN_WARM);
    quick &= is_quick(probe_begin(caller, other.path, "openrouter", name, 0),
                      number == 0 ? PROBED__V1__ORIGIN__ORIGIN_COLD : PROBED__V1__ORIGIN__ORIGIN_WARM);
    call_expect(hung, STATUS_DEADLINE_EXCEEDED, NULL);
    waited_ns = taken_ns(hung);
    ck_assert_uint_ge(waited_ns, TIMEOUT_MS * NS_PER_MS);
    call_end(hung);
    daemon_wait(server, "leased", number + 1); /* a caller's own deadline is no failure of the probe */
    quick &= is_quick(probe_begin(caller, hanging.path, "openrouter", NULL, 0), PROBED__V1__ORIGIN__ORIGIN_CACHED);
    return quick && waited_ns <= (TIMEOUT_MS + 50) * NS_PER_MS;
}

START_TEST(a_hung_worker_costs_its_caller_the_deadline_and_others_nothing)
{
    home_create(&other, &stage.scratch, "other");
    expect_in_time(hang);
}
END_TEST

STORY_SETUP(short_run, "--probe-run-ms", "1000", "--pool-term-grace-ms", "50")

static bool stay_silent(size_t number)
{
    struct call *call = begin_refresh("stall-deaf");
    uint64_t waited_ns;

    call_expect(call, STATUS_DEADLINE_EXCEEDED, "probe.run_ms");
    waited_ns = taken_ns(call);
    call_end(call);
    ck_assert_uint_eq(home_count(home, "ask"), number + 1); /* silence is no death: not tried again */
    return waited_ns <= 1100 * NS_PER_MS;
}

START_TEST(a_worker_silent_past_run_ms_is_ended_and_replaced)
{
    pid_t pids[HOME_PROCESS_COUNT_MAX];
    size_t count;

    expect_in_time(stay_silent);
    count = home_processes(home, pids);
    daemon_wait(server, "probed_worker_faults_total{cause=\"timeout\"}", count);
    daemon_wait(server, "ending", 0);
    for (size_t i = 0; i < count; i++)
        ck_assert(!process_runs(pids[i]));
    expect_origin(begin("openrouter", NULL), PROBED__V1__ORIGIN__ORIGIN_COLD);
}
END_TEST

/* ---- ten thousand callers of one hung probe ---- */

enum { CROWD_COUNT = 10000, CROWD_CONNECTIONS = 10, SAMPLE_COUNT = 1000, ROUND_COUNT_MAX = 25 };

/* The crowd is a process of its own, so that what it costs is not measured as the daemon's. */
static pid_t crowd;
static int crowd_fd;

/* A second daemon that has nothing else to do, measured by turns with the one that has: what else the machine does
 * meanwhile meets both. */
static struct stage idle;

static int be_crowd(int fd)
{
    static struct call *calls[CROWD_COUNT];
    struct caller callers[CROWD_CONNECTIONS];
    size_t unavailable = 0;

    if (read(fd, &stage, sizeof stage) != sizeof stage) /* the stage is ready */
        return 1;
    for (size_t i = 0; i < CROWD_CONNECTIONS; i++)
        caller_open(&callers[i], server->url);
    for (size_t i = 0; i < CROWD_COUNT; i++)
        calls[i] = probe_begin(&callers[i % CROWD_CONNECTIONS], home->path, "stall", NULL, 600000);
    for (size_t i = 0; i < CROWD_COUNT; i++) {
        call_wait(calls[i]);
        unavailable += calls[i]->error == 0 && calls[i]->response->code == PROBED__V1__STATUS_CODE__UNAVAILABLE;
    }
    return unavailable == CROWD_COUNT ? 0 : 2;
}

static void crowd_setup(void)
{
    static const char *const settings[] = {
        "--server-calls-per-uid", "16000", "--probe-timeout-ms", "600000", "--probe-run-ms", "600000", NULL};
    int ends[2];

    ck_assert_int_eq(pipe(ends), 0);
    crowd = fork(); /* before nng */
    ck_assert_int_ge(crowd, 0);
    if (crowd == 0) {
        close(ends[1]);
        _exit(be_crowd(ends[0]));
    }
    close(ends[0]);
    crowd_fd = ends[1];
    scratch_open(&idle.scratch);
    stage_open(&stage, settings);
    daemon_start(&idle.daemon, &idle.scratch, NULL);
}

static void crowd_teardown(void)
{
    scratch_close(&idle.scratch);
    story_teardown();
}

typedef struct call *make_call(struct caller *with, const char *path);

/* The p99 of calls one after the other. */
static uint64_t p99_ns(make_call *make, struct caller *with, const char *path)
{
    static uint64_t samples[SAMPLE_COUNT];

    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        struct call *call = make(with, path);

        call_expect(call, STATUS_OK, NULL);
        samples[i] = taken_ns(call);
        call_end(call);
    }
    return samples_at(samples, SAMPLE_COUNT, 99);
}

static struct call *make_cached_probe(struct caller *with, const char *path)
{
    return probe_begin(with, path, "openrouter", NULL, 0);
}

static struct call *make_invalidation(struct caller *with, const char *path)
{
    return invalidate_begin(with, path, "", PROBED__V1__BARRIER__BARRIER_FENCED);
}

/* The best p99 of each daemon, by turns, until the bound holds or the rounds are over. */
static void compare_p99(const char *what, make_call *make, const char *path)
{
    uint64_t idle_ns = UINT64_MAX, crowded_ns = UINT64_MAX;

    for (size_t round = 0; round < ROUND_COUNT_MAX && (round == 0 || crowded_ns > 2 * idle_ns); round++) {
        uint64_t idle_round_ns = p99_ns(make, &idle.daemon.caller, path);
        uint64_t crowded_round_ns = p99_ns(make, caller, path);

        idle_ns = idle_round_ns < idle_ns ? idle_round_ns : idle_ns;
        crowded_ns = crowded_round_ns < crowded_ns ? crowded_round_ns : crowded_ns;
    }
    printf("p99 of %s: %llu us idle, %llu us beside %d hung callers\n", what, (unsigned long long)idle_ns / 1000,
           (unsigned long long)crowded_ns / 1000, CROWD_COUNT);
    if (patience_time_counts())
        ck_assert_uint_le(crowded_ns, 2 * idle_ns);
}

START_TEST(ten_thousand_callers_of_a_hung_probe_delay_nobody_else)
{
    struct home third;
    int status;

    home_create(&other, &stage.scratch, "other");
    home_create(&third, &stage.scratch, "third");
    expect_origin(make_cached_probe(caller, other.path), PROBED__V1__ORIGIN__ORIGIN_COLD);
    expect_origin(make_cached_probe(&idle.daemon.caller, other.path), PROBED__V1__ORIGIN__ORIGIN_COLD);
    ck_assert_int_eq(write(crowd_fd, &stage, sizeof stage), sizeof stage);
    daemon_wait(server, "probed_joins_total", CROWD_COUNT - 1);
    compare_p99("a cached Probe", make_cached_probe, other.path);
    compare_p99("an Invalidate", make_invalidation, third.path);
    ck_assert_uint_eq(home_count(home, "ask"), 1);

    daemon_stop(&idle.daemon);
    daemon_stop(server); /* cuts them off: each is told so */
    ck_assert_int_eq(waitpid(crowd, &status, 0), crowd);
    ck_assert_int_eq(status, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hung");
    TCase *tcase = story_case(suite, "hung", story_setup);

    tcase_add_test(tcase, a_hung_worker_costs_its_caller_the_deadline_and_others_nothing);
    tcase = story_case(suite, "short run", short_run);
    tcase_add_test(tcase, a_worker_silent_past_run_ms_is_ended_and_replaced);
    tcase = tcase_create("crowd");
    tcase_add_checked_fixture(tcase, crowd_setup, crowd_teardown);
    tcase_set_timeout(tcase, patience_test_s());
    suite_add_tcase(suite, tcase);
    tcase_add_test(tcase, ten_thousand_callers_of_a_hung_probe_delay_nobody_else);
    return check_main(suite);
}
