/* What both ends of custody, and the custodian's readers, do with descriptors.
 *
 * Threads: any. */
#ifndef SERVER_CUSTODY_DESCRIPTOR_H
#define SERVER_CUSTODY_DESCRIPTOR_H

#include "proto/compiler.h"

/* Closes it, once: it is -1 from then on. */
void descriptor_close(int *fd);

enum descriptor_end { DESCRIPTOR_READS, DESCRIPTOR_WRITES };

/* A pipe, close-on-exec, whose end `ours` does not block; the other blocks who has it, as a program expects.  0 or
 * errno; the ends are given by enum descriptor_end. */
MUST_USE int descriptor_open_pipe(enum descriptor_end ours, int ends_out[2]);

/* The path of an open directory at this moment, for a person; malloc'd.  NULL when it is not known. */
char *descriptor_find_path(int fd);

#endif
