/* A certificate authority made for one run, and the certificate of one server: P-256, valid for a day.
 *
 * Failures end the process: a test cannot go on without.  Ownership: texts are the caller's: text_fini().
 * Threads: none of its own. */
#ifndef TESTS_SUPPORT_AUTHORITY_H
#define TESTS_SUPPORT_AUTHORITY_H

#include "server/base/text.h"

#include <stddef.h>

struct authority {
    struct text ca;               /* PEM: what a client trusts */
    struct text certificate, key; /* PEM: what the server has, signed by the above */
};

/* The server's names are `hosts`. */
void authority_make(struct authority *authority, const char *const *hosts, size_t host_count);
void authority_fini(struct authority *authority);

#endif
