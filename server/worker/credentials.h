/* Which credential a probe uses: PROVIDERS.md 3, in its order.
 *
 * 1. the request's; 2. for each of the provider's variables, the home's `.env`, then the environment; 3. the pool of
 * auth.json; 4. stored sign-ins, the home's own, and other tools' when that is allowed.  The first that can be used
 * is: placeholders count as absent, sign-ins past their time and kinds without an endpoint are passed over and
 * remembered, so that the answer can say why there was none.
 *
 * A keyring is what the two trees said at one moment; it is opened for one probe and wiped behind it.  Nothing is
 * written and nothing refreshed.
 *
 * What is stored is walked by credential_walk, whoever asks: a search takes the first that can be used, a reader
 * (server/reader) all there is.
 *
 * Ownership: a credential's secret is its own, its record is lent by the keyring: credential_fini() first.
 * Threads: none of its own. */
#ifndef SERVER_WORKER_CREDENTIALS_H
#define SERVER_WORKER_CREDENTIALS_H

#include "proto/compiler.h"
#include "server/base/text.h"
#include "server/worker/files.h"
#include "server/worker/outcome.h"
#include "server/worker/stamp.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct provider;

enum { KEYRING_DOCUMENT_COUNT_MAX = 4 };

struct keyring {
    const struct files *files;                     /* lent */
    struct text dotenv;                            /* the home's `.env`, as it is */
    json_t *auth;                                  /* the home's auth.json; NULL: none that can be read */
    json_t *documents[KEYRING_DOCUMENT_COUNT_MAX]; /* other files that a search opened */
    size_t document_count;
};

enum credential_origin {
    CREDENTIAL_FROM_REQUEST,
    CREDENTIAL_FROM_VARIABLE,
    CREDENTIAL_FROM_POOL,
    CREDENTIAL_FROM_HOME,   /* a sign-in stored in the home */
    CREDENTIAL_FROM_FOREIGN /* another tool's sign-in */
};

struct credential {
    struct text secret; /* printable ASCII without blanks */
    enum credential_kind kind;
    enum credential_origin origin;
    const char *place;    /* the variable or file that it was found in, for a person; static; NULL: the request */
    const json_t *record; /* the object that it was found in; NULL: request, variable */
};

enum credential_search {
    CREDENTIAL_FOUND,
    CREDENTIAL_ABSENT,
    CREDENTIAL_UNSENDABLE,  /* bytes that cannot stand in a header */
    CREDENTIAL_UNSUPPORTED, /* a kind without a usage endpoint */
    CREDENTIAL_PAST,        /* a sign-in past its time */
    CREDENTIAL_NO_MEMORY
};

/* Something stored for a provider, whether or not it can be used. */
struct candidate {
    const char *secret; /* lent; NULL: there is none, or it is kept elsewhere */
    size_t size;
    enum credential_kind kind;
    enum credential_origin origin;
    const char *place;    /* as in struct credential */
    const json_t *record; /* lent; the object that it stands in, whose other members belong to it */
    struct stamp expiry;  /* what the file says; a JWT says it itself */
};

void keyring_open(struct keyring *keyring, const struct files *files);
void keyring_close(struct keyring *keyring);

/* Forgets other files than the two that each probe reads, so that another provider's can be opened. */
void keyring_forget(struct keyring *keyring);

/* Empties what rows of the table read of auth.json: what is left there belongs to no provider we know. */
void keyring_leave_rest(struct keyring *keyring);

/* The value of a variable: `.env`, where an empty one unsets it, else the environment.  Adds to `value`; false when
 * there is none.  text_wipe() it. */
MUST_USE bool keyring_variable(const struct keyring *keyring, const char *name, struct text *value);

/* Whether it is nothing, or what people write where a key will be. */
bool credential_is_placeholder(const char *secret);

/* Whether it can stand in a header: 0x21 to 0x7e. */
bool credential_is_sendable(const char *secret, size_t size);

/* Shows `see` what is stored for the provider, in the order of a search: the entries of its pool, then its sign-ins.
 * It ends with the first that `see` says true to.  False: memory is short. */
MUST_USE bool credential_walk(struct keyring *keyring, const struct provider *provider,
                              bool (*see)(void *context, const struct candidate *candidate), void *context);

/* Whatever comes of it, credential_fini() *credential_out; it is filled with CREDENTIAL_FOUND alone. */
MUST_USE enum credential_search credential_find(struct keyring *keyring, const struct provider *provider,
                                                const struct text *request_key, int64_t now_s,
                                                struct credential *credential_out);
void credential_fini(struct credential *credential);

#endif
