/* The files of TLS, see pem.h. */
#include "server/tls/pem.h"

#include "server/base/log.h"
#include "server/base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <mbedtls/error.h>
#include <mbedtls/pk.h>
#include <mbedtls/x509_crl.h>
#include <mbedtls/x509_crt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CERTIFICATE_SETTING "tls.certificate"
#define KEY_SETTING         "tls.key"

static const char revocations[] = "-----BEGIN X509 CRL-----";

/* ---- files ---- */

static struct status refuse(const char *setting, const char *file, const char *why)
{
    return status_make(STATUS_FAILED_PRECONDITION, "%s: %.100s %s", setting, file, why);
}

static struct status check_file(const char *setting, const char *file, const struct stat *found, bool secret)
{
    if (!S_ISREG(found->st_mode))
        return refuse(setting, file, "is no file");
    if (found->st_uid != 0 && found->st_uid != geteuid())
        return status_make(STATUS_FAILED_PRECONDITION, "%s: %.100s is uid %u's; let it be root's or uid %u's", setting,
                           file, (unsigned)found->st_uid, (unsigned)geteuid());
    if (secret && (found->st_mode & 077) != 0)
        return status_make(STATUS_FAILED_PRECONDITION,
                           "%s: others than its owner may use %.100s (mode %04o); chmod 600 helps", setting, file,
                           (unsigned)found->st_mode & 07777);
    if ((found->st_mode & 022) != 0)
        return status_make(STATUS_FAILED_PRECONDITION, "%s: others can write %.100s (mode %04o); chmod go-w helps",
                           setting, file, (unsigned)found->st_mode & 07777);
    if (found->st_size > PEM_SIZE_MAX)
        return refuse(setting, file, "has more than 1 MiB");
    return status_ok();
}

static struct status read_all(const char *setting, const char *file, int fd, struct pem *pem)
{
    ssize_t got = 1;

    pem->text = calloc(1, PEM_SIZE_MAX + 1);
    if (pem->text == NULL)
        return status_make(STATUS_RESOURCE_EXHAUSTED, "%s: no memory to read %.100s", setting, file);
    while (pem->size < PEM_SIZE_MAX && (got = read(fd, pem->text + pem->size, PEM_SIZE_MAX - pem->size)) > 0)
        pem->size += (size_t)got;
    if (got < 0)
        return refuse(setting, file, strerror(errno));
    if (strlen(pem->text) != pem->size)
        return refuse(setting, file, "has a NUL byte, as no PEM has");
    return status_ok();
}

static struct status read_file(const char *setting, const char *file, bool secret, struct pem *pem_out)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hold us */
    struct pem pem = {.size = 0};
    struct status status;
    struct stat found;

    if (fd < 0)
        return status_make(STATUS_FAILED_PRECONDITION, "%s: cannot read %.100s as uid %u: %s", setting, file,
                           (unsigned)geteuid(), strerror(errno));
    status =
        fstat(fd, &found) == 0 ? check_file(setting, file, &found, secret) : refuse(setting, file, strerror(errno));
    if (status_is_ok(&status))
        status = read_all(setting, file, fd, &pem);
    close(fd);
    if (status_is_ok(&status))
        *pem_out = pem;
    else
        pem_fini(&pem);
    return status;
}

void pem_fini(struct pem *pem)
{
    if (pem->text != NULL)
        secret_wipe(pem->text, pem->size);
    free(pem->text);
    *pem = (struct pem){.size = 0};
}

/* ---- what is in them ---- */

/* mbedTLS takes PEM with its terminator. */
static const unsigned char *bytes_of(const struct pem *pem)
{
    return (const unsigned char *)pem->text;
}

/* A negative error is mbedTLS's; a positive one counts the certificates that it could not read. */
static struct status refuse_content(const char *setting, const char *file, const char *what, int error)
{
    char why[100] = "some of it cannot be read";

    if (error < 0)
        mbedtls_strerror(error, why, sizeof why);
    return status_make(STATUS_FAILED_PRECONDITION, "%s: %.100s holds no %s that mbedTLS can use: %s", setting, file,
                       what, why);
}

static int64_t seconds_of(const mbedtls_x509_time *time)
{
    struct tm parts = {.tm_year = time->year - 1900,
                       .tm_mon = time->mon - 1,
                       .tm_mday = time->day,
                       .tm_hour = time->hour,
                       .tm_min = time->min,
                       .tm_sec = time->sec};

    return (int64_t)timegm(&parts);
}

static struct status judge_key(const char *key_file, const struct pem *key, const mbedtls_x509_crt *certificate)
{
    mbedtls_pk_context parsed;
    struct status status = status_ok();
    int error;

