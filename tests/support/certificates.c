#include "tests/support/certificates.h"

#include "tests/support/patience.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/supplemental/tls/tls.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { FILE_SIZE_MAX = 65536 };

static char directory[] = "/tmp/certificates.XXXXXX";

/* ---- files ---- */

bool certificates_make(void)
{
    const char *source = getenv("PROBED_SOURCE");
    char program[512];
    char *const arguments[] = {program, directory, NULL};
    int status = -1;
    pid_t pid;

    if (source == NULL || mkdtemp(directory) == NULL)
        return false;
    snprintf(program, sizeof program, "%s/tests/support/make_certificates", source);
    if (posix_spawn(&pid, program, NULL, NULL, arguments, environ) != 0 || waitpid(pid, &status, 0) != pid ||
        status != 0) {
        fprintf(stderr, "%s failed: see %s/openssl.err\n", program, directory);
        return false;
    }
    return true;
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *walk)
{
    (void)about;
    (void)kind;
    (void)walk;
    return remove(path);
}

void certificates_remove(void)
{
    nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

const char *certificate_path(const char *file, char path[CERTIFICATE_PATH_SIZE])
{
    ck_assert_int_lt(snprintf(path, CERTIFICATE_PATH_SIZE, "%s/%s", directory, file), CERTIFICATE_PATH_SIZE);
    return path;
}

static void read_file(const char *file, char text[FILE_SIZE_MAX])
{
    char path[CERTIFICATE_PATH_SIZE];
    FILE *in = fopen(certificate_path(file, path), "re");
    size_t size;

    ck_assert_msg(in != NULL, "%s: %s", path, strerror(errno));
    size = fread(text, 1, FILE_SIZE_MAX - 1, in);
    text[size] = '\0';
    fclose(in);
}

void certificate_replace(const char *path, const char *file)
{
    char text[FILE_SIZE_MAX], fresh[CERTIFICATE_PATH_SIZE + 8];
    int fd;

    read_file(file, text);
    snprintf(fresh, sizeof fresh, "%s.new", path);
    fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    ck_assert_int_eq(rename(fresh, path), 0);
}

/* ---- peers ---- */

static void must(int error)
{
    ck_assert_msg(error == 0, "nng: %s", nng_strerror(error));
}

/* A client that shows NAME.pem (NULL: none), and trusts server-ca. */
static nng_tls_config *make_config(const char *name)
{
    static char certificate[FILE_SIZE_MAX], key[FILE_SIZE_MAX], trusted[FILE_SIZE_MAX];
    char file[CERTIFICATE_PATH_SIZE];
    nng_tls_config *config;

    must(nng_tls_config_alloc(&config, NNG_TLS_MODE_CLIENT));
    if (name != NULL) {
        snprintf(file, sizeof file, "%s.pem", name);
        read_file(file, certificate);
        snprintf(file, sizeof file, "%s.key", name);
        read_file(file, key);
        must(nng_tls_config_own_cert(config, certificate, key, NULL));
    }
    read_file("server-ca.pem", trusted);
    must(nng_tls_config_ca_chain(config, trusted, NULL));
    must(nng_tls_config_server_name(config, "localhost"));
    return config;
}

static int dial(nng_socket socket, const char *url, const char *name, int flags)
{
    nng_tls_config *config = make_config(name);
    nng_dialer dialer;
    int error = nng_dialer_create(&dialer, socket, url);

    if (error == 0)
        error = nng_dialer_set_ptr(dialer, NNG_OPT_TLS_CONFIG, config);
    nng_tls_config_free(config);
    return error != 0 ? error : nng_dialer_start(dialer, flags);
}

void caller_open_as(struct caller *caller, const char *url, const char *name)
{
    caller_init(caller);
    must(dial(caller->socket, url, name, 0));
}

void listener_open_as(struct listener *listener, const char *url, const char *name)
{
    struct heard first;

    listener_init(listener);
    must(dial(listener->socket, url, name, 0));
    first = listener_next_beat(listener);
    heard_end(&first);
}

bool certificate_connects(const char *url, const char *name)
{
    nng_socket socket;
    int error;

    must(nng_req0_open(&socket));
    error = dial(socket, url, name, 0);
    nng_close(socket);
    return error == 0;
}
