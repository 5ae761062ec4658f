#include "tests/support/standin.h"

#include "server/base/clock.h"
#include "server/threads/lock.h"
#include "server/worker/stamp.h"
#include "tests/support/authority.h"
#include "tests/support/patience.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    EXCHANGE_COUNT_MAX = 64,
    STATUS_UNEXPECTED = 599,
    DRIP_MS = 20,
    MISSING_SIZE = 64,
    CONNECTION_SIZE_MAX = 1 << 20
};

/* What was taught. */
struct taught {
    char *method, *host, *path; /* owned */
    json_t *request_headers;    /* counted; NULL: none */
    json_t *answer_headers;
    struct text body;
    int status;
    enum standin_delivery delivery;
    bool done; /* guarded by mu */
};

struct standin {
    char ca_file[FIXTURE_PATH_SIZE]; /* fixed at create */

    enum standin_fault fault; /* fixed at start */
    bool tireless, any_order;
    struct taught taught[EXCHANGE_COUNT_MAX];
    size_t taught_count;
    unsigned port;
    int socket_fd; /* of a refusing or deaf one; -1 */
    struct MHD_Daemon *daemon;
    struct authority authority;

    struct lock mu;
    struct condition changed;
    size_t request_count, answer_count;              /* guarded by mu */
    size_t connection_count;                         /* guarded by mu */
    struct text unexpected;                          /* guarded by mu */
    struct MHD_Connection *held[EXCHANGE_COUNT_MAX]; /* guarded by mu: suspended */
    size_t held_count;
    bool stopping; /* guarded by mu */
};

/* One request on its way through libmicrohttpd. */
struct visit {
    char *uri;
    bool read;
    bool counted; /* and matched */
    struct taught *taught;
};

