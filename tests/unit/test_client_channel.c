/* unit.client_channel: calls on a channel, against a daemon that does as it is told. */
#include "client/address.h"
#include "gen/probed/v1/probe.pb-c.h"
#include "proto/nng_shim.h"
#include "tests/support/check_main.h"
#include "tests/support/child.h"
#include "tests/support/patience.h"
#include "tests/support/process.h"
#include "tests/support/scratch.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <nng/nng.h>
#include <probed/client.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the stage ---- */

static struct scratch scratch;
static char url[96], events_url[96];
static pid_t daemon_pid;

static void start_daemon(void)
{
    daemon_pid =
        child_start_ready((const char *const[]){"fake_daemon", "--listen", url, "--publish", events_url, NULL});
}

static void kill_daemon(void)
{
    ck_assert_int_eq(child_end(daemon_pid, SIGKILL), 128 + SIGKILL);
    daemon_pid = 0;
}

static void open_stage(void)
{
    scratch_open(&scratch);
    snprintf(url, sizeof url, "ipc://%s/rpc.sock", scratch.path);
    snprintf(events_url, sizeof events_url, "ipc://%s/events.sock", scratch.path);
    start_daemon();
}

static void close_stage(void)
{
    if (daemon_pid > 0)
        kill_daemon();
    scratch_close(&scratch);
}

static struct probed_channel *open_channel_at(const char *where)
{
    struct probed_channel *channel;
    struct probed_status status = probed_channel_open(&(struct probed_channel_options){.url = where}, &channel);

    ck_assert_msg(status.code == PROBED_OK, "%s", status.message);
    return channel;
}

static struct probed_channel *open_channel(void)
{
    return open_channel_at(url);
}

static struct probed_status probe_with(struct probed_channel *channel, const char *provider,
                                       const struct probed_call_options *options, Probed__V1__ProbeResponse **response)
{
    Probed__V1__ProbeRequest request = PROBED__V1__PROBE_REQUEST__INIT;

    request.home = (char *)(uintptr_t) "/h";
    request.provider = (char *)(uintptr_t)provider;
    return probed_probe(channel, &request, options, response);
}

/* What became of a probe; its answer is dropped. */
static struct probed_status probe(struct probed_channel *channel, const char *provider, uint32_t timeout_ms)
{
    Probed__V1__ProbeResponse *response;
    struct probed_status status =
        probe_with(channel, provider, &(struct probed_call_options){.timeout_ms = timeout_ms}, &response);

    if (status.code == PROBED_OK)
        probed__v1__probe_response__free_unpacked(response, NULL);
    return status;
}

static void assert_ok(struct probed_channel *channel)
{
    struct probed_status status = probe(channel, "ok", PATIENCE_MS);

    ck_assert_msg(status.code == PROBED_OK, "%s", status.message);
}

#define assert_status(status, wanted, part)                                                                            \
    ck_assert_msg((status).code == (wanted) && strstr((status).message, part) != NULL, "%s: %s",                       \
                  probed_code_name((status).code), (status).message)

static uint64_t now_ms(void)
{
    return outcome_now_ms();
}

/* ---- answers ---- */

START_TEST(a_call_is_answered)
{
    struct probed_channel *channel = open_channel();
    Probed__V1__ProbeResponse *response;
    struct probed_status status = probe_with(channel, "openrouter", NULL, &response);

    ck_assert_int_eq(status.code, PROBED_OK);
    ck_assert_str_eq(status.message, "");
    ck_assert_str_eq(response->usage->provider, "openrouter");
    ck_assert_str_eq(response->usage->windows[0]->label, "Session");
    ck_assert_uint_eq(response->fence->generation, 1);
    probed__v1__probe_response__free_unpacked(response, NULL);
    probed_channel_close(channel);
}
END_TEST

/* `_i` is the code; the daemon may have newer ones than the library knows. */
START_TEST(a_code_comes_through_with_its_message_and_advice)
{
    struct probed_channel *channel = open_channel();
    char provider[32];
    struct probed_status status;

    snprintf(provider, sizeof provider, "code-%d-%d", _i, 1000 + _i);
    status = probe(channel, provider, 0);
    ck_assert_int_eq(status.code, _i <= PROBED_UNAUTHENTICATED ? (enum probed_code)_i : PROBED_UNKNOWN);
    ck_assert_uint_eq(status.retry_after_ms, 1000 + (unsigned)_i);
    ck_assert_str_eq(status.message, "as was asked");
    ck_assert(!status.unreachable);
    assert_ok(channel);
    probed_channel_close(channel);
}
END_TEST

static const struct {
    const char *provider, *part;
} broken_answers[] = {
    {"garbage", "no answer"},
    {"truncated", "no answer"},
    {"badpayload", "probed.v1.ProbeResponse"},
    {"nul", "AccountUsage.provider contains a NUL byte"},
    {"bloat", "when unpacked"},
};

START_TEST(an_answer_that_cannot_be_read_is_an_internal_error_and_harms_no_other)
{
    struct probed_channel *channel = open_channel();
    struct probed_status status = probe(channel, broken_answers[_i].provider, 0);

    assert_status(status, PROBED_INTERNAL, broken_answers[_i].part);
    ck_assert(!status.unreachable);
    assert_ok(channel);
    probed_channel_close(channel);
}
END_TEST

START_TEST(an_answer_larger_than_the_channel_takes_loses_the_connection_not_the_channel)
{
    struct probed_channel_options options = {.url = url, .response_size_max = 64};
    struct probed_channel *channel;
    struct probed_status status = probed_channel_open(&options, &channel);

    ck_assert_int_eq(status.code, PROBED_OK);
    status = probe(channel, "ok", 0);
    assert_status(status, PROBED_UNAVAILABLE, "closed the connection");
    ck_assert(status.unreachable);
    status = probe_with(channel, "code-5", &(struct probed_call_options){.wait_for_ready = true}, NULL);
    assert_status(status, PROBED_NOT_FOUND, "as was asked");
    probed_channel_close(channel);
}
END_TEST

/* ---- requests ---- */

