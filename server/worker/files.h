/* The files a worker may read, and how: whole, small, regular, never a symlink themselves, never written.
 *
 * Two trees: the home, and the home directory of its owner, where other tools keep their sign-ins; the second only
 * when the worker was told that it may.  Nothing is created, locked or touched in either (PROVIDERS.md 4, 8.8).
 *
 * Whoever watches a home instead of using it (server/reader) has the same look-up tell where it looked, and what it
 * found there: so nothing is looked at that is not watched.
 *
 * Threads: any. */
#ifndef SERVER_WORKER_FILES_H
#define SERVER_WORKER_FILES_H

#include "proto/compiler.h"
#include "server/base/text.h"

#include <stdbool.h>

enum { FILE_SIZE_MAX = 1048576 };

/* What became of a look at a file. */
enum file_state {
    FILE_ABSENT,
    FILE_READ,
    FILE_LINK,       /* a symlink: read where `follows_links` says so, if it leads to a file that can be */
    FILE_IRREGULAR,  /* a FIFO, a directory, a device */
    FILE_TOO_LARGE,  /* above FILE_SIZE_MAX */
    FILE_UNREADABLE, /* the system says no, or memory is short */
    FILE_BROKEN      /* read, and it is not what it should be: no JSON object, not UTF-8 */
};

struct files {
    int home_fd, user_home_fd; /* open directories (O_PATH); -1: not to be read */
    bool follows_links;        /* as other people's workers do: for whoever watches; never for use */
    bool asks_anew;            /* has a network's file system ask its server what has changed: likewise */
    /* Told of every look, with the directory and the path below it; NULL: nobody is. */
    void (*saw)(void *context, int directory_fd, const char *path, enum file_state state);
    void *context;
};

/* Opens a directory for files_read; -1 with errno. */
MUST_USE int files_open_directory(const char *path);

/* The whole of a file below the directory, never FILE_BROKEN.  `text` is the caller's, empty before: text_wipe() it. */
MUST_USE enum file_state files_read(const struct files *files, int directory_fd, const char *path, struct text *text);

/* Tells whoever wants to know. */
void files_tell(const struct files *files, int directory_fd, const char *path, enum file_state state);

#endif