NO_RETURN static void fail(const char *what, const char *why)
{
    fprintf(stderr, "stand-in: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

struct standin *standin_create(const char *directory)
{
    struct standin *standin = calloc(1, sizeof *standin);

    if (standin == NULL)
        fail("create", "memory is short");
    snprintf(standin->ca_file, sizeof standin->ca_file, "%s/ca.pem", directory);
    standin->socket_fd = -1;
    lock_init(&standin->mu, "stand-in");
    condition_init(&standin->changed);
    return standin;
}

void standin_set_fault(struct standin *standin, enum standin_fault fault)
{
    standin->fault = fault;
}

void standin_set_tireless(struct standin *standin)
{
    standin->tireless = true;
}

void standin_set_backwards(struct standin *standin)
{
    if (standin->taught_count > 0)
        standin->taught[0].delivery = STANDIN_HELD;
}

void standin_set_any_order(struct standin *standin)
{
    standin->any_order = true;
}

static json_t *share(const json_t *json)
{
    return json_incref((json_t *)(size_t)json);
}

void standin_teach(struct standin *standin, const struct standin_exchange *exchange)
{
    struct taught *taught = &standin->taught[standin->taught_count];

    if (standin->taught_count == EXCHANGE_COUNT_MAX)
        fail(exchange->path, "too many exchanges");
    standin->taught_count++;
    *taught = (struct taught){.method = strdup(exchange->method == NULL ? "GET" : exchange->method),
                              .host = strdup(exchange->host),
                              .path = strdup(exchange->path),
                              .request_headers = share(exchange->request_headers),
                              .answer_headers = share(exchange->answer_headers),
                              .status = exchange->status,
                              .delivery = exchange->delivery};
    text_add(&taught->body, exchange->body, exchange->body_size);
    if (taught->method == NULL || taught->host == NULL || taught->path == NULL || taught->body.failed)
        fail(exchange->path, "memory is short");
}

/* ---- fixtures ---- */

/* The body with its moments moved from the case's present to ours; bodies that are no JSON stay. */
static void rebase(const struct fixture *fixture, struct text *body)
{
    json_t *json = json_loadb(text_string(body), body->size, 0, NULL);
    struct stamp then = stamp_read(json_object_get(fixture->meta, "now"));
    json_t *shifted;
    char *dump;

    if (json == NULL)
        return;
    shifted = fixture_shift(json, clock_wall_ms() / 1000 - then.s);
    dump = json_dumps(shifted, JSON_COMPACT);
    text_reset(body);
    text_add_string(body, dump == NULL ? "" : dump);
    free(dump);
    json_decref(shifted);
    json_decref(json);
}

static void teach_fault(struct standin *standin, const char *error, struct standin_exchange *exchange)
{
    if (strcmp(error, "timeout") == 0)
        exchange->delivery = STANDIN_HELD;
    else if (strcmp(error, "refused") == 0)
        standin->fault = STANDIN_REFUSING;
    else if (strcmp(error, "tls") == 0)
        standin->fault = STANDIN_UNTRUSTED;
    else
        fail(error, "no such transport error");
}

static void teach_one(struct standin *standin, const struct fixture *fixture, const json_t *given)
{
    const json_t *request = json_object_get(given, "request"), *respond = json_object_get(given, "respond");
    const char *url = json_string_value(json_object_get(request, "url"));
    const char *file = json_string_value(json_object_get(respond, "body_file"));
    const char *error = json_string_value(json_object_get(respond, "transport_error"));
    struct text body = TEXT_EMPTY;
    struct standin_exchange exchange = {.method = json_string_value(json_object_get(request, "method")),
                                        .request_headers = json_object_get(request, "headers"),
                                        .answer_headers = json_object_get(respond, "headers"),
                                        .status = (int)json_integer_value(json_object_get(respond, "status"))};
    char host[256];

    if (url == NULL || strncmp(url, "https://", 8) != 0 || strchr(url + 8, '/') == NULL)
        fail(fixture->stem, "a request without an https URL");
    exchange.path = strchr(url + 8, '/');
    snprintf(host, sizeof host, "%.*s", (int)(exchange.path - url - 8), url + 8);
    exchange.host = host;
    if (file != NULL)
        fixture_read(fixture, file, &body);
    if (json_is_true(json_object_get(fixture->meta, "rebase")))
        rebase(fixture, &body);
    exchange.body = text_string(&body);
    exchange.body_size = body.size;
    if (error != NULL)
        teach_fault(standin, error, &exchange);
    standin_teach(standin, &exchange);
    text_fini(&body);
}

void standin_teach_fixture(struct standin *standin, const struct fixture *fixture)
{
    const json_t *exchange;
    size_t index;

    standin->any_order = standin->any_order || json_is_true(json_object_get(fixture->meta, "any_order"));
    json_array_foreach(json_object_get(fixture->meta, "exchanges"), index, exchange)
        teach_one(standin, fixture, exchange);
}

/* ---- answering ---- */

static bool has_headers(struct MHD_Connection *connection, const struct taught *taught)
{
    const char *name;
    json_t *value;

    json_object_foreach(taught->request_headers, name, value)
    {
        const char *given = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);

        if (given == NULL || strcmp(given, json_string_value(value)) != 0)
            return false;
    }
    return true;
}

static bool fits(struct MHD_Connection *connection, const struct taught *taught, const char *method, const char *uri)
{
    const char *host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host");

    return strcmp(method, taught->method) == 0 && host != NULL && strcmp(host, taught->host) == 0 &&
           strcmp(uri, taught->path) == 0 && has_headers(connection, taught);
}

/* The exchange that answers this request, which is done then; NULL: none. */
static struct taught *find_held(struct standin *standin, struct MHD_Connection *connection, const char *method,
                                const char *uri) REQUIRES(standin->mu)
{
    lock_assert_held(&standin->mu);
    for (size_t i = 0; i < standin->taught_count; i++) {
        struct taught *taught = &standin->taught[i];

        if (taught->done)
            continue;
        if (fits(connection, taught, method, uri)) {
            taught->done = !standin->tireless;
            return taught;
        }
        if (!standin->any_order && !standin->tireless)
            return NULL; /* it was this one's turn */
    }
    return NULL;
}

static ssize_t drip(void *context, uint64_t position, char *out, size_t size_max)
{
    const struct taught *taught = context;

    if (size_max == 0 || position >= taught->body.size)
        return MHD_CONTENT_READER_END_OF_STREAM;
    nanosleep(&(struct timespec){.tv_nsec = DRIP_MS * (long)NS_PER_MS}, NULL); /* slowness is what is played here */
    *out = taught->body.bytes[position];
    return 1;
}

static ssize_t break_off(void *context, uint64_t position, char *out, size_t size_max)
{
    const struct taught *taught = context;
    size_t left = taught->body.size - (size_t)position;

    if (left == 0)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (left > size_max)
        left = size_max;
    memcpy(out, taught->body.bytes + position, left);
    return (ssize_t)left;
}

static enum MHD_Result answer(struct MHD_Connection *connection, struct taught *taught)
{
    struct MHD_Response *response;
    enum MHD_Result queued;
    const char *name;
    json_t *value;

    if (taught->delivery == STANDIN_DRIPPING)
        response = MHD_create_response_from_callback(taught->body.size, 1, drip, taught, NULL);
    else if (taught->delivery == STANDIN_BROKEN)
        response = MHD_create_response_from_callback(taught->body.size + MISSING_SIZE, 4096, break_off, taught, NULL);
    else
        response = MHD_create_response_from_buffer(taught->body.size, taught->body.bytes, MHD_RESPMEM_PERSISTENT);
    if (response == NULL)
        fail(taught->path, "memory is short");
    json_object_foreach(taught->answer_headers, name, value)
        MHD_add_response_header(response, name, json_string_value(value));
    queued = MHD_queue_response(connection, (unsigned)taught->status, response);
    MHD_destroy_response(response);
    return queued;
}

static enum MHD_Result answer_unexpected(struct MHD_Connection *connection)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    enum MHD_Result queued = MHD_queue_response(connection, STATUS_UNEXPECTED, response);

    MHD_destroy_response(response);
    return queued;
}

