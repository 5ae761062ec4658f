/* The command line of probe-worker: what a daemon says (proto/README.md 5), and what a person does, who asks once.
 *
 * Ownership: options_fini().  The texts are argv's or the environment's.  Threads: main. */
#ifndef SERVER_WORKER_OPTIONS_H
#define SERVER_WORKER_OPTIONS_H

#include "server/worker/stamp.h"

#include <stdbool.h>

enum { EXIT_USAGE = 2 };

/* What is asked of it on the command line. */
enum options_task {
    TASK_SERVE, /* requests from standard input */
    TASK_ASK,   /* about `provider`, once */
    TASK_LIST   /* the providers */
};

struct options {
    enum options_task task;
    const char *provider;
    bool json;               /* TASK_ASK prints the answer line */
    const char **connect_to; /* owned list, NULL at the end */
    const char *ca_file;     /* NULL: the system's authorities */
    const char *home;        /* where credentials are; never NULL */
    const char *user_home;   /* where other tools' are; NULL: unknown */
    bool foreign;            /* and whether they may be read */
    const char *user_agent;
    struct stamp now; /* a fixed clock; absent: the system's */
};

/* Ends the process at --help, --version and wrong usage. */
void options_parse(struct options *options, int argc, char **argv);
void options_fini(struct options *options);

#endif
