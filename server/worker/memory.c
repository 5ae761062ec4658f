#include "server/worker/memory.h"

#include "server/base/secret.h"

#include <jansson.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

void memory_free(void *memory)
{
    secret_free(memory);
}

/* realloc might move the block and leave the old bytes behind. */
void *memory_resize(void *memory, size_t size)
{
    void *moved;
    size_t old_size;

    if (memory == NULL)
        return malloc(size);
    old_size = malloc_usable_size(memory);
    moved = malloc(size);
    if (moved == NULL)
        return NULL;
    memcpy(moved, memory, old_size < size ? old_size : size);
    memory_free(memory);
    return moved;
}

void memory_setup(void)
{
    json_set_alloc_funcs(malloc, memory_free);
}