static void note_unexpected_held(struct standin *standin, struct MHD_Connection *connection, const char *method,
                                 const char *uri) REQUIRES(standin->mu)
{
    const char *host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host");

    lock_assert_held(&standin->mu);
    text_format(&standin->unexpected, "%s %s%s\n", method, host == NULL ? "(no host)" : host, uri);
}

/* Counts the request, finds its exchange, holds it if that is how it is to be answered; true: it is held. */
static bool match(struct standin *standin, struct MHD_Connection *connection, const char *method, struct visit *visit)
{
    bool held;

    lock_acquire(&standin->mu);
    visit->counted = true;
    visit->taught = find_held(standin, connection, method, visit->uri);
    if (visit->taught == NULL)
        note_unexpected_held(standin, connection, method, visit->uri);
    held = visit->taught != NULL && visit->taught->delivery == STANDIN_HELD && standin->held_count < EXCHANGE_COUNT_MAX;
    if (held) {
        standin->held[standin->held_count++] = connection;
        MHD_suspend_connection(connection);
    }
    standin->request_count++;
    condition_broadcast(&standin->changed);
    lock_release(&standin->mu);
    return held;
}

static bool is_stopping(struct standin *standin)
{
    bool stopping;

    lock_acquire(&standin->mu);
    stopping = standin->stopping;
    lock_release(&standin->mu);
    return stopping;
}

/* libmicrohttpd calls it when the head of a request is there, when all of it is, and when a held one goes on. */
static enum MHD_Result visit(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                             const char *version, const char *upload, size_t *upload_size, void **visit_at)
{
    struct standin *standin = context;
    struct visit *visit = *visit_at;

