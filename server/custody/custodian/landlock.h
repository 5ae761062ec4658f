/* Landlock as the kernel has it: three system calls, and what each version (ABI) of them can forbid.
 *
 * Debian 12's headers know ABI 2 and its libc none of the calls, so names and numbers of what is newer are here (from
 * the kernel's include/uapi/linux/landlock.h).  A ruleset forbids everything that its ABI can forbid, but what a rule
 * allows; what the ABI does not know stays as it was.
 *
 * Threads: any. */
#ifndef SERVER_CUSTODY_CUSTODIAN_LANDLOCK_H
#define SERVER_CUSTODY_CUSTODIAN_LANDLOCK_H

#include "proto/compiler.h"

#include <stdint.h>

/* What a rule may allow beneath a path; what the ABI at hand does not know is left out of it. */
#define LANDLOCK_MAY_READ  (UINT64_C(1) << 2 | UINT64_C(1) << 3) /* files, and directories' lists */
#define LANDLOCK_MAY_RUN   (UINT64_C(1) << 0)
#define LANDLOCK_MAY_WRITE (UINT64_C(1) << 1 | UINT64_C(1) << 14) /* TRUNCATE is a right of its own from ABI 3 on */
/* Make and remove all but devices; and link and rename between directories, from ABI 2 on. */
#define LANDLOCK_MAY_CHANGE                                                                                            \
    (UINT64_C(1) << 4 | UINT64_C(1) << 5 | UINT64_C(1) << 7 | UINT64_C(1) << 8 | UINT64_C(1) << 9 |                    \
     UINT64_C(1) << 10 | UINT64_C(1) << 12 | UINT64_C(1) << 13)

/* What it can forbid, and since when. */
enum landlock_abi {
    LANDLOCK_ABI_NONE = 0,
    LANDLOCK_ABI_FILES = 1,    /* Linux 5.13 */
    LANDLOCK_ABI_TRUNCATE = 3, /* 6.2 */
    LANDLOCK_ABI_TCP = 4,      /* 6.7 */
    LANDLOCK_ABI_DEVICES = 5,  /* 6.10: ioctl */
    LANDLOCK_ABI_SCOPES = 6,   /* 6.12: signals and abstract sockets stay inside */
    LANDLOCK_ABI_MAX = 6       /* what is newer forbids nothing that matters here */
};

/* Of the running kernel; 0 when it has none, or keeps it switched off. */
int landlock_find_abi(void);

/* A ruleset that allows nothing; to be closed.  -1 with errno. */
MUST_USE int landlock_open(int abi);

/* Allows this beneath an open (O_PATH will do) file or directory.  0 or errno. */
MUST_USE int landlock_allow_beneath(int ruleset_fd, int abi, int fd, uint64_t allowed);

/* Allows connecting to this TCP port; nothing to do below LANDLOCK_ABI_TCP.  0 or errno. */
MUST_USE int landlock_allow_connect(int ruleset_fd, int abi, uint16_t port);

/* From here on, for this thread and all that comes of it; needs no_new_privs.  0 or errno. */
MUST_USE int landlock_enter(int ruleset_fd);

#endif
