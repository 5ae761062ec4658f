/* Looks out for changes in directories: inotify, with who asked for which.
 *
 * A post is one watched directory of one home.  Two homes may have a post at the same directory (one lies in the other,
 * or a mount shows it twice), for which the kernel has a single number: so posts are found by it, and the kernel's
 * watch goes with the last of them.
 *
 * A directory is watched by its open descriptor, through /proc/self/fd: nobody can put another in its place meanwhile.
 * What may hang is not to be watched at all (mounts.h).
 *
 * Ownership: a post is its owner's memory; lookout_leave() it before that goes.  Threads: the custodian's one. */
#ifndef SERVER_CUSTODY_CUSTODIAN_LOOKOUT_H
#define SERVER_CUSTODY_CUSTODIAN_LOOKOUT_H

#include "proto/compiler.h"
#include "server/base/list.h"

struct spot; /* a watched directory: lookout.c */

struct post {
    struct spot *spot; /* NULL: nothing is watched */
    struct list_node node;
    void *owner; /* lent */
};

struct lookout {
    int fd; /* does not block; -1: there is none, and no post can be taken */
    struct spot *by_number;
};

/* 0, or errno: EMFILE at the limit of instances (fs.inotify.max_user_instances), or of descriptors. */
MUST_USE int lookout_open(struct lookout *lookout);
void lookout_close(struct lookout *lookout);

/* 0, or errno: ENOSPC at the limit of watches (fs.inotify.max_user_watches); EBADF: there is no lookout. */
MUST_USE int lookout_take(struct lookout *lookout, struct post *post, int directory_fd);
void lookout_leave(struct lookout *lookout, struct post *post);

enum lookout_event {
    LOOKOUT_CHANGED,  /* an entry was made, written, moved in or out, removed, or got other rights */
    LOOKOUT_MOVED,    /* the directory itself was moved, removed or unmounted; perhaps the last that is heard of it */
    LOOKOUT_OVERFLOWN /* some events were lost: told of every post */
};

/* Reads what has happened, a bounded part of it, and tells the owners; `seen` neither takes nor leaves a post. */
typedef void lookout_seen(void *context, struct post *post, enum lookout_event event);
void lookout_read(struct lookout *lookout, lookout_seen *seen, void *context);

#endif
