/* Secrets in memory of libsodium's that is locked, guarded and left out of core files. */
#include "server/base/secret.h"

#include "server/base/invariant.h"

#include <sodium.h>
#include <stdatomic.h>
#include <string.h>

struct secret {
    atomic_uint holders;
    size_t size;
    unsigned char bytes[];
};

int secret_setup(void)
{
    return sodium_init() < 0 ? -1 : 0;
}

struct secret *secret_create(const void *bytes, size_t size)
{
    /* Guarded memory ends exactly where the bytes do, so the head must leave it aligned. */
    size_t whole = (sizeof(struct secret) + size + 15) / 16 * 16;
    struct secret *secret = sodium_malloc(whole);

    if (secret == NULL)
        return NULL;
    atomic_init(&secret->holders, 1);
    secret->size = size;
    if (size > 0)
        memcpy(secret->bytes, bytes, size);
    return secret;
}

struct secret *secret_share(struct secret *secret)
{
    if (secret != NULL)
        atomic_fetch_add(&secret->holders, 1);
    return secret;
}

void secret_release(struct secret *secret)
{
    unsigned before;

    if (secret == NULL)
        return;
    before = atomic_fetch_sub(&secret->holders, 1);
    INVARIANT(before > 0);
    if (before == 1)
        sodium_free(secret);
}

const char *secret_bytes(const struct secret *secret)
{
    return (const char *)secret->bytes;
}

size_t secret_size(const struct secret *secret)
{
    return secret->size;
}

void secret_random(void *out, size_t size)
{
    randombytes_buf(out, size);
}

void secret_fingerprint(const struct fingerprint_key *key, const void *bytes, size_t size,
                        struct fingerprint *fingerprint_out)
{
    crypto_generichash(fingerprint_out->bytes, sizeof fingerprint_out->bytes, bytes, size, key->bytes,
                       sizeof key->bytes);
}

void secret_wipe(void *memory, size_t size)
{
    sodium_memzero(memory, size);
}
