/* Marked secrets go through every path there is, errors first, at log.level=trace; then they are looked for wherever
 * they must not be: logs, events, replies, admin answers, argument lists, environments, and the memory of a daemon that
 * has nothing to do any more.  The tests run as root, who may read that.
 *
 * What no program of ours can wipe is not in these paths: pages of the kernel's buffers. */
#include "gen/grpc/health/v1/health.pb-c.h"
#include "proto/limits.h"
#include "server/base/clock.h"
#include "tests/support/process.h"
#include "tests/support/raw.h"
#include "tests/support/story.h"

#include <dirent.h>
#include <fcntl.h>
#include <nng/protocol/pubsub0/sub.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MARK_SIZE = 32, TEXT_SIZE = 1 << 22, EVENT_COUNT_MAX = 8192 };

/* A secret and what tells it from everything else; a part of it is a find as well. */
struct canary {
    const char *name;
    char secret[MARK_SIZE + 16];
    const char *mark; /* MARK_SIZE random bytes of it, as hexadecimal digits */
};

static struct canary key = {.name = "api_key"}, token = {.name = ".env"}, account = {.name = "auth.json"};
static struct canary *const canaries[] = {&key, &token, &account};

static void make_canary(struct canary *canary)
{
    unsigned char bytes[MARK_SIZE / 2];
    size_t size = (size_t)snprintf(canary->secret, sizeof canary->secret, "sk-canary-");

    ck_assert_int_eq((int)getrandom(bytes, sizeof bytes, 0), (int)sizeof bytes);
    canary->mark = canary->secret + size;
    for (size_t i = 0; i < sizeof bytes; i++)
        size += (size_t)snprintf(canary->secret + size, sizeof canary->secret - size, "%02x", bytes[i]);
}

/* ---- where secrets are looked for ---- */

/* How often a half of the mark is in there. */
static size_t count_hits(const struct canary *canary, const void *text, size_t size)
{
    size_t count = 0;

    for (size_t half = 0; half < 2 && size > 0; half++) {
        const char *at = text, *end = at + size;

        while ((at = memmem(at, (size_t)(end - at), canary->mark + half * MARK_SIZE / 2, MARK_SIZE / 2)) != NULL) {
            at++;
            count++;
        }
    }
    return count;
}

static void expect_clean(const char *where, const void *text, size_t size)
{
    for (size_t i = 0; i < ROW_COUNT(canaries); i++) {
        size_t count = count_hits(canaries[i], text, size);

        ck_assert_msg(count == 0, "HIT: %s has the secret of %s, %zu times", where, canaries[i]->name, count);
    }
}

static void expect_clean_file(const char *path)
{
    static char text[TEXT_SIZE];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = 1;
    size_t size = 0;

    ck_assert_msg(fd >= 0, "%s", path);
    while (got > 0 && size < sizeof text) {
        got = read(fd, text + size, sizeof text - size);
        size += got > 0 ? (size_t)got : 0;
    }
    ck_assert_msg(size < sizeof text, "%s is too long to be searched", path);
    close(fd);
    expect_clean(path, text, size);
}

static size_t memory_hits(const struct canary *canary, pid_t pid)
{
    return process_memory_count(pid, canary->mark, MARK_SIZE / 2) +
           process_memory_count(pid, canary->mark + MARK_SIZE / 2, MARK_SIZE / 2);
}

static void expect_clean_process(const char *name, pid_t pid)
{
    static const char *const files[] = {"cmdline", "environ", "comm", "status"};
    char path[64];

    ck_assert_int_gt(pid, 0);
    for (size_t i = 0; i < ROW_COUNT(files); i++) {
        snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, files[i]);
        expect_clean_file(path);
    }
    for (size_t i = 0; i < ROW_COUNT(canaries) && !SANITIZED; i++) {
        size_t count = memory_hits(canaries[i], pid);

        ck_assert_msg(count == 0, "HIT: the memory of %s has the secret of %s, %zu times", name, canaries[i]->name,
                      count);
    }
}

/* ---- the stage ---- */

static nng_socket events;

static void write_home_file(const char *name, const char *format, const char *secret)
{
    char text[256];

    snprintf(text, sizeof text, format, secret);
    home_write(home, name, text);
}

