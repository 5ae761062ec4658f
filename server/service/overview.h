/* The daemon in figures, of one moment: the one source of GetStatus, of /metrics and of the page.
 *
 * It has no names of homes, and nothing that belongs to one: whoever may see sums may see all of it.
 *
 * Threads: any; it takes the engine's lock for one look. */
#ifndef SERVER_SERVICE_OVERVIEW_H
#define SERVER_SERVICE_OVERVIEW_H

#include "server/engine/engine.h"
#include "server/news/news.h"
#include "server/service/service.h"
#include "server/service/timing.h"

struct overview {
    uint64_t uptime_ns;
    bool draining;
    struct engine_view engine;
    struct news_counts news;
    struct shell_watch_counts watches;
    char seal[STATUS_MESSAGE_SIZE]; /* how workers are sealed, for a person */
};

void service_overview(struct service *service, struct overview *overview_out);

/* Every counter there is, by the name that GetStatus and /metrics have for it; those of a family side by side. */
struct overview_counter {
    const char *name; /* lent for ever: "probed_leases_total{origin=\"warm\"}" */
    uint64_t value;
};

enum { OVERVIEW_COUNTER_COUNT = ENGINE_COUNTER_COUNT + 5 };

void overview_counters(const struct overview *overview, struct overview_counter counters[OVERVIEW_COUNTER_COUNT]);

/* How long Probe calls took; lent for the life of the service. */
const struct timing *service_timing(const struct service *service);

#endif