static char *detail_of(struct probed_channel *channel, const struct probed_call_options *options)
{
    Probed__V1__ProbeResponse *response;
    struct probed_status status = probe_with(channel, "echo", options, &response);
    char *detail;

    ck_assert_msg(status.code == PROBED_OK, "%s", status.message);
    detail = strdup(response->usage->details[0]);
    probed__v1__probe_response__free_unpacked(response, NULL);
    return detail;
}

START_TEST(the_daemon_is_told_how_long_it_has)
{
    struct probed_channel *channel = open_channel();
    char *detail = detail_of(channel, &(struct probed_call_options){.timeout_ms = 60000});
    const char *timeout = strstr(detail, "timeout ");

    ck_assert_ptr_nonnull(timeout);
    ck_assert_int_gt(atoi(timeout + 8), 30000);
    ck_assert_int_le(atoi(timeout + 8), 60000);
    free(detail);
    detail = detail_of(channel, NULL);
    ck_assert_int_le(atoi(strstr(detail, "timeout ") + 8), 35000); /* the default */
    free(detail);
    probed_channel_close(channel);
}
END_TEST

START_TEST(metadata_goes_along)
{
    struct probed_channel *channel = open_channel();
    struct probed_metadata metadata = {"request-id", "seventeen"};
    char *detail = detail_of(channel, &(struct probed_call_options){.metadata = &metadata, .metadata_count = 1});

    ck_assert_ptr_nonnull(strstr(detail, "id seventeen"));
    free(detail);
    probed_channel_close(channel);
}
END_TEST

START_TEST(metadata_that_breaks_a_bound_is_refused_here)
{
    struct probed_channel *channel = open_channel();
    struct probed_metadata metadata[17] = {{"Upper", "x"}};
    struct probed_call_options options = {.metadata = metadata, .metadata_count = 1};
    struct probed_status status = probe_with(channel, "ok", &options, NULL);

    assert_status(status, PROBED_INVALID_ARGUMENT, "metadata 0");
    for (size_t i = 0; i < 17; i++)
        metadata[i] = (struct probed_metadata){"key", "value"};
    options.metadata_count = 17;
    status = probe_with(channel, "ok", &options, NULL);
    assert_status(status, PROBED_INVALID_ARGUMENT, "17 entries");
    probed_channel_close(channel);
}
END_TEST

START_TEST(a_request_that_is_too_large_is_refused_here_and_harms_no_other)
{
    enum { KEY_SIZE = 1 << 20 };
    struct probed_channel *channel = open_channel();
    Probed__V1__ProbeRequest request = PROBED__V1__PROBE_REQUEST__INIT;
    Probed__V1__ProbeResponse *response;
    struct probed_status status;

    request.provider = (char *)(uintptr_t) "ok";
    request.api_key = malloc(KEY_SIZE + 1);
    ck_assert_ptr_nonnull(request.api_key);
    memset(request.api_key, 'k', KEY_SIZE);
    request.api_key[KEY_SIZE] = '\0';
    status = probed_probe(channel, &request, NULL, &response);
    assert_status(status, PROBED_RESOURCE_EXHAUSTED, "more than 1048576");
    ck_assert(!status.unreachable);
    request.api_key[KEY_SIZE - 200] = '\0'; /* the largest but one that is sent */
    status = probed_probe(channel, &request, NULL, &response);
    ck_assert_msg(status.code == PROBED_OK, "%s", status.message);
    probed__v1__probe_response__free_unpacked(response, NULL);
    free(request.api_key);
    probed_channel_close(channel);
}
END_TEST

START_TEST(any_method_may_be_called_with_packed_messages)
{
    struct probed_channel *channel = open_channel();
    void *response;
    size_t size;
    struct probed_status status =
        probed_call_raw(channel, "/probed.v1.ProbeService/Sync", "\x0a\x02/h", 4, NULL, &response, &size);

    ck_assert_int_eq(status.code, PROBED_OK);
    ck_assert_uint_gt(size, 0);
    free(response);
    status = probed_call_raw(channel, "/probed.v1.ProbeService/Nothing", NULL, 0, NULL, &response, &size);
    assert_status(status, PROBED_UNIMPLEMENTED, "no such method");
    status = probed_call_raw(channel, "", NULL, 0, NULL, &response, &size);
    assert_status(status, PROBED_INVALID_ARGUMENT, "method");
    status = probed_call_raw(channel, "/probed.v1.ProbeService/Sync", "\xff", 1, NULL, &response, &size);
    ck_assert_int_eq(status.code, PROBED_INVALID_ARGUMENT);
    probed_channel_close(channel);
}
END_TEST

/* ---- no daemon ---- */

/* Told as soon as it is known, far from the deadline. */
static void assert_unreachable_at_once(struct probed_channel *channel, const char *part)
{
    uint64_t begin_ms = now_ms();
    struct probed_status status = probe(channel, "ok", 60000);

    assert_status(status, PROBED_UNAVAILABLE, part);
    ck_assert(status.unreachable);
    ck_assert_uint_lt(now_ms() - begin_ms, 5000);
}

START_TEST(a_daemon_that_was_never_there_is_told_at_once)
{
    char nowhere[128];
    struct probed_channel *channel;

    snprintf(nowhere, sizeof nowhere, "ipc://%s/nowhere.sock", scratch.path);
    channel = open_channel_at(nowhere);
    assert_unreachable_at_once(channel, strerror(ENOENT));
    assert_unreachable_at_once(channel, nowhere);
    probed_channel_close(channel);
}
END_TEST

START_TEST(a_daemon_that_left_its_socket_behind_is_told_at_once)
{
    struct probed_channel *channel = open_channel();

    assert_ok(channel);
    kill_daemon();
    while (strstr(probe(channel, "ok", 0).message, "closed the connection") != NULL) /* until that was noticed */
        ;
    assert_unreachable_at_once(channel, strerror(ECONNREFUSED));
    probed_channel_close(channel);
}
END_TEST

static int listen_at_path(const char *name, char listened_url[128])
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", scratch.path, name);
    snprintf(listened_url, 128, "ipc://%s", address.sun_path);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(fd, 8), 0);
    return fd;
}

