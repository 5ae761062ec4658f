/* The real probed with the scripted worker, in a scratch directory.
 *
 * Started and stopped by the test that uses it, in its own (forked) process: checked fixtures only, since Check forks
 * and nng does not survive that.  When the test dies, the daemon dies with it.
 *
 * What a test waits for is a number of GetStatus, never a while. */
#ifndef TESTS_SUPPORT_DAEMON_H
#define TESTS_SUPPORT_DAEMON_H

#include "gen/probed/v1/admin.pb-c.h"
#include "tests/support/caller.h"
#include "tests/support/scratch.h"

#include <stdint.h>
#include <sys/types.h>

enum { DAEMON_URL_SIZE = 128, DAEMON_SETTING_COUNT_MAX = 48 };

struct daemon {
    struct scratch *scratch; /* lent */
    bool observe_unset;      /* by a test, before it is started: events.observe is left to the file */
    pid_t pid;
    size_t child_count;        /* how many children the test had before it */
    char url[DAEMON_URL_SIZE]; /* where calls are answered */
    char events_url[DAEMON_URL_SIZE];
    struct caller caller; /* a connection for whatever needs no other */
};

/* Starts it with these flags ("--pool-workers-per-home", "2", …, NULL), besides the harness's own: sockets in the
 * scratch directory, and, unless overridden, the scripted worker as the command a short drain, and no prewarming.  Returns once it
 * says that it is SERVING. */
void daemon_start(struct daemon *daemon, struct scratch *scratch, const char *const *settings);

/* The same as another uid (for root; its gid alone), to whom the scratch directory then belongs. */
void daemon_start_as(struct daemon *daemon, struct scratch *scratch, uid_t uid, const char *const *settings);

/* SIGTERM; asserts that it exits with 0 and leaves no socket file and no process behind. */
void daemon_stop(struct daemon *daemon);

/* The same for one that was told already. */
void daemon_wait_stopped(struct daemon *daemon);

/* SIGKILL; what it leaves behind is the test's to look at. */
void daemon_kill(struct daemon *daemon);

/* A program of ours: PROBED_BIN/<name>. */
void daemon_program(const char *name, char path[SCRATCH_PATH_SIZE * 4]);

/* ---- numbers of GetStatus ---- */

/* "homes", "cache_entries", "flights", "waiting", "starting", "idle", "leased", "draining", "ending", or a counter's
 * name as GetStatus shows it. */
uint64_t daemon_number(struct daemon *daemon, const char *name);

/* Waits until the number is this, or at least this. */
void daemon_wait(struct daemon *daemon, const char *name, uint64_t wanted);
void daemon_wait_at_least(struct daemon *daemon, const char *name, uint64_t wanted);

/* Waits until no process is left but the harness's own; asserts that it takes at most `ms`. */
void daemon_wait_alone(const struct daemon *daemon, uint64_t ms);

/* What every suite here begins and ends its tests with. */
struct stage {
    struct scratch scratch;
    struct daemon daemon;
    struct home home; /* "home" */
};

void stage_open(struct stage *stage, const char *const *settings);
void stage_close(struct stage *stage);

#endif