    (void)url;
    (void)version;
    (void)upload;
    if (!visit->read) {
        visit->read = true;
        return MHD_YES;
    }
    if (*upload_size > 0) {
        *upload_size = 0; /* whatever was posted is not looked at */
        return MHD_YES;
    }
    if (is_stopping(standin))
        return MHD_NO;
    if (!visit->counted && match(standin, connection, method, visit))
        return MHD_YES;
    return visit->taught == NULL ? answer_unexpected(connection) : answer(connection, visit->taught);
}

static void *begin_visit(void *context, const char *uri, struct MHD_Connection *connection)
{
    struct visit *visit = calloc(1, sizeof *visit);

    (void)context;
    (void)connection;
    if (visit == NULL || (visit->uri = strdup(uri)) == NULL)
        fail(uri, "memory is short");
    return visit;
}

static void end_visit(void *context, struct MHD_Connection *connection, void **visit_at,
                      enum MHD_RequestTerminationCode code)
{
    struct standin *standin = context;
    struct visit *visit = *visit_at;

    (void)connection;
    lock_acquire(&standin->mu);
    standin->answer_count += code == MHD_REQUEST_TERMINATED_COMPLETED_OK ? 1 : 0;
    condition_broadcast(&standin->changed);
    lock_release(&standin->mu);
    free(visit->uri);
    free(visit);
}

static void note_connection(void *context, struct MHD_Connection *connection, void **connection_at,
                            enum MHD_ConnectionNotificationCode code)
{
    struct standin *standin = context;

    (void)connection;
    (void)connection_at;
    if (code != MHD_CONNECTION_NOTIFY_STARTED)
        return;
    lock_acquire(&standin->mu);
    standin->connection_count++;
    condition_broadcast(&standin->changed);
    lock_release(&standin->mu);
}

/* ---- starting ---- */

static void write_ca(const struct standin *standin, const struct authority *authority)
{
    FILE *file = fopen(standin->ca_file, "w");

    if (file == NULL || fputs(text_string(&authority->ca), file) < 0 || fclose(file) != 0)
        fail(standin->ca_file, strerror(errno));
}

/* Makes the certificate that the fault asks for, and ca.pem. */
static void make_authority(struct standin *standin)
{
    static const char *const other[] = {"other.example.test"};
    const char *hosts[EXCHANGE_COUNT_MAX];
    struct authority another;
    size_t count = 0;

    for (; count < standin->taught_count; count++)
        hosts[count] = standin->taught[count].host;
    if (standin->fault == STANDIN_MISNAMED)
        authority_make(&standin->authority, other, 1);
    else
        authority_make(&standin->authority, hosts, count);
    if (standin->fault == STANDIN_UNTRUSTED) {
        authority_make(&another, hosts, count);
        write_ca(standin, &another);
        authority_fini(&another);
    } else {
        write_ca(standin, &standin->authority);
    }
}

/* A port on which nothing, or nobody, answers. */
static void start_socket(struct standin *standin, struct sockaddr_in *address)
{
    socklen_t size = sizeof *address;

    standin->socket_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (standin->socket_fd < 0 || bind(standin->socket_fd, (struct sockaddr *)address, size) != 0 ||
        (standin->fault == STANDIN_DEAF && listen(standin->socket_fd, 16) != 0) ||
        getsockname(standin->socket_fd, (struct sockaddr *)address, &size) != 0)
        fail("socket", strerror(errno));
    standin->port = ntohs(address->sin_port);
}

void standin_start(struct standin *standin, unsigned port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    make_authority(standin);
    if (standin->fault == STANDIN_REFUSING || standin->fault == STANDIN_DEAF) {
        start_socket(standin, &address);
        return;
    }
    standin->daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_TLS | MHD_ALLOW_SUSPEND_RESUME, (uint16_t)port, NULL, NULL, visit,
        standin, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address, MHD_OPTION_HTTPS_MEM_KEY,
        text_string(&standin->authority.key), MHD_OPTION_HTTPS_MEM_CERT, text_string(&standin->authority.certificate),
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_SIZE_MAX, MHD_OPTION_URI_LOG_CALLBACK, begin_visit, NULL,
        MHD_OPTION_NOTIFY_COMPLETED, end_visit, standin, MHD_OPTION_NOTIFY_CONNECTION, note_connection, standin,
        MHD_OPTION_END);
    if (standin->daemon == NULL)
        fail("start", strerror(errno));
    standin->port = MHD_get_daemon_info(standin->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
}

