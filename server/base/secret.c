/* Secrets in memory that is left out of core files: libsodium's, locked and guarded, as far as that goes.
 *
 * Locked memory is scarce (RLIMIT_MEMLOCK), and each guarded piece takes three mappings of 65,530 that a process may
 * have, so a crowd that brings a key each must not use it up: beyond a mebibyte a secret has pages of its own.
 *
 * To make and unmake such a piece takes ten system calls, which cost more than all the rest of a call that brings a
 * key.  So a piece of one page, which nearly every key fits in, is kept when it was wiped, as it is: locked, guarded,
 * empty.  A secret lies at its end, directly before the page that nobody can touch. */
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

enum {
    GUARD_SIZE = 16,      /* libsodium's canary in front of what it gives */
    SPARE_COUNT_MAX = 64, /* pieces kept */
};

struct secret {
    atomic_uint holders;
    bool guarded;
    size_t size;
    unsigned char bytes[];
};

/* Whole pages: of secrets, and of spare pieces as well. */
static atomic_size_t guarded_size, mapped_size;

/* Pieces of one page, wiped; NULL: none is here.  Whoever exchanges one for NULL has it. */
static _Atomic(unsigned char *) spares[SPARE_COUNT_MAX];

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

/* What a piece of one page holds. */
static size_t piece_size(void)
{
    return whole_pages(1) - GUARD_SIZE;
}

/* NULL: there is none. */
static unsigned char *take_spare(void)
{
    unsigned char *piece = NULL;

    for (size_t i = 0; i < SPARE_COUNT_MAX && piece == NULL; i++) {
        if (atomic_load_explicit(&spares[i], memory_order_relaxed) != NULL)
            piece = atomic_exchange(&spares[i], NULL);
    }
    return piece;
}

/* False: there are enough. */
static bool keep_spare(unsigned char *piece)
{
    bool kept = false;

    for (size_t i = 0; i < SPARE_COUNT_MAX && !kept; i++) {
        unsigned char *none = NULL;

        kept = atomic_compare_exchange_strong(&spares[i], &none, piece);
    }
    return kept;
}

/* NULL: the mebibyte is full, or the system has no more such memory. */
static unsigned char *map_guarded(size_t size)
{
    size_t pages_size = whole_pages(size + GUARD_SIZE);
    unsigned char *piece = NULL;

    if (atomic_fetch_add(&mapped_size, pages_size) + pages_size <= SECRET_GUARDED_SIZE_MAX)
        piece = sodium_malloc(size);
    if (piece == NULL)
        atomic_fetch_sub(&mapped_size, pages_size);
    return piece;
}

static void unmap_guarded(unsigned char *piece, size_t size)
{
    sodium_free(piece);
    atomic_fetch_sub(&mapped_size, whole_pages(size + GUARD_SIZE));
}

/* Of the piece that a secret of `size` bytes lies at the end of. */
static size_t size_of_piece(size_t size)
{
    return size_of(size) > piece_size() ? size_of(size) : piece_size();
}

/* NULL: as map_guarded. */
static struct secret *allocate_guarded(size_t size)
{
    size_t whole_size = size_of_piece(size);
    unsigned char *piece = whole_size == piece_size() ? take_spare() : NULL;

    if (piece == NULL)
        piece = map_guarded(whole_size);
    if (piece == NULL)
        return NULL;
    atomic_fetch_add(&guarded_size, whole_pages(whole_size + GUARD_SIZE));
    return (struct secret *)(void *)(piece + whole_size - size_of(size));
}

/* Wipes it. */
static void give_back_guarded(struct secret *secret)
{
    size_t size = size_of(secret->size), whole_size = size_of_piece(secret->size);
    unsigned char *piece = (unsigned char *)secret + size - whole_size;

    sodium_memzero(secret, size);
    atomic_fetch_sub(&guarded_size, whole_pages(whole_size + GUARD_SIZE));
    if (whole_size != piece_size() || !keep_spare(piece))
        unmap_guarded(piece, whole_size);
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
        give_back_guarded(secret);
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
