/* How long Probe calls took, from arrival to answer: a histogram by origin and code.
 *
 * Noting a call is two additions to memory that is there: no lock, no allocation.  Who looks sees each series whole but
 * for what is being noted at that moment: a count is the sum of its buckets, whenever it is read.
 *
 * Threads: any. */
#ifndef SERVER_SERVICE_TIMING_H
#define SERVER_SERVICE_TIMING_H

#include "proto/status.h"
#include "server/engine/engine.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Where an answer came from, as metrics name it.  NONE: there was none, the call failed. */
enum timing_origin {
    TIMING_NONE,
    TIMING_WARM,
    TIMING_COLD,
    TIMING_JOINED,
    TIMING_CACHED,
    TIMING_STALE, /* the last good one, in place of an error (accept_stale) */
    TIMING_ORIGIN_COUNT
};

/* From what a cached answer takes to the longest deadline that is usual: 10 us to 60 s, and longer. */
enum { TIMING_BOUND_COUNT = 21, TIMING_BUCKET_COUNT = TIMING_BOUND_COUNT + 1 };

struct timing_series {
    atomic_uint_fast64_t buckets[TIMING_BUCKET_COUNT];
    atomic_uint_fast64_t sum_ns;
};

/* Zero: nothing was noted. */
struct timing {
    struct timing_series series[TIMING_ORIGIN_COUNT][STATUS_CODE_COUNT];
};

void timing_note(struct timing *timing, enum timing_origin origin, enum status_code code, uint64_t taken_ns);

struct timing_view {
    enum timing_origin origin;
    enum status_code code;
    uint64_t buckets[TIMING_BUCKET_COUNT]; /* calls in each alone */
    uint64_t count, sum_ns;
};

/* False when no call of this kind was noted so far. */
bool timing_look(const struct timing *timing, enum timing_origin origin, enum status_code code,
                 struct timing_view *view_out);

/* The longest that counts in the bucket, the last excepted; lent for ever. */
uint64_t timing_bound_ns(unsigned bucket);
const char *timing_origin_name(enum timing_origin origin);

#endif
