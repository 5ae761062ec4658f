#include "server/service/overview.h"

#include "server/base/clock.h"
#include "server/service/internal.h"

void service_overview(struct service *service, struct overview *overview_out)
{
    overview_out->uptime_ns = clock_now_ns() - service->started_ns;
    overview_out->draining = atomic_load(&service->draining);
    shell_look(service->shell, &overview_out->engine);
    shell_look_news(service->shell, &overview_out->news);
    shell_look_watches(service->shell, &overview_out->watches);
    shell_look_seal(service->shell, overview_out->seal);
}

void overview_counters(const struct overview *overview, struct overview_counter counters[OVERVIEW_COUNTER_COUNT])
{
    struct overview_counter *next = counters;

    for (size_t i = 0; i < ENGINE_COUNTER_COUNT; i++)
        *next++ = (struct overview_counter){engine_counter_name((enum engine_counter)i), overview->engine.counters[i]};
    *next++ = (struct overview_counter){"probed_events_total", overview->news.events};
    *next++ = (struct overview_counter){"probed_beats_total", overview->news.beats};
    *next++ = (struct overview_counter){"probed_subscribers", overview->news.subscribers};
    *next++ = (struct overview_counter){"probed_observed_homes", overview->watches.homes};
    *next++ = (struct overview_counter){"probed_observed_changes_total", overview->watches.changes};
}

const struct timing *service_timing(const struct service *service)
{
    return &service->timing;
}
