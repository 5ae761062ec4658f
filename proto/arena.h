/* Memory for one message: handed out piecewise, bounded, given back all at once.
 *
 * It is the memory limit of an unpack: 2 MB of empty submessages would become 64 MB of heap, here they are
 * refused.  The first block is the caller's (a stack buffer); further ones come from malloc.  All of it is wiped
 * when it is given back, since an api_key may have been in it.
 *
 * Threads: one at a time. */
#ifndef PROTO_ARENA_H
#define PROTO_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
    unsigned char *block; /* the block in use */
    size_t block_size;
    size_t block_used;
    struct arena_block *grown; /* owned: blocks from malloc, newest first */
    unsigned char *first;      /* lent by the caller for the arena's life */
    size_t first_size;
    size_t first_used; /* once a further block is in use */
    size_t total_size; /* handed out and lost to alignment, all blocks */
    size_t total_size_max;
};

/* `first` is lent until arena_fini; it may be NULL with first_size 0. */
void arena_init(struct arena *arena, void *first, size_t first_size, size_t total_size_max);

/* Aligned for any type; NULL when the bound is reached or memory is short. */
void *arena_alloc(struct arena *arena, size_t size);

/* Wipes and frees; what was handed out is void. */
void arena_fini(struct arena *arena);

#endif
