/* Whether a line of JSON is small enough in shape to be parsed into a tree.
 *
 * A tree costs up to a hundred times its text, and a parser goes as deep as the text does.  One pass over the bytes,
 * before the parser sees them, bounds both.  It knows strings from structure and no more: what passes may still be no
 * JSON, which is the parser's to say.
 *
 * Threads: any. */
#ifndef SERVER_WORK_SHAPE_H
#define SERVER_WORK_SHAPE_H

#include "proto/status.h"

#include <stddef.h>

enum {
    SHAPE_DEPTH_MAX = 64,          /* proto/README.md's messages need seven levels */
    SHAPE_VALUE_COUNT_MAX = 131072 /* the largest lawful answer has about 20,000 */
};

/* INTERNAL, naming the bound and what was found. */
MUST_USE struct status shape_check(const char *line, size_t size);

#endif
