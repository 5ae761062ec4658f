/* A binary heap of due times, threaded through an array of pointers: what comes next, in O(log n).
 *
 * Room is reserved when a member is born (heap_reserve may fail), so that setting and clearing a time cannot fail.
 * Threads: none of its own. */
#ifndef SERVER_BASE_HEAP_H
#define SERVER_BASE_HEAP_H

#include "proto/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
    uint64_t due_ns;
    size_t place; /* 1 + its place in the array; 0: not in the heap */
};

struct heap {
    struct heap_node **nodes; /* owned */
    size_t count;
    size_t reserved_count; /* members that may be in it at once */
    size_t capacity;
};

void heap_fini(struct heap *heap);

/* Promises room for one more, or one fewer, member.  heap_reserve: false when memory is short. */
MUST_USE bool heap_reserve(struct heap *heap);
void heap_unreserve(struct heap *heap);

/* Puts the node in, or moves it to its new time; takes it out (also when it is not in). */
void heap_set(struct heap *heap, struct heap_node *node, uint64_t due_ns);
void heap_clear(struct heap *heap, struct heap_node *node);

/* The earliest, still in; NULL when empty. */
static inline struct heap_node *heap_first(const struct heap *heap)
{
    return heap->count == 0 ? NULL : heap->nodes[0];
}

/* The one that would be first without the first, still in; NULL when there is none. */
static inline struct heap_node *heap_second(const struct heap *heap)
{
    if (heap->count < 2)
        return NULL;
    return heap->count > 2 && heap->nodes[2]->due_ns < heap->nodes[1]->due_ns ? heap->nodes[2] : heap->nodes[1];
}

#endif
