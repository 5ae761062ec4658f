/* The engine of probeload: makes the calls of a plan, times them, and has every answer checked (ledger.h).
 *
 * A closed loop keeps a number of calls in flight: whoever got an answer asks the next question, on the thread of nng's
 * that brought it, or on threads that make one call at a time.  It shows what a daemon can do, and hides a stall: while
 * nothing is answered, nothing is asked.
 *
 * An open loop sends at its rate whatever comes back, and a call's latency counts from when it was due, not from when
 * it could be sent: a stall of the daemon, or of ours, is in every latency it delayed.  Where not all could be sent,
 * the result says how many.
 *
 * Every call is answered exactly once; a second answer breaks a promise, and a run does not end before the last.
 * The first broken promise ends the run. */
#ifndef CLIENT_PROBELOAD_LOAD_H
#define CLIENT_PROBELOAD_LOAD_H

#include "client/probeload/ledger.h"
#include "client/probeload/plan.h"
#include "client/probeload/tally.h"

/* How it goes, told at each interval; lent. */
struct load_progress {
    const struct tally_row *row;
    double elapsed_s; /* since counting began; negative: still warming up */
    uint64_t call_count, failed_count;
};

struct load_watcher {
    void (*tick)(void *context,
                 const struct load_progress *progress); /* on the thread that runs the load; may be NULL */
    void *context;
};

struct load_result {
    struct tally *tally;         /* owned */
    const struct tally_sum *sum; /* the tally's */
    struct ledger_counts checked;
    uint64_t elapsed_ns;                 /* of what counted, to the last answer */
    uint64_t unsent_count;               /* were due and could not be sent */
    bool unreachable;                    /* the connection was lost, or calls could not be started any more */
    struct probed_status failure;        /* the first that was not OK */
    char evidence[LEDGER_EVIDENCE_SIZE]; /* of a broken promise; "": none */
};

/* Connects, and runs until the duration or the count is reached, a promise is broken, or load_stop().  Anything but OK:
 * nothing was run, and there is no result.  load_result_fini() it. */
MUST_USE struct probed_status load_run(const struct load_plan *plan, const struct load_watcher *watcher,
                                       struct load_result *result_out);
void load_result_fini(struct load_result *result);

/* Calls answered a second. */
double load_result_rate(const struct load_result *result);

/* From a signal handler: no further calls are begun, now and by any later run. */
void load_stop(void);
bool load_is_stopped(void);

#endif
