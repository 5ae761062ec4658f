/* What a run has shown, for a person or a program. */
#ifndef CLIENT_PROBELOAD_REPORT_H
#define CLIENT_PROBELOAD_REPORT_H

#include "client/probeload/load.h"

#include <stdio.h>

void report_print(FILE *out, const struct load_plan *plan, const struct load_result *result);

/* One JSON document on one line. */
void report_print_json(FILE *out, const struct load_plan *plan, const struct load_result *result);

#endif
