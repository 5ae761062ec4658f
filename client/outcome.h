/* struct probed_status: how the library's own are made, and what time it is.
 *
 * struct status (proto/) is what the shared code speaks, struct probed_status what a user sees: the same value plus
 * whether the daemon was reached at all.  Threads: any. */
#ifndef CLIENT_OUTCOME_H
#define CLIENT_OUTCOME_H

#include "proto/status.h"

#include <probed/client.h>

struct probed_status outcome_ok(void);
struct probed_status outcome_make(enum probed_code code, const char *format, ...) PRINTF_LIKE(2, 3);
struct probed_status outcome_unreachable(const char *format, ...) PRINTF_LIKE(1, 2);
struct probed_status outcome_from(const struct status *status);

static inline bool outcome_is_ok(const struct probed_status *status)
{
    return status->code == PROBED_OK;
}

/* CLOCK_MONOTONIC. */
uint64_t outcome_now_ms(void);
uint64_t outcome_now_ns(void);

/* What is left until then; 0 when it has passed. */
uint64_t outcome_left_ms(uint64_t deadline_ms);

#endif
