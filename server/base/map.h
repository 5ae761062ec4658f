/* uthash with our choices: a keyed hash, since paths and providers come from strangers, and an insertion that can
 * report that memory is short.
 *
 * A member embeds a UT_hash_handle.  Look-ups and insertions give the hash value, from map_hash:
 *     HASH_FIND_BYHASHVALUE(handle, head, key, key_size, map_hash(&seed, key, key_size), found);
 *     MAP_ADD(handle, head, key_pointer, key_size, hash, member, added);      added: whether memory sufficed
 *     HASH_DELETE(handle, head, member);
 * Threads: none of its own. */
#ifndef SERVER_BASE_MAP_H
#define SERVER_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

#define HASH_NONFATAL_OOM           1
#define uthash_nonfatal_oom(member) (map_out_of_memory = 1)
#include <uthash.h>

struct map_seed {
    unsigned char bytes[16];
};

/* SipHash-2-4 by libsodium, folded to uthash's width. */
unsigned map_hash(const struct map_seed *seed, const void *key, size_t size);

/* For ids that are our own and dense: no stranger chooses them, so no keyed hash is needed. */
static inline unsigned map_hash_id(uint64_t id)
{
    return (unsigned)(id ^ id >> 32);
}

#define MAP_ADD(handle, head, key, key_size, hash, member, added)                                                      \
    do {                                                                                                               \
        int map_out_of_memory = 0;                                                                                     \
        HASH_ADD_KEYPTR_BYHASHVALUE(handle, head, key, key_size, hash, member);                                        \
        (added) = map_out_of_memory == 0;                                                                              \
    } while (0)

#endif
