/* From a worker's answer line to a packed answer: proto/README.md 5.
 *
 * Wrong types make a field absent, unknown keys are ignored, percentages are clamped, texts are cut: whatever a worker
 * sends, what comes out is within limits.h.  A line that is no JSON object (or null) is a breach.
 *
 * Threads: any. */
#ifndef SERVER_WORK_USAGE_H
#define SERVER_WORK_USAGE_H

#include "server/engine/engine.h"

#include <stddef.h>
#include <stdint.h>

/* What the receipt says beside the lease. */
struct usage_receipt {
    uint64_t probe_ns;
    int64_t wall_ms; /* now, Unix time: fetched_at where the worker gave none */
};

/* LEASE_ANSWERED with *answer_out given, or LEASE_BREACHED with *status_out (INTERNAL).  Out of memory is
 * LEASE_BREACHED with RESOURCE_EXHAUSTED. */
MUST_USE enum lease_end usage_from_line(const struct engine_lease *lease, const char *line, size_t line_size,
                                        const struct usage_receipt *receipt, struct answer **answer_out,
                                        struct status *status_out);

#endif
