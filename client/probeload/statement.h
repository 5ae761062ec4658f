/* What probeload's own worker says of an answer, signed, so that a daemon that mixes answers up, keeps one too long or
 * makes one up is found out by who reads it.
 *
 * A statement is the first of an answer's details, one line:
 *
 *     probeload pid=17 number=3 started=… answered=… key=… sign=…
 *
 * `started` and `answered` are CLOCK_MONOTONIC of the machine: they tell whether the worker is younger than an
 * invalidation without asking the daemon.  `key` stands for the api_key it was asked with.  The signature is SipHash
 * over all of it and the home and provider the worker knows itself to be asked for: those are not in the line, the
 * reader puts in what it had asked.
 *
 * It holds against mistakes, not against an enemy: whoever can read the homes can sign.  Threads: any. */
#ifndef CLIENT_PROBELOAD_STATEMENT_H
#define CLIENT_PROBELOAD_STATEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATEMENT_SOURCE     "probeload"        /* an answer's `source`, where its worker signs */
#define STATEMENT_SECRET_ENV "PROBELOAD_SECRET" /* in the homes' .env, and in probeload's environment */

enum { STATEMENT_SIZE = 176 }; /* of the line with its terminator; a detail keeps 180 characters */

struct statement_secret {
    unsigned char bytes[16];
};

struct statement {
    int64_t pid;
    uint64_t number; /* of this worker's answers, from 1 */
    uint64_t started_ns, answered_ns;
    uint64_t key_digest;
    uint64_t signature;
};

/* From any text; NULL is as good as "". */
struct statement_secret statement_secret_of(const char *text);

uint64_t statement_digest(const struct statement_secret *secret, const char *api_key, size_t api_key_size);

/* Sets the signature. */
void statement_sign(struct statement *statement, const struct statement_secret *secret, const char *home,
                    const char *provider);
bool statement_is_signed(const struct statement *statement, const struct statement_secret *secret, const char *home,
                         const char *provider);

void statement_write(const struct statement *statement, char out[STATEMENT_SIZE]);
bool statement_read(const char *line, struct statement *statement_out);

#endif
