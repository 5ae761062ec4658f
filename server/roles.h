/* The roles of the configuration, as TLS wants them: from tls+tcp:// URLs and the settings of [tls] that name a role.
 *
 * What is said of a role stands in several settings; here they are held against each other, so that neither is a role
 * without authorities or a user, nor a word about a role that nobody listens for.
 *
 * Ownership: lends from the config, which must outlive it.  Threads: the main thread's. */
#ifndef SERVER_ROLES_H
#define SERVER_ROLES_H

#include "proto/status.h"
#include "server/config.h"
#include "server/tls/tls.h"

struct roles {
    struct tls_settings tls;            /* role_count 0: no URL takes TLS */
    struct tls_role_settings *settings; /* owned; tls.roles */
    const char **homes;                 /* owned; theirs, one after the other */
};

/* INVALID_ARGUMENT naming the setting, RESOURCE_EXHAUSTED; roles_fini is due when it is OK. */
MUST_USE struct status roles_init(const struct config *config, struct roles *roles_out);
void roles_fini(struct roles *roles);

#endif
