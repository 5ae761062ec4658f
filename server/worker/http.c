#include "server/worker/http.h"

#include "server/base/clock.h"
#include "server/worker/base_url.h"
#include "server/worker/memory.h"

#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum {
    WAIT_MS_MAX = 1000,                          /* a reader that leaves wakes us; this is for what poll cannot tell */
    CONNECTIONS_KEPT = 2 * HTTP_FLIGHT_COUNT_MAX /* idle: a pool's, and those of other providers */
};

/* A request under way. */
struct http_exchange {
    CURL *easy; /* owned, made when it is first needed; reset and used again */
    struct curl_slist *headers;
    struct http_answer *answer; /* NULL: none is under way */
    size_t headers_size;
    bool oversized;
    uint64_t due_ns;
};

struct http {
    struct http_settings settings; /* fixed at create */
    const char *ca_file, *ca_directory;
    struct curl_slist *connect_to;
    CURLM *multi;
    CURLSH *share; /* TLS sessions are an easy handle's own otherwise */
    struct http_exchange exchanges[HTTP_FLIGHT_COUNT_MAX];
};

/* ---- setting up ---- */

static struct curl_slist *http_list(const char *const *lines)
{
    struct curl_slist *list = NULL;

    for (; lines != NULL && *lines != NULL; lines++) {
        struct curl_slist *longer = curl_slist_append(list, *lines);

        if (longer == NULL) {
            curl_slist_free_all(list);
            return NULL;
        }
        list = longer;
    }
    return list;
}

/* NULL for what is not set, or empty. */
static const char *http_environment(const char *name)
{
    const char *value = getenv(name);

    return value == NULL || value[0] == '\0' ? NULL : value;
}

static bool http_open(struct http *http)
{
    http->multi = curl_multi_init();
    http->share = curl_share_init();
    return http->multi != NULL && http->share != NULL &&
           curl_share_setopt(http->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) == CURLSHE_OK &&
           curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT) == CURLM_OK;
}

struct http *http_create(const struct http_settings *settings)
{
    struct http *http = calloc(1, sizeof *http);

    if (http == NULL)
        return NULL;
    http->settings = *settings;
    http->ca_file = settings->ca_file != NULL ? settings->ca_file : http_environment("SSL_CERT_FILE");
    http->ca_directory = settings->ca_file != NULL ? NULL : http_environment("SSL_CERT_DIR");
    if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, memory_free, memory_resize, strdup, calloc) != CURLE_OK) {
        free(http);
        return NULL;
    }
    http->connect_to = http_list(settings->connect_to);
    if (http_open(http) &&
        (http->connect_to != NULL || settings->connect_to == NULL || settings->connect_to[0] == NULL))
        return http;
    http_destroy(http);
    return NULL;
}

void http_destroy(struct http *http)
{
    if (http == NULL)
        return;
    for (size_t i = 0; i < HTTP_FLIGHT_COUNT_MAX; i++)
        curl_easy_cleanup(http->exchanges[i].easy);
    curl_multi_cleanup(http->multi);
    curl_share_cleanup(http->share);
    curl_slist_free_all(http->connect_to);
    curl_global_cleanup();
    free(http);
}

/* ---- what libcurl calls ---- */

/* Fewer bytes than were given end the transfer. */
static size_t http_take_body(char *bytes, size_t one, size_t size, void *context)
{
    struct http_exchange *exchange = context;
    struct text *body = &exchange->answer->body;

    (void)one; /* always 1 */
    if (size > HTTP_BODY_SIZE_MAX - body->size) {
        exchange->oversized = true;
        return 0;
    }
    text_add(body, bytes, size);
    return body->failed ? 0 : size;
}

static size_t http_take_header(char *bytes, size_t one, size_t size, void *context)
{
    struct http_exchange *exchange = context;

    (void)bytes;
    (void)one;
    exchange->headers_size += size;
    exchange->oversized = exchange->oversized || exchange->headers_size > HTTP_HEADERS_SIZE_MAX;
    return exchange->oversized ? 0 : size;
}

/* ---- one request ---- */

/* The lines as libcurl wants them; NULL when memory is short. */
static struct curl_slist *http_header_list(const struct text *lines)
{
    struct curl_slist *list = NULL;
    const char *at = text_string(lines);

    while (*at != '\0') {
        size_t size = strcspn(at, "\n");
        struct text line = TEXT_EMPTY;
        struct curl_slist *longer;

        text_add(&line, at, size);
        longer = line.failed ? NULL : curl_slist_append(list, text_string(&line));
        text_wipe(&line);
        if (longer == NULL) {
            curl_slist_free_all(list);
            return NULL;
        }
        list = longer;
        at += size + (at[size] == '\n' ? 1 : 0);
    }
    return list;
}

#define HTTP_SET(option, value) (set = set && curl_easy_setopt(exchange->easy, option, value) == CURLE_OK)

