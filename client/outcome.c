/* Making struct probed_status. */
#include "client/outcome.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

_Static_assert((int)PROBED_STATUS_MESSAGE_SIZE == (int)STATUS_MESSAGE_SIZE, "a message fits as it is");
_Static_assert((int)PROBED_UNAUTHENTICATED == (int)STATUS_UNAUTHENTICATED && (int)PROBED_ABORTED == (int)STATUS_ABORTED,
               "codes are the same numbers");

const char *probed_version(void)
{
    return PROBED_VERSION;
}

const char *probed_code_name(enum probed_code code)
{
    return status_code_name((enum status_code)code);
}

struct probed_status outcome_ok(void)
{
    struct probed_status outcome;

    outcome.code = PROBED_OK;
    outcome.retry_after_ms = 0;
    outcome.unreachable = false;
    outcome.message[0] = '\0';
    return outcome;
}

struct probed_status outcome_from(const struct status *status)
{
    struct probed_status outcome = {.code = (enum probed_code)status->code, .retry_after_ms = status->retry_after_ms};

    memcpy(outcome.message, status->message, sizeof outcome.message);
    return outcome;
}

/* status_make cleans what strangers may have put into a message; it takes no va_list. */
static struct probed_status make_from(enum probed_code code, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

static struct probed_status make_from(enum probed_code code, const char *format, va_list arguments)
{
    char message[PROBED_STATUS_MESSAGE_SIZE];
    struct status status;

    vsnprintf(message, sizeof message, format, arguments);
    status = status_make((enum status_code)code, "%s", message);
    return outcome_from(&status);
}

struct probed_status outcome_make(enum probed_code code, const char *format, ...)
{
    struct probed_status outcome;
    va_list arguments;

    va_start(arguments, format);
    outcome = make_from(code, format, arguments);
    va_end(arguments);
    return outcome;
}

struct probed_status outcome_unreachable(const char *format, ...)
{
    struct probed_status outcome;
    va_list arguments;

    va_start(arguments, format);
    outcome = make_from(PROBED_UNAVAILABLE, format, arguments);
    va_end(arguments);
    outcome.unreachable = true;
    return outcome;
}

uint64_t outcome_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t outcome_now_ms(void)
{
    return outcome_now_ns() / 1000000;
}

uint64_t outcome_left_ms(uint64_t deadline_ms)
{
    uint64_t now_ms = outcome_now_ms();

    return deadline_ms > now_ms ? deadline_ms - now_ms : 0;
}
