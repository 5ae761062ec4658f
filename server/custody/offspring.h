/* The children of this process, whoever brought them up: a subreaper inherits those whose parent died.
 *
 * For the moment at which nothing may be left: what is not known by name is found in /proc.  A child's pid stays its
 * own until this process reaps it, so no signal can reach a stranger.
 *
 * Threads: the one that does all the reaping. */
#ifndef SERVER_CUSTODY_OFFSPRING_H
#define SERVER_CUSTODY_OFFSPRING_H

#include <stddef.h>
#include <stdint.h>

/* Sends KILL to every child but `spared_pid` (0: none is spared).  How many there were; 0 where /proc tells nothing. */
size_t offspring_kill(int32_t spared_pid);

/* Reaps every child that has ended, but `spared_pid`. */
void offspring_reap(int32_t spared_pid);

#endif
