/* The calls that are lent to us: their deadlines while they wait, and their way back.
 *
 * A call has room among the deadlines while it is parked or aboard (call_reserve can fail, and is asked for before
 * anything else changes).  One that quiesces is kept in a list by deadline instead, since a fence of a known home must
 * not need memory.
 *
 * A call is given back once: into actions.answered, or with an item of news. */
#ifndef SERVER_ENGINE_CALL_H
#define SERVER_ENGINE_CALL_H

#include "server/engine/engine.h"

struct entry;

struct calls {
    struct heap deadlines; /* of those parked and aboard */
    struct list parked;
    struct list quiescing;     /* by deadline, the earliest first */
    struct list quiescing_all; /* those of global invalidations, oldest first; see household.quiescing */
    uint64_t aboard_count;     /* of any flight */
    uint64_t waiting_count;    /* of flights that have no lease */
};

/* Room for one more deadline; false when memory is short. */
MUST_USE bool call_reserve(struct engine *engine);
void call_unreserve(struct engine *engine);

/* The refusal for want of memory, counted. */
struct status call_memory_is_short(struct engine *engine);

/* Whether a call may be taken in: not while draining, nor when its deadline has passed. */
struct status call_check_arrival(struct engine *engine, uint64_t now_ns, const struct engine_call *call);

/* From the parked: theirs no more. */
void call_unpark(struct engine *engine, struct engine_call *call);

/* Waits in the list by deadline, beside the list of its home's quiescing calls. */
void call_quiesce(struct engine *engine, struct engine_call *call, struct list *quiescing);

/* A call that is nowhere any more, with call->result written. */
void call_give_back(struct engine_call *call, struct actions *actions);

/* The same with nothing but this status. */
void call_fail(struct engine_call *call, const struct status *status, struct actions *actions);

/* A Probe that has failed: with its key's last good answer (entry; NULL: nothing is known of it), where it takes one. */
void call_fail_probe(struct engine *engine, uint64_t now_ns, struct entry *entry, struct engine_call *call,
                     const struct status *status, struct actions *actions);

/* A call that the engine holds ends with this status, wherever it is. */
void call_end(struct engine *engine, uint64_t now_ns, struct engine_call *call, const struct status *status,
              struct actions *actions);

/* All that are due: DEADLINE_EXCEEDED, saying what they waited for. */
void call_deadlines_pass(struct engine *engine, uint64_t now_ns, struct actions *actions);

/* When the next is due; UINT64_MAX: none waits. */
uint64_t call_next_ns(const struct engine *engine);

/* Puts actions.answered in order of arrival. */
void call_sort_answered(struct actions *actions);

#endif
