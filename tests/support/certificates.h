/* Throw-away certificates of a test program, and peers by TLS that show them.
 *
 * They are made once, by main, before the tests are forked: tests/support/make_certificates says which there are. */
#ifndef TESTS_SUPPORT_CERTIFICATES_H
#define TESTS_SUPPORT_CERTIFICATES_H

#include "tests/support/caller.h"
#include "tests/support/listener.h"

#include <stdbool.h>
#include <stddef.h>

enum { CERTIFICATE_PATH_SIZE = 96 };

/* In a fresh directory; false, and said on standard error: openssl failed. */
bool certificates_make(void);
void certificates_remove(void);

/* The path of a file among them: "dash.pem". */
const char *certificate_path(const char *file, char path[CERTIFICATE_PATH_SIZE]);

/* Replaces a file, by a rename, by another of them. */
void certificate_replace(const char *path, const char *file);

/* As caller_open and listener_open, showing NAME.pem to a server whose certificate server-ca vouches for. */
void caller_open_as(struct caller *caller, const char *url, const char *name);
void listener_open_as(struct listener *listener, const char *url, const char *name);

/* Whether somebody with NAME.pem gets a connection: dials once, and waits for how that ends. */
bool certificate_connects(const char *url, const char *name);

#endif
