/* Counts allocations of a program from inside, told apart by who asked: the program itself or a library.
 *
 *     LD_PRELOAD=libbench-allocations.so BENCH_ALLOCATIONS=FILE PROGRAM…
 *
 * FILE is two counters of 8 bytes, own and all, shared with whoever maps or reads it.  "Own" is what is called from the
 * program's own text; what a library allocates on its behalf is the library's. */
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* glibc's own names for what is replaced here. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);

struct counters {
    atomic_uint_fast64_t own, all;
};

static struct counters nowhere, *counters = &nowhere;
static uintptr_t text_begin, text_end;

/* The first object is the program. */
static int find_text(struct dl_phdr_info *object, size_t size, void *context)
{
    (void)size;
    (void)context;
    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &object->dlpi_phdr[i];

        if (header->p_type == PT_LOAD && (header->p_flags & PF_X) != 0) {
            text_begin = object->dlpi_addr + header->p_vaddr;
            text_end = text_begin + header->p_memsz;
        }
    }
    return 1;
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("BENCH_ALLOCATIONS");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    void *shared;

    dl_iterate_phdr(find_text, NULL);
    if (fd < 0 || ftruncate(fd, sizeof(struct counters)) != 0)
        return;
    shared = mmap(NULL, sizeof(struct counters), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (shared != MAP_FAILED)
        counters = shared;
    close(fd);
}

static void count(const void *caller)
{
    uintptr_t at = (uintptr_t)caller;

    atomic_fetch_add_explicit(&counters->all, 1, memory_order_relaxed);
    if (at >= text_begin && at < text_end)
        atomic_fetch_add_explicit(&counters->own, 1, memory_order_relaxed);
}

EXPORT void *malloc(size_t size)
{
    count(__builtin_return_address(0));
    return __libc_malloc(size);
}

EXPORT void *calloc(size_t count_wanted, size_t size)
{
    count(__builtin_return_address(0));
    return __libc_calloc(count_wanted, size);
}

EXPORT void *realloc(void *old, size_t size)
{
    count(__builtin_return_address(0));
    return __libc_realloc(old, size);
}