START_TEST(a_listener_that_says_nothing_is_given_up_at_the_deadline)
{
    char deaf_url[128];
    int fd = listen_at_path("deaf.sock", deaf_url);
    struct probed_channel *channel = open_channel_at(deaf_url);
    uint64_t begin_ms = now_ms();
    struct probed_status status = probe(channel, "ok", 300);

    assert_status(status, PROBED_UNAVAILABLE, "says nothing");
    ck_assert(status.unreachable);
    ck_assert_uint_ge(now_ms() - begin_ms, 299);
    ck_assert_uint_lt(now_ms() - begin_ms, 5000);
    probed_channel_close(channel);
    close(fd);
}
END_TEST

static void *greet_wrongly(void *context)
{
    int listener = *(int *)context;

    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

        if (fd < 0)
            return NULL;
        ck_assert_int_eq(write(fd, "HTTP/1.1 400 Bad Request\r\n", 26), 26);
        close(fd);
    }
}

START_TEST(whoever_does_not_speak_nng_is_told_apart)
{
    char stranger_url[128];
    int fd = listen_at_path("stranger.sock", stranger_url);
    struct probed_channel *channel;
    pthread_t stranger;

    pthread_create(&stranger, NULL, greet_wrongly, &fd);
    channel = open_channel_at(stranger_url);
    assert_unreachable_at_once(channel, "does not speak nng");
    probed_channel_close(channel);
    shutdown(fd, SHUT_RDWR);
    pthread_join(stranger, NULL);
    close(fd);
}
END_TEST

START_TEST(a_socket_of_another_kind_is_told_apart)
{
    struct probed_channel *channel = open_channel_at(events_url);

    assert_unreachable_at_once(channel, "another kind");
    probed_channel_close(channel);
}
END_TEST

/* A port that was free a moment ago. */
static unsigned free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    close(fd);
    return ntohs(address.sin_port);
}

START_TEST(tcp_is_as_good)
{
    char tcp_url[64];
    struct probed_channel *channel;
    pid_t pid;

    snprintf(tcp_url, sizeof tcp_url, "tcp://127.0.0.1:%u", free_port());
    channel = open_channel_at(tcp_url);
    assert_unreachable_at_once(channel, strerror(ECONNREFUSED));
    pid = child_start_ready((const char *const[]){"fake_daemon", "--listen", tcp_url, NULL});
    ck_assert_int_eq(probe_with(channel, "code-5", &(struct probed_call_options){.wait_for_ready = true}, NULL).code,
                     PROBED_NOT_FOUND);
    assert_ok(channel);
    child_end(pid, SIGKILL);
    probed_channel_close(channel);
}
END_TEST

START_TEST(a_url_that_cannot_be_dialled_is_refused_at_open)
{
    static const char *const wrong[] = {"nowhere", "ipc:/relative", "gopher://x"};
    struct probed_channel *channel;
    char long_url[512];

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct probed_status status = probed_channel_open(&(struct probed_channel_options){.url = wrong[i]}, &channel);

        ck_assert_msg(status.code != PROBED_OK, "%s", wrong[i]);
        assert_status(status, PROBED_INVALID_ARGUMENT, "cannot dial");
    }
    memset(long_url, 'x', sizeof long_url - 1);
    long_url[sizeof long_url - 1] = '\0';
    assert_status(probed_channel_open(&(struct probed_channel_options){.url = long_url}, &channel),
                  PROBED_INVALID_ARGUMENT, "more than 255");
    memcpy(long_url, "ipc:///", 7);
    long_url[6 + 108] = '\0';
    assert_status(probed_channel_open(&(struct probed_channel_options){.url = long_url}, &channel),
                  PROBED_INVALID_ARGUMENT, "at most 107 bytes");
    long_url[6 + 107] = '\0';
    channel = open_channel_at(long_url);
    assert_unreachable_at_once(channel, strerror(ENOENT));
    probed_channel_close(channel);
}
END_TEST

START_TEST(a_daemon_may_be_waited_for)
{
    struct probed_channel *channel;
    struct probed_call_options options = {.wait_for_ready = true, .timeout_ms = 100};
    Probed__V1__ProbeResponse *response;
    struct probed_status status;

    kill_daemon();
    channel = open_channel();
    status = probe_with(channel, "ok", &options, &response);
    assert_status(status, PROBED_UNAVAILABLE, "no connection within");
    ck_assert(status.unreachable);
    start_daemon();
    options.timeout_ms = PATIENCE_MS;
    status = probe_with(channel, "ok", &options, &response);
    ck_assert_msg(status.code == PROBED_OK, "%s", status.message);
    probed__v1__probe_response__free_unpacked(response, NULL);
    probed_channel_close(channel);
}
END_TEST

START_TEST(a_connection_may_be_waited_for)
{
    struct probed_channel *channel = open_channel();
    struct probed_status status = probed_channel_connect(channel, PATIENCE_MS);

    ck_assert_int_eq(status.code, PROBED_OK);
    ck_assert_str_eq(probed_channel_url(channel), url);
    probed_channel_close(channel);
    kill_daemon();
    channel = open_channel();
    status = probed_channel_connect(channel, 60000);
    assert_status(status, PROBED_UNAVAILABLE, strerror(ECONNREFUSED));
    probed_channel_close(channel);
}
END_TEST

/* ---- daemons that come and go ---- */

START_TEST(a_daemon_that_dies_ends_the_call_at_once_and_is_found_again)
{
    struct probed_channel *channel = open_channel();
    struct probed_call_options options = {.wait_for_ready = true, .timeout_ms = PATIENCE_MS};

    for (int i = 0; i < 3; i++) {
        Probed__V1__ProbeResponse *response;
        struct probed_status status = probe(channel, "die", 60000);

        assert_status(status, PROBED_UNAVAILABLE, "closed the connection before it answered");
        ck_assert(status.unreachable);
        ck_assert_int_eq(child_end(daemon_pid, 0), 3);
        start_daemon();
        status = probe_with(channel, "ok", &options, &response);
        ck_assert_msg(status.code == PROBED_OK, "%s", status.message);
        probed__v1__probe_response__free_unpacked(response, NULL);
    }
    probed_channel_close(channel);
}
END_TEST

