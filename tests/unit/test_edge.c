/* The edge with real nng on ipc and tcp, over services that do as they are told (fake_service.h).
 *
 * Friendly clients are nng's own (tests/support/caller); those that break the wire, stop reading or are killed speak it
 * by hand (tests/support/raw), in forked children where they must die or be somebody else. */
#include "gen/grpc/health/v1/health.pb-c.h"
#include "server/base/clock.h"
#include "server/base/secret.h"
#include "server/edge/edge.h"
#include "server/threads/thread.h"
#include "tests/support/caller.h"
#include "tests/support/check_main.h"
#include "tests/support/patience.h"
#include "tests/support/process.h"
#include "tests/support/raw.h"
#include "tests/support/scratch.h"
#include "tests/unit/fake_service.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { URL_SIZE = 128, FAR_UID = 65534, IN_FLIGHT = 64, TIMEOUT_MS_MAX = 35000, CROWD_MAX = 4096 };

/* ---- an edge, and what surrounds it ---- */

struct house {
    struct scratch scratch;
    char url[URL_SIZE], tcp_url[URL_SIZE];
    const char *urls[2];
    struct edge_settings settings;
    struct service *service;
    struct edge *edge;
};

/* A port that was free a moment ago. */
static int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    close(fd);
    return ntohs(address.sin_port);
}

/* Nothing is open yet: a test changes the settings first. */
static void house_prepare(struct house *house)
{
    memset(house, 0, sizeof *house);
    scratch_open(&house->scratch);
    ck_assert_int_eq(secret_setup(), 0);
    snprintf(house->url, sizeof house->url, "ipc://%s/rpc.sock", house->scratch.path);
    house->urls[0] = house->url;
    house->settings = (struct edge_settings){
        .urls = house->urls,
        .url_count = 1,
        .ipc_mode = 0666,
        .daemon_uid = geteuid(),
        .calls_max = 16384,
        .calls_per_uid = 4096,
        .connections_per_uid = 256,
        .request_size_max = LIMIT_REQUEST_SIZE_DEFAULT,
        .timeout_ns_max = TIMEOUT_MS_MAX * NS_PER_MS,
    };
}

static void house_add_tcp(struct house *house)
{
    snprintf(house->tcp_url, sizeof house->tcp_url, "tcp://127.0.0.1:%d", free_port());
    house->urls[house->settings.url_count++] = house->tcp_url;
}

static void house_open_edge(struct house *house)
{
    struct status status = edge_create(&house->settings, house->service, NULL, &house->edge);

    ck_assert_msg(status_is_ok(&status), "%s", status.message);
}

static void house_open(struct house *house)
{
    house->service = fake_service_create();
    house_open_edge(house);
}

static void house_start(struct house *house)
{
    house_prepare(house);
    house_open(house);
}

static void house_close(struct house *house)
{
    edge_destroy(house->edge);
    fake_service_destroy(house->service);
    nng_fini();
    scratch_close(&house->scratch);
}

/* ---- counters that are waited for ---- */

static struct edge_counts counts_of(struct house *house)
{
    struct edge_counts counts;

    edge_look(house->edge, &counts);
    return counts;
}

typedef size_t counter(struct house *house);

static size_t connections(struct house *house)
{
    return counts_of(house).connections;
}

static size_t in_progress(struct house *house)
{
    return counts_of(house).in_progress;
}

static size_t descriptors(struct house *house)
{
    (void)house;
    return process_fd_count(getpid());
}

static size_t departures(struct house *house)
{
    return fake_count(house->service).left;
}

static size_t started(struct house *house)
{
    return fake_count(house->service).started;
}

static void nap(void)
{
    usleep(500);
}

static void wait_for(struct house *house, counter *count, size_t low, size_t high, const char *what)
{
    uint64_t due_ns = clock_now_ns() + PATIENCE_MS * NS_PER_MS;
    size_t value;

    while ((value = count(house), value < low || value > high) && clock_now_ns() < due_ns)
        nap();
    ck_assert_msg(value >= low && value <= high, "%s: %zu, not %zu to %zu", what, value, low, high);
}

#define wait_equal(house, count, value)  wait_for(house, count, value, value, #count)
#define wait_at_least(house, count, low) wait_for(house, count, low, SIZE_MAX, #count)

/* ---- calls ---- */

static struct call *check_begin(struct caller *caller, const char *word, uint32_t timeout_ms)
{
    Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;

    request.service = (char *)(uintptr_t)word;
    return call_begin(caller, METHOD_HEALTH, timeout_ms, &request.base);
}

static void check(struct caller *caller, const char *word, enum status_code code, const char *message)
{
    struct call *call = check_begin(caller, word, 0);

    call_expect(call, code, message);
    call_end(call);
}

static void check_text(struct caller *caller, const char *word, uint32_t timeout_ms, const char *expected)
{
    struct call *call = check_begin(caller, word, timeout_ms);

    call_expect(call, STATUS_OK, NULL);
    ck_assert_uint_eq(call->response->payload.len, strlen(expected));
    ck_assert_mem_eq(call->response->payload.data, expected, strlen(expected));
    call_end(call);
}

/* A client nobody has met yet is answered. */
static void newcomer_is_answered(struct house *house)
{
    struct caller caller;

    caller_open(&caller, house->url);
    check(&caller, "now", STATUS_OK, NULL);
    caller_close(&caller);
}

static unsigned char *pack_check(const char *word, size_t *size_out)
{
    Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;

    request.service = (char *)(uintptr_t)word;
    return raw_pack(METHOD_HEALTH, 0, &request.base, size_out);
}

