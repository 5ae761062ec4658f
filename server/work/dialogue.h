/* One conversation with one worker: one request line written, one answer line read, no more.
 *
 * Whatever else arrives is a breach and ends the worker.  It knows lines and deadlines, not pools or calls.
 *
 * A worker's end shows as the end of its pipes, unless a child that it left behind holds them open; so it is told of
 * the end of the process, too.  What the pipe holds by then is read first.
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

/* When to give up. */
struct dialogue_bounds {
    size_t line_size_max;
    uint64_t deadline_ns;
    int gone_fd; /* readable: the worker's process is gone, whoever still holds its ends of the pipes; -1: nobody says */
};

/* Writes `request` (a line with its line end; wiped as soon as it is written, and in any case) and reads one line.
 * LEASE_ANSWERED with *answer_out written, else *status_out: see enum lease_end. */
MUST_USE enum lease_end dialogue_ask(struct worker_channel channel, struct text *request,
                                     const struct dialogue_bounds *bounds, struct dialogue_answer *answer_out,
                                     struct status *status_out);

#endif
