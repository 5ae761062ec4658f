/* TLS for calls and events beyond this machine: roles, and the listeners at which their peers come in.
 *
 * Both sides show a certificate (mutual authentication).  nng 1.5.2 tells that a peer's certificate is verified, not
 * whose it is, so each role has listeners and certificate authorities of its own: who came in there, by a certificate
 * of theirs, has that role.  A role is the rights of one uid, confined to some homes where tls.homes says so.
 *
 *     pem.c       the files: who may own them, what must be in them
 *     doorman.c   peers that have not shown who they are yet: how many, for how long
 *     tls.c       roles, listeners, reading the files again without dropping anyone
 *
 * A listener's URL names its role: server/base/tls_url.h.
 *
 * Ownership: tls_create copies what it is given.  The roles live as long as the struct tls, and never change.
 * Threads: tls_role_of_pipe from any; the rest is the main thread's.  Locks: one, a leaf. */
#ifndef SERVER_TLS_TLS_H
#define SERVER_TLS_TLS_H

#include "proto/status.h"
#include "server/homes/scope.h"

#include <nng/nng.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tls_role_settings {
    const char *name;
    uint32_t uid;
    const char *authorities_file;
    const char *const *homes; /* directories; none: whatever the uid may use */
    size_t home_count;
};

struct tls_settings {
    const char *certificate_file, *key_file;
    const struct tls_role_settings *roles;
    size_t role_count;
};

struct tls_role {
    const char *name;
    uint32_t id; /* 1 and up, in the order of the settings */
    uint32_t uid;
    struct homes_scope scope;
};

struct tls;

/* Reads the files.  FAILED_PRECONDITION naming setting, file and what is wrong with it; INVALID_ARGUMENT for a home that
 * is no directory; RESOURCE_EXHAUSTED.  After nng_start. */
MUST_USE struct status tls_create(const struct tls_settings *settings, struct tls **tls_out);

/* Only reads and judges the files, for --check-config. */
MUST_USE struct status tls_check(const struct tls_settings *settings);

/* When the sockets it listens for are closed.  NULL is fine. */
void tls_destroy(struct tls *tls);

/* Listens for peers of a role, on a socket whose pipe callbacks are set.  INVALID_ARGUMENT, or UNAVAILABLE naming the
 * URL. */
MUST_USE struct status tls_listen(struct tls *tls, nng_socket socket, const char *url, size_t receive_size_max);

/* Reads the files again, all or nothing; errors as tls_create.  Nothing has changed yet: tls_exchange is due. */
MUST_USE struct status tls_prepare(struct tls *tls, const struct tls_settings *settings);

/* What was prepared is in force, or, not `wanted`, is let go; without anything prepared it does nothing.  Connections
 * there are stay; who connects once this has returned meets the new certificate and is judged by the new authorities.
 * Roles, uids and homes stay as they are. */
void tls_exchange(struct tls *tls, bool wanted);

/* The role of who came in by this pipe; NULL: not by TLS.  `tls` may be NULL, here and below. */
const struct tls_role *tls_role_of_pipe(struct tls *tls, nng_pipe pipe);

/* The role that listens at this URL; NULL: there is none. */
const struct tls_role *tls_role_of_url(const struct tls *tls, const char *url);

const struct tls_role *tls_roles(const struct tls *tls, size_t *role_count_out);

#endif
