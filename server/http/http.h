/* What an operator looks at, over HTTP and on this machine alone (server.http).
 *
 *     /             a page for a person: rendered here, kept live by a script where there is one
 *     /api/status   the same as JSON
 *     /metrics      Prometheus' text format
 *     /healthz      200 while the daemon answers at all;   /readyz   503 while it drains
 *
 * Who may see what: a unix socket is for administrators (root, the daemon's uid, server.admin_uids; others are closed
 * on arrival) and shows everything the admin service does.  To a loopback address anybody on the machine can connect:
 * it shows sums, and names no home, unless server.tcp_trust has tcp peers count as the daemon's uid.
 *
 * Nothing can be changed here: GET and HEAD alone.  A Host that is no name of this machine is refused, so that no web
 * page elsewhere can have a browser read this one (DNS rebinding).
 *
 *     listener.[ch]  sockets             answer.[ch]  from a request to a response
 *     figures.[ch]   what is shown       metrics.c, report.c, page.c   and in which form
 *
 * Threads: one of its own, that does everything; it blocks on nothing but its sockets.  Locks: none. */
#ifndef SERVER_HTTP_HTTP_H
#define SERVER_HTTP_HTTP_H

#include "proto/status.h"
#include "server/homes/homes.h"
#include "server/service/service.h"
#include "server/shell/shell.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct http;

enum {
    HTTP_ADDRESS_COUNT_MAX = 8,
    HTTP_CONNECTION_COUNT_MAX = 32, /* of one address; beyond it the one that has waited longest is closed */
};

/* What a connection may take from its arrival, or its last answer, to having the next one: a client that sends or reads
 * more slowly is closed, however busy it keeps us. */
#define HTTP_WAIT_NS_MAX (5 * NS_PER_S)

struct http_settings {
    const char *const *addresses; /* as server/base/loopback.h reads them; unix paths are claimed; lent during create */
    size_t address_count;
    mode_t socket_mode; /* of unix sockets */
    bool tcp_trust;
    uint64_t wait_ns_max;
};

/* Listens.  INVALID_ARGUMENT or UNAVAILABLE, naming the address.  What else it is given is lent until http_destroy. */
MUST_USE struct status http_create(const struct http_settings *settings, struct service *service, struct shell *shell,
                                   const struct homes *homes, struct http **http_out);

/* Closes everything at once and removes the sockets.  NULL is fine. */
void http_destroy(struct http *http);

#endif
