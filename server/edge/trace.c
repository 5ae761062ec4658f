/* Reading a traceparent, see trace.h: version "-" trace-id "-" parent-id "-" flags, lower-case hexadecimal. */
#include "server/edge/trace.h"

#include <string.h>

enum { VERSION_SIZE = 2, FLAGS_SIZE = 2 };

/* The next `size` digits, "-" behind them unless they are the last; NULL when that is not what is there. */
static const char *take(const char *at, size_t size, bool last, char *digits_out)
{
    if (at == NULL || strspn(at, "0123456789abcdef") != size || at[size] != (last ? '\0' : '-'))
        return NULL;
    memcpy(digits_out, at, size);
    digits_out[size] = '\0';
    return at + size + !last;
}

static bool is_zero(const char *digits)
{
    return digits[strspn(digits, "0")] == '\0';
}

struct trace trace_of(const char *traceparent)
{
    char version[VERSION_SIZE + 1], flags[FLAGS_SIZE + 1];
    struct trace trace;
    const char *at = take(traceparent, VERSION_SIZE, false, version);

    at = take(at, TRACE_ID_SIZE, false, trace.trace_id);
    at = take(at, TRACE_PARENT_ID_SIZE, false, trace.parent_id);
    if (take(at, FLAGS_SIZE, true, flags) == NULL && /* a later version may have more behind the flags */
        (take(at, FLAGS_SIZE, false, flags) == NULL || strcmp(version, "00") == 0))
        at = NULL;
    if (at == NULL || strcmp(version, "ff") == 0 || is_zero(trace.trace_id) || is_zero(trace.parent_id))
        return TRACE_NONE;
    return trace;
}
