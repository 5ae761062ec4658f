/* Whether a call that failed is made again, and after which pause: numbers alone.
 *
 * Every method is safe to repeat (proto/README.md 3).  What is worth it is UNAVAILABLE alone, by the daemon's word or
 * because it can't be reached: nothing else becomes better by waiting.  The daemon's advice (retry_after_ms) is the
 * least pause; beyond it pauses double, and half of each is drawn at random, so that those who failed together do not
 * come back together.
 *
 * The budget bounds what retries can add to the load of a daemon in trouble, whatever each call may do: ten of them may
 * be made ahead, and one for every ten calls that went well.
 *
 * Threads: one at a time. */
#ifndef CLIENT_RETRY_H
#define CLIENT_RETRY_H

#include "client/outcome.h"

enum {
    RETRY_PAUSE_MS_MIN = 50,
    RETRY_PAUSE_MS_MAX = 2000,
    RETRY_COST = 10, /* in the budget's units; a call that went well gives one */
    RETRY_BUDGET_MAX = 10 * RETRY_COST,
};

struct retry_budget {
    uint32_t left;
    uint64_t random; /* not 0 */
};

void retry_budget_init(struct retry_budget *budget, uint64_t random);

/* A call went well. */
void retry_budget_earn(struct retry_budget *budget);

/* Whether the call that ended so, its attempt number `attempt` (from 0), is to be made again within the time left;
 * then the budget has paid for it. */
MUST_USE bool retry_budget_spend(struct retry_budget *budget, const struct probed_status *status, uint32_t attempt,
                                 uint64_t left_ms, uint64_t *pause_ms_out);

#endif
