/* The daemon's end of the custodian: asks it for workers and hears of their ends.
 *
 * The custodian is a process of its own (server/custody/custodian/) that starts, watches and reaps workers.  It is
 * spoken to over one SOCK_SEQPACKET pair with small fixed messages (protocol.h); descriptors travel as SCM_RIGHTS.
 * When it dies, every group is killed and reaped here (probed is a child subreaper), all its workers are reported gone,
 * and another is started.
 *
 * It also looks at homes for us, and tells when their credentials change; what outlives a custodian of that is kept
 * here, so that the next one misses nothing (vigil.h).
 *
 * A worker's channel is two pipes whose other ends only the worker holds; they are ours from `up` (in fact from launch)
 * until custody_end closes them, which nobody asks for while a lease holds them.
 *
 * Threads: any; nothing here blocks.  One thread of its own ("custody") does the sending, hears the custodian and
 *          watches idle workers; it calls the events with no lock held.
 * Locks:   one, a leaf. */
#ifndef SERVER_CUSTODY_CUSTODY_H
#define SERVER_CUSTODY_CUSTODY_H

#include "proto/status.h"

#include <stdbool.h>
#include <stdint.h>

struct custody;

struct custody_settings {
    const char *program;          /* path of probed-custodian; lent during custody_create */
    const char *const *arguments; /* its argv behind argv[0], NULL-terminated: the daemon's own flags */
    uint64_t term_grace_ms;       /* between SIGTERM and SIGKILL of a worker's group */
    bool irreplaceable;           /* this process may not start another custodian: it ends with the first */
};

struct custody_events {
    /* The worker runs (it was exec'd).  The descriptors stay custody's; they are open until custody_end. */
    void (*up)(void *context, uint64_t worker_id, int32_t pid, int request_fd, int answer_fd, uint64_t spawn_ns);
    /* Reaped, or never started; exactly once per custody_launch.  The channel stays open until custody_end.  by_itself:
     * it ended, or could not be started, without a custodian's or the daemon's doing. */
    void (*gone)(void *context, uint64_t worker_id, bool by_itself, const struct status *cause);
    /* A watched worker has bytes or end of file for nobody, unless its `turn` (of the latest custody_watch) is over:
     * that is for the engine to say, since a watch goes on during a lease.  At most once per custody_watch. */
    void (*spoke)(void *context, uint64_t worker_id, uint64_t turn);

    /* Once per custody_observe, unless it is forgotten first: the home's credentials are known, or are not soon.  A
     * worker that is started from then on holds what later changes are told against. */
    void (*settled)(void *context, uint64_t home_id);
    /* Credentials of this provider changed; "": some did, of whoever it may be. */
    void (*changed)(void *context, uint64_t home_id, const char *provider);
    /* The directory was removed or moved away: nothing more will be told of it. */
    void (*lost)(void *context, uint64_t home_id);

    /* Once for the last custody_reload, and for an earlier one if that left workers outdated.  OK: workers that are started from now on are as the configuration says now;
     * `outdated`: those that were started before are not.  Else nothing has changed. */
    void (*reloaded)(void *context, uint64_t reload_id, const struct status *status, bool outdated);
};

/* Starts the custodian and waits until it says that it is ready.  By the main thread.  UNAVAILABLE with the cause.
 * `events` and `context` are lent until custody_destroy. */
MUST_USE struct status custody_create(const struct custody_settings *settings, const struct custody_events *events,
                                      void *context, struct custody **custody_out);

/* Kills what is left, waits for every end (bounded by two seconds), ends the custodian.  No event comes after it. */
void custody_destroy(struct custody *custody);

/* Starts the worker command in this directory.  Takes home_fd.  The outcome comes as `up` or `gone`. */
void custody_launch(struct custody *custody, uint64_t worker_id, int home_fd);

/* SIGKILL to the group at once; the channel is left alone.  `why`: for the line that its end has in the log, lent for
 * ever; here and below. */
void custody_kill(struct custody *custody, uint64_t worker_id, const char *why);

/* Closes the channel (its end of file asks the worker to finish), sends TERM to the group, KILL after the grace.  Also
 * for a worker that is gone already, or not up yet. */
void custody_end(struct custody *custody, uint64_t worker_id, const char *why);

/* For workers that are ended from now on. */
void custody_grace_changed(struct custody *custody, uint64_t term_grace_ms);

/* The custodian reads the configuration again; another id than any before, not 0. */
void custody_reload(struct custody *custody, uint64_t reload_id);

/* Somebody waits for a place: a start that has slept through all of these for a while is given up. */
void custody_hurry(struct custody *custody);

/* The next byte or end of file on answer_fd is reported once, with this turn, if it is still unread in a moment: a
 * worker that is leased again at once is not watched, which would cost as much as its answer. */
void custody_watch(struct custody *custody, uint64_t worker_id, uint64_t turn);

/* Looks out for changes of credentials in this directory, until custody_forget; the id is a new one, of the caller's
 * own numbering.  Takes home_fd.  `settled` may be called before it returns. */
void custody_observe(struct custody *custody, uint64_t home_id, int home_fd);

/* No event of it is on its way any more, but on the custody thread at this moment.  Also for one that is lost. */
void custody_forget(struct custody *custody, uint64_t home_id);

/* For status: the custodian's pid; how often it was started. */
int32_t custody_custodian_pid(struct custody *custody);

/* For status: how workers are sealed, and what is missing for strict. */
void custody_look_seal(struct custody *custody, char text[STATUS_MESSAGE_SIZE]);

/* The same of one worker, in a word or two; "" while it is not up, and of one that is forgotten. */
enum { CUSTODY_SEAL_NAME_SIZE = 40 };
void custody_look_worker_seal(struct custody *custody, uint64_t worker_id, char name[CUSTODY_SEAL_NAME_SIZE]);

/* Whether `gone` was, or is about to be, told of it. */
bool custody_is_gone(struct custody *custody, uint64_t worker_id);

#endif
