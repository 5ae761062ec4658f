/* What an operator is shown over HTTP, who is shown what, and what no client can do to it. */
#include "tests/support/story.h"

#include "server/base/clock.h"
#include "server/base/loopback.h"
#include "server/base/text.h"
#include "tests/support/child.h"
#include "tests/support/process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    OTHER_UID = 65533,
    ADMIN_UID = 65532,
    CONNECTION_COUNT_MAX = 32, /* of one address: server/http/http.h */
    WAIT_MS_MAX = 5000,
};

static char socket_path[SCRATCH_PATH_SIZE + 16], tcp_address[32];

/* ---- a client ---- */

/* -1 with errno; no assertion, since forked children use it. */
static int connect_to(const char *address)
{
    struct loopback at;
    int fd;

    if (loopback_parse(address, &at) != NULL)
        return -1;
    fd = socket(at.address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, &at.address.any, at.size) != 0) {
        int error = errno;

        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static int dial(const char *address)
{
    int fd = connect_to(address);

    ck_assert_msg(fd >= 0, "cannot connect to %s: %s", address, strerror(errno));
    return fd;
}

static void say(int fd, const char *bytes)
{
    ck_assert_int_eq(send(fd, bytes, strlen(bytes), MSG_NOSIGNAL), (ssize_t)strlen(bytes));
}

/* All that comes until the other end closes, or resets. */
static char *hear(int fd)
{
    struct text heard = TEXT_EMPTY;
    char bytes[4096];
    ssize_t size;

    while ((size = read(fd, bytes, sizeof bytes)) > 0)
        text_add(&heard, bytes, (size_t)size);
    ck_assert(!heard.failed);
    return heard.bytes == NULL ? strdup("") : heard.bytes;
}

/* Answer and connection's end; free() it. */
static char *exchange(const char *address, const char *request)
{
    int fd = dial(address);
    char *heard;

    say(fd, request);
    heard = hear(fd);
    close(fd);
    return heard;
}

static char *get(const char *address, const char *path)
{
    char request[256];

    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
    return exchange(address, request);
}

static void expect_status(const char *row, const char *heard, int status)
{
    int found = 0;

    ck_assert_msg(sscanf(heard, "HTTP/1.%*d %d", &found) == 1, "\"%s\": no answer: %s", row, heard);
    ck_assert_msg(found == status, "\"%s\": %d instead of %d", row, found, status);
}

static const char *body_of(const char *heard)
{
    const char *end = strstr(heard, "\r\n\r\n");

    ck_assert_msg(end != NULL, "no head: %s", heard);
    return end + 4;
}

static void expect_in(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "\"%s\" is not in:\n%.2000s", part, text);
}

static void expect_not_in(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) == NULL, "\"%s\" is in:\n%.2000s", part, text);
}

/* ---- stages ---- */

/* A port that is free now. */
static void choose_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    close(fd);
    snprintf(tcp_address, sizeof tcp_address, "127.0.0.1:%d", ntohs(address.sin_port));
}

/* Calls are answered a moment before the page is. */
static void await_page(void)
{
    uint64_t due_ns = clock_now_ns() + PATIENCE_MS * NS_PER_MS;
    int fd;

    while ((fd = connect_to(tcp_address)) < 0) {
        ck_assert_msg(clock_now_ns() < due_ns, "nobody listens at %s: %s", tcp_address, strerror(errno));
        usleep(1000);
    }
    close(fd);
    free(get(tcp_address, "/healthz")); /* it listens before it has all that it needs */
}

static void open_stage(const char *flag, const char *value)
{
    const char *settings[] = {"--server-http", socket_path, "--server-http", tcp_address, flag, value, NULL};

    scratch_open(&stage.scratch);
    snprintf(socket_path, sizeof socket_path, "%s/http.sock", stage.scratch.path);
    choose_port();
    home_create(&stage.home, &stage.scratch, "home");
    daemon_start(&stage.daemon, &stage.scratch, settings);
    await_page();
}

static void setup(void)
{
    open_stage(NULL, NULL);
}

static void setup_trusting(void)
{
    open_stage("--server-tcp-trust", "yes");
}

