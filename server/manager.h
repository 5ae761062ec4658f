/* What the service manager is told of the daemon's state: systemd's sd_notify(3), spoken by hand.
 *
 * A notice is one datagram of a few lines to the socket that NOTIFY_SOCKET names; systemd promises that protocol to
 * stay as it is.  libsystemd would say the same, and bring liblzma, liblz4, libzstd and libgcrypt into the process that
 * handles keys.  Without NOTIFY_SOCKET nobody listens, and everything here does nothing.
 *
 * A service manager believes its main process alone (NotifyAccess=main), and with server.user that is the keeper.  Then
 * the daemon hands its notices to the keeper, as a kind, a number and a text of one line, never as lines of their own:
 * whoever got hold of the daemon can lie about its state, not speak with the keeper's rights.
 *
 * Threads: main's.  A notice waits two seconds at most for a service manager that does not read. */
#ifndef SERVER_MANAGER_H
#define SERVER_MANAGER_H

#include "proto/compiler.h"
#include "proto/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct manager {
    int socket; /* owned: to the service manager, or, relayed, to the keeper; -1: nobody listens */
    bool relayed;
    struct sockaddr_un address; /* of the service manager */
    socklen_t address_size;
    uint64_t watchdog_ns; /* within this it wants to hear MANAGER_ALIVE again; 0: it does not */
};

#define MANAGER_NONE ((struct manager){.socket = -1})

enum manager_notice_kind {
    MANAGER_READY,     /* it serves; also the end of RELOADING */
    MANAGER_RELOADING, /* it reads its configuration again; with the present time */
    MANAGER_STOPPING,  /* it drains; the number: how many microseconds it may take */
    MANAGER_STATUS,    /* nothing has changed but the text */
    MANAGER_ALIVE,     /* the watchdog is fed */
    MANAGER_NOTICE_KIND_COUNT
};

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, and takes them out of the environment: no child is to speak in
 * our name.  By the process that the service manager started, before it parts and before any thread. */
void manager_init(struct manager *manager_out);
void manager_fini(struct manager *manager);

bool manager_listens(const struct manager *manager);

/* `status`: one line for a person, at most STATUS_MESSAGE_SIZE; NULL: nothing of the kind. */
void manager_say(const struct manager *manager, enum manager_notice_kind kind, uint64_t number, const char *status);

/* ---- through the keeper ---- */

/* In the daemon, once it has parted: notices go to `socket`, which is taken, from now on. */
void manager_speak_through(struct manager *manager, int socket);

/* In the keeper: hands on a notice that has arrived on its end.  False: there will be no other. */
MUST_USE bool manager_relay(const struct manager *manager, int socket);

#endif
