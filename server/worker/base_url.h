/* Where a credential may be sent: the rule for base URLs that somebody configured (PROVIDERS.md 8.1).
 *
 * https://host[:port][/path], or http:// to localhost, 127.0.0.1 and [::1] alone; no user, query or fragment; trailing
 * slashes are trimmed.  What the rule refuses is refused before any socket is opened.
 *
 * Threads: any. */
#ifndef SERVER_WORKER_BASE_URL_H
#define SERVER_WORKER_BASE_URL_H

#include "proto/compiler.h"

#include <stdbool.h>

enum { BASE_URL_SIZE_MAX = 2048, BASE_URL_HOST_SIZE_MAX = 253 };

struct base_url {
    char text[BASE_URL_SIZE_MAX + 1]; /* without a slash at its end */
    char host[BASE_URL_HOST_SIZE_MAX + 1];
};

/* False: refused. */
MUST_USE bool base_url_parse(const char *given, struct base_url *url_out);

/* Leaves scheme, host and port. */
void base_url_drop_path(struct base_url *url);

/* Whether the host is one of these domains or below one; `domains` ends with NULL. */
bool base_url_is_within(const struct base_url *url, const char *const *domains);

/* http:// */
bool base_url_is_plain(const char *url);

#endif
