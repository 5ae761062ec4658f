/* The normalised answer to one probe, and the line it becomes (PROVIDERS.md 2, proto/README.md 5).
 *
 * A snapshot is a reading (what was told), an outcome (how it ended) and, for a pool, its rows.  Only a body that came
 * with 200 is read, so that a failure says no more than its reason.
 *
 * Ownership: snapshot_create gives, snapshot_destroy takes.  Threads: none of its own. */
#ifndef SERVER_WORKER_SNAPSHOT_H
#define SERVER_WORKER_SNAPSHOT_H

#include "proto/compiler.h"
#include "server/base/text.h"
#include "server/worker/outcome.h"
#include "server/worker/pool.h"
#include "server/worker/reading.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct snapshot {
    char provider[LIMIT_PROVIDER_SIZE_MAX + 1]; /* as it was asked for */
    const char *source, *title;                 /* static */
    const char *place; /* where the credential was found; static; NULL: nowhere, or the request */
    struct outcome outcome;
    struct reading reading;
    struct pool_summary *pool; /* owned; NULL: none was looked at */
    int64_t fetched_at_s;
    unsigned min_interval_s; /* the provider's polling manners; 0: none, it was not asked */
};

/* NULL when memory is short. */
MUST_USE struct snapshot *snapshot_create(const char *provider);
void snapshot_destroy(struct snapshot *snapshot); /* NULL is fine */

/* Takes the summary and makes the snapshot one of a pool that nobody was asked about (5.4). */
void snapshot_set_local_pool(struct snapshot *snapshot, struct pool_summary *summary);

/* The same of a pool whose entries were asked about (5.3).  `source` and `reason`, for when none of them told anything,
 * are static. */
void snapshot_set_asked_pool(struct snapshot *snapshot, struct pool_summary *summary, const char *source,
                             const char *reason);

/* Adds the line, without its line end; `id` (lent, NULL: none) leads it.  False when memory is short. */
MUST_USE bool snapshot_write(const struct snapshot *snapshot, const json_t *id, struct text *line);

#endif
