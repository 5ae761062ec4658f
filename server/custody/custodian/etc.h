/* Notices when a file of /etc that a seal opens by itself is replaced.
 *
 * Landlock's rules are for the file that was there when the worker was sealed; tools replace such files by a rename,
 * and the worker would see none in its place: no names any more, after the network changed.  Allowing all of /etc
 * instead would show it secrets.  So those that were sealed before are ended (custodian.c), and the next call has a
 * new one.
 *
 * Threads: the custodian's one. */
#ifndef SERVER_CUSTODY_CUSTODIAN_ETC_H
#define SERVER_CUSTODY_CUSTODIAN_ETC_H

#include "proto/compiler.h"

#include <stdbool.h>

/* An inotify descriptor that does not block; -1 with errno. */
MUST_USE int etc_watch(void);

/* Reads what has happened; whether one of seal_etc_files was replaced, or may have been. */
MUST_USE bool etc_was_changed(int fd);

#endif
