/* A binary heap of events, by value. */
#include "tests/sim/timeline.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

void timeline_fini(struct timeline *timeline)
{
    free(timeline->events);
    *timeline = (struct timeline){0};
}

static bool is_earlier(const struct event *one, const struct event *other)
{
    return one->due_ns != other->due_ns ? one->due_ns < other->due_ns : one->tie < other->tie;
}

static void grow(struct timeline *timeline)
{
    size_t capacity = timeline->capacity == 0 ? 256 : timeline->capacity * 2;
    struct event *events = realloc(timeline->events, capacity * sizeof *events);

    if (events == NULL) {
        perror("sim");
        exit(70);
    }
    timeline->events = events;
    timeline->capacity = capacity;
}

void timeline_add(struct timeline *timeline, const struct event *event)
{
    size_t place;

    if (timeline->count == timeline->capacity)
        grow(timeline);
    place = timeline->count++;
    while (place > 0 && is_earlier(event, &timeline->events[(place - 1) / 2])) {
        timeline->events[place] = timeline->events[(place - 1) / 2];
        place = (place - 1) / 2;
    }
    timeline->events[place] = *event;
}

const struct event *timeline_first(const struct timeline *timeline)
{
    return timeline->count == 0 ? NULL : &timeline->events[0];
}

void timeline_take(struct timeline *timeline, struct event *event_out)
{
    const struct event *last = &timeline->events[--timeline->count];
    size_t place = 0;

    *event_out = timeline->events[0];
    for (;;) {
        size_t child = place * 2 + 1;

        if (child + 1 < timeline->count && is_earlier(&timeline->events[child + 1], &timeline->events[child]))
            child++;
        if (child >= timeline->count || !is_earlier(&timeline->events[child], last))
            break;
        timeline->events[place] = timeline->events[child];
        place = child;
    }
    timeline->events[place] = *last;
}
