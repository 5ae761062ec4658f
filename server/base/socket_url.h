/* Where we listen, as settings say it: a socket's path, a port of this machine alone, or a TLS port for a role.
 *
 *     ipc:///run/probed/rpc.sock   tcp://127.0.0.1:7411   tls+tcp://ROLE@HOST:PORT (tls_url.h)
 *
 * The settings and whoever opens a socket ask the same question here, so that what --check-config takes is listened at.
 *
 * Threads: any. */
#ifndef SERVER_BASE_SOCKET_URL_H
#define SERVER_BASE_SOCKET_URL_H

#include "proto/status.h"

/* INVALID_ARGUMENT naming the URL, with what would help. */
MUST_USE struct status socket_url_check(const char *url);

#endif