static void setup_patient(void)
{
    open_stage("--server-drain-ms", "60000");
}

static void setup_with_administrator(void)
{
    char uid[16];

    snprintf(uid, sizeof uid, "%d", ADMIN_UID);
    open_stage("--server-admin-uids", uid);
}

static void teardown(void)
{
    bool stopped = stage.daemon.pid <= 0;

    stage_close(&stage);
    ck_assert_msg(stopped || access(socket_path, F_OK) != 0, "%s is still there", socket_path);
}

/* ---- metrics ---- */

/* The value of a sample, asserted to be there once. */
static double sample(const char *metrics, const char *name)
{
    size_t size = strlen(name), count = 0;
    double value = -1;

    for (const char *line = metrics; line != NULL && *line != '\0'; line = strchr(line, '\n'), line += line != NULL) {
        if (strncmp(line, name, size) == 0 && line[size] == ' ') {
            value = strtod(line + size, NULL);
            count++;
        }
    }
    ck_assert_msg(count == 1, "%zu samples of %s in:\n%.2000s", count, name, metrics);
    return value;
}

START_TEST(metrics_tell_what_the_admin_service_tells)
{
    Probed__V1__GetStatusRequest request = PROBED__V1__GET_STATUS_REQUEST__INIT;
    const Probed__V1__GetStatusResponse *status;
    struct call *call;
    char *heard;

    expect_origin(begin("openrouter", NULL), PROBED__V1__ORIGIN__ORIGIN_COLD);
    expect_origin(begin("openrouter", NULL), PROBED__V1__ORIGIN__ORIGIN_CACHED);
    expect_origin(begin_refresh("openrouter"), PROBED__V1__ORIGIN__ORIGIN_WARM);
    expect_failure(begin("wrong-id", NULL), STATUS_INTERNAL, NULL);
    end_pause(home->path);
    heard = get(tcp_address, "/metrics");
    expect_in(heard, "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n");
    call = call_begin(caller, METHOD_GET_STATUS, 0, &request.base);
    status = (const Probed__V1__GetStatusResponse *)call_payload(call, &probed__v1__get_status_response__descriptor);
    for (size_t i = 0; i < status->n_counters; i++) {
        const char *name = status->counters[i]->name;

        if (strcmp(name, "probed_beats_total") != 0) /* goes on meanwhile */
            ck_assert_double_eq(sample(body_of(heard), name), (double)status->counters[i]->value);
    }
    ck_assert_double_eq(sample(body_of(heard), "probed_workers{state=\"idle\"}"), status->workers->idle);
    ck_assert_double_eq(sample(body_of(heard), "probed_homes"), status->homes);
    ck_assert_double_eq(sample(body_of(heard), "probed_build_info{version=\"" PROBED_VERSION "\"}"), 1);
    call_end(call);
    free(heard);
}
END_TEST

START_TEST(each_call_counts_once_in_the_histogram)
{
    static const char *const series[] = {"origin=\"cold\",status=\"OK\"", "origin=\"cached\",status=\"OK\"",
                                         "origin=\"none\",status=\"INTERNAL\"",
                                         "origin=\"none\",status=\"INVALID_ARGUMENT\""};
    char name[128];
    char *heard;

    expect_origin(begin("openrouter", NULL), PROBED__V1__ORIGIN__ORIGIN_COLD);
    expect_origin(begin("openrouter", NULL), PROBED__V1__ORIGIN__ORIGIN_CACHED);
    expect_failure(begin("wrong-id", NULL), STATUS_INTERNAL, NULL);
    expect_failure(begin("no such name", NULL), STATUS_INVALID_ARGUMENT, NULL);
    heard = get(tcp_address, "/metrics");
    for (size_t i = 0; i < ROW_COUNT(series); i++) {
        snprintf(name, sizeof name, "probed_probe_seconds_count{%s}", series[i]);
        ck_assert_double_eq(sample(body_of(heard), name), 1);
        snprintf(name, sizeof name, "probed_probe_seconds_bucket{%s,le=\"+Inf\"}", series[i]);
        ck_assert_double_eq(sample(body_of(heard), name), 1);
        snprintf(name, sizeof name, "probed_probe_seconds_bucket{%s,le=\"60\"}", series[i]);
        ck_assert_double_eq(sample(body_of(heard), name), 1);
        snprintf(name, sizeof name, "probed_probe_seconds_sum{%s}", series[i]);
        ck_assert_double_gt(sample(body_of(heard), name), 0);
    }
    free(heard);
}
END_TEST

