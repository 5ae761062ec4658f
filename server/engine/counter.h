/* Every decision of the engine, counted.  Names are those that GetStatus shows. */
#ifndef SERVER_ENGINE_COUNTER_H
#define SERVER_ENGINE_COUNTER_H

/*      COUNTER(enumerator, "name as GetStatus shows it") */
#define ENGINE_COUNTERS(COUNTER)                                                                                       \
    COUNTER(PROBES, "probed_probes_total")                                                                             \
    COUNTER(ANSWERED_CACHED, "probed_answers_total{origin=\"cached\"}")                                                \
    COUNTER(ANSWERED_JOINED, "probed_answers_total{origin=\"joined\"}")                                                \
    COUNTER(ANSWERED_WARM, "probed_answers_total{origin=\"warm\"}")                                                    \
    COUNTER(ANSWERED_COLD, "probed_answers_total{origin=\"cold\"}")                                                    \
    COUNTER(ANSWERED_STALE, "probed_answers_total{origin=\"stale\"}")                                                  \
    COUNTER(FAILED, "probed_failures_total")                                                                           \
    COUNTER(HELD, "probed_holds_total")                                                                                \
    COUNTER(LAST_GOOD, "probed_last_good_total")                                                                       \
    COUNTER(JOINED, "probed_joins_total")                                                                              \
    COUNTER(LEASES_WARM, "probed_leases_total{origin=\"warm\"}")                                                       \
    COUNTER(LEASES_COLD, "probed_leases_total{origin=\"cold\"}")                                                       \
    COUNTER(LEASES_RETURNED, "probed_leases_returned_total")                                                           \
    COUNTER(WAITED, "probed_waits_total")                                                                              \
    COUNTER(REFUSED_QUEUE_PER_HOME, "probed_refusals_total{limit=\"pool.queue_per_home\"}")                            \
    COUNTER(REFUSED_QUEUE_MAX, "probed_refusals_total{limit=\"pool.queue_max\"}")                                      \
    COUNTER(REFUSED_QUEUE_SHARE, "probed_refusals_total{limit=\"share of pool.queue_max\"}")                           \
    COUNTER(REFUSED_WAIT, "probed_refusals_total{limit=\"deadline\"}")                                                 \
    COUNTER(REFUSED_PAUSE, "probed_refusals_total{limit=\"pause\"}")                                                   \
    COUNTER(REFUSED_HOMES_SHARE, "probed_refusals_total{limit=\"share of server.homes_max\"}")                         \
    COUNTER(REFUSED_HOMES_MAX, "probed_refusals_total{limit=\"server.homes_max\"}")                                    \
    COUNTER(REFUSED_MEMORY, "probed_refusals_total{limit=\"memory\"}")                                                 \
    COUNTER(REFUSED_DRAINING, "probed_refusals_total{limit=\"draining\"}")                                             \
    COUNTER(EXPIRED, "probed_deadlines_total")                                                                         \
    COUNTER(DEPARTED, "probed_departures_total")                                                                       \
    COUNTER(OVERTAKEN, "probed_reruns_total{cause=\"overtaken\"}")                                                     \
    COUNTER(RETRIED, "probed_reruns_total{cause=\"died\"}")                                                            \
    COUNTER(ABORTED, "probed_aborts_total")                                                                            \
    COUNTER(INVALIDATIONS, "probed_invalidations_total")                                                               \
    COUNTER(INVALIDATIONS_GLOBAL, "probed_invalidations_global_total")                                                 \
    COUNTER(SYNCS, "probed_syncs_total")                                                                               \
    COUNTER(STORED, "probed_cache_stores_total")                                                                       \
    COUNTER(EVICTED, "probed_cache_evictions_total")                                                                   \
    COUNTER(FENCED, "probed_cache_fenced_total")                                                                       \
    COUNTER(STARTS, "probed_worker_starts_total")                                                                      \
    COUNTER(STARTS_RESERVE, "probed_worker_starts_reserve_total")                                                      \
    COUNTER(STARTS_AHEAD, "probed_worker_starts_ahead_total")                                                          \
    COUNTER(YIELDED, "probed_worker_yields_total")                                                                     \
    COUNTER(PAUSES, "probed_pauses_total")                                                                             \
    COUNTER(ENDS, "probed_worker_ends_total")                                                                          \
    COUNTER(FAULTS_STALE, "probed_worker_faults_total{cause=\"stray\"}")                                               \
    COUNTER(FAULTS_DIED, "probed_worker_faults_total{cause=\"died\"}")                                                 \
    COUNTER(FAULTS_BREACHED, "probed_worker_faults_total{cause=\"breach\"}")                                           \
    COUNTER(FAULTS_TIMED_OUT, "probed_worker_faults_total{cause=\"timeout\"}")                                         \
    COUNTER(FAULTS_START, "probed_worker_faults_total{cause=\"start\"}")

enum engine_counter {
#define COUNTER(name, shown) ENGINE_COUNTER_##name,
    ENGINE_COUNTERS(COUNTER)
#undef COUNTER
        ENGINE_COUNTER_COUNT
};

/* As GetStatus shows it; lent for ever. */
const char *engine_counter_name(enum engine_counter counter);

#endif
