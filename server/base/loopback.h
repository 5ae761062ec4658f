/* Where a stream socket listens on this machine alone: a loopback host and port, or the path of a unix socket.
 *
 *     127.0.0.1:9180   localhost:9180   [::1]:9180   /run/probed/http.sock
 *
 * Threads: any. */
#ifndef SERVER_BASE_LOOPBACK_H
#define SERVER_BASE_LOOPBACK_H

#include "proto/compiler.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

struct loopback {
    socklen_t size;
    union {
        struct sockaddr any;
        struct sockaddr_in ipv4; /* AF_INET */
        struct sockaddr_in6 ipv6;
        struct sockaddr_un path; /* AF_UNIX, terminated */
    } address;
};

/* Any other address is refused: NULL, or what is wrong with `text` and what would help, to be read behind it; lent for
 * ever. */
MUST_USE const char *loopback_parse(const char *text, struct loopback *loopback_out);

#endif
