/* A daemon of our own for one run: a fresh folder in $TMPDIR, homes in it, probed with probeload's worker, and nothing
 * left after.
 *
 * Start it before the first nng call: it forks.  The daemon ends with us, however we end.
 * Ownership: start gives, stop takes.  Threads: one. */
#ifndef CLIENT_PROBELOAD_SELFHOST_H
#define CLIENT_PROBELOAD_SELFHOST_H

#include "proto/compiler.h"

#include <probed/client.h>
#include <sys/types.h>

struct selfhost_plan {
    size_t home_count;
    unsigned worker_delay_ms;
    const char *const *words; /* for probed, behind ours; NULL at the end */
};

struct selfhost {
    char folder[64];
    char url[96], events_url[96];
    char secret[40];
    char **homes; /* owned, as what it names */
    size_t home_count;
    pid_t pid; /* of the daemon; 0: none */
};

/* Starts it and waits until it serves.  Anything but OK: nothing is left. */
MUST_USE struct probed_status selfhost_start(struct selfhost *host, const struct selfhost_plan *plan);

/* Ends the daemon and removes the folder; one that was never started is fine. */
void selfhost_stop(struct selfhost *host);

#endif
