/* A service that an operator trusts: what the service manager hears, what SIGHUP changes, how it drains, what the log
 * says. */
#include "server/base/clock.h"
#include "tests/support/child.h"
#include "tests/support/process.h"
#include "tests/support/story.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { NOTICE_SIZE = 1024, LOG_SIZE = 1 << 20, WATCHDOG_MS = 300 };

/* ---- in the service manager's place ---- */

static int manager_fd;

/* A socket in Linux' own space of names, so that no directory need be there before the daemon's. */
static void listen_as_the_manager(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char name[64], watchdog[24];
    int size = snprintf(name, sizeof name, "@probed-test-%d", (int)getpid());

    memcpy(address.sun_path + 1, name + 1, (size_t)size - 1);
    manager_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(setsockopt(manager_fd, SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int)), 0);
    ck_assert_int_eq(bind(manager_fd, (const struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)size)),
                     0);
    snprintf(watchdog, sizeof watchdog, "%d", WATCHDOG_MS * 1000);
    setenv("NOTIFY_SOCKET", name, 1);
    setenv("WATCHDOG_USEC", watchdog, 1);
}

/* The next notice, and the process that it came from. */
static pid_t hear(char notice[NOTICE_SIZE])
{
    char control[CMSG_SPACE(sizeof(struct ucred))];
    struct iovec part = {.iov_base = notice, .iov_len = NOTICE_SIZE - 1};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct pollfd wait = {.fd = manager_fd, .events = POLLIN};
    struct ucred sender;
    ssize_t size;

    ck_assert_msg(poll(&wait, 1, PATIENCE_MS) == 1, "the service manager hears nothing");
    size = recvmsg(manager_fd, &message, 0);
    ck_assert_int_gt(size, 0);
    notice[size] = '\0';
    memcpy(&sender, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof sender);
    return sender.pid;
}

/* The next notice with this line, or part of one; those before it are let go. */
static pid_t hear_of(const char *wanted, char notice[NOTICE_SIZE])
{
    uint64_t due_ns = clock_now_ns() + PATIENCE_MS * NS_PER_MS;
    pid_t sender;

    do {
        sender = hear(notice);
        ck_assert_msg(clock_now_ns() < due_ns, "the service manager does not hear %s", wanted);
    } while (strstr(notice, wanted) == NULL);
    return sender;
}

/* ---- the stage: a daemon with a file of settings ---- */

static char config_path[SCRATCH_PATH_SIZE + 16];

