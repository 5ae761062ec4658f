/* What the programs of the bench share: when they end, how latencies are told, and where nng's threads run. */
#ifndef TESTS_BENCH_COMMON_H
#define TESTS_BENCH_COMMON_H

#include "client/probeload/clock.h"
#include "client/probeload/histogram.h"
#include "proto/nng_shim.h"

#include <inttypes.h>
#include <nng/nng.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline void must(int error, const char *what)
{
    if (error != 0) {
        fprintf(stderr, "%s: %s\n", what, nng_strerror(error));
        exit(1);
    }
}

/* nng's threads inherit the mask of whoever makes its first call: `cpu` is a number, or "any".  On one CPU there are as
 * many as the daemon has there, unless the bench says how many CPUs nng shall find. */
static inline int open_on_cpu(int (*open)(nng_socket *socket), nng_socket *socket, const char *cpu)
{
    cpu_set_t before, one;
    int error;

    sched_getaffinity(0, sizeof before, &before);
    if (strcmp(cpu, "any") != 0) {
        CPU_ZERO(&one);
        CPU_SET((size_t)atoi(cpu), &one);
        sched_setaffinity(0, sizeof one, &one);
        nng_shim_one_cpu(getenv("BENCH_PROCESSORS") == NULL);
    }
    error = open(socket);
    nng_shim_one_cpu(false);
    sched_setaffinity(0, sizeof before, &before);
    return error;
}

/* As the daemon's callbacks on one CPU begin: see server/edge/nng_start.h. */
static inline void become_batch(void)
{
    static _Thread_local bool seen;
    const struct sched_param parameters = {.sched_priority = 0};

    if (!seen)
        sched_setscheduler(0, SCHED_BATCH, &parameters);
    seen = true;
}

/* "p50":…, in microseconds, without braces. */
static inline void print_latency(FILE *out, const struct histogram *histogram)
{
    fprintf(out,
            "\"count\":%" PRIu64 ",\"mean\":%.3f,\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,\"p999\":%.3f,\"max\":%.3f",
            histogram->count, histogram_mean(histogram) / 1e3, (double)histogram_value_at(histogram, 0.5) / 1e3,
            (double)histogram_value_at(histogram, 0.9) / 1e3, (double)histogram_value_at(histogram, 0.99) / 1e3,
            (double)histogram_value_at(histogram, 0.999) / 1e3, (double)histogram->max / 1e3);
}

#endif
