/* What a worker writes to its standard error: read without waiting, line by line, and no faster than a person reads.
 *
 * Its text may hold anything: what is not printable is replaced, what may be a secret is taken out (redact.h).  In a
 * window of a second so many lines are shown and so many bytes are read; a worker that writes more waits in its
 * own write.
 *
 * Threads: the custodian's one. */
#ifndef SERVER_CUSTODY_CUSTODIAN_CHATTER_H
#define SERVER_CUSTODY_CUSTODIAN_CHATTER_H

#include "proto/compiler.h"
#include "server/base/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHATTER_WINDOW_NS NS_PER_S

enum {
    CHATTER_LINE_SIZE_MAX = 512,     /* the rest of a longer one is not shown */
    CHATTER_LINE_COUNT_MAX = 20,     /* shown in one window */
    CHATTER_BYTE_COUNT_MAX = 1048576 /* read in one window */
};

struct chatter {
    int64_t worker_id;
    const char *home;                           /* lent */
    int fd;                                     /* owned; -1: closed */
    uint64_t window_ns;                         /* when the present window opened; 0: none is open */
    size_t line_count, shown_count, byte_count; /* in it */
    size_t line_size;                           /* of the line that has not ended yet, as far as it is kept */
    bool line_open;                             /* some of it has come */
    char line[CHATTER_LINE_SIZE_MAX + 1];
};

/* Takes the descriptor, which must not block; `home` is lent. */
void chatter_init(struct chatter *chatter, uint64_t worker_id, const char *home, int fd);

enum chatter_state {
    CHATTER_OPEN,
    CHATTER_FULL, /* not to be read before the window closes */
    CHATTER_ENDED
};

/* Reads what is there, a bounded part of it. */
MUST_USE enum chatter_state chatter_read(struct chatter *chatter, uint64_t now_ns);

/* Closes the window and says how much it held that was not shown. */
void chatter_close_window(struct chatter *chatter);

/* Reads what is left, says it, closes the descriptor. */
void chatter_fini(struct chatter *chatter, uint64_t now_ns);

#endif
