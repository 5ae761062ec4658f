/* What one reading of the configuration makes of workers and readers: their plans, and all that these lend from.
 *
 * The configuration is read when the custodian starts, and again when the daemon asks for it (ORDER_RELOAD): then new
 * plans take the place of the old as a whole, or, where it is not good as a whole, nothing changes.  Files, variables
 * and flags are the custodian's own; the daemon's word is no more than that it is time.
 *
 * Ownership: plans_make takes the config, plans_destroy gives all of it back.
 * Threads: one; reading a file, and looking up a user's name in it, may take a moment. */
#ifndef SERVER_CUSTODY_CUSTODIAN_PLANS_H
#define SERVER_CUSTODY_CUSTODIAN_PLANS_H

#include "proto/status.h"
#include "server/config.h"
#include "server/custody/custodian/spawn.h"

#include <limits.h>

/* The same at each reading; all lent. */
struct plans_source {
    const char *program; /* for messages and the log */
    int argc;
    char **argv;
    const char *folder;          /* where the built-in worker and the reader lie */
    const char *search_path;     /* of a command without a slash */
    const char *start_directory; /* of a command with one that is not absolute */
    struct rlimit file_limit;    /* as it was before the custodian raised its own */
};

struct plans {
    struct config config; /* the plans and the seals lend from it */
    struct seal worker_seal, reader_seal;
    char reader_program[PATH_MAX];
    char *reader_command[4];
    struct spawn_plan worker, reader;
};

/* UNAVAILABLE: what worker.sandbox asks for is not to be had.  RESOURCE_EXHAUSTED.  The config is taken either way. */
MUST_USE struct status plans_make(const struct plans_source *source, struct config *config, struct plans **plans_out);

/* Reads the configuration first: INVALID_ARGUMENT with the line that says what is wrong with it. */
MUST_USE struct status plans_read(const struct plans_source *source, struct plans **plans_out);

/* Whether a worker that was started by the one is anything else than one that is started by the other. */
bool plans_differ(const struct plans *one, const struct plans *other);

/* NULL is fine. */
void plans_destroy(struct plans *plans);

#endif
