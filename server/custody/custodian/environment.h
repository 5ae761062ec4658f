/* A worker's environment: what the configuration lets through, then the home's `.env`, then what names the home.
 *
 * Called by the child between fork and exec, after it became the home's owner: what is read here is never in the
 * custodian's own memory.  Rules: proto/README.md 5; the syntax of a `.env`: server/base/dotenv.h.
 *
 * Threads: one. */
#ifndef SERVER_CUSTODY_CUSTODIAN_ENVIRONMENT_H
#define SERVER_CUSTODY_CUSTODIAN_ENVIRONMENT_H

#include "proto/compiler.h"
#include "server/base/text.h"

#include <stdbool.h>
#include <stddef.h>

struct environment_rules {
    char *const *pass;    /* names, NULL at the end: the only variables that are inherited; lent; NULL: none */
    const char *home_env; /* the variable that names the home; lent */
};

/* What became of the home's `.env`.  What is no small regular text file counts as none, so that a start never hangs. */
enum environment_file {
    ENVIRONMENT_FILE_ABSENT,
    ENVIRONMENT_FILE_READ,
    ENVIRONMENT_FILE_IRREGULAR, /* a symlink, a FIFO, a directory, a device */
    ENVIRONMENT_FILE_TOO_LARGE, /* above DOTENV_SIZE_MAX */
    ENVIRONMENT_FILE_NOT_UTF8,
    ENVIRONMENT_FILE_UNREADABLE, /* no right to, or an error while reading */
    ENVIRONMENT_FILE_COUNT
};

/* "is not UTF-8"; for a person. */
const char *environment_file_name(enum environment_file file);

/* Reads `.env` in this directory (an O_PATH descriptor will do).  The text is the caller's, empty unless READ. */
MUST_USE enum environment_file environment_read(int home_fd, struct text *text_out);

/* Whether a home's `.env` may set or unset this variable. */
MUST_USE bool environment_may_set(const struct environment_rules *rules, const char *name, size_t name_size);

/* The whole of it, for execve; environment_free it.  `inherited` as in environ; `home` is its path, `user_home`
 * what HOME is; `text` what environment_read gave.  NULL when memory is short. */
MUST_USE char **environment_make(const struct environment_rules *rules, char *const *inherited, const char *home,
                                 const char *user_home, const struct text *text);
void environment_free(char **environment);

#endif
