/* The wards of custody: what the daemon's end knows of each worker, from custody_launch until nobody asks for it.
 *
 * A ward is forgotten once its process is gone and its channel is closed: by custody_end, or at once when nobody was
 * ever told of the channel.  Each state is a list; what waits to be sent to the custodian is on the outbox, and what
 * will not be started after all is on the refused list.
 *
 * Threads: all of it is guarded by custody's lock; only the custody thread moves wards from state to state and
 *          forgets those whose process is not gone, so it may keep a pointer to one across the lock. */
#ifndef SERVER_CUSTODY_WARD_H
#define SERVER_CUSTODY_WARD_H

#include "proto/compiler.h"
#include "server/base/list.h"
#include "server/base/map.h"
#include "server/custody/protocol.h"

#include <stdbool.h>
#include <stdint.h>

enum ward_state {
    WARD_QUEUED,   /* its start is to be sent */
    WARD_SENT,     /* the custodian has it; nothing heard yet */
    WARD_UP,       /* it was exec'd; its pid is known */
    WARD_ORPHANED, /* its custodian died: it is killed and reaped here; and started again, if nobody knew it yet */
    WARD_GONE,     /* and reported; only the channel is left, for custody_end */
    WARD_STATE_COUNT
};

struct ward {
    uint64_t worker_id;
    char *home; /* its path when it was launched, for the log; owned; NULL: not known */
    UT_hash_handle handle;
    enum ward_state state;
    struct list_node state_node;           /* on in_state[state] */
    struct list_node queue_node;           /* on the outbox or on refused; or on none */
    int start_fds[ORDER_DESCRIPTOR_COUNT]; /* what its start carries; the home until it is up, the rest until sent */
    unsigned launch_count;                 /* how often its start was sent */
    int request_fd, answer_fd;             /* our ends of its channel; -1: closed */
    int launch_error;                      /* errno: why the channel could not be made; 0: it was */
    int32_t pid;                           /* 0: not known */
    char seal[PROTOCOL_SEAL_NAME_SIZE];    /* "": not known */
    bool up_reported;                      /* somebody was told of the channel */
    bool kill_wanted, end_wanted;          /* orders not yet sent */
    bool ended;                            /* custody_end was called */
    bool killed;                           /* custody_kill was */
    bool hung_up;                          /* before custody_end was called: it had closed its answers, or ended */
    const char *why;                       /* it was ended or killed, as whoever asked said first; lent for ever */
    uint64_t launched_ns;
    bool watched;                /* answer_fd is in the epoll set */
    uint64_t watch_turn;         /* what custody_watch was told last */
    uint64_t watch_due_ns;       /* when the watch begins, if nothing happens until then */
    struct list_node watch_node; /* on to_watch; or on none */
};

struct wards {
    struct ward *by_id;
    struct list in_state[WARD_STATE_COUNT];
    struct list outbox, refused;
    struct list to_watch; /* by watch_due_ns */
};

/* Queued, without a channel; NULL when memory is short.  The id must be a new one. */
MUST_USE struct ward *wards_add(struct wards *wards, uint64_t worker_id);

/* NULL: not known, or not any more. */
struct ward *wards_find(const struct wards *wards, uint64_t worker_id);

/* The only writer of ward->state. */
void wards_move(struct wards *wards, struct ward *ward, enum ward_state next);

/* Off all lists, descriptors closed, memory given back. */
void wards_forget(struct wards *wards, struct ward *ward);

/* Makes both pipes; the worker's ends go to start_fds.  0 or errno. */
MUST_USE int ward_open_channel(struct ward *ward);
void ward_close_channel(struct ward *ward);

/* Closes what its start carries, or would have carried: the worker's ends of the channel, or all of it. */
void ward_close_worker_ends(struct ward *ward);
void ward_close_start(struct ward *ward);

#endif
