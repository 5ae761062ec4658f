/* probeload's command line, understood. */
#ifndef CLIENT_PROBELOAD_OPTIONS_H
#define CLIENT_PROBELOAD_OPTIONS_H

#include "client/probeload/plan.h"
#include "client/probeload/selfhost.h"

enum { OPTIONS_HOME_COUNT_MAX = 4096, OPTIONS_PROVIDER_COUNT_MAX = 64 };

struct options {
    struct load_plan plan;
    const char *homes[OPTIONS_HOME_COUNT_MAX];
    const char *providers[OPTIONS_PROVIDER_COUNT_MAX];

    bool self_contained;
    struct selfhost_plan host;
    uint64_t limit_p99_ns; /* of --find-limit; 0: no search */

    bool json, quiet;
    const char *hgrm_path, *svg_path; /* NULL: none */
    const char *title;                /* of the drawing; NULL: none */
};

/* Ends the process with `usage_exit` where they can't be understood. */
void options_parse(struct options *options, int argc, char **argv, int usage_exit);

#endif