/* What promtool would say, as far as it is the format's: a family has one HELP and one TYPE, and its samples behind
 * them; what counts up ends in _total. */
static void expect_family(const char *metrics, const char *line)
{
    size_t size = strcspn(line, "{ ");
    char family[128], head[160];
    const char *type;

    snprintf(family, sizeof family, "%.*s", (int)size, line);
    for (const char *const *suffix = (const char *const[]){"_bucket", "_sum", "_count", NULL}; *suffix != NULL;
         suffix++) {
        char *end = strstr(family, *suffix);

        if (end != NULL && strcmp(end, *suffix) == 0 && strncmp(family, "probed_probe_seconds", 20) == 0)
            *end = '\0';
    }
    snprintf(head, sizeof head, "# HELP %s ", family);
    ck_assert_msg(strstr(metrics, head) != NULL && strstr(metrics, head) < line, "no HELP before %.60s", line);
    ck_assert_ptr_null(strstr(strstr(metrics, head) + 1, head));
    snprintf(head, sizeof head, "# TYPE %s ", family);
    type = strstr(metrics, head);
    ck_assert_msg(type != NULL && type < line, "no TYPE before %.60s", line);
    type += strlen(head);
    ck_assert_msg((strncmp(type, "counter", 7) == 0) ==
                      (strlen(family) > 6 && strcmp(family + strlen(family) - 6, "_total") == 0),
                  "%s is of type %.10s", family, type);
}

START_TEST(metrics_are_well_formed)
{
    char *heard;
    size_t count = 0;

    expect_origin(begin("openrouter", NULL), PROBED__V1__ORIGIN__ORIGIN_COLD);
    heard = get(tcp_address, "/metrics");
    for (const char *line = body_of(heard); *line != '\0'; line = strchr(line, '\n') + 1) {
        ck_assert_ptr_nonnull(strchr(line, '\n'));
        if (line[0] != '#') {
            expect_family(body_of(heard), line);
            count++;
        }
    }
    ck_assert_uint_gt(count, 80);
    ck_assert_double_gt(sample(body_of(heard), "process_resident_memory_bytes"), 1e6);
    ck_assert_double_gt(sample(body_of(heard), "process_open_fds"), 5);
    ck_assert_double_gt(sample(body_of(heard), "process_start_time_seconds"), 1.7e9);
    ck_assert_double_ge(sample(body_of(heard), "process_cpu_seconds_total"), 0);
    free(heard);
}
END_TEST

/* ---- who sees what ---- */

/* A lease that is held, and an invalidation, of another provider, whose reason is not to be taken for markup. */
static struct call *make_news(void)
{
    Probed__V1__InvalidateRequest request = PROBED__V1__INVALIDATE_REQUEST__INIT;
    struct call *call, *leased = begin_leased("gate", NULL);

    request.home = home->path;
    request.provider = (char *)(uintptr_t) "anthropic";
    request.reason = (char *)(uintptr_t) "<script>alert('&')</script>";
    call = call_begin(caller, METHOD_INVALIDATE, 0, &request.base);
    invalidate_response(call);
    call_end(call);
    daemon_wait(server, "draining", 1);
    return leased;
}

static void end_news(struct call *leased)
{
    home_open_gate(home, 2);
    call_wait(leased);
    call_end(leased);
}