/* A refused option is a failure: the request must not go out without what it stands for. */
static bool http_set_options(const struct http *http, struct http_exchange *exchange,
                             const struct http_request *request, uint64_t left_ms)
{
    bool set = true;

    HTTP_SET(CURLOPT_URL, request->url);
    HTTP_SET(CURLOPT_PROTOCOLS_STR, base_url_is_plain(request->url) ? "http" : "https");
    HTTP_SET(CURLOPT_HTTP_VERSION, request->http_1_only ? (long)CURL_HTTP_VERSION_1_1 : (long)CURL_HTTP_VERSION_2TLS);
    HTTP_SET(CURLOPT_PIPEWAIT, 1L); /* rather a stream of a connection that is being made than another connection */
    HTTP_SET(CURLOPT_FOLLOWLOCATION, 0L);
    HTTP_SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    HTTP_SET(CURLOPT_SHARE, http->share);
    HTTP_SET(CURLOPT_NOSIGNAL, 1L);
    HTTP_SET(CURLOPT_QUICK_EXIT, 1L); /* do not wait for a name server when time is up */
    HTTP_SET(CURLOPT_TIMEOUT_MS, (long)left_ms);
    HTTP_SET(CURLOPT_CONNECTTIMEOUT_MS, (long)left_ms);
    HTTP_SET(CURLOPT_HTTPHEADER, exchange->headers);
    HTTP_SET(CURLOPT_USERAGENT, http->settings.user_agent);
    HTTP_SET(CURLOPT_ACCEPT_ENCODING, "gzip");
    HTTP_SET(CURLOPT_WRITEFUNCTION, http_take_body);
    HTTP_SET(CURLOPT_WRITEDATA, exchange);
    HTTP_SET(CURLOPT_HEADERFUNCTION, http_take_header);
    HTTP_SET(CURLOPT_HEADERDATA, exchange);
    HTTP_SET(CURLOPT_PRIVATE, exchange);
    if (base_url_is_plain(request->url))
        HTTP_SET(CURLOPT_PROXY, ""); /* this machine: a proxy would be handed the key in the clear, and is elsewhere */
    if (request->posted != NULL)
        HTTP_SET(CURLOPT_POSTFIELDS, request->posted);
    if (http->connect_to != NULL)
        HTTP_SET(CURLOPT_CONNECT_TO, http->connect_to);
    if (http->ca_file != NULL)
        HTTP_SET(CURLOPT_CAINFO, http->ca_file);
    if (http->settings.ca_file != NULL)
        HTTP_SET(CURLOPT_CAPATH, (const char *)NULL); /* else the system's authorities were trusted beside it */
    if (http->ca_directory != NULL)
        HTTP_SET(CURLOPT_CAPATH, http->ca_directory);
    return set;
}

/* Landlock's answer to a connect that is not allowed. */
static bool http_is_forbidden(CURL *easy)
{
    long error = 0;

    return curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &error) == CURLE_OK && error == EACCES;
}

static enum http_end http_end_of(CURLcode code, const struct http_exchange *exchange, long status)
{
    if (exchange->oversized)
        return HTTP_OVERSIZED;
    switch (code) {
    case CURLE_OK:
        return HTTP_ANSWERED;
    case CURLE_OPERATION_TIMEDOUT:
        return HTTP_TIMED_OUT;
    case CURLE_PARTIAL_FILE:
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_WRITE_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return status > 0 ? HTTP_UNREADABLE : HTTP_UNREACHABLE;
    case CURLE_COULDNT_CONNECT:
        return http_is_forbidden(exchange->easy) ? HTTP_FORBIDDEN : HTTP_UNREACHABLE;
    default:
        return HTTP_UNREACHABLE;
    }
}

static void http_take_retry_after(CURL *easy, struct http_answer *answer)
{
    struct curl_header *header;

    if (curl_easy_header(easy, "Retry-After", 0, CURLH_HEADER, -1, &header) == CURLHE_OK &&
        strlen(header->value) < sizeof answer->retry_after)
        memcpy(answer->retry_after, header->value, strlen(header->value) + 1);
}

/* The exchange is free again, and has forgotten its headers. */
static void http_clear(struct http_exchange *exchange)
{
    if (exchange->easy != NULL)
        curl_easy_reset(exchange->easy);
    curl_slist_free_all(exchange->headers);
    exchange->headers = NULL;
    exchange->answer = NULL;
}

/* Puts it under way; when that fails the answer says so and the exchange is free. */
static void http_start(struct http *http, struct http_exchange *exchange, const struct http_request *request,
                       uint64_t deadline_ns, struct http_answer *answer)
{
    uint64_t now_ns = clock_now_ns(), due_ns = now_ns + request->timeout_ms * NS_PER_MS;

    *answer = (struct http_answer){.end = HTTP_UNREACHABLE};
    due_ns = due_ns < deadline_ns ? due_ns : deadline_ns;
    if (now_ns >= due_ns) {
        answer->end = HTTP_TIMED_OUT;
        return;
    }
    *exchange = (struct http_exchange){.easy = exchange->easy == NULL ? curl_easy_init() : exchange->easy,
                                       .headers = http_header_list(request->lines),
                                       .answer = answer,
                                       .due_ns = due_ns};
    if (exchange->easy == NULL || exchange->headers == NULL ||
        !http_set_options(http, exchange, request, (due_ns - now_ns) / NS_PER_MS + 1) ||
        curl_multi_add_handle(http->multi, exchange->easy) != CURLM_OK)
        http_clear(exchange);
    answer->is_asked = exchange->answer != NULL;
}

