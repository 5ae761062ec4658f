/* What has an order.  Actions may overtake each other on their way out; what stands here does not.
 *
 * Nothing is allocated for it: an order is a mark on its worker, and at most one of each kind is due, in the order of
 * enum engine_order_kind; news are items within the call that caused them, which therefore is not given back before its
 * event is out.  A call's event and its answer are two items, so that others' news may stand between them. */
#ifndef SERVER_ENGINE_OUTBOX_H
#define SERVER_ENGINE_OUTBOX_H

#include "server/engine/engine.h"

struct worker;

void outbox_order(struct engine *engine, struct worker *worker, enum engine_order_kind kind);

/* Takes an order back that has not come out yet; false when it has. */
bool outbox_take_back(struct worker *worker, enum engine_order_kind kind);

/* The event (or beat) of an Invalidate; its answer. */
void outbox_event(struct engine *engine, struct engine_call *call);
void outbox_answer(struct engine *engine, struct engine_call *call);

#endif
