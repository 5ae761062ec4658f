/* Who is at the other end: connections that come to nothing, clients that are killed, and what a uid may do. */
#include "gen/grpc/health/v1/health.pb-c.h"
#include "server/base/clock.h"
#include "tests/support/process.h"
#include "tests/support/raw.h"
#include "tests/support/story.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CHURN_COUNT = 1000 };

/* ---- connections that come to nothing ---- */

/* A new client is answered at once. */
static void expect_answer(void)
{
    Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    struct caller next;
    struct call *call;

    caller_open(&next, server->url);
    call = call_begin(&next, METHOD_HEALTH, 0, &request.base);
    call_expect(call, STATUS_OK, NULL);
    if (patience_time_counts())
        ck_assert_uint_le(taken_ns(call), 500 * NS_PER_MS);
    call_end(call);
    caller_close(&next);
}

/* Makes so many connections of a kind, some of them at once; then all is as before. */
static void churn(void (*make)(int fd, size_t number))
{
    size_t count = patience_count(CHURN_COUNT), base = process_fd_count(server->pid);

    for (size_t i = 0; i < count; i++) {
        int fd = raw_connect(server->url);

        ck_assert_int_ge(fd, 0);
        make(fd, i);
        close(fd);
        if (i % 16 == 15)
            expect_answer();
    }
    expect_answer();
    process_wait_fd_count(server->pid, base);
}

static void make_nothing(int fd, size_t number)
{
    (void)fd;
    (void)number;
}

START_TEST(connecting_and_closing)
{
    churn(make_nothing);
}
END_TEST

static void make_half_greeting(int fd, size_t number)
{
    unsigned char greeting[RAW_GREETING_SIZE];

    raw_greeting(RAW_REQ, greeting);
    send(fd, greeting, 1 + number % (RAW_GREETING_SIZE - 1), MSG_NOSIGNAL);
}

START_TEST(half_a_greeting)
{
    churn(make_half_greeting);
}
END_TEST

static void make_garbage(int fd, size_t number)
{
    unsigned char bytes[64];

    srand((unsigned)number);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(rand() >> 8);
    if (number % 2 == 0)
        raw_greet(fd, RAW_REQ);
    send(fd, bytes, 1 + number % sizeof bytes, MSG_NOSIGNAL);
}

START_TEST(garbage)
{
    churn(make_garbage);
}
END_TEST

static void make_half_frame(int fd, size_t number)
{
    static const unsigned char heads[][9] = {
        {1, 0, 0, 0, 0, 0, 0, 0, 100},                       /* more announced than sent */
        {1, 0, 0, 0, 0, 0, 0, 0, 2},                         /* less than an id */
        {2, 0, 0, 0, 0, 0, 0, 0, 8},                         /* no frame of ours */
        {1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xe0}, /* would overflow */
        {1, 0, 0, 1, 0, 0, 0, 0, 0},                         /* a terabyte */
    };

    if (raw_greet(fd, RAW_REQ))
        send(fd, heads[number % ROW_COUNT(heads)], 9, MSG_NOSIGNAL);
    send(fd, "0123", 4, MSG_NOSIGNAL);
}

START_TEST(half_a_frame)
{
    churn(make_half_frame);
}
END_TEST

static void make_other_protocol(int fd, size_t number)
{
    unsigned char greeting[RAW_GREETING_SIZE];

    raw_greeting((enum raw_protocol)(0x10 + number % 0x60), greeting);
    if (greeting[5] != RAW_REQ)
        send(fd, greeting, sizeof greeting, MSG_NOSIGNAL);
}

START_TEST(another_protocol)
{
    churn(make_other_protocol);
}
END_TEST

/* ---- kill -9 of a client with calls in flight ---- */

enum { FLIGHT_COUNT = 64 };

static _Noreturn void be_client(const unsigned char *message, size_t size)
{
    int fd = raw_connect(server->url);

    if (fd < 0 || !raw_greet(fd, RAW_REQ))
        _exit(1);
    for (uint32_t i = 0; i < FLIGHT_COUNT; i++) {
        if (!raw_send(fd, i, message, size))
            _exit(2);
    }
    for (;;)
        pause();
}

