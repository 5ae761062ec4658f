/* What is going to happen in the world, by virtual time.
 *
 * What is due at the same moment happens in an order that chance decides, as it would between threads.
 * Ownership: the struct is the caller's; timeline_fini() it.  Threads: one. */
#ifndef TESTS_SIM_TIMELINE_H
#define TESTS_SIM_TIMELINE_H

#include <stddef.h>
#include <stdint.h>

enum event_kind {
    EVENT_ARRIVAL,       /* somebody calls */
    EVENT_ECHO,          /* a question is put again, to the nanosecond at which what was told runs out */
    EVENT_CROWD,         /* a client of a crowded world calls again */
    EVENT_FOLLOW,        /* who invalidated a home asks for something newer than that */
    EVENT_RESOLVED,      /* a parked call's home is known */
    EVENT_DEPARTURE,     /* a client closes its connection */
    EVENT_DEADLINE_PAST, /* a call's deadline lies a nanosecond back: it must have been given back */
    EVENT_ORDER_DRAIN,   /* somebody takes the orders out */
    EVENT_ORDER_DUE,     /* the custodian executes its oldest order */
    EVENT_PINNED,        /* a home was opened, or refused */
    EVENT_UP,            /* a worker runs, or could not be started */
    EVENT_GONE,          /* a worker's process was reaped */
    EVENT_SPOKE,         /* a watched worker had bytes for nobody */
    EVENT_CRASH,         /* a worker dies of its own accord */
    EVENT_IDLE_PAST,     /* a worker that has been idle since must have been ended */
    EVENT_RETURN,        /* a handler is done with its lease */
    EVENT_NEWS_DRAIN,    /* the publisher takes the news out */
    EVENT_CUSTODIAN_DIES,
    EVENT_SETTINGS,
    EVENT_JUMP, /* time goes on, and nothing else does */
    EVENT_TICK, /* time is told though nothing is due */
    EVENT_END,  /* the daemon ends */
    EVENT_KIND_COUNT
};

struct event {
    uint64_t due_ns;
    uint64_t tie; /* random */
    enum event_kind kind;
    void *object;
    uint64_t number; /* tells whether the object is still what it was */
};

struct timeline {
    struct event *events; /* owned; a heap, the earliest first */
    size_t count;
    size_t capacity;
};

void timeline_fini(struct timeline *timeline);
void timeline_add(struct timeline *timeline, const struct event *event);

/* The earliest, lent until the next change; NULL when nothing is left. */
const struct event *timeline_first(const struct timeline *timeline);
void timeline_take(struct timeline *timeline, struct event *event_out);

#endif
