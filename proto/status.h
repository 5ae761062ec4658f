/* The outcome of anything that can fail, as one value.
 *
 * Codes are gRPC's canonical ones, number for number.  A status is made where the cause is known, with the
 * numbers in its message, and passed up untouched.  A message names what was asked, what stands against it
 * and, where there is one, what would help; never a secret.  It is valid UTF-8 without control characters.
 *
 * Ownership: a value, nothing to free.  Threads: any.  */
#ifndef PROTO_STATUS_H
#define PROTO_STATUS_H

#include "proto/compiler.h"

#include <stdbool.h>
#include <stdint.h>

enum status_code {
    STATUS_OK = 0,
    STATUS_CANCELLED = 1,
    STATUS_UNKNOWN = 2,
    STATUS_INVALID_ARGUMENT = 3,
    STATUS_DEADLINE_EXCEEDED = 4,
    STATUS_NOT_FOUND = 5,
    STATUS_ALREADY_EXISTS = 6,
    STATUS_PERMISSION_DENIED = 7,
    STATUS_RESOURCE_EXHAUSTED = 8,
    STATUS_FAILED_PRECONDITION = 9,
    STATUS_ABORTED = 10,
    STATUS_OUT_OF_RANGE = 11,
    STATUS_UNIMPLEMENTED = 12,
    STATUS_INTERNAL = 13,
    STATUS_UNAVAILABLE = 14,
    STATUS_DATA_LOSS = 15,
    STATUS_UNAUTHENTICATED = 16,
    STATUS_CODE_COUNT
};

enum { STATUS_MESSAGE_SIZE = 248 };

struct status {
    enum status_code code;
    uint32_t retry_after_ms; /* 0: no advice */
    char message[STATUS_MESSAGE_SIZE];
};

struct status status_ok(void);
struct status status_make(enum status_code code, const char *format, ...) PRINTF_LIKE(2, 3);

/* The same with advice when to come again. */
struct status status_make_retry(enum status_code code, uint64_t retry_after_ms, const char *format, ...)
    PRINTF_LIKE(3, 4);

static inline bool status_is_ok(const struct status *status)
{
    return status->code == STATUS_OK;
}

/* "DEADLINE_EXCEEDED"; "UNKNOWN" for a number that is no code. */
const char *status_code_name(enum status_code code);

#endif