static void release(struct standin *standin, bool stopping)
{
    lock_acquire(&standin->mu);
    standin->stopping = stopping;
    while (standin->held_count > 0)
        MHD_resume_connection(standin->held[--standin->held_count]);
    lock_release(&standin->mu);
}

void standin_release(struct standin *standin)
{
    release(standin, false);
}

void standin_destroy(struct standin *standin)
{
    if (standin == NULL)
        return;
    if (standin->daemon != NULL) {
        release(standin, true); /* libmicrohttpd does not stop while a connection is suspended */
        MHD_stop_daemon(standin->daemon);
    }
    if (standin->socket_fd >= 0)
        close(standin->socket_fd);
    for (size_t i = 0; i < standin->taught_count; i++) {
        free(standin->taught[i].method);
        free(standin->taught[i].host);
        free(standin->taught[i].path);
        json_decref(standin->taught[i].request_headers);
        json_decref(standin->taught[i].answer_headers);
        text_fini(&standin->taught[i].body);
    }
    authority_fini(&standin->authority);
    text_fini(&standin->unexpected);
    condition_fini(&standin->changed);
    lock_fini(&standin->mu);
    free(standin);
}

/* ---- looking ---- */

unsigned standin_port(const struct standin *standin)
{
    return standin->port;
}

const char *standin_ca_file(const struct standin *standin)
{
    return standin->ca_file;
}

void standin_words(const struct standin *standin, struct text *words)
{
    text_format(words, "--cacert %s", standin->ca_file);
    for (size_t i = 0; i < standin->taught_count; i++) {
        bool said = false;

        for (size_t j = 0; j < i; j++)
            said = said || strcmp(standin->taught[i].host, standin->taught[j].host) == 0;
        if (!said)
            text_format(words, " --connect-to %s:443:127.0.0.1:%u", standin->taught[i].host, standin->port);
    }
}

static size_t read_count(struct standin *standin, const size_t *count)
{
    size_t value;

    lock_acquire(&standin->mu);
    value = *count;
    lock_release(&standin->mu);
    return value;
}

size_t standin_request_count(struct standin *standin)
{
    return read_count(standin, &standin->request_count);
}

size_t standin_connection_count(struct standin *standin)
{
    return read_count(standin, &standin->connection_count);
}

size_t standin_due_count(struct standin *standin)
{
    size_t count = 0;

    lock_acquire(&standin->mu);
    for (size_t i = 0; i < standin->taught_count; i++)
        count += standin->taught[i].done ? 0 : 1;
    lock_release(&standin->mu);
    return count;
}

const char *standin_unexpected(struct standin *standin)
{
    const char *lines;

    lock_acquire(&standin->mu);
    lines = text_string(&standin->unexpected);
    lock_release(&standin->mu);
    return lines;
}

static void wait_count(struct standin *standin, const size_t *counter, size_t count)
{
    uint64_t due_ns = clock_now_ns() + PATIENCE_MS * NS_PER_MS;
    bool in_time = true;

    lock_acquire(&standin->mu);
    while (*counter < count && in_time)
        in_time = condition_wait(&standin->changed, &standin->mu, due_ns);
    lock_release(&standin->mu);
    if (!in_time)
        fail("wait", "the request, or its answer's end, never came");
}

void standin_wait_requests(struct standin *standin, size_t count)
{
    wait_count(standin, &standin->request_count, count);
}

void standin_wait_answers(struct standin *standin, size_t count)
{
    wait_count(standin, &standin->answer_count, count);
}
