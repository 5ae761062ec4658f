/* What the system says of this process: Prometheus' process_* metrics.
 *
 * Threads: one at a time. */
#ifndef SERVER_HTTP_PROCESS_H
#define SERVER_HTTP_PROCESS_H

#include <stdint.h>

struct process {
    int64_t started_ms; /* Unix time */
    uint64_t cpu_ns;    /* user and system */
    uint64_t resident_size, virtual_size;
    uint64_t fd_count, fd_count_max;
    uint64_t thread_count;
};

/* Once, near the start: when that was. */
void process_begin(struct process *process);

/* The rest, as it is now; 0 for what can't be read. */
void process_look(struct process *process);

#endif
