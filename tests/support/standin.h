/* A provider that is none: an HTTPS server on 127.0.0.1 that answers what it was taught, and counts.
 *
 * It is taught the exchanges of fixture cases, or single ones.  A request is answered by the first exchange that is
 * still due and that fits in method, path, Host and headers; one that fits none is answered with 599 and kept for the
 * test to see.  Its certificate has the names of all hosts it was taught, by an authority made for the run.
 *
 * Failures end the process: a test cannot go on without.
 * Ownership: create gives, destroy takes.  Threads: any; one of its own.  Locks: one, a leaf. */
#ifndef TESTS_SUPPORT_STANDIN_H
#define TESTS_SUPPORT_STANDIN_H

#include "server/base/text.h"
#include "tests/support/fixture.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is wrong with the whole of it. */
enum standin_fault {
    STANDIN_SOUND,
    STANDIN_REFUSING,  /* nothing listens on its port */
    STANDIN_DEAF,      /* connections are accepted and TLS is never spoken */
    STANDIN_UNTRUSTED, /* its certificate is another authority's */
    STANDIN_MISNAMED   /* its certificate is for another host */
};

/* How an answer is delivered. */
enum standin_delivery {
    STANDIN_WHOLE,
    STANDIN_HELD,     /* the request is read, and answered when standin_release is called */
    STANDIN_DRIPPING, /* a byte now and then */
    STANDIN_BROKEN    /* less of the body than was announced, and the connection closed */
};

struct standin_exchange {
    const char *method;            /* NULL: GET */
    const char *host, *path;       /* the path with its query */
    const json_t *request_headers; /* name to value: those that must be there; NULL: none */
    int status;
    const json_t *answer_headers; /* NULL: none */
    const void *body;
    size_t body_size;
    enum standin_delivery delivery;
};

struct standin;

/* `directory` gets ca.pem. */
struct standin *standin_create(const char *directory);
void standin_destroy(struct standin *standin); /* NULL is fine */

/* ---- before the start ---- */

void standin_set_fault(struct standin *standin, enum standin_fault fault);

/* The first exchange is held until standin_release, so that its answer comes after the others'. */
void standin_set_backwards(struct standin *standin);

/* An exchange need not wait for those taught before it. */
void standin_set_any_order(struct standin *standin);

/* Every exchange as often as it is asked for, in any order: for a person, not for a test that counts. */
void standin_set_tireless(struct standin *standin);

/* Copies the texts, shares the JSON. */
void standin_teach(struct standin *standin, const struct standin_exchange *exchange);

/* All exchanges of the case, its transport errors included; with "rebase" in its meta.json moments in the bodies move
 * with the clock, as if the case's `now` were the present. */
void standin_teach_fixture(struct standin *standin, const struct fixture *fixture);

/* `port` 0: the system's choice. */
void standin_start(struct standin *standin, unsigned port);

/* ---- once it runs ---- */

unsigned standin_port(const struct standin *standin);
const char *standin_ca_file(const struct standin *standin);

/* The words that send a probe-worker here, for a command line: "--cacert FILE --connect-to openrouter.ai:443:…". */
void standin_words(const struct standin *standin, struct text *words);

/* Requests that were read; connections that were made; exchanges that are still due. */
size_t standin_request_count(struct standin *standin);
size_t standin_connection_count(struct standin *standin);
size_t standin_due_count(struct standin *standin);

/* What was asked and not taught, a line each; "" when there was nothing.  Lent until destroy. */
const char *standin_unexpected(struct standin *standin);

/* Waits until so many requests were read, or answered to their end. */
void standin_wait_requests(struct standin *standin, size_t count);
void standin_wait_answers(struct standin *standin, size_t count);

/* Answers the requests that are held now. */
void standin_release(struct standin *standin);

#endif
