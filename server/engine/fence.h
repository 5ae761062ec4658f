/* Invalidations: what they void, and what they wait for.
 *
 * In one step a fence moves the generation, drops the answers it covers, detaches the flights it covers from their
 * workers, and sees to it that no older worker is leased again: whoever looks afterwards finds nothing older.  Any
 * provider's fence replaces the home's workers, for each holds all of a home's credentials; other providers' answers
 * and flights stay, under the generation they have.
 *
 * A fence of a known home allocates nothing and cannot fail. */
#ifndef SERVER_ENGINE_FENCE_H
#define SERVER_ENGINE_FENCE_H

#include "server/engine/engine.h"

struct home;
struct household;

/* Decides it: call->result says what was done; its event is in the outbox, its answer too unless it quiesces. */
void fence_home(struct engine *engine, uint64_t now_ns, struct engine_call *call, struct home *home,
                struct actions *actions);
void fence_all(struct engine *engine, uint64_t now_ns, struct engine_call *call, uint64_t new_epoch,
               struct actions *actions);

/* A worker's process is gone: answers those who waited for it and for no other. */
void fence_worker_gone(struct engine *engine, struct household *household);

/* A call that quiesces waits no longer: its deadline, its client, the daemon.  The fence stands. */
void fence_call_ends(struct engine *engine, struct engine_call *call, const struct status *status,
                     struct actions *actions);

/* Processes that a quiescing call still waits for. */
uint64_t fence_older_count(const struct engine *engine, const struct engine_call *call);

#endif
