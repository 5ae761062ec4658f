/* A handshake to learn from, see tls_look.h.
 *
 * It verifies the far end's certificate as nng does, and notices what is wrong with it; such a one gets no certificate
 * of ours.  In TLS 1.2 the far end has judged ours when the handshake ends. */
#include "client/tls_look.h"

#include "client/lookup.h"

#include <errno.h>
#include <mbedtls/error.h>
#include <mbedtls/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum { NAMES_SIZE = 120 };

struct look {
    const char *url;
    const struct tls_choice *choice;
    uint64_t deadline_ms;
    int fd;

    /* Of their certificate, once it was seen. */
    bool seen;
    uint32_t flags; /* what is wrong with it, or with those that vouch for it; 0: nothing */
    mbedtls_x509_time valid_from, valid_to;
    char names[NAMES_SIZE];

    mbedtls_ssl_config config;
    mbedtls_ssl_context context;
};

/* ---- what mbedTLS asks of us ---- */

static int draw(void *unused, unsigned char *out, size_t size)
{
    (void)unused;
    return getrandom(out, size, 0) == (ssize_t)size ? 0 : MBEDTLS_ERR_SSL_INTERNAL_ERROR;
}

static int give(void *context, const unsigned char *bytes, size_t size)
{
    const struct look *look = context;
    ssize_t sent = send(look->fd, bytes, size, MSG_NOSIGNAL);

    if (sent >= 0)
        return (int)sent;
    return errno == EAGAIN || errno == EINTR ? MBEDTLS_ERR_SSL_WANT_WRITE : MBEDTLS_ERR_SSL_CONN_EOF;
}

/* 0 is the end, as mbedTLS has it. */
static int take(void *context, unsigned char *out, size_t size)
{
    const struct look *look = context;
    ssize_t got = recv(look->fd, out, size, 0);

    if (got >= 0)
        return (int)got;
    return errno == EAGAIN || errno == EINTR ? MBEDTLS_ERR_SSL_WANT_READ : MBEDTLS_ERR_SSL_CONN_EOF;
}

/* Whether it was the socket that was not ready, and is now. */
static bool may_go_on(const struct look *look, int error)
{
    if (error == MBEDTLS_ERR_SSL_WANT_READ)
        return address_wait(look->fd, POLLIN, look->deadline_ms);
    return error == MBEDTLS_ERR_SSL_WANT_WRITE && address_wait(look->fd, POLLOUT, look->deadline_ms);
}

/* ---- what is wrong with their certificate ---- */

/* The names it is for: those it lists, else the one of its subject. */
static void list_names(const mbedtls_x509_crt *certificate, char out[NAMES_SIZE])
{
    size_t size = 0;

    out[0] = '\0';
    for (const mbedtls_x509_sequence *name = &certificate->subject_alt_names; name != NULL; name = name->next) {
        if ((name->buf.tag & 0x1f) != 2) /* dNSName, RFC 5280 */
            continue;
        size += (size_t)snprintf(out + size, NAMES_SIZE - size, "%s%.*s", size > 0 ? ", " : "",
                                 (int)(name->buf.len < 64 ? name->buf.len : 64), (const char *)name->buf.p);
        if (size >= NAMES_SIZE - 1)
            break;
    }
    if (size == 0 && mbedtls_x509_dn_gets(out, NAMES_SIZE, &certificate->subject) < 0)
        snprintf(out, NAMES_SIZE, "nobody");
    for (char *c = out; *c != '\0'; c++)
        *c = *c < ' ' || *c > '~' ? '?' : *c; /* a stranger's */
}

/* Called for each certificate of theirs, from the authority's down to their own, with what is wrong with it. */
static int notice(void *context, mbedtls_x509_crt *certificate, int depth, uint32_t *flags)
{
    struct look *look = context;

    look->flags |= *flags;
    if (depth > 0)
        return 0;
    look->seen = true;
    look->valid_from = certificate->valid_from;
    look->valid_to = certificate->valid_to;
    list_names(certificate, look->names);
    return 0;
}

static struct probed_status judge_certificate(const struct look *look)
{
    uint32_t flags = look->flags;
    char why[NAMES_SIZE];

    if (flags == 0)
        return outcome_ok();
    if ((flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) != 0)
        return outcome_unreachable("cannot reach probed at %s: none of our authorities (PROBED_TLS_CA) vouches for its "
                                   "certificate",
                                   look->url);
    if ((flags & MBEDTLS_X509_BADCERT_EXPIRED) != 0)
        return outcome_unreachable(
            "cannot reach probed at %s: its certificate expired on %04d-%02d-%02d, or that of its "
            "authority has",
            look->url, look->valid_to.year, look->valid_to.mon, look->valid_to.day);
    if ((flags & MBEDTLS_X509_BADCERT_FUTURE) != 0)
        return outcome_unreachable("cannot reach probed at %s: its certificate is valid from %04d-%02d-%02d on: is a "
                                   "clock wrong?",
                                   look->url, look->valid_from.year, look->valid_from.mon, look->valid_from.day);
    if ((flags & MBEDTLS_X509_BADCERT_CN_MISMATCH) != 0)
        return outcome_unreachable("cannot reach probed at %s: its certificate is for %s, not for %.60s "
                                   "(PROBED_TLS_SERVER_NAME)",
                                   look->url, look->names, look->choice->server_name);
    if (mbedtls_x509_crt_verify_info(why, sizeof why, "", flags) < 0)
        snprintf(why, sizeof why, "it cannot be verified");
    why[strcspn(why, "\n")] = '\0';
    return outcome_unreachable("cannot reach probed at %s: its certificate: %s", look->url, why);
}

/* ---- the handshake ---- */

