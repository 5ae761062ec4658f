#include "server/base/loopback.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define FORMS "127.0.0.1:PORT, localhost:PORT, [::1]:PORT, or the absolute path of a socket"

enum { PORT_MAX = 65535, PORT_DIGIT_COUNT_MAX = 5 };

static const struct {
    const char *host;
    int family;
} hosts[] = {{"127.0.0.1", AF_INET}, {"localhost", AF_INET}, {"[::1]", AF_INET6}};

static const char *parse_path(const char *text, struct loopback *loopback)
{
    size_t size = strlen(text);

    if (text[size - 1] == '/')
        return "is a directory's path: name the socket in it";
    if (size >= sizeof loopback->address.path.sun_path)
        return "is too long for a socket, whose path has at most 107 bytes";
    loopback->address.path.sun_family = AF_UNIX;
    memcpy(loopback->address.path.sun_path, text, size + 1);
    loopback->size = sizeof loopback->address.path;
    return NULL;
}

static const char *parse_port(const char *text, int family, struct loopback *loopback)
{
    size_t size = strlen(text);
    long port = size > PORT_DIGIT_COUNT_MAX || text[strspn(text, "0123456789")] != '\0' ? 0 : atol(text);

    if (port < 1 || port > PORT_MAX)
        return "needs a port from 1 to 65535";
    if (family == AF_INET) {
        loopback->address.ipv4 = (struct sockaddr_in){
            .sin_family = AF_INET, .sin_port = htons((in_port_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        loopback->size = sizeof loopback->address.ipv4;
    } else {
        loopback->address.ipv6 = (struct sockaddr_in6){
            .sin6_family = AF_INET6, .sin6_port = htons((in_port_t)port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
        loopback->size = sizeof loopback->address.ipv6;
    }
    return NULL;
}

const char *loopback_parse(const char *text, struct loopback *loopback_out)
{
    struct loopback loopback = {0};
    const char *fault = "is refused, since it is for this machine alone: " FORMS;

    if (strstr(text, "://") != NULL) {
        fault = "is a URL; what is wanted has no scheme: " FORMS;
    } else if (text[0] == '/') {
        fault = parse_path(text, &loopback);
    } else if (text[0] == '\0' || text[strspn(text, ":0123456789")] == '\0') {
        fault = "does not name a loopback address: " FORMS;
    } else {
        for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
            size_t size = strlen(hosts[i].host);

            if (strncmp(text, hosts[i].host, size) == 0 && (text[size] == ':' || text[size] == '\0'))
                fault = parse_port(text + size + (text[size] == ':'), hosts[i].family, &loopback);
        }
    }
    if (fault == NULL)
        *loopback_out = loopback;
    return fault;
}