struct tally {
    atomic_size_t done_count;
    atomic_size_t by_code[17];
};

static void count_done(void *context, const struct probed_status *status, const void *response, size_t response_size)
{
    struct tally *tally = context;

    (void)response_size;
    ck_assert((response != NULL) == (status->code == PROBED_OK));
    atomic_fetch_add(&tally->by_code[status->code], 1);
    atomic_fetch_add(&tally->done_count, 1);
}

static void start_probe(struct probed_channel *channel, const char *provider, struct tally *tally)
{
    Probed__V1__ProbeRequest request = PROBED__V1__PROBE_REQUEST__INIT;
    unsigned char packed[256];
    struct probed_status status;

    request.home = (char *)(uintptr_t) "/h";
    request.provider = (char *)(uintptr_t)provider;
    status = probed_call_start(channel, "/probed.v1.ProbeService/Probe", packed,
                               probed__v1__probe_request__pack(&request, packed), NULL, count_done, tally);
    ck_assert_msg(status.code == PROBED_OK, "%s", status.message);
}

static void wait_for_count(atomic_size_t *count, size_t wanted)
{
    uint64_t deadline_ms = now_ms() + PATIENCE_MS;

    while (atomic_load(count) < wanted) {
        ck_assert_uint_lt(now_ms(), deadline_ms);
        sched_yield();
    }
}

/* The defect of nng 1.5.2 that the shim cures: without it the client never connects again after the first few. */
START_TEST(sixty_four_calls_in_flight_survive_each_death_of_the_daemon)
{
    struct probed_channel *channel = open_channel();
    struct probed_call_options options = {.wait_for_ready = true, .timeout_ms = PATIENCE_MS};

    for (int i = 0; i < 10; i++) {
        struct tally tally = {0};
        Probed__V1__ProbeResponse *response;
        struct probed_status status = probe_with(channel, "ok", &options, &response);

        ck_assert_msg(status.code == PROBED_OK, "round %d: %s", i, status.message);
        probed__v1__probe_response__free_unpacked(response, NULL);
        for (int j = 0; j < 64; j++)
            start_probe(channel, "hang", &tally);
        kill_daemon();
        wait_for_count(&tally.done_count, 64);
        ck_assert_uint_eq(tally.by_code[PROBED_UNAVAILABLE], 64);
        start_daemon();
    }
    probed_channel_close(channel);
}
END_TEST

/* ---- retries ---- */

static struct probed_channel *open_retrying(uint32_t retries_max)
{
    struct probed_channel *channel;
    struct probed_channel_options options = {.url = url, .retries_max = retries_max};

    ck_assert_int_eq(probed_channel_open(&options, &channel).code, PROBED_OK);
    return channel;
}

START_TEST(a_call_is_made_again_as_often_as_it_may_be)
{
    struct probed_channel *channel = open_retrying(3);
    struct probed_status status;

    ck_assert_int_eq(probe(channel, "flaky-3", PATIENCE_MS).code, PROBED_OK);
    status = probe(channel, "flaky-4", PATIENCE_MS);
    assert_status(status, PROBED_UNAVAILABLE, "not this time");
    probed_channel_close(channel);
}
END_TEST

START_TEST(a_call_is_made_once_unless_more_was_asked_for)
{
    struct probed_channel *channel = open_channel();
    struct probed_status status = probe(channel, "flaky-1", PATIENCE_MS);

    assert_status(status, PROBED_UNAVAILABLE, "not this time");
    ck_assert_int_eq(probe(channel, "flaky-1", PATIENCE_MS).code, PROBED_OK);
    probed_channel_close(channel);
}
END_TEST

START_TEST(a_daemon_that_dies_and_returns_is_asked_again)
{
    struct probed_channel *channel = open_retrying(1000);
    struct probed_status status;

    assert_ok(channel);
    kill_daemon();
    status = probe(channel, "ok", 200);
    ck_assert(status.unreachable); /* and it is said why, before the deadline */
    start_daemon();
    assert_ok(channel);
    probed_channel_close(channel);
}
END_TEST

static void *probe_in_vain(void *context)
{
    static struct probed_status status;

    status = probe(context, "flaky-1000000", 3600000);
    return &status;
}

START_TEST(closing_ends_a_pause)
{
    struct probed_channel *channel = open_retrying(1000), *other = open_channel();
    struct probed_status *status;
    pthread_t prober;

    assert_ok(channel);
    ck_assert_int_eq(pthread_create(&prober, NULL, probe_in_vain, channel), 0);
    while (probe(other, "refusals", PATIENCE_MS).retry_after_ms < 3)
        continue;
    probed_channel_close(channel);
    pthread_join(prober, (void **)&status);
    ck_assert(status->code == PROBED_UNAVAILABLE || status->code == PROBED_CANCELLED);
    probed_channel_close(other);
}
END_TEST

/* ---- deadlines ---- */

START_TEST(a_daemon_that_does_not_answer_is_a_missed_deadline)
{
    struct probed_channel *channel = open_channel();
    uint64_t begin_ms = now_ms();
    struct probed_status status = probe(channel, "hang", 100);

    assert_status(status, PROBED_DEADLINE_EXCEEDED, "within 100 ms");
    ck_assert(!status.unreachable);
    ck_assert_uint_ge(now_ms() - begin_ms, 99);
    ck_assert_uint_lt(now_ms() - begin_ms, 5000);
    probed_channel_close(channel);
}
END_TEST

