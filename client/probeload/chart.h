/* A run, drawn: latency by percentile and over time, as one SVG that needs nothing beside itself. */
#ifndef CLIENT_PROBELOAD_CHART_H
#define CLIENT_PROBELOAD_CHART_H

#include "client/probeload/report.h"

/* `title` may be NULL. */
void chart_draw(FILE *out, const struct report *report, const char *title);

#endif