static void open_canaries(const char *run_ms)
{
    const char *const settings[] = {"--log-level",
                                    "trace",
                                    "--probe-failure-ttl-ms",
                                    "0",
                                    "--pool-queue-per-home",
                                    "1",
                                    "--pool-term-grace-ms",
                                    "50",
                                    "--pool-workers-per-home",
                                    "1",
                                    "--probe-run-ms",
                                    run_ms,
                                    "--server-request-bytes-max",
                                    "524288",
                                    NULL};

    for (size_t i = 0; i < ROW_COUNT(canaries); i++)
        make_canary(canaries[i]);
    scratch_open(&stage.scratch);
    home_create(home, &stage.scratch, "home");
    write_home_file(".env", "CANARY_TOKEN=%s\n", token.secret);
    write_home_file("auth.json", "{\"token\": \"%s\"}\n", account.secret);
    daemon_start(server, &stage.scratch, settings);
    ck_assert_int_eq(nng_sub0_open(&events), 0);
    ck_assert_int_eq(nng_socket_set_int(events, NNG_OPT_RECVBUF, EVENT_COUNT_MAX), 0);
    ck_assert_int_eq(nng_socket_set(events, NNG_OPT_SUB_SUBSCRIBE, "", 0), 0);
    ck_assert_int_eq(nng_dial(events, server->events_url, NULL, 0), 0);
}

/* A probe that hangs is soon over. */
static void canary_setup(void)
{
    open_canaries("1000");
}

/* A probe may last while memory is searched, however slow the machine. */
static void patient_setup(void)
{
    open_canaries("60000");
}

/* The same, with every limit on core files lifted and a place to write them: nothing but the programs' own doing is in
 * their way. */
static void cores_setup(void)
{
    const struct rlimit any = {RLIM_INFINITY, RLIM_INFINITY};

    patient_setup(); /* opens the scratch directory, too */
    daemon_stop(server);
    ck_assert_int_eq(chdir(stage.scratch.path), 0);
    ck_assert_int_eq(setrlimit(RLIMIT_CORE, &any), 0);
    daemon_start(server, &stage.scratch, NULL);
}

static void canary_teardown(void)
{
    nng_close(events);
    stage_close(&stage);
}

/* Waits, looks the reply over, and ends the call. */
static void take_reply(struct call *call)
{
    call_wait(call);
    if (call->error == 0) {
        expect_clean("a reply's message", call->response->message, strlen(call->response->message));
        expect_clean("a reply", call->response->payload.data, call->response->payload.len);
    }
    call_end(call);
}

static void probe(const char *path, const char *provider, const char *api_key, uint32_t timeout_ms)
{
    take_reply(probe_begin(caller, path, provider, api_key, timeout_ms));
}

/* ---- the paths ---- */

/* What a worker may do with a request: answer, die, lie, tell. */
static void go_through_workers(void)
{
    static const char *const providers[] = {
        "openrouter", "openrouter", "die",    "die-first", "half",      "close",    "answer-and-exit",
        "garbage",    "nan",        "array",  "null",      "two",       "wrong-id", "wrong-provider",
        "stray-1",    "unheard-of", "babble", "parrot",    "parrot-id", "slow-5",
    };

    for (size_t i = 0; i < ROW_COUNT(providers); i++) {
        struct call *lift = invalidate_begin(caller, home->path, "", PROBED__V1__BARRIER__BARRIER_FENCED);

        call_expect(lift, STATUS_OK, NULL); /* a home that pauses would start nobody */
        call_end(lift);
        probe(home->path, providers[i], key.secret, 0);
    }
    probe(home->path, "stall", key.secret, 50); /* its caller's deadline */
    take_reply(invalidate_begin(caller, home->path, "", PROBED__V1__BARRIER__BARRIER_FENCED));
    daemon_wait(server, "leased", 0);
}