static void expect_all_is_shown(const char *address)
{
    struct call *leased = make_news();
    char *page = get(address, "/"), *report = get(address, "/api/status");

    expect_status("/", page, 200);
    expect_in(page, home->path);
    expect_in(page, ">draining</td>");
    expect_in(page, ">gate</td>");
    expect_in(page, ">anthropic</td>");
    expect_in(page, "&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;");
    expect_not_in(page, "<script>alert");
    expect_in(report, "\"names_homes\":true");
    expect_in(report, home->path);
    expect_in(report, "\"reason\":\"<script>alert('&')</script>\"");
    expect_in(report, "\"state\":\"draining\"");
    expect_in(report, "\"provider\":\"gate\"");
    free(page);
    free(report);
    end_news(leased);
}

START_TEST(an_administrator_sees_homes_leases_and_invalidations)
{
    expect_all_is_shown(socket_path);
}
END_TEST

START_TEST(a_loopback_peer_that_is_trusted_sees_them_as_well)
{
    expect_all_is_shown(tcp_address);
}
END_TEST

START_TEST(a_loopback_peer_that_is_not_sees_sums_alone)
{
    static const char *const paths[] = {"/", "/api/status", "/metrics", "/healthz", "/readyz", "/nothing"};
    struct call *leased = make_news();

    for (size_t i = 0; i < ROW_COUNT(paths); i++) {
        char *heard = get(tcp_address, paths[i]);

        expect_not_in(heard, home->path);
        expect_not_in(heard, stage.scratch.path);
        expect_not_in(heard, "gate");
        expect_not_in(heard, "anthropic");
        expect_not_in(heard, "alert(");
        free(heard);
    }
    end_news(leased);
}
END_TEST

/* As another uid: 0: it was closed without a word; 1: it was answered; 2: it could not even connect. */
static int act_look(void *context)
{
    static const char request[] = "GET /api/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    int fd = connect_to(context);
    char byte;

    if (fd < 0)
        return 2;
    if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) < 0)
        return 0;
    return read(fd, &byte, 1) == 1 ? 1 : 0;
}

START_TEST(a_stranger_cannot_connect_to_the_unix_socket)
{
    ck_assert_int_eq(process_as(OTHER_UID, act_look, socket_path), 2);
    ck_assert_int_eq(process_as(OTHER_UID, act_look, tcp_address), 1);
}
END_TEST

START_TEST(where_others_may_connect_only_administrators_are_answered)
{
    ck_assert_int_eq(chmod(stage.scratch.path, 0711), 0);
    ck_assert_int_eq(process_as(OTHER_UID, act_look, socket_path), 0);
    ck_assert_int_eq(process_as(ADMIN_UID, act_look, socket_path), 1);
}
END_TEST

/* ---- what may be asked ---- */

START_TEST(only_what_changes_nothing_and_means_this_machine_is_answered)
{
    static const struct {
        const char *request;
        int status;
    } rows[] = {
        {"GET / HTTP/1.1\r\nHost: localhost\r\n", 200},
        {"GET / HTTP/1.1\r\nHost: LOCALHOST:9180\r\n", 200},
        {"GET /?x=1 HTTP/1.1\r\nHost: 127.0.0.1\r\n", 200},
        {"GET / HTTP/1.1\r\nHost: [::1]:80\r\n", 200},
        {"HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n", 200},
        {"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n", 200},
        {"GET / HTTP/1.1\r\nHost: evil.example\r\n", 421},
        {"GET / HTTP/1.1\r\nHost: localhost.evil.example\r\n", 421},
        {"GET / HTTP/1.1\r\nHost: localhost:80.evil.example\r\n", 421},
        {"GET / HTTP/1.1\r\nHost: 127.0.0.1.nip.example:9180\r\n", 421},
        {"GET / HTTP/1.1\r\nHost: 127.0.0.2\r\n", 421},
        {"GET / HTTP/1.1\r\nHost: \r\n", 421},
        {"GET / HTTP/1.1\r\n", 400},
        {"GET / HTTP/1.0\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc", 405},
        {"PUT /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999999\r\n", 405},
        {"DELETE / HTTP/1.1\r\nHost: localhost\r\n", 405},
        {"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n", 405},
        {"TRACE / HTTP/1.1\r\nHost: localhost\r\n", 405},
        {"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc", 413},
        {"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n", 413},
        {"GET /index.html HTTP/1.1\r\nHost: localhost\r\n", 404},
        {"GET /../etc/passwd HTTP/1.1\r\nHost: localhost\r\n", 404},
        {"GET /%00 HTTP/1.1\r\nHost: localhost\r\n", 404},
        {"GET //metrics HTTP/1.1\r\nHost: localhost\r\n", 404},
    };
    const char *addresses[] = {socket_path, tcp_address};

    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        char request[512];

        snprintf(request, sizeof request, "%s%s\r\n", rows[i].request,
                 strstr(rows[i].request, "\r\n\r\n") == NULL ? "Connection: close\r\n" : "");
        for (size_t j = 0; j < 2; j++) {
            int fd = dial(addresses[j]);
            char *heard;

            say(fd, request);
            shutdown(fd, SHUT_WR);
            heard = hear(fd);
            close(fd);
            expect_status(rows[i].request, heard, rows[i].status);
            free(heard);
        }
    }
}
END_TEST

