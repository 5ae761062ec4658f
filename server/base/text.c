#include "server/base/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CAPACITY_MIN = 128 };

/* Room for `size` more bytes and the NUL.  The old block is wiped when it moves: it may have held a secret. */
static bool reserve(struct text *text, size_t size)
{
    size_t capacity = text->capacity == 0 ? CAPACITY_MIN : text->capacity;
    char *bytes;

    if (text->failed || size > SIZE_MAX / 4 || text->size > SIZE_MAX / 4) {
        text->failed = true;
        return false;
    }
    while (capacity < text->size + size + 1)
        capacity *= 2;
    if (capacity == text->capacity)
        return true;
    bytes = malloc(capacity);
    if (bytes == NULL) {
        text->failed = true;
        return false;
    }
    if (text->bytes != NULL) {
        memcpy(bytes, text->bytes, text->size + 1);
        explicit_bzero(text->bytes, text->capacity);
        free(text->bytes);
    }
    text->bytes = bytes;
    text->capacity = capacity;
    return true;
}

void text_add(struct text *text, const void *bytes, size_t size)
{
    if (!reserve(text, size))
        return;
    if (size > 0)
        memcpy(text->bytes + text->size, bytes, size);
    text->size += size;
    text->bytes[text->size] = '\0';
}

void text_add_string(struct text *text, const char *string)
{
    text_add(text, string, strlen(string));
}

void text_format(struct text *text, const char *format, ...)
{
    va_list arguments;
    int size;

    va_start(arguments, format);
    size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (size < 0 || !reserve(text, (size_t)size)) {
        text->failed = true;
        return;
    }
    va_start(arguments, format);
    vsnprintf(text->bytes + text->size, (size_t)size + 1, format, arguments);
    va_end(arguments);
    text->size += (size_t)size;
}

const char *text_string(const struct text *text)
{
    return text->bytes == NULL ? "" : text->bytes;
}

void text_reset(struct text *text)
{
    text->size = 0;
    text->failed = false;
    if (text->bytes != NULL)
        text->bytes[0] = '\0';
}

void text_fini(struct text *text)
{
    free(text->bytes);
    *text = TEXT_EMPTY;
}

void text_wipe(struct text *text)
{
    if (text->bytes != NULL)
        explicit_bzero(text->bytes, text->capacity);
    text_fini(text);
}
