/* A provider: one row of facts and the functions that make it differ from the others.
 *
 * The walk of a probe (probe.c) is the same for all and knows no provider; a provider knows no file, no socket and no
 * JSON line.  Adding one takes a file in providers/, a line in providers/table.c and fixtures: README.md.
 *
 * Ownership: rows are constant.  Threads: any. */
#ifndef SERVER_WORKER_PROVIDER_H
#define SERVER_WORKER_PROVIDER_H

#include "server/base/text.h"
#include "server/worker/base_url.h"
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
    PROVIDER_NAME_COUNT_MAX = PROVIDER_VARIABLE_COUNT_MAX + 4 + PROVIDER_SIGN_IN_COUNT_MAX,
    PROVIDER_HEADER_COUNT_MAX = 4,
    PROVIDER_BODY_COUNT_MAX = 4
};

/* A file in which a sign-in is stored, and where in it. */
struct sign_in {
    bool foreign;                   /* below the user's home, not the home */
    const char *directory_variable; /* names the directory instead of the next one; NULL: no variable does */
    const char *directory;          /* of a foreign one, below the user's home */
    const char *file;               /* below the home, or the directory */
    const char *path;               /* document_at: to the object that holds what follows; "*": to each in turn */
    const char *token;              /* names in it */
    const char *expiry;             /* NULL: only a JWT tells */
};

/* What a URL is made of. */
struct target {
    const char *base; /* without a slash at its end */
    const char *part; /* what `part_variable` says; NULL: the row has none */
    int64_t now_s;
};

/* What was answered to the requests of one probe so far. */
struct bodies {
    const json_t *bodies[PROVIDER_BODY_COUNT_MAX]; /* objects; a further one is NULL when its request failed */
    size_t count;
    bool is_otherwise; /* the first came from `path_otherwise` */
    const struct base_url *base;
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
    const char *useless_variable;                           /* holds a kind without an endpoint; NULL: none does */
    const char *told_variable;                              /* others are told to read it (proto/README.md 5); NULL */
    const char *pool_token;                                 /* the only member of a pool entry that counts; NULL: 3.1 */
    struct sign_in sign_ins[PROVIDER_SIGN_IN_COUNT_MAX];    /* `token` NULL at the end */
    unsigned expiry_margin_s;                               /* a sign-in that ends so soon has ended */
    bool (*accepts)(const char *secret);                    /* false: a kind without an endpoint; NULL: takes all */
    const char *unsupported_reason;                         /* for those; NULL: the general sentence */
    const struct provider *(*belongs)(const struct credential *credential); /* whose it is; NULL: always ours */

    /* ---- the request (6, 8.1) ---- */
    const char *base_url;                                 /* NULL: only the override says it */
    const char *base_url_variable;                        /* an override of it; NULL: none, the host is fixed */
    const char *base_url_member;                          /* the same beside the credential, in its file; NULL: none */
    const char *own_domains[PROVIDER_VARIABLE_COUNT_MAX]; /* the only ones that a foreign sign-in is sent to */
    bool own_domains_only;                                /* and the home's own is, too */
    bool base_path_dropped;                               /* scheme, host and port of a base are all that counts */
    const char *path;                                     /* behind the base */
    const char *path_otherwise;                           /* asked for where `path` is not found; NULL: none */
    const char *part_variable; /* a word for the URL ([A-Za-z0-9_-]{1,64}), as needed as a key; NULL: none */
    void (*address)(const struct target *target, struct text *url); /* instead of `path`; NULL: base and path */
    const char *posted;                                             /* a JSON body; NULL: a GET */
    const char *authorization;                                      /* the header up to the credential */
    bool http_1_only; /* HTTP/2 remembers every header but Authorization while a connection lives (RFC 7541, 7.1.3) */
    const char *headers[PROVIDER_HEADER_COUNT_MAX + 1];                        /* whole lines that always go along */
    void (*identify)(const struct credential *credential, struct text *lines); /* further ones, each ended by LF */

    /* ---- the pool (5) ---- */
    const char *pool_source; /* every entry is asked about; NULL: the first that can be used is the credential */
    const char *pool_reason; /* when none of them told anything */
    void (*account)(const struct credential *credential, struct text *name); /* equal: one account; "": unknown */

    /* ---- the answer ---- */
    int limit_status;                                                /* means rate limited, besides 429; 0: none */
    bool (*further)(const struct bodies *bodies, struct text *path); /* one more request; NULL, or false: none */
    bool further_is_needed;                                          /* its failure is the probe's */
    void (*read)(const struct bodies *bodies, struct reading *reading);
};

/* Some vendors go by another name elsewhere (3.2). */
struct provider_alias {
    const char *name, *id;
};

extern const struct provider_alias provider_aliases[]; /* `name` NULL at the end */

/* The id that a name stands for; one that is no alias stands for itself. */
const char *provider_id(const char *name);

/* NULL: a provider without a usage endpoint, or none at all. */
const struct provider *provider_find(const char *id);

/* The variables that the row names, for whatever end, first those that hold its key; how many there are. */
size_t provider_names(const struct provider *provider, const char *names[PROVIDER_NAME_COUNT_MAX]);

/* The rows, by id, NULL at the end: providers/table.c. */
extern const struct provider *const providers[];

#endif
