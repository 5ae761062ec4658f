#include "server/news/history.h"

#include <string.h>

/* Of a long buffer only what is used: the rest of an entry stays a page that was never touched. */
static void copy_string(char *out, const char *string)
{
    memcpy(out, string, strlen(string) + 1);
}

static void copy_event(struct history_event *out, const struct history_event *event)
{
    out->at_ms = event->at_ms;
    out->generation = event->generation;
    out->cause = event->cause;
    copy_string(out->home, event->home);
    copy_string(out->provider, event->provider);
    copy_string(out->reason, event->reason);
}

void history_note(struct history *history, const struct engine_news *item, int64_t at_ms)
{
    struct history_event *event = &history->events[history->count++ % HISTORY_EVENT_COUNT_MAX];

    event->at_ms = at_ms;
    event->generation = item->fence.generation;
    event->cause = item->cause;
    copy_string(event->home, item->home);
    copy_string(event->provider, item->provider);
    copy_string(event->reason, item->reason);
}

size_t history_look(const struct history *history, struct history_event *events, size_t event_count_max)
{
    size_t count = history->count < HISTORY_EVENT_COUNT_MAX ? (size_t)history->count : HISTORY_EVENT_COUNT_MAX;

    if (count > event_count_max)
        count = event_count_max;
    for (size_t i = 0; i < count; i++)
        copy_event(&events[i], &history->events[(history->count - 1 - i) % HISTORY_EVENT_COUNT_MAX]);
    return count;
}
