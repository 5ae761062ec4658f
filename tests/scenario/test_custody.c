/* Workers in custody, under load: daemon and custodian killed at any moment, starts that fail, and the seal as an
 * administrator sees it. */
#include "server/base/clock.h"
#include "server/custody/custodian/landlock.h"
#include "tests/support/child.h"
#include "tests/support/process.h"
#include "tests/support/story.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* ---- the daemon is killed ---- */

enum { ALONE_MS = 1000 * PATIENCE_SCALE, HOME_COUNT = 4, LOAD_COUNT = 24 };

/* Calls of every kind, more than there are workers; how many are awaited before the kill is the round's. */
static void kill_under_load(const struct home *homes, unsigned *seed)
{
    static const char *const kinds[] = {"litter", "stall-deaf", "openrouter", "brood", "slow-5", "litter"};
    struct call *calls[LOAD_COUNT];
    size_t started_count = (size_t)rand_r(seed) % 6;

    for (size_t i = 0; i < LOAD_COUNT; i++) {
        char key[16];

        snprintf(key, sizeof key, "key-%zu", i);
        calls[i] =
            probe_begin(caller, homes[i % HOME_COUNT].path, kinds[(size_t)rand_r(seed) % ROW_COUNT(kinds)], key, 0);
    }
    if (started_count > 0)
        daemon_wait_at_least(server, "probed_leases_total{origin=\"cold\"}", started_count);
    daemon_kill(server);
    daemon_wait_alone(server, ALONE_MS);
    for (size_t i = 0; i < LOAD_COUNT; i++)
        call_end(calls[i]);
}

static const char *const busy_settings[] = {"--pool-workers-max", "8", NULL};

START_TEST(a_daemon_killed_at_any_moment_leaves_nothing_after_a_second)
{
    struct home homes[HOME_COUNT];
    size_t count = patience_count(200);
    unsigned seed = 4;

    for (size_t i = 0; i < HOME_COUNT; i++) {
        char name[16];

        snprintf(name, sizeof name, "home-%zu", i);
        home_create(&homes[i], &stage.scratch, name);
    }
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            daemon_start(server, &stage.scratch, busy_settings);
        kill_under_load(homes, &seed);
    }
}
END_TEST

/* ---- the custodian is killed ---- */

STORY_SETUP(busy, "--pool-workers-max", "8")

/* Which request of which process answered: no two leases may have the same. */
struct answered {
    int pid;
    unsigned request;
};

static void note_answer(struct call *call, struct answered *answered, size_t *count)
{
    const Probed__V1__ProbeResponse *response = probe_response(call); /* asserts OK */
    struct answered now = {0};

    ck_assert_uint_ge(response->usage->n_details, 2);
    ck_assert_int_eq(sscanf(response->usage->details[0], "pid %d", &now.pid), 1);
    ck_assert_int_eq(sscanf(response->usage->details[1], "request %u", &now.request), 1);
    for (size_t i = 0; i < *count; i++)
        ck_assert_msg(answered[i].pid != now.pid || answered[i].request != now.request,
                      "request %u of process %d answered two leases", now.request, now.pid);
    answered[(*count)++] = now;
    call_end(call);
}

static size_t count_zombies(pid_t pid)
{
    pid_t children[256];
    size_t count = process_children(pid, children, 256), zombie_count = 0;

    for (size_t i = 0; i < count && i < 256; i++)
        zombie_count += !process_runs(children[i]);
    return zombie_count;
}