/* What is refused before any worker hears of it. */
static void go_through_refusals(void)
{
    static char large[LIMIT_API_KEY_SIZE_MAX + 2];
    Probed__V1__ProbeRequest request = PROBED__V1__PROBE_REQUEST__INIT;
    Probed__V1__Fence fence = PROBED__V1__FENCE__INIT;
    char path[HOME_PATH_SIZE + 16];

    probe("relative", "openrouter", key.secret, 0);
    probe("/", "openrouter", key.secret, 0);
    snprintf(path, sizeof path, "%s/none", home->path);
    probe(path, "openrouter", key.secret, 0);
    snprintf(path, sizeof path, "%s/.env", home->path);
    probe(path, "openrouter", key.secret, 0);
    probe(home->path, "", key.secret, 0);
    probe(home->path, "no such thing", key.secret, 0);
    for (size_t size = 0; size < sizeof large - 1; size += strlen(key.secret))
        snprintf(large + size, sizeof large - size, "%s", key.secret);
    probe(home->path, "openrouter", large, 0);

    request.home = home->path;
    request.provider = (char *)(uintptr_t) "openrouter";
    request.api_key = key.secret;
    request.at_least = &fence;
    take_reply(call_begin(caller, METHOD_PROBE, 0, &request.base));
    fence.epoch = fence.generation = 1;
    take_reply(call_begin(caller, METHOD_PROBE, 0, &request.base));
    request.at_least = NULL;
    take_reply(call_begin(caller, METHOD_SYNC, 0, &request.base)); /* another method's field */
    take_reply(call_begin(caller, "/probed.v1.ProbeService/None", 0, &request.base));
    take_reply(call_begin(caller, "/grpc.health.v1.Health/Check", 0, &request.base));
    take_reply(call_begin_raw(caller, key.secret, strlen(key.secret))); /* no RpcRequest at all */
}

/* Bytes that do not unpack, or break a bound, with the key among them. */
static void go_through_malformed(void)
{
    Probed__V1__ProbeRequest request = PROBED__V1__PROBE_REQUEST__INIT;
    size_t size;
    unsigned char *message, *at;

    request.home = home->path;
    request.provider = (char *)(uintptr_t) "openrouter";
    request.api_key = key.secret;
    message = raw_pack(METHOD_PROBE, 0, &request.base, &size);
    at = memmem(message, size, key.secret, strlen(key.secret));
    ck_assert_ptr_nonnull(at);
    for (size_t cut = 1; cut < size; cut += 7)
        take_reply(call_begin_raw(caller, message, cut));
    at[0] = 0xff; /* no UTF-8 */
    take_reply(call_begin_raw(caller, message, size));
    at[0] = 0;
    take_reply(call_begin_raw(caller, message, size));
    free(message);
}

/* A crowd: joined, queued, refused by a full queue, gone before the answer. */
static void go_through_crowd(void)
{
    struct call *leased = begin_leased("gate", key.secret), *calls[16];
    char other[sizeof key.secret];
    uint64_t joins = daemon_number(server, "probed_joins_total");
    struct caller gone;

    for (size_t i = 0; i < 8; i++)
        calls[i] = probe_begin(caller, home->path, "gate", key.secret, 0);
    snprintf(other, sizeof other, "%s", key.secret);
    for (size_t i = 8; i < 16; i++) {
        other[3] = (char)('a' + i); /* another key, the same mark */
        calls[i] = probe_begin(caller, home->path, "openrouter", other, 0);
    }
    caller_open(&gone, server->url);
    for (size_t i = 0; i < 4; i++)
        call_end(probe_begin(&gone, home->path, i % 2 == 0 ? "gate" : "openrouter", key.secret, 0));
    caller_close(&gone);
    daemon_wait_at_least(server, "probed_joins_total", joins + 8);
    home_open_gate(home, 1);
    take_reply(leased);
    for (size_t i = 0; i < 16; i++)
        take_reply(calls[i]);
}

static void go_through_starts(void)
{
    static const char *const words[] = {"exit", "close", "greet", ""};

    for (size_t i = 0; i < ROW_COUNT(words); i++) {
        home_write(home, "start", words[i]);
        take_reply(invalidate_begin(caller, home->path, "", PROBED__V1__BARRIER__BARRIER_QUIESCED));
        probe(home->path, "openrouter", key.secret, 0);
    }
    take_reply(invalidate_begin(caller, home->path, "", PROBED__V1__BARRIER__BARRIER_QUIESCED));
}

