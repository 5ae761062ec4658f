/* A worker as its custodian knows it, from the order to start it until its end is reported; and the table of them.
 *
 * Threads: the custodian's one. */
#ifndef SERVER_CUSTODY_CUSTODIAN_WORKER_H
#define SERVER_CUSTODY_CUSTODIAN_WORKER_H

#include "proto/compiler.h"
#include "server/base/heap.h"
#include "server/base/list.h"
#include "server/base/map.h"
#include "server/custody/custodian/chatter.h"
#include "server/custody/custodian/spawn.h"

#include <stdbool.h>
#include <stdint.h>

enum worker_state {
    WORKER_STARTING, /* between fork and exec */
    WORKER_RUNNING,  /* exec'd, and reported up */
    WORKER_ENDING,   /* TERM was sent, KILL follows */
    WORKER_KILLED,   /* KILL was sent */
    WORKER_REAPED,   /* its end is to be reported */
    WORKER_STATE_COUNT
};

/* What an epoll event is about. */
enum source_kind {
    SOURCE_SOCKET,
    SOURCE_CHILDREN,
    SOURCE_ETC,
    SOURCE_OBSERVER,
    SOURCE_END,
    SOURCE_WORD,
    SOURCE_CHATTER
};

struct source {
    enum source_kind kind;
    struct worker *worker; /* NULL: of the custodian itself */
};

struct worker {
    uint64_t id;
    char *home; /* its path when it was started, for a person; owned; NULL: not known */
    UT_hash_handle handle;
    enum worker_state state;
    struct list_node state_node;  /* on in_state[state] */
    struct list_node report_node; /* on the table's reports, while a report of its is unsent */
    struct list_node window_node; /* on the table's windows, while its chatter's window is open */
    struct heap_node kill_due;    /* STARTING, ENDING: when it is killed; KILLED: when it is given up */
    int32_t pid;                  /* its own until REAPED */
    int pidfd, word_fd;           /* -1: closed */
    struct source end, word, error;
    struct chatter chatter;
    uint64_t ordered_ns;         /* when its start was ordered */
    uint64_t spawn_ns;           /* from there to exec; 0: not yet */
    struct spawn_word last_word; /* of the child */
    bool has_spoken;             /* there is a last word */
    uint64_t sleep_count;        /* STARTING: how often it has slept, when it was looked at */
    uint64_t asleep_ns;          /* … and since when it is known to be in this sleep; 0: it was not looked at */
    bool hung;                   /* it was STARTING for too long */
    bool up_unsent;
    struct status cause; /* REAPED: why */
};

struct workers {
    struct worker *by_id;
    struct list in_state[WORKER_STATE_COUNT];
    struct list reports; /* those with an unsent report, first come first */
    struct list windows; /* those with an open window, in the order in which they opened */
    struct heap kills;
    size_t count;
};

/* STARTING, with a place in the heap; takes the descriptors in `spawned`, and `home` (malloc'd, or NULL).  NULL when
 * memory is short: nothing was taken. */
MUST_USE struct worker *workers_add(struct workers *workers, uint64_t id, char *home, const struct spawned *spawned);
struct worker *workers_find(const struct workers *workers, uint64_t id);
struct worker *workers_find_pid(const struct workers *workers, int32_t pid); /* O(n): for the rare case */

/* The only writer of worker->state. */
void workers_move(struct workers *workers, struct worker *worker, enum worker_state next);

/* Off all lists; it must have been taken out of the epoll set. */
void workers_forget(struct workers *workers, struct worker *worker);

/* To the whole group; to the leader alone while it has not made it its own yet.  Not when REAPED. */
void worker_signal(const struct worker *worker, int number);

/* Takes what the child says.  False when it has closed its end: it was exec'd, or has died. */
MUST_USE bool worker_hear_child(struct worker *worker);

/* Whether it got as far as calling exec, and exec did not come back. */
bool worker_was_started(const struct worker *worker);

/* Whether it has been in one and the same sleep for that long, as far as it was looked at: it waits for what does not
 * come.  Whoever waits for a processor does not sleep. */
bool worker_is_stuck(struct worker *worker, uint64_t now_ns, uint64_t sleep_ns);

/* It was killed and does not die (the kernel waits for a file system): fills in worker->cause.  It is reaped when it
 * comes free, as one that nobody knows. */
void worker_give_up(struct worker *worker);

/* Kills what is left of the group, reaps the leader, fills in worker->cause.  Only once its pidfd is readable. */
void worker_reap(struct worker *worker, const char *program);

#endif
