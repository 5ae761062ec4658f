/* What a home holds of credentials, told by fingerprints: one for each provider of the table, one for the rest.
 *
 * Which bytes are a provider's says the worker's own look-up: its row names the variables, credential_walk shows what
 * is stored, and every file that is looked at on the way tells of itself (files.h).  So a provider that is added to the
 * table is read here without a word.
 *
 * A fingerprint covers values: of each variable of the row; of each stored candidate, usable or not, its secret and
 * the members of its record that are credentials by their name (holdings_is_credential).  It does not cover
 *   - marks, counters and moments, which whoever uses a credential writes all day;
 *   - when a token ends: a token is replaced by another, not prolonged;
 *   - how a file is written: the order of members and lines, blanks, its mode, its age.
 * A file that is there and cannot be read is a state like any other, so that its becoming readable is a change.  It
 * counts for the provider it was opened for, `.env` and auth.json for the home.
 *
 * Fingerprints are keyed (secret.h): without the key they tell nothing, with another they are others.
 *
 * Threads: one. */
#ifndef SERVER_READER_HOLDINGS_H
#define SERVER_READER_HOLDINGS_H

#include "proto/compiler.h"
#include "server/base/secret.h"
#include "server/base/text.h"
#include "server/reader/places.h"

#include <stdbool.h>

/* How long a file must have been as it is to be believed, and one that looks half written; how often it is looked at. */
enum { HOLDINGS_STILL_MS = 20, HOLDINGS_TORN_MS = 400, HOLDINGS_LOOK_COUNT_MAX = 30 };

/* Where to look, and how. */
struct holdings {
    int home_fd, user_home_fd; /* open directories (O_PATH); -1: other tools' sign-ins are not to be read */
    int still_ms, torn_ms;     /* as above; 0: the first look counts */
    struct fingerprint_key key;
};

enum holdings_end {
    HOLDINGS_READ,
    HOLDINGS_RESTLESS, /* a file is being written, and was half written at every look: try again */
    HOLDINGS_NO_MEMORY
};

/* Adds "provider NAME HEX64" lines and one of "home HEX64", and says in *places where to watch; both only when READ.
 * Nobody is to be caught in the middle of writing: while a file is young it looks again until two looks agree; while one
 * is empty or broken, until that has lasted. */
MUST_USE enum holdings_end holdings_read(const struct holdings *holdings, struct places *places, struct text *lines);

/* Whether a member of this name is a credential, or says whose or where one is good: keys, tokens, ids, URLs. */
bool holdings_is_credential(const char *name);

#endif
