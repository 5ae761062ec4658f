/* The credential pool of auth.json: its entries in order, and what their marks say (PROVIDERS.md 3.3, 5.1, 5.4).
 *
 * Marks are read, never written; an entry that is marked dead, or exhausted until later, is not used.
 *
 * Ownership: a pool lends entries of the document it was opened on; the rows of a summary are its own.
 * Threads: none of its own. */
#ifndef SERVER_WORKER_POOL_H
#define SERVER_WORKER_POOL_H

#include "proto/compiler.h"
#include "server/worker/reading.h"
#include "server/worker/stamp.h"
#include "server/worker/wording.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* What an entry's marks and token say. */
enum pool_mark {
    POOL_USABLE,
    POOL_DEAD,
    POOL_WAITING,   /* marked exhausted, until a moment that is still to come */
    POOL_TOKENLESS, /* borrowed from elsewhere: its secret is not on the disk */
    POOL_EXPIRED    /* a JWT past its time */
};

struct pool_entry {
    const json_t *json; /* lent, of any type */
    double priority;    /* missing: 0 */
    size_t index;       /* in the file */
};

struct pool {
    struct pool_entry *entries; /* owned; by priority, then as in the file */
    size_t count;
};

enum pool_row_status {
    POOL_ROW_AVAILABLE,
    POOL_ROW_EXHAUSTED,
    POOL_ROW_UNAVAILABLE,
    POOL_ROW_DEAD,
    POOL_ROW_STATUS_COUNT
};

struct pool_row {
    char label[LABEL_SIZE];
    enum pool_row_status status;
    char reason[TEXT_SIZE]; /* "": none */
    struct stamp retry_after;
    bool is_asked;                 /* the provider was, about this one */
    const struct reading *reading; /* what it told, lent by the summary; NULL: nothing */
};

/* Of all windows with one label that with the most left; lent by the summary. */
struct pool_best {
    const struct reading_window *window;
    const struct pool_row *row;
};

/* A pool as the answer line shows it (5.3). */
struct pool_summary {
    size_t total, counts[POOL_ROW_STATUS_COUNT]; /* of all entries, those without a row included */
    size_t request_count;
    struct pool_row *rows;                                /* owned */
    size_t row_count;                                     /* at most LIMIT_CREDENTIAL_COUNT_MAX */
    struct reading *readings[LIMIT_CREDENTIAL_COUNT_MAX]; /* owned */
    size_t reading_count;
    struct pool_best best[LIMIT_WINDOW_COUNT_MAX]; /* in the order in which their labels came first */
    size_t best_count;
    const char *plans[LIMIT_CREDENTIAL_COUNT_MAX]; /* distinct, in the order of the rows; lent by the readings */
    size_t plan_count;
    struct stamp next_reset_at; /* of any window */
};

/* `auth`: the document, or NULL.  Empty when it has no such pool; false when memory is short. */
MUST_USE bool pool_open(struct pool *pool, const json_t *auth, const char *provider);
void pool_close(struct pool *pool);

/* The entry's secret: runtime_api_key, else agent_key, else access_token; lent.  NULL: it has none. */
const char *pool_entry_token(const json_t *entry);

/* `until_out` is written with POOL_WAITING. */
enum pool_mark pool_entry_mark(const json_t *entry, int64_t now_s, struct stamp *until_out);

/* Rows from the marks alone, without a request (5.4).  NULL when memory is short; pool_summary_destroy() it. */
struct pool_summary *pool_summarise(const struct pool *pool, int64_t now_s);

/* Another status for a row, and why; counts it there. */
void pool_row_set(struct pool_summary *summary, struct pool_row *row, enum pool_row_status status, const char *reason);

/* How a mark is told; static. */
const char *pool_mark_reason(enum pool_mark mark);

/* Entries beyond the rows are not asked about: those that could be used count as not available. */
void pool_summary_give_up_rest(struct pool_summary *summary);

/* Finds best windows, plans and the next reset in the rows' readings. */
void pool_summary_compare(struct pool_summary *summary);
void pool_summary_destroy(struct pool_summary *summary); /* NULL is fine */

#endif
