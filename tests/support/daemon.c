#include "tests/support/daemon.h"

#include "gen/grpc/health/v1/health.pb-c.h"
#include "server/base/clock.h"
#include "tests/support/patience.h"
#include "tests/support/process.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PROGRAM_PATH_SIZE = SCRATCH_PATH_SIZE * 4, ENVIRONMENT_COUNT_MAX = 256 };

extern char **environ;

void daemon_program(const char *name, char path[PROGRAM_PATH_SIZE])
{
    const char *folder = getenv("PROBED_BIN");

    ck_assert_msg(folder != NULL, "PROBED_BIN is not set: run this by ctest");
    ck_assert_int_lt(snprintf(path, PROGRAM_PATH_SIZE, "%s/%s", folder, name), PROGRAM_PATH_SIZE);
}

/* ---- starting ---- */

/* A program of ours, copied to where everybody can reach it: the build may be below a private directory. */
static void place_program(const struct scratch *scratch, const char *name, char *path_out, size_t path_size)
{
    char program[PROGRAM_PATH_SIZE];

    ck_assert_int_lt(snprintf(path_out, path_size, "%s/%s", scratch->path, name), (int)path_size);
    if (access(path_out, X_OK) == 0)
        return; /* by an earlier daemon of this test */
    daemon_program(name, program);
    process_copy_program(program, path_out);
}

/* Ours without PROBED_*, which would be settings, and then those of ours that a test's flags may override. */
static void make_environment(const char *environment[ENVIRONMENT_COUNT_MAX], const char *worker_command, bool observe)
{
    size_t count = 0;

    for (char **entry = environ; *entry != NULL && count + 6 < ENVIRONMENT_COUNT_MAX; entry++) {
        if (strncmp(*entry, "PROBED_", 7) != 0)
            environment[count++] = *entry;
    }
    environment[count++] = worker_command;
    environment[count++] = "PROBED_WORKER_WRITABLE_HOME=yes"; /* where the scripted worker keeps its log */
    environment[count++] = "PROBED_SERVER_DRAIN_MS=100";      /* most tests end with calls that nobody waits for */
    environment[count++] = "PROBED_POOL_PREWARM=no";          /* a cold answer tells that a worker was replaced */
    if (!observe)
        environment[count++] = "PROBED_EVENTS_OBSERVE=no"; /* the story of that is a story of its own */
    environment[count] = NULL;
}

/* By the bare system calls: libc's would wait for threads that a forked process does not have. */
static bool take_uid(uid_t uid)
{
    return syscall(SYS_setgroups, 0, NULL) == 0 && syscall(SYS_setresgid, uid, uid, uid) == 0 &&
           syscall(SYS_setresuid, uid, uid, uid) == 0;
}

/* In the child: only what is safe after a fork of a process with threads. */
static _Noreturn void become_daemon(const char *program, const char *const *arguments, const char *const *environment,
                                    const char *stderr_path, uid_t uid, pid_t parent)
{
    int fd = open(stderr_path, O_WRONLY | O_CREAT | O_APPEND, 0644);

    if (uid != geteuid() && !take_uid(uid))
        _exit(126);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a change of uid would have cleared it */
    if (getppid() != parent || fd < 0 || dup2(fd, STDERR_FILENO) < 0)
        _exit(126);
    setpgid(0, 0);
    execve(program, (char *const *)(uintptr_t)arguments, (char *const *)(uintptr_t)environment);
    _exit(127);
}

