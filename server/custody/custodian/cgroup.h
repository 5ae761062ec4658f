/* A control group for each worker, where one was delegated to the daemon: then a process that left its worker's process
 * group is killed with it all the same, and the number of its processes is bounded.
 *
 * Delegated is a cgroup (version 2) that systemd has marked so (Delegate=yes: the attribute trusted.delegate or
 * user.delegate); in any other we touch nothing.  In it:
 *
 *     daemon                     the daemon, its custodian and its keeper, moved there, since a cgroup that hands
 *                                controllers on may hold no process itself
 *     worker-<daemon>-<worker>   one for each worker, gone with it
 *
 * Without the pids controller there is no bound, but cgroup.kill works.
 *
 * Threads: the custodian's one; cgroups_step_down: the keeper's. */
#ifndef SERVER_CUSTODY_CUSTODIAN_CGROUP_H
#define SERVER_CUSTODY_CUSTODIAN_CGROUP_H

#include "proto/compiler.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { CGROUP_PROCESS_COUNT_MAX = 256 }; /* threads count as well */

struct cgroups {
    int fd; /* the delegated one; -1: there is none */
    pid_t daemon_pid;
    bool bounded;     /* the pids controller is ours to use */
    unsigned pending; /* removals that found a process dying yet */
};

#define CGROUPS_NONE ((struct cgroups){.fd = -1})

/* Finds the one we are in, if it is delegated, and prepares it; kills what an earlier custodian of this daemon left. */
void cgroups_open(struct cgroups *cgroups, pid_t daemon_pid);
void cgroups_close(struct cgroups *cgroups);

/* For the keeper, before it parts from the daemon: goes where the others will be moved to. */
void cgroups_step_down(void);

/* Makes a worker's; an open directory to start it in, -1: it is to do without. */
MUST_USE int cgroups_make(struct cgroups *cgroups, uint64_t worker_id);

/* KILL to all of it; nothing where there is none. */
void cgroups_kill(const struct cgroups *cgroups, uint64_t worker_id);

/* Removes it, when its processes are dead; otherwise cgroups_tidy does, which is to be called when some child died. */
void cgroups_remove(struct cgroups *cgroups, uint64_t worker_id);
void cgroups_tidy(struct cgroups *cgroups);

#endif
