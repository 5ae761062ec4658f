/* What a run is to do: the options, understood.  Lent to whoever runs it, and not changed meanwhile. */
#ifndef CLIENT_PROBELOAD_PLAN_H
#define CLIENT_PROBELOAD_PLAN_H

#include <probed/client.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum load_spread { LOAD_IN_TURN, LOAD_UNIFORM, LOAD_ZIPF };

struct load_plan {
    const char *url; /* NULL: the library's default, as the next */
    const char *events_url;
    struct probed_tls tls; /* members NULL: the environment */
    const char *secret;    /* of the workers' signatures; NULL: "" */
    bool signed_only;      /* an answer that is not signed breaks a promise */

    /* What is asked. */
    const char *const *homes;
    size_t home_count;
    const char *const *providers;
    size_t provider_count;
    size_t key_count;        /* different made-up api_keys; 0: none */
    enum load_spread spread; /* over the homes; providers and keys are drawn alike, or in turn with them */
    double zipf_exponent;
    double refresh_share;      /* of the probes */
    double invalidation_share; /* of the calls */
    size_t subscriber_count;
    uint32_t timeout_ms; /* of a call; 0: the library's */

    /* How. */
    size_t connection_count;
    size_t in_flight;     /* calls, of all connections together; with a rate the most there may be */
    size_t thread_count;  /* closed: each makes one call at a time; 0: calls are started.  Open: they share the rate */
    double rate;          /* calls a second; 0: a closed loop */
    bool constant;        /* arrivals at equal distances, else a Poisson process */
    uint64_t warm_up_ns;  /* before anything counts */
    uint64_t duration_ns; /* of what counts; 0: no bound */
    uint64_t call_count;  /* 0: no bound */
    uint64_t seed;
};

#endif
