/* Other programs, run by a test: to the end, or beside it until it is over.
 *
 * Programs are named by their file in the build: "probectl", "fake_daemon".  A failure to start one fails the test.
 * Ownership: a result's texts are the caller's: child_result_fini(). */
#ifndef TESTS_SUPPORT_CHILD_H
#define TESTS_SUPPORT_CHILD_H

#include <stddef.h>
#include <sys/types.h>

struct child_result {
    int exit_status; /* 128 + the signal that ended it */
    char *out, *err; /* owned; terminated */
    size_t out_size;
};

/* Where the programs of the product and those of the tests were built; lent for ever. */
const char *child_bin_directory(void);
const char *child_test_directory(void);

/* Runs argv (ended by NULL) with `input` on its standard input and `environment` ("NAME=value", ended by NULL) beside
 * the caller's own.  "NAME" alone unsets.  Waits for its end. */
struct child_result child_run(const char *const *argv, const char *const *environment, const void *input,
                              size_t input_size);
void child_result_fini(struct child_result *result);

/* Starts argv with its standard output in *out_out, which the caller closes. */
pid_t child_start(const char *const *argv, const char *const *environment, int *out_out);

/* Starts argv and waits for its first line of output, "ready"; the rest of its output is dropped. */
pid_t child_start_ready(const char *const *argv);

/* Sends `signal` and reaps; the exit status as above. */
int child_end(pid_t pid, int signal);

#endif
