#include "server/worker/base_url.h"

#include <string.h>
#include <strings.h>

static const char scheme_https[] = "https://";
static const char scheme_http[] = "http://";

enum { PORT_MAX = 65535, PORT_DIGITS_MAX = 5 };

static bool base_url_starts(const char *text, const char *with)
{
    return strncasecmp(text, with, strlen(with)) == 0;
}

bool base_url_is_plain(const char *url)
{
    return base_url_starts(url, scheme_http);
}

/* How many bytes of `text` are a host: a name, an IPv4 address, or an IPv6 address in brackets. */
static size_t base_url_host_size(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    size_t size;

    if (text[0] == '[') {
        size = 1 + strspn(text + 1, "0123456789abcdefABCDEF:.");
        return size > 2 && text[size] == ']' ? size + 1 : 0;
    }
    size = strspn(text, letters);
    while (size > 0 && (text[size] == '.' || text[size] == '-')) {
        size_t more = strspn(text + size + 1, letters);

        if (more == 0 && text[size + 1] != '-')
            break; /* a dot at the end, or two */
        size += 1 + more;
    }
    return size;
}

/* How many bytes are ":port"; 0 for none, and for what is no port. */
static size_t base_url_port_size(const char *text)
{
    size_t digit_count = text[0] == ':' ? strspn(text + 1, "0123456789") : 0;
    unsigned port = 0;

    if (digit_count == 0 || digit_count > PORT_DIGITS_MAX)
        return 0;
    for (size_t i = 1; i <= digit_count; i++)
        port = port * 10 + (unsigned)(text[i] - '0');
    return port > 0 && port <= PORT_MAX ? 1 + digit_count : 0;
}

/* Printable ASCII that can stand in a path; a backslash is a slash to some, and is refused. */
static bool base_url_is_path(const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (*c <= ' ' || *c >= 0x7f || strchr("?#\\\"<>^`{|}", *c) != NULL)
            return false;
    }
    return text[0] == '\0' || text[0] == '/';
}

static bool base_url_is_loopback(const char *host)
{
    return strcasecmp(host, "localhost") == 0 || strcmp(host, "127.0.0.1") == 0 || strcmp(host, "[::1]") == 0;
}

bool base_url_parse(const char *given, struct base_url *url_out)
{
    struct base_url url = {.text = ""};
    bool plain = base_url_is_plain(given);
    size_t size = strlen(given), host_size;
    const char *at;

    if (size > BASE_URL_SIZE_MAX || (!plain && !base_url_starts(given, scheme_https)))
        return false;
    at = given + strlen(plain ? scheme_http : scheme_https);
    host_size = base_url_host_size(at);
    if (host_size == 0 || host_size > BASE_URL_HOST_SIZE_MAX)
        return false;
    memcpy(url.host, at, host_size);
    at += host_size;
    at += base_url_port_size(at);
    if (!base_url_is_path(at) || (plain && !base_url_is_loopback(url.host)))
        return false;
    while (size > 0 && given[size - 1] == '/')
        size--;
    memcpy(url.text, given, size);
    *url_out = url;
    return true;
}

void base_url_drop_path(struct base_url *url)
{
    size_t scheme_size = strlen(base_url_is_plain(url->text) ? scheme_http : scheme_https);

    url->text[scheme_size + strcspn(url->text + scheme_size, "/")] = '\0';
}

bool base_url_is_within(const struct base_url *url, const char *const *domains)
{
    size_t size = strlen(url->host);

    for (; *domains != NULL; domains++) {
        size_t domain_size = strlen(*domains);

        if (size < domain_size || strcasecmp(url->host + size - domain_size, *domains) != 0)
            continue;
        if (size == domain_size || url->host[size - domain_size - 1] == '.')
            return true;
    }
    return false;
}
