/* The files of TLS: certificates, a private key, certificate authorities, in PEM.
 *
 * They are read and judged here, so that a refusal says which setting, which file and what is wrong with it; nng would
 * say "cryptographic error" of all.  nng is handed their text.
 *
 * Who can write such a file decides who may call, and who can read the key can pretend to be us.  So each must belong to
 * root or to the daemon's user, be writable by nobody else, and the key be readable by nobody else, as OpenSSH has it.
 *
 * Ownership: a pem is the caller's; pem_fini wipes it.  Threads: any; blocks as reading a file does. */
#ifndef SERVER_TLS_PEM_H
#define SERVER_TLS_PEM_H

#include "proto/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PEM_SIZE_MAX = 1 << 20 };

struct pem {
    char *text; /* owned; ended by NUL */
    size_t size;
};

/* A certificate, then those that vouch for it, and its private key.  `expires_s` (seconds since 1970) is its own. */
MUST_USE struct status pem_read_identity(const char *certificate_file, const char *key_file,
                                         struct pem *certificate_out, struct pem *key_out, int64_t *expires_s_out);

/* Authorities, and their lists of what they have revoked, if there are any.  `setting`: for messages. */
MUST_USE struct status pem_read_authorities(const char *setting, const char *file, struct pem *authorities_out);

/* Whether there is a list of revoked certificates among them. */
bool pem_has_revocations(const struct pem *authorities);

void pem_fini(struct pem *pem);

#endif
