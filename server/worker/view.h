/* What probe-worker prints for a person: one answer, and the table of providers.
 *
 * Nothing of it is meant for programs; those have the answer line (snapshot.h).
 *
 * Threads: any. */
#ifndef SERVER_WORKER_VIEW_H
#define SERVER_WORKER_VIEW_H

#include "server/base/text.h"
#include "server/worker/snapshot.h"

/* Adds the answer, several lines. */
void view_snapshot(const struct snapshot *snapshot, struct text *text);

/* Adds the table: each provider, how often it may be asked, and what it needs. */
void view_providers(struct text *text);

#endif
