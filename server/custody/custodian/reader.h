/* One reading of one home: the process that is started for it, what it writes, and its end.
 *
 * A reader is started as a worker is (spawn.h): with the rights of the home's owner, in the home, sealed, without any
 * network.  It is given the key of fingerprints on its standard input and writes findings (findings.h).  It may hang,
 * where a file system does, or be made to misbehave by what it reads: whoever started it kills it then, and has learnt
 * nothing.
 *
 * Ownership: reader_start to reader_bury.  Threads: the custodian's one; nothing here waits. */
#ifndef SERVER_CUSTODY_CUSTODIAN_READER_H
#define SERVER_CUSTODY_CUSTODIAN_READER_H

#include "proto/status.h"
#include "server/base/text.h"
#include "server/custody/custodian/findings.h"
#include "server/custody/custodian/spawn.h"

struct reader {
    int32_t pid; /* its own until it is buried */
    int pidfd;   /* readable: it has ended */
    int word_fd, error_fd;
    int output_fd;   /* -1: it has closed its end */
    int start_error; /* once it is buried: the errno that kept it from being exec'd; 0: none */
    struct text output;
};

/* 0 or errno: then there is none, and *step_out names what failed.  `home_fd` is lent. */
MUST_USE int reader_start(struct reader *reader, const struct spawn_plan *plan, int home_fd,
                          const unsigned char key[PROTOCOL_KEY_SIZE], const char **step_out);

/* Takes what it has written.  False: nothing more will come, or none that counts: output_fd may be taken out of sight
 * and closed. */
MUST_USE bool reader_hear(struct reader *reader);

/* KILL, to all of its group. */
void reader_kill(const struct reader *reader);

/* Reaps it, once pidfd is readable; closes everything.  UNAVAILABLE with the cause when there are no findings. */
MUST_USE struct status reader_bury(struct reader *reader, const char *program, struct findings *findings_out);

/* Kills it, and closes everything: who reaps it is somebody else. */
void reader_abandon(struct reader *reader);

#endif