START_TEST(a_client_is_killed_with_64_calls_in_flight)
{
    Probed__V1__ProbeRequest request = PROBED__V1__PROBE_REQUEST__INIT;
    size_t count = patience_count(CHURN_COUNT), size, base;
    struct call *hung = begin_leased("stall", NULL); /* everybody joins it */
    unsigned char *message;

    request.home = home->path;
    request.provider = (char *)(uintptr_t) "stall";
    message = raw_pack(METHOD_PROBE, 0, &request.base, &size);
    expect_answer();
    base = process_fd_count(server->pid);
    for (size_t i = 0; i < count; i++) {
        pid_t client = fork();

        ck_assert_int_ge(client, 0);
        if (client == 0)
            be_client(message, size);
        daemon_wait(server, "probed_joins_total", (i + 1) * FLIGHT_COUNT);
        ck_assert_int_eq(kill(client, SIGKILL), 0);
        ck_assert_int_eq(waitpid(client, NULL, 0), client);
        daemon_wait(server, "probed_departures_total", (i + 1) * FLIGHT_COUNT);
        expect_answer();
    }
    process_wait_fd_count(server->pid, base);
    ck_assert(!call_is_settled(hung)); /* its own caller is still there */
    call_end(hung);
    free(message);
}
END_TEST

/* A client that asks and never reads must not hold up others. */
START_TEST(a_client_that_never_reads_is_nobody_elses_trouble)
{
    Probed__V1__ProbeRequest request = PROBED__V1__PROBE_REQUEST__INIT;
    size_t size;
    unsigned char *message;
    int fd = raw_connect(server->url);

    expect_origin(begin("openrouter", NULL), PROBED__V1__ORIGIN__ORIGIN_COLD);
    request.home = home->path;
    request.provider = (char *)(uintptr_t) "openrouter";
    message = raw_pack(METHOD_PROBE, 0, &request.base, &size);
    ck_assert(raw_greet(fd, RAW_REQ));
    for (uint32_t i = 0; i < 2000; i++) { /* replies of more than its socket holds */
        const struct timeval patience = {.tv_usec = 100000};

        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        if (!raw_send(fd, i, message, size))
            break;
        if (i % 500 == 0)
            expect_answer();
    }
    for (size_t i = 0; i < 50; i++)
        expect_answer();
    close(fd);
    free(message);
}
END_TEST

STORY_SETUP(few_connections, "--server-connections-per-uid", "8")

/* Whether a call on this connection is answered; else the connection was closed on arrival. */
static bool is_served(int fd, const unsigned char *message, size_t size)
{
    Probed__V1__RpcResponse *response = NULL;

    ck_assert_int_ge(fd, 0);
    if (raw_greet(fd, RAW_REQ) && raw_send(fd, 1, message, size))
        response = raw_receive(fd);
    if (response == NULL)
        return false;
    probed__v1__rpc_response__free_unpacked(response, NULL);
    return true;
}

START_TEST(a_uid_has_its_share_of_connections)
{
    enum { COUNT = 16, ALLOWED = 8 };
    Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    int fds[COUNT];
    size_t size, served_count = 0;
    unsigned char *message = raw_pack(METHOD_HEALTH, 0, &request.base, &size);
    bool served = false;

    for (size_t i = 0; i < COUNT; i++) {
        fds[i] = raw_connect(server->url);
        served_count += is_served(fds[i], message, size);
    }
    ck_assert_uint_eq(served_count, ALLOWED - 1); /* the harness has one itself */
    for (size_t i = 0; i < COUNT; i++)
        close(fds[i]);
    while (!served) { /* as soon as it has seen that they are gone; else Check ends this */
        int fd = raw_connect(server->url);

        served = is_served(fd, message, size);
        close(fd);
    }
    free(message);
}
END_TEST

/* ---- uids; the tests run as root ---- */

enum { OWNER_UID = 65533, OTHER_UID = 65534, SOMEBODY_UID = 65531 };

