/* A bump allocator over a chain of blocks. */
#include "proto/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = _Alignof(max_align_t), GROWN_SIZE_MIN = 16384 };

struct arena_block {
    struct arena_block *older;
    size_t size; /* of bytes */
    _Alignas(ALIGNMENT) unsigned char bytes[];
};

void arena_init(struct arena *arena, void *first, size_t first_size, size_t total_size_max)
{
    /* A buffer that starts unaligned loses its head. */
    size_t head = first == NULL ? 0 : (ALIGNMENT - (uintptr_t)first % ALIGNMENT) % ALIGNMENT;

    *arena = (struct arena){.total_size_max = total_size_max};
    if (first_size > head) {
        arena->first = (unsigned char *)first + head;
        arena->first_size = first_size - head;
    }
    arena->block = arena->first;
    arena->block_size = arena->first_size;
}

static int grow(struct arena *arena, size_t size)
{
    size_t bytes_size = size > GROWN_SIZE_MIN ? size : GROWN_SIZE_MIN;
    struct arena_block *block = malloc(sizeof *block + bytes_size);

    if (block == NULL)
        return -1;
    if (arena->grown == NULL)
        arena->first_used = arena->block_used;
    block->older = arena->grown;
    block->size = bytes_size;
    arena->grown = block;
    arena->block = block->bytes;
    arena->block_size = bytes_size;
    arena->block_used = 0;
    return 0;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    void *memory;

    if (size > SIZE_MAX - ALIGNMENT)
        return NULL;
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (size > arena->total_size_max - arena->total_size)
        return NULL;
    if (size > arena->block_size - arena->block_used && grow(arena, size) != 0)
        return NULL;
    memory = arena->block + arena->block_used;
    arena->block_used += size;
    arena->total_size += size;
    return memory;
}

void arena_fini(struct arena *arena)
{
    size_t first_used = arena->grown == NULL ? arena->block_used : arena->first_used;

    while (arena->grown != NULL) {
        struct arena_block *block = arena->grown;

        arena->grown = block->older;
        explicit_bzero(block->bytes, block->size);
        free(block);
    }
    if (first_used > 0)
        explicit_bzero(arena->first, first_used);
    *arena = (struct arena){0};
}