START_TEST(what_is_no_request_is_refused_or_closed)
{
    static const char *const rows[] = {
        "GET\r\n\r\n",      "\x16\x03\x01\x02", "GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\nHost localhost\r\n\r\n",
        "\xff\xfe\r\n\r\n",
    };
    int fds[ROW_COUNT(rows)];
    char *heard;

    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        fds[i] = dial(tcp_address);
        say(fds[i], rows[i]);
        shutdown(fds[i], SHUT_WR);
    }
    heard = get(tcp_address, "/healthz");
    expect_status("/healthz", heard, 200);
    free(heard);
    for (size_t i = 0; i < ROW_COUNT(rows); i++) { /* some are only closed when their time is up */
        heard = hear(fds[i]);
        ck_assert_msg(strncmp(heard, "HTTP/1.1 2", 10) != 0, "row %zu is answered: %s", i, heard);
        free(heard);
        close(fds[i]);
    }
}
END_TEST

START_TEST(a_head_that_is_too_long_is_refused)
{
    int fd = dial(tcp_address);
    char line[1024] = "X: ";
    char *heard;

    memset(line + 3, 'x', sizeof line - 6);
    strcpy(line + sizeof line - 3, "\r\n");
    say(fd, "GET / HTTP/1.1\r\nHost: localhost\r\n");
    for (size_t i = 0; i < 64; i++) {
        if (send(fd, line, strlen(line), MSG_NOSIGNAL) < 0)
            break; /* it was closed meanwhile */
    }
    heard = hear(fd);
    ck_assert_msg(heard[0] == '\0' || strncmp(heard, "HTTP/1.1 4", 10) == 0, "%s", heard);
    free(heard);
    close(fd);
    heard = get(tcp_address, "/healthz");
    expect_status("/healthz", heard, 200);
    free(heard);
}
END_TEST

START_TEST(every_answer_tells_a_browser_to_be_careful)
{
    static const char *const paths[] = {"/", "/api/status", "/metrics", "/healthz", "/readyz", "/nothing"};
    static const char *const headers[] = {
        "\r\nContent-Security-Policy: default-src 'none'; style-src 'sha256-",
        "; script-src 'sha256-",
        "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n",
        "\r\nX-Content-Type-Options: nosniff\r\n",
        "\r\nCache-Control: no-store\r\n",
        "\r\nX-Frame-Options: DENY\r\n",
        "\r\nReferrer-Policy: no-referrer\r\n",
        "\r\nCross-Origin-Resource-Policy: same-origin\r\n",
    };

    for (size_t i = 0; i < ROW_COUNT(paths); i++) {
        char *heard = get(tcp_address, paths[i]);

        for (size_t j = 0; j < ROW_COUNT(headers); j++)
            expect_in(heard, headers[j]);
        expect_not_in(heard, "unsafe-");
        free(heard);
    }
}
END_TEST

