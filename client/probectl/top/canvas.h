/* What is to be seen: cells of a terminal, each with its character and its style.
 *
 * It is drawn on by layout and shown by screen; tests read it as text.  Whatever is put passes view_next_shown(): no
 * control character and no half of a character ever gets into a cell.
 *
 * Ownership: the struct is the caller's: canvas_fini() it.  Threads: one at a time. */
#ifndef CLIENT_PROBECTL_TOP_CANVAS_H
#define CLIENT_PROBECTL_TOP_CANVAS_H

#include "client/probectl/view.h"
#include "proto/compiler.h"

#include <stdbool.h>
#include <stddef.h>

enum { CANVAS_CELL_SIZE = 16, CANVAS_SIDE_MAX = 1000 };

enum canvas_style {
    CANVAS_PLAIN,
    CANVAS_BOLD,
    CANVAS_DIM,
    CANVAS_GOOD,
    CANVAS_WARN,
    CANVAS_BAD,
    CANVAS_HEAD,   /* of a list: its columns */
    CANVAS_CHOSEN, /* the tab that is shown, the column that sorts */
    CANVAS_TREND,
    CANVAS_STYLE_COUNT
};

struct canvas_cell {
    char bytes[CANVAS_CELL_SIZE]; /* a character and what joins it; empty: the right half of the one before */
    unsigned char style;
};

struct canvas {
    unsigned row_count, column_count;
    struct canvas_cell *cells;          /* owned; row by row */
    bool utf8;                          /* else ASCII alone */
    bool cursor;                        /* shown, at … */
    unsigned cursor_row, cursor_column; /* … */
};

/* Blank, of this size (of a side at most CANVAS_SIDE_MAX); what was drawn before is gone.  False: no memory, it is as it
 * was.  A canvas that is all zero has no size. */
MUST_USE bool canvas_begin(struct canvas *canvas, unsigned row_count, unsigned column_count);
void canvas_fini(struct canvas *canvas);

/* Which end is cut off where there is no room; a mark stands for it. */
enum canvas_cut { CANVAS_CUT_END, CANVAS_CUT_BEGIN };

/* Puts text into at most `width` columns; how many it took.  What lies outside is not drawn. */
unsigned canvas_put(struct canvas *canvas, unsigned row, unsigned column, unsigned width, enum canvas_style style,
                    enum canvas_cut cut, const char *text);

/* How many columns it takes where there is room. */
unsigned canvas_width(const struct canvas *canvas, const char *text);

/* Gives a whole row this style. */
void canvas_style_row(struct canvas *canvas, unsigned row, enum canvas_style style);

/* Its rows as lines, without blanks at their ends; NULL: no memory.  free() it. */
char *canvas_text(const struct canvas *canvas);

/* ---- a pen, for texts side by side ---- */

struct pen {
    struct canvas *canvas; /* lent */
    unsigned row, column, end;
};

struct pen canvas_pen(struct canvas *canvas, unsigned row);

/* What has no room is cut. */
void pen_text(struct pen *pen, enum canvas_style style, const char *text);
void pen_format(struct pen *pen, enum canvas_style style, const char *format, ...) PRINTF_LIKE(3, 4);

/* The same, whole or not at all; whether it was. */
bool pen_whole(struct pen *pen, enum canvas_style style, const char *format, ...) PRINTF_LIKE(3, 4);

/* At the right end, if it fits with two blanks before it; what comes after it gets less room. */
void pen_right(struct pen *pen, enum canvas_style style, const char *format, ...) PRINTF_LIKE(3, 4);

#endif
