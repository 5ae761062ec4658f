/* Secrets as the engine knows them (server/base/secret.h), with their counts open to view.
 *
 * secrets.c stands in for libsodium's guarded memory, which costs two pages and three system calls a secret, and which
 * no leak checker looks into. */
#ifndef TESTS_SIM_SECRETS_H
#define TESTS_SIM_SECRETS_H

#include "server/base/secret.h"

unsigned secrets_holder_count(const struct secret *secret);

#endif
