/* A client's side of TLS, see tls.h. */
#include "client/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <mbedtls/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char scheme[] = "tls+tcp://";

enum { FILE_SIZE_MAX = 1 << 20 };

/* A kind of file: how it is asked for. */
struct kind {
    const char *what, *variable;
    bool secret;
};

static const struct kind authorities_kind = {"the authorities that vouch for the daemon", "PROBED_TLS_CA", false};
static const struct kind certificate_kind = {"our certificate", "PROBED_TLS_CERTIFICATE", false};
static const struct kind key_kind = {"our private key", "PROBED_TLS_KEY", true};

/* ---- the URL ---- */

bool tls_is_url(const char *url)
{
    return strncmp(url, scheme, sizeof scheme - 1) == 0;
}

static struct probed_status take_url(struct tls_choice *choice, const char *url)
{
    const char *host = url + sizeof scheme - 1, *colon = strrchr(host, ':');
    size_t size = colon != NULL ? (size_t)(colon - host) : 0;

    if (strchr(host, '@') != NULL)
        return outcome_make(
            PROBED_INVALID_ARGUMENT,
            "%s: whom a listener is for stands in the daemon's settings alone: dial tls+tcp://HOST:PORT", url);
    if (size > 2 && host[0] == '[' && host[size - 1] == ']') {
        host++;
        size -= 2;
    }
    if (size == 0 || strlen(colon + 1) == 0 || strlen(colon + 1) >= sizeof choice->port ||
        strspn(colon + 1, "0123456789") != strlen(colon + 1))
        return outcome_make(PROBED_INVALID_ARGUMENT, "%s: it is tls+tcp://HOST:PORT", url);
    snprintf(choice->host, sizeof choice->host, "%.*s", (int)size, host);
    snprintf(choice->port, sizeof choice->port, "%s", colon + 1);
    return outcome_ok();
}

/* ---- files ---- */

/* As ssh does with a key of ours. */
static bool is_open_to_others(const struct stat *found)
{
    return found->st_uid == geteuid() && (found->st_mode & 077) != 0;
}

static struct probed_status read_text(const struct kind *kind, const char *file, int fd, char **text_out)
{
    char *text = calloc(1, FILE_SIZE_MAX + 1);
    size_t size = 0;
    ssize_t got = 1;

    if (text == NULL)
        return outcome_make(PROBED_RESOURCE_EXHAUSTED, "no memory to read %.100s", file);
    while (size < FILE_SIZE_MAX && (got = read(fd, text + size, FILE_SIZE_MAX - size)) > 0)
        size += (size_t)got;
    if (got >= 0 && size < FILE_SIZE_MAX && strlen(text) == size) {
        *text_out = text;
        return outcome_ok();
    }
    explicit_bzero(text, size);
    free(text);
    return outcome_make(PROBED_INVALID_ARGUMENT, "%s: %.100s: %s", kind->what, file,
                        got < 0 ? strerror(errno) : "no PEM file");
}

static struct probed_status read_file(const struct kind *kind, const char *file, char **text_out)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct probed_status status;
    struct stat found;

    if (fd < 0)
        return outcome_make(PROBED_INVALID_ARGUMENT, "%s: %.100s: %s", kind->what, file, strerror(errno));
    if (fstat(fd, &found) != 0 || !S_ISREG(found.st_mode))
        status = outcome_make(PROBED_INVALID_ARGUMENT, "%s: %.100s is no file", kind->what, file);
    else if (kind->secret && is_open_to_others(&found))
        status = outcome_make(PROBED_INVALID_ARGUMENT,
                              "%s: others than its owner may use %.100s (mode %04o); chmod 600 helps", kind->what, file,
                              (unsigned)found.st_mode & 07777);
    else
        status = read_text(kind, file, fd, text_out);
    close(fd);
    return status;
}

/* What was given, or what the environment says; NULL: neither. */
static const char *choose(const char *given, const char *variable)
{
    const char *value = given != NULL ? given : secure_getenv(variable);

    return value != NULL && value[0] != '\0' ? value : NULL;
}

static struct probed_status judge(const struct kind *kind, const char *file, int error)
{
    char why[100] = "some of it cannot be read";

    if (error == 0)
        return outcome_ok();
    if (error == MBEDTLS_ERR_PK_PASSWORD_REQUIRED)
        snprintf(why, sizeof why, "it is encrypted, and nobody asks for a passphrase here");
    else if (error < 0)
        mbedtls_strerror(error, why, sizeof why);
    return outcome_make(PROBED_INVALID_ARGUMENT, "%s: %.100s: %s", kind->what, file, why);
}