static void kill_custodian(void)
{
    pid_t custodian = process_child_named(server->pid, "probed-custodian");
    struct call *call = begin_leased("gate", key.secret);

    ck_assert_int_eq(kill(custodian, SIGKILL), 0);
    home_open_gate(home, 2); /* for the worker that it left, and one of the next custodian's */
    take_reply(call);
    while (kill(custodian, 0) == 0 ||
           process_child_named(server->pid, "probed-custodian") < 0) /* else Check ends this */
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* ---- looking ---- */

static void look_at_admin_answers(void)
{
    Probed__V1__GetStatusRequest status = PROBED__V1__GET_STATUS_REQUEST__INIT;
    Probed__V1__ListHomesRequest homes = PROBED__V1__LIST_HOMES_REQUEST__INIT;
    Probed__V1__ListWorkersRequest workers = PROBED__V1__LIST_WORKERS_REQUEST__INIT;
    Probed__V1__ListEventsRequest changes = PROBED__V1__LIST_EVENTS_REQUEST__INIT;

    take_reply(call_begin(caller, METHOD_GET_STATUS, 0, &status.base));
    take_reply(call_begin(caller, METHOD_HOMES, 0, &homes.base));
    take_reply(call_begin(caller, METHOD_WORKERS, 0, &workers.base));
    take_reply(call_begin(caller, METHOD_EVENTS, 0, &changes.base));
}

static void look_at_events(void)
{
    size_t count = 0;
    nng_msg *message;

    while (nng_recvmsg(events, &message, NNG_FLAG_NONBLOCK) == 0) {
        expect_clean("an event", nng_msg_body(message), nng_msg_len(message));
        nng_msg_free(message);
        count++;
    }
    ck_assert_uint_gt(count, 20); /* each fence above was heard of */
}

static void look_at_log(void)
{
    char path[SCRATCH_PATH_SIZE + 16];
    struct stat about;

    snprintf(path, sizeof path, "%s/stderr", stage.scratch.path);
    ck_assert_int_eq(stat(path, &about), 0);
    ck_assert_int_gt((int)about.st_size, 10000); /* it is a talkative one */
    expect_clean_file(path);
}

/* No core file, and nobody but root may look. */
static void look_at_seals(pid_t pid)
{
    char path[64], text[4096];
    FILE *file;
    size_t size;

    snprintf(path, sizeof path, "/proc/%d/limits", (int)pid);
    file = fopen(path, "re");
    ck_assert_ptr_nonnull(file);
    size = fread(text, 1, sizeof text - 1, file);
    text[size] = '\0';
    fclose(file);
    ck_assert_ptr_nonnull(strstr(text, "Max core file size        0                    0"));
}

/* ---- the stories ---- */

START_TEST(the_memory_of_a_daemon_holds_a_key_while_its_call_is_in_the_air_and_not_after)
{
    enum { ONE_COPY = 2 }; /* its two halves: the guarded one, once the request is written */
    struct call *call = begin_leased("gate", key.secret);
    uint64_t due_ns = clock_now_ns() + PATIENCE_MS * NS_PER_MS;

    ck_assert_uint_ge(memory_hits(&key, server->pid), ONE_COPY); /* so the search finds what is there */
    while (memory_hits(&key, server->pid) > ONE_COPY)
        ck_assert_uint_lt(clock_now_ns(), due_ns);
    home_open_gate(home, 1);
    take_reply(call);
    daemon_wait(server, "leased", 0);
    ck_assert_uint_eq(memory_hits(&key, server->pid), 0);
}
END_TEST

START_TEST(marked_secrets_are_found_nowhere)
{
    go_through_refusals();
    go_through_malformed();
    go_through_workers();
    go_through_crowd();
    go_through_starts();
    kill_custodian();
    daemon_wait(server, "leased", 0);
    daemon_wait(server, "flights", 0);

    look_at_admin_answers();
    look_at_events();
    look_at_log();
    look_at_seals(server->pid);
    expect_clean_process("probed", server->pid);
    expect_clean_process("probed-custodian", process_child_named(server->pid, "probed-custodian"));
    daemon_stop(server);
    look_at_log(); /* what it says at its end as well */
}
END_TEST

/* ---- core files ---- */

/* Ends a process by a signal that asks for a core file; whether there is one, of a child of ours. */
static bool aborts_with_core(pid_t child)
{
    int status;

    ck_assert_int_eq(kill(child, SIGABRT), 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    return WCOREDUMP(status);
}

static pid_t fork_idler(void)
{
    pid_t child = fork();

    ck_assert_int_ge(child, 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        for (;;)
            pause();
    }
    return child;
}

/* Takes those away that are there already. */
static size_t take_cores(const char *folder)
{
    size_t count = 0;
    DIR *files = opendir(folder);

    ck_assert_ptr_nonnull(files);
    for (const struct dirent *entry; (entry = readdir(files)) != NULL;) {
        if (strncmp(entry->d_name, "core", 4) == 0) {
            ck_assert_int_eq(unlinkat(dirfd(files), entry->d_name, 0), 0);
            count++;
        }
    }
    closedir(files);
    return count;
}

/* Whoever of the three dies of a fault, with a key about. */
START_TEST(no_core_file_is_left_by_whoever_dies)
{
    struct call *call;
    pid_t custodian = process_child_named(server->pid, "probed-custodian"), worker;

    if (!aborts_with_core(fork_idler()))
        printf("this system writes no core files at all: see /proc/sys/kernel/core_pattern\n");
    take_cores(stage.scratch.path);
    call = begin_leased("gate", key.secret);
    ck_assert_uint_eq(process_children(custodian, &worker, 1), 1);
    ck_assert_int_eq(kill(worker, SIGABRT), 0);
    home_wait(home, "ask", 2); /* the next one has the request */
    ck_assert_int_eq(kill(custodian, SIGABRT), 0);
    take_reply(call); /* it has had its second try */
    end_pause(home->path);
    call = begin_leased("gate", key.secret);
    ck_assert_msg(!aborts_with_core(server->pid), "probed left a core file");
    server->pid = -1;
    daemon_wait_alone(server, PATIENCE_MS);
    caller_close(caller);
    call_end(call);
    ck_assert_uint_eq(take_cores(stage.scratch.path) + take_cores(home->path), 0);
}
END_TEST

/* nng has read so much of each request when its client hangs up, and frees it by itself. */
START_TEST(a_request_that_was_read_in_part_leaves_no_key_behind)
{
    enum { CLIENT_COUNT = 16 };
    Probed__V1__ProbeRequest request = PROBED__V1__PROBE_REQUEST__INIT;
    uint64_t due_ns = clock_now_ns() + PATIENCE_MS * NS_PER_MS;
    unsigned char *message;
    int fds[CLIENT_COUNT];
    size_t size;

    request.home = home->path;
    request.provider = (char *)(uintptr_t) "openrouter";
    request.api_key = key.secret;
    message = raw_pack(METHOD_PROBE, 0, &request.base, &size);
    for (size_t i = 0; i < CLIENT_COUNT; i++) {
        fds[i] = raw_connect(server->url);
        ck_assert(raw_greet(fds[i], RAW_REQ));
        ck_assert(
            raw_send_part(fds[i], 1, message, size + (i + 1) * (i + 1) * 256, size)); /* the rest would be padding */
    }
    free(message);
    while (memory_hits(&key, server->pid) < 2 * CLIENT_COUNT)
        ck_assert_uint_lt(clock_now_ns(), due_ns);
    for (size_t i = 0; i < CLIENT_COUNT; i++)
        close(fds[i]);
    while (memory_hits(&key, server->pid) > 0)
        ck_assert_msg(clock_now_ns() < due_ns, "HIT: the secret is still there, %zu times",
                      memory_hits(&key, server->pid));
}
END_TEST

static TCase *add_case(Suite *suite, const char *name, void (*setup)(void))
{
    TCase *tcase = tcase_create(name);

    tcase_add_checked_fixture(tcase, setup, canary_teardown);
    tcase_set_timeout(tcase, patience_test_s());
    suite_add_tcase(suite, tcase);
    return tcase;
}

int main(void)
{
    Suite *suite = suite_create("canary");
    TCase *tcase = add_case(suite, "memory", patient_setup);

    if (!SANITIZED) { /* who keep copies of their own, and terabytes of shadow */
        tcase_add_test(tcase, the_memory_of_a_daemon_holds_a_key_while_its_call_is_in_the_air_and_not_after);
        tcase_add_test(tcase, a_request_that_was_read_in_part_leaves_no_key_behind);
    }
    tcase = add_case(suite, "canary", canary_setup);
    tcase_add_test(tcase, marked_secrets_are_found_nowhere);
    tcase = add_case(suite, "cores", cores_setup);
    tcase_add_test(tcase, no_core_file_is_left_by_whoever_dies);
    return check_main(suite);
}
