/* What a subscriber has heard so far, and whether anything is missing from it: no sockets, no threads, no time.
 *
 * Events of a home are numbered without a gap, heartbeats as well, and each heartbeat names every home that changed
 * within the last four intervals.  So whatever was lost shows: by a jump in a home's generation, by a heartbeat that
 * names one that was not heard, by a jump of four or more heartbeats, by a changed epoch.
 *
 * A heartbeat can be published just before the event of the change that it names.  Such a name is a suspicion at first,
 * and a gap when the next heartbeat comes before the event; at once when heartbeats were lost as well.
 *
 * Ownership: the struct is the caller's: chronicle_fini() it.  Threads: one at a time. */
#ifndef CLIENT_CHRONICLE_H
#define CLIENT_CHRONICLE_H

#include "gen/probed/v1/probe.pb-c.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CHRONICLE_HOME_COUNT_MAX = 65536 }; /* remembered; beyond it everything is forgotten and said to be missed */

struct chronicle_home;

/* Who is told what is missing: of one home, or (NULL) of any. */
typedef void chronicle_gap(void *context, const char *home, const char *reason);

struct chronicle {
    bool all_homes; /* else only those of chronicle_want count */
    chronicle_gap *gap;
    void *context;

    struct chronicle_home *homes; /* owned; a uthash table by path */
    size_t home_count;
    uint64_t epoch;       /* 0: nothing heard yet */
    uint64_t beat;        /* the newest of this epoch; 0: none yet */
    uint64_t doubt_count; /* gaps of any home told so far */
};

void chronicle_init(struct chronicle *chronicle, bool all_homes, chronicle_gap *gap, void *context);
void chronicle_fini(struct chronicle *chronicle);

/* A home whose changes count; false when memory is short. */
bool chronicle_want(struct chronicle *chronicle, const char *home);

/* Whether the event is news; gaps that it shows are told before this returns. */
bool chronicle_hear_event(struct chronicle *chronicle, const Probed__V1__CredentialEvent *event);

/* Whether the heartbeat is a new one; gaps that it shows are told before this returns. */
bool chronicle_hear_beat(struct chronicle *chronicle, const Probed__V1__Heartbeat *heartbeat);

/* Something was lost that could not even be read, or nothing is heard any more. */
void chronicle_doubt(struct chronicle *chronicle, const char *reason);

#endif
