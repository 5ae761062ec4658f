/* Where nng's own threads run.
 *
 * nng starts a poll thread and two task threads a CPU at its first call, and they share one queue: while any CPU is
 * idle a request costs about two context switches.  Kept on one CPU they give 1.6 to 3 times the throughput.  Threads
 * inherit the mask of whoever starts them, so this makes the first call, confined, and puts the mask back.
 *
 * Two task threads are all that such a CPU has use for.  And they are batch (sched(7)): one that is woken does not push
 * aside whoever woke it, who still holds the lock that it would ask for first.  Together that is half of the context
 * switches of a call.  The poll thread, which hears of new messages, pushes others aside as ever. */
#ifndef SERVER_EDGE_NNG_START_H
#define SERVER_EDGE_NNG_START_H

#include "proto/status.h"

#include <stdint.h>

enum { NNG_START_ANY_CPU = -1, NNG_START_AUTO = -2 };

/* The first nng call of the process, by the main thread, with signals blocked.  `cpu`: where to keep nng's threads, or
 * one of the above; AUTO takes the last CPU this process may use when there are several.  UNAVAILABLE when the shim is
 * not in effect, INVALID_ARGUMENT for a CPU this process may not use. */
MUST_USE struct status nng_start(int64_t cpu);

/* Begins every callback that comes often.  The first on a thread makes it a batch thread, where nng is on one CPU. */
void nng_start_callback(void);

/* The last nng call of the process, by the main thread, with every socket closed.  Waits a moment first: nng_fini of
 * 1.5.2 panics over a connection that was being greeted when its socket was closed, and nothing tells when that has
 * ended. */
void nng_stop(void);

#endif
