#include "client/probeload/statement.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

_Static_assert(sizeof(struct statement_secret) == crypto_shorthash_KEYBYTES, "a secret is a SipHash key");

#define STATEMENT_FORMAT                                                                                               \
    "probeload pid=%" PRId64 " number=%" PRIu64 " started=%" PRIu64 " answered=%" PRIu64 " key=%016" PRIx64

struct statement_secret statement_secret_of(const char *text)
{
    struct statement_secret secret;
    const char *bytes = text == NULL ? "" : text;

    crypto_generichash(secret.bytes, sizeof secret.bytes, (const unsigned char *)bytes, strlen(bytes), NULL, 0);
    return secret;
}

static uint64_t hash(const struct statement_secret *secret, const void *bytes, size_t size)
{
    unsigned char out[crypto_shorthash_BYTES];
    uint64_t value = 0;

    crypto_shorthash(out, bytes, size, secret->bytes);
    for (size_t i = 0; i < sizeof out; i++)
        value = value << 8 | out[i];
    return value;
}

uint64_t statement_digest(const struct statement_secret *secret, const char *api_key, size_t api_key_size)
{
    return hash(secret, api_key, api_key_size);
}

/* Of the line, and of where it belongs; home and provider enter as hashes of their own, so that no text of the one can
 * be taken for a part of the other. */
static uint64_t signature_of(const struct statement *statement, const struct statement_secret *secret, const char *home,
                             const char *provider)
{
    char text[STATEMENT_SIZE + 64];
    int size = snprintf(text, sizeof text, STATEMENT_FORMAT " %016" PRIx64 " %016" PRIx64, statement->pid,
                        statement->number, statement->started_ns, statement->answered_ns, statement->key_digest,
                        hash(secret, home, strlen(home)), hash(secret, provider, strlen(provider)));

    return hash(secret, text, (size_t)size);
}

void statement_sign(struct statement *statement, const struct statement_secret *secret, const char *home,
                    const char *provider)
{
    statement->signature = signature_of(statement, secret, home, provider);
}

bool statement_is_signed(const struct statement *statement, const struct statement_secret *secret, const char *home,
                         const char *provider)
{
    return statement->signature == signature_of(statement, secret, home, provider);
}

void statement_write(const struct statement *statement, char out[STATEMENT_SIZE])
{
    snprintf(out, STATEMENT_SIZE, STATEMENT_FORMAT " sign=%016" PRIx64, statement->pid, statement->number,
             statement->started_ns, statement->answered_ns, statement->key_digest, statement->signature);
}

bool statement_read(const char *line, struct statement *statement_out)
{
    struct statement read = {0};
    int end = 0;

    if (sscanf(line,
               "probeload pid=%" SCNd64 " number=%" SCNu64 " started=%" SCNu64 " answered=%" SCNu64 " key=%" SCNx64
               " sign=%" SCNx64 "%n",
               &read.pid, &read.number, &read.started_ns, &read.answered_ns, &read.key_digest, &read.signature,
               &end) != 6 ||
        line[end] != '\0')
        return false;
    *statement_out = read;
    return true;
}