START_TEST(a_late_answer_is_never_taken_for_another_calls)
{
    struct probed_channel_options options = {.url = url, .calls_max = 1}; /* one lane, used again */
    struct probed_channel *channel;
    struct probed_status status = probed_channel_open(&options, &channel);
    Probed__V1__ProbeResponse *response;

    ck_assert_int_eq(status.code, PROBED_OK);
    status = probe(channel, "slow-500", 50);
    ck_assert_int_eq(status.code, PROBED_DEADLINE_EXCEEDED);
    status = probe_with(channel, "slow-501", NULL, &response); /* the answer to the first comes meanwhile */
    ck_assert_int_eq(status.code, PROBED_OK);
    ck_assert_str_eq(response->usage->provider, "slow-501");
    probed__v1__probe_response__free_unpacked(response, NULL);
    probed_channel_close(channel);
}
END_TEST

/* ---- many at once ---- */

static void *probe_often(void *context)
{
    struct probed_channel *channel = context;
    char home[32];

    snprintf(home, sizeof home, "/thread/%lu", (unsigned long)pthread_self() % 16);
    for (int i = 0; i < 200; i++) {
        Probed__V1__ProbeRequest request = PROBED__V1__PROBE_REQUEST__INIT;
        Probed__V1__ProbeResponse *response;
        char key[256], expected[96];
        struct probed_status status;

        memset(key, 'k', sizeof key);
        key[i] = '\0';
        request.home = home;
        request.provider = (char *)(uintptr_t) "echo";
        request.api_key = key;
        status = probed_probe(channel, &request, NULL, &response);
        ck_assert_msg(status.code == PROBED_OK, "%s", status.message);
        snprintf(expected, sizeof expected, "home %s, key %d,", home, i);
        ck_assert_ptr_nonnull(strstr(response->usage->details[0], expected));
        probed__v1__probe_response__free_unpacked(response, NULL);
    }
    return NULL;
}

START_TEST(eight_threads_share_a_channel_and_each_gets_its_own_answers)
{
    struct probed_channel *channel = open_channel();
    pthread_t threads[8];

    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, probe_often, channel), 0);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    probed_channel_close(channel);
}
END_TEST

static void *probe_slowly(void *context)
{
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(probe(context, "slow-20", 0).code, PROBED_OK);
    return NULL;
}

START_TEST(sixty_four_calls_wait_at_once)
{
    struct probed_channel *channel = open_channel();
    struct tally tally = {0};
    pthread_t threads[8];

    ck_assert_int_eq(probed_channel_connect(channel, 0).code, PROBED_OK);
    for (int i = 0; i < 56; i++)
        start_probe(channel, "slow-20", &tally);
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, probe_slowly, channel), 0);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    wait_for_count(&tally.done_count, 56);
    ck_assert_uint_eq(tally.by_code[PROBED_OK], 56);
    probed_channel_close(channel);
}
END_TEST

START_TEST(calls_beyond_the_bound_are_refused_at_once)
{
    struct probed_channel_options options = {.url = url, .calls_max = 2};
    struct probed_channel *channel;
    struct tally tally = {0};
    struct probed_status status = probed_channel_open(&options, &channel);

    ck_assert_int_eq(status.code, PROBED_OK);
    ck_assert_int_eq(probed_channel_connect(channel, 0).code, PROBED_OK);
    start_probe(channel, "hang", &tally);
    start_probe(channel, "hang", &tally);
    assert_status(probe(channel, "ok", 0), PROBED_RESOURCE_EXHAUSTED, "2 calls are in progress");
    probed_channel_close(channel);
    ck_assert_uint_eq(tally.by_code[PROBED_CANCELLED], 2);
}
END_TEST

/* ---- started calls ---- */

struct chain {
    struct probed_channel *channel;
    atomic_size_t length;
};

static void go_on(void *context, const struct probed_status *status, const void *response, size_t response_size)
{
    struct chain *chain = context;
    struct probed_status next;

    (void)response;
    (void)response_size;
    ck_assert_msg(status->code == PROBED_OK, "%s", status->message);
    if (atomic_fetch_add(&chain->length, 1) + 1 == 500)
        return;
    next = probed_call_start(chain->channel, "/probed.v1.ProbeService/Sync", "\x0a\x02/h", 4, NULL, go_on, chain);
    ck_assert_msg(next.code == PROBED_OK, "%s", next.message);
}

START_TEST(whoever_is_told_may_start_the_next_call_on_the_same_lane)
{
    struct probed_channel_options options = {.url = url, .calls_max = 1};
    struct chain chain = {0};
    struct probed_status status = probed_channel_open(&options, &chain.channel);

    ck_assert_int_eq(status.code, PROBED_OK);
    ck_assert_int_eq(probed_channel_connect(chain.channel, 0).code, PROBED_OK);
    status = probed_call_start(chain.channel, "/probed.v1.ProbeService/Sync", "\x0a\x02/h", 4, NULL, go_on, &chain);
    ck_assert_int_eq(status.code, PROBED_OK);
    wait_for_count(&chain.length, 500);
    probed_channel_close(chain.channel);
}
END_TEST

START_TEST(a_call_that_cannot_be_started_is_said_so_and_never_told)
{
    struct tally tally = {0};
    struct probed_channel *channel;
    struct probed_status status;

    kill_daemon();
    channel = open_channel();
    status = probed_call_start(channel, "/probed.v1.ProbeService/Sync", NULL, 0, NULL, count_done, &tally);
    assert_status(status, PROBED_UNAVAILABLE, "not connected");
    ck_assert(status.unreachable);
    probed_channel_close(channel);
    ck_assert_uint_eq(tally.done_count, 0);
}
END_TEST

START_TEST(a_started_call_may_wait_for_a_daemon)
{
    struct probed_call_options options = {.wait_for_ready = true, .timeout_ms = 600};
    struct tally tally = {0};
    struct probed_channel *channel;
    struct probed_status status;
    uint64_t begin_ms;

    kill_daemon();
    channel = open_channel();
    begin_ms = now_ms();
    status = probed_call_start(channel, "/probed.v1.ProbeService/Sync", NULL, 0, &options, count_done, &tally);
    ck_assert_int_eq(status.code, PROBED_OK);
    wait_for_count(&tally.done_count, 1);
    ck_assert_uint_ge(now_ms() - begin_ms, 599);
    ck_assert_uint_eq(tally.by_code[PROBED_UNAVAILABLE], 1);
    options.timeout_ms = PATIENCE_MS;
    status = probed_call_start(channel, "/probed.v1.ProbeService/Sync", NULL, 0, &options, count_done, &tally);
    ck_assert_int_eq(status.code, PROBED_OK);
    start_daemon();
    wait_for_count(&tally.done_count, 2);
    ck_assert_uint_eq(tally.by_code[PROBED_OK], 1);
    probed_channel_close(channel);
}
END_TEST

