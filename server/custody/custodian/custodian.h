/* The custodian's loop: orders in, workers started, signalled and reaped, reports out.
 *
 * One thread, one epoll set over the socket, SIGCHLD, the observed homes (observer.h), and per worker its pidfd, its
 * start's words and its standard error; nothing here waits for anything else, but for the configuration when it is to
 * be read again.  Orders and their answers: server/custody/protocol.h.
 *
 * What stays true:
 *   - a signal goes to a worker that is not reaped: its pid, and its group's number, are still its own;
 *   - when a leader has ended, the rest of its group is killed before the leader is reaped;
 *   - every start is answered by exactly one REPORT_GONE, as long as somebody listens;
 *   - when the socket ends, so does everything: all groups are killed, what they leave is reaped, the loop returns. */
#ifndef SERVER_CUSTODY_CUSTODIAN_CUSTODIAN_H
#define SERVER_CUSTODY_CUSTODIAN_CUSTODIAN_H

#include "proto/status.h"
#include "server/custody/custodian/plans.h"

/* Takes `plans`; others may take their place, made from `source`.
 * Returns when the other end of `socket` is closed and nothing is left, or with the error that kept it from starting.
 * The signals that would end the process, and SIGCHLD, must be blocked; the process must be a subreaper. */
MUST_USE struct status custodian_run(int socket, const struct plans_source *source, struct plans *plans);

#endif
