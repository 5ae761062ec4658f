/* tls+tcp://ROLE@HOST:PORT: where peers of one role are let in.
 *
 * nng 1.5.2 does not tell the name in a peer's certificate, only that it is verified.  So who a peer is follows from
 * where it came in, and the URL of a listener says it where URLs say who: before the "@".  nng gets the rest.
 *
 * Threads: any. */
#ifndef SERVER_BASE_TLS_URL_H
#define SERVER_BASE_TLS_URL_H

#include "proto/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TLS_ROLE_NAME_SIZE = 33, TLS_URL_SIZE = 256 }; /* each with its terminator */

struct tls_url {
    char role[TLS_ROLE_NAME_SIZE];
    char dialled[TLS_URL_SIZE]; /* what nng listens at, and a client dials */
    uint16_t port;
};

/* Whether it is meant to be one. */
bool tls_url_is(const char *url);

/* INVALID_ARGUMENT with what would help.  HOST: an IPv4 address, an IPv6 address in [], a name of this machine, or * for
 * every address. */
MUST_USE struct status tls_url_parse(const char *url, struct tls_url *url_out);

/* 1 to 32 bytes of [a-z0-9_-]. */
bool tls_role_name_is(const char *name, size_t size);

#endif
