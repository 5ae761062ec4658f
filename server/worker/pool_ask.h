/* A pool whose every entry is asked about: PROVIDERS.md 5.2.
 *
 * At most six requests at a time, four seconds each; rows stay in the order of the pool, whatever is answered first.
 * Two entries of one account are asked about once.  Entries that were refused as unauthorized are looked up again,
 * once, and asked about with the token that their owner has put there meanwhile, if there is another.
 *
 * Threads: one.  Blocks until the deadline at most; rows that were not reached by then say so. */
#ifndef SERVER_WORKER_POOL_ASK_H
#define SERVER_WORKER_POOL_ASK_H

#include "proto/compiler.h"
#include "server/worker/http.h"
#include "server/worker/pool.h"
#include "server/worker/provider.h"

#include <stdbool.h>
#include <stdint.h>

/* All lent. */
struct pool_asking {
    const struct provider *provider;
    const struct keyring *keyring;
    struct http *http;
    int64_t now_s;
    uint64_t deadline_ns;
};

enum pool_ask_end { POOL_ASK_DONE, POOL_ASK_ABANDONED /* nobody is left to hear the answer */, POOL_ASK_NO_MEMORY };

/* `summary` comes from pool_summarise of the same pool; its rows are filled in.  `heard_out`: a provider answered. */
MUST_USE enum pool_ask_end pool_ask(const struct pool_asking *asking, const struct pool *pool,
                                    struct pool_summary *summary, bool *heard_out);

#endif
