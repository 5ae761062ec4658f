/* One question to the daemon, where a home stands (Sync), and its answer, for whoever must not wait.
 *
 * The answer comes on a thread of nng's, is kept here, and wakes an eventfd.  Whoever asked may give the question up at
 * any time: what comes later finds nobody.
 *
 * Ownership: inquiry_begin gives; inquiry_take and inquiry_abandon take.  Threads: asked and taken by one at a time. */
#ifndef CLIENT_INQUIRY_H
#define CLIENT_INQUIRY_H

#include "client/outcome.h"

struct inquiry;

struct inquiry_answer {
    struct probed_status status;
    uint64_t epoch, generation;     /* when it is OK */
    uint64_t asked_ns, answered_ns; /* CLOCK_MONOTONIC */
};

/* `wake_fd` is written to once it is answered, and must stay open until it was taken or abandoned. */
MUST_USE struct probed_status inquiry_begin(struct probed_channel *channel, const char *home, int wake_fd,
                                            struct inquiry **inquiry_out);

/* False: there is no answer yet. */
MUST_USE bool inquiry_take(struct inquiry *inquiry, struct inquiry_answer *answer_out);

/* NULL is fine. */
void inquiry_abandon(struct inquiry *inquiry);

#endif
