/* From an opened home to a running worker: the fork, and what the child does before it becomes the worker's program.
 *
 * The child takes its steps in a fixed order (spawn.c) and says over a pipe how far it came: a worker that was exec'd
 * is told from one that could not be, with the step and its errno.  The custodian never waits for it: a home on a hung
 * file system holds up its own child alone.
 *
 * clone3 is safe here: the custodian has one thread.  So is the parent-death signal, which is bound to that thread.
 *
 * Threads: the custodian's one. */
#ifndef SERVER_CUSTODY_CUSTODIAN_SPAWN_H
#define SERVER_CUSTODY_CUSTODIAN_SPAWN_H

#include "proto/compiler.h"
#include "server/custody/custodian/environment.h"
#include "server/custody/custodian/seal.h"
#include "server/custody/protocol.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

/* The same for every worker, or every reader, until the configuration is another (plans.h). */
struct spawn_plan {
    char *const *command; /* argv, NULL at the end; argv[0] without a slash is looked up in `search_path` */
    const char *search_path;
    const char *start_directory; /* what a relative argv[0] with a slash is relative to: never the home */
    struct environment_rules environment;
    bool dotenv_withheld; /* it is sealed by what the home's `.env` says, and does not get that in its environment */
    /* HOME is the home directory of the home's owner, where other tools keep their sign-ins */
    bool foreign_credentials;
    const struct seal *seal;
    uint64_t term_grace_ms;   /* for those that the custodian ends by itself */
    struct rlimit file_limit; /* RLIMIT_NOFILE as it was before the custodian raised its own */
};

struct spawned {
    int32_t pid;
    int pidfd;
    int word_fd;  /* the child's words; does not block */
    int error_fd; /* the worker's standard error; does not block */
};

/* What the child says: once before it calls exec, and once when a step, exec included, failed. */
struct spawn_word {
    int32_t step;
    int32_t error; /* errno; 0: about to call exec */
    int32_t file;  /* enum environment_file */
};

/* Starts the child, in this cgroup (an open directory; -1: where the custodian is); the descriptors are lent.  0, or
 * errno: then there is no child, and *step_out names what failed. */
MUST_USE int spawn_worker(const struct spawn_plan *plan, const int fds[ORDER_DESCRIPTOR_COUNT], int cgroup_fd,
                          struct spawned *spawned_out, const char **step_out);

/* "exec", "identity"; for a person. */
const char *spawn_step_name(int32_t step);

#endif
