/* A secret's bytes: shared by count, wiped when the last holder lets go, left out of core files.
 *
 * The first mebibyte of them is locked in memory, with pages around each that nobody can touch; what comes on top is
 * wiped and left out of core files, too, and no more.  Of that mebibyte a quarter at most is kept, wiped, for the next.
 *
 * Ownership: secret_create gives one count, secret_share adds one, secret_release takes one.  Threads: any. */
#ifndef SERVER_BASE_SECRET_H
#define SERVER_BASE_SECRET_H

#include "proto/compiler.h"

#include <stddef.h>

enum { FINGERPRINT_SIZE = 32, SECRET_GUARDED_SIZE_MAX = 1048576 };

struct secret;

struct fingerprint {
    unsigned char bytes[FINGERPRINT_SIZE];
};

/* The key of this process's fingerprints: random, never written anywhere. */
struct fingerprint_key {
    unsigned char bytes[32];
};

/* Copies; NULL when memory is short.  A secret of size 0 is legal. */
MUST_USE struct secret *secret_create(const void *bytes, size_t size);
struct secret *secret_share(struct secret *secret);
void secret_release(struct secret *secret); /* NULL is fine */

const char *secret_bytes(const struct secret *secret); /* lent; not terminated */
size_t secret_size(const struct secret *secret);

/* How much guarded memory is in use now, in whole pages. */
size_t secret_guarded_size(void);

/* Random bytes of the system, and the keyed BLAKE2b of `bytes`.  Call secret_setup once before, in main. */
MUST_USE int secret_setup(void); /* -1: libsodium cannot start */
void secret_random(void *out, size_t size);
void secret_fingerprint(const struct fingerprint_key *key, const void *bytes, size_t size,
                        struct fingerprint *fingerprint_out);

/* Overwrites; the compiler may not drop it. */
void secret_wipe(void *memory, size_t size);

/* For libraries that hold what may be a secret and would free it as it is: overwrites a block of malloc's, and frees it.
 * NULL is fine. */
void secret_free(void *memory);

#endif
