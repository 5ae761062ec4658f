/* The part of the homes that a peer is confined to, whatever else its uid might use: some directories, and what lies
 * below them.
 *
 * A path is judged twice: as it was given, before anybody looks whether it exists, so that a refusal tells nothing of
 * what is there; and as it was resolved, since a symlink may lead out.  No system calls.
 *
 * Threads: any. */
#ifndef SERVER_HOMES_SCOPE_H
#define SERVER_HOMES_SCOPE_H

#include <stdbool.h>
#include <stddef.h>

struct homes_scope {
    const char *const *directories; /* canonical; lent */
    size_t count;                   /* 0: not confined */
};

/* Whether a home of this canonical path is in it. */
bool homes_scope_admits(const struct homes_scope *scope, const char *canonical);

/* The same of a path as a peer gave it: "//", "/./" and a "/" at its end mean nothing.  One that home_path_check refuses
 * is in none. */
bool homes_scope_admits_given(const struct homes_scope *scope, const char *path);

#endif
