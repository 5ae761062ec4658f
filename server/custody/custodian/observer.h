/* Notices when credentials of a home change: which homes are looked at, when one is read again, and what of it is news.
 *
 * The directories that matter are watched (lookout.h); what has happened there is not believed, it only says that it
 * is time to read the home again (reader.h).  A change of a fingerprint is a change of a credential; everything else,
 * an agent's bookkeeping for one, costs a reading and is nothing.
 *
 *   watched first, read then     what happens while a home is read has it read once more
 *   100 ms behind the first sign writes that belong together are one change
 *   polled every 2 s             where nobody tells: network file systems, the limit of watches, what a reader names
 *   a few at once, one a home    a home that changes all the time is read five times a second at most, and half as often
 *                                while nothing comes of it; so no home can start processes without end
 *   killed after 5 s             a reading that hangs; it leaves the places of the quick ones after 250 ms, so that a
 *                                file system that hangs costs its own homes alone
 *
 * Nothing is opened in a home here, but directories, without following anything, where the kernel needs to ask nobody.
 *
 * Ownership: observer_open to observer_close; each home from observer_take to observer_forget.
 * Threads: the custodian's one; nothing here waits. */
#ifndef SERVER_CUSTODY_CUSTODIAN_OBSERVER_H
#define SERVER_CUSTODY_CUSTODIAN_OBSERVER_H

#include "proto/status.h"
#include "server/base/heap.h"
#include "server/base/list.h"
#include "server/custody/custodian/lookout.h"
#include "server/custody/custodian/spawn.h"
#include "server/custody/protocol.h"

enum {
    OBSERVER_QUICK_COUNT_MAX = 4, /* readers younger than 250 ms */
    OBSERVER_SLOW_COUNT_MAX = 16  /* older ones, and those of homes whose last reading hung, or that are not local */
};

struct observed; /* a home: observer.c */

struct observer {
    const struct spawn_plan *plan; /* of readers; lent */
    int fd;                        /* an epoll set: readable when observer_work has something to do; -1: closed */
    struct lookout lookout;
    struct observed *by_id;
    struct heap due;                    /* homes by when they are to be read, if nothing comes before */
    struct list waiting;                /* homes that are to be read as soon as there is room */
    struct list quick, slow, condemned; /* homes that are being read, by when that began; KILL was sent to the last */
    struct list reports;                /* homes with something to report */
    struct list leaving;                /* homes that are forgotten */
    bool said;                          /* that readers do not work */
    bool limit_said, blind_said;        /* that a limit of the kernel's is reached: of watches, of instances */
};

/* UNAVAILABLE with the cause. */
MUST_USE struct status observer_open(struct observer *observer, const struct spawn_plan *plan);

/* Kills what still reads; it is the caller's to reap. */
void observer_close(struct observer *observer);

/* Readers are started by this plan from now on.  `differs`: they may find other things, so every home is read again. */
void observer_plan_changed(struct observer *observer, const struct spawn_plan *plan, bool differs, uint64_t now_ns);

/* ORDER_OBSERVE, with an id that is not in use.  Takes `home_fd` and `path` (malloc'd, for a person; or NULL).  ENOMEM:
 * nothing was taken. */
MUST_USE int observer_take(struct observer *observer, const struct order *order, int home_fd, char *path,
                           uint64_t now_ns);
bool observer_knows(const struct observer *observer, uint64_t id);
void observer_forget(struct observer *observer, uint64_t id);

/* What there is to do: events, readers that are overdue, homes that are. */
void observer_work(struct observer *observer, uint64_t now_ns);

/* When observer_work is of use without an event; UINT64_MAX: never. */
uint64_t observer_next_ns(const struct observer *observer);

/* The process has ended; whether it was a reader, and is reaped. */
MUST_USE bool observer_bury(struct observer *observer, int32_t pid, uint64_t now_ns);

/* The next report; false when there is none.  It stays the next until it is said to be sent. */
MUST_USE bool observer_next_report(const struct observer *observer, struct report *report_out);
void observer_note_sent(struct observer *observer, const struct report *report);

#endif
