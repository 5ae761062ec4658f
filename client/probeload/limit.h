/* The highest rate that a daemon keeps up with: doubled until it does not, then halved in between.
 *
 * A rate is kept when every call was sent and answered OK and the 99th percentile, from when calls were due, is within
 * the bound.  One that is not kept has a second chance, since a machine has other things to do now and then. */
#ifndef CLIENT_PROBELOAD_LIMIT_H
#define CLIENT_PROBELOAD_LIMIT_H

#include "client/probeload/load.h"

enum { LIMIT_STEP_COUNT_MAX = 64 };

/* The search alone. */
struct limit_search {
    double rate; /* to try next */
    double kept; /* the highest; 0: none yet */
    double lost; /* the lowest; 0: none yet */
    bool second_chance;
};

void limit_search_init(struct limit_search *search, double first_rate);

/* How `rate` went; whether there is more to try. */
bool limit_search_note(struct limit_search *search, bool was_kept);

struct limit_step {
    double rate, answered_rate;
    uint64_t p99_ns;
    uint64_t failed_count, unsent_count;
    bool kept;
};

struct limit_report {
    uint64_t p99_ns_max;
    double rate;        /* the highest that was kept; 0: none */
    double result_rate; /* of the run whose result is given */
    struct limit_step steps[LIMIT_STEP_COUNT_MAX];
    size_t step_count;
};

/* Runs `plan` at rates from plan->rate on.  The result is that of the highest rate kept, of the last tried if there is
 * none, and of the run that broke a promise if one did; it is the caller's, unless the status is not OK. */
MUST_USE struct probed_status limit_find(const struct load_plan *plan, const struct load_watcher *watcher,
                                         struct limit_report *report, struct load_result *result_out);

#endif
