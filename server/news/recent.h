/* The homes whose changes one outlet has published lately: what its heartbeats name.
 *
 * A home is named by the LIMIT_BEAT_INTERVALS_RECENT heartbeats that follow its newest event.  Heartbeats are counted,
 * not seconds, so that a daemon that was stopped for a while forgets nothing meanwhile.  Only what was published is
 * here: a heartbeat never runs ahead of an event.
 *
 * Bounded: LIMIT_HEADS_PER_BEAT homes.  Of those beyond it, and where memory is short, it is remembered that somebody is
 * missing, until no heartbeat would name them any more.
 *
 * Threads: one at a time. */
#ifndef SERVER_NEWS_RECENT_H
#define SERVER_NEWS_RECENT_H

#include "proto/limits.h"
#include "server/base/list.h"
#include "server/base/map.h"

#include <stdbool.h>
#include <stdint.h>

struct recent_home {
    struct list_node node; /* in recent->homes */
    UT_hash_handle by_path;
    uint64_t generation;
    uint64_t beat; /* the newest heartbeat before its newest event */
    char path[];
};

struct recent {
    struct map_seed seed;
    struct recent_home *table; /* owned; by path */
    struct list homes;         /* the same, the one published longest ago first */
    uint64_t missing_until;    /* heartbeats up to this one do not name everybody */
};

void recent_init(struct recent *recent, const struct map_seed *seed);
void recent_clear(struct recent *recent);

/* An event was published after heartbeat `beat`. */
void recent_note(struct recent *recent, const char *path, uint64_t generation, uint64_t beat);

/* One was, of which nothing is remembered. */
void recent_note_missing(struct recent *recent, uint64_t beat);

/* Forgets those that `beat`, the next, need not name. */
void recent_age(struct recent *recent, uint64_t beat);

/* Whether homes that `beat` should name are not here. */
bool recent_is_missing_some(const struct recent *recent, uint64_t beat);

#endif
