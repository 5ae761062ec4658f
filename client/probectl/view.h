/* What a person reads: a stream, how wide it is, and whether it shows colours and more than ASCII.
 *
 * Everything that came from elsewhere goes through view_text and its kin: no control character, no character that turns
 * the direction of writing, nothing that is no UTF-8 ever reaches the terminal.
 *
 * Threads: one at a time. */
#ifndef CLIENT_PROBECTL_VIEW_H
#define CLIENT_PROBECTL_VIEW_H

#include "proto/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct view {
    FILE *out;
    unsigned width; /* columns; 0: no terminal, lines are as long as they are */
    bool colours;
    bool utf8;
    int64_t now_ms; /* Unix time that "in 2 h" counts from */
};

enum view_style { VIEW_PLAIN, VIEW_BOLD, VIEW_DIM, VIEW_GOOD, VIEW_WARN, VIEW_BAD, VIEW_STYLE_COUNT };

/* Looks at the stream and the environment: COLUMNS, NO_COLOR, TERM, the locale, which must have been set. */
void view_init(struct view *view, FILE *out);

/* How many columns the text takes once it is clean. */
unsigned view_columns(const struct view *view, const char *text);

/* The next character as it may be shown: its bytes, how many, and the columns that it takes (0: it joins the one
 * before).  Advances `text`, which is not at its end. */
const char *view_next_shown(const struct view *view, const char **text, size_t *size_out, unsigned *columns_out);

/* Cleaned, in a style. */
void view_text(const struct view *view, enum view_style style, const char *text);
void view_format(const struct view *view, enum view_style style, const char *format, ...) PRINTF_LIKE(3, 4);
void view_line(const struct view *view, enum view_style style, const char *format, ...) PRINTF_LIKE(3, 4); /* ended */

/* The same, filled up to `columns`; on the left where numbers line up. */
void view_padded(const struct view *view, enum view_style style, const char *text, unsigned columns, bool to_the_right);

/* Text that may take several lines, each behind `indent` blanks, broken at blanks where the view has a width.  The
 * first begins at column `begun`, already indented.  Ends without a line end. */
void view_wrapped(const struct view *view, enum view_style style, const char *text, unsigned indent, unsigned begun);

/* `part` of 0..1 as a bar of so many columns; empty only at 0, full only at 1. */
void view_bar(const struct view *view, enum view_style style, double part, unsigned columns);

/* " · " or " - ". */
const char *view_separator(const struct view *view);

enum { VIEW_WORDS_SIZE = 64 };

/* "45 s", "12 min", "2 h 10 min", "3 d 4 h". */
void view_duration(uint64_t ms, char out[VIEW_WORDS_SIZE]);

/* "in 2 h 10 min (15:30)", with the day where it is not today; "now" when it has passed. */
void view_moment(const struct view *view, int64_t at_ms, char *out, size_t size);

#endif