START_TEST(a_started_call_tells_what_a_waiting_one_returns)
{
    struct probed_channel *channel = open_channel();
    struct tally tally = {0};

    ck_assert_int_eq(probed_channel_connect(channel, 0).code, PROBED_OK);
    start_probe(channel, "ok", &tally);
    start_probe(channel, "code-8", &tally);
    start_probe(channel, "garbage", &tally);
    wait_for_count(&tally.done_count, 3);
    ck_assert_uint_eq(tally.by_code[PROBED_OK], 1);
    ck_assert_uint_eq(tally.by_code[PROBED_RESOURCE_EXHAUSTED], 1);
    ck_assert_uint_eq(tally.by_code[PROBED_INTERNAL], 1);
    probed_channel_close(channel);
}
END_TEST

/* ---- the end ---- */

static void *hang(void *context)
{
    struct probed_status status;

    do /* the test's own calls may be in the way */
        status = probe(context, "hang", 600000);
    while (status.code == PROBED_RESOURCE_EXHAUSTED);
    ck_assert_msg(status.code == PROBED_CANCELLED, "%s", status.message);
    return NULL;
}

START_TEST(closing_ends_calls_in_progress_and_waits_for_them)
{
    struct probed_channel_options options = {.url = url, .calls_max = 4};
    struct probed_channel *channel;
    struct tally tally = {0};
    pthread_t threads[2];
    struct probed_status status = probed_channel_open(&options, &channel);

    ck_assert_int_eq(status.code, PROBED_OK);
    ck_assert_int_eq(probed_channel_connect(channel, 0).code, PROBED_OK);
    start_probe(channel, "hang", &tally);
    start_probe(channel, "hang", &tally);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, hang, channel), 0);
    while (probe(channel, "ok", 0).code != PROBED_RESOURCE_EXHAUSTED) /* until both are in */
        ;
    probed_channel_close(channel);
    ck_assert_uint_eq(tally.by_code[PROBED_CANCELLED], 2);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
}
END_TEST

enum { HEAP_GROWTH_MAX = 16384 }; /* what is kept for the next; of ten thousand, a byte each */

START_TEST(opening_and_closing_leaves_nothing_behind)
{
    size_t fd_count, heap_size = 0, count = patience_count(10000);

    probed_channel_close(open_channel()); /* nng opens descriptors of its own, once */
    fd_count = process_fd_count(getpid());
    for (size_t i = 0; i < count; i++) {
        struct probed_channel *channel = open_channel();

        if (i % 2 == 0)
            assert_ok(channel);
        probed_channel_close(channel);
        if (i == count / 10)
            heap_size = process_heap_size();
    }
    process_wait_fd_count(getpid(), fd_count); /* the last is closed by a thread of nng's */
    ck_assert_uint_le(process_heap_size(), heap_size + HEAP_GROWTH_MAX);
    probed_channel_close(NULL);
}
END_TEST

START_TEST(a_forked_child_is_refused_and_its_parent_unharmed)
{
    struct probed_channel *channel = open_channel();
    int wait_status;
    pid_t pid;

    assert_ok(channel);
    pid = fork();
    if (pid == 0) {
        struct probed_channel *other;
        struct probed_status call = probe(channel, "ok", 0), open = probed_channel_open(NULL, &other);

        probed_channel_close(channel);
        _exit(call.code == PROBED_FAILED_PRECONDITION && open.code == PROBED_FAILED_PRECONDITION &&
                      strstr(call.message, "fork") != NULL && strstr(open.message, "fork") != NULL
                  ? 0
                  : 1);
    }
    ck_assert_int_eq(waitpid(pid, &wait_status, 0), pid);
    ck_assert_int_eq(wait_status, 0);
    assert_ok(channel);
    probed_channel_close(channel);
}
END_TEST

/* Bit `signal` of SigBlk in a thread's status. */
static bool thread_blocks(const char *thread, int signal_number)
{
    char path[300], line[256];
    unsigned long long mask = 0;
    FILE *file;

    snprintf(path, sizeof path, "/proc/self/task/%s/status", thread);
    file = fopen(path, "re");
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file) != NULL)
        sscanf(line, "SigBlk: %llx", &mask);
    fclose(file);
    return (mask >> (signal_number - 1) & 1) != 0;
}

START_TEST(no_thread_of_ours_takes_the_programs_signals)
{
    struct probed_channel *channel = open_channel();
    DIR *threads = opendir("/proc/self/task");
    size_t count = 0;
    sigset_t own;

    assert_ok(channel);
    for (struct dirent *entry; (entry = readdir(threads)) != NULL;) {
        if (entry->d_name[0] == '.' || atoi(entry->d_name) == getpid())
            continue;
        if (SANITIZED && !thread_blocks(entry->d_name, SIGPIPE))
            continue; /* a sanitizer's own */
        ck_assert(thread_blocks(entry->d_name, SIGTERM));
        ck_assert(thread_blocks(entry->d_name, SIGINT));
        count++;
    }
    closedir(threads);
    ck_assert_uint_gt(count, 0);
    pthread_sigmask(SIG_SETMASK, NULL, &own);
    ck_assert_int_eq(sigismember(&own, SIGTERM), 0);
    probed_channel_close(channel);
}
END_TEST

/* ---- methods and stubs ---- */

