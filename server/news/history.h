/* What was published last, for a person who wants to know what happened: a ring of the newest events.
 *
 * An invalidation of every home is one entry, with an empty home.  Nothing follows from it: subscribers have heartbeats.
 *
 * Threads: one at a time; the publisher's lock guards it. */
#ifndef SERVER_NEWS_HISTORY_H
#define SERVER_NEWS_HISTORY_H

#include "server/engine/engine.h"

#include <stddef.h>
#include <stdint.h>

enum { HISTORY_EVENT_COUNT_MAX = 32 };

struct history_event {
    int64_t at_ms; /* Unix time */
    uint64_t generation;
    enum cause cause;
    char home[LIMIT_HOME_SIZE_MAX + 1]; /* "": every home */
    char provider[LIMIT_PROVIDER_SIZE_MAX + 1];
    char reason[LIMIT_REASON_SIZE_MAX + 1];
};

struct history {
    struct history_event events[HISTORY_EVENT_COUNT_MAX];
    uint64_t count; /* noted so far; the newest is at (count - 1) % HISTORY_EVENT_COUNT_MAX */
};

/* An event, or the beginning of an epoch, was published. */
void history_note(struct history *history, const struct engine_news *item, int64_t at_ms);

/* The newest first, as many as there are and fit; how many. */
size_t history_look(const struct history *history, struct history_event *events, size_t event_count_max);

#endif
