/* What is shown: the figures of one moment, taken together.
 *
 * Sums come from the service's overview, lists from the shell: the sources that the admin service has, so that no two
 * views of the daemon can disagree.  What it is costs one look each, under the engine's lock for as long as that takes:
 * microseconds, however many homes are known.
 *
 * Threads: the room's own. */
#ifndef SERVER_HTTP_FIGURES_H
#define SERVER_HTTP_FIGURES_H

#include "server/http/process.h"
#include "server/service/overview.h"
#include "server/shell/shell.h"

#include <stdbool.h>
#include <stddef.h>

enum { FIGURES_HOME_COUNT_MAX = 100, FIGURES_WORKER_COUNT_MAX = 200 };

struct figures {
    int64_t at_ms; /* Unix time */
    struct overview overview;
    const struct timing *timing; /* lent */
    struct process process;

    bool names_homes; /* else all below is empty, and must be */
    size_t home_count, worker_count, event_count;
    bool more_homes, more_workers;
    struct engine_home_view homes[FIGURES_HOME_COUNT_MAX];
    struct engine_worker_view workers[FIGURES_WORKER_COUNT_MAX];
    struct history_event events[HISTORY_EVENT_COUNT_MAX]; /* the newest first */
};

/* Memory that is zero before the first time.  `lists`: with homes, workers and events, if names_homes allows it. */
void figures_take(struct figures *figures, struct service *service, struct shell *shell, bool lists, bool names_homes);

#endif
