/* URLs of sockets, see socket_url.h. */
#include "server/base/socket_url.h"

#include "proto/limits.h"
#include "proto/utf8.h"
#include "server/base/tls_url.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_SIZE_MAX = 64 }; /* of a URL in a message, so that there is room for the reason */

static const char ipc[] = "ipc://", tcp[] = "tcp://", loopback[] = "tcp://127.0.0.1:";

static bool begins_with(const char *text, const char *beginning)
{
    return strncmp(text, beginning, strlen(beginning)) == 0;
}

static int shown_size(const char *url)
{
    return (int)utf8_clip(url, strnlen(url, SHOWN_SIZE_MAX));
}

static struct status check_path(const char *url, const char *path)
{
    size_t size = strlen(path);

    if (path[0] != '/' || path[size - 1] == '/')
        return status_make(STATUS_INVALID_ARGUMENT,
                           "%.*s does not name a socket by an absolute path: ipc:///run/…/name.sock", shown_size(url),
                           url);
    if (size > LIMIT_SOCKET_PATH_SIZE_MAX)
        return status_make(STATUS_INVALID_ARGUMENT, "the socket path has %zu bytes, at most %d are possible: %s", size,
                           LIMIT_SOCKET_PATH_SIZE_MAX, url);
    if (utf8_has_control(path, size))
        return status_make(STATUS_INVALID_ARGUMENT, "%s: the path has a control character", url);
    return status_ok();
}

static struct status check_port(const char *url, const char *port)
{
    size_t size = strlen(port);

    if (size >= 1 && size <= 5 && strspn(port, "0123456789") == size && atoi(port) >= 1 && atoi(port) <= UINT16_MAX)
        return status_ok();
    return status_make(STATUS_INVALID_ARGUMENT, "%.*s needs a port from 1 to %d", shown_size(url), url, UINT16_MAX);
}

struct status socket_url_check(const char *url)
{
    struct tls_url tls;

    if (tls_url_is(url))
        return tls_url_parse(url, &tls);
    if (begins_with(url, ipc))
        return check_path(url, url + sizeof ipc - 1);
    if (begins_with(url, loopback))
        return check_port(url, url + sizeof loopback - 1);
    if (begins_with(url, tcp))
        return status_make(
            STATUS_INVALID_ARGUMENT,
            "%.*s is refused: plain tcp is for this machine alone, tcp://127.0.0.1:PORT; beyond it, it is "
            "tls+tcp://ROLE@ADDRESS:PORT",
            shown_size(url), url);
    return status_make(STATUS_INVALID_ARGUMENT,
                       "%.*s is neither ipc:///absolute/path, nor tcp://127.0.0.1:PORT, nor tls+tcp://",
                       shown_size(url), url);
}
