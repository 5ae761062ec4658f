#include "server/base/map.h"

#include <sodium.h>
#include <string.h>

unsigned map_hash(const struct map_seed *seed, const void *key, size_t size)
{
    unsigned char digest[crypto_shorthash_BYTES];
    uint64_t value;

    _Static_assert(sizeof seed->bytes == crypto_shorthash_KEYBYTES, "the seed is SipHash's key");
    crypto_shorthash(digest, key, size, seed->bytes);
    memcpy(&value, digest, sizeof value);
    return (unsigned)(value ^ value >> 32);
}
