/* The claims of a JSON Web Token (RFC 7519), read and not verified: they say when a stored token ends and whose it is.
 *
 * Threads: any. */
#ifndef SERVER_WORKER_JWT_H
#define SERVER_WORKER_JWT_H

#include "proto/compiler.h"
#include "server/worker/stamp.h"

#include <jansson.h>

enum { JWT_CLAIMS_SIZE_MAX = 16384 };

/* Given, json_decref() it; NULL when the text is no token. */
MUST_USE json_t *jwt_claims(const char *token);

/* The moment of `exp`; absent when it cannot be read. */
struct stamp jwt_expiry(const char *token);

#endif
