#include "server/worker/http.h"

#include "server/base/clock.h"
#include "server/worker/base_url.h"
#include "server/worker/memory.h"

#include <curl/curl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* One wait: a reader that leaves is noticed by its descriptor, this is only for what poll cannot tell. */
enum { WAIT_MS_MAX = 1000 };

struct http {
    struct http_settings settings; /* fixed at create */
    const char *ca_file, *ca_directory;
    struct curl_slist *connect_to;
    CURLM *multi;
    CURL *easy; /* reset and used again: its TLS sessions stay */
};

/* A request under way. */
struct http_exchange {
    struct http_answer *answer;
    size_t headers_size;
    bool oversized;
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
    http->multi = curl_multi_init();
    http->easy = curl_easy_init();
    if (http->multi != NULL && http->easy != NULL &&
        (http->connect_to != NULL || settings->connect_to == NULL || settings->connect_to[0] == NULL))
        return http;
    http_destroy(http);
    return NULL;
}

void http_destroy(struct http *http)
{
    if (http == NULL)
        return;
    curl_easy_cleanup(http->easy);
    curl_multi_cleanup(http->multi);
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

#define HTTP_SET(option, value) (set = set && curl_easy_setopt(http->easy, option, value) == CURLE_OK)

/* A refused option is a failure: the request must not go out without what it stands for. */
static bool http_set_options(struct http *http, const char *url, struct curl_slist *headers, uint64_t left_ms,
                             struct http_exchange *exchange)
{
    bool set = true;

    curl_easy_reset(http->easy);
    HTTP_SET(CURLOPT_URL, url);
    HTTP_SET(CURLOPT_PROTOCOLS_STR, base_url_is_plain(url) ? "http" : "https");
    HTTP_SET(CURLOPT_FOLLOWLOCATION, 0L);
    HTTP_SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    HTTP_SET(CURLOPT_NOSIGNAL, 1L);
    HTTP_SET(CURLOPT_QUICK_EXIT, 1L); /* do not wait for a name server when time is up */
    HTTP_SET(CURLOPT_TIMEOUT_MS, (long)left_ms);
    HTTP_SET(CURLOPT_CONNECTTIMEOUT_MS, (long)left_ms);
    HTTP_SET(CURLOPT_HTTPHEADER, headers);
    HTTP_SET(CURLOPT_USERAGENT, http->settings.user_agent);
    HTTP_SET(CURLOPT_ACCEPT_ENCODING, "gzip");
    HTTP_SET(CURLOPT_WRITEFUNCTION, http_take_body);
    HTTP_SET(CURLOPT_WRITEDATA, exchange);
    HTTP_SET(CURLOPT_HEADERFUNCTION, http_take_header);
    HTTP_SET(CURLOPT_HEADERDATA, exchange);
    if (http->connect_to != NULL)
        HTTP_SET(CURLOPT_CONNECT_TO, http->connect_to);
    if (http->ca_file != NULL)
        HTTP_SET(CURLOPT_CAINFO, http->ca_file);
    if (http->ca_directory != NULL)
        HTTP_SET(CURLOPT_CAPATH, http->ca_directory);
    return set;
}

/* Whether the other end of our answers is closed. */
static bool http_is_abandoned(const struct http *http)
{
    struct pollfd reader = {.fd = http->settings.reader_fd};

    return reader.fd >= 0 && poll(&reader, 1, 0) > 0;
}

/* Drives the transfer to its end; false when it was given up, with the reason in *end_out. */
static bool http_drive(struct http *http, uint64_t deadline_ns, CURLcode *code_out, enum http_end *end_out)
{
    for (;;) {
        int running_count = 0, message_count;
        uint64_t now_ns = clock_now_ns();
        struct curl_waitfd reader = {.fd = http->settings.reader_fd};
        CURLMsg *message;

        if (curl_multi_perform(http->multi, &running_count) != CURLM_OK) {
            *end_out = HTTP_UNREACHABLE;
            return false;
        }
        message = curl_multi_info_read(http->multi, &message_count);
        if (message != NULL && message->msg == CURLMSG_DONE) {
            *code_out = message->data.result;
            return true;
        }
        if (now_ns >= deadline_ns || http_is_abandoned(http)) {
            *end_out = now_ns >= deadline_ns ? HTTP_TIMED_OUT : HTTP_ABANDONED;
            return false;
        }
        /* libcurl shortens the wait to its own timers; the reader's closing wakes it. */
        curl_multi_poll(http->multi, &reader, reader.fd >= 0 ? 1 : 0,
                        (int)(deadline_ns - now_ns < WAIT_MS_MAX * NS_PER_MS
                                  ? (deadline_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS
                                  : WAIT_MS_MAX),
                        NULL);
    }
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
        return status > 0 ? HTTP_UNREADABLE : HTTP_UNREACHABLE;
    default:
        return HTTP_UNREACHABLE;
    }
}

static void http_take_retry_after(struct http *http, struct http_answer *answer)
{
    struct curl_header *header;

    if (curl_easy_header(http->easy, "Retry-After", 0, CURLH_HEADER, -1, &header) == CURLHE_OK &&
        strlen(header->value) < sizeof answer->retry_after)
        memcpy(answer->retry_after, header->value, strlen(header->value) + 1);
}

void http_get(struct http *http, const char *url, const struct text *lines, uint64_t deadline_ns,
              struct http_answer *answer_out)
{
    struct http_exchange exchange = {.answer = answer_out};
    struct curl_slist *headers = http_header_list(lines);
    uint64_t now_ns = clock_now_ns();
    CURLcode code = CURLE_OK;
    long status = 0;

    *answer_out = (struct http_answer){.end = HTTP_TIMED_OUT};
    if (now_ns >= deadline_ns)
        goto free_headers;
    answer_out->end = HTTP_UNREACHABLE;
    if (headers == NULL || !http_set_options(http, url, headers, (deadline_ns - now_ns) / NS_PER_MS + 1, &exchange) ||
        curl_multi_add_handle(http->multi, http->easy) != CURLM_OK)
        goto free_headers;
    if (http_drive(http, deadline_ns, &code, &answer_out->end)) {
        curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &status);
        answer_out->end = http_end_of(code, &exchange, status);
        answer_out->status = (int)status;
        http_take_retry_after(http, answer_out);
    }
    curl_multi_remove_handle(http->multi, http->easy);
free_headers:
    curl_easy_reset(http->easy); /* forgets the headers */
    curl_slist_free_all(headers);
}

void http_answer_fini(struct http_answer *answer)
{
    text_wipe(&answer->body);
}
