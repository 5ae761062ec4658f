/* server/base/secret.h on plain memory: linked in place of server/base/secret.c. */
#include "tests/sim/secrets.h"

#include "server/base/invariant.h"

#include <stdlib.h>
#include <string.h>

struct secret {
    unsigned holder_count;
    size_t size;
    char bytes[];
};

int secret_setup(void)
{
    return 0;
}

struct secret *secret_create(const void *bytes, size_t size)
{
    struct secret *secret = malloc(sizeof *secret + size);

    if (secret == NULL)
        return NULL;
    *secret = (struct secret){.holder_count = 1, .size = size};
    memcpy(secret->bytes, bytes, size);
    return secret;
}

struct secret *secret_share(struct secret *secret)
{
    if (secret != NULL)
        secret->holder_count++;
    return secret;
}

void secret_release(struct secret *secret)
{
    if (secret == NULL)
        return;
    INVARIANT(secret->holder_count > 0);
    if (--secret->holder_count == 0)
        free(secret);
}

const char *secret_bytes(const struct secret *secret)
{
    return secret->bytes;
}

size_t secret_size(const struct secret *secret)
{
    return secret->size;
}

/* The engine is given its randomness; what asks for some in a simulation is wrong. */
void secret_random(void *out, size_t size)
{
    (void)out;
    INVARIANT(size == 0);
}

/* Distinct for distinct short secrets, which is all that is asked of it here. */
void secret_fingerprint(const struct fingerprint_key *key, const void *bytes, size_t size,
                        struct fingerprint *fingerprint_out)
{
    (void)key;
    *fingerprint_out = (struct fingerprint){{0}};
    memcpy(fingerprint_out->bytes, bytes, size < FINGERPRINT_SIZE ? size : FINGERPRINT_SIZE);
}

void secret_wipe(void *memory, size_t size)
{
    memset(memory, 0, size);
}

unsigned secrets_holder_count(const struct secret *secret)
{
    return secret->holder_count;
}
