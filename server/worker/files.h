/* The files a worker may read, and how: whole, small, regular, never through a symlink, never written.
 *
 * Two trees: the home, and the home directory of its owner, where other tools keep their sign-ins; the second only
 * when the worker was told that it may.  Nothing is created, locked or touched in either (PROVIDERS.md 4, 8.8).
 *
 * Threads: any. */
#ifndef SERVER_WORKER_FILES_H
#define SERVER_WORKER_FILES_H

#include "proto/compiler.h"
#include "server/base/text.h"

#include <stdbool.h>

enum { FILE_SIZE_MAX = 1048576 };

/* Open directories (O_PATH); -1: not to be read. */
struct files {
    int home_fd;
    int user_home_fd;
};

/* Opens a directory for files_read; -1 with errno. */
MUST_USE int files_open_directory(const char *path);

/* The whole of a file below the directory; true when it is there and readable.  `text` is the caller's, empty before:
 * text_wipe() it. */
MUST_USE bool files_read(int directory_fd, const char *path, struct text *text);

#endif
