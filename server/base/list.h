/* A doubly linked list threaded through its members, with a count: a state that is a list is counted by it.
 *
 * A node is on one list at most, and knows which; taking it off needs nothing else and cannot fail.
 * Threads: none of its own; the owner's lock guards it. */
#ifndef SERVER_BASE_LIST_H
#define SERVER_BASE_LIST_H

#include "server/base/invariant.h"

#include <stdbool.h>
#include <stddef.h>

struct list_node {
    struct list_node *previous, *next;
    struct list *list; /* NULL: on none */
};

struct list {
    struct list_node *first, *last;
    size_t count;
};

/* The struct that holds the node. */
#define LIST_OWNER(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

/* For each node, first to last; the body may take `node` itself off with LIST_EACH_SAFE only. */
#define LIST_EACH(node, list) for (struct list_node *node = (list)->first; node != NULL; node = node->next)
#define LIST_EACH_SAFE(node, list)                                                                                     \
    for (struct list_node *node = (list)->first, *node##_next = node == NULL ? NULL : node->next; node != NULL;        \
         node = node##_next, node##_next = node == NULL ? NULL : node->next)

static inline void list_remove(struct list_node *node)
{
    struct list *list = node->list;

    if (list == NULL)
        return;
    *(node->previous == NULL ? &list->first : &node->previous->next) = node->next;
    *(node->next == NULL ? &list->last : &node->next->previous) = node->previous;
    list->count--;
    *node = (struct list_node){0};
}

static inline void list_push_back(struct list *list, struct list_node *node)
{
    INVARIANT(node->list == NULL);
    *node = (struct list_node){.previous = list->last, .list = list};
    *(list->last == NULL ? &list->first : &list->last->next) = node;
    list->last = node;
    list->count++;
}

static inline void list_push_front(struct list *list, struct list_node *node)
{
    INVARIANT(node->list == NULL);
    *node = (struct list_node){.next = list->first, .list = list};
    *(list->first == NULL ? &list->last : &list->first->previous) = node;
    list->first = node;
    list->count++;
}

/* Behind `before`, a node of `list`; NULL: at the front. */
static inline void list_insert_behind(struct list *list, struct list_node *before, struct list_node *node)
{
    INVARIANT(node->list == NULL && (before == NULL || before->list == list));
    *node = (struct list_node){.previous = before, .next = before == NULL ? list->first : before->next, .list = list};
    *(before == NULL ? &list->first : &before->next) = node;
    *(node->next == NULL ? &list->last : &node->next->previous) = node;
    list->count++;
}

/* Off whatever it is on, to the end of `list`. */
static inline void list_move(struct list *list, struct list_node *node)
{
    list_remove(node);
    list_push_back(list, node);
}

/* Takes the first off; NULL when there is none. */
static inline struct list_node *list_pop_front(struct list *list)
{
    struct list_node *node = list->first;

    if (node != NULL)
        list_remove(node);
    return node;
}

#endif
