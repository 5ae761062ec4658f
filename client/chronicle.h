/* What a subscriber has heard so far, and whether anything is missing from it: no sockets, no threads, no clock.
 *
 * Events of a home are numbered without a gap, heartbeats as well, and each heartbeat names every home whose event went
 * out before one of the last four.  So whatever was lost shows: by a jump in a home's generation, by a heartbeat that
 * names one that was not heard, by a jump of four or more heartbeats, by a changed epoch.  What was lost of a home is
 * told as a gap of that home, what may be lost of all of them as a gap of any.
 *
 * A chronicle is settled when nothing is missing but what was told.  It begins unsettled, and any doubt makes it so
 * again.  It settles in three steps, in this order: a heartbeat is heard, so that nothing is missed from there on; each
 * home that was asked for is asked of the daemon (Sync); a heartbeat that was sent after the last answer is heard, so
 * that what the answers told of must have been heard, too: what was not is a gap.  Who listens to all homes has nothing
 * to ask.
 *
 * Epochs are random, so that of two nobody can tell the older.  The one that was left is remembered: what still comes of
 * it is late, and nothing.
 *
 * Ownership: the struct is the caller's: chronicle_fini() it.  Threads: one at a time. */
#ifndef CLIENT_CHRONICLE_H
#define CLIENT_CHRONICLE_H

#include "gen/probed/v1/probe.pb-c.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CHRONICLE_HOME_COUNT_MAX = 65536, /* remembered; beyond it everything is forgotten and said to be missed */
    CHRONICLE_EPOCH_COUNT_MAX = 8,    /* remembered of those that are over */
};

struct chronicle_home;

/* Who is told what is missing: of one home, or (NULL) of any. */
typedef void chronicle_gap(void *context, const char *home, const char *reason);

struct chronicle {
    bool all_homes; /* else only those of chronicle_want count */
    chronicle_gap *gap;
    void *context;

    struct chronicle_home *homes; /* owned; a uthash table by path */
    size_t home_count;
    uint64_t epoch; /* 0: nothing heard yet */
    uint64_t past[CHRONICLE_EPOCH_COUNT_MAX];
    size_t past_count; /* so far; the newest ones are in `past` */
    uint64_t beat;     /* the newest of this epoch; 0: none yet */

    bool settled;
    bool begun;                 /* it was settled once */
    bool incomplete;            /* a heartbeat could not name all: once this round is over, another is due */
    uint64_t round;             /* of asking; whatever makes all the answers of one worthless begins another */
    struct chronicle_home *ask; /* the next to be asked of the daemon; NULL: all were, or there is nothing to ask */
    uint64_t asked_ns;          /* when the first of this round was asked, and the last answered */
    uint64_t answered_ns;
    uint64_t proved_ns; /* nothing published until then is missing but what was told */
};

/* In proved_ns: a heartbeat did it that does not say when it was sent. */
#define CHRONICLE_NOW UINT64_MAX

void chronicle_init(struct chronicle *chronicle, bool all_homes, chronicle_gap *gap, void *context);
void chronicle_fini(struct chronicle *chronicle);

/* A home whose changes count, before anything is heard; false when memory is short. */
bool chronicle_want(struct chronicle *chronicle, const char *home);

/* Whether the event is news; gaps that it shows are told before this returns. */
bool chronicle_hear_event(struct chronicle *chronicle, const Probed__V1__CredentialEvent *event);

/* Whether the heartbeat is a new one; gaps that it shows are told before this returns. */
bool chronicle_hear_beat(struct chronicle *chronicle, const Probed__V1__Heartbeat *heartbeat);

/* The home to be asked of the daemon next; NULL: none now.  Lent. */
const char *chronicle_ask(const struct chronicle *chronicle);

/* What the daemon said of that home.  Times are of CLOCK_MONOTONIC, as heartbeats have them. */
struct chronicle_answer {
    uint64_t round; /* chronicle->round when it was asked: an answer of another one is worth nothing */
    uint64_t epoch, generation;
    uint64_t asked_ns, answered_ns;
};
void chronicle_hear_answer(struct chronicle *chronicle, const struct chronicle_answer *answer);

/* Something was lost that could not even be read, or nothing is heard any more. */
void chronicle_doubt(struct chronicle *chronicle, const char *reason);

/* The newest generation known of this home, heard or told to be missed; 0: none, or it does not count. */
uint64_t chronicle_generation(const struct chronicle *chronicle, const char *home);

#endif