static void write_settings(const char *text)
{
    int fd = open(config_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void open_stage(const char *settings, const char *const *flags)
{
    const char *arguments[16] = {"--config", config_path};
    size_t count = 2;

    setenv("TZ", "UTC0", 1); /* which workers inherit, unless told otherwise */
    listen_as_the_manager();
    scratch_open(&stage.scratch);
    home_create(home, &stage.scratch, "home");
    snprintf(config_path, sizeof config_path, "%s/probed.conf", stage.scratch.path);
    write_settings(settings);
    for (; flags != NULL && *flags != NULL; flags++)
        arguments[count++] = *flags;
    daemon_start(server, &stage.scratch, arguments);
}

static void a_service(void)
{
    open_stage("", NULL);
}

static void a_patient_one(void)
{
    static const char *const flags[] = {"--server-drain-ms", "60000", NULL};

    open_stage("", flags);
}

static void one_that_observes(void)
{
    server->observe_unset = true;
    open_stage("", NULL);
}

static void without_root(void)
{
    static const char *const flags[] = {"--server-user", "65529", NULL};

    open_stage("", flags);
}

static void whose_watchdog_is_not_meant(void)
{
    setenv("WATCHDOG_PID", "1", 1);
    open_stage("", NULL);
}

static void end_service(void)
{
    stage_close(&stage);
    close(manager_fd);
}

/* ---- the log ---- */

/* All that it said so far; lent until the next call. */
static const char *log_text_so_far(void)
{
    static char text[LOG_SIZE];
    char path[SCRATCH_PATH_SIZE + 16];
    ssize_t size;
    int fd;

    snprintf(path, sizeof path, "%s/stderr", stage.scratch.path);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    size = read(fd, text, sizeof text - 1);
    ck_assert_int_ge(size, 0);
    close(fd);
    text[size] = '\0';
    return text;
}

static void expect_log(const char *wanted)
{
    ck_assert_msg(strstr(log_text_so_far(), wanted) != NULL, "the log does not say %s:\n%s", wanted, log_text_so_far());
}

/* Of a worker's environment; NULL: it is not set.  Lent until the next call. */
static const char *find_variable(pid_t pid, const char *name)
{
    static char text[1 << 16];
    char path[64];
    ssize_t size;
    int fd;

    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    size = read(fd, text, sizeof text - 1);
    ck_assert_int_gt(size, 0);
    close(fd);
    text[size] = '\0';
    for (const char *at = text; at < text + size; at += strlen(at) + 1) {
        if (strncmp(at, name, strlen(name)) == 0 && at[strlen(name)] == '=')
            return at + strlen(name) + 1;
    }
    return NULL;
}

/* Reads the settings again, and is done. */
static void reload(const char *settings)
{
    char notice[NOTICE_SIZE];

    write_settings(settings);
    ck_assert_int_eq(kill(server->pid, SIGHUP), 0);
    hear_of("RELOADING=1\n", notice);
    hear_of("READY=1\n", notice);
}

/* ---- the service manager ---- */

START_TEST(a_start_is_told_with_a_status)
{
    char notice[NOTICE_SIZE];
    pid_t sender = hear(notice);

    ck_assert_int_eq(sender, server->pid);
    ck_assert_str_eq(notice, "READY=1\nSTATUS=Serving: 0 homes, 0 workers, 0 of them leased, 0 calls waiting\n");
}
END_TEST

START_TEST(the_status_follows)
{
    char notice[NOTICE_SIZE];

    expect_plan(begin("openrouter", NULL), "one");
    hear_of("STATUS=Serving: 1 homes, 1 workers, 0 of them leased, 0 calls waiting\n", notice);
    ck_assert_ptr_null(strstr(notice, "READY"));
}
END_TEST

START_TEST(the_watchdog_is_fed_as_often_as_it_wants)
{
    char notice[NOTICE_SIZE];
    uint64_t fed_ns;

    hear_of("WATCHDOG=1\n", notice);
    fed_ns = clock_now_ns();
    for (size_t i = 0; i < 10; i++) {
        hear_of("WATCHDOG=1\n", notice);
        ck_assert_msg(!patience_time_counts() || clock_now_ns() - fed_ns < 10 * WATCHDOG_MS * NS_PER_MS,
                      "fed too late");
        fed_ns = clock_now_ns();
    }
}
END_TEST

START_TEST(another_processs_watchdog_is_not_fed)
{
    char notice[NOTICE_SIZE];

    expect_plan(begin("openrouter", NULL), "one");
    do { /* a status is told behind the watchdog's food */
        hear(notice);
        ck_assert_ptr_null(strstr(notice, "WATCHDOG"));
    } while (strstr(notice, "STATUS=Serving: 1 homes") == NULL);
}
END_TEST

START_TEST(nobody_else_speaks_in_its_name)
{
    char path[64], environment[4096];
    pid_t custodian = process_child_named(server->pid, "probed-custodian");
    ssize_t size;
    int fd;

    snprintf(path, sizeof path, "/proc/%d/environ", (int)custodian);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    size = read(fd, environment, sizeof environment);
    close(fd);
    ck_assert_int_gt(size, 0);
    ck_assert_ptr_null(memmem(environment, (size_t)size, "NOTIFY_SOCKET", strlen("NOTIFY_SOCKET")));
    ck_assert_ptr_null(memmem(environment, (size_t)size, "WATCHDOG_", strlen("WATCHDOG_")));
}
END_TEST

START_TEST(a_start_that_fails_is_told_with_the_cause)
{
    char notice[NOTICE_SIZE];
    const char *const argv[] = {"probed", "--server-listen", server->url, "--server-publish", server->events_url, NULL};
    int out;
    pid_t pid = child_start(argv, (const char *const[]){NULL}, &out);

    hear_of("STATUS=another probed (pid ", notice); /* while it runs: who does not listen is not waited for */
    ck_assert_int_eq(child_end(pid, 0), 1);
    close(out);
}
END_TEST

START_TEST(with_another_user_the_main_process_speaks_for_it)
{
    char notice[NOTICE_SIZE];

    ck_assert_int_eq(hear_of("READY=1\nSTATUS=Serving: ", notice), server->pid);
    ck_assert_int_eq(hear_of("WATCHDOG=1\n", notice), server->pid);
    ck_assert_int_eq(kill(server->pid, SIGHUP), 0);
    ck_assert_int_eq(hear_of("RELOADING=1\n", notice), server->pid);
    ck_assert_int_eq(hear_of("READY=1\n", notice), server->pid);
    ck_assert_int_eq(kill(server->pid, SIGTERM), 0);
    ck_assert_int_eq(hear_of("STOPPING=1\n", notice), server->pid);
    daemon_wait_stopped(server);
}
END_TEST

/* ---- SIGHUP ---- */

START_TEST(a_reload_is_told_with_its_time)
{
    char notice[NOTICE_SIZE];
    uint64_t before_us = clock_now_ns() / 1000;
    const char *said;

    ck_assert_int_eq(kill(server->pid, SIGHUP), 0);
    hear_of("RELOADING=1\nMONOTONIC_USEC=", notice);
    said = strstr(notice, "MONOTONIC_USEC=") + strlen("MONOTONIC_USEC=");
    ck_assert_uint_ge(strtoull(said, NULL, 10), before_us);
    ck_assert_uint_le(strtoull(said, NULL, 10), clock_now_ns() / 1000);
    hear_of("READY=1\n", notice);
    expect_log("event=\"configuration read again\" changed=0");
}
END_TEST

START_TEST(idle_workers_end_by_the_new_settings)
{
    expect_plan(begin("openrouter", NULL), "one");
    daemon_wait(server, "idle", 1);
    reload("[pool]\nidle_ms = 10\n");
    daemon_wait(server, "probed_worker_ends_total", 1);
    expect_log("event=\"setting changed\" setting=pool.idle_ms before=300000 now=10\n");
}
END_TEST

START_TEST(workers_too_old_by_the_new_settings_are_replaced)
{
    expect_plan(begin("openrouter", NULL), "one");
    daemon_wait(server, "idle", 1);
    reload("[pool]\nlifetime_ms = 100\n");
    daemon_wait_at_least(server, "probed_worker_ends_total", 1);
    expect_log("event=\"setting changed\" setting=pool.lifetime_ms before=3600000 now=100\n");
}
END_TEST

START_TEST(a_shorter_deadline_is_kept)
{
    reload("[probe]\ntimeout_ms = 50\n");
    expect_failure(begin("stall", NULL), STATUS_DEADLINE_EXCEEDED, NULL);
}
END_TEST

START_TEST(a_lower_limit_of_calls_is_kept)
{
    struct call *calls[2];

    reload("[server]\ncalls_per_uid = 2\n");
    for (size_t i = 0; i < ROW_COUNT(calls); i++)
        calls[i] = probe_begin(caller, home->path, "stall", "a key", 0);
    home_wait(home, "ask", 1);
    expect_failure(begin("openrouter", NULL), STATUS_RESOURCE_EXHAUSTED, NULL);
    for (size_t i = 0; i < ROW_COUNT(calls); i++)
        call_end(calls[i]);
}
END_TEST

START_TEST(more_workers_are_started_when_there_may_be_more)
{
    struct call *first, *second;

    reload("[pool]\nworkers_per_home = 1\nreserve_per_home = 0\n");
    first = begin_leased("stall", NULL);
    second = begin("stall", "another key");
    daemon_wait(server, "waiting", 1);
    reload("[pool]\nworkers_per_home = 2\n");
    home_wait(home, "ask", 2);
    call_end(first);
    call_end(second);
}
END_TEST

START_TEST(another_log_level_is_kept)
{
    expect_plan(begin("openrouter", NULL), "one");
    ck_assert_ptr_null(strstr(log_text_so_far(), "level=debug"));
    reload("[log]\nlevel = debug\n");
    expect_plan(begin("openrouter", NULL), "one");
    expect_log("level=debug program=probed event=call");
}
END_TEST

START_TEST(what_takes_a_restart_is_named_with_both_values)
{
    reload("[server]\nrequest_bytes_max = 4096\nallow_uids = 7 8\n[pool]\nqueue_max = 7\n");
    expect_log("level=warn program=probed event=\"setting takes a restart\" setting=server.request_bytes_max "
               "now=1048576 wanted=4096 why=\"");
    expect_log("setting=server.allow_uids now=\"\" wanted=\"7 8\" why=\"sockets ");
    expect_log("event=\"setting changed\" setting=pool.queue_max before=4096 now=7\n");
    reload("[server]\nrequest_bytes_max = 8192\n[pool]\nqueue_max = 7\n");
    expect_log("setting=server.request_bytes_max now=1048576 wanted=8192 why="); /* it is what it was started with */
}
END_TEST

START_TEST(workers_are_what_the_settings_say)
{
    pid_t before, after;
    struct call *call = begin("openrouter", NULL);

    before = worker_pid(probe_response(call));
    call_end(call);
    reload("[worker]\nenv_pass = PATH\n");
    expect_log("event=\"setting changed\" setting=worker.env_pass before=\"PATH LANG LC_ALL TZ SSL_CERT_FILE "
               "SSL_CERT_DIR HTTPS_PROXY NO_PROXY\" now=PATH\n");
    daemon_wait_at_least(server, "probed_worker_ends_total", 1);
    call = begin("openrouter", NULL); /* what the former worker answered is void as well */
    after = worker_pid(probe_response(call));
    call_end(call);
    ck_assert_int_ne(before, after);
    ck_assert_ptr_null(find_variable(after, "TZ"));
    reload("[worker]\nenv_pass = PATH TZ\n");
    call = begin("openrouter", NULL);
    ck_assert_ptr_nonnull(find_variable(worker_pid(probe_response(call)), "TZ"));
    call_end(call);
}
END_TEST

START_TEST(a_call_in_the_air_is_answered_by_a_worker_of_the_new_settings)
{
    struct call *call = begin_leased("gate", NULL);

    reload("[worker]\nenv_pass = PATH\n");
    home_wait(home, "ask", 2); /* while the former one still hangs */
    home_open_gate(home, 2);
    ck_assert_ptr_null(find_variable(worker_pid(probe_response(call)), "TZ"));
    call_end(call);
}
END_TEST

START_TEST(settings_that_workers_do_not_have_leave_them_alone)
{
    expect_plan(begin("openrouter", NULL), "one");
    daemon_wait(server, "idle", 1);
    reload("[worker]\nreply_bytes_max = 2048\n[log]\nlevel = debug\n");
    expect_origin(begin("openrouter", NULL), PROBED__V1__ORIGIN__ORIGIN_CACHED);
    ck_assert_uint_eq(daemon_number(server, "probed_worker_ends_total"), 0);
}
END_TEST

START_TEST(observing_begins_and_ends_with_the_settings)
{
    expect_plan(begin("openrouter", NULL), "one");
    ck_assert_uint_eq(daemon_number(server, "probed_observed_homes"), 1);
    reload("[events]\nobserve = no\n");
    ck_assert_uint_eq(daemon_number(server, "probed_observed_homes"), 0);
    expect_origin(begin("openrouter", NULL), PROBED__V1__ORIGIN__ORIGIN_CACHED);
    reload("[events]\nobserve = yes\n");
    expect_origin(begin("openrouter", NULL), PROBED__V1__ORIGIN__ORIGIN_COLD); /* nobody looked meanwhile */
    ck_assert_uint_eq(daemon_number(server, "probed_observed_homes"), 1);
}
END_TEST

START_TEST(a_bad_file_changes_nothing_and_says_why)
{
    char wanted[256];

    expect_plan(begin("openrouter", NULL), "one");
    daemon_wait(server, "idle", 1);
    reload("[log]\nlevel = debug\n[pool]\nidle_ms = 10\nworkers_per_home = none\n");
    snprintf(wanted, sizeof wanted,
             "level=error program=probed event=\"configuration kept as it was\" cause=\"%s:5: pool.workers_per_home: "
             "none is no whole number\" uid=%u\n",
             config_path, (unsigned)geteuid());
    expect_log(wanted);
    expect_plan(begin("openrouter", NULL), "one");
    ck_assert_ptr_null(strstr(log_text_so_far(), "level=debug"));
    ck_assert_uint_eq(daemon_number(server, "probed_worker_ends_total"), 0);
}
END_TEST

START_TEST(reloading_again_and_again_disturbs_no_call)
{
    static const char *const settings[] = {
        "[pool]\nidle_ms = 10\n", "[pool]\nworkers_max = 64\n[events]\nheartbeat_ms = 50\n",
        "[pool]\nworkers_max = 1\n[probe]\ncache_entries = 1\n", "[pool]\nterm_grace_ms = 0\n[log]\nlevel = trace\n",
        "[worker]\nenv_pass = PATH\n"};
    size_t count = patience_count(200);

    for (size_t i = 0; i < count; i++) {
        struct call *calls[8];

        for (size_t j = 0; j < ROW_COUNT(calls); j++)
            calls[j] = begin_refresh(j % 2 == 0 ? "openrouter" : "slow-1");
        reload(settings[i % ROW_COUNT(settings)]);
        for (size_t j = 0; j < ROW_COUNT(calls); j++)
            expect_plan(calls[j], "one");
    }
}
END_TEST

/* ---- the log ---- */

#define TRACE_ID  "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT_ID "00f067aa0ba902b7"

/* A probe whose caller names it and its trace. */
static void probe_in_a_trace(void)
{
    Probed__V1__ProbeRequest probe = PROBED__V1__PROBE_REQUEST__INIT;
    Probed__V1__RpcRequest request = PROBED__V1__RPC_REQUEST__INIT;
    Probed__V1__Metadata metadata[] = {PROBED__V1__METADATA__INIT, PROBED__V1__METADATA__INIT};
    Probed__V1__Metadata *list[] = {&metadata[0], &metadata[1]};
    unsigned char payload[1024], packed[2048];
    struct call *call;

    probe.home = home->path;
    probe.provider = (char *)(uintptr_t) "openrouter";
    metadata[0].key = (char *)(uintptr_t) "request-id";
    metadata[0].value = (char *)(uintptr_t) "asked 7";
    metadata[1].key = (char *)(uintptr_t) "traceparent";
    metadata[1].value = (char *)(uintptr_t)("00-" TRACE_ID "-" PARENT_ID "-01");
    request.method = (char *)(uintptr_t)METHOD_PROBE;
    request.metadata = list;
    request.n_metadata = ROW_COUNT(list);
    request.payload = (ProtobufCBinaryData){probed__v1__probe_request__pack(&probe, payload), payload};
    call = call_begin_raw(caller, packed, probed__v1__rpc_request__pack(&request, packed));
    expect_plan(call, "one");
}

/* The last line of the log that has this. */
static const char *last_line_with(const char *wanted)
{
    static char line[8192];
    const char *found = NULL, *begin;

    for (const char *at = log_text_so_far(); (at = strstr(at, wanted)) != NULL; at++)
        found = at;
    ck_assert_msg(found != NULL, "the log does not say %s", wanted);
    for (begin = found; begin > log_text_so_far() && begin[-1] != '\n'; begin--)
        ;
    snprintf(line, sizeof line, "%.*s", (int)strcspn(begin, "\n"), begin);
    return line;
}

START_TEST(a_call_is_a_line_with_all_that_one_asks)
{
    char wanted[512];
    unsigned long long queue_us, spawn_us, probe_us, us;
    const char *line;

    reload("[log]\nlevel = debug\n");
    probe_in_a_trace();
    line = last_line_with("event=call ");
    snprintf(wanted, sizeof wanted,
             " service=probed.v1.ProbeService method=Probe request_id=\"asked 7\" trace_id=" TRACE_ID
             " parent_id=" PARENT_ID " home=%s provider=openrouter origin=cold age_ms=0 lease=1 worker=1 queue_us=",
             home->path);
    ck_assert_msg(strstr(line, wanted) != NULL, "%s\nis not\n%s", line, wanted);
    ck_assert_int_eq(sscanf(strstr(line, " queue_us="), " queue_us=%llu spawn_us=%llu probe_us=%llu code=OK us=%llu",
                            &queue_us, &spawn_us, &probe_us, &us),
                     4);
    ck_assert_uint_le(queue_us + probe_us, us);
    probe_in_a_trace();
    line = last_line_with("event=call ");
    ck_assert_msg(strstr(line, " provider=openrouter origin=cached age_ms=") != NULL, "%s", line);
}
END_TEST

START_TEST(as_json_it_has_the_same)
{
    char wanted[256];

    reload("[log]\nlevel = debug\nformat = json\n");
    probe_in_a_trace();
    snprintf(wanted, sizeof wanted,
             "\"request_id\":\"asked 7\",\"trace_id\":\"" TRACE_ID "\",\"parent_id\":\"" PARENT_ID
             "\",\"home\":\"%s\",\"provider\":\"openrouter\",\"origin\":\"cold\",\"age_ms\":0,\"lease\":1,",
             home->path);
    expect_log(wanted);
}
END_TEST

START_TEST(a_refused_call_is_a_line_with_its_reason)
{
    reload("[log]\nlevel = debug\n");
    expect_failure(probe_begin(caller, "/no such home", "openrouter", NULL, 0), STATUS_NOT_FOUND, NULL);
    expect_log(" home=\"/no such home\" provider=openrouter code=NOT_FOUND message=\"");
}
END_TEST

START_TEST(a_worker_is_a_line_when_it_starts_and_one_when_it_ends)
{
    char wanted[256];
    pid_t pid;
    struct call *call = begin("openrouter", NULL);

    pid = worker_pid(probe_response(call));
    call_end(call);
    snprintf(wanted, sizeof wanted,
             "level=info program=probed event=\"worker started\" worker=1 pid=%d home=%s "
             "spawn_us=",
             (int)pid, home->path);
    expect_log(wanted);
    daemon_wait(server, "idle", 1);
    reload("[pool]\nidle_ms = 10\n");
    daemon_wait(server, "probed_worker_ends_total", 1);
    snprintf(wanted, sizeof wanted,
             "level=info program=probed event=\"worker ended\" worker=1 pid=%d home=%s asked=\"to finish\" "
             "why=\"idle for pool.idle_ms\" cause=\"the worker ",
             (int)pid, home->path);
    expect_log(wanted);
}
END_TEST

START_TEST(a_worker_that_ends_of_itself_is_a_warning)
{
    call_end(begin("die", NULL));
    daemon_wait_at_least(server, "probed_worker_ends_total", 1);
    ck_assert_ptr_nonnull(strstr(last_line_with("event=\"worker ended\""), "level=warn program=probed "));
    expect_log(" asked=\"\" why=\"\" cause=\"the worker ");
}
END_TEST

/* ---- SIGTERM ---- */

START_TEST(a_drain_is_told_and_refuses_with_advice)
{
    char notice[NOTICE_SIZE];
    struct call *leased = begin_leased("gate", NULL), *refused;

    ck_assert_int_eq(kill(server->pid, SIGTERM), 0);
    hear_of("STOPPING=1\nEXTEND_TIMEOUT_USEC=71000000\nSTATUS=Draining: 1 calls in progress, 1 workers\n", notice);
    refused = begin("openrouter", NULL);
    call_expect(refused, STATUS_UNAVAILABLE, NULL);
    ck_assert_uint_gt(refused->response->retry_after_ms, 0);
    call_end(refused);
    home_open_gate(home, 1);
    expect_origin(leased, PROBED__V1__ORIGIN__ORIGIN_COLD);
    daemon_wait_stopped(server);
}
END_TEST

static TCase *service_case(Suite *suite, const char *name, void (*setup)(void))
{
    TCase *tcase = tcase_create(name);

    tcase_add_checked_fixture(tcase, setup, end_service);
    tcase_set_timeout(tcase, patience_test_s());
    suite_add_tcase(suite, tcase);
    return tcase;
}

int main(void)
{
    Suite *suite = suite_create("service");
    TCase *tcase = service_case(suite, "service", a_service);

    tcase_add_test(tcase, a_start_is_told_with_a_status);
    tcase_add_test(tcase, the_status_follows);
    tcase_add_test(tcase, the_watchdog_is_fed_as_often_as_it_wants);
    tcase_add_test(tcase, nobody_else_speaks_in_its_name);
    tcase_add_test(tcase, a_start_that_fails_is_told_with_the_cause);
    tcase_add_test(tcase, a_reload_is_told_with_its_time);
    tcase_add_test(tcase, idle_workers_end_by_the_new_settings);
    tcase_add_test(tcase, workers_too_old_by_the_new_settings_are_replaced);
    tcase_add_test(tcase, a_shorter_deadline_is_kept);
    tcase_add_test(tcase, a_lower_limit_of_calls_is_kept);
    tcase_add_test(tcase, more_workers_are_started_when_there_may_be_more);
    tcase_add_test(tcase, another_log_level_is_kept);
    tcase_add_test(tcase, what_takes_a_restart_is_named_with_both_values);
    tcase_add_test(tcase, workers_are_what_the_settings_say);
    tcase_add_test(tcase, a_call_in_the_air_is_answered_by_a_worker_of_the_new_settings);
    tcase_add_test(tcase, settings_that_workers_do_not_have_leave_them_alone);
    tcase_add_test(tcase, a_bad_file_changes_nothing_and_says_why);
    tcase_add_test(tcase, reloading_again_and_again_disturbs_no_call);
    tcase_add_test(tcase, a_call_is_a_line_with_all_that_one_asks);
    tcase_add_test(tcase, as_json_it_has_the_same);
    tcase_add_test(tcase, a_refused_call_is_a_line_with_its_reason);
    tcase_add_test(tcase, a_worker_is_a_line_when_it_starts_and_one_when_it_ends);
    tcase_add_test(tcase, a_worker_that_ends_of_itself_is_a_warning);
    tcase = service_case(suite, "observing", one_that_observes);
    tcase_add_test(tcase, observing_begins_and_ends_with_the_settings);
    tcase = service_case(suite, "another's watchdog", whose_watchdog_is_not_meant);
    tcase_add_test(tcase, another_processs_watchdog_is_not_fed);
    tcase = service_case(suite, "patient", a_patient_one);
    tcase_add_test(tcase, a_drain_is_told_and_refuses_with_advice);
    tcase = service_case(suite, "without root", without_root);
    tcase_add_test(tcase, with_another_user_the_main_process_speaks_for_it);
    return check_main(suite);
}
