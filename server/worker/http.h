/* HTTPS to providers: a few requests at a time, bounded in time and size, over connections that are kept warm.
 *
 * The rules of PROVIDERS.md 8: TLS 1.2 with verification, no redirect, no cookie, no netrc, nothing but https (http to
 * a loopback base URL, and by no proxy), at most HTTP_BODY_SIZE_MAX bytes after decoding.  One libcurl multi handle
 * lives as long as the worker, and in it connections, TLS sessions and looked-up names; HTTP/2 where it is offered, and
 * requests to one host share a connection then.
 *
 * Requests end early when nobody is left to hear the answer: the reader of our answers has closed its end.
 *
 * Threads: one.  Time: deadlines are absolute nanoseconds of CLOCK_MONOTONIC, never overrun: not by a name server that
 * is silent, not by a peer that sends a byte now and then. */
#ifndef SERVER_WORKER_HTTP_H
#define SERVER_WORKER_HTTP_H

#include "proto/compiler.h"
#include "server/base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HTTP_BODY_SIZE_MAX = 1048576,
    HTTP_HEADERS_SIZE_MAX = 65536,
    HTTP_HEADER_VALUE_SIZE = 64,
    HTTP_FLIGHT_COUNT_MAX = 6 /* requests under way (PROVIDERS.md 5.2) */
};

struct http;

/* Lent until http_destroy. */
struct http_settings {
    const char *const *connect_to; /* HOST:PORT:ADDR:PORT as curl has it, NULL at the end; NULL: none */
    const char *ca_file;           /* NULL: SSL_CERT_FILE and SSL_CERT_DIR, else the system's */
    const char *user_agent;
    int reader_fd; /* where our answers go; -1: not watched */
};

struct http_request {
    const char *url;
    const struct text *lines; /* the header lines to send, each ended by LF; the caller's to wipe */
    const char *posted;       /* the body of a POST; NULL: a GET */
    bool http_1_only;
    unsigned timeout_ms; /* from the moment that it is under way */
};

enum http_end {
    HTTP_ANSWERED,    /* status, body and retry_after are there */
    HTTP_OVERSIZED,   /* status is there */
    HTTP_UNREADABLE,  /* status is there; the body broke off, or its encoding is broken */
    HTTP_TIMED_OUT,   /* by its timeout, or by the deadline, perhaps before it was under way */
    HTTP_UNREACHABLE, /* name, connection or TLS */
    HTTP_FORBIDDEN,   /* this worker may not connect to that port: its seal says so */
    HTTP_ABANDONED    /* the reader of our answers has gone */
};

struct http_answer {
    enum http_end end;
    bool is_asked; /* it was under way, however it ended */
    int status;
    struct text body;                         /* decoded; http_answer_fini() it */
    char retry_after[HTTP_HEADER_VALUE_SIZE]; /* "": none, or too long to be one */
};

/* NULL when libcurl cannot start. */
MUST_USE struct http *http_create(const struct http_settings *settings);
void http_destroy(struct http *http); /* NULL is fine */

/* Asks all of them, in their order, so many at a time; the answer to each is in its place, whichever came first. */
void http_ask(struct http *http, const struct http_request *requests, size_t count, uint64_t deadline_ns,
              struct http_answer *answers_out);
void http_answer_fini(struct http_answer *answer);

#endif
