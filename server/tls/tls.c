/* Roles and their listeners, see tls.h.
 *
 * nng takes the configuration of a TLS listener with each connection that it begins to wait for.  So another one may be
 * set at any time, no connection there is notices, and the one that is waited for meanwhile still gets the former: after
 * a change we connect to ourselves once, and that one is us. */
#include "server/tls/tls.h"

#include "server/base/clock.h"
#include "server/base/invariant.h"
#include "server/base/log.h"
#include "server/base/tls_url.h"
#include "server/threads/lock.h"
#include "server/tls/doorman.h"
#include "server/tls/pem.h"

#include <errno.h>
#include <netinet/in.h>
#include <nng/supplemental/tls/tls.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* When to say that a certificate is about to expire. */
enum { EXPIRY_WARNING_S = 14 * 24 * 3600 };

struct door {
    struct door *next;
    nng_listener listener;
    const struct tls_role *role; /* lent */
};

struct tls {
    /* Fixed at create. */
    struct tls_role *roles; /* owned, with their names and homes */
    size_t role_count;

    /* The main thread's own. */
    nng_tls_config **configs;  /* owned: of each role */
    nng_tls_config **prepared; /* owned: to take their place; NULL: nothing is */

    /* Guarded by lock; written by the main thread alone. */
    struct lock lock;
    struct door *doors; /* owned */
};

/* ---- configurations for nng ---- */

static struct status no_memory(void)
{
    return status_make(STATUS_RESOURCE_EXHAUSTED, "no memory for TLS");
}

/* The files were judged: what fails here is memory, or a kind of key that nng's mbedTLS was built without. */
static struct status make_config(const struct tls_role_settings *role, const struct pem *certificate,
                                 const struct pem *key, nng_tls_config **config_out)
{
    struct pem authorities;
    struct status status = pem_read_authorities("tls.ca", role->authorities_file, &authorities);
    const char *revocations;
    nng_tls_config *config;
    int error;

    if (!status_is_ok(&status))
        return status;
    revocations = pem_has_revocations(&authorities) ? authorities.text : NULL;
    error = nng_tls_config_alloc(&config, NNG_TLS_MODE_SERVER);
    if (error == 0) {
        error = nng_tls_config_own_cert(config, certificate->text, key->text, NULL);
        if (error == 0)
            error = nng_tls_config_ca_chain(config, authorities.text, revocations);
        if (error == 0)
            error = nng_tls_config_auth_mode(config, NNG_TLS_AUTH_MODE_REQUIRED);
        if (error == 0)
            *config_out = config;
        else
            nng_tls_config_free(config);
    }
    pem_fini(&authorities);
    if (error != 0)
        return status_make(STATUS_FAILED_PRECONDITION, "nng takes neither tls.certificate nor tls.ca of role %s: %s",
                           role->name, nng_strerror(error));
    return status_ok();
}

static void free_configs(nng_tls_config **configs, size_t count)
{
    for (size_t i = 0; configs != NULL && i < count; i++) {
        if (configs[i] != NULL)
            nng_tls_config_free(configs[i]);
    }
    free(configs);
}

static void say_certificate(const char *file, int64_t expires_s)
{
    int64_t left_s = expires_s - (int64_t)(clock_wall_ms() / 1000);
    time_t expires_time = (time_t)expires_s;
    char expires[sizeof "2026-01-01T00:00:00Z"] = "";
    struct tm parts;

    if (gmtime_r(&expires_time, &parts) != NULL)
        strftime(expires, sizeof expires, "%Y-%m-%dT%H:%M:%SZ", &parts);
    if (left_s < EXPIRY_WARNING_S)
        log_write(LOG_WARN, left_s < 0 ? "the certificate has expired" : "the certificate will expire soon",
                  LOG_FIELDS(log_text("file", file), log_text("expires", expires)));
    else
        log_write(LOG_INFO, "certificate read", LOG_FIELDS(log_text("file", file), log_text("expires", expires)));
}

/* One a role, or none at all. */
static struct status make_configs(const struct tls_settings *settings, nng_tls_config ***configs_out)
{
    struct pem certificate, key;
    int64_t expires_s;
    struct status status =
        pem_read_identity(settings->certificate_file, settings->key_file, &certificate, &key, &expires_s);
    nng_tls_config **configs;

    if (!status_is_ok(&status))
        return status;
    configs = calloc(settings->role_count + 1, sizeof(nng_tls_config *));
    if (configs == NULL)
        status = no_memory();
    for (size_t i = 0; status_is_ok(&status) && i < settings->role_count; i++)
        status = make_config(&settings->roles[i], &certificate, &key, &configs[i]);
    pem_fini(&certificate);
    pem_fini(&key);
    if (status_is_ok(&status)) {
        say_certificate(settings->certificate_file, expires_s);
        *configs_out = configs;
    } else {
        free_configs(configs, settings->role_count);
    }
    return status;
}

