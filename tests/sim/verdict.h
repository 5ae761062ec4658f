/* What is claimed of the engine, and what happens when a claim is broken: the run of this seed ends on the spot.
 *
 * A run is begun by setting the jump buffer that verdict_begin gives; a broken claim comes back there.  What the run
 * had in memory is lost then, which a process that is about to fail can bear.
 *
 * The trace is a run's story, a line a step: not written at all, kept (its last lines), or printed as it happens.
 * Threads: one; there is one run at a time. */
#ifndef TESTS_SIM_VERDICT_H
#define TESTS_SIM_VERDICT_H

#include "proto/compiler.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>

/* The promises, in the order of README's table. */
enum rule {
    RULE_NONE,
    RULE_LEASES,   /* one lease a worker; every lease ends once; ids dense */
    RULE_FENCES,   /* nothing older than an invalidation is decided, cached, joined or leased after it */
    RULE_KEYS,     /* no answer of another home, provider or key */
    RULE_CALLS,    /* every call given back once, in time, with a code that is allowed */
    RULE_GOOD,     /* the last good answer, where it is owed and nowhere else */
    RULE_BOUNDS,   /* workers, queues and cache within their limits; no start without need, no need without start */
    RULE_ORDER,    /* first come first served; re-runs ahead */
    RULE_TURNS,    /* between uids, and between the homes of one: nobody waits for more than the turns ahead */
    RULE_PAUSES,   /* no start of a home that pauses, and no pause without cause */
    RULE_NEWS,     /* events dense, in order, before the answer to their cause */
    RULE_COUNTERS, /* what the engine says of itself agrees with what was seen */
    RULE_TIME,     /* what is due is done when the engine said it would be */
    RULE_QUIESCED, /* answered only when every older worker is gone */
    RULE_LIVENESS, /* without faults and in ample time every call is served, and the end is empty */
    RULE_MEMORY,   /* nothing leaks; steps that end things allocate nothing; a refusal for memory changes nothing */
    RULE_INTERNAL, /* the engine's own invariants */
    RULE_COUNT
};

enum trace_mode { TRACE_OFF, TRACE_KEPT, TRACE_PRINTED };

jmp_buf *verdict_begin(enum trace_mode mode);

NO_RETURN void verdict_broken(enum rule rule, const char *condition, const char *format, ...) PRINTF_LIKE(3, 4);

#define CLAIM(rule, condition, ...) ((condition) ? (void)0 : verdict_broken(rule, #condition, __VA_ARGS__))

/* One line of the story; its arguments are not evaluated when nobody listens. */
#define TRACE(...) (verdict_traces ? verdict_trace(__VA_ARGS__) : (void)0)
extern bool verdict_traces;
void verdict_trace(const char *format, ...) PRINTF_LIKE(1, 2);

/* Of the run that broke a claim. */
enum rule verdict_rule(void);
const char *verdict_rule_name(enum rule rule);
const char *verdict_text(void);
void verdict_print_kept(void);

#endif
