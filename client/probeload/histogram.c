/* Bucket i < 2^BITS holds the value i itself; beyond, each power of two has 2^BITS buckets of equal width. */
#include "client/probeload/histogram.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

enum { PART_COUNT = 1 << HISTOGRAM_PART_BITS };

static size_t bucket_of(uint64_t value)
{
    unsigned power, shift;

    if (value >= UINT64_C(1) << HISTOGRAM_POWER_MAX)
        return HISTOGRAM_BUCKET_COUNT - 1;
    if (value < PART_COUNT)
        return (size_t)value;
    power = 63 - (unsigned)__builtin_clzll(value);
    shift = power - HISTOGRAM_PART_BITS;
    return (size_t)(shift + 1) * PART_COUNT + (size_t)((value >> shift) - PART_COUNT);
}

/* The largest value that counts there. */
static uint64_t bucket_end(size_t bucket)
{
    size_t shift = bucket / PART_COUNT;

    if (shift == 0)
        return bucket;
    shift--;
    return ((uint64_t)(bucket % PART_COUNT + PART_COUNT + 1) << shift) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
    histogram->counts[bucket_of(value)]++;
    histogram->count++;
    histogram->sum += value;
    if (value > histogram->max)
        histogram->max = value;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    for (size_t i = 0; i < HISTOGRAM_BUCKET_COUNT; i++)
        into->counts[i] += from->counts[i];
    into->count += from->count;
    into->sum += from->sum;
    if (from->max > into->max)
        into->max = from->max;
}

void histogram_reset(struct histogram *histogram)
{
    memset(histogram, 0, sizeof *histogram);
}

uint64_t histogram_value_at(const struct histogram *histogram, double part)
{
    uint64_t wanted = (uint64_t)ceil(part * (double)histogram->count), seen = 0;

    if (histogram->count == 0)
        return 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKET_COUNT; i++) {
        seen += histogram->counts[i];
        if (seen >= wanted && histogram->counts[i] > 0)
            return bucket_end(i) < histogram->max ? bucket_end(i) : histogram->max;
    }
    return histogram->max;
}

uint64_t histogram_count_to(const struct histogram *histogram, uint64_t value)
{
    size_t last = bucket_of(value);
    uint64_t seen = 0;

    for (size_t i = 0; i <= last; i++)
        seen += histogram->counts[i];
    return seen;
}

double histogram_mean(const struct histogram *histogram)
{
    return histogram->count == 0 ? 0 : (double)histogram->sum / (double)histogram->count;
}

static double bucket_middle(size_t bucket)
{
    double begin = bucket == 0 ? 0 : (double)bucket_end(bucket - 1) + 1;

    return (begin + (double)bucket_end(bucket)) / 2;
}

double histogram_deviation(const struct histogram *histogram)
{
    double mean = histogram_mean(histogram), squares = 0;

    if (histogram->count == 0)
        return 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKET_COUNT; i++) {
        double distance = bucket_middle(i) - mean;

        if (histogram->counts[i] > 0)
            squares += (double)histogram->counts[i] * distance * distance;
    }
    return sqrt(squares / (double)histogram->count);
}
