/* The lists below the figures: which columns each has, what stands in them, in which order, and what is left out.
 *
 * A row is a message of the daemon's, or (of answers) a struct answer_row; a listing only orders them.  One table says
 * all of a panel: to add a column is to add its line.
 *
 * Threads: one at a time. */
#ifndef CLIENT_PROBECTL_TOP_LISTING_H
#define CLIENT_PROBECTL_TOP_LISTING_H

#include "client/probectl/top/canvas.h"
#include "client/probectl/top/trend.h"
#include "client/probectl/top/words.h"
#include "proto/compiler.h"

enum panel { PANEL_HOMES, PANEL_WORKERS, PANEL_CHANGES, PANEL_ANSWERS, PANEL_COUNT };

enum value_kind {
    VALUE_TEXT,
    VALUE_PATH,    /* its end tells more than its beginning */
    VALUE_STATE,   /* a text that is ordered by a number */
    VALUE_COUNT,   /* "1,204" */
    VALUE_ID,      /* "1204" */
    VALUE_SPAN,    /* milliseconds */
    VALUE_MOMENT,  /* Unix time in milliseconds */
    VALUE_RATE,    /* a second */
    VALUE_SECONDS, /* negative: none */
};

struct value {
    const char *text; /* lent by the row */
    uint64_t number;
    double real;
};

struct column {
    const char *head;
    enum value_kind kind;
    unsigned rank;           /* where there is no room for all, the highest goes first; 0 stays */
    enum canvas_style style; /* of a value that is not zero and not empty */
    struct value (*get)(const void *row);
};

struct panel_kind {
    const char *name; /* "Homes" */
    const char *none; /* what is said where there are no rows */
    const struct column *columns;
    unsigned column_count;
    unsigned sorted; /* by this column at first */
};

/* Lent for ever. */
const struct panel_kind *listing_panel(enum panel panel);

/* What a row of PANEL_ANSWERS is. */
enum { ANSWER_NAME_SIZE = 48 };

struct answer_row {
    char name[ANSWER_NAME_SIZE]; /* "cached", "failed: DEADLINE_EXCEEDED" */
    enum trend_origin origin;
    struct trend_figures figures;
};

/* ---- values ---- */

/* How values are written. */
struct listing_style {
    bool utf8;
    int64_t now_ms; /* Unix time */
};

/* As it is shown: in `out`, or a text of the row's. */
const char *listing_words(const struct column *column, const void *row, const struct listing_style *style,
                          char out[WORDS_SIZE]);

/* Whether the value is something, rather than zero or empty. */
bool listing_is_set(const struct column *column, const void *row);

/* Numbers line up on the right. */
bool listing_is_number(const struct column *column);

/* Whether the column begins with its largest value: what a person looks for in numbers. */
bool listing_falls(const struct column *column);

/* ---- order ---- */

struct listing_order {
    unsigned column;
    bool reversed; /* against the column's own way */
};

/* Fills `rows_out`, which has room for all, with those of `rows` that have `filter` in one of their values (letters of
 * either case are alike; "": every row), in order; those alike keep theirs.  How many. */
size_t listing_make(enum panel panel, const void *const *rows, size_t row_count, const struct listing_order *order,
                    const char *filter, const struct listing_style *style, const void **rows_out);

#endif
