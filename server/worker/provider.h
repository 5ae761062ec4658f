/* A provider: one row of facts and the functions that make it differ from the others.
 *
 * The walk of a probe (probe.c) is the same for all and knows no provider; a provider knows no file, no socket and no
 * JSON line.  Adding one takes a file in providers/, a line in providers/table.c and fixtures: README.md.
 *
 * Ownership: rows are constant.  Threads: any. */
#ifndef SERVER_WORKER_PROVIDER_H
#define SERVER_WORKER_PROVIDER_H

#include "server/base/text.h"
#include "server/worker/credentials.h"
#include "server/worker/outcome.h"
#include "server/worker/reading.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PROVIDER_VARIABLE_COUNT_MAX = 4,
    PROVIDER_SIGN_IN_COUNT_MAX = 4,
    PROVIDER_HEADER_COUNT_MAX = 4,
    PROVIDER_BODY_COUNT_MAX = 2
};

/* A file in which a sign-in is stored, and where in it. */
struct sign_in {
    bool foreign;                   /* below the user's home, not the home */
    const char *directory_variable; /* names the directory instead of the next one; NULL: no variable does */
    const char *directory;          /* of a foreign one, below the user's home */
    const char *file;               /* below the home, or the directory */
    const char *path;               /* document_at: to the object that holds what follows */
    const char *token;              /* names in it */
    const char *expiry;             /* NULL: only a JWT tells */
};

/* What was answered to the requests of one probe so far. */
struct bodies {
    const json_t *bodies[PROVIDER_BODY_COUNT_MAX]; /* objects; a further one is NULL when its request failed */
    size_t count;
    const struct credential *credential;
    int64_t now_s;
};

struct provider {
    const char *id;
    const char *source, *title;
    unsigned min_interval_s; /* polling manners (8.7) */
    unsigned timeout_ms;     /* of one request (8.3) */

    /* ---- credentials (3) ---- */
    enum credential_kind kind;                              /* of a key from the request, a variable or the pool */
    const char *variables[PROVIDER_VARIABLE_COUNT_MAX + 1]; /* first wins; NULL at the end */
    struct sign_in sign_ins[PROVIDER_SIGN_IN_COUNT_MAX];    /* `token` NULL at the end */
    unsigned expiry_margin_s;                               /* a sign-in that ends so soon has ended */
    bool (*accepts)(const char *secret);                    /* false: a kind without an endpoint; NULL: takes all */
    const char *unsupported_reason;                         /* for those; NULL: the general sentence */

    /* ---- the request (6, 8.1) ---- */
    const char *base_url;
    const char *base_url_variable;                        /* an override of it; NULL: none */
    const char *own_domains[PROVIDER_VARIABLE_COUNT_MAX]; /* the only ones that a foreign sign-in is sent to */
    const char *path;                                     /* behind the base */
    void (*address)(const char *base, struct text *url);  /* instead of `path`; NULL: base and path */
    const char *authorization;                            /* the header up to the credential */
    const char *headers[PROVIDER_HEADER_COUNT_MAX + 1];   /* whole lines that always go along */
    void (*identify)(const struct credential *credential, struct text *lines); /* further ones, each ended by LF */

    /* ---- the answer ---- */
    const char *(*further)(const struct bodies *bodies); /* the path of one more request; NULL (also result): none */
    void (*read)(const struct bodies *bodies, struct reading *reading);
};

/* NULL: a provider without a usage endpoint, or none at all. */
const struct provider *provider_find(const char *id);

/* The rows, NULL at the end: providers/table.c. */
extern const struct provider *const providers[];

#endif
