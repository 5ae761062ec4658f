/* A request line, read: proto/README.md 5.
 *
 *     {"id":7,"provider":"openai-codex","api_key":"","env_var":"OPENAI_API_KEY","timeout_ms":30000}
 *
 * Only `provider` is needed; whatever is missing, null, of a wrong type or unknown is left out of account, so that
 * lines of the older protocol (provider, api_key, env_var) are requests as well.
 *
 * Ownership: probe_request_fini() wipes the key.  Threads: any. */
#ifndef SERVER_WORKER_REQUEST_H
#define SERVER_WORKER_REQUEST_H

#include "proto/compiler.h"
#include "proto/limits.h"
#include "server/base/text.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    REQUEST_TIMEOUT_MS_DEFAULT = 30000,
    REQUEST_TIMEOUT_MS_MAX = 3600000,
    REQUEST_MARGIN_MS_MAX = 100 /* between our deadline and that of whoever asks: a tenth, this at most */
};

struct probe_request {
    json_t *id; /* owned; of any type; NULL: none */
    char provider[LIMIT_PROVIDER_SIZE_MAX + 1];
    struct text api_key;  /* empty: none */
    uint64_t deadline_ns; /* of CLOCK_MONOTONIC: the answer is written by then */
};

/* Whether it can be the name of a provider. */
bool probe_request_is_provider(const char *name, size_t size);

/* `arrived_ns`: when the line was there.  False: no request, or no memory for it; and nothing to fini. */
MUST_USE bool probe_request_parse(struct probe_request *request, const char *line, size_t size, uint64_t arrived_ns);
void probe_request_fini(struct probe_request *request);

#endif
