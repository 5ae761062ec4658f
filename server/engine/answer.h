/* What a worker answered, packed once and shared by everyone who is told.
 *
 * The bytes are a packed ProbeResponse with the fields that are the same for all its readers (usage, fence, receipt);
 * who replies lays the rest (origin, age, freshness) behind them.  The engine does not look into the bytes; what it
 * must know of them stands beside.
 *
 * Ownership: answer_create gives one count; answer_share adds one; answer_release takes one.
 * Threads: the count is atomic, the rest is fixed once the answer was handed to the engine. */
#ifndef SERVER_ENGINE_ANSWER_H
#define SERVER_ENGINE_ANSWER_H

#include "proto/compiler.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As probed.v1.AccountStatus, number for number. */
enum account_status {
    ACCOUNT_UNSPECIFIED,
    ACCOUNT_OK,
    ACCOUNT_EXHAUSTED,
    ACCOUNT_NO_DATA,
    ACCOUNT_NO_KEY,
    ACCOUNT_INVALID_KEY,
    ACCOUNT_EXPIRED,
    ACCOUNT_RATE_LIMITED,
    ACCOUNT_UNAVAILABLE,
    ACCOUNT_UNSUPPORTED,
    ACCOUNT_STATUS_COUNT
};

struct answer {
    atomic_uint holders;
    enum account_status account;
    bool figures;             /* there is something to show: a window, a detail or a balance */
    uint64_t retry_ns;        /* from the answer on, the provider wants no question for so long; 0: not said */
    uint64_t interval_ns_min; /* the provider's polling manners, at most 600 s; 0: unknown */
    size_t size;
    unsigned char bytes[];
};

/* Room for `size` bytes, to be filled by the caller; NULL when memory is short. */
MUST_USE struct answer *answer_create(size_t size);
struct answer *answer_share(struct answer *answer);
void answer_release(struct answer *answer); /* NULL is fine */

#endif