/* A connection by hand, greeted. */
static int raw_open(const struct house *house)
{
    int fd = raw_connect(house->url);

    ck_assert_int_ge(fd, 0);
    ck_assert(raw_greet(fd, RAW_REQ));
    return fd;
}

static void raw_check(int fd, uint32_t id, const char *word)
{
    size_t size;
    unsigned char *message = pack_check(word, &size);

    ck_assert(raw_send(fd, id, message, size));
    free(message);
}

/* Whether the other end has closed; whatever comes before that is read and dropped. */
static bool is_closed(int fd)
{
    char bytes[65536];
    ssize_t size;

    do
        size = read(fd, bytes, sizeof bytes);
    while (size > 0 || (size < 0 && errno == EINTR));
    return size == 0 || errno == ECONNRESET;
}

/* ---- children ---- */

/* The body of a client that keeps IN_FLIGHT calls going on one connection.  When it is hung up on it writes a byte to
 * `loss_fd` and connects again. */
static void talk(const char *url, const char *word, int loss_fd)
{
    size_t size;
    unsigned char *message = pack_check(word, &size);

    for (;;) {
        int fd = raw_connect(url);
        uint32_t id = 0;
        bool met = fd >= 0 && raw_greet(fd, RAW_REQ), up = met;

        while (up && id < IN_FLIGHT)
            up = raw_send(fd, id++, message, size);
        while (up) {
            Probed__V1__RpcResponse *response = raw_receive(fd);

            up = response != NULL && raw_send(fd, id++, message, size);
            if (response != NULL)
                probed__v1__rpc_response__free_unpacked(response, NULL);
        }
        if (met && write(loss_fd, "x", 1) != 1)
            _exit(1);
        if (fd >= 0)
            close(fd);
        else
            nap();
    }
}

/* `loss_fd` is a pipe's, or anything that takes bytes. */
static pid_t talker_start(const char *url, const char *word, int loss_fd)
{
    pid_t child = fork();

    ck_assert_int_ge(child, 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        talk(url, word, loss_fd);
    }
    return child;
}

static void talker_kill(pid_t child)
{
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
}

/* ---- calls: what the services are given, what the client gets ---- */

START_TEST(a_call_is_answered_however_its_handler_answers)
{
    struct house house;
    struct caller caller;

    house_start(&house);
    caller_open(&caller, house.url);
    check(&caller, "now", STATUS_OK, NULL);
    check(&caller, "closure", STATUS_OK, NULL);
    check(&caller, "late", STATUS_OK, NULL);
    check(&caller, "refuse", STATUS_ABORTED, "as you wish");
    check(&caller, "failure", STATUS_INTERNAL, "without saying why");
    check(&caller, "size 3000000", STATUS_OK, NULL);
    caller_close(&caller);
    house_close(&house);
}
END_TEST

START_TEST(many_calls_on_one_connection_are_answered_each_its_own)
{
    struct house house;
    struct caller caller;
    struct call *calls[IN_FLIGHT];
    char word[16];

    house_start(&house);
    caller_open(&caller, house.url);
    for (size_t round = 0; round < 20; round++) {
        for (size_t i = 0; i < IN_FLIGHT; i++) {
            snprintf(word, sizeof word, "size %zu", 1 + 37 * i);
            calls[i] = check_begin(&caller, word, 0);
        }
        for (size_t i = 0; i < IN_FLIGHT; i++) {
            call_expect(calls[i], STATUS_OK, NULL);
            ck_assert_uint_eq(calls[i]->response->payload.len, 1 + 37 * i);
            call_end(calls[i]);
        }
    }
    caller_close(&caller);
    house_close(&house);
}
END_TEST