/* Ends what is under way, and wherefore. */
static void http_stop(struct http *http, struct http_exchange *exchange, enum http_end end)
{
    exchange->answer->end = end;
    curl_multi_remove_handle(http->multi, exchange->easy);
    http_clear(exchange);
}

static void http_finish(struct http *http, struct http_exchange *exchange, CURLcode code)
{
    struct http_answer *answer = exchange->answer;
    long status = 0;

    curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &status);
    answer->status = (int)status;
    http_take_retry_after(exchange->easy, answer);
    http_stop(http, exchange, http_end_of(code, exchange, status));
}

/* ---- all of them ---- */

/* Whether the other end of our answers is closed. */
static bool http_is_abandoned(const struct http *http)
{
    struct pollfd reader = {.fd = http->settings.reader_fd};

    return reader.fd >= 0 && poll(&reader, 1, 0) > 0;
}

/* Finishes those that libcurl is done with. */
static void http_collect(struct http *http)
{
    CURLMsg *message;
    int message_count;

    while ((message = curl_multi_info_read(http->multi, &message_count)) != NULL) {
        CURLcode code = message->data.result; /* the message is gone with its handle */
        struct http_exchange *exchange = NULL;

        if (message->msg == CURLMSG_DONE &&
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &exchange) == CURLE_OK && exchange != NULL)
            http_finish(http, exchange, code);
    }
}

/* Stops those whose time is up; when the next one's is, 0 when none is under way. */
static uint64_t http_stop_overdue(struct http *http, uint64_t now_ns)
{
    uint64_t next_ns = 0;

    for (size_t i = 0; i < HTTP_FLIGHT_COUNT_MAX; i++) {
        struct http_exchange *exchange = &http->exchanges[i];

        if (exchange->answer == NULL)
            continue;
        if (exchange->due_ns <= now_ns)
            http_stop(http, exchange, HTTP_TIMED_OUT);
        else if (next_ns == 0 || exchange->due_ns < next_ns)
            next_ns = exchange->due_ns;
    }
    return next_ns;
}

static void http_stop_all(struct http *http, enum http_end end)
{
    for (size_t i = 0; i < HTTP_FLIGHT_COUNT_MAX; i++) {
        if (http->exchanges[i].answer != NULL)
            http_stop(http, &http->exchanges[i], end);
    }
}

static struct http_exchange *http_idle(struct http *http)
{
    for (size_t i = 0; i < HTTP_FLIGHT_COUNT_MAX; i++) {
        if (http->exchanges[i].answer == NULL)
            return &http->exchanges[i];
    }
    return NULL;
}

/* Moves what is under way, then waits until there is more to do, but not with `more_waiting` and room for it; false
 * when nothing is under way any more. */
static bool http_drive(struct http *http, bool more_waiting)
{
    struct curl_waitfd reader = {.fd = http->settings.reader_fd};
    uint64_t now_ns, next_ns;
    int running_count;

    if (curl_multi_perform(http->multi, &running_count) != CURLM_OK) {
        http_stop_all(http, HTTP_UNREACHABLE);
        return false;
    }
    http_collect(http);
    now_ns = clock_now_ns();
    next_ns = http_stop_overdue(http, now_ns);
    if (next_ns == 0)
        return false;
    if (!more_waiting || http_idle(http) == NULL)
        /* libcurl shortens the wait to its own timers; the reader's closing wakes it. */
        curl_multi_poll(http->multi, &reader, reader.fd >= 0 ? 1 : 0,
                        (int)(next_ns - now_ns < WAIT_MS_MAX * NS_PER_MS
                                  ? (next_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS
                                  : WAIT_MS_MAX),
                        NULL);
    return true;
}

void http_ask(struct http *http, const struct http_request *requests, size_t count, uint64_t deadline_ns,
              struct http_answer *answers_out)
{
    struct http_exchange *exchange;
    size_t started = 0;
    bool driven;

    do {
        if (http_is_abandoned(http))
            break;
        for (; started < count && (exchange = http_idle(http)) != NULL; started++)
            http_start(http, exchange, &requests[started], deadline_ns, &answers_out[started]);
        driven = http_drive(http, started < count);
    } while (driven || started < count);
    http_stop_all(http, HTTP_ABANDONED);
    for (; started < count; started++)
        answers_out[started] = (struct http_answer){.end = HTTP_ABANDONED};
}

void http_answer_fini(struct http_answer *answer)
{
    text_wipe(&answer->body);
}
