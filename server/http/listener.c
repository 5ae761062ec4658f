#include "server/http/listener.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BACKLOG = 64 };

static struct status refused(const char *address, const char *step)
{
    return status_make(STATUS_UNAVAILABLE, "server.http: cannot %s %s: %s", step, address, strerror(errno));
}

/* The path is ours by a claim: a socket that lies there was left by a daemon that was killed. */
static void make_room(const struct http_listener *listener)
{
    const int yes = 1;

    if (http_listener_is_unix(listener))
        unlink(listener->at.address.path.sun_path);
    else
        setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes); /* connections of the last run linger */
}

struct status http_listener_open(struct http_listener *listener, const char *address, mode_t socket_mode)
{
    const char *fault = loopback_parse(address, &listener->at);
    struct status status;

    if (fault != NULL)
        return status_make(STATUS_INVALID_ARGUMENT, "server.http: %s %s", address, fault);
    listener->fd = socket(listener->at.address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener->fd < 0)
        return refused(address, "open a socket for");
    make_room(listener);
    if (bind(listener->fd, &listener->at.address.any, listener->at.size) != 0)
        status = refused(address, "listen at");
    else if (http_listener_is_unix(listener) && chmod(listener->at.address.path.sun_path, socket_mode) != 0)
        status = refused(address, "set the mode of");
    else if (listen(listener->fd, BACKLOG) != 0)
        status = refused(address, "listen at");
    else
        return status_ok();
    http_listener_close(listener);
    return status;
}

void http_listener_close(struct http_listener *listener)
{
    if (listener->fd < 0)
        return;
    close(listener->fd);
    listener->fd = -1;
    if (http_listener_is_unix(listener))
        unlink(listener->at.address.path.sun_path);
}

int http_listener_accept(const struct http_listener *listener, uint32_t *uid_out)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    *uid_out = UINT32_MAX;
    if (fd >= 0 && http_listener_is_unix(listener) && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0)
        *uid_out = peer.uid;
    return fd;
}
