/* The real probe-worker, asked by a test: a line in, a line out, and everything it says kept.
 *
 * Its environment is empty but for what it is given, so that nothing of the tester's own accounts gets in.
 * A worker that does not start, or does not answer within patience, fails the test.
 * Ownership: asker_fini().  Threads: the test's. */
#ifndef TESTS_SUPPORT_ASKER_H
#define TESTS_SUPPORT_ASKER_H

#include "server/base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { ASKER_WORD_COUNT_MAX = 32 };

struct asker {
    pid_t pid;
    int in_fd, out_fd, err_fd; /* our ends; -1: closed */
    struct text out, err;      /* all that came */
    size_t read_size;          /* of `out`: given by asker_read */
};

/* Starts it in `directory` with these words behind its name and this environment ("NAME=value"); both end with NULL. */
void asker_start(struct asker *asker, const char *directory, const char *const *words, const char *const *environment);

/* Writes the line; its end is added. */
void asker_write(struct asker *asker, const char *line);

/* Waits for the next line of output; lent until the next call, with its end. */
const char *asker_read(struct asker *asker, size_t *size_out);

/* End of file for it. */
void asker_end_input(struct asker *asker);

/* Closes what it writes its answers to: nobody hears it any more. */
void asker_turn_away(struct asker *asker);

/* Ends its input, reads to the end of its output, reaps; the exit status, 128 + the signal that ended it. */
int asker_finish(struct asker *asker);
void asker_fini(struct asker *asker);

#endif
