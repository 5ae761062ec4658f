/* What was promised, and what was answered: the checks that run while the load does.
 *
 * A call is entered when it begins, with all that was known then, and again when it is answered.  From these two
 * moments alone, whatever happened in between and on whichever thread:
 *
 *   - an answer is for the home, provider and api_key asked: its worker signed it (statement.h);
 *   - no call that began after an answer of some generation, for the same question, gets one of an earlier generation;
 *   - no call that began after an Invalidate was answered, or its event heard, gets an answer from before it: neither
 *     by the generation in it nor by when the worker that signed it was started;
 *   - each Invalidate of a home moves its generation on;
 *   - a warm or cold answer was made after its call began; `refresh` is not answered from the cache; an answer's age is
 *     not more than it can be;
 *   - an event names the home, provider and fence that the Invalidate with its reason was answered with; events of a
 *     home come in order, each one more than the last; and every change that was answered is heard by every subscriber,
 *     or a gap is told.
 *
 * A check that fails gives the evidence, once for all: the first.
 *
 * Answers of other workers carry no statement: of these the rest is checked, and how many were signed is counted.
 *
 * Generations compare within an epoch.  Epochs are numbered as they become known; one that becomes known to calls that
 * overlap another's coming cannot be placed, and is let pass.
 *
 * Threads: any.  Locks: one a stripe of homes, one for epochs, one for invalidations under way; a stripe's may be held
 * when one of the others is taken, never the other way round. */
#ifndef CLIENT_PROBELOAD_LEDGER_H
#define CLIENT_PROBELOAD_LEDGER_H

#include "client/probeload/plan.h"
#include "gen/probed/v1/probe.pb-c.h"
#include "proto/compiler.h"

enum { LEDGER_EVIDENCE_SIZE = 1024, LEDGER_REASON_SIZE = 64 };

/* In place of a provider's index. */
#define LEDGER_EVERY_PROVIDER SIZE_MAX

/* A place in a home's history. */
struct ledger_point {
    uint64_t epoch_number; /* 0: before all */
    uint64_t generation;
};

/* A call under way; the caller's. */
struct ledger_call {
    size_t home, provider, key;
    bool refresh;

    /* What was known when it began. */
    uint64_t begun_ns;
    uint64_t newest_epoch_number;
    struct ledger_point floor;
    uint64_t worker_from_ns; /* no worker that was started before this may have answered */

    uint64_t invalidation_number; /* an Invalidate's */
};

struct ledger_counts {
    uint64_t answers, answers_signed, invalidations, events, gaps;
};

struct ledger;

/* NULL: no memory.  `plan` is lent.  Homes are made canonical here. */
struct ledger *ledger_create(const struct load_plan *plan);
void ledger_destroy(struct ledger *ledger);

const char *ledger_home(const struct ledger *ledger, size_t home); /* canonical; lent */

/* The made-up key with this index; its size. */
enum { LEDGER_KEY_SIZE = 32 };
size_t ledger_key(const struct ledger *ledger, size_t key, char out[LEDGER_KEY_SIZE]);

/* ---- probes ---- */

/* Home, provider, key and refresh are set by the caller. */
void ledger_probe_begins(struct ledger *ledger, struct ledger_call *call, uint64_t begun_ns);

/* Whether the answer keeps what was promised. */
bool ledger_probe_answered(struct ledger *ledger, const struct ledger_call *call,
                           const Probed__V1__ProbeResponse *response, uint64_t answered_ns);

/* ---- invalidations ---- */

/* Home and provider (or LEDGER_EVERY_PROVIDER) are set by the caller; writes the reason to call with. */
void ledger_invalidation_begins(struct ledger *ledger, struct ledger_call *call, uint64_t begun_ns,
                                char reason_out[LEDGER_REASON_SIZE]);
bool ledger_invalidation_answered(struct ledger *ledger, const struct ledger_call *call,
                                  const Probed__V1__InvalidateResponse *response);

/* ---- events ---- */

/* From here on it must hear of every change. */
void ledger_subscriber_listens(struct ledger *ledger, size_t subscriber);

/* Whether it keeps what was promised; *begun_ns_out is when the Invalidate behind it began, 0: it was not ours. */
bool ledger_event_heard(struct ledger *ledger, size_t subscriber, const Probed__V1__CredentialEvent *event,
                        uint64_t *begun_ns_out);
void ledger_gap_told(struct ledger *ledger, size_t subscriber, const char *home); /* NULL: any */

/* Once no call is under way: waits until every change that was answered was heard, or a gap told; false, with evidence,
 * when that is not so by the deadline. */
bool ledger_settle(struct ledger *ledger, uint64_t deadline_ns);

/* ---- the outcome ---- */

/* Of a promise that was broken otherwise: kept if it is the first. */
void ledger_break(struct ledger *ledger, const char *format, ...) PRINTF_LIKE(2, 3);

bool ledger_is_broken(const struct ledger *ledger);
void ledger_evidence(struct ledger *ledger, char out[LEDGER_EVIDENCE_SIZE]); /* "" while all were kept */
struct ledger_counts ledger_counts(const struct ledger *ledger);

#endif
