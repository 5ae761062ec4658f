/* Roles, see roles.h. */
#include "server/roles.h"

#include "server/base/tls_url.h"
#include "server/config_value.h"

#include <stdlib.h>
#include <string.h>

static struct status no_memory(void)
{
    return status_make(STATUS_RESOURCE_EXHAUSTED, "no memory for the roles of TLS");
}

static bool is_of_role(const char *word, const char *name)
{
    size_t size = strlen(name);

    return strncmp(word, name, size) == 0 && word[size] == '=';
}

static struct tls_role_settings *find_role(const struct roles *roles, const char *name, size_t name_size)
{
    for (size_t i = 0; i < roles->tls.role_count; i++) {
        if (strlen(roles->settings[i].name) == name_size && memcmp(roles->settings[i].name, name, name_size) == 0)
            return &roles->settings[i];
    }
    return NULL;
}

/* ---- names: from the URLs ---- */

static struct status take_url(struct roles *roles, const char *url)
{
    struct tls_url parsed;
    struct status status;
    char *name;

    if (!tls_url_is(url))
        return status_ok();
    status = tls_url_parse(url, &parsed);
    if (!status_is_ok(&status) || find_role(roles, parsed.role, strlen(parsed.role)) != NULL)
        return status;
    name = strdup(parsed.role);
    if (name == NULL)
        return no_memory();
    roles->settings[roles->tls.role_count++].name = name;
    return status;
}

static struct status take_urls(struct roles *roles, const struct config_words *urls)
{
    struct status status = status_ok();

    for (size_t i = 0; status_is_ok(&status) && i < urls->count; i++)
        status = take_url(roles, urls->words[i]);
    return status;
}

/* A word about a role that nobody listens for is a slip. */
static struct status check_named(const struct roles *roles, const char *setting, const struct config_words *words)
{
    for (size_t i = 0; i < words->count; i++) {
        const char *word = words->words[i];
        size_t name_size = strcspn(word, "=");

        if (find_role(roles, word, name_size) == NULL)
            return status_make(STATUS_INVALID_ARGUMENT,
                               "%s: role %.*s has no tls+tcp://%.*s@ADDRESS:PORT in server.listen or server.publish",
                               setting, (int)name_size, word, (int)name_size, word);
    }
    return status_ok();
}

/* ---- what is said of each ---- */

/* The one word of this role, without its name. */
static struct status find_only(const char *setting, const struct config_words *words, const char *name,
                               const char *example, const char **value_out)
{
    const char *found = NULL;

    for (size_t i = 0; i < words->count; i++) {
        if (!is_of_role(words->words[i], name))
            continue;
        if (found != NULL)
            return status_make(STATUS_INVALID_ARGUMENT, "%s: role %s has more than one", setting, name);
        found = words->words[i] + strlen(name) + 1;
    }
    if (found == NULL)
        return status_make(STATUS_INVALID_ARGUMENT, "%s: role %s has none; it takes %s=%s", setting, name, name,
                           example);
    *value_out = found;
    return status_ok();
}

/* Behind those that were taken for the roles before it. */
static void take_homes(struct tls_role_settings *role, const struct config_words *words, const char **homes)
{
    role->homes = homes;
    for (size_t i = 0; i < words->count; i++) {
        if (is_of_role(words->words[i], role->name))
            homes[role->home_count++] = words->words[i] + strlen(role->name) + 1;
    }
}

static struct status take_role(const struct config *config, struct tls_role_settings *role, const char **homes)
{
    const char *user;
    struct status status =
        find_only("tls.ca", &config->tls.ca, role->name, "/path/to/authorities.pem", &role->authorities_file);

    if (status_is_ok(&status))
        status = find_only("tls.user", &config->tls.user, role->name, "USER", &user);
    if (status_is_ok(&status))
        status = config_value_find_uid(user, &role->uid);
    if (status_is_ok(&status))
        take_homes(role, &config->tls.homes, homes);
    return status;
}

static struct status check_identity(const struct config *config)
{
    if (config->tls.certificate[0] == '\0')
        return status_make(STATUS_INVALID_ARGUMENT, "tls.certificate: is needed by tls+tcp:// URLs");
    if (config->tls.key[0] == '\0')
        return status_make(STATUS_INVALID_ARGUMENT, "tls.key: is needed by tls+tcp:// URLs");
    return status_ok();
}

static struct status take_all(const struct config *config, struct roles *roles)
{
    struct status status = take_urls(roles, &config->server.listen);
    size_t home_count = 0;

    if (status_is_ok(&status))
        status = take_urls(roles, &config->server.publish);
    if (status_is_ok(&status))
        status = check_named(roles, "tls.ca", &config->tls.ca);
    if (status_is_ok(&status))
        status = check_named(roles, "tls.user", &config->tls.user);
    if (status_is_ok(&status))
        status = check_named(roles, "tls.homes", &config->tls.homes);
    if (status_is_ok(&status) && roles->tls.role_count > 0)
        status = check_identity(config);
    for (size_t i = 0; status_is_ok(&status) && i < roles->tls.role_count; i++) {
        status = take_role(config, &roles->settings[i], roles->homes + home_count);
        home_count += roles->settings[i].home_count;
    }
    return status;
}

struct status roles_init(const struct config *config, struct roles *roles_out)
{
    size_t url_count = config->server.listen.count + config->server.publish.count;
    struct roles roles = {
        .settings = calloc(url_count + 1, sizeof *roles.settings),
        .homes = calloc(config->tls.homes.count + 1, sizeof *roles.homes),
        .tls = {.certificate_file = config->tls.certificate, .key_file = config->tls.key},
    };
    struct status status = roles.settings == NULL || roles.homes == NULL ? no_memory() : take_all(config, &roles);

    roles.tls.roles = roles.settings;
    if (status_is_ok(&status))
        *roles_out = roles;
    else
        roles_fini(&roles);
    return status;
}

void roles_fini(struct roles *roles)
{
    for (size_t i = 0; i < roles->tls.role_count; i++)
        free((char *)(uintptr_t)roles->settings[i].name);
    free(roles->settings);
    free(roles->homes);
    *roles = (struct roles){.settings = NULL};
}
