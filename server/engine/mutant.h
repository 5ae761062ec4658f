/* Mistakes that can be switched on, to test the tests: the simulation must find each of them.
 *
 * Compiled out of the product, where MUTANT(…) is false; only the simulation's own build of the engine (PROBED_MUTANTS)
 * has them, one at a time.  Each is a slip that somebody might make, at the place where it would be made. */
#ifndef SERVER_ENGINE_MUTANT_H
#define SERVER_ENGINE_MUTANT_H

/*     MUTANT_ROW(name, "what the engine does wrong") */
#define ENGINE_MUTANTS(MUTANT_ROW)                                                                                     \
    MUTANT_ROW(GENERATION_SKIPPED, "an invalidation moves the generation by two")                                      \
    MUTANT_ROW(FENCE_KEEPS_ANSWERS, "an invalidation drops no cached answer")                                          \
    MUTANT_ROW(FENCE_KEEPS_FLIGHTS, "a probe in the air lands across an invalidation")                                 \
    MUTANT_ROW(FENCE_KEEPS_STARTS, "a worker started before an invalidation is used after it")                         \
    MUTANT_ROW(EPOCH_IGNORED, "answers of an older epoch are served")                                                  \
    MUTANT_ROW(JOINS_OLDER, "at_least does not matter to who joins")                                                   \
    MUTANT_ROW(LENT_TWICE, "a worker stays idle while it is lent")                                                     \
    MUTANT_ROW(LAST_FIRST, "the last to come is served first")                                                         \
    MUTANT_ROW(WAITER_FORGOTTEN, "of two that wait none is served")                                                    \
    MUTANT_ROW(RERUN_FOR_EVER, "an overtaken probe is run again without limit")                                        \
    MUTANT_ROW(RERUN_FOR_NOBODY, "an overtaken probe is run again for callers that have left")                         \
    MUTANT_ROW(RETRIED_TWICE, "a probe is tried a third time after two deaths")                                        \
    MUTANT_ROW(DEADLINE_LATE, "a deadline is kept a moment late")                                                      \
    MUTANT_ROW(SPOKE_UNHEARD, "an idle worker that speaks is kept")                                                    \
    MUTANT_ROW(QUIESCED_EARLY, "quiesced does not wait for the newest of the older workers")                           \
    MUTANT_ROW(NEWS_REVERSED, "the latest event is published first")                                                   \
    MUTANT_ROW(RESERVE_ABOVE_BOUND, "a home may start one reserve worker too many")                                    \
    MUTANT_ROW(ROOM_FROM_CALLERS, "a worker of a home with callers is ended to make room")                             \
    MUTANT_ROW(NO_YIELD, "a home with callers keeps its workers, whoever else waits")                                  \
    MUTANT_ROW(QUEUE_SHARE_IGNORED, "one uid may fill the queue")                                                      \
    MUTANT_ROW(WAIT_OVERRATED, "the wait for a lease is predicted twice as long")                                      \
    MUTANT_ROW(HOLD_YIELDS_TO_REFRESH, "refresh asks a provider that wants to be left alone")                          \
    MUTANT_ROW(REFUSAL_FORGOTTEN, "a refused secret is presented again after the TTL")                                 \
    MUTANT_ROW(GOOD_ACROSS_FENCE, "an invalidation leaves the last good answer")                                       \
    MUTANT_ROW(STALE_UNASKED, "an error is replaced by an old answer without accept_stale")                            \
    MUTANT_ROW(PAUSE_LATE, "a failing home pauses only after three faults")                                            \
    MUTANT_ROW(PAUSE_OUTLIVES_FENCE, "an invalidation does not end a pause")                                           \
    MUTANT_ROW(FAILURE_REPLACES_ANSWER, "a failure drops the cached answer of its key")                                \
    MUTANT_ROW(JOIN_UNCOUNTED, "a joiner is not counted")                                                              \
    MUTANT_ROW(HOME_LEFT_BEHIND, "a refusal for want of memory leaves its household")                                  \
    MUTANT_ROW(TURN_RICH_FIRST, "room goes to the uid that has most workers")                                          \
    MUTANT_ROW(TURN_LATEST_FIRST, "of uids alike, room goes to the one served last")                                   \
    MUTANT_ROW(HOME_LATEST_FIRST, "of the homes of a uid, room goes to the one that waited least")                     \
    MUTANT_ROW(SHARES_IGNORED, "a uid may take all of homes_max and queue_max")                                        \
    MUTANT_ROW(RESERVE_KEPT, "a reserve worker stays when nobody waits")                                               \
    MUTANT_ROW(ROOM_FROM_NEWEST, "the worker used last is ended to make room")                                         \
    MUTANT_ROW(BLAME_IGNORED, "what the custodian is to blame for makes a home pause")                                 \
    /* from the contract alone */                                                                                      \
    MUTANT_ROW(RATE_LIMIT_UNCAPPED, "a provider may have itself left alone for longer than an hour")                   \
    MUTANT_ROW(KEY_REFRESH_AT_ONCE, "refresh presents a refused secret again at once")                                 \
    MUTANT_ROW(KEY_BACKOFF_FLAT, "a refused secret is presented again every 15 minutes")                               \
    MUTANT_ROW(LAST_GOOD_FOREVER, "the last good answer is given after its time")                                      \
    MUTANT_ROW(REFRESH_HEEDS_FAILURE, "refresh is answered with a remembered failure")                                 \
    MUTANT_ROW(PROVIDER_DROPS_ALL, "an invalidation of one provider drops the answers of all")                         \
    MUTANT_ROW(EPOCH_KEEPS_GENERATIONS, "a new epoch leaves homes at their generations")                               \
    MUTANT_ROW(DRAINING_COUNTS_AT_HOME, "a draining worker takes a place of its home")                                 \
    MUTANT_ROW(OVERTAKEN_TO_TAIL, "an overtaken probe waits behind all others")                                        \
    MUTANT_ROW(AT_LEAST_AHEAD_TAKEN, "at_least may be ahead of the home")

#ifdef PROBED_MUTANTS

enum engine_mutant {
    ENGINE_MUTANT_NONE,
#define MUTANT_ROW(name, text) ENGINE_MUTANT_##name,
    ENGINE_MUTANTS(MUTANT_ROW)
#undef MUTANT_ROW
        ENGINE_MUTANT_COUNT
};

extern enum engine_mutant engine_mutant; /* the one that is on */

#define MUTANT(name) (engine_mutant == ENGINE_MUTANT_##name)

#else
#define MUTANT(name) false
#endif

#endif
