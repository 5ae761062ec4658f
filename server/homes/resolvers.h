/* The threads that may block on a file system, so that nobody else does.
 *
 * Jobs wait in one line a uid.  A uid has one job at work at most, all uids have sixteen; uids take turns, one job
 * each. So one hung mount holds one thread, and delays those who asked for it and nobody else.
 *
 * An impatient job does not wait for one that hangs: it is refused when it comes, or told when it has waited too long.
 *
 * A job's life: submitted, at work, told.  `work` may block for ever; `tell` reports what came of it, once, whatever
 * happens.  When the end comes (resolvers_destroy) and a job is still at work, it is told as a failure and left behind
 * with its thread: `drop` comes when the kernel lets go, or with the process.
 *
 * Threads: any.  Locks: one, a leaf; no callback is called with it held. */
#ifndef SERVER_HOMES_RESOLVERS_H
#define SERVER_HOMES_RESOLVERS_H

#include "proto/status.h"
#include "server/base/duration.h"
#include "server/base/list.h"

#include <stdbool.h>
#include <stdint.h>

enum { RESOLVER_COUNT_MAX = 16, RESOLVER_JOB_COUNT_MAX = 16384, RESOLVER_JOB_COUNT_PER_UID_MAX = 1024 };

struct resolver_job;

struct resolver_job_kind {
    /* On a resolver thread. */
    void (*work)(struct resolver_job *job);
    /* `failure`: work was not done, or is still at it, and this is what to say: look at nothing that work writes.
     * NULL: work is done.  A resolver thread, that of resolvers_submit (another job's) or of resolvers_destroy. */
    void (*tell)(struct resolver_job *job, const struct status *failure);
    /* Gives back the job and whatever work left in it. */
    void (*drop)(struct resolver_job *job);
};

/* How long an impatient job may wait, and how long the one at work may take before none waits for it. */
#define RESOLVER_PATIENCE_NS (1 * NS_PER_S)

/* Embedded in what is to be done; the first three are set by whoever submits it, the fourth by work. */
struct resolver_job {
    const struct resolver_job_kind *kind;
    uint32_t uid;
    bool impatient;   /* told UNAVAILABLE rather than wait longer than the patience */
    uint64_t tell_ns; /* not told before then, unless the end comes; 0: at once */

    /* The resolvers' own. */
    struct list_node node;
    struct list_node in_hurry; /* impatient and waiting */
    uint64_t hopeless_ns;      /* then its patience is at its end */
};

/* The same when somebody waits for what the job holds up. */
#define RESOLVER_HASTE_NS (150 * NS_PER_MS)

struct resolvers;

/* Starts the first thread, so that there is always one to take a job; the others come when they are needed. */
MUST_USE struct status resolvers_create(struct resolvers **resolvers_out);

/* Refuses new jobs, tells those that wait UNAVAILABLE, waits for those at work until `wait_ns` is over, tells what is
 * still at work UNAVAILABLE.  When it returns every job has been told. */
void resolvers_destroy(struct resolvers *resolvers, uint64_t wait_ns);

/* Impatient jobs that wait behind one which has taken longer than the haste are told so now. */
void resolvers_hurry(struct resolvers *resolvers);

/* Takes the job.  RESOURCE_EXHAUSTED or UNAVAILABLE (the end; or it is impatient, and its uid's job at work hangs): it
 * was not taken and nothing of it will be called. */
MUST_USE struct status resolvers_submit(struct resolvers *resolvers, struct resolver_job *job);

#endif
