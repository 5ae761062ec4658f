/* The rows of the settings: one line each, from which file, flags, environment, --help and --print-config are made.
 *
 * Whoever adds a setting adds a member to struct config and a row here, nothing else; main's reload hands on what a
 * running daemon takes over, and a row that it does not take over says why.
 * Used by config.c (where values come from) and config_value.c (what a value is).
 * Threads: any; everything here is constant. */
#ifndef SERVER_CONFIG_TABLE_H
#define SERVER_CONFIG_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a value is written, and what its member in struct config is. */
enum config_type {
    CONFIG_NUMBER,   /* uint64_t: digits, within min and max */
    CONFIG_YES_NO,   /* bool */
    CONFIG_CHOICE,   /* char *: one of `choices` */
    CONFIG_RANK,     /* int: the place of one of `choices` */
    CONFIG_CPU,      /* int64_t: a CPU's number, or one of enum config_nng_cpu */
    CONFIG_VARIABLE, /* char *: the name of an environment variable */
    CONFIG_USER,     /* char *: a user, or nothing */
    CONFIG_FILE,     /* char *: an absolute path, or nothing */
    CONFIG_COMMAND,  /* struct config_words: one command; given again, it replaces */
    CONFIG_URLS,     /* struct config_words, as all below but the uids; given again, they append */
    CONFIG_PATHS,
    CONFIG_LOOPBACKS, /* as server/base/loopback.h reads them */
    CONFIG_VARIABLES,
    CONFIG_PORTS,
    CONFIG_ROLE_PATHS, /* words ROLE=PATH, as below ROLE=USER */
    CONFIG_ROLE_USERS,
    CONFIG_UIDS, /* struct config_uids */
};

struct config_row {
    const char *section, *key;
    enum config_type type;
    size_t offset;              /* of the member in struct config */
    const char *standard;       /* the default, as one would write it; for CONFIG_URLS the socket's file name */
    uint64_t min, max;          /* CONFIG_NUMBER, CONFIG_CPU */
    const char *unit;           /* "ms", "bytes"; NULL: a plain number, or no number */
    const char *const *choices; /* ended by NULL */
    const char *meaning;
    const char *fixed; /* why another value takes a restart; NULL: a running daemon takes it over (SIGHUP) */
};

/* All of them, sections together, in the order in which they are shown. */
const struct config_row *config_rows(size_t *row_count_out);

/* What a section holds, for a heading; NULL: no such section. */
const char *config_section_meaning(const char *section);

#endif
