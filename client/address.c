/* Default URLs, and one look at who is there.
 *
 * The look is a connection of its own, beside nng's.  It stays until the greeting was read, since nng 1.5.2 without its
 * cure stops accepting for ever when a peer goes before it was greeted. */
#include "client/address.h"

#include "proto/limits.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char ipc_scheme[] = "ipc://", tcp_scheme[] = "tcp://";
static const char of_machine[] = "/run/probed"; /* where the machine's own daemon is, whoever we are */

struct probed_status address_choose(const char *given, const char *variable, const char *file,
                                    char out[ADDRESS_SIZE_MAX])
{
    const char *url = given != NULL ? given : secure_getenv(variable);
    const char *directory = geteuid() == 0 ? "/run" : secure_getenv("XDG_RUNTIME_DIR");
    int size;

    if (url != NULL && url[0] != '\0') {
        size = snprintf(out, ADDRESS_SIZE_MAX, "%s", url);
    } else if (directory != NULL && directory[0] != '\0') {
        size = snprintf(out, ADDRESS_SIZE_MAX, "ipc://%s/probed/%s", directory, file);
    } else {
        return outcome_make(PROBED_INVALID_ARGUMENT,
                            "no address of probed: neither a URL, nor %s, nor XDG_RUNTIME_DIR is set", variable);
    }
    if (size >= ADDRESS_SIZE_MAX)
        return outcome_make(PROBED_INVALID_ARGUMENT, "the URL has %d bytes, more than %d: %.60s...", size,
                            ADDRESS_SIZE_MAX - 1, url != NULL ? url : directory);
    if (strncmp(out, ipc_scheme, sizeof ipc_scheme - 1) == 0 &&
        strlen(out + sizeof ipc_scheme - 1) > LIMIT_SOCKET_PATH_SIZE_MAX)
        return outcome_make(PROBED_INVALID_ARGUMENT, "a socket's path has at most %d bytes: %s",
                            LIMIT_SOCKET_PATH_SIZE_MAX, out);
    return outcome_ok();
}

/* ---- a look ---- */

union socket_address {
    struct sockaddr any;
    struct sockaddr_un local;
    struct sockaddr_storage inet;
};

static socklen_t parse_ipc(const char *path, union socket_address *address)
{
    if (strlen(path) >= sizeof address->local.sun_path)
        return 0;
    memset(&address->local, 0, sizeof address->local);
    address->local.sun_family = AF_UNIX;
    strcpy(address->local.sun_path, path);
    return sizeof address->local;
}

/* Numeric hosts only: looking a name up may block for long. */
static socklen_t parse_tcp(const char *host_and_port, union socket_address *address)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *found;
    const char *colon = strrchr(host_and_port, ':');
    char host[ADDRESS_SIZE_MAX];
    size_t host_size;
    socklen_t size;

    if (colon == NULL || strlen(host_and_port) >= sizeof host)
        return 0;
    if (host_and_port[0] == '[' && colon > host_and_port && colon[-1] == ']') {
        host_and_port++; /* [::1]:7000 */
        host_size = (size_t)(colon - host_and_port) - 1;
    } else {
        host_size = (size_t)(colon - host_and_port);
    }
    memcpy(host, host_and_port, host_size);
    host[host_size] = '\0';
    if (getaddrinfo(host, colon + 1, &hints, &found) != 0)
        return 0;
    size = found->ai_addrlen;
    memcpy(address, found->ai_addr, size);
    freeaddrinfo(found);
    return size;
}

static socklen_t parse_url(const char *url, union socket_address *address)
{
    if (strncmp(url, ipc_scheme, sizeof ipc_scheme - 1) == 0)
        return parse_ipc(url + sizeof ipc_scheme - 1, address);
    if (strncmp(url, tcp_scheme, sizeof tcp_scheme - 1) == 0)
        return parse_tcp(url + sizeof tcp_scheme - 1, address);
    return 0;
}

bool address_wait(int fd, short events, uint64_t deadline_ms)
{
    struct pollfd waiting = {.fd = fd, .events = events};
    int count;

    do {
        uint64_t left_ms = outcome_left_ms(deadline_ms);

        count = poll(&waiting, 1, left_ms > 60000 ? 60000 : (int)left_ms);
    } while ((count < 0 && errno == EINTR) || (count == 0 && outcome_left_ms(deadline_ms) > 0));
    return count > 0;
}

int address_connect(int fd, const struct sockaddr *address, socklen_t size, uint64_t deadline_ms)
{
    int error = 0;
    socklen_t error_size = sizeof error;

    if (connect(fd, address, size) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return errno;
    if (!address_wait(fd, POLLOUT, deadline_ms))
        return ETIMEDOUT;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_size) == 0 ? error : errno;
}

enum {
    REQ_PROTOCOL = 0x30,
    KEPT_MS = 50 /* a connection that is not closed by then is kept */
};

/* 0 "SP" 0, the protocol in network order, 0 0. */
void address_greeting(uint16_t protocol, unsigned char out[ADDRESS_GREETING_SIZE])
{
    const unsigned char greeting[ADDRESS_GREETING_SIZE] = {
        0, 'S', 'P', 0, (unsigned char)(protocol >> 8), (unsigned char)protocol, 0, 0};

    memcpy(out, greeting, sizeof greeting);
}

