/* What was counted: latencies by how an answer came about, outcomes by code, and the same over time.
 *
 * Threads count in shards, each with a lock of its own; one thread, the watcher, takes the counts of each interval out
 * and adds everything up at the end.  All memory is taken at create, whatever the run brings.
 *
 * Threads: tally_note any; the rest is the watcher's.  Locks: one a shard, a leaf. */
#ifndef CLIENT_PROBELOAD_TALLY_H
#define CLIENT_PROBELOAD_TALLY_H

#include "client/probeload/histogram.h"
#include "proto/compiler.h"

#include <probed/client.h>

enum { TALLY_CODE_COUNT = PROBED_UNAUTHENTICATED + 1, TALLY_ROW_COUNT_MAX = 4096 };

/* The first four are numbered as the origins of probe.proto. */
enum tally_kind {
    TALLY_FAILED, /* probes that were not OK */
    TALLY_WARM,
    TALLY_COLD,
    TALLY_JOINED,
    TALLY_CACHED,
    TALLY_INVALIDATED, /* Invalidate calls, those that failed included */
    TALLY_EVENT,       /* from an Invalidate's begin to a subscriber's hearing of it */
    TALLY_KIND_COUNT
};

/* "cached"; lent for ever. */
const char *tally_kind_name(enum tally_kind kind);

/* One interval of the run: calls of every kind. */
struct tally_row {
    double at_s; /* its end, from when counting began */
    double seconds;
    uint64_t call_count;
    uint64_t p50_ns, p99_ns, max_ns;
};

/* All of it, added up.  Large: not for a stack. */
struct tally_sum {
    struct histogram kinds[TALLY_KIND_COUNT];
    struct histogram probes; /* failed and answered */
    uint64_t probes_by_code[TALLY_CODE_COUNT];
    uint64_t invalidations_by_code[TALLY_CODE_COUNT];
    struct tally_row rows[TALLY_ROW_COUNT_MAX];
    size_t row_count; /* what came later is in the rest, and has no row */
};

struct tally;

/* NULL: no memory. */
struct tally *tally_create(size_t shard_count);
void tally_destroy(struct tally *tally);

void tally_note(struct tally *tally, size_t shard, enum tally_kind kind, enum probed_code code, uint64_t latency_ns);

/* Takes out what was counted since the last time, as a row of the sum; lent until the next. */
const struct tally_row *tally_cut(struct tally *tally, double at_s, double seconds);

/* The sum so far; lent until destroy. */
struct tally_sum *tally_add_up(struct tally *tally);

#endif
