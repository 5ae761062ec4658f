/* A file system that hangs: a FUSE mount whose server answers for its root directory and for nothing below it, or does
 * for a while.  While it is well, each name in it that begins with 'h' is a directory, root's, or HUNG_MOUNT_OWNER's
 * where it begins with 'n'.  There is nothing in them but a `.env`, once that was written: by the server, as on another
 * machine, so that the kernel tells nobody of it.
 *
 * It is mounted in a mount namespace of this process's own, so nothing is left when the process ends, however it does.
 * Open it before other threads start: those share the namespace.
 * Threads: one opens and closes; one of its own serves. */
#ifndef TESTS_SUPPORT_HUNG_MOUNT_H
#define TESTS_SUPPORT_HUNG_MOUNT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

enum { HUNG_MOUNT_OWNER = 65534 };

struct hung_mount {
    const char *directory; /* lent */
    int device;            /* /dev/fuse */
    int hung[2];           /* a pipe: a byte for every look-up that hangs */
    atomic_bool well, deaf;
    _Atomic(const char *) env; /* lent; NULL: there is none */
    unsigned keep_s;
    pthread_t server;
};

/* Whether this process may mount one at all. */
bool hung_mount_possible(void);

/* `directory` exists.  `well`: it does not hang yet; keep_s: how long the kernel may keep what it is told meanwhile.
 * False: the system did not let us. */
bool hung_mount_open(struct hung_mount *mount, const char *directory, bool well, unsigned keep_s);

/* What is in every `.env` from now on, at most 200 bytes; lent until it is closed. */
void hung_mount_write(struct hung_mount *mount, const char *env);

/* From now on it hangs: what is asked is not answered, or (`deaf`) not even read.  Who waits for what was read cannot be
 * killed. */
void hung_mount_hang(struct hung_mount *mount, bool deaf);

/* Waits until one more look-up hangs; not when it is deaf. */
void hung_mount_wait(struct hung_mount *mount);

/* Those that hang come back with an error. */
void hung_mount_close(struct hung_mount *mount);

#endif
