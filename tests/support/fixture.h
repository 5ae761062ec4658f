/* One case of tests/fixtures: what to ask, what lies in the homes, what the provider answers, what must come out.
 * The format is told in tests/fixtures/providers/README.md.
 *
 * A case that cannot be read ends the process: a test cannot go on without.
 * Ownership: fixture_load gives, fixture_free takes; what is read from it is lent.  Threads: none of its own. */
#ifndef TESTS_SUPPORT_FIXTURE_H
#define TESTS_SUPPORT_FIXTURE_H

#include "server/base/text.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FIXTURE_PATH_SIZE = 4096 };

struct fixture {
    char directory[FIXTURE_PATH_SIZE];
    char stem[FIXTURE_PATH_SIZE]; /* the path without ".meta.json" */
    json_t *meta;                 /* owned */
};

/* `path` is the case's meta.json, or the same without ".meta.json". */
struct fixture *fixture_load(const char *path);
void fixture_free(struct fixture *fixture);

/* A string of the meta.json: "case", "now"; "" when it is missing. */
const char *fixture_text(const struct fixture *fixture, const char *name);

/* expected.json; given, json_decref() it. */
json_t *fixture_expected(const struct fixture *fixture);

/* A file beside the case; adds to `bytes`. */
void fixture_read(const struct fixture *fixture, const char *file, struct text *bytes);

/* Writes "home_files" or "user_home_files" below a directory that is there.  `.env` is added to, what else is there
 * already is an error: cases that share a home must not contradict each other. */
void fixture_write_home(const struct fixture *fixture, const char *member, const char *directory);

/* Moves every moment in a JSON body by so much: ISO texts, epoch seconds and milliseconds. */
json_t *fixture_shift(const json_t *body, int64_t shift_s);

#endif