START_TEST(every_method_has_its_function)
{
    struct probed_channel *channel = open_channel();
    Probed__V1__InvalidateRequest invalidate = PROBED__V1__INVALIDATE_REQUEST__INIT;
    Probed__V1__SyncRequest sync = PROBED__V1__SYNC_REQUEST__INIT;
    Probed__V1__GetStatusRequest get_status = PROBED__V1__GET_STATUS_REQUEST__INIT;
    Probed__V1__ListHomesRequest list_homes = PROBED__V1__LIST_HOMES_REQUEST__INIT;
    Probed__V1__ListWorkersRequest list_workers = PROBED__V1__LIST_WORKERS_REQUEST__INIT;
    Probed__V1__ListEventsRequest list_events = PROBED__V1__LIST_EVENTS_REQUEST__INIT;
    Probed__V1__InvalidateResponse *invalidated;
    Probed__V1__SyncResponse *synced;
    Probed__V1__GetStatusResponse *status;
    Probed__V1__ListHomesResponse *homes;
    Probed__V1__ListWorkersResponse *workers;
    Probed__V1__ListEventsResponse *events;

    invalidate.home = sync.home = (char *)(uintptr_t) "/h";
    ck_assert_int_eq(probed_invalidate(channel, &invalidate, NULL, &invalidated).code, PROBED_OK);
    ck_assert_uint_eq(invalidated->fence->generation, 2);
    ck_assert_int_eq(probed_sync(channel, &sync, NULL, &synced).code, PROBED_OK);
    ck_assert_uint_eq(synced->fence->generation, 2);
    ck_assert_int_eq(probed_get_status(channel, &get_status, NULL, &status).code, PROBED_OK);
    ck_assert_str_eq(status->version, "0.0.fake");
    ck_assert_int_eq(probed_list_homes(channel, &list_homes, NULL, &homes).code, PROBED_OK);
    ck_assert_uint_eq(homes->n_homes, 2);
    ck_assert_int_eq(probed_list_workers(channel, &list_workers, NULL, &workers).code, PROBED_OK);
    ck_assert_uint_eq(workers->workers[0]->worker_id, 17);
    ck_assert_int_eq(probed_list_events(channel, &list_events, NULL, &events).code, PROBED_OK);
    ck_assert_str_eq(events->events[0]->reason, "rotated");
    probed__v1__invalidate_response__free_unpacked(invalidated, NULL);
    probed__v1__sync_response__free_unpacked(synced, NULL);
    probed__v1__get_status_response__free_unpacked(status, NULL);
    probed__v1__list_homes_response__free_unpacked(homes, NULL);
    probed__v1__list_workers_response__free_unpacked(workers, NULL);
    probed__v1__list_events_response__free_unpacked(events, NULL);
    probed_channel_close(channel);
}
END_TEST

START_TEST(health_is_serving_or_not_or_unknown)
{
    struct probed_channel *channel = open_channel();
    bool serving = false;

    ck_assert_int_eq(probed_health(channel, NULL, NULL, &serving).code, PROBED_OK);
    ck_assert(serving);
    ck_assert_int_eq(probed_health(channel, "draining", NULL, &serving).code, PROBED_OK);
    ck_assert(!serving);
    ck_assert_int_eq(probed_health(channel, "unknown", NULL, &serving).code, PROBED_NOT_FOUND);
    probed_channel_close(channel);
}
END_TEST

static void keep_generation(const Probed__V1__SyncResponse *response, void *context)
{
    *(uint64_t *)context = response == NULL ? 0 : response->fence->generation;
}

START_TEST(the_generated_functions_work_on_a_stub)
{
    struct probed_channel *channel = open_channel();
    Probed__V1__SyncRequest request = PROBED__V1__SYNC_REQUEST__INIT;
    struct probed_stub stub;
    uint64_t generation = 99;

    probed_stub_init(&stub, channel, &probed__v1__probe_service__descriptor, NULL);
    request.home = (char *)(uintptr_t) "/h";
    probed__v1__probe_service__sync(&stub.base, &request, keep_generation, &generation);
    ck_assert_int_eq(stub.status.code, PROBED_OK);
    ck_assert_uint_eq(generation, 1);
    ck_assert_ptr_null(stub.response); /* it was lent to the closure, and is gone */
    probed__v1__probe_service__sync(&stub.base, &request, NULL, NULL);
    ck_assert_ptr_nonnull(stub.response);
    protobuf_c_message_free_unpacked(stub.response, NULL);
    probed_channel_close(channel);
}
END_TEST

START_TEST(a_closure_is_told_of_a_failure_by_null)
{
    struct probed_channel *channel;
    Probed__V1__SyncRequest request = PROBED__V1__SYNC_REQUEST__INIT;
    struct probed_stub stub;
    uint64_t generation = 99;

    kill_daemon();
    channel = open_channel();
    probed_stub_init(&stub, channel, &probed__v1__probe_service__descriptor, NULL);
    probed__v1__probe_service__sync(&stub.base, &request, keep_generation, &generation);
    ck_assert_uint_eq(generation, 0);
    ck_assert_int_eq(stub.status.code, PROBED_UNAVAILABLE);
    probed__v1__probe_service__sync(&stub.base, &request, NULL, NULL);
    ck_assert_ptr_null(stub.response);
    probed_channel_close(channel);
}
END_TEST

/* ---- addresses ---- */

static void set_or_unset(const char *name, const char *value)
{
    if (value == NULL)
        unsetenv(name);
    else
        setenv(name, value, 1);
}

static struct probed_status choose(const char *given, const char *connect, const char *runtime, char *out)
{
    set_or_unset("PROBED_CONNECT", connect);
    set_or_unset("XDG_RUNTIME_DIR", runtime);
    return address_choose(given, "PROBED_CONNECT", "rpc.sock", out);
}

START_TEST(an_address_is_given_or_from_the_environment)
{
    char out[ADDRESS_SIZE_MAX];

    ck_assert_int_eq(choose("ipc:///given", "ipc:///env", "/run/user/7", out).code, PROBED_OK);
    ck_assert_str_eq(out, "ipc:///given");
    ck_assert_int_eq(choose(NULL, "ipc:///env", "/run/user/7", out).code, PROBED_OK);
    ck_assert_str_eq(out, "ipc:///env");
}
END_TEST

/* In a process of its own, which then is somebody else: 0 when the user `uid` with that runtime directory (NULL: none)
 * gets `expected` (NULL: a refusal). */