    mbedtls_pk_init(&parsed);
    error = mbedtls_pk_parse_key(&parsed, bytes_of(key), key->size + 1, NULL, 0);
    if (error == MBEDTLS_ERR_PK_PASSWORD_REQUIRED)
        status = refuse(KEY_SETTING, key_file, "is encrypted; nobody is there to type a passphrase: store it without");
    else if (error != 0)
        status = refuse_content(KEY_SETTING, key_file, "private key (RSA or ECDSA)", error);
    else if (mbedtls_pk_check_pair(&certificate->pk, &parsed) != 0)
        status = refuse(KEY_SETTING, key_file, "is not the key of the certificate in " CERTIFICATE_SETTING);
    mbedtls_pk_free(&parsed);
    return status;
}

static struct status judge_identity(const char *certificate_file, const struct pem *certificate, const char *key_file,
                                    const struct pem *key, int64_t *expires_s_out)
{
    mbedtls_x509_crt parsed;
    struct status status;
    int error;

    mbedtls_x509_crt_init(&parsed);
    error = mbedtls_x509_crt_parse(&parsed, bytes_of(certificate), certificate->size + 1);
    if (error != 0)
        status = refuse_content(CERTIFICATE_SETTING, certificate_file, "certificate", error);
    else
        status = judge_key(key_file, key, &parsed);
    if (status_is_ok(&status))
        *expires_s_out = seconds_of(&parsed.valid_to);
    mbedtls_x509_crt_free(&parsed);
    return status;
}

struct status pem_read_identity(const char *certificate_file, const char *key_file, struct pem *certificate_out,
                                struct pem *key_out, int64_t *expires_s_out)
{
    struct pem certificate = {.size = 0}, key = {.size = 0};
    struct status status = read_file(CERTIFICATE_SETTING, certificate_file, false, &certificate);

    if (status_is_ok(&status))
        status = read_file(KEY_SETTING, key_file, true, &key);
    if (status_is_ok(&status))
        status = judge_identity(certificate_file, &certificate, key_file, &key, expires_s_out);
    if (status_is_ok(&status)) {
        *certificate_out = certificate;
        *key_out = key;
    } else {
        pem_fini(&certificate);
        pem_fini(&key);
    }
    return status;
}

bool pem_has_revocations(const struct pem *authorities)
{
    return strstr(authorities->text, revocations) != NULL;
}

static struct status judge_revocations(const char *setting, const char *file, const struct pem *authorities)
{
    mbedtls_x509_crl parsed;
    int error;

    mbedtls_x509_crl_init(&parsed);
    error = mbedtls_x509_crl_parse(&parsed, bytes_of(authorities), authorities->size + 1);
    for (const mbedtls_x509_crl *at = &parsed; error == 0 && at != NULL; at = at->next) {
        if (mbedtls_x509_time_is_past(&at->next_update))
            log_write(LOG_WARN, "a list of revoked certificates has expired: it lets nobody in",
                      LOG_FIELDS(log_text("file", file)));
    }
    mbedtls_x509_crl_free(&parsed);
    return error == 0 ? status_ok() : refuse_content(setting, file, "list of revoked certificates", error);
}

/* Anybody's certificate would be an authority for whatever else that key signs: each says that it is one. */
static struct status judge_authorities(const char *setting, const char *file, const struct pem *authorities)
{
    mbedtls_x509_crt parsed;
    struct status status = status_ok();
    int error;

    mbedtls_x509_crt_init(&parsed);
    error = mbedtls_x509_crt_parse(&parsed, bytes_of(authorities), authorities->size + 1);
    if (error != 0)
        status = refuse_content(setting, file, "certificate", error);
    for (const mbedtls_x509_crt *at = &parsed; status_is_ok(&status) && at != NULL; at = at->next) {
        if (!at->ca_istrue)
            status = refuse(setting, file, "has a certificate of no authority (basicConstraints CA:TRUE)");
    }
    mbedtls_x509_crt_free(&parsed);
    return status;
}

struct status pem_read_authorities(const char *setting, const char *file, struct pem *authorities_out)
{
    struct pem authorities;
    struct status status = read_file(setting, file, false, &authorities);

    if (!status_is_ok(&status))
        return status;
    status = judge_authorities(setting, file, &authorities);
    if (status_is_ok(&status) && pem_has_revocations(&authorities))
        status = judge_revocations(setting, file, &authorities);
    if (status_is_ok(&status))
        *authorities_out = authorities;
    else
        pem_fini(&authorities);
    return status;
}
