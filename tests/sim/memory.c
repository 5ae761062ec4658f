/* What stands between the program and malloc: counting, and now and then refusing. */
#include "tests/sim/memory.h"

#include <stdlib.h>
#include <string.h>

/* The linker's names for what the program would have called without --wrap, and for what it calls now. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void __wrap_free(void *memory);
char *__wrap_strdup(const char *string);

static struct {
    int64_t block_count;
    bool watching;
    uint64_t fail_at;
    struct memory_watched watched;
} memory;

int64_t memory_block_count(void)
{
    return memory.block_count;
}

void memory_watch(uint64_t fail_at)
{
    memory.watching = true;
    memory.fail_at = fail_at;
    memory.watched = (struct memory_watched){0};
}

struct memory_watched memory_unwatch(void)
{
    memory.watching = false;
    return memory.watched;
}

static bool refused(void)
{
    if (!memory.watching)
        return false;
    memory.watched.asked_count++;
    if (memory.fail_at == 0 || memory.watched.asked_count < memory.fail_at)
        return false;
    memory.watched.failed = true;
    return true;
}

static void *counted(void *block)
{
    if (block != NULL)
        memory.block_count++;
    return block;
}

void *__wrap_malloc(size_t size)
{
    return refused() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return refused() ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *old, size_t size)
{
    if (refused())
        return NULL;
    return old == NULL ? counted(__real_realloc(old, size)) : __real_realloc(old, size);
}

void __wrap_free(void *old)
{
    if (old != NULL)
        memory.block_count--;
    __real_free(old);
}

char *__wrap_strdup(const char *string)
{
    size_t size = strlen(string) + 1;
    char *copy = refused() ? NULL : counted(__real_malloc(size));

    return copy == NULL ? NULL : memcpy(copy, string, size);
}