START_TEST(a_request_id_comes_back_and_nothing_else_does)
{
    struct house house;
    struct caller caller;
    Probed__V1__RpcRequest request = PROBED__V1__RPC_REQUEST__INIT;
    Probed__V1__Metadata entries[2] = {PROBED__V1__METADATA__INIT, PROBED__V1__METADATA__INIT};
    Probed__V1__Metadata *pointers[2] = {&entries[0], &entries[1]};
    char value[LIMIT_METADATA_VALUE_SIZE_MAX + 1];
    unsigned char packed[4096];
    struct call *call;

    memset(value, 'r', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    request.method = (char *)(uintptr_t)METHOD_HEALTH;
    request.metadata = pointers;
    request.n_metadata = 2;
    entries[0].key = (char *)(uintptr_t) "traceparent";
    entries[0].value = (char *)(uintptr_t) "00-1-1-01";
    entries[1].key = (char *)(uintptr_t) "request-id";
    entries[1].value = value;
    house_start(&house);
    caller_open(&caller, house.url);
    call = call_begin_raw(&caller, packed, probed__v1__rpc_request__pack(&request, packed));
    call_expect(call, STATUS_OK, NULL);
    ck_assert_uint_eq(call->response->n_metadata, 1);
    ck_assert_str_eq(call->response->metadata[0]->key, "request-id");
    ck_assert_str_eq(call->response->metadata[0]->value, value);
    call_end(call);
    for (size_t i = 0; i < 130; i++) { /* every exchange serves one, the same among them */
        call = check_begin(&caller, "now", 0);
        call_expect(call, STATUS_OK, NULL);
        ck_assert_uint_eq(call->response->n_metadata, 0);
        call_end(call);
    }
    caller_close(&caller);
    house_close(&house);
}
END_TEST

START_TEST(a_deadline_is_the_clients_within_the_bound)
{
    struct house house;
    struct caller caller;

    house_start(&house);
    caller_open(&caller, house.url);
    check_text(&caller, "time", 0, "35000");
    check_text(&caller, "time", 1, "1");
    check_text(&caller, "time", 500, "500");
    check_text(&caller, "time", TIMEOUT_MS_MAX, "35000");
    check_text(&caller, "time", TIMEOUT_MS_MAX + 1, "35000");
    check_text(&caller, "time", UINT32_MAX, "35000");
    caller_close(&caller);
    house_close(&house);
}
END_TEST

START_TEST(the_caller_is_who_connected)
{
    struct house house;
    struct caller caller;
    char expected[32];

    house_start(&house);
    caller_open(&caller, house.url);
    snprintf(expected, sizeof expected, "%u admin", (unsigned)geteuid());
    check_text(&caller, "who", 0, expected);
    caller_close(&caller);
    house_close(&house);
}
END_TEST

START_TEST(what_cannot_be_dispatched_is_refused_by_name)
{
    struct house house;
    struct caller caller;
    Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    struct call *call;

    house_start(&house);
    caller_open(&caller, house.url);
    call = call_begin(&caller, "/grpc.health.v1.Health/Watch", 0, &request.base);
    call_expect(call, STATUS_UNIMPLEMENTED, "Watch");
    call_end(call);
    call = call_begin_raw(&caller, "", 0);
    call_expect(call, STATUS_INVALID_ARGUMENT, "method");
    call_end(call);
    call = call_begin_raw(&caller, "\xff\xff\xff\xff\xff", 5);
    call_expect(call, STATUS_INVALID_ARGUMENT, "RpcRequest");
    call_end(call);
    ck_assert_uint_eq(fake_count(house.service).started, 0);
    caller_close(&caller);
    house_close(&house);
}
END_TEST

/* Half a million empty metadata entries are 1 MB, and would be 30 MB unpacked. */
START_TEST(a_request_that_would_swell_is_refused)
{
    struct house house;
    struct caller caller;
    size_t size = LIMIT_REQUEST_SIZE_DEFAULT;
    unsigned char *bytes = malloc(size);
    struct call *call;

    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = i % 2 == 0 ? 4 << 3 | 2 : 0; /* RpcRequest.metadata, of no bytes */
    house_start(&house);
    caller_open(&caller, house.url);
    call = call_begin_raw(&caller, bytes, size);
    call_expect(call, STATUS_RESOURCE_EXHAUSTED, "RpcRequest");
    call_end(call);
    check(&caller, "now", STATUS_OK, NULL);
    caller_close(&caller);
    house_close(&house);
    free(bytes);
}
END_TEST

/* ---- limits ---- */

START_TEST(at_least_64_contexts_are_receiving_however_many_calls_wait)
{
    struct house house;
    struct caller caller;
    struct call *calls[500];

    house_start(&house);
    ck_assert_uint_eq(counts_of(&house).contexts, 64);
    caller_open(&caller, house.url);
    for (size_t i = 0; i < 500; i++)
        calls[i] = check_begin(&caller, "hold", 0);
    fake_wait_held(house.service, 500);
    ck_assert_uint_eq(counts_of(&house).contexts, 564);
    check(&caller, "now", STATUS_OK, NULL);
    fake_release(house.service);
    for (size_t i = 0; i < 500; i++) {
        call_expect(calls[i], STATUS_OK, NULL);
        call_end(calls[i]);
    }
    wait_equal(&house, in_progress, 0);
    check(&caller, "now", STATUS_OK, NULL);
    ck_assert_uint_eq(counts_of(&house).contexts, 565); /* one for the call beside them */
    caller_close(&caller);
    house_close(&house);
}
END_TEST

START_TEST(beyond_calls_max_a_call_is_refused_at_once)
{
    struct house house;
    struct caller caller;
    struct call *calls[64];

    house_prepare(&house);
    house.settings.calls_max = 64;
    house_open(&house);
    caller_open(&caller, house.url);
    for (size_t i = 0; i < 64; i++)
        calls[i] = check_begin(&caller, "hold", 0);
    fake_wait_held(house.service, 64);
    for (size_t i = 0; i < 200; i++)
        check(&caller, "now", STATUS_RESOURCE_EXHAUSTED, "server.calls_max: 64");
    ck_assert_uint_le(counts_of(&house).contexts, 128);
    ck_assert_uint_eq(counts_of(&house).refused, 200);
    fake_release(house.service);
    for (size_t i = 0; i < 64; i++) {
        call_expect(calls[i], STATUS_OK, NULL);
        call_end(calls[i]);
    }
    wait_equal(&house, in_progress, 0);
    check(&caller, "now", STATUS_OK, NULL);
    caller_close(&caller);
    house_close(&house);
}
END_TEST

/* In a child of another uid: nng cannot be used there. */
static int ask_now(void *context)
{
    const struct house *house = context;
    size_t size;
    unsigned char *message = pack_check("now", &size);
    int code = raw_call(house->url, message, size);

    free(message);
    return code < 0 ? 100 : code;
}

START_TEST(a_crowd_of_one_uid_gets_its_share_and_leaves_others_theirs)
{
    static const uint32_t allowed[] = {FAR_UID};
    struct house house;
    struct caller caller;
    size_t served = 0;
    struct call **calls = calloc(CROWD_MAX, sizeof(struct call *));

    ck_assert_ptr_nonnull(calls);
    house_prepare(&house);
    house.settings.allow_uids = allowed;
    house.settings.allow_uid_count = 1;
    house.settings.calls_per_uid = 100;
    house_open(&house);
    caller_open(&caller, house.url);
    for (size_t i = 0; i < 1000; i++)
        calls[i] = check_begin(&caller, "hold", 0);
    for (size_t refused = 0; refused < 900;) {
        refused = 0;
        for (size_t i = 0; i < 1000; i++)
            refused += call_is_settled(calls[i]);
        nap();
    }
    fake_wait_held(house.service, 100);
    check(&caller, "now", STATUS_RESOURCE_EXHAUSTED, "server.calls_per_uid: uid 0 has 100");
    ck_assert_int_eq(process_as(FAR_UID, ask_now, &house), STATUS_OK);
    fake_release(house.service);
    for (size_t i = 0; i < 1000; i++) {
        call_wait(calls[i]);
        ck_assert_int_eq(calls[i]->error, 0);
        served += calls[i]->response->code == PROBED__V1__STATUS_CODE__OK;
        call_end(calls[i]);
    }
    ck_assert_uint_eq(served, 100);
    wait_equal(&house, in_progress, 0);
    for (size_t i = 0; i < 200; i++) /* the share is whole again */
        check(&caller, "now", STATUS_OK, NULL);
    caller_close(&caller);
    house_close(&house);
    free(calls);
}
END_TEST

START_TEST(beyond_connections_per_uid_a_connection_is_closed_on_arrival)
{
    struct house house;
    int fds[4], fifth;

    house_prepare(&house);
    house.settings.connections_per_uid = 4;
    house_open(&house);
    for (size_t i = 0; i < 4; i++)
        fds[i] = raw_open(&house);
    wait_equal(&house, connections, 4);
    fifth = raw_open(&house);
    ck_assert(is_closed(fifth));
    close(fifth);
    ck_assert_uint_eq(counts_of(&house).connections, 4);
    close(fds[0]);
    wait_equal(&house, connections, 3);
    newcomer_is_answered(&house);
    for (size_t i = 1; i < 4; i++)
        close(fds[i]);
    house_close(&house);
}
END_TEST

START_TEST(a_uid_that_is_not_admitted_is_refused_by_every_call)
{
    struct house house;

    house_start(&house);
    ck_assert_int_eq(process_as(FAR_UID, ask_now, &house), STATUS_PERMISSION_DENIED);
    ck_assert_int_eq(process_as(FAKE_ADMIN_UID, ask_now, &house), STATUS_OK);
    ck_assert_uint_eq(fake_count(house.service).started, 1);
    house_close(&house);
}
END_TEST

START_TEST(administration_is_for_administrators)
{
    static const uint32_t allowed[] = {FAR_UID};
    struct house house;
    struct caller caller;
    Probed__V1__RpcRequest request = PROBED__V1__RPC_REQUEST__INIT;
    unsigned char packed[128];
    struct call *call;
    size_t size;
    int status;
    pid_t child;

    request.method = (char *)(uintptr_t)METHOD_GET_STATUS;
    size = probed__v1__rpc_request__pack(&request, packed);
    house_prepare(&house);
    house.settings.allow_uids = allowed;
    house.settings.allow_uid_count = 1;
    house_open(&house);
    caller_open(&caller, house.url);
    call = call_begin_raw(&caller, packed, size);
    call_expect(call, STATUS_OK, NULL);
    call_end(call);
    child = fork();
    if (child == 0)
        _exit(setresuid(FAR_UID, FAR_UID, FAR_UID) == 0 ? raw_call(house.url, packed, size) : 100);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(WEXITSTATUS(status), STATUS_PERMISSION_DENIED);
    caller_close(&caller);
    house_close(&house);
}
END_TEST

START_TEST(tcp_peers_have_no_uid)
{
    struct house house;
    struct caller caller;

    house_prepare(&house);
    house_add_tcp(&house);
    house_open(&house);
    caller_open(&caller, house.tcp_url);
    check(&caller, "now", STATUS_UNAUTHENTICATED, "server.tcp_trust");
    caller_close(&caller);
    newcomer_is_answered(&house);
    house_close(&house);
}
END_TEST

START_TEST(trusted_tcp_peers_count_as_the_daemons_uid)
{
    struct house house;
    struct caller caller;

    house_prepare(&house);
    house_add_tcp(&house);
    house.settings.tcp_trust = true;
    house_open(&house);
    caller_open(&caller, house.tcp_url);
    check_text(&caller, "who", 0, "0 admin");
    caller_close(&caller);
    house_close(&house);
}
END_TEST

START_TEST(an_edge_that_drains_finishes_calls_and_takes_no_more)
{
    struct house house;
    struct caller caller;
    struct call *held, *refused;

    house_start(&house);
    caller_open(&caller, house.url);
    held = check_begin(&caller, "hold", 0);
    fake_wait_held(house.service, 1);
    edge_drain(house.edge);
    refused = check_begin(&caller, "now", 0);
    call_expect(refused, STATUS_UNAVAILABLE, "ending");
    ck_assert_uint_gt(refused->response->retry_after_ms, 0);
    call_end(refused);
    ck_assert(!call_is_settled(held));
    fake_release(house.service);
    call_expect(held, STATUS_OK, NULL);
    call_end(held);
    caller_close(&caller);
    house_close(&house);
}
END_TEST

START_TEST(a_url_that_is_refused_or_taken_is_named)
{
    static const char *const refused[] = {"http://127.0.0.1:1", "tcp://0.0.0.0:4000", "ipc://relative.sock"};
    struct house house;
    struct edge *edge = NULL;
    struct status status;

    house_start(&house);
    for (size_t i = 0; i < 3; i++) {
        house.urls[0] = refused[i];
        status = edge_create(&house.settings, house.service, NULL, &edge);
        ck_assert_int_eq(status.code, STATUS_INVALID_ARGUMENT);
        ck_assert_msg(strstr(status.message, refused[i]) != NULL, "%s", status.message);
    }
    house.urls[0] = house.url; /* a second edge beside the first, as if no lock had been taken */
    status = edge_create(&house.settings, house.service, NULL, &edge);
    ck_assert_int_eq(status.code, STATUS_UNAVAILABLE);
    ck_assert_msg(strstr(status.message, house.url) != NULL, "%s", status.message);
    ck_assert_ptr_null(edge);
    newcomer_is_answered(&house); /* the first has not gone deaf */
    house_close(&house);
}
END_TEST

/* ---- strangers: after each of them the next client is answered, and no descriptor stays behind ---- */

struct strangers {
    struct house house;
    size_t base; /* descriptors */
};

static void strangers_open(struct strangers *strangers)
{
    house_start(&strangers->house);
    newcomer_is_answered(&strangers->house);
    wait_equal(&strangers->house, connections, 0);
    strangers->base = process_fd_count(getpid());
}

static void strangers_close(struct strangers *strangers)
{
    newcomer_is_answered(&strangers->house);
    wait_equal(&strangers->house, connections, 0);
    wait_equal(&strangers->house, in_progress, 0);
    wait_for(&strangers->house, descriptors, 0, strangers->base, "descriptors");
    house_close(&strangers->house);
}

START_TEST(connecting_and_closing_1000_times_changes_nothing)
{
    struct strangers strangers;

    strangers_open(&strangers);
    for (size_t i = 0; i < 1000; i++) {
        int fd = raw_connect(strangers.house.url);

        ck_assert_int_ge(fd, 0);
        close(fd);
    }
    strangers_close(&strangers);
}
END_TEST

START_TEST(half_a_greeting_changes_nothing)
{
    struct strangers strangers;
    unsigned char greeting[RAW_GREETING_SIZE];
    int lingering;

    raw_greeting(RAW_REQ, greeting);
    strangers_open(&strangers);
    lingering = raw_connect(strangers.house.url);
    ck_assert_int_eq(send(lingering, greeting, 4, MSG_NOSIGNAL), 4);
    for (size_t i = 0; i < 200; i++) {
        int fd = raw_connect(strangers.house.url);

        ck_assert_int_eq(send(fd, greeting, 1 + i % 7, MSG_NOSIGNAL), (ssize_t)(1 + i % 7));
        close(fd);
    }
    newcomer_is_answered(&strangers.house);
    close(lingering);
    strangers_close(&strangers);
}
END_TEST

START_TEST(garbage_closes_its_own_connection_alone)
{
    static const char *const garbage[] = {
        "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "\1\0\0\0\0\0\0\0\4\0\0\0\1", /* a frame without a greeting */
        "\xff\xff\xff\xff\xff\xff\xff\xff",                                        /* a greeting of nobody */
    };
    static const size_t sizes[] = {35, 13, 8};
    struct strangers strangers;

    strangers_open(&strangers);
    for (size_t i = 0; i < 300; i++) {
        int fd = raw_connect(strangers.house.url);

        ck_assert_int_ge(fd, 0);
        ck_assert_int_gt(send(fd, garbage[i % 3], sizes[i % 3], MSG_NOSIGNAL), 0);
        ck_assert(is_closed(fd));
        close(fd);
    }
    strangers_close(&strangers);
}
END_TEST

/* A greeted connection that sends this frame head (a kind, a size) is closed. */
static void expect_frame_closed(const struct house *house, unsigned char kind, uint64_t size)
{
    unsigned char head[9] = {kind};
    int fd = raw_open(house);

    for (int i = 0; i < 8; i++)
        head[1 + i] = (unsigned char)(size >> (56 - 8 * i));
    ck_assert_int_eq(send(fd, head, sizeof head, MSG_NOSIGNAL), (ssize_t)sizeof head);
    if (size < 4) {
        ssize_t sent = send(fd, "\x80\0\0\0", (size_t)size, MSG_NOSIGNAL);

        ck_assert(sent == (ssize_t)size || (sent < 0 && errno == EPIPE)); /* its head may be enough to be closed for */
    }
    ck_assert(is_closed(fd));
    close(fd);
}

START_TEST(a_frame_that_is_none_closes_its_own_connection_alone)
{
    struct strangers strangers;

    strangers_open(&strangers);
    expect_frame_closed(&strangers.house, 1, UINT64_MAX);
    expect_frame_closed(&strangers.house, 1, UINT64_MAX - 31);
    expect_frame_closed(&strangers.house, 1, UINT64_C(1) << 63);
    expect_frame_closed(&strangers.house, 1, UINT64_C(1) << 40);
    expect_frame_closed(&strangers.house, 1, LIMIT_REQUEST_SIZE_DEFAULT + LIMIT_FRAME_HEADER_SIZE + 1);
    expect_frame_closed(&strangers.house, 1, 0);
    expect_frame_closed(&strangers.house, 1, 3);
    expect_frame_closed(&strangers.house, 2, 8);
    strangers_close(&strangers);
}
END_TEST

/* The envelope of a Check whose `service` fills it up to exactly `size` bytes. */
static unsigned char *pack_sized(size_t size)
{
    char *word = calloc(1, size + 1);
    size_t word_size = size - 64, packed_size = 0;
    unsigned char *message = NULL;

    ck_assert_ptr_nonnull(word);
    while (packed_size != size) {
        free(message);
        memset(word, 'w', word_size);
        word[word_size] = '\0';
        message = pack_check(word, &packed_size);
        word_size += size - packed_size;
    }
    free(word);
    return message;
}

/* By hand: nng's client would connect again at once, and may lose a descriptor when it is closed while it does. */
START_TEST(the_largest_message_is_served_and_a_larger_one_closes_the_connection)
{
    struct strangers strangers;
    unsigned char *largest = pack_sized(LIMIT_REQUEST_SIZE_DEFAULT);
    unsigned char *larger = pack_sized(LIMIT_REQUEST_SIZE_DEFAULT + 1);
    Probed__V1__RpcResponse *response;
    int fd;

    strangers_open(&strangers);
    fd = raw_open(&strangers.house);
    ck_assert(raw_send(fd, 1, largest, LIMIT_REQUEST_SIZE_DEFAULT));
    response = raw_receive(fd);
    ck_assert_ptr_nonnull(response);
    ck_assert_int_eq(response->code, PROBED__V1__STATUS_CODE__OK);
    probed__v1__rpc_response__free_unpacked(response, NULL);
    raw_send(fd, 2, larger, LIMIT_REQUEST_SIZE_DEFAULT + 1); /* as much of it as the other end takes */
    ck_assert(is_closed(fd));
    close(fd);
    strangers_close(&strangers);
    free(largest);
    free(larger);
}
END_TEST

/* The backtrace of a request that came over another hop is twice as long. */
START_TEST(a_message_from_beyond_the_next_hop_is_dropped)
{
    struct strangers strangers;
    unsigned char far[64] = {0};
    size_t size;
    unsigned char *message = pack_check("now", &size);
    Probed__V1__RpcResponse *response;
    int fd;

    strangers_open(&strangers);
    fd = raw_open(&strangers.house);
    ck_assert_uint_le(9 + 8 + size, sizeof far);
    far[0] = 1;
    far[8] = (unsigned char)(8 + size);
    far[12] = 7;    /* a pipe of the first hop: its highest bit is clear */
    far[13] = 0x80; /* the request's id */
    memcpy(far + 17, message, size);
    ck_assert_int_eq(send(fd, far, 17 + size, MSG_NOSIGNAL), (ssize_t)(17 + size));
    ck_assert(raw_send(fd, 5, message, size));
    response = raw_receive(fd);
    ck_assert_ptr_nonnull(response);
    probed__v1__rpc_response__free_unpacked(response, NULL);
    ck_assert_uint_eq(fake_count(strangers.house.service).started, 2); /* the newcomer's, and this one */
    close(fd);
    strangers_close(&strangers);
    free(message);
}
END_TEST

START_TEST(killing_a_client_with_64_calls_in_flight_leaves_nothing_behind)
{
    static const char *const words[] = {"now", "late", "size 3000", "size 300000"};
    struct strangers strangers;

    strangers_open(&strangers);
    for (size_t i = 0; i < 20; i++) {
        size_t before = started(&strangers.house);
        pid_t child = talker_start(strangers.house.url, words[i % 4], STDERR_FILENO);

        wait_at_least(&strangers.house, started, before + IN_FLIGHT + i * 13);
        talker_kill(child);
        newcomer_is_answered(&strangers.house);
        wait_equal(&strangers.house, connections, 0);
        wait_for(&strangers.house, descriptors, 0, strangers.base, "descriptors");
    }
    strangers_close(&strangers);
}
END_TEST

START_TEST(two_thousand_connections_are_two_thousand)
{
    struct house house;
    struct rlimit limit;
    static int fds[2000];

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_uint_ge(limit.rlim_max, 4200);
    house_prepare(&house);
    house.settings.connections_per_uid = 2001;
    house_open(&house);
    for (size_t i = 0; i < 2000; i++)
        fds[i] = raw_open(&house);
    wait_equal(&house, connections, 2000);
    newcomer_is_answered(&house);
    raw_check(fds[1234], 1, "who");
    probed__v1__rpc_response__free_unpacked(raw_receive(fds[1234]), NULL);
    for (size_t i = 0; i < 2000; i++)
        close(fds[i]);
    wait_equal(&house, connections, 0);
    house_close(&house);
}
END_TEST

/* ---- those who do not read ---- */

START_TEST(a_client_that_never_reads_stops_nobody_and_is_closed)
{
    struct house house;
    struct caller caller;
    int fd;

    house_start(&house);
    fd = raw_open(&house);
    for (uint32_t i = 0; i < 100; i++)
        raw_check(fd, i, "size 100000");
    wait_at_least(&house, in_progress, 90);
    caller_open(&caller, house.url);
    for (size_t i = 0; i < 200; i++)
        check(&caller, "now", STATUS_OK, NULL);
    wait_equal(&house, in_progress, 0);
    ck_assert(is_closed(fd));
    check(&caller, "now", STATUS_OK, NULL);
    wait_equal(&house, connections, 1);
    caller_close(&caller);
    close(fd);
    house_close(&house);
}
END_TEST

/* Connections that keep many replies waiting, until they are hung up on. */
static void be_silent(struct house *house)
{
    int fds[4];
    size_t before = connections(house);

    for (size_t i = 0; i < 4; i++) {
        fds[i] = raw_open(house);
        for (uint32_t id = 0; id < 150; id++)
            raw_check(fds[i], id, "size 100000");
    }
    wait_for(house, connections, 0, before, "connections");
    for (size_t i = 0; i < 4; i++)
        close(fds[i]);
}

START_TEST(hanging_up_on_the_silent_costs_no_other_client_its_connection)
{
    struct house house;
    pid_t talkers[3];
    int losses[2];
    char byte;

    ck_assert_int_eq(pipe2(losses, O_CLOEXEC | O_NONBLOCK), 0);
    house_prepare(&house);
    for (size_t i = 0; i < 3; i++)
        talkers[i] = talker_start(house.url, "size 20000", losses[1]);
    house_open(&house);
    wait_equal(&house, connections, 3);
    for (size_t round = 0; round < patience_count(25); round++)
        be_silent(&house);
    ck_assert_int_eq(read(losses[0], &byte, 1), -1);
    for (size_t i = 0; i < 3; i++)
        talker_kill(talkers[i]);
    close(losses[0]);
    close(losses[1]);
    house_close(&house);
}
END_TEST

/* A child of no standing that asks and asks; 1: it was hung up on, as it should be. */
static int flood(void *context)
{
    const struct house *house = context;
    size_t size;
    unsigned char *message = pack_check("now", &size);
    int fd = raw_connect(house->url);
    uint32_t id = 0;
    bool up = fd >= 0 && raw_greet(fd, RAW_REQ);

    if (!up)
        return 0;
    while (up && id < 10000000)
        up = raw_send(fd, id++, message, size);
    free(message);
    return up ? 0 : 1;
}

START_TEST(a_flood_without_reading_is_hung_up_on)
{
    struct house house;

    house_start(&house);
    ck_assert_int_eq(process_as(FAR_UID, flood, &house), 1);
    newcomer_is_answered(&house);
    wait_equal(&house, in_progress, 0);
    ck_assert_uint_le(counts_of(&house).contexts, 64 + 1024);
    house_close(&house);
}
END_TEST

/* Its refusals count among the calls in progress: they must not be all of these. */
START_TEST(a_flood_of_a_stranger_leaves_room_for_the_few_calls_of_a_small_daemon)
{
    struct house house;

    house_prepare(&house);
    house.settings.calls_max = 256;
    house_open(&house);
    ck_assert_int_eq(process_as(FAR_UID, flood, &house), 1);
    newcomer_is_answered(&house);
    wait_equal(&house, in_progress, 0);
    ck_assert_uint_le(counts_of(&house).contexts, 64 + 16);
    house_close(&house);
}
END_TEST

/* ---- departures ---- */

START_TEST(a_departure_is_reported_once_for_each_call_in_progress)
{
    struct house house;
    struct caller stays;
    struct call *call;
    int fd;

    house_start(&house);
    caller_open(&stays, house.url);
    call = check_begin(&stays, "hold", 0);
    fd = raw_open(&house);
    for (uint32_t i = 0; i < 300; i++)
        raw_check(fd, i, "hold");
    fake_wait_held(house.service, 301);
    close(fd);
    wait_equal(&house, departures, 300);
    fake_wait_held(house.service, 1);
    ck_assert(!call_is_settled(call));
    fake_release(house.service);
    call_expect(call, STATUS_OK, NULL);
    call_end(call);
    wait_equal(&house, in_progress, 0);
    ck_assert_uint_eq(fake_count(house.service).left, 300);
    ck_assert_uint_eq(fake_count(house.service).stray, 0);
    caller_close(&stays);
    house_close(&house);
}
END_TEST

START_TEST(a_departure_during_the_handler_is_reported_behind_it)
{
    struct house house;
    int fd;

    house_start(&house);
    fd = raw_open(&house);
    raw_check(fd, 1, "linger");
    wait_equal(&house, started, 1);
    close(fd);
    wait_equal(&house, connections, 0);
    ck_assert_uint_eq(fake_count(house.service).left + fake_count(house.service).stray, 0);
    fake_let_return(house.service);
    wait_equal(&house, departures, 1);
    wait_equal(&house, in_progress, 0);
    ck_assert_uint_eq(fake_count(house.service).stray, 0);
    house_close(&house);
}
END_TEST

/* Both gaps: a request may be delivered when its pipe is closed, and behind REM_POST. */
START_TEST(no_call_of_a_client_that_has_gone_is_kept)
{
    struct house house;
    size_t size;
    unsigned char *message = pack_check("hold", &size);

    house_start(&house);
    for (size_t round = 0; round < 300; round++) {
        int fd = raw_open(&house);
        uint32_t count = 1 + (uint32_t)round % 40;

        for (uint32_t i = 0; i < count; i++)
            ck_assert(raw_send(fd, i, message, size));
        close(fd);
    }
    wait_equal(&house, connections, 0);
    wait_equal(&house, in_progress, 0);
    fake_wait_none_held(house.service);
    ck_assert_uint_eq(fake_count(house.service).left, fake_count(house.service).started);
    ck_assert_uint_eq(fake_count(house.service).stray, 0);
    house_close(&house);
    free(message);
}
END_TEST

/* ---- the end ---- */

/* Small ones, and such as are larger than a socket's buffer: they are still being written when the end begins. */
START_TEST(replies_given_before_the_end_reach_their_clients)
{
    static const char *const words[] = {"now", "late", "size 300000", "size 1000000"};
    enum { CALL_COUNT = 8 };
    struct house house;

    house_prepare(&house);
    house.service = fake_service_create();
    for (size_t round = 0; round < 12; round++) {
        size_t before = started(&house);
        struct caller caller;
        struct call *calls[CALL_COUNT];

        house_open_edge(&house);
        caller_open(&caller, house.url);
        for (size_t i = 0; i < CALL_COUNT; i++)
            calls[i] = check_begin(&caller, words[round % 4], 0);
        wait_equal(&house, started, before + CALL_COUNT);
        edge_close(house.edge);
        for (size_t i = 0; i < CALL_COUNT; i++) {
            call_expect(calls[i], STATUS_OK, NULL);
            call_end(calls[i]);
        }
        edge_destroy(house.edge);
        caller_close(&caller);
    }
    fake_service_destroy(house.service);
    nng_fini();
    scratch_close(&house.scratch);
}
END_TEST

static void close_edge(void *context)
{
    edge_close(context);
}

START_TEST(an_edge_does_not_end_before_every_call_was_answered)
{
    struct house house;
    struct caller caller;
    struct call *call;
    struct status status;
    pthread_t closer;

    house_start(&house);
    caller_open(&caller, house.url);
    call = check_begin(&caller, "hold", 0);
    fake_wait_held(house.service, 1);
    status = thread_start(&closer, "closer", 0, close_edge, house.edge);
    ck_assert_int_eq(status.code, STATUS_OK);
    for (uint64_t due_ns = clock_now_ns() + NS_PER_S / 2; clock_now_ns() < due_ns; nap()) /* longer than a farewell */
        ck_assert_int_eq(access(house.url + strlen("ipc://"), F_OK), 0);
    fake_release(house.service);
    call_expect(call, STATUS_OK, NULL);
    call_end(call);
    thread_join(closer);
    ck_assert_int_ne(access(house.url + strlen("ipc://"), F_OK), 0);
    caller_close(&caller);
    house_close(&house);
}
END_TEST

START_TEST(an_edge_ends_with_traffic_flowing)
{
    struct house house;
    pid_t children[3];
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

    house_prepare(&house);
    children[0] = talker_start(house.url, "now", nowhere);
    children[1] = talker_start(house.url, "late", nowhere);
    children[2] = talker_start(house.url, "size 3000", nowhere);
    house.service = fake_service_create();
    for (size_t i = 0; i < 50; i++) {
        size_t before = started(&house);

        house_open_edge(&house);
        wait_at_least(&house, started, before + 200 + 17 * i);
        edge_destroy(house.edge);
        ck_assert_int_ne(access(house.url + strlen("ipc://"), F_OK), 0);
    }
    for (size_t i = 0; i < 3; i++)
        talker_kill(children[i]);
    close(nowhere);
    fake_service_destroy(house.service);
    nng_fini();
    scratch_close(&house.scratch);
}
END_TEST

START_TEST(a_client_that_never_reads_cannot_keep_the_edge_from_ending)
{
    struct house house;
    int fd;

    house_start(&house);
    fd = raw_open(&house);
    for (uint32_t i = 0; i < 100; i++)
        raw_check(fd, i, "size 100000");
    wait_at_least(&house, in_progress, 90);
    house_close(&house);
    close(fd);
}
END_TEST

static TCase *add_case(Suite *suite, const char *name)
{
    TCase *tcase = tcase_create(name);

    tcase_set_timeout(tcase, patience_test_s());
    suite_add_tcase(suite, tcase);
    return tcase;
}

int main(void)
{
    Suite *suite = suite_create("edge");
    TCase *calls = add_case(suite, "calls"), *limits = add_case(suite, "limits");
    TCase *strangers = add_case(suite, "strangers"), *silent = add_case(suite, "silent");
    TCase *departing = add_case(suite, "departures"), *ending = add_case(suite, "end");

    tcase_add_test(calls, a_call_is_answered_however_its_handler_answers);
    tcase_add_test(calls, many_calls_on_one_connection_are_answered_each_its_own);
    tcase_add_test(calls, a_request_id_comes_back_and_nothing_else_does);
    tcase_add_test(calls, a_deadline_is_the_clients_within_the_bound);
    tcase_add_test(calls, the_caller_is_who_connected);
    tcase_add_test(calls, what_cannot_be_dispatched_is_refused_by_name);
    tcase_add_test(calls, a_request_that_would_swell_is_refused);
    tcase_add_test(limits, at_least_64_contexts_are_receiving_however_many_calls_wait);
    tcase_add_test(limits, beyond_calls_max_a_call_is_refused_at_once);
    tcase_add_test(limits, a_crowd_of_one_uid_gets_its_share_and_leaves_others_theirs);
    tcase_add_test(limits, beyond_connections_per_uid_a_connection_is_closed_on_arrival);
    tcase_add_test(limits, a_uid_that_is_not_admitted_is_refused_by_every_call);
    tcase_add_test(limits, administration_is_for_administrators);
    tcase_add_test(limits, tcp_peers_have_no_uid);
    tcase_add_test(limits, trusted_tcp_peers_count_as_the_daemons_uid);
    tcase_add_test(limits, an_edge_that_drains_finishes_calls_and_takes_no_more);
    tcase_add_test(limits, a_url_that_is_refused_or_taken_is_named);
    tcase_add_test(strangers, connecting_and_closing_1000_times_changes_nothing);
    tcase_add_test(strangers, half_a_greeting_changes_nothing);
    tcase_add_test(strangers, garbage_closes_its_own_connection_alone);
    tcase_add_test(strangers, a_frame_that_is_none_closes_its_own_connection_alone);
    tcase_add_test(strangers, the_largest_message_is_served_and_a_larger_one_closes_the_connection);
    tcase_add_test(strangers, a_message_from_beyond_the_next_hop_is_dropped);
    tcase_add_test(strangers, killing_a_client_with_64_calls_in_flight_leaves_nothing_behind);
    tcase_add_test(strangers, two_thousand_connections_are_two_thousand);
    tcase_add_test(silent, a_client_that_never_reads_stops_nobody_and_is_closed);
    tcase_add_test(silent, hanging_up_on_the_silent_costs_no_other_client_its_connection);
    tcase_add_test(silent, a_flood_without_reading_is_hung_up_on);
    tcase_add_test(silent, a_flood_of_a_stranger_leaves_room_for_the_few_calls_of_a_small_daemon);
    tcase_add_test(departing, a_departure_is_reported_once_for_each_call_in_progress);
    tcase_add_test(departing, a_departure_during_the_handler_is_reported_behind_it);
    tcase_add_test(departing, no_call_of_a_client_that_has_gone_is_kept);
    tcase_add_test(ending, replies_given_before_the_end_reach_their_clients);
    tcase_add_test(ending, an_edge_does_not_end_before_every_call_was_answered);
    tcase_add_test(ending, an_edge_ends_with_traffic_flowing);
    tcase_add_test(ending, a_client_that_never_reads_cannot_keep_the_edge_from_ending);
    return check_main(suite);
}
