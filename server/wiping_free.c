/* free() for the whole process: overwrites what it gives back.
 *
 * A request may hold an api_key, and not all memory that it passes through is ours to wipe: nng frees as it is what it
 * has read of a request when its client hangs up, or has not handed over when a socket is closed, and TLS has buffers of
 * its own.  Such bytes would stay in free memory until that is used again.
 *
 * A definition in the executable wins over the C library's wherever a library calls free through its procedure linkage
 * table, nng, mbed TLS and libsodium among them.  What the C library frees inside itself (a block that realloc moves, a
 * stream's buffer) does not come by here: nng and mbed TLS never call realloc, and a secret of ours is never resized.
 *
 * Not under sanitizers, who have an allocator of their own to watch over.  Threads: any. */
#include "proto/compiler.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#if !SANITIZED

void __libc_free(void *memory); /* glibc's own, exported under this name for those who replace free */

__attribute__((visibility("default"), used)) void free(void *memory)
{
    if (memory == NULL)
        return;
    explicit_bzero(memory, malloc_usable_size(memory));
    __libc_free(memory);
}

#endif
