/* Text for a person, from a stranger: server/worker/PROVIDERS.md 2.2.
 *
 * Runs of control characters and spaces become one space, none stands at either end; what is longer than the bound in
 * Unicode code points is cut to three fewer, right-trimmed, and ends in "...".
 *
 * Threads: any. */
#ifndef SERVER_BASE_DISPLAY_H
#define SERVER_BASE_DISPLAY_H

#include <stddef.h>

enum { DISPLAY_CHARACTER_SIZE_MAX = 4 }; /* of UTF-8 */

/* Writes at most min(size, 4 * character_count_max) bytes and a NUL into `out`; how many bytes.
 * `text` is valid UTF-8 and may hold NULs; character_count_max is above 3.  `out` may be `text` itself. */
size_t display_text(const char *text, size_t size, size_t character_count_max, char *out);

#endif