static int default_differs(uid_t uid, const char *runtime, const char *expected)
{
    char out[ADDRESS_SIZE_MAX] = "";
    int wait_status;
    pid_t pid = fork();

    if (pid == 0) {
        struct probed_status status;

        if (setresuid(uid, uid, uid) != 0)
            _exit(1);
        status = choose(NULL, NULL, runtime, out);
        if (expected == NULL)
            _exit(status.code == PROBED_INVALID_ARGUMENT ? 0 : 2);
        _exit(status.code == PROBED_OK && strcmp(out, expected) == 0 ? 0 : 3);
    }
    ck_assert_int_eq(waitpid(pid, &wait_status, 0), pid);
    return wait_status;
}

START_TEST(the_default_address_is_that_of_the_users_own_daemon)
{
    uid_t uid = geteuid() == 0 ? 65534 : geteuid();

    if (geteuid() == 0)
        ck_assert_int_eq(default_differs(0, "/run/user/7", "ipc:///run/probed/rpc.sock"), 0);
    ck_assert_int_eq(default_differs(uid, "/run/user/7", "ipc:///run/user/7/probed/rpc.sock"), 0);
    ck_assert_int_eq(default_differs(uid, NULL, NULL), 0);
}
END_TEST

START_TEST(the_cure_of_nng_is_in_effect)
{
    ck_assert(nng_shim_active());
}
END_TEST

/* ---- suite ---- */

static TCase *add_case(Suite *suite, const char *name)
{
    TCase *tests = tcase_create(name);

    tcase_add_checked_fixture(tests, open_stage, close_stage);
    tcase_set_timeout(tests, patience_test_s());
    suite_add_tcase(suite, tests);
    return tests;
}

static void add_calls(Suite *suite)
{
    TCase *tests = add_case(suite, "calls");

    tcase_add_test(tests, a_call_is_answered);
    tcase_add_loop_test(tests, a_code_comes_through_with_its_message_and_advice, 1, 19);
    tcase_add_loop_test(tests, an_answer_that_cannot_be_read_is_an_internal_error_and_harms_no_other, 0,
                        sizeof broken_answers / sizeof broken_answers[0]);
    tcase_add_test(tests, an_answer_larger_than_the_channel_takes_loses_the_connection_not_the_channel);
    tcase_add_test(tests, the_daemon_is_told_how_long_it_has);
    tcase_add_test(tests, metadata_goes_along);
    tcase_add_test(tests, metadata_that_breaks_a_bound_is_refused_here);
    tcase_add_test(tests, a_request_that_is_too_large_is_refused_here_and_harms_no_other);
    tcase_add_test(tests, any_method_may_be_called_with_packed_messages);
    tcase_add_test(tests, a_daemon_that_does_not_answer_is_a_missed_deadline);
    tcase_add_test(tests, a_late_answer_is_never_taken_for_another_calls);
    tcase_add_test(tests, every_method_has_its_function);
    tcase_add_test(tests, health_is_serving_or_not_or_unknown);
    tcase_add_test(tests, the_generated_functions_work_on_a_stub);
    tcase_add_test(tests, a_closure_is_told_of_a_failure_by_null);
}

static void add_connections(Suite *suite)
{
    TCase *tests = add_case(suite, "connections");

    tcase_add_test(tests, a_daemon_that_was_never_there_is_told_at_once);
    tcase_add_test(tests, a_daemon_that_left_its_socket_behind_is_told_at_once);
    tcase_add_test(tests, a_listener_that_says_nothing_is_given_up_at_the_deadline);
    tcase_add_test(tests, whoever_does_not_speak_nng_is_told_apart);
    tcase_add_test(tests, a_socket_of_another_kind_is_told_apart);
    tcase_add_test(tests, tcp_is_as_good);
    tcase_add_test(tests, a_url_that_cannot_be_dialled_is_refused_at_open);
    tcase_add_test(tests, a_daemon_may_be_waited_for);
    tcase_add_test(tests, a_connection_may_be_waited_for);
    tcase_add_test(tests, a_daemon_that_dies_ends_the_call_at_once_and_is_found_again);
    tcase_add_test(tests, sixty_four_calls_in_flight_survive_each_death_of_the_daemon);
    tcase_add_test(tests, a_call_is_made_again_as_often_as_it_may_be);
    tcase_add_test(tests, a_call_is_made_once_unless_more_was_asked_for);
    tcase_add_test(tests, a_daemon_that_dies_and_returns_is_asked_again);
    tcase_add_test(tests, closing_ends_a_pause);
    tcase_add_test(tests, an_address_is_given_or_from_the_environment);
    tcase_add_test(tests, the_default_address_is_that_of_the_users_own_daemon);
    tcase_add_test(tests, the_cure_of_nng_is_in_effect);
}

static void add_concurrency(Suite *suite)
{
    TCase *tests = add_case(suite, "concurrency");

    tcase_add_test(tests, eight_threads_share_a_channel_and_each_gets_its_own_answers);
    tcase_add_test(tests, sixty_four_calls_wait_at_once);
    tcase_add_test(tests, calls_beyond_the_bound_are_refused_at_once);
    tcase_add_test(tests, whoever_is_told_may_start_the_next_call_on_the_same_lane);
    tcase_add_test(tests, a_call_that_cannot_be_started_is_said_so_and_never_told);
    tcase_add_test(tests, a_started_call_may_wait_for_a_daemon);
    tcase_add_test(tests, a_started_call_tells_what_a_waiting_one_returns);
    tcase_add_test(tests, closing_ends_calls_in_progress_and_waits_for_them);
    tcase_add_test(tests, opening_and_closing_leaves_nothing_behind);
    tcase_add_test(tests, a_forked_child_is_refused_and_its_parent_unharmed);
    tcase_add_test(tests, no_thread_of_ours_takes_the_programs_signals);
}

int main(void)
{
    Suite *suite = suite_create("client_channel");

    add_calls(suite);
    add_connections(suite);
    add_concurrency(suite);
    return check_main(suite);
}
