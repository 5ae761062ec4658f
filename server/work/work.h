/* Handler threads: each holds one lease at a time, asks its worker, and hands the outcome back.
 *
 * A handler exists per lease, never per waiter.  Threads are started when first needed and kept for the next lease,
 * most recently idle first.
 *
 * Threads: any may call; nothing here blocks but work_destroy.  `returned` is called on a handler thread, no lock held.
 * Locks:   one, a leaf. */
#ifndef SERVER_WORK_WORK_H
#define SERVER_WORK_WORK_H

#include "proto/status.h"
#include "server/engine/engine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct work;

struct work_settings {
    size_t handler_count_max;    /* pool.workers_max: there are never more leases */
    size_t answer_line_size_max; /* worker.reply_bytes_max, without the line end */
    uint64_t run_ms;             /* what a request tells its worker as timeout_ms */
};

/* The lease is the engine's again when this returns; the outcome's answer is given. */
typedef void work_returned(void *context, struct engine_lease *lease, const struct lease_outcome *outcome);

/* Whether the worker's process is known to be gone: asked, by a handler, when it has just taken a lease. */
typedef bool work_is_gone(void *context, uint64_t worker_id);

MUST_USE struct status work_create(const struct work_settings *settings, work_returned *returned, work_is_gone *is_gone,
                                   void *context, struct work **work_out);

/* Every lease must be back; joins all handlers.  NULL is fine. */
void work_destroy(struct work *work);

/* For leases taken from now on.  More handlers than before may become possible, never fewer. */
void work_settings_changed(struct work *work, const struct work_settings *settings);

/* The worker's process is gone: a handler that has a lease of it need not wait for its pipes to end.  `is_gone` must
 * say so before this is called, for the handler that takes one meanwhile. */
void work_worker_gone(struct work *work, uint64_t worker_id);

/* Lends the lease to a handler.  When none can be started it is handed back at once as LEASE_STRAY, on this thread. */
void work_take(struct work *work, struct engine_lease *lease);

#endif