/* ---- roles ---- */

/* As homes know it: without symlinks. */
static struct status take_home(const struct tls_role_settings *settings, const char *home, char **canonical_out)
{
    char *canonical = realpath(home, NULL);
    struct stat found;

    if (canonical == NULL || stat(canonical, &found) != 0 || !S_ISDIR(found.st_mode)) {
        struct status status = status_make(STATUS_INVALID_ARGUMENT, "tls.homes: %.100s, for role %s: %s", home,
                                           settings->name, canonical == NULL ? strerror(errno) : "no directory");

        free(canonical);
        return status;
    }
    *canonical_out = canonical;
    return status_ok();
}

static struct status take_role(const struct tls_role_settings *settings, struct tls_role *role)
{
    char **homes = calloc(settings->home_count + 1, sizeof *homes);
    struct status status = status_ok();

    role->name = strdup(settings->name);
    role->uid = settings->uid;
    role->scope.directories = (const char *const *)homes;
    if (role->name == NULL || homes == NULL)
        return no_memory();
    for (size_t i = 0; status_is_ok(&status) && i < settings->home_count; i++) {
        status = take_home(settings, settings->homes[i], &homes[i]);
        role->scope.count += status_is_ok(&status);
    }
    return status;
}

static struct status take_roles(struct tls *tls, const struct tls_settings *settings)
{
    struct status status = status_ok();

    tls->roles = calloc(settings->role_count + 1, sizeof *tls->roles);
    if (tls->roles == NULL)
        return no_memory();
    for (size_t i = 0; status_is_ok(&status) && i < settings->role_count; i++) {
        tls->role_count++;
        tls->roles[i].id = (uint32_t)tls->role_count;
        status = take_role(&settings->roles[i], &tls->roles[i]);
    }
    return status;
}

static void free_roles(struct tls *tls)
{
    for (size_t i = 0; i < tls->role_count; i++) {
        const struct tls_role *role = &tls->roles[i];

        for (size_t home = 0; home < role->scope.count; home++)
            free((char *)(uintptr_t)role->scope.directories[home]);
        free((void *)(uintptr_t)role->scope.directories);
        free((char *)(uintptr_t)role->name);
    }
    free(tls->roles);
}

const struct tls_role *tls_roles(const struct tls *tls, size_t *role_count_out)
{
    *role_count_out = tls == NULL ? 0 : tls->role_count;
    return tls == NULL ? NULL : tls->roles;
}

const struct tls_role *tls_role_of_url(const struct tls *tls, const char *url)
{
    struct tls_url parsed;
    struct status status;

    if (tls == NULL || !tls_url_is(url))
        return NULL;
    status = tls_url_parse(url, &parsed);
    for (size_t i = 0; status_is_ok(&status) && i < tls->role_count; i++) {
        if (strcmp(tls->roles[i].name, parsed.role) == 0)
            return &tls->roles[i];
    }
    return NULL;
}

/* ---- listening ---- */

static int set_up(nng_listener listener, nng_tls_config *config, size_t receive_size_max)
{
    int error = nng_listener_set_size(listener, NNG_OPT_RECVMAXSZ, receive_size_max);

    if (error == 0)
        error = nng_listener_set_ptr(listener, NNG_OPT_TLS_CONFIG, config);
    return error;
}

/* Before it starts: the first peer may come at once. */
static bool add_door(struct tls *tls, nng_listener listener, const struct tls_role *role)
{
    struct door *door = calloc(1, sizeof *door);

    if (door == NULL)
        return false;
    door->listener = listener;
    door->role = role;
    lock_acquire(&tls->lock);
    door->next = tls->doors;
    tls->doors = door;
    lock_release(&tls->lock);
    return true;
}

struct status tls_listen(struct tls *tls, nng_socket socket, const char *url, size_t receive_size_max)
{
    const struct tls_role *role = tls_role_of_url(tls, url);
    struct tls_url parsed;
    struct status status = tls_url_parse(url, &parsed);
    nng_listener listener;
    int error;

    if (!status_is_ok(&status))
        return status;
    if (role == NULL)
        return status_make(STATUS_INVALID_ARGUMENT, "%s: there is no role %s", url, parsed.role);
    error = nng_listener_create(&listener, socket, parsed.dialled);
    if (error == 0)
        error = set_up(listener, tls->configs[role->id - 1], receive_size_max);
    if (error == 0 && !add_door(tls, listener, role))
        error = NNG_ENOMEM;
    doorman_paces(parsed.port);
    if (error == 0)
        error = nng_listener_start(listener, 0);
    if (error != 0)
        return status_make(STATUS_UNAVAILABLE, "cannot listen at %s: %s", url, nng_strerror(error));
    return status_ok();
}