static void wait_serving(struct daemon *daemon)
{
    Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    const Grpc__Health__V1__HealthCheckResponse *response;
    struct call *call = call_begin(&daemon->caller, METHOD_HEALTH, 0, &request.base);
    int status;

    while (!call_is_settled(call)) { /* the request waits until there is somebody to send it to */
        ck_assert_msg(waitpid(daemon->pid, &status, WNOHANG) == 0, "the daemon ended at its start");
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    response = (const Grpc__Health__V1__HealthCheckResponse *)call_payload(
        call, &grpc__health__v1__health_check_response__descriptor);
    ck_assert_int_eq((int)response->status, GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING);
    call_end(call);
}

static void start(struct daemon *daemon, struct scratch *scratch, const char *program, uid_t uid,
                  const char *const *settings)
{
    static const char command[] = "PROBED_WORKER_COMMAND=";
    char worker[sizeof command + PROGRAM_PATH_SIZE];
    char stderr_path[SCRATCH_PATH_SIZE + 16];
    const char *arguments[DAEMON_SETTING_COUNT_MAX] = {"probed", "--server-listen", daemon->url, "--server-publish",
                                                       daemon->events_url};
    const char *environment[ENVIRONMENT_COUNT_MAX];
    size_t count = 5;
    pid_t parent = getpid();

    daemon->scratch = scratch;
    snprintf(daemon->url, sizeof daemon->url, "ipc://%s/rpc.sock", scratch->path);
    snprintf(daemon->events_url, sizeof daemon->events_url, "ipc://%s/events.sock", scratch->path);
    snprintf(stderr_path, sizeof stderr_path, "%s/stderr", scratch->path);
    memcpy(worker, command, sizeof command);
    place_program(scratch, "scripted-worker", worker + sizeof command - 1, sizeof worker - sizeof command + 1);
    for (; settings != NULL && *settings != NULL; settings++) {
        ck_assert_uint_lt(count + 1, DAEMON_SETTING_COUNT_MAX);
        arguments[count++] = *settings;
    }
    make_environment(environment, worker, daemon->observe_unset);
    daemon->child_count = process_children(parent, NULL, 0);
    daemon->pid = fork();
    ck_assert_int_ge(daemon->pid, 0);
    if (daemon->pid == 0)
        become_daemon(program, arguments, environment, stderr_path, uid, parent);
    caller_open(&daemon->caller, daemon->url);
    wait_serving(daemon);
}

void daemon_start(struct daemon *daemon, struct scratch *scratch, const char *const *settings)
{
    char program[PROGRAM_PATH_SIZE];

    daemon_program("probed", program);
    start(daemon, scratch, program, geteuid(), settings);
}

void daemon_start_as(struct daemon *daemon, struct scratch *scratch, uid_t uid, const char *const *settings)
{
    char program[PROGRAM_PATH_SIZE];

    ck_assert_int_eq(chown(scratch->path, uid, uid), 0);
    place_program(scratch, "probed-custodian", program, sizeof program);
    place_program(scratch, "probed", program, sizeof program);
    start(daemon, scratch, program, uid, settings);
}

/* ---- stopping ---- */

static int wait_end(struct daemon *daemon)
{
    uint64_t due_ns = clock_now_ns() + PATIENCE_MS * NS_PER_MS;
    int status;

    while (waitpid(daemon->pid, &status, WNOHANG) == 0) {
        ck_assert_msg(clock_now_ns() < due_ns, "the daemon does not end");
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    daemon->pid = -1;
    return status;
}

static void assert_no_socket(const char *url)
{
    const char *path = url + strlen("ipc://");

    ck_assert_msg(access(path, F_OK) != 0 && errno == ENOENT, "%s is still there", path);
}

void daemon_wait_stopped(struct daemon *daemon)
{
    int status = wait_end(daemon);

    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the daemon ended with status %#x", (unsigned)status);
    assert_no_socket(daemon->url);
    assert_no_socket(daemon->events_url);
    /* Orphans are ours: what it left behind would be our child now, dead or alive. */
    ck_assert_uint_eq(process_children(getpid(), NULL, 0), daemon->child_count);
    caller_close(&daemon->caller);
}

void daemon_stop(struct daemon *daemon)
{
    ck_assert_int_eq(kill(daemon->pid, SIGTERM), 0);
    daemon_wait_stopped(daemon);
}

void daemon_kill(struct daemon *daemon)
{
    ck_assert_int_eq(kill(daemon->pid, SIGKILL), 0);
    wait_end(daemon);
    caller_close(&daemon->caller);
}

void daemon_wait_alone(const struct daemon *daemon, uint64_t ms)
{
    uint64_t due_ns = clock_now_ns() + ms * NS_PER_MS;

    while (process_children(getpid(), NULL, 0) > daemon->child_count) {
        ck_assert_msg(clock_now_ns() < due_ns, "a process is left after %d ms", (int)ms);
        /* Dead ones that became ours are reaped; the harness's own live on. */
        if (waitpid(-1, NULL, WNOHANG) <= 0)
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

/* ---- numbers ---- */

static uint64_t number_of(const Probed__V1__GetStatusResponse *status, const char *name)
{
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {
        {"homes", status->homes},
        {"cache_entries", status->cache_entries},
        {"flights", status->flights},
        {"waiting", status->waiting},
        {"starting", status->workers->starting},
        {"idle", status->workers->idle},
        {"leased", status->workers->leased},
        {"draining", status->workers->draining},
        {"ending", status->workers->ending},
    };

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (strcmp(numbers[i].name, name) == 0)
            return numbers[i].value;
    }
    for (size_t i = 0; i < status->n_counters; i++) {
        if (strcmp(status->counters[i]->name, name) == 0)
            return status->counters[i]->value;
    }
    ck_abort_msg("GetStatus has no number %s", name);
}

uint64_t daemon_number(struct daemon *daemon, const char *name)
{
    Probed__V1__GetStatusRequest request = PROBED__V1__GET_STATUS_REQUEST__INIT;
    struct call *call = call_begin(&daemon->caller, METHOD_GET_STATUS, 0, &request.base);
    uint64_t value = number_of(
        (const Probed__V1__GetStatusResponse *)call_payload(call, &probed__v1__get_status_response__descriptor), name);

    call_end(call);
    return value;
}

static void wait_number(struct daemon *daemon, const char *name, uint64_t least, uint64_t most)
{
    uint64_t due_ns = clock_now_ns() + PATIENCE_MS * NS_PER_MS;
    uint64_t value;

    while (value = daemon_number(daemon, name), value < least || value > most) {
        ck_assert_msg(clock_now_ns() < due_ns, "%s is %llu and does not become %llu", name, (unsigned long long)value,
                      (unsigned long long)least);
        nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
    }
}

void daemon_wait(struct daemon *daemon, const char *name, uint64_t wanted)
{
    wait_number(daemon, name, wanted, wanted);
}

void daemon_wait_at_least(struct daemon *daemon, const char *name, uint64_t wanted)
{
    wait_number(daemon, name, wanted, UINT64_MAX);
}

/* ---- the stage ---- */

void stage_open(struct stage *stage, const char *const *settings)
{
    scratch_open(&stage->scratch);
    home_create(&stage->home, &stage->scratch, "home");
    daemon_start(&stage->daemon, &stage->scratch, settings);
}

void stage_close(struct stage *stage)
{
    if (stage->daemon.pid > 0)
        daemon_stop(&stage->daemon);
    nng_fini();
    scratch_close(&stage->scratch);
}
