/* What the forms have in common. */
#include "server/http/views.h"

#include "server/base/duration.h"
#include "server/base/invariant.h"

const char *view_worker_state(enum worker_state state)
{
    static const char *const names[WORKER_STATE_COUNT] = {
        [WORKER_STARTING] = "starting", [WORKER_IDLE] = "idle",     [WORKER_LEASED] = "leased",
        [WORKER_DRAINING] = "draining", [WORKER_ENDING] = "ending",
    };

    INVARIANT((unsigned)state < WORKER_STATE_COUNT);
    return names[state];
}

static double bound_s(unsigned bucket)
{
    return (double)timing_bound_ns(bucket < TIMING_BOUND_COUNT ? bucket : TIMING_BOUND_COUNT - 1) / (double)NS_PER_S;
}

double view_quantile_s(const struct timing_view *timing, double quantile)
{
    double wanted = quantile * (double)timing->count, below = 0;
    unsigned bucket = 0;

    while (bucket < TIMING_BOUND_COUNT && below + (double)timing->buckets[bucket] < wanted)
        below += (double)timing->buckets[bucket++];
    if (bucket == TIMING_BOUND_COUNT || timing->buckets[bucket] == 0)
        return bound_s(bucket);
    return (bucket == 0 ? 0 : bound_s(bucket - 1)) + (bound_s(bucket) - (bucket == 0 ? 0 : bound_s(bucket - 1))) *
                                                         (wanted - below) / (double)timing->buckets[bucket];
}
