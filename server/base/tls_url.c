/* URLs of TLS listeners, see tls_url.h. */
#include "server/base/tls_url.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char scheme[] = "tls+tcp://";

bool tls_url_is(const char *url)
{
    return strncmp(url, scheme, sizeof scheme - 1) == 0;
}

bool tls_role_name_is(const char *name, size_t size)
{
    return size > 0 && size < TLS_ROLE_NAME_SIZE && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") >= size;
}

static bool is_port(const char *text)
{
    size_t size = strlen(text);

    return size >= 1 && size <= 5 && strspn(text, "0123456789") == size && atoi(text) >= 1 && atoi(text) <= UINT16_MAX;
}

/* No path, no query, no second "@". */
static bool is_host(const char *host, size_t size)
{
    bool in_brackets = host[0] == '[';

    if (size == 0 || memchr(host, '@', size) != NULL || memchr(host, '/', size) != NULL)
        return false;
    return in_brackets ? size > 2 && host[size - 1] == ']' : memchr(host, ':', size) == NULL;
}

struct status tls_url_parse(const char *url, struct tls_url *url_out)
{
    const char *role = url + sizeof scheme - 1, *at, *colon;

    if (strlen(url) >= TLS_URL_SIZE)
        return status_make(STATUS_INVALID_ARGUMENT, "%.60s...: a URL has at most %d bytes", url, TLS_URL_SIZE - 1);
    at = tls_url_is(url) ? strchr(role, '@') : NULL;
    if (at == NULL || !tls_role_name_is(role, (size_t)(at - role)))
        return status_make(
            STATUS_INVALID_ARGUMENT,
            "%s: a TLS listener says whom it is for: tls+tcp://ROLE@ADDRESS:PORT, ROLE of [a-z0-9_-], at "
            "most %d",
            url, TLS_ROLE_NAME_SIZE - 1);
    colon = strrchr(at, ':');
    if (colon == NULL || !is_host(at + 1, (size_t)(colon - at - 1)))
        return status_make(STATUS_INVALID_ARGUMENT, "%s: behind the @ comes ADDRESS:PORT, and nothing else", url);
    if (!is_port(colon + 1))
        return status_make(STATUS_INVALID_ARGUMENT, "%s: a port is a number from 1 to %d", url, UINT16_MAX);
    url_out->port = (uint16_t)atoi(colon + 1);
    snprintf(url_out->role, sizeof url_out->role, "%.*s", (int)(at - role), role);
    snprintf(url_out->dialled, sizeof url_out->dialled, "%s%s", scheme, at + 1);
    return status_ok();
}