/* Nobody new dies meanwhile. */
static void expect_reaped_within_a_second(void)
{
    uint64_t due_ns = clock_now_ns() + ALONE_MS * NS_PER_MS;
    pid_t custodian = process_child_named(server->pid, "probed-custodian");

    while (count_zombies(server->pid) + count_zombies(custodian) > 0) {
        ck_assert_msg(clock_now_ns() < due_ns, "a dead process is not reaped");
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

/* Calls while it is killed, all of which are answered; after how long a home without a worker was served. */
static uint64_t kill_custodian_under_load(const struct home *fresh, size_t round, struct answered *answered,
                                          size_t *count)
{
    struct call *calls[LOAD_COUNT], *cold;
    pid_t custodian = process_child_named(server->pid, "probed-custodian");
    uint64_t killed_ns, back_ns;

    for (size_t i = 0; i < LOAD_COUNT; i++) {
        char key[32];

        snprintf(key, sizeof key, "key-%zu-%zu", round, i);
        calls[i] = begin(i % 2 == 0 ? "slow-2" : "openrouter", key);
    }
    if (round % 2 == 0)
        call_wait(calls[round % LOAD_COUNT]);
    ck_assert_int_gt(custodian, 0);
    killed_ns = clock_now_ns();
    ck_assert_int_eq(kill(custodian, SIGKILL), 0);
    cold = probe_begin(caller, fresh->path, "openrouter", NULL, 0);
    note_answer(cold, answered, count);
    back_ns = clock_now_ns() - killed_ns;
    for (size_t i = 0; i < LOAD_COUNT; i++)
        note_answer(calls[i], answered, count);
    ck_assert_int_ne(process_child_named(server->pid, "probed-custodian"), custodian);
    return back_ns;
}

/* That one is back in time is asserted of nearly all, since the machine has other things to do. */
START_TEST(a_custodian_killed_under_load_costs_no_call_and_is_back_in_time)
{
    size_t count = patience_count(100), late_count = 0, answered_count = 0;
    uint64_t slowest_ns = 0;
    struct answered *answered = calloc(count * (LOAD_COUNT + 1), sizeof *answered);

    ck_assert_ptr_nonnull(answered);
    for (size_t round = 0; round < count; round++) {
        struct home fresh;
        char name[32];
        uint64_t back_ns;

        snprintf(name, sizeof name, "fresh-%zu", round);
        home_create(&fresh, &stage.scratch, name);
        back_ns = kill_custodian_under_load(&fresh, round, answered, &answered_count);
        late_count += back_ns >= 500 * NS_PER_MS;
        slowest_ns = back_ns > slowest_ns ? back_ns : slowest_ns;
    }
    ck_assert_uint_eq(daemon_number(server, "probed_failures_total"), 0);
    expect_reaped_within_a_second();
    printf("%zu of %zu were back within 500 ms, the slowest after %llu ms\n", count - late_count, count,
           (unsigned long long)(slowest_ns / NS_PER_MS));
    ck_assert_msg(!patience_time_counts() || late_count <= count / 5, "%zu of %zu were not back in 500 ms", late_count,
                  count);
    free(answered);
}
END_TEST

/* ---- starts fail ---- */

static char worker_path[SCRATCH_PATH_SIZE + 16];

/* The scripted worker under a name of the scratch directory's own, to be taken away and given back. */
static void put_worker(void)
{
    char program[SCRATCH_PATH_SIZE * 4];

    daemon_program("scripted-worker", program);
    ck_assert_int_eq(symlink(program, worker_path), 0);
}

/* A daemon that is not root's: root is never refused a process. */
enum { DAEMON_UID = 65529 };

/* A home that the daemon's uid owns. */
static void create_daemons_home(struct home *made, const char *name)
{
    static const char *const files[] = {"", "/gate", "/credential"};
    char path[HOME_PATH_SIZE + 16];

    home_create(made, &stage.scratch, name);
    for (size_t i = 0; i < ROW_COUNT(files) && geteuid() == 0; i++) {
        snprintf(path, sizeof path, "%s%s", made->path, files[i]);
        ck_assert_int_eq(chown(path, DAEMON_UID, DAEMON_UID), 0);
    }
}

static void with_own_worker(void)
{
    static const char *settings[] = {"--worker-command", worker_path, "--probe-cache-ttl-ms", "3600000", NULL};

    scratch_open(&stage.scratch);
    snprintf(worker_path, sizeof worker_path, "%s/worker", stage.scratch.path);
    put_worker();
    create_daemons_home(home, "home");
    if (geteuid() == 0)
        daemon_start_as(server, &stage.scratch, DAEMON_UID, settings);
    else
        daemon_start(server, &stage.scratch, settings);
}

static void take_worker_away(void)
{
    ck_assert_int_eq(unlink(worker_path), 0);
}

static void put_unexecutable_worker(void)
{
    take_worker_away();
    ck_assert_int_eq(symlink("/", worker_path), 0);
}

static void put_worker_back(void)
{
    unlink(worker_path);
    put_worker();
}

struct limiting {
    enum __rlimit_resource resource;
    bool none;
};

static int act_limit(void *context)
{
    const struct limiting *limiting = context;
    pid_t custodian = process_child_named(server->pid, "probed-custodian");
    struct rlimit limit;

    if (prlimit(custodian, limiting->resource, NULL, &limit) < 0)
        return 1;
    limit.rlim_cur = limiting->none ? 0 : limit.rlim_max;
    return prlimit(custodian, limiting->resource, &limit, NULL) < 0 ? 2 : 0;
}

/* By a process of the custodian's own uid: a container's root may not be let. */
static void limit_custodian(enum __rlimit_resource resource, bool none)
{
    struct limiting limiting = {.resource = resource, .none = none};

    ck_assert_int_eq(geteuid() == 0 ? process_as(DAEMON_UID, act_limit, &limiting) : act_limit(&limiting), 0);
}

static void take_descriptors(void)
{
    limit_custodian(RLIMIT_NOFILE, true);
}

static void give_descriptors_back(void)
{
    limit_custodian(RLIMIT_NOFILE, false);
}

static void take_processes(void)
{
    limit_custodian(RLIMIT_NPROC, true);
}

static void give_processes_back(void)
{
    limit_custodian(RLIMIT_NPROC, false);
}

static const struct start_fault {
    void (*bring)(void), (*take)(void);
    const char *message;
} start_faults[] = {
    {take_worker_away, put_worker_back, "exec: No such file or directory"},
    {put_unexecutable_worker, put_worker_back, "exec: Permission denied"},
    {take_descriptors, give_descriptors_back, "descriptors: Too many open files"},
    {take_processes, give_processes_back, "fork: Resource temporarily unavailable"},
};

/* Two in a row, and the home pauses, twice as long each time: whoever needs a start is told at once, with the cause and
 * when to come again.  On a slow machine the first pauses may be over too soon to be met. */
static void expect_pauses(const struct home *other)
{
    uint64_t retry_ms = 0;

    for (size_t i = 0; retry_ms == 0; i++) {
        char key[16];
        struct call *call;

        snprintf(key, sizeof key, "pause-%zu", i);
        call = probe_begin(caller, other->path, "openrouter", key, 0);
        call_expect(call, STATUS_UNAVAILABLE, "cannot start the worker");
        retry_ms = call->response->retry_after_ms;
        ck_assert(i >= 2 || retry_ms == 0);
        call_end(call);
    }
    ck_assert_uint_le(retry_ms, 30000);
    expect_origin(begin("openrouter", NULL), PROBED__V1__ORIGIN__ORIGIN_CACHED);
}

/* As many handlers as can ever be wanted here: one may still be at its last lease when the next one comes.  Each keeps a
 * descriptor for good. */
static void bring_two_handlers(void)
{
    struct call *calls[] = {begin_leased("gate", "one"), begin_leased("gate", "two")};

    home_open_gate(home, ROW_COUNT(calls));
    for (size_t i = 0; i < ROW_COUNT(calls); i++)
        expect_plan(calls[i], "one");
    daemon_wait(server, "idle", ROW_COUNT(calls));
}

START_TEST(starts_that_fail_are_told_and_hurt_nobody_else)
{
    const struct start_fault *fault = &start_faults[_i];
    enum { COUNT = 100 };
    size_t daemon_fd_count, custodian_fd_count;
    pid_t custodian = process_child_named(server->pid, "probed-custodian");
    struct home other;

    create_daemons_home(&other, "other");
    bring_two_handlers();
    expect_plan(begin("openrouter", NULL), "one");
    fault->bring();
    for (size_t i = 0; i < COUNT; i++) {
        char key[32];

        snprintf(key, sizeof key, "key-%zu", i);
        end_pause(other.path);
        expect_failure(probe_begin(caller, other.path, "openrouter", key, 0), STATUS_UNAVAILABLE, fault->message);
        expect_origin(begin("openrouter", NULL), PROBED__V1__ORIGIN__ORIGIN_CACHED);
        expect_origin(begin_refresh("openrouter"), PROBED__V1__ORIGIN__ORIGIN_WARM);
        if (i == 0) {
            end_pause(other.path);
            daemon_fd_count = process_fd_count(server->pid);
            custodian_fd_count = process_fd_count(custodian);
        }
    }
    end_pause(other.path);
    process_wait_fd_count(custodian, custodian_fd_count);
    process_wait_fd_count(server->pid, daemon_fd_count);
    ck_assert_int_eq(process_child_named(server->pid, "probed-custodian"), custodian);
    expect_pauses(&other);
    fault->take();
    end_pause(other.path);
    expect_plan(probe_begin(caller, other.path, "openrouter", "after", 0), "one");
}
END_TEST

/* ---- the seal, seen from outside ---- */

static const Probed__V1__GetStatusResponse *get_status(struct call **call_out)
{
    Probed__V1__GetStatusRequest request = PROBED__V1__GET_STATUS_REQUEST__INIT;

    *call_out = call_begin(caller, METHOD_GET_STATUS, 0, &request.base);
    return (const Probed__V1__GetStatusResponse *)call_payload(*call_out, &probed__v1__get_status_response__descriptor);
}

static const Probed__V1__WorkerInfo *get_worker(struct call **call_out)
{
    Probed__V1__ListWorkersRequest request = PROBED__V1__LIST_WORKERS_REQUEST__INIT;
    const Probed__V1__ListWorkersResponse *response;

    *call_out = call_begin(caller, METHOD_WORKERS, 0, &request.base);
    response = (const Probed__V1__ListWorkersResponse *)call_payload(*call_out,
                                                                     &probed__v1__list_workers_response__descriptor);
    ck_assert_uint_eq(response->n_workers, 1);
    return response->workers[0];
}

static void expect_seal(const char *level, const char *name)
{
    struct call *call;

    expect_plan(begin("openrouter", NULL), "one");
    ck_assert_msg(strncmp(get_status(&call)->sandbox, level, strlen(level)) == 0, "%s", get_status(&call)->sandbox);
    call_end(call);
    ck_assert_ptr_nonnull(strstr(get_worker(&call)->sandbox, name));
    call_end(call);
}

STORY_SETUP(unsealed, "--worker-sandbox", "off")

START_TEST(the_level_in_force_is_seen_by_administrators)
{
    expect_seal("auto: ", "seccomp, limits");
}
END_TEST

START_TEST(so_is_that_there_is_none)
{
    expect_seal("off", "off");
}
END_TEST

/* ---- the built-in worker in its seal, and a provider on a port of its own ---- */

struct provider {
    pid_t pid;
    char worker[1024]; /* the command that asks it */
    unsigned port;
};

static void start_provider(struct provider *provider)
{
    char meta[512], line[768], *end;
    const char *source = getenv("PROBED_SOURCE");
    const char *const words[] = {
        "probed-standin", "--directory", stage.scratch.path, "--sample-home", home->path, "--case", meta, NULL};
    FILE *out;
    int fd;

    ck_assert_ptr_nonnull(source);
    snprintf(meta, sizeof meta, "%s/tests/fixtures/providers/openrouter/ok_limit_monthly.meta.json", source);
    provider->pid = child_start(words, NULL, &fd);
    out = fdopen(fd, "r");
    ck_assert_ptr_nonnull(fgets(line, sizeof line, out));
    fclose(out);
    line[strcspn(line, "\n")] = '\0';
    snprintf(provider->worker, sizeof provider->worker, "%s/probe-worker %s", child_bin_directory(), line);
    end = strstr(line, ":127.0.0.1:");
    ck_assert_msg(end != NULL, "%s", line);
    provider->port = (unsigned)strtoul(end + strlen(":127.0.0.1:"), NULL, 10);
}

/* A daemon whose workers ask that provider. */
static void start_for(const struct provider *provider, const char *ports)
{
    const char *const settings[] = {"--worker-command",
                                    provider->worker,
                                    "--worker-connect-ports",
                                    ports,
                                    "--worker-writable-home",
                                    "no",
                                    "--worker-sandbox",
                                    "auto",
                                    NULL};

    daemon_start(server, &stage.scratch, settings);
}

START_TEST(a_sealed_worker_reaches_its_provider_where_it_may_connect)
{
    struct provider provider;
    struct call *call;
    char ports[8];

    daemon_stop(server);
    start_provider(&provider);
    start_for(&provider, "443");
    call = begin("openrouter", NULL);
    if (landlock_find_abi() >= LANDLOCK_ABI_TCP) /* an older kernel lets it through */
        ck_assert_str_eq(probe_response(call)->usage->unavailable_reason,
                         "The provider could not be reached: its port is not in worker.connect_ports.");
    call_end(call);
    daemon_stop(server);
    snprintf(ports, sizeof ports, "%u", provider.port);
    start_for(&provider, ports);
    call = begin("openrouter", NULL);
    ck_assert_int_eq((int)probe_response(call)->usage->status, PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_OK);
    ck_assert_uint_ge(probe_response(call)->usage->n_windows, 1);
    call_end(call);
    daemon_stop(server);
    child_end(provider.pid, SIGTERM);
}
END_TEST

/* ---- a kernel without Landlock, as far as a filter of the test's own can play one ---- */

static void forget_landlock(void)
{
    struct sock_filter instructions[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_landlock_create_ruleset, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = ROW_COUNT(instructions), .filter = instructions};

    ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0), 0);
}

