/* A growing buffer of bytes, always followed by a NUL that does not count.
 *
 * Ownership: the struct is the caller's, its bytes are the buffer's: text_fini() them.  A failed growth is remembered
 * (`failed`), later additions do nothing, so that a whole composition is checked once, at its end.
 * Threads: none of its own. */
#ifndef SERVER_BASE_TEXT_H
#define SERVER_BASE_TEXT_H

#include "proto/compiler.h"

#include <stdbool.h>
#include <stddef.h>

struct text {
    char *bytes; /* owned; NULL while empty */
    size_t size;
    size_t capacity;
    bool failed; /* memory was short once */
};

#define TEXT_EMPTY ((struct text){0})

void text_add(struct text *text, const void *bytes, size_t size);
void text_add_string(struct text *text, const char *string);
void text_format(struct text *text, const char *format, ...) PRINTF_LIKE(2, 3);

/* As a C string; "" while empty.  Lent until the next change. */
const char *text_string(const struct text *text);

/* Forgets the bytes, keeps the memory; text_fini gives that back.  Both leave an empty text. */
void text_reset(struct text *text);
void text_fini(struct text *text);

/* The same after overwriting them, for what may hold a secret. */
void text_wipe(struct text *text);

#endif
