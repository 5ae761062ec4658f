/* A fresh directory for one test, and homes in it.
 *
 * It is gone when the test ends, however it ends: a keeper process waits for that, prints what the daemon had to say
 * if the test did not say goodbye, and removes everything. */
#ifndef TESTS_SUPPORT_SCRATCH_H
#define TESTS_SUPPORT_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum {
    SCRATCH_PATH_SIZE = 64, /* short: a socket's path has at most 107 bytes */
    HOME_PATH_SIZE = 128,
    HOME_PROCESS_COUNT_MAX = 256
};

struct scratch {
    char path[SCRATCH_PATH_SIZE];
    pid_t keeper;
    int keeper_fd; /* its end of file is the test's end */
};

/* Before any other thread and before nng. */
void scratch_open(struct scratch *scratch);

/* The goodbye. */
void scratch_close(struct scratch *scratch);

/* ---- homes of the scripted worker ---- */

struct home {
    char path[HOME_PATH_SIZE];
    int gate_fd; /* of its FIFO; opened when it is first used */
};

/* Makes it, with the credential "one". */
void home_create(struct home *home, const struct scratch *scratch, const char *name);

/* Replaces a file of it by a rename, as tools that rotate credentials do. */
void home_write(const struct home *home, const char *file, const char *text);

/* Lets this many workers, present or future, through the gate. */
void home_open_gate(struct home *home, size_t count);

/* How many lines of the worker's log begin with `word` ("start", "ask"). */
size_t home_count(const struct home *home, const char *word);

/* Waits until there are that many, at least. */
void home_wait(const struct home *home, const char *word, size_t count);

/* The processes that started in it, in order; at most HOME_PROCESS_COUNT_MAX. */
size_t home_processes(const struct home *home, pid_t *pids);

#endif
