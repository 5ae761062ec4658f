/* What a run has shown, for a person or a program. */
#ifndef CLIENT_PROBELOAD_REPORT_H
#define CLIENT_PROBELOAD_REPORT_H

#include "client/probeload/limit.h"
#include "client/probeload/load.h"

#include <stdio.h>

/* All that a report tells; lent. */
struct report {
    const struct load_plan *plan;
    const struct load_result *result;
    const struct limit_report *limit; /* NULL: it was not searched */
};

enum { REPORT_LINE_SIZE = 256 };

/* "64 in flight on 1 connection, 4 homes in turn, openrouter": what was asked of the run. */
void report_describe(const struct load_plan *plan, char out[REPORT_LINE_SIZE]);

/* "AMD EPYC 7B13, 2 CPUs, Linux 6.18.5": the machine. */
void report_machine(char out[REPORT_LINE_SIZE]);

/* "123 µs", "4.56 ms": three digits. */
enum { REPORT_TIME_SIZE = 24 };
const char *report_time(uint64_t ns, char out[REPORT_TIME_SIZE]);

void report_print(FILE *out, const struct report *report);

/* One JSON document on one line. */
void report_print_json(FILE *out, const struct report *report);

/* HdrHistogram's percentile text of all probes, in milliseconds. */
void report_print_hgrm(FILE *out, const struct histogram *histogram);

/* The line of progress, redrawn in place; report_clear_progress() takes it away. */
void report_draw_progress(FILE *out, const struct load_progress *progress);
void report_clear_progress(FILE *out);

#endif
