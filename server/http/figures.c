#include "server/http/figures.h"

#include "server/base/clock.h"

static void take_lists(struct figures *figures, struct shell *shell)
{
    figures->home_count = shell_look_busy_homes(shell, figures->homes, FIGURES_HOME_COUNT_MAX, &figures->more_homes);
    figures->worker_count =
        shell_look_workers(shell, "", 0, figures->workers, FIGURES_WORKER_COUNT_MAX, &figures->more_workers);
    figures->event_count = shell_look_history(shell, figures->events, HISTORY_EVENT_COUNT_MAX);
}

void figures_take(struct figures *figures, struct service *service, struct shell *shell, bool lists, bool names_homes)
{
    figures->at_ms = clock_wall_ms();
    service_overview(service, &figures->overview);
    figures->timing = service_timing(service);
    process_look(&figures->process);
    figures->names_homes = names_homes;
    figures->home_count = figures->worker_count = figures->event_count = 0;
    figures->more_homes = figures->more_workers = false;
    if (lists && names_homes)
        take_lists(figures, shell);
}