START_TEST(the_page_fetches_nothing_from_elsewhere)
{
    char *page = get(socket_path, "/");

    expect_not_in(body_of(page), "src=");
    expect_not_in(body_of(page), "url(");
    expect_not_in(body_of(page), "@import");
    expect_not_in(body_of(page), "{{");
    for (const char *at = body_of(page); (at = strstr(at, "href=\"")) != NULL; at++)
        ck_assert_msg(at[6] == '/' || at[6] == '#' || strncmp(at + 6, "data:,", 6) == 0, "%.60s", at);
    free(page);
}
END_TEST

START_TEST(one_connection_is_answered_again_and_again)
{
    int fd = dial(tcp_address);
    char bytes[4096];

    for (size_t i = 0; i < 20; i++) {
        ssize_t size = 0;

        say(fd, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
        do {
            ssize_t more = read(fd, bytes + size, sizeof bytes - 1 - (size_t)size);

            ck_assert_int_gt(more, 0);
            size += more;
            bytes[size] = '\0';
        } while (strstr(bytes, "\r\n\r\nok\n") == NULL);
    }
    close(fd);
}
END_TEST

/* ---- what no client can do ---- */

/* Asks on and on, and takes nothing. */
static int dial_deaf(void)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    const int small = 4096;
    int fd = dial(tcp_address);

    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    while (send(fd, request, sizeof request - 1, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
        continue;
    return fd;
}

/* A client that is slow in one way or another, from its beginning until it finds itself closed. */
static void expect_closed_in_time(int fd, uint64_t begun_ns, bool drips)
{
    struct pollfd closed = {.fd = fd, .events = POLLRDHUP};

    while (poll(&closed, 1, 100) == 0) {
        char *heard = get(tcp_address, "/healthz"); /* others are served */

        expect_status("/healthz", heard, 200);
        free(heard);
        ck_assert_uint_lt(clock_now_ns() - begun_ns, (WAIT_MS_MAX + (uint64_t)PATIENCE_MS) * NS_PER_MS);
        if (drips && send(fd, "x", 1, MSG_NOSIGNAL) < 0)
            break;
    }
    ck_assert_uint_ge(clock_now_ns() - begun_ns, (WAIT_MS_MAX - 100) * NS_PER_MS);
    close(fd);
}

START_TEST(a_client_that_is_slow_is_closed_however_busy_it_is)
{
    uint64_t begun_ns = clock_now_ns();
    int dripping = dial(tcp_address), deaf = dial_deaf(), empty = dial(tcp_address), silent = dial(socket_path);

    say(dripping, "GET / HTTP/1.1\r\nHost: localhost\r\n");
    say(empty, "\r\n\r\n");
    expect_closed_in_time(dripping, begun_ns, true);
    expect_closed_in_time(deaf, begun_ns, false);
    expect_closed_in_time(empty, begun_ns, false);
    expect_closed_in_time(silent, begun_ns, false);
}
END_TEST

START_TEST(a_crowd_that_says_nothing_keeps_nobody_out)
{
    enum { CROWD = 4 * CONNECTION_COUNT_MAX };
    size_t fd_count = process_fd_count(server->pid);
    int fds[CROWD];

    for (size_t i = 0; i < CROWD; i++)
        fds[i] = dial(tcp_address);
    for (size_t i = 0; i < 8; i++) {
        char *heard = get(tcp_address, "/healthz");

        expect_status("/healthz", heard, 200);
        free(heard);
    }
    ck_assert_uint_le(process_fd_count(server->pid), fd_count + CONNECTION_COUNT_MAX);
    for (size_t i = 0; i < 8; i++) { /* and the crowd at one address none at the other */
        char *heard = get(socket_path, "/healthz");

        expect_status("/healthz", heard, 200);
        free(heard);
    }
    for (size_t i = 0; i < CROWD; i++)
        close(fds[i]);
    process_wait_fd_count(server->pid, fd_count);
}
END_TEST

/* ---- life ---- */

START_TEST(while_it_drains_it_is_healthy_and_not_ready)
{
    struct call *leased = begin_leased("gate", NULL);
    char *heard = get(tcp_address, "/readyz");

    expect_status("/readyz", heard, 200);
    free(heard);
    kill(server->pid, SIGTERM);
    do {
        heard = get(tcp_address, "/readyz");
        if (strncmp(heard, "HTTP/1.1 503", 12) == 0)
            break;
        free(heard);
    } while (true);
    ck_assert_str_eq(body_of(heard), "draining\n");
    free(heard);
    heard = get(tcp_address, "/healthz");
    expect_status("/healthz", heard, 200);
    free(heard);
    heard = get(socket_path, "/");
    expect_in(heard, "<p id=\"state\" class=\"state draining\">draining</p>");
    free(heard);
    heard = get(tcp_address, "/metrics");
    ck_assert_double_eq(sample(body_of(heard), "probed_draining"), 1);
    free(heard);
    home_open_gate(home, 1);
    expect_plan(leased, "one");
    daemon_wait_stopped(server);
    ck_assert_int_ne(access(socket_path, F_OK), 0);
}
END_TEST

START_TEST(an_address_that_is_taken_is_named)
{
    char rpc[SCRATCH_PATH_SIZE + 32], events[SCRATCH_PATH_SIZE + 32], program[SCRATCH_PATH_SIZE * 4];
    const char *argv[] = {"probed", "--server-listen", rpc,         "--server-publish",
                          events,   "--server-http",   tcp_address, NULL};
    struct child_result result;

    daemon_program("probed", program);
    snprintf(rpc, sizeof rpc, "ipc://%s/other.sock", stage.scratch.path);
    snprintf(events, sizeof events, "ipc://%s/other-events.sock", stage.scratch.path);
    result = child_run(argv, NULL, NULL, 0);
    ck_assert_int_eq(result.exit_status, 1);
    expect_in(result.err, "probed: server.http: cannot listen at 127.0.0.1:");
    expect_in(result.err, "Address already in use");
    child_result_fini(&result);
    argv[6] = socket_path;
    result = child_run(argv, NULL, NULL, 0);
    ck_assert_int_eq(result.exit_status, 1);
    expect_in(result.err, "another probed");
    expect_in(result.err, socket_path);
    child_result_fini(&result);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http");
    TCase *tcase = tcase_create("http"), *trusting = tcase_create("trusting"), *open = tcase_create("open"),
          *draining = tcase_create("draining");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_checked_fixture(trusting, setup_trusting, teardown);
    tcase_add_checked_fixture(open, setup_with_administrator, teardown);
    tcase_add_checked_fixture(draining, setup_patient, teardown);
    for (TCase **each = (TCase *[]){tcase, trusting, open, draining, NULL}; *each != NULL; each++) {
        tcase_set_timeout(*each, patience_test_s());
        suite_add_tcase(suite, *each);
    }
    tcase_add_test(tcase, metrics_tell_what_the_admin_service_tells);
    tcase_add_test(tcase, each_call_counts_once_in_the_histogram);
    tcase_add_test(tcase, metrics_are_well_formed);
    tcase_add_test(tcase, an_administrator_sees_homes_leases_and_invalidations);
    tcase_add_test(trusting, a_loopback_peer_that_is_trusted_sees_them_as_well);
    tcase_add_test(tcase, a_loopback_peer_that_is_not_sees_sums_alone);
    tcase_add_test(tcase, a_stranger_cannot_connect_to_the_unix_socket);
    tcase_add_test(open, where_others_may_connect_only_administrators_are_answered);
    tcase_add_test(tcase, only_what_changes_nothing_and_means_this_machine_is_answered);
    tcase_add_test(tcase, what_is_no_request_is_refused_or_closed);
    tcase_add_test(tcase, a_head_that_is_too_long_is_refused);
    tcase_add_test(tcase, every_answer_tells_a_browser_to_be_careful);
    tcase_add_test(tcase, the_page_fetches_nothing_from_elsewhere);
    tcase_add_test(tcase, one_connection_is_answered_again_and_again);
    tcase_add_test(tcase, a_client_that_is_slow_is_closed_however_busy_it_is);
    tcase_add_test(tcase, a_crowd_that_says_nothing_keeps_nobody_out);
    tcase_add_test(draining, while_it_drains_it_is_healthy_and_not_ready);
    tcase_add_test(tcase, an_address_that_is_taken_is_named);
    return check_main(suite);
}