struct probed_status address_judge_greeting(const char *url, uint16_t protocol,
                                            const unsigned char greeting[ADDRESS_GREETING_SIZE])
{
    unsigned char expected[ADDRESS_GREETING_SIZE];

    address_greeting(protocol, expected);
    if (memcmp(greeting, expected, 4) != 0)
        return outcome_unreachable("cannot reach probed at %s: who answers there does not speak nng", url);
    if (memcmp(greeting, expected, sizeof expected) != 0)
        return outcome_unreachable("cannot reach probed at %s: it is a socket of another kind (calls and events "
                                   "have one each)",
                                   url);
    return outcome_ok();
}

static struct probed_status read_greeting(int fd, const char *url, uint16_t protocol, uint64_t deadline_ms)
{
    unsigned char greeting[ADDRESS_GREETING_SIZE];
    size_t size = 0;

    while (size < sizeof greeting) {
        ssize_t got;

        if (!address_wait(fd, POLLIN, deadline_ms))
            return outcome_unreachable("cannot reach probed at %s: somebody accepts connections and says nothing", url);
        got = read(fd, greeting + size, sizeof greeting - size);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
            return outcome_unreachable("cannot reach probed at %s: connections are closed on arrival", url);
        if (got > 0)
            size += (size_t)got;
    }
    return address_judge_greeting(url, protocol, greeting);
}

/* Greets back: whoever has too many connections, or may not listen, is let in and shown out again. */
static struct probed_status expect_kept(int fd, const char *url, uint16_t far_protocol, uint64_t deadline_ms)
{
    const uint16_t protocol = far_protocol ^ 1; /* of a pair of protocols the ends differ in the last bit */
    unsigned char greeting[ADDRESS_GREETING_SIZE];
    uint64_t until_ms = outcome_now_ms() + KEPT_MS;
    char byte;

    address_greeting(protocol, greeting);
    if (send(fd, greeting, sizeof greeting, MSG_NOSIGNAL) != (ssize_t)sizeof greeting ||
        !address_wait(fd, POLLIN, until_ms < deadline_ms ? until_ms : deadline_ms) || read(fd, &byte, 1) != 0)
        return outcome_ok();
    if (protocol == REQ_PROTOCOL)
        return outcome_unreachable(
            "cannot reach probed at %s: it closes this connection on arrival; uid %u seems to have "
            "as many as server.connections_per_uid allows",
            url, (unsigned)geteuid());
    return outcome_unreachable("cannot reach probed at %s: it closes this connection on arrival; events are for root, "
                               "the daemon's uid and server.admin_uids",
                               url);
}

const char *address_hint(int error)
{
    switch (error) {
    case ENOENT:
    case ECONNREFUSED:
        return "; is it running?";
    case EACCES:
    case EPERM:
        return "; this user may not use that socket (server.allow_uids admits further ones)";
    default:
        return "";
    }
}

/* Whether the machine's daemon may be there: where others are not admitted, they see nothing of its folder. */
static bool is_of_machine(const char *path, const char *file)
{
    if (access(path, F_OK) == 0)
        return true;
    return errno == EACCES && (strcmp(file, "rpc.sock") == 0 || strcmp(file, "events.sock") == 0);
}

/* Where there is no such socket there are further slips: a path that lacks its slash, and the user's own daemon instead
 * of the machine's. */
static struct probed_status no_such_socket(const char *url)
{
    const char *path = url + sizeof ipc_scheme - 1, *file = strrchr(url, '/') + 1, *why = strerror(ENOENT);
    char other[ADDRESS_SIZE_MAX + sizeof of_machine];

    if (path[0] != '/')
        return outcome_unreachable("cannot reach probed at %s: %s; an absolute path has three slashes, ipc:///run/...",
                                   url, why);
    snprintf(other, sizeof other, "%s/%s", of_machine, file);
    if (strcmp(path, other) != 0 && is_of_machine(other, file))
        return outcome_unreachable("cannot reach probed at %s: %s; the one of this machine is at ipc://%s", url, why,
                                   other);
    return outcome_unreachable("cannot reach probed at %s: %s%s", url, why, address_hint(ENOENT));
}

struct probed_status address_try(const char *url, uint16_t protocol, uint64_t deadline_ms)
{
    union socket_address address;
    socklen_t size = parse_url(url, &address);
    struct probed_status status;
    int fd, error;

    if (size == 0)
        return outcome_ok();
    fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return outcome_make(PROBED_RESOURCE_EXHAUSTED, "cannot open a socket: %s", strerror(errno));
    error = address_connect(fd, &address.any, size, deadline_ms);
    if (error == EAGAIN) /* a unix socket whose backlog is full: somebody is there */
        status = outcome_ok();
    else if (error == ENOENT)
        status = no_such_socket(url);
    else if (error != 0)
        status = outcome_unreachable("cannot reach probed at %s: %s%s", url, strerror(error), address_hint(error));
    else
        status = read_greeting(fd, url, protocol, deadline_ms);
    if (error == 0 && outcome_is_ok(&status))
        status = expect_kept(fd, url, protocol, deadline_ms);
    close(fd);
    return status;
}
