#include "server/service/timing.h"

#include "server/base/duration.h"
#include "server/base/invariant.h"

#define US (NS_PER_MS / 1000)
#define MS NS_PER_MS
#define S  NS_PER_S

static const uint64_t bounds_ns[TIMING_BOUND_COUNT] = {
    10 * US, 25 * US,  50 * US,  100 * US, 250 * US, 500 * US,  1 * MS, 5 * MS / 2, 5 * MS, 10 * MS, 25 * MS,
    50 * MS, 100 * MS, 250 * MS, 500 * MS, 1 * S,    5 * S / 2, 5 * S,  10 * S,     30 * S, 60 * S,
};

void timing_note(struct timing *timing, enum timing_origin origin, enum status_code code, uint64_t taken_ns)
{
    struct timing_series *series = &timing->series[origin][code];
    unsigned bucket = 0;

    while (bucket < TIMING_BOUND_COUNT && taken_ns > bounds_ns[bucket]) /* the many, cached ones, are in the first */
        bucket++;
    atomic_fetch_add_explicit(&series->buckets[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&series->sum_ns, taken_ns, memory_order_relaxed);
}

bool timing_look(const struct timing *timing, enum timing_origin origin, enum status_code code,
                 struct timing_view *view_out)
{
    const struct timing_series *series = &timing->series[origin][code];

    *view_out = (struct timing_view){.origin = origin, .code = code};
    for (unsigned bucket = 0; bucket < TIMING_BUCKET_COUNT; bucket++) {
        view_out->buckets[bucket] = atomic_load_explicit(&series->buckets[bucket], memory_order_relaxed);
        view_out->count += view_out->buckets[bucket];
    }
    view_out->sum_ns = atomic_load_explicit(&series->sum_ns, memory_order_relaxed);
    return view_out->count > 0;
}

uint64_t timing_bound_ns(unsigned bucket)
{
    INVARIANT(bucket < TIMING_BOUND_COUNT);
    return bounds_ns[bucket];
}

const char *timing_origin_name(enum timing_origin origin)
{
    static const char *const names[TIMING_ORIGIN_COUNT] = {
        [TIMING_NONE] = "none",     [TIMING_WARM] = "warm",     [TIMING_COLD] = "cold",
        [TIMING_JOINED] = "joined", [TIMING_CACHED] = "cached", [TIMING_STALE] = "stale",
    };

    INVARIANT((unsigned)origin < TIMING_ORIGIN_COUNT);
    return names[origin];
}