/* The handshake broke off behind their certificate, so they did not like ours. */
static struct probed_status refused(const struct look *look)
{
    const mbedtls_x509_crt *ours = &look->choice->certificate;

    if (mbedtls_x509_time_is_past(&ours->valid_to))
        return outcome_unreachable("cannot reach probed at %s: our certificate (PROBED_TLS_CERTIFICATE) expired on "
                                   "%04d-%02d-%02d",
                                   look->url, ours->valid_to.year, ours->valid_to.mon, ours->valid_to.day);
    return outcome_unreachable(
        "cannot reach probed at %s: it does not accept our certificate (PROBED_TLS_CERTIFICATE): "
        "none of the role's tls.ca vouches for it, or it was revoked",
        look->url);
}

static struct probed_status explain(const struct look *look, int error)
{
    struct probed_status status = judge_certificate(look);
    char why[100];

    if (!outcome_is_ok(&status) || error == 0)
        return status;
    if (error == MBEDTLS_ERR_SSL_WANT_READ || error == MBEDTLS_ERR_SSL_WANT_WRITE)
        return outcome_unreachable("cannot reach probed at %s: somebody accepts connections and says nothing",
                                   look->url);
    if (look->seen)
        return refused(look);
    if (error == MBEDTLS_ERR_SSL_CONN_EOF)
        return outcome_unreachable("cannot reach probed at %s: connections are closed on arrival", look->url);
    if (error == MBEDTLS_ERR_SSL_INVALID_RECORD)
        return outcome_unreachable("cannot reach probed at %s: who answers there does not speak TLS", look->url);
    mbedtls_strerror(error, why, sizeof why);
    return outcome_unreachable("cannot reach probed at %s: TLS: %s", look->url, why);
}

static struct probed_status shake_hands(struct look *look)
{
    int error;

    do
        error = mbedtls_ssl_handshake(&look->context);
    while (may_go_on(look, error));
    return explain(look, error);
}

static struct probed_status read_greeting(struct look *look, uint16_t protocol)
{
    unsigned char greeting[ADDRESS_GREETING_SIZE];
    size_t size = 0;

    while (size < sizeof greeting) {
        int got = mbedtls_ssl_read(&look->context, greeting + size, sizeof greeting - size);

        if (got > 0)
            size += (size_t)got;
        else if (!may_go_on(look, got))
            return outcome_unreachable("cannot reach probed at %s: connections are closed on arrival: it is ending, or "
                                       "this role's connections are as many as server.connections_per_uid allows",
                                       look->url);
    }
    return address_judge_greeting(look->url, protocol, greeting);
}

static struct probed_status set_up(struct look *look)
{
    const struct tls_choice *choice = look->choice;
    int error = mbedtls_ssl_config_defaults(&look->config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                            MBEDTLS_SSL_PRESET_DEFAULT);

    mbedtls_ssl_conf_rng(&look->config, draw, NULL);
    mbedtls_ssl_conf_authmode(&look->config, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_verify(&look->config, notice, look);
    mbedtls_ssl_conf_ca_chain(&look->config, (mbedtls_x509_crt *)(uintptr_t)&choice->authorities, NULL);
    if (error == 0)
        error = mbedtls_ssl_conf_own_cert(&look->config, (mbedtls_x509_crt *)(uintptr_t)&choice->certificate,
                                          (mbedtls_pk_context *)(uintptr_t)&choice->key);
    if (error == 0)
        error = mbedtls_ssl_setup(&look->context, &look->config);
    if (error == 0)
        error = mbedtls_ssl_set_hostname(&look->context, choice->server_name);
    mbedtls_ssl_set_bio(&look->context, look, give, take, NULL);
    return error == 0 ? outcome_ok() : outcome_make(PROBED_RESOURCE_EXHAUSTED, "no memory for TLS");
}

static struct probed_status look_by(struct look *look, uint16_t protocol)
{
    struct probed_status status;

    mbedtls_ssl_config_init(&look->config);
    mbedtls_ssl_init(&look->context);
    status = set_up(look);
    if (outcome_is_ok(&status))
        status = shake_hands(look);
    if (outcome_is_ok(&status))
        status = read_greeting(look, protocol);
    mbedtls_ssl_free(&look->context);
    mbedtls_ssl_config_free(&look->config);
    return status;
}

/* ---- the connection ---- */

/* To the first address that takes it. */
static struct probed_status connect_to(const char *url, const struct addrinfo *addresses, uint64_t deadline_ms,
                                       int *fd_out)
{
    int error = 0;

    for (const struct addrinfo *address = addresses; address != NULL; address = address->ai_next) {
        int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        if (fd < 0)
            return outcome_make(PROBED_RESOURCE_EXHAUSTED, "cannot open a socket: %s", strerror(errno));
        error = address_connect(fd, address->ai_addr, address->ai_addrlen, deadline_ms);
        if (error == 0) {
            *fd_out = fd;
            return outcome_ok();
        }
        close(fd);
    }
    return outcome_unreachable("cannot reach probed at %s: %s%s", url, strerror(error), address_hint(error));
}

struct probed_status tls_look(const char *url, const struct tls_choice *choice, uint16_t protocol, uint64_t deadline_ms)
{
    struct look look = {.url = url, .choice = choice, .deadline_ms = deadline_ms};
    struct addrinfo *addresses;
    struct probed_status status = lookup_host(choice->host, choice->port, deadline_ms, &addresses);

    if (!outcome_is_ok(&status))
        return status;
    status = connect_to(url, addresses, deadline_ms, &look.fd);
    freeaddrinfo(addresses);
    if (!outcome_is_ok(&status))
        return status;
    status = look_by(&look, protocol);
    close(look.fd);
    return status;
}
