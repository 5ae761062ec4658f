/* Lines from a descriptor, one at a time, into memory that is wiped behind each: request lines hold keys.
 *
 * Ownership: a line is lent until the next call; lines_fini() wipes what is left.  Threads: none of its own. */
#ifndef SERVER_WORKER_LINES_H
#define SERVER_WORKER_LINES_H

#include "proto/compiler.h"
#include "server/base/text.h"

#include <stdbool.h>
#include <stddef.h>

enum { LINE_SIZE_MAX = 2097152 }; /* the longest api_key, each byte of it escaped, and room */

struct lines {
    int fd;
    struct text pending; /* read, not yet given; the line given last is at its beginning */
    size_t given_size;   /* of that line with its end */
    bool skipping;       /* the rest of a line that was too long */
    bool ended;
};

enum lines_next { LINES_LINE, LINES_TOO_LONG, LINES_END /* of file, or the descriptor failed */ };

struct line {
    const char *text; /* lent, without its line end; not terminated */
    size_t size;
};

void lines_init(struct lines *lines, int fd);

/* Waits for the next one; the last may lack its line end.  LINES_TOO_LONG comes once, and the line is dropped.  When
 * memory is short that ends the lines, too. */
MUST_USE enum lines_next lines_next(struct lines *lines, struct line *line_out);

/* Wipes the line that was given; lines_next does it, too, but perhaps much later. */
void lines_forget(struct lines *lines);
void lines_fini(struct lines *lines);

#endif