/* A packed request, for a child of another uid. */
struct ask {
    unsigned char *message;
    size_t size;
};

static int act_ask(void *context)
{
    const struct ask *ask = context;
    int code = raw_call(server->url, ask->message, ask->size);

    return code < 0 ? 100 + (errno == EACCES) : code;
}

static int ask_as(uid_t uid, const char *method, const ProtobufCMessage *request)
{
    struct ask ask;
    int code;

    ask.message = raw_pack(method, 0, request, &ask.size);
    code = process_as(uid, act_ask, &ask);
    free(ask.message);
    return code;
}

static int probe_as(uid_t uid, const char *path)
{
    Probed__V1__ProbeRequest request = PROBED__V1__PROBE_REQUEST__INIT;

    request.home = (char *)(uintptr_t)path;
    request.provider = (char *)(uintptr_t) "openrouter";
    return ask_as(uid, METHOD_PROBE, &request.base);
}

static void give_away(const struct home *given, uid_t uid)
{
    static const char *const files[] = {"", "/gate", "/credential"};
    char path[HOME_PATH_SIZE + 16];

    for (size_t i = 0; i < ROW_COUNT(files); i++) {
        snprintf(path, sizeof path, "%s%s", given->path, files[i]);
        ck_assert_int_eq(chown(path, uid, uid), 0);
    }
}

START_TEST(nobody_else_can_connect_unless_admitted)
{
    struct stat about;

    ck_assert_int_eq(stat(server->url + strlen("ipc://"), &about), 0);
    ck_assert_uint_eq(about.st_mode & 0777, 0600);
    ck_assert_int_eq(probe_as(OTHER_UID, home->path), 101);
}
END_TEST

STORY_SETUP(admitting, "--server-allow-uids", "65533 65534")

START_TEST(an_admitted_uid_uses_its_own_home_as_itself)
{
    struct home own;
    struct call *call;

    home_create(&own, &stage.scratch, "own");
    give_away(&own, OWNER_UID);
    ck_assert_int_eq(probe_as(OWNER_UID, own.path), STATUS_OK);
    call = probe_begin(caller, own.path, "openrouter", NULL, 0); /* root may use every home */
    ck_assert_int_eq((int)probe_response(call)->origin, PROBED__V1__ORIGIN__ORIGIN_CACHED);
    ck_assert_str_eq(probe_response(call)->usage->details[2], "uid 65533");
    call_end(call);
}
END_TEST

START_TEST(an_admitted_uid_does_not_learn_of_others_homes)
{
    char missing[HOME_PATH_SIZE + 16], below[HOME_PATH_SIZE + 16];
    struct home own;

    home_create(&own, &stage.scratch, "own");
    give_away(&own, OWNER_UID);
    snprintf(missing, sizeof missing, "%s/missing", home->path);
    snprintf(below, sizeof below, "%s/gate", home->path);
    ck_assert_int_eq(probe_as(OTHER_UID, own.path), STATUS_PERMISSION_DENIED);
    ck_assert_int_eq(probe_as(OTHER_UID, home->path), STATUS_PERMISSION_DENIED);
    ck_assert_int_eq(probe_as(OTHER_UID, missing), STATUS_PERMISSION_DENIED);
    ck_assert_int_eq(probe_as(OTHER_UID, below), STATUS_PERMISSION_DENIED);
    ck_assert_uint_eq(home_count(home, "start") + home_count(&own, "start"), 0);
}
END_TEST

