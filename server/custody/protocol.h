/* What probed and its custodian say to each other, and how a message is sent and received.
 *
 * One SOCK_SEQPACKET pair, small fixed messages, each with the version first: orders go down, reports come up.
 * Descriptors travel with ORDER_START and ORDER_OBSERVE as SCM_RIGHTS.  No message carries a command, a path or a
 * variable: what is started, the custodian knows from its own reading of the configuration.
 *
 * The first report is REPORT_READY, or REPORT_REFUSED and nothing more.  Each ORDER_START is answered by REPORT_UP and,
 * later, REPORT_GONE, or by REPORT_GONE alone; ORDER_RELOAD by REPORT_RELOADED or REPORT_KEPT.  An order for a worker
 * that is gone is ignored: its report is on the way.  Whoever hears what is not here takes the other for broken and lets
 * the socket go, which ends everything (README.md).
 *
 * Threads: one at a time an end.  Nothing here blocks, unless PROTOCOL_WAIT is asked for. */
#ifndef SERVER_CUSTODY_PROTOCOL_H
#define SERVER_CUSTODY_PROTOCOL_H

#include "proto/compiler.h"
#include "proto/status.h"

#include <stddef.h>
#include <stdint.h>

enum {
    PROTOCOL_VERSION = 4,
    PROTOCOL_SOCKET_FD = 3,       /* where the custodian finds its end */
    PROTOCOL_SEAL_NAME_SIZE = 40, /* what a worker's seal is called, in a list */
    PROTOCOL_KEY_SIZE = 32        /* of fingerprints */
};

enum order_kind {
    ORDER_START = 1,
    ORDER_KILL,
    ORDER_END,
    ORDER_HURRY,   /* of no worker: starts that hang are given up now, somebody waits for their places */
    ORDER_OBSERVE, /* look out for changes of credentials in this home */
    ORDER_FORGET,  /* no more */
    ORDER_RELOAD   /* read the configuration again; the id is that of the answer */
};

/* What comes with ORDER_START, in this order: the home (O_PATH), the worker's standard input and standard output.  The
 * first alone comes with ORDER_OBSERVE. */
enum order_descriptor { ORDER_HOME, ORDER_REQUEST, ORDER_ANSWER, ORDER_DESCRIPTOR_COUNT };

struct order {
    uint32_t version;
    uint32_t kind;                        /* enum order_kind */
    uint64_t id;                          /* of the worker, the observed home or the reload: each numbered by itself */
    uint64_t grace_ms;                    /* ORDER_END: between TERM and KILL */
    uint64_t digest;                      /* ORDER_OBSERVE: what its credentials were, as last reported; 0: not known */
    unsigned char key[PROTOCOL_KEY_SIZE]; /* ORDER_OBSERVE: of fingerprints, so that such digests can be compared */
};

enum report_kind {
    REPORT_READY = 1,
    REPORT_UP,
    REPORT_GONE,
    REPORT_REFUSED,  /* it cannot work as it is asked to, and exits */
    REPORT_READ,     /* of an observed home: its credentials are known; again whenever its digest is another */
    REPORT_UNREAD,   /* they cannot be read at present, which is tried again */
    REPORT_CHANGED,  /* those of the provider in `text`, or ("") of whoever knows */
    REPORT_LOST,     /* the directory was removed or moved: nothing more will come of it */
    REPORT_RELOADED, /* of ORDER_RELOAD: what is started from now on is as the configuration says now; */
    REPORT_KEPT      /* or nothing has changed, since it is not good as a whole */
};

struct report {
    uint32_t version;
    uint32_t kind;      /* enum report_kind */
    uint64_t id;        /* of the worker, the observed home or the reload */
    uint64_t spawn_ns;  /* REPORT_UP: from the order to the worker's first instruction */
    uint64_t digest;    /* REPORT_READ: never 0 */
    int32_t pid;        /* REPORT_UP */
    uint32_t disturbed; /* REPORT_READ, the first: they may have changed since ORDER_OBSERVE was obeyed; 0 or 1 */
    uint32_t outdated;  /* REPORT_RELOADED: workers that are there already are not as those to come; 0 or 1 */

    /* For a person; terminated.  READY, RELOADED: how workers are sealed; UP: how this one is, in a word or two; GONE,
     * REFUSED, KEPT: why; CHANGED: a provider's name. */
    char text[STATUS_MESSAGE_SIZE];
};

enum protocol_patience { PROTOCOL_NOW, PROTOCOL_WAIT };

/* Lends `fds`.  0, EAGAIN (no room at present), or the errno of a socket that is of no more use. */
MUST_USE int protocol_send_order(int socket, const struct order *order, const int *fds, size_t fd_count);
MUST_USE int protocol_send_report(int socket, const struct report *report, enum protocol_patience patience);

/* 0, EAGAIN (nothing there), ECONNRESET (the other end is closed), EPROTO (no message of ours), or another errno.
 * The descriptors are given, close-on-exec; all are -1 unless every one of them arrived. */
MUST_USE int protocol_receive_order(int socket, struct order *order_out, int fds_out[ORDER_DESCRIPTOR_COUNT]);
MUST_USE int protocol_receive_report(int socket, struct report *report_out);

#endif
