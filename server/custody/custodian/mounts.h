/* Which file system an open directory is on, asked of nobody who may not answer.
 *
 * inotify tells of what this kernel does to a file.  On a network file system others change files, too, and no one
 * tells.  statfs(2) would say which one it is, but asks the server, who may be gone, and the custodian waits for
 * nobody: so it is the mount table that is asked (proc(5), fdinfo and mountinfo), which is this kernel's own.
 *
 * Threads: any. */
#ifndef SERVER_CUSTODY_CUSTODIAN_MOUNTS_H
#define SERVER_CUSTODY_CUSTODIAN_MOUNTS_H

#include "proto/compiler.h"

#include <stdbool.h>

enum { MOUNTS_KIND_SIZE = 32 };

/* "ext4", "fuse.sshfs"; "?" when it is not to be found. */
void mounts_find_kind(int fd, char kind_out[MOUNTS_KIND_SIZE]);

/* Whether this kernel knows of every change there, and a look at it waits for no other machine or process. */
MUST_USE bool mounts_kind_is_local(const char *kind);

#endif
