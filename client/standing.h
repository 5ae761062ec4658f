/* Whether a subscriber is CURRENT, and when it next has something to do: numbers alone, no clock, no threads.
 *
 * CURRENT is proved by a heartbeat: everything published before it was sent has been heard, or is told to be missed.
 * The proof is good for three intervals.  That it is the time of sending that counts, not of hearing, is what keeps a
 * subscriber honest that was stopped, or is behind with its reading: old news prove nothing of the present.
 *
 * The daemon is asked (Sync) only while heartbeats come, one question at a time: the first after a pause that is drawn
 * at random, so that a thousand subscribers do not ask a daemon that was started anew all at once; after a failure
 * again, later each time.
 *
 * Times are milliseconds of CLOCK_MONOTONIC.  Threads: one at a time. */
#ifndef CLIENT_STANDING_H
#define CLIENT_STANDING_H

#include <stdbool.h>
#include <stdint.h>

enum {
    STANDING_INTERVALS_MAX = 3,  /* without a proof */
    STANDING_ASK_MS_MAX = 500,   /* the first question comes within half an interval, and within this */
    STANDING_RETRY_MS_MIN = 100, /* after the first failure, half of it at least; doubling */
    STANDING_RETRY_MS_MAX = 5000,
};

#define STANDING_NEVER UINT64_MAX

struct standing {
    uint64_t random;      /* of the jitter; not 0 */
    uint32_t interval_ms; /* 0: no heartbeat was heard yet */
    uint64_t sent_ms;     /* when the newest of those heard was sent */
    uint64_t proved_ms;   /* the newest proof; 0: none yet */
    bool proved;          /* and nothing was lost since */

    bool asking;            /* a question is in the air */
    uint64_t ask_due_ms;    /* 0: the pause is not drawn yet */
    uint32_t failure_count; /* of questions, one after the other */
};

void standing_init(struct standing *standing, uint64_t random);

/* A heartbeat was heard; `sent_ms` is not after now. */
void standing_hear_beat(struct standing *standing, uint64_t sent_ms, uint32_t interval_ms);

/* Everything published until then is known; of no use to the present when that is too long ago. */
void standing_prove(struct standing *standing, uint64_t proved_ms, uint64_t now_ms);

/* Something was lost: only another proof makes it CURRENT. */
void standing_lose(struct standing *standing);

bool standing_is_current(const struct standing *standing, uint64_t now_ms);

/* Nothing was heard for too long, or nothing but old news. */
bool standing_is_silent(const struct standing *standing, uint64_t now_ms);

/* When the next question may be asked, there being one; STANDING_NEVER: not now.  Draws the pause when it is due. */
uint64_t standing_ask_ms(struct standing *standing, uint64_t now_ms);

void standing_asked(struct standing *standing);
void standing_answered(struct standing *standing, uint64_t now_ms);
/* `retry_after_ms`: not before that; 0: no advice. */
void standing_refused(struct standing *standing, uint64_t now_ms, uint32_t retry_after_ms);

/* There is nothing to ask any more: the next question begins with a pause of its own. */
void standing_ask_no_more(struct standing *standing);

/* When the proof ends; STANDING_NEVER: there is none. */
uint64_t standing_end_ms(const struct standing *standing);

#endif
