/* Latencies, counted: log-linear, so that every value is kept to a thousandth of itself in a fixed size.
 *
 * A value counts in a bucket no wider than 1/1024 of it, from 1 ns to 137 s, and is told as the greatest value of its
 * bucket, never above the greatest that was added: a percentile errs upwards, by less than 0.1 %.  Adding costs no
 * search and no memory; histograms of several threads, runs or machines add up without loss.
 *
 * Threads: one at a time; each counter of latencies has its own and they are added up at the end. */
#ifndef CLIENT_PROBELOAD_HISTOGRAM_H
#define CLIENT_PROBELOAD_HISTOGRAM_H

#include <stdint.h>

enum {
    HISTOGRAM_PART_BITS = 10, /* parts of each power of two: an error of at most 1 in 1024 */
    HISTOGRAM_POWER_MAX = 37, /* 2^37 ns are 137 s; what is longer counts as that */
    HISTOGRAM_BUCKET_COUNT = (HISTOGRAM_POWER_MAX - HISTOGRAM_PART_BITS + 1) << HISTOGRAM_PART_BITS
};

/* 224 KiB: not for a stack.  All zero is an empty one. */
struct histogram {
    uint64_t counts[HISTOGRAM_BUCKET_COUNT];
    uint64_t count, sum, max;
};

void histogram_add(struct histogram *histogram, uint64_t value);
void histogram_merge(struct histogram *into, const struct histogram *from);
void histogram_reset(struct histogram *histogram);

/* The value that `part` (0..1) of all do not exceed; 0 when there is none. */
uint64_t histogram_value_at(const struct histogram *histogram, double part);

/* How many do not exceed this value, as far as buckets tell. */
uint64_t histogram_count_to(const struct histogram *histogram, uint64_t value);

double histogram_mean(const struct histogram *histogram);
double histogram_deviation(const struct histogram *histogram); /* the standard deviation, from the buckets' middles */

#endif