const struct tls_role *tls_role_of_pipe(struct tls *tls, nng_pipe pipe)
{
    int listener_id = nng_listener_id(nng_pipe_listener(pipe));
    const struct tls_role *role = NULL;

    if (tls == NULL)
        return NULL;
    lock_acquire(&tls->lock);
    for (const struct door *door = tls->doors; door != NULL && role == NULL; door = door->next) {
        if (nng_listener_id(door->listener) == listener_id)
            role = door->role;
    }
    lock_release(&tls->lock);
    return role;
}

/* ---- reading the files again ---- */

static bool is_any(const struct sockaddr_in6 *address)
{
    return memcmp(&address->sin6_addr, &in6addr_any, sizeof in6addr_any) == 0;
}

/* Where a listener can be reached from this machine; its size, 0: not known. */
static socklen_t find_address(nng_listener listener, struct sockaddr_storage *out)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)out;
    nng_sockaddr bound;

    memset(out, 0, sizeof *out);
    if (nng_listener_get_addr(listener, NNG_OPT_LOCADDR, &bound) != 0)
        return 0;
    if (bound.s_family == NNG_AF_INET) {
        *v4 = (struct sockaddr_in){
            .sin_family = AF_INET, .sin_port = bound.s_in.sa_port, .sin_addr.s_addr = bound.s_in.sa_addr};
        if (v4->sin_addr.s_addr == htonl(INADDR_ANY))
            v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return sizeof *v4;
    }
    if (bound.s_family != NNG_AF_INET6)
        return 0;
    *v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = bound.s_in6.sa_port};
    memcpy(&v6->sin6_addr, bound.s_in6.sa_addr, sizeof v6->sin6_addr);
    if (is_any(v6))
        v6->sin6_addr = in6addr_loopback;
    return sizeof *v6;
}

/* Whoever comes after us is the next that nng waits for.  Not waited for: what matters is our place in the line. */
static void knock(nng_listener listener)
{
    struct sockaddr_storage address;
    socklen_t size = find_address(listener, &address);
    int fd = size == 0 ? -1 : socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 || (connect(fd, (const struct sockaddr *)&address, size) != 0 && errno != EINPROGRESS))
        log_write(LOG_WARN, "the next peer may still be judged by the former certificates",
                  LOG_FIELDS(log_text("cause", strerror(errno))));
    if (fd >= 0)
        close(fd);
}

struct status tls_prepare(struct tls *tls, const struct tls_settings *settings)
{
    tls_exchange(tls, false);
    return make_configs(settings, &tls->prepared);
}

void tls_exchange(struct tls *tls, bool wanted)
{
    nng_tls_config **configs = tls->prepared, **former = tls->configs;

    tls->prepared = NULL;
    if (configs == NULL)
        return;
    if (!wanted) {
        free_configs(configs, tls->role_count);
        return;
    }
    for (const struct door *door = tls->doors; door != NULL; door = door->next) {
        int error = nng_listener_set_ptr(door->listener, NNG_OPT_TLS_CONFIG, configs[door->role->id - 1]);

        INVARIANT(error == 0); /* nng only takes hold of it */
        knock(door->listener);
    }
    tls->configs = configs;
    free_configs(former, tls->role_count);
}

/* ---- life ---- */

struct status tls_create(const struct tls_settings *settings, struct tls **tls_out)
{
    struct tls *tls = calloc(1, sizeof *tls);
    struct status status;

    if (tls == NULL)
        return no_memory();
    lock_init(&tls->lock, "tls");
    status = take_roles(tls, settings);
    if (status_is_ok(&status))
        status = make_configs(settings, &tls->configs);
    if (status_is_ok(&status))
        status = doorman_start(&(struct doorman_settings){.visit_ns_max = 0});
    if (status_is_ok(&status))
        *tls_out = tls;
    else
        tls_destroy(tls);
    return status;
}

struct status tls_check(const struct tls_settings *settings)
{
    struct tls tls = {.role_count = 0};
    struct status status = take_roles(&tls, settings);

    if (status_is_ok(&status))
        status = make_configs(settings, &tls.configs);
    free_configs(tls.configs, tls.role_count);
    free_roles(&tls);
    return status;
}

void tls_destroy(struct tls *tls)
{
    if (tls == NULL)
        return;
    doorman_stop();
    while (tls->doors != NULL) {
        struct door *door = tls->doors;

        tls->doors = door->next;
        free(door);
    }
    free_configs(tls->prepared, tls->role_count);
    free_configs(tls->configs, tls->role_count);
    free_roles(tls);
    lock_fini(&tls->lock);
    free(tls);
}
