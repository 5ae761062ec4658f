/* The shell around the engine: the one mutex, the timer, and the carrying out of what a step asked for.
 *
 * Every function here takes the lock, lets the engine step, releases the lock, and carries the actions out: answers go
 * up through `answered`, leases to handlers, orders to custody, news to the publisher.  Nothing blocks: it may be
 * called from nng's callbacks.
 *
 * It builds and owns work, custody and news; homes is lent.
 *
 * A home is a name to the engine.  Here it is also the directory that the name leads to: when that is another one, the
 * home moves one generation on (CAUSE_OBSERVED), and who asked when it was the former gets no answer from the latter.
 *
 * It has the credentials of homes looked at from their first start on (events.observe); what changed is invalidated the
 * same way.
 *
 * Threads: any; one of its own, the timer.  Locks: the engine's, a leaf. */
#ifndef SERVER_SHELL_SHELL_H
#define SERVER_SHELL_SHELL_H

#include "proto/status.h"
#include "server/custody/custody.h"
#include "server/engine/engine.h"
#include "server/homes/homes.h"
#include "server/news/news.h"
#include "server/work/work.h"

struct shell;

struct shell_settings {
    struct engine_settings engine;
    struct custody_settings custody;
    struct work_settings work;
    struct news_settings news; /* its `admits` is the shell's business */
    bool observe;              /* look out for changes of credentials in homes that workers are started for */
};

/* A call is its owner's again: call->result says what to tell its client. */
typedef void shell_answered(void *context, struct engine_call *call);

/* Starts the custodian and the threads, opens the event socket.  By the main thread, with signals blocked. */
MUST_USE struct status shell_create(const struct shell_settings *settings, struct homes *homes,
                                    shell_answered *answered, void *context, struct shell **shell_out);

/* After a shell_stop that emptied it.  NULL is fine. */
void shell_destroy(struct shell *shell);

/* New calls are refused, those aboard are finished. */
void shell_drain(struct shell *shell);

/* Waits until nothing is aboard any more; false when the time came first, or shell_stop. */
bool shell_wait_drained(struct shell *shell, uint64_t due_ns);

/* Ends what is left (UNAVAILABLE) and waits for every worker's end, a little longer than the grace; then what is left of
 * the news is out, and homes are asked nothing more.  False when a lease or a start still hangs: shell_destroy is not to
 * be called, only the end of the process helps.  Once, by the main thread. */
MUST_USE bool shell_stop(struct shell *shell);

/* ---- steps, as in engine.h ---- */

void shell_call_parked(struct shell *shell, struct engine_call *call);
MUST_USE bool shell_call_unparked(struct shell *shell, struct engine_call *call, uint64_t id);
void shell_invalidate(struct shell *shell, struct engine_call *call, const char *home); /* NULL: every home */

/* With the home as it was resolved.  A name that leads to another directory than it did is one generation on first. */
void shell_probe(struct shell *shell, struct engine_call *call, const struct home_place *place);
void shell_sync(struct shell *shell, struct engine_call *call, const struct home_place *place);

/* A departure on its way to the engine.  It and its call are lent, and the call's memory serves no other, until `done`
 * is called: on the timer thread, no lock held. */
struct shell_departure {
    struct list_node node;
    struct engine_call *call;
    uint64_t id;
    void (*done)(struct shell_departure *departure);
};

/* Cheap and safe on nng's reaper thread: the step is taken by the timer thread. */
void shell_call_left(struct shell *shell, struct engine_call *call, struct shell_departure *departure, uint64_t id,
                     void (*done)(struct shell_departure *departure));

/* For what comes from now on; nothing running is ended for it, but idle workers whose time is over by the new settings.
 * Taken over are engine, work, custody's grace, whether to observe (everything known is void when that begins), and of
 * news what news_settings_changed takes; the rest takes a restart. */
void shell_settings_changed(struct shell *shell, const struct shell_settings *settings);

/* Has the custodian read the configuration again, and waits for its answer.  OK: workers are started as it says now, and
 * where that is another way than before everything known is void: every home is a generation on, workers end, calls in
 * progress are answered by new ones.  FAILED_PRECONDITION: it is not good as a whole, nothing has changed.
 * DEADLINE_EXCEEDED: no answer came in time; the custodian goes by what it finds when it gets to it.
 * By one thread at a time. */
MUST_USE struct status shell_reload(struct shell *shell, uint64_t due_ns);

/* Whether the timer thread has gone round since the last time this was asked, which asks it to go round again.  A lock
 * that nobody gives back keeps it from answering at all: whoever waits for this has no doubt about either. */
bool shell_is_alive(struct shell *shell);

/* ---- looking, as in engine.h ---- */

void shell_look(struct shell *shell, struct engine_view *view_out);
size_t shell_look_homes(struct shell *shell, const char *after, struct engine_home_view *views, size_t view_count_max,
                        bool *more_out);
size_t shell_look_workers(struct shell *shell, const char *home, uint64_t after_id, struct engine_worker_view *views,
                          size_t view_count_max, bool *more_out);
size_t shell_look_busy_homes(struct shell *shell, struct engine_home_view *views, size_t view_count_max,
                             bool *more_out);
size_t shell_look_history(struct shell *shell, struct history_event *events, size_t event_count_max);
void shell_look_news(struct shell *shell, struct news_counts *counts_out);

/* How many homes are looked out for, and how many changes of credentials were seen. */
struct shell_watch_counts {
    uint64_t homes, changes;
};
void shell_look_watches(struct shell *shell, struct shell_watch_counts *counts_out);

/* How workers are sealed, and one of them: as in custody.h. */
void shell_look_seal(struct shell *shell, char text[STATUS_MESSAGE_SIZE]);
void shell_look_worker_seal(struct shell *shell, uint64_t worker_id, char name[CUSTODY_SEAL_NAME_SIZE]);

#endif
