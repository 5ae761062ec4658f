#include "server/custody/custodian/ports.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { PORT_HTTP = 80, PORT_HTTPS = 443, PORT_PROXY = 1080 /* where curl finds a proxy without a port */ };

void ports_add(struct ports *ports, uint16_t number)
{
    for (size_t i = 0; i < ports->count; i++) {
        if (ports->numbers[i] == number)
            return;
    }
    if (number != 0 && ports->count < PORTS_COUNT_MAX)
        ports->numbers[ports->count++] = number;
}

void ports_add_words(struct ports *ports, char *const *words)
{
    for (; words != NULL && *words != NULL; words++)
        ports_add(ports, (uint16_t)strtoul(*words, NULL, 10));
}

/* The port behind the host, up to the path; `standard` when there is none, 0 when it is no port. */
static uint16_t port_of_authority(const char *authority, uint16_t standard)
{
    size_t size = strcspn(authority, "/?#");
    const char *host = memrchr(authority, '@', size); /* behind user and password */
    const char *end = authority + size, *colon;
    unsigned long number = 0;

    host = host == NULL ? authority : host + 1;
    if (*host == '[') { /* IPv6 */
        host = memchr(host, ']', (size_t)(end - host));
        if (host == NULL)
            return 0;
    }
    colon = memchr(host, ':', (size_t)(end - host));
    if (colon == NULL || colon + 1 == end)
        return standard;
    for (const char *digit = colon + 1; digit < end; digit++) {
        if (*digit < '0' || *digit > '9' || number > UINT16_MAX)
            return 0;
        number = number * 10 + (unsigned long)(*digit - '0');
    }
    return number <= UINT16_MAX ? (uint16_t)number : 0;
}

static uint16_t port_of_url(const char *value)
{
    if (strncasecmp(value, "https://", 8) == 0)
        return port_of_authority(value + 8, PORT_HTTPS);
    if (strncasecmp(value, "http://", 7) == 0)
        return port_of_authority(value + 7, PORT_HTTP);
    return 0;
}

/* A proxy may be written without a scheme, and with others than http. */
static uint16_t port_of_proxy(const char *value)
{
    const char *scheme_end = strstr(value, "://");

    if (scheme_end == NULL)
        return port_of_authority(value, PORT_PROXY);
    return port_of_authority(scheme_end + 3, strncasecmp(value, "https:", 6) == 0 ? PORT_HTTPS : PORT_PROXY);
}

static bool names_proxy(const char *name, size_t size)
{
    static const char ending[] = "_proxy";
    const size_t ending_size = sizeof ending - 1;

    return size > ending_size && strncasecmp(name + size - ending_size, ending, ending_size) == 0 &&
           (size != 8 || strncasecmp(name, "no_proxy", 8) != 0);
}

void ports_add_environment(struct ports *ports, char *const *environment)
{
    for (; environment != NULL && *environment != NULL; environment++) {
        size_t name_size = strcspn(*environment, "=");
        const char *value = *environment + name_size;

        if (*value == '=')
            ports_add(ports, names_proxy(*environment, name_size) ? port_of_proxy(value + 1) : port_of_url(value + 1));
    }
}
