/* A home's path as text: what may be one, and what lies below what.  No system calls.
 *
 * Rules: proto/README.md 3, "Homes".  Threads: any. */
#ifndef SERVER_HOMES_PATH_H
#define SERVER_HOMES_PATH_H

#include "proto/limits.h"
#include "proto/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* INVALID_ARGUMENT naming `home` and why: not absolute, more than 4095 bytes, not UTF-8, a control character, a ".."
 * component, or the root itself, however it is written. */
MUST_USE struct status home_path_check(const char *path);

/* Whether `path` lies below `root` (not: is it).  Both canonical. */
bool home_path_is_below(const char *path, const char *root);

/* The components of an absolute path, "." and empty ones left out; ".." is one like any other. */
struct home_components {
    struct home_component {
        uint16_t start, end; /* path[start] .. path[end - 1] */
    } at[(LIMIT_HOME_SIZE_MAX + 1) / 2];
    size_t count;
};

/* `path` has at most LIMIT_HOME_SIZE_MAX bytes, here and below. */
void home_path_split(const char *path, struct home_components *components_out);

/* The path with its components alone, each behind one "/": canonical but for symbolic links. */
void home_path_tidy(const char *path, char out[LIMIT_HOME_SIZE_MAX + 1]);

#endif
