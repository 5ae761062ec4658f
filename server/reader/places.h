/* Where a home is to be watched: the directories in it whose entries matter, and why that is not enough.
 *
 * A place is a directory of the home, named from the home, with no symlink on its way: that of every file that was looked
 * at, and those above it up to the home, since each of them may be renamed.  Where the file's own directory is not there,
 * the nearest above it that is stands in: a creation is seen there.
 *
 * What lies outside, or behind a symlink, cannot be watched so: it is polled, and the reason is a word.
 *
 * Threads: one; it changes the working directory, and back to the home. */
#ifndef SERVER_READER_PLACES_H
#define SERVER_READER_PLACES_H

#include "proto/compiler.h"
#include "server/base/text.h"
#include "server/worker/files.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

enum {
    PLACE_COUNT_MAX = 16,
    PLACE_SIZE_MAX = 240 /* "watch " and a line end make it a line of 256 bytes at most */
};

enum poll_reason {
    POLL_FOREIGN, /* outside the home: another tool's */
    POLL_LINK,    /* what a symlink leads to */
    POLL_NAME,    /* a directory whose name stands in no line */
    POLL_CROWD,   /* more than PLACE_COUNT_MAX directories */
    POLL_REASON_COUNT
};

struct places {
    int home_fd;
    char home[PATH_MAX]; /* its path, without symlinks; "" when it has none that can be told */
    char directories[PLACE_COUNT_MAX][PLACE_SIZE_MAX + 1];
    size_t count;
    bool polled[POLL_REASON_COUNT];
};

void places_init(struct places *places, int home_fd);

/* A file was looked at: `path` below an open directory. */
void places_add(struct places *places, int directory_fd, const char *path, enum file_state state);

/* "watch DIR" and "poll REASON", a line each; the home, ".", is the first. */
void places_write(const struct places *places, struct text *lines);

#endif