START_TEST(an_admitted_uid_is_no_administrator)
{
    Probed__V1__InvalidateRequest every = PROBED__V1__INVALIDATE_REQUEST__INIT;
    Probed__V1__GetStatusRequest status = PROBED__V1__GET_STATUS_REQUEST__INIT;
    Probed__V1__ListHomesRequest homes = PROBED__V1__LIST_HOMES_REQUEST__INIT;
    Probed__V1__ListWorkersRequest workers = PROBED__V1__LIST_WORKERS_REQUEST__INIT;
    Probed__V1__ListEventsRequest events = PROBED__V1__LIST_EVENTS_REQUEST__INIT;
    Grpc__Health__V1__HealthCheckRequest health = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;

    ck_assert_int_eq(ask_as(OTHER_UID, METHOD_INVALIDATE, &every.base), STATUS_PERMISSION_DENIED);
    ck_assert_int_eq(ask_as(OTHER_UID, METHOD_GET_STATUS, &status.base), STATUS_PERMISSION_DENIED);
    ck_assert_int_eq(ask_as(OTHER_UID, METHOD_HOMES, &homes.base), STATUS_PERMISSION_DENIED);
    ck_assert_int_eq(ask_as(OTHER_UID, METHOD_WORKERS, &workers.base), STATUS_PERMISSION_DENIED);
    ck_assert_int_eq(ask_as(OTHER_UID, METHOD_EVENTS, &events.base), STATUS_PERMISSION_DENIED);
    ck_assert_int_eq(ask_as(OTHER_UID, METHOD_HEALTH, &health.base), STATUS_OK);
}
END_TEST

START_TEST(who_is_not_admitted_is_refused_every_call)
{
    Grpc__Health__V1__HealthCheckRequest health = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    struct home own;

    home_create(&own, &stage.scratch, "own");
    give_away(&own, SOMEBODY_UID);
    ck_assert_int_eq(probe_as(SOMEBODY_UID, own.path), STATUS_PERMISSION_DENIED);
    ck_assert_int_eq(ask_as(SOMEBODY_UID, METHOD_HEALTH, &health.base), STATUS_PERMISSION_DENIED);
}
END_TEST

STORY_SETUP(with_administrator, "--server-admin-uids", "65534")

START_TEST(an_administrator_may_use_every_home_and_method)
{
    Probed__V1__InvalidateRequest every = PROBED__V1__INVALIDATE_REQUEST__INIT;
    Probed__V1__GetStatusRequest status = PROBED__V1__GET_STATUS_REQUEST__INIT;
    struct home own;

    home_create(&own, &stage.scratch, "own");
    give_away(&own, OWNER_UID);
    ck_assert_int_eq(ask_as(OTHER_UID, METHOD_GET_STATUS, &status.base), STATUS_OK);
    ck_assert_int_eq(ask_as(OTHER_UID, METHOD_INVALIDATE, &every.base), STATUS_OK);
}
END_TEST

static void add_churn(Suite *suite)
{
    TCase *tcase = story_case(suite, "churn", story_setup);

    tcase_add_test(tcase, connecting_and_closing);
    tcase_add_test(tcase, half_a_greeting);
    tcase_add_test(tcase, garbage);
    tcase_add_test(tcase, half_a_frame);
    tcase_add_test(tcase, another_protocol);
    tcase_add_test(tcase, a_client_is_killed_with_64_calls_in_flight);
    tcase_add_test(tcase, a_client_that_never_reads_is_nobody_elses_trouble);
    tcase = story_case(suite, "few connections", few_connections);
    tcase_add_test(tcase, a_uid_has_its_share_of_connections);
}

static void add_uids(Suite *suite)
{
    TCase *tcase = story_case(suite, "closed", story_setup);

    tcase_add_test(tcase, nobody_else_can_connect_unless_admitted);
    tcase = story_case(suite, "admitting", admitting);
    tcase_add_test(tcase, an_admitted_uid_uses_its_own_home_as_itself);
    tcase_add_test(tcase, an_admitted_uid_does_not_learn_of_others_homes);
    tcase_add_test(tcase, an_admitted_uid_is_no_administrator);
    tcase_add_test(tcase, who_is_not_admitted_is_refused_every_call);
    tcase = story_case(suite, "administrator", with_administrator);
    tcase_add_test(tcase, an_administrator_may_use_every_home_and_method);
}

int main(void)
{
    Suite *suite = suite_create("peers");

    add_churn(suite);
    if (geteuid() == 0) /* only root can be somebody else */
        add_uids(suite);
    return check_main(suite);
}
