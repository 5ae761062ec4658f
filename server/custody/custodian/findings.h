/* What a reader found in a home: which of its credentials are which, by fingerprint, and what to look at for changes.
 *
 * A reader (server/reader/) is a short-lived program with the rights of the home's owner.  It writes at most 128 lines
 * of at most 256 bytes, and nothing after the last:
 *
 *     watch DIR             a directory of the home whose entries matter: "." first, then relative to the home
 *     poll REASON           something that matters cannot be watched; one word, for a person
 *     provider NAME HEX64   the keyed fingerprint of all that this provider would take from files of the home
 *     home HEX64            the same of values that belong to no provider we know
 *     end
 *
 * It has read what strangers wrote, so it may have been made to say anything: what is not exactly that is no finding at
 * all.  Fingerprints are compared and never told to anybody.
 *
 * Ownership: findings_fini() them; zeroed ones are empty.  Threads: any. */
#ifndef SERVER_CUSTODY_CUSTODIAN_FINDINGS_H
#define SERVER_CUSTODY_CUSTODIAN_FINDINGS_H

#include "proto/compiler.h"
#include "proto/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FINDINGS_LINE_SIZE_MAX = 256, /* with its line end */
    FINDINGS_LINE_COUNT_MAX = 128,
    FINDINGS_SIZE_MAX = FINDINGS_LINE_SIZE_MAX * FINDINGS_LINE_COUNT_MAX,
    FINDINGS_FINGERPRINT_SIZE = 32,
    FINDINGS_REASON_SIZE_MAX = 32
};

/* One provider; or the home, under the name "". */
struct finding {
    char name[LIMIT_PROVIDER_SIZE_MAX + 1];
    unsigned char fingerprint[FINDINGS_FINGERPRINT_SIZE];
};

struct findings {
    struct finding *of; /* owned; by name, each once */
    size_t count;
    char **folders; /* owned; what to watch, "." first */
    size_t folder_count;
    char poll_reason[FINDINGS_REASON_SIZE_MAX + 1]; /* the first; "": everything can be watched */
};

/* All of a reader's output; false (and nothing given) when it is not what a reader writes, or memory is short. */
MUST_USE bool findings_parse(const char *bytes, size_t size, struct findings *findings_out);
void findings_fini(struct findings *findings);

/* The first name whose finding is not the same in both: absent is another than present.  NULL: they are the same.
 * Lent by either. */
const char *findings_difference(const struct findings *one, const struct findings *other);

/* `findings` says of this name what `other` says of it.  False: no memory, nothing changed. */
MUST_USE bool findings_adopt(struct findings *findings, const struct findings *other, const char *name);

/* All fingerprints in a number, never 0.  They are keyed, so nobody can aim at an equal one. */
uint64_t findings_digest(const struct findings *findings);

#endif
