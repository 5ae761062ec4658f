/* struct status: made here, read everywhere. */
#include "proto/status.h"

#include "proto/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct status status_ok(void)
{
    struct status status;

    status.code = STATUS_OK;
    status.retry_after_ms = 0;
    status.message[0] = '\0';
    return status;
}

static struct status make_from(enum status_code code, uint64_t retry_after_ms, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

static struct status make_from(enum status_code code, uint64_t retry_after_ms, const char *format, va_list arguments)
{
    struct status status = {
        .code = code,
        .retry_after_ms = retry_after_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)retry_after_ms,
    };
    size_t size;

    vsnprintf(status.message, sizeof status.message, format, arguments);
    size = utf8_clip(status.message, strlen(status.message)); /* a cut character at the end, a stranger's bytes */
    status.message[size] = '\0';
    for (char *c = status.message; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    }
    return status;
}

struct status status_make(enum status_code code, const char *format, ...)
{
    struct status status;
    va_list arguments;

    va_start(arguments, format);
    status = make_from(code, 0, format, arguments);
    va_end(arguments);
    return status;
}

struct status status_make_retry(enum status_code code, uint64_t retry_after_ms, const char *format, ...)
{
    struct status status;
    va_list arguments;

    va_start(arguments, format);
    status = make_from(code, retry_after_ms, format, arguments);
    va_end(arguments);
    return status;
}

const char *status_code_name(enum status_code code)
{
    static const char *const names[STATUS_CODE_COUNT] = {
        [STATUS_OK] = "OK",
        [STATUS_CANCELLED] = "CANCELLED",
        [STATUS_UNKNOWN] = "UNKNOWN",
        [STATUS_INVALID_ARGUMENT] = "INVALID_ARGUMENT",
        [STATUS_DEADLINE_EXCEEDED] = "DEADLINE_EXCEEDED",
        [STATUS_NOT_FOUND] = "NOT_FOUND",
        [STATUS_ALREADY_EXISTS] = "ALREADY_EXISTS",
        [STATUS_PERMISSION_DENIED] = "PERMISSION_DENIED",
        [STATUS_RESOURCE_EXHAUSTED] = "RESOURCE_EXHAUSTED",
        [STATUS_FAILED_PRECONDITION] = "FAILED_PRECONDITION",
        [STATUS_ABORTED] = "ABORTED",
        [STATUS_OUT_OF_RANGE] = "OUT_OF_RANGE",
        [STATUS_UNIMPLEMENTED] = "UNIMPLEMENTED",
        [STATUS_INTERNAL] = "INTERNAL",
        [STATUS_UNAVAILABLE] = "UNAVAILABLE",
        [STATUS_DATA_LOSS] = "DATA_LOSS",
        [STATUS_UNAUTHENTICATED] = "UNAUTHENTICATED",
    };

    return (unsigned)code < STATUS_CODE_COUNT ? names[code] : "UNKNOWN";
}
