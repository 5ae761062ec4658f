/* Secrets in memory that is left out of core files: libsodium's, locked and guarded, as far as that goes.
 *
 * Locked memory is scarce (RLIMIT_MEMLOCK), and each guarded piece takes three mappings of 65,530 that a process may
 * have, so a crowd that brings a key each must not use it up: beyond a mebibyte a secret has pages of its own. */
#include "server/base/secret.h"

#include "server/base/invariant.h"

#include <malloc.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { GUARD_SIZE = 16 }; /* libsodium's canary in front of what it gives */

struct secret {
    atomic_uint holders;
    bool guarded;
    size_t size;
    unsigned char bytes[];
};

static atomic_size_t guarded_size; /* whole pages */

int secret_setup(void)
{
    return sodium_init() < 0 ? -1 : 0;
}

static size_t whole_pages(size_t size)
{
    size_t page_size = (size_t)sysconf(_SC_PAGESIZE);

    return (size + page_size - 1) / page_size * page_size;
}

/* Guarded memory ends exactly where the bytes do, so the head must leave it aligned. */
static size_t size_of(size_t size)
{
    return (sizeof(struct secret) + size + 15) / 16 * 16;
}

size_t secret_guarded_size(void)
{
    return atomic_load(&guarded_size);
}

/* NULL: the mebibyte is full, or the system has no more such memory. */
static struct secret *allocate_guarded(size_t size)
{
    size_t pages_size = whole_pages(size_of(size) + GUARD_SIZE);
    struct secret *secret = NULL;

    if (atomic_fetch_add(&guarded_size, pages_size) + pages_size <= SECRET_GUARDED_SIZE_MAX)
        secret = sodium_malloc(size_of(size));
    if (secret == NULL)
        atomic_fetch_sub(&guarded_size, pages_size);
    return secret;
}

/* NULL: memory is short. */
static struct secret *allocate_plain(size_t size)
{
    size_t pages_size = whole_pages(size_of(size));
    void *pages = mmap(NULL, pages_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (pages == MAP_FAILED)
        return NULL;
    if (madvise(pages, pages_size, MADV_DONTDUMP) == 0)
        return pages;
    munmap(pages, pages_size);
    return NULL;
}

struct secret *secret_create(const void *bytes, size_t size)
{
    struct secret *secret = allocate_guarded(size);
    bool guarded = secret != NULL;

    if (!guarded)
        secret = allocate_plain(size);
    if (secret == NULL)
        return NULL;
    atomic_init(&secret->holders, 1);
    secret->guarded = guarded;
    secret->size = size;
    if (size > 0)
        memcpy(secret->bytes, bytes, size);
    return secret;
}

/* Wipes it. */
static void give_back(struct secret *secret)
{
    size_t size = size_of(secret->size);

    if (secret->guarded) {
        sodium_free(secret);
        atomic_fetch_sub(&guarded_size, whole_pages(size + GUARD_SIZE));
    } else {
        sodium_memzero(secret, size);
        munmap(secret, whole_pages(size));
    }
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
        give_back(secret);
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

void secret_free(void *memory)
{
    if (memory == NULL)
        return;
    sodium_memzero(memory, malloc_usable_size(memory));
    free(memory);
}
