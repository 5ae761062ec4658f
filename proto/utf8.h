/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing beyond U+10FFFF. */
#ifndef PROTO_UTF8_H
#define PROTO_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* The size of the longest valid beginning of `text`; == size when all of it is valid. */
size_t utf8_clip(const char *text, size_t size);

static inline bool utf8_valid(const char *text, size_t size)
{
    return utf8_clip(text, size) == size;
}

/* Whether a byte below 0x20, or 0x7f, is in it. */
bool utf8_has_control(const char *text, size_t size);

#endif
