/* The lines of a `.env`: NAME=value pairs out of a buffer; no file is opened here and nothing is allocated.
 *
 * The rules: UTF-8 (a byte order mark in front is passed over); a line ends with LF or CR; blank lines, lines whose
 * first character is '#' and lines without '=' are skipped; the first '=' splits; spaces and tabs around name and value
 * are trimmed, then one pair of equal quotes (" or ') around the value.  No `export`, no escapes, no interpolation, no
 * comment behind a value.  A line is skipped, too, when its name is none ([A-Za-z_][A-Za-z0-9_]*; "export A" is none)
 * or when it holds a NUL.  Of two lines with one name the last counts.
 *
 * Ownership: everything here points into the caller's text, which must stay as it is meanwhile.
 * Threads: none of its own. */
#ifndef SERVER_BASE_DOTENV_H
#define SERVER_BASE_DOTENV_H

#include "proto/compiler.h"

#include <stdbool.h>
#include <stddef.h>

enum { DOTENV_SIZE_MAX = 1048576 }; /* a larger file counts as none */

struct dotenv {
    const char *at, *end;
};

/* Not terminated. */
struct dotenv_pair {
    const char *name;
    size_t name_size; /* never 0 */
    const char *value;
    size_t value_size; /* 0: the variable is to be unset */
};

/* False when the text is too large or not UTF-8: it counts as none, and dotenv_next finds nothing. */
MUST_USE bool dotenv_open(struct dotenv *dotenv, const char *text, size_t size);

/* The next pair, from top to bottom; false behind the last. */
MUST_USE bool dotenv_next(struct dotenv *dotenv, struct dotenv_pair *pair_out);

/* The pair that counts for this name; false when there is none, or when the text counts as none. */
MUST_USE bool dotenv_find(const char *text, size_t size, const char *name, struct dotenv_pair *pair_out);

#endif
