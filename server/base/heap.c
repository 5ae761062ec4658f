#include "server/base/heap.h"

#include "server/base/invariant.h"

#include <stdlib.h>

enum { CAPACITY_MIN = 64 };

void heap_fini(struct heap *heap)
{
    free(heap->nodes);
    *heap = (struct heap){0};
}

bool heap_reserve(struct heap *heap)
{
    if (heap->reserved_count == heap->capacity) {
        size_t capacity = heap->capacity == 0 ? CAPACITY_MIN : 2 * heap->capacity;
        struct heap_node **nodes = realloc(heap->nodes, capacity * sizeof(struct heap_node *));

        if (nodes == NULL)
            return false;
        heap->nodes = nodes;
        heap->capacity = capacity;
    }
    heap->reserved_count++;
    return true;
}

void heap_unreserve(struct heap *heap)
{
    INVARIANT(heap->reserved_count > heap->count);
    heap->reserved_count--;
}

static void put(struct heap *heap, struct heap_node *node, size_t index)
{
    heap->nodes[index] = node;
    node->place = index + 1;
}

static void sift(struct heap *heap, struct heap_node *node, size_t index)
{
    while (index > 0 && node->due_ns < heap->nodes[(index - 1) / 2]->due_ns) {
        put(heap, heap->nodes[(index - 1) / 2], index);
        index = (index - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * index + 1;

        if (child + 1 < heap->count && heap->nodes[child + 1]->due_ns < heap->nodes[child]->due_ns)
            child++;
        if (child >= heap->count || heap->nodes[child]->due_ns >= node->due_ns)
            break;
        put(heap, heap->nodes[child], index);
        index = child;
    }
    put(heap, node, index);
}

void heap_set(struct heap *heap, struct heap_node *node, uint64_t due_ns)
{
    node->due_ns = due_ns;
    if (node->place == 0) {
        INVARIANT(heap->count < heap->reserved_count);
        heap->count++;
        sift(heap, node, heap->count - 1);
    } else {
        sift(heap, node, node->place - 1);
    }
}

void heap_clear(struct heap *heap, struct heap_node *node)
{
    struct heap_node *last;
    size_t index;

    if (node->place == 0)
        return;
    index = node->place - 1;
    INVARIANT(heap->nodes[index] == node);
    node->place = 0;
    last = heap->nodes[--heap->count];
    if (last != node)
        sift(heap, last, index);
}
