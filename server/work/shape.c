#include "server/work/shape.h"

#include <stdbool.h>

/* The end of the string whose opening quote is at `at`: its closing quote, or `size`. */
static size_t skip_string(const char *line, size_t size, size_t at)
{
    for (at++; at < size && line[at] != '"'; at++) {
        if (line[at] == '\\')
            at++;
    }
    return at;
}

struct status shape_check(const char *line, size_t size)
{
    size_t depth = 0;
    size_t value_count = 1;

    for (size_t at = 0; at < size; at++) {
        switch (line[at]) {
        case '"':
            at = skip_string(line, size, at);
            break;
        case '[':
        case '{':
            value_count++;
            if (++depth > SHAPE_DEPTH_MAX)
                return status_make(STATUS_INTERNAL, "the worker's answer is nested deeper than %d levels",
                                   SHAPE_DEPTH_MAX);
            break;
        case ']':
        case '}':
            depth -= depth > 0;
            break;
        case ',':
        case ':':
            if (++value_count > SHAPE_VALUE_COUNT_MAX)
                return status_make(STATUS_INTERNAL, "the worker's answer has more than %d values",
                                   SHAPE_VALUE_COUNT_MAX);
            break;
        default:
            break;
        }
    }
    return status_ok();
}
