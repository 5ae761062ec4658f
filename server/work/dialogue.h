/* One conversation with one worker: one request line written, one answer line read, no more.
 *
 * Whatever else arrives is a breach and ends the worker.  It knows lines and deadlines, not pools or calls.
 *
 * Threads: one at a time; the lease that was handed out with the descriptors is the permission.
 * Locks:   none; blocks, so call it with none held.
 * Time:    deadlines are absolute nanoseconds of CLOCK_MONOTONIC. */
#ifndef SERVER_WORK_DIALOGUE_H
#define SERVER_WORK_DIALOGUE_H

#include "server/base/text.h"
#include "server/engine/engine.h"

struct dialogue_answer {
    struct text line;  /* given, without its line end; text_wipe() it */
    uint64_t probe_ns; /* request written to answer read */
};

/* Writes `request` (a line with its line end; wiped as soon as it is written, and in any case) and reads one line of at most `line_size_max` bytes.
 * LEASE_ANSWERED with *answer_out written, else *status_out: see enum lease_end. */
MUST_USE enum lease_end dialogue_ask(struct worker_channel channel, struct text *request, size_t line_size_max,
                                     uint64_t deadline_ns, struct dialogue_answer *answer_out,
                                     struct status *status_out);

#endif
