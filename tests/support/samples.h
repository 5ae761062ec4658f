/* Many times of one thing, and what a share of them kept to. */
#ifndef TESTS_SUPPORT_SAMPLES_H
#define TESTS_SUPPORT_SAMPLES_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

static inline int samples_compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

    return (a > b) - (a < b);
}

/* The one that `percent` of them (below 100) lie before; sorts them.  50: the median. */
static inline uint64_t samples_at(uint64_t *samples, size_t count, size_t percent)
{
    qsort(samples, count, sizeof *samples, samples_compare);
    return samples[count * percent / 100];
}

#endif