static void old_kernel(void)
{
    forget_landlock();
    stage_open(&stage, NULL);
}

START_TEST(less_than_everything_is_said_once_and_in_the_status)
{
    char path[SCRATCH_PATH_SIZE + 16], line[1024];
    size_t count = 0;
    FILE *log;

    expect_seal("auto: system calls (seccomp), limits; missing for strict: files, ", "seccomp, limits");
    snprintf(path, sizeof path, "%s/stderr", stage.scratch.path);
    log = fopen(path, "re");
    ck_assert_ptr_nonnull(log);
    while (fgets(line, sizeof line, log) != NULL)
        count += strstr(line, "sandbox=\"auto: system calls") != NULL;
    fclose(log);
    ck_assert_uint_eq(count, 1);
}
END_TEST

START_TEST(strict_does_not_start_and_says_what_is_missing_and_what_would_do)
{
    char listen[DAEMON_URL_SIZE + 8], publish[DAEMON_URL_SIZE + 8];
    const char *const words[] = {
        "probed",      "--server-listen", listen, "--server-publish", publish, "--worker-sandbox", "strict",
        "--log-level", "error",           NULL};
    struct child_result result;

    snprintf(listen, sizeof listen, "%s.2", server->url);
    snprintf(publish, sizeof publish, "%s.2", server->events_url);
    result = child_run(words, NULL, NULL, 0);
    ck_assert_int_eq(result.exit_status, 1);
    ck_assert_msg(strstr(result.err, "probed: worker.sandbox is strict, and this kernel (") != NULL, "%s", result.err);
    ck_assert_ptr_nonnull(strstr(result.err, ") cannot confine: files, truncation, TCP ports, device controls, signals "
                                             "and abstract sockets (Landlock ABI 6); Linux 6.12 or later, with "
                                             "landlock in lsm=, would do\n"));
    child_result_fini(&result);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("custody");
    TCase *tcase = story_case(suite, "killed", busy);

    tcase_add_test(tcase, a_daemon_killed_at_any_moment_leaves_nothing_after_a_second);
    tcase_add_test(tcase, a_custodian_killed_under_load_costs_no_call_and_is_back_in_time);
    tcase = story_case(suite, "starts", with_own_worker);
    tcase_add_loop_test(tcase, starts_that_fail_are_told_and_hurt_nobody_else, 0, ROW_COUNT(start_faults));
    tcase = story_case(suite, "seal", story_setup);
    tcase_add_test(tcase, the_level_in_force_is_seen_by_administrators);
    tcase_add_test(tcase, a_sealed_worker_reaches_its_provider_where_it_may_connect);
    tcase = story_case(suite, "no seal", unsealed);
    tcase_add_test(tcase, so_is_that_there_is_none);
    tcase = story_case(suite, "old kernel", old_kernel);
    tcase_add_test(tcase, less_than_everything_is_said_once_and_in_the_status);
    tcase_add_test(tcase, strict_does_not_start_and_says_what_is_missing_and_what_would_do);
    return check_main(suite);
}