static struct probed_status take_certificates(const struct kind *kind, const char *given, mbedtls_x509_crt *parsed,
                                              char **text_out, const char **file_out)
{
    const char *file = choose(given, kind->variable);
    struct probed_status status;

    if (file == NULL)
        return outcome_make(PROBED_INVALID_ARGUMENT, "tls+tcp needs %s: %s names no file", kind->what, kind->variable);
    *file_out = file;
    status = read_file(kind, file, text_out);
    if (outcome_is_ok(&status))
        status = judge(kind, file, mbedtls_x509_crt_parse(parsed, (unsigned char *)*text_out, strlen(*text_out) + 1));
    return status;
}

static struct probed_status take_key(struct tls_choice *choice, const char *given, const char *certificate_file)
{
    const char *file = choose(given, key_kind.variable);
    struct probed_status status;

    if (file == NULL)
        file = certificate_file;
    status = read_file(&key_kind, file, &choice->key_text);
    if (outcome_is_ok(&status))
        status = judge(&key_kind, file,
                       mbedtls_pk_parse_key(&choice->key, (unsigned char *)choice->key_text,
                                            strlen(choice->key_text) + 1, NULL, 0));
    if (outcome_is_ok(&status) && mbedtls_pk_check_pair(&choice->certificate.pk, &choice->key) != 0)
        status = outcome_make(PROBED_INVALID_ARGUMENT, "our private key: %.80s is not that of the certificate %.80s",
                              file, certificate_file);
    return status;
}

static struct probed_status take_all(struct tls_choice *choice, const struct probed_tls *given, const char *url)
{
    const char *authorities_file, *certificate_file, *name = choose(given->server_name, "PROBED_TLS_SERVER_NAME");
    struct probed_status status = take_url(choice, url);

    if (outcome_is_ok(&status) && snprintf(choice->server_name, sizeof choice->server_name, "%s",
                                           name != NULL ? name : choice->host) > TLS_NAME_SIZE_MAX)
        status = outcome_make(PROBED_INVALID_ARGUMENT, "the name of a server has at most %d bytes", TLS_NAME_SIZE_MAX);
    if (outcome_is_ok(&status))
        status = take_certificates(&authorities_kind, given->ca_file, &choice->authorities, &choice->authorities_text,
                                   &authorities_file);
    if (outcome_is_ok(&status))
        status = take_certificates(&certificate_kind, given->certificate_file, &choice->certificate,
                                   &choice->certificate_text, &certificate_file);
    if (outcome_is_ok(&status))
        status = take_key(choice, given->key_file, certificate_file);
    return status;
}

/* ---- life ---- */

struct probed_status tls_choose(const struct probed_tls *given, const char *url, struct tls_choice **choice_out)
{
    static const struct probed_tls nothing;
    struct tls_choice *choice = calloc(1, sizeof *choice);
    struct probed_status status;

    if (choice == NULL)
        return outcome_make(PROBED_RESOURCE_EXHAUSTED, "no memory for TLS");
    mbedtls_x509_crt_init(&choice->authorities);
    mbedtls_x509_crt_init(&choice->certificate);
    mbedtls_pk_init(&choice->key);
    status = take_all(choice, given != NULL ? given : &nothing, url);
    if (outcome_is_ok(&status))
        *choice_out = choice;
    else
        tls_choice_destroy(choice);
    return status;
}

void tls_choice_destroy(struct tls_choice *choice)
{
    if (choice == NULL)
        return;
    mbedtls_pk_free(&choice->key);
    mbedtls_x509_crt_free(&choice->certificate);
    mbedtls_x509_crt_free(&choice->authorities);
    if (choice->key_text != NULL)
        explicit_bzero(choice->key_text, strlen(choice->key_text));
    free(choice->key_text);
    free(choice->certificate_text);
    free(choice->authorities_text);
    free(choice);
}

struct probed_status tls_make_config(const struct tls_choice *choice, nng_tls_config **config_out)
{
    nng_tls_config *config;
    int error = nng_tls_config_alloc(&config, NNG_TLS_MODE_CLIENT);

    if (error != 0)
        return outcome_make(PROBED_RESOURCE_EXHAUSTED, "no memory for TLS");
    error = nng_tls_config_own_cert(config, choice->certificate_text, choice->key_text, NULL);
    if (error == 0)
        error = nng_tls_config_ca_chain(config, choice->authorities_text, NULL);
    if (error == 0)
        error = nng_tls_config_auth_mode(config, NNG_TLS_AUTH_MODE_REQUIRED);
    if (error == 0)
        error = nng_tls_config_server_name(config, choice->server_name);
    if (error == 0) {
        *config_out = config;
        return outcome_ok();
    }
    nng_tls_config_free(config);
    return outcome_make(PROBED_INVALID_ARGUMENT, "nng takes our certificate or authorities not: %s",
                        nng_strerror(error));
}
